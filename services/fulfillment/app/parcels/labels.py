"""BuyLabel, VoidLabel: asked of the carrier after they are answered, outside every transaction."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import update

from argosy.fulfillment.v1 import parcels_service_pb2
from chassis.kernel.errors import FailedPrecondition, Refusal
from chassis.kernel.ids import new_id
from chassis.runtime.channels import Channels
from chassis.runtime.database import Database
from chassis.runtime.effects import Effect, few_at_once
from chassis.runtime.work import Work
from services.fulfillment.app.parcels.customs import Customs, Facts, facts_of
from services.fulfillment.app.parcels.packing import (
    BOUGHT,
    FAILED,
    HELD_BY_CARRIER,
    LABEL_FAILED,
    PENDING,
    VOIDED,
    VOIDING,
    locked,
    need_packed,
    shown,
)  # fmt: skip
from services.fulfillment.app.world import load_prices
from services.fulfillment.clients.carriers import CarrierPort, Carriers, Declared, LabelResult, RateResult, ToLabel
from services.fulfillment.domain.planning import World
from services.fulfillment.domain.sourcing import cheapest
from services.fulfillment.process import label
from services.fulfillment.store.parcels import PARCELS
from services.fulfillment.store.tables import FULFILLMENT_ORDERS

Parcel = parcels_service_pb2.Parcel


async def buy_label(work: Work, request: parcels_service_pb2.BuyLabelRequest) -> Parcel:
    """Refusals: NO_SUCH_PARCEL, WRONG_STATUS, HAS_LABEL."""
    row = await locked(work.tx, request.parcel_id)
    need_packed(row)
    if row.label_status in HELD_BY_CARRIER:
        raise FailedPrecondition("HAS_LABEL", "it has a label, or is about to have one: void it first", field="parcel_id")
    await _set(work, row.parcel_id, label_status=PENDING, label_failure="")
    work.start(label.NAME, new_id(), label.State(row.parcel_id, request.carrier, request.service), label.Buy())
    return await shown(work.tx, row.parcel_id)


async def void_label(work: Work, request: parcels_service_pb2.VoidLabelRequest) -> Parcel:
    """Refusals: NO_SUCH_PARCEL, WRONG_STATUS, NO_LABEL."""
    row = await locked(work.tx, request.parcel_id)
    need_packed(row)
    if row.label_status != BOUGHT:
        raise FailedPrecondition("NO_LABEL", "it has no label that could be given back", field="parcel_id")
    await _set(work, row.parcel_id, label_status=VOIDING, label_failure="")
    work.start(label.NAME, new_id(), label.State(row.parcel_id, reference=row.label_reference), label.Void())
    return await shown(work.tx, row.parcel_id)


async def _set(work: Work, parcel_id: str, **values: Any) -> None:
    await work.tx.write(update(PARCELS).where(PARCELS.c.parcel_id == parcel_id).values(**values))


class RateCard:
    """Carriers without an API: what they cost is ours to know, and they take our numbers from the manifest."""

    def __init__(self, world: World, order: Any) -> None:
        self._world = world
        self._order = order

    async def rate(self, parcel: ToLabel, carrier: str, service: str) -> RateResult:
        """Returns the cheapest rate that is set."""
        to = self._order
        rates = self._world.rates_for(to.country_code, to.currency_code, to.method)
        own = [one for one in rates if carrier in ("", one.carrier) and service in ("", one.service)]
        if not own:
            return RateResult(failure=f"no rate is set for {carrier or 'any carrier'} {service} to {to.country_code}")
        best = cheapest(own, parcel.weight_g)
        surcharge = self._world.surcharge(to.location_id, to.country_code, to.postal_prefix, to.currency_code)
        cost = best.cost(parcel.weight_g) + surcharge
        return RateResult(parcel.parcel_id, "", best.carrier, best.service, cost, to.currency_code)

    async def buy(self, reference: str, rate: str) -> LabelResult:
        """Numbers the parcel."""
        del rate
        return LabelResult(reference.replace("-", "")[-16:].upper())

    async def void(self, reference: str) -> str:
        """Nobody but us knows of it."""
        del reference
        return ""


class Labels:
    """Asks carriers."""

    def __init__(self, channels: Channels, carriers: Carriers) -> None:
        self._customs = Customs(channels)
        self._carriers = carriers

    async def ask_rates(self, effects: Sequence[Effect], database: Database) -> Sequence[Struct | None]:
        """Asks what parcels cost; what customs would stop is not sold a label."""
        return await few_at_once(self._answer(self._rate(effect.asked, database)) for effect in effects)

    async def buy_rates(self, effects: Sequence[Effect], database: Database) -> Sequence[Struct | None]:
        """Buys labels."""
        return await few_at_once(self._answer(self._buy(effect.asked, database)) for effect in effects)

    async def give_back(self, effects: Sequence[Effect], database: Database) -> Sequence[Struct | None]:
        """Gives labels back."""
        return await few_at_once(self._answer(self._void(effect.asked, database)) for effect in effects)

    async def _answer(self, asking: Any) -> Struct | None:
        try:
            answer: Struct = await asking
        except Refusal as refusal:
            # Nobody knows whether it worked, or somebody is away: it is asked again.
            return None if refusal.transient else label.Refused(f"{refusal.reason}: {refusal.message}")
        return answer

    async def _rate(self, asked: label.AskRate, database: Database) -> Struct:
        facts, port = await self._port(asked.parcel_id, database)
        parcel = await self._to_label(facts)
        if isinstance(parcel, label.Refused):
            return parcel
        found = await port.rate(parcel, asked.carrier, asked.service)
        if found.failure:
            return label.Refused(found.failure)
        return label.Quoted(found.reference, found.rate, found.carrier, found.service, found.freight_minor, found.currency_code)

    async def _to_label(self, facts: Facts) -> ToLabel | label.Refused:
        declaration = await self._customs.declare(facts)
        if declaration.missing:
            return label.Refused(f"customs wants: {'; '.join(declaration.missing)}")
        if self._carriers.provider is not None and facts.origin is None:
            return label.Refused(f"from where {facts.parcel.location_id} ships is not set: POST /v1/origins")
        box = facts.carton
        declared = [
            Declared(one.description, one.hs_code, one.origin_country_code, one.quantity, one.value_minor, one.weight_g, one.sku)
            for one in declaration.lines
            if declaration.required
        ]
        return ToLabel(
            facts.parcel.parcel_id, facts.parcel.weight_g, (box.length_mm, box.width_mm, box.height_mm) if box is not None else (0, 0, 0),
            declaration.sender, declaration.recipient, declaration.currency_code, declared, declaration.sender_tax_id,
        )  # fmt: skip

    async def _buy(self, asked: label.BuyRate, database: Database) -> Struct:
        _, port = await self._port(asked.parcel_id, database)
        quoted = asked.quoted
        bought = await port.buy(quoted.reference, quoted.rate)
        if bought.failure:
            return label.Refused(bought.failure)
        return label.Bought(
            quoted.reference, quoted.carrier, quoted.service, bought.tracking_number, bought.url, quoted.freight_minor, quoted.currency_code
        )

    async def _void(self, asked: label.GiveBack, database: Database) -> Struct:
        _, port = await self._port(asked.parcel_id, database)
        failure = await port.void(asked.reference)
        return label.Refused(failure) if failure else label.Voided()

    async def _port(self, parcel_id: str, database: Database) -> tuple[Facts, CarrierPort]:
        async with database.read() as tx:
            facts = await facts_of(tx, parcel_id)
            if self._carriers.provider is not None:
                return facts, self._carriers.provider
            orders = await tx.find(FULFILLMENT_ORDERS, ("fulfillment_order_id",), [(facts.parcel.fulfillment_order_id,)])
            return facts, RateCard(await load_prices(tx), orders[0])


async def apply_labels(work: Work, changes: Sequence[tuple[str, Struct]]) -> None:
    """Writes what carriers said; a no is a hold until there is a label, or the parcel is opened again."""
    for process_id, change in changes:
        work.cause = work.causes[process_id]
        match change:
            case label.KeepLabel(parcel_id, bought):
                await _set(
                    work, parcel_id, label_status=BOUGHT, label_reference=bought.reference, carrier=bought.carrier,
                    service=bought.service, tracking_number=bought.tracking_number, label_url=bought.url,
                    freight_minor=bought.freight_minor, currency_code=bought.currency_code,
                )  # fmt: skip
                await work.release_holds([(parcel_id, LABEL_FAILED.reason)], "it has a label")
            case label.KeepVoid(parcel_id):
                gone = {"carrier": "", "service": "", "tracking_number": "", "label_url": "", "label_reference": "", "freight_minor": 0}
                await _set(work, parcel_id, label_status=VOIDED, **gone)
                await work.release_holds([(parcel_id, LABEL_FAILED.reason)], "its label was given back")
            case label.KeepFailure(parcel_id, reason):
                before = (await locked(work.tx, parcel_id)).label_status
                await _set(work, parcel_id, label_status=BOUGHT if before == VOIDING else FAILED, label_failure=reason[:2000])
                await work.hold_once(LABEL_FAILED, "parcel", parcel_id, reason[:500])
