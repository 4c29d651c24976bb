"""Manifests: what is handed over to a carrier together."""

from typing import Any

from sqlalchemy import select

from argosy.fulfillment.v1 import parcels_service_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import FailedPrecondition, NotFound
from chassis.kernel.ids import new_id
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from services.fulfillment.app.parcels.forms import NONE, PENDING
from services.fulfillment.process import form
from services.fulfillment.store.parcels import MANIFESTS, NOT_HANDED_OVER, PARCELS

Manifest = parcels_service_pb2.Manifest


async def close_manifest(work: Work, request: parcels_service_pb2.CloseManifestRequest) -> Manifest:
    """Refusals: NOTHING_TO_HAND_OVER."""
    columns = PARCELS.c
    own = select(PARCELS).where(columns.location_id == request.location_id, columns.carrier == request.carrier, NOT_HANDED_OVER)
    rows = await work.tx.read(own.order_by(columns.parcel_id).with_for_update())
    if not rows:
        text = f"no parcel of {request.carrier} has left {request.location_id} since the last manifest"
        raise FailedPrecondition("NOTHING_TO_HAND_OVER", text, field="carrier")
    row = {
        "manifest_id": new_id(), "location_id": request.location_id, "carrier": request.carrier, "parcels": len(rows),
        "weight_g": sum(one.weight_g for one in rows), "closed_at": work.now, "closed_by": work.cause.actor,
        "form_status": PENDING if request.with_form else NONE, "form_url": "", "form_failure": "",
    }  # fmt: skip
    await work.tx.insert(MANIFESTS, [row])
    if request.with_form:
        work.start(form.NAME, str(row["manifest_id"]), form.State(str(row["manifest_id"])), form.Want())
    handed_over = [{"parcel_id": one.parcel_id, "manifest_id": row["manifest_id"]} for one in rows]
    await work.tx.change(PARCELS, ("parcel_id",), handed_over)
    return await _shown(work.tx, str(row["manifest_id"]))


async def get_manifest(asked: Asked) -> Manifest:
    """Refusals: NO_SUCH_MANIFEST."""
    return await _shown(asked.tx, asked.request.manifest_id)


async def _shown(tx: Tx, manifest_id: str) -> Manifest:
    rows = await tx.find(MANIFESTS, ("manifest_id",), [(manifest_id,)])
    if not rows:
        raise NotFound("NO_SUCH_MANIFEST", f"there is no manifest {manifest_id}", field="manifest_id")
    manifest = _manifest(rows[0])
    for one in await tx.find(PARCELS, ("manifest_id",), [(manifest_id,)], order=("parcel_id",)):
        manifest.lines.add(
            parcel_id=one.parcel_id, service=one.service, tracking_number=one.tracking_number, weight_g=one.weight_g,
            country_code=one.country_code,
        )  # fmt: skip
    return manifest


async def list_manifests(asked: Asked) -> parcels_service_pb2.ListManifestsResponse:
    """Lists the last first."""
    query = select(MANIFESTS)
    if asked.request.location_id:
        query = query.where(MANIFESTS.c.location_id == asked.request.location_id)
    rows, token = await page(asked.tx, query, [MANIFESTS.c.manifest_id], asked.request, descending=True)
    return parcels_service_pb2.ListManifestsResponse(manifests=map(_manifest, rows), next_page_token=token)


def _manifest(row: Any) -> Manifest:
    return Manifest(**{**row._mapping, "closed_at": to_timestamp(row.closed_at)})
