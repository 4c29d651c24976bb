"""Forms of manifests: asked of the provider after the manifest is closed, outside every transaction."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import update

from argosy.fulfillment.v1 import parcels_service_pb2
from chassis.kernel.errors import Refusal
from chassis.kernel.process import HoldReleased
from chassis.runtime.database import Database
from chassis.runtime.effects import Effect, few_at_once
from chassis.runtime.work import HoldKind, Work
from services.fulfillment.clients.carriers import Carriers
from services.fulfillment.process import form
from services.fulfillment.store.parcels import MANIFESTS, PARCELS

NONE, PENDING, MADE, FAILED = (getattr(parcels_service_pb2, f"FORM_STATUS_{name}") for name in ("NONE", "PENDING", "MADE", "FAILED"))
FORM_FAILED = HoldKind("FORM_FAILED", "node", 3600, "operations")


class Forms:
    """Asks the provider of labels."""

    def __init__(self, carriers: Carriers) -> None:
        self._carriers = carriers

    async def ask_forms(self, effects: Sequence[Effect], database: Database) -> Sequence[Struct | None]:
        """Asks for forms."""
        return await few_at_once(self._ask(effect.asked.manifest_id, database) for effect in effects)

    async def _ask(self, manifest_id: str, database: Database) -> Struct | None:
        provider = self._carriers.provider
        if provider is None:
            return form.Refused("no provider of labels is set: ARGOSY_CARRIER_URL")
        async with database.read() as tx:
            rows = await tx.find(PARCELS, ("manifest_id",), [(manifest_id,)], only=("parcel_id", "label_reference"), order=("parcel_id",))
        references = [row.label_reference for row in rows if row.label_reference]
        if len(references) < len(rows):
            return form.Refused(f"{len(rows) - len(references)} of its {len(rows)} parcels have no label of the provider")
        try:
            made = await provider.form(references)
        except Refusal as refusal:
            # Nobody knows whether it worked, or it is still being made: it is asked again.
            return None if refusal.transient else form.Refused(f"{refusal.reason}: {refusal.message}")
        return form.Refused(made.failure) if made.failure else form.Made(made.url)


async def apply_forms(work: Work, changes: Sequence[tuple[str, Struct]]) -> None:
    """Writes what providers said; a no is a hold."""
    for manifest_id, change in changes:
        work.cause = work.causes[manifest_id]
        match change:
            case form.KeepForm(url):
                values: dict[str, Any] = {"form_status": MADE, "form_url": url, "form_failure": ""}
            case form.KeepFailure(reason):
                values = {"form_status": FAILED, "form_failure": reason[:2000]}
                work.hold(FORM_FAILED, "manifest", manifest_id, reason[:500])
            case _:
                raise TypeError(f"unknown change {type(change).__name__}")
        await work.tx.write(update(MANIFESTS).where(MANIFESTS.c.manifest_id == manifest_id).values(**values))


async def on_hold_released(work: Work, hold: Any) -> None:
    """The form is asked for again."""
    if hold.reason == FORM_FAILED.reason:
        await work.tx.write(update(MANIFESTS).where(MANIFESTS.c.manifest_id == hold.subject_id).values(form_status=PENDING))
        work.deliver(form.NAME, hold.subject_id, HoldReleased(hold.reason, work.cause.actor, hold.resolution))
