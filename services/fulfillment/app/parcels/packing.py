"""Packing: in which cartons it fits, what was packed, what is opened again."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import func, select, update

from argosy.fulfillment.v1 import fulfillment_pb2, parcels_service_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import FailedPrecondition, NotFound
from chassis.kernel.ids import new_id
from chassis.runtime.channels import Channels
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked, Looking
from chassis.runtime.tx import Tx
from chassis.runtime.work import HoldKind, Work
from services.fulfillment.app.save_lines import OpenOrder, open_orders, save
from services.fulfillment.app.views import counts, load
from services.fulfillment.clients.articles import Articles
from services.fulfillment.domain.cartons import Carton, Packed, Unit, cartonise
from services.fulfillment.store.parcels import CARTONS, PARCEL_LINES, PARCELS

PACKED, SHIPPED, UNPACKED = range(1, 4)
NO_LABEL, PENDING, BOUGHT, FAILED, VOIDING, VOIDED = range(6)
WAITS = (PARCELS.c.status == PACKED,)
HELD_BY_CARRIER = (PENDING, BOUGHT, VOIDING)
# A scale and the item master may differ so much, whichever is more.
TOLERANCE_G, TOLERANCE_PERCENT = 50, 5
MOST_UNITS = 2000
TO_UNPACK = HoldKind("PARCEL_NOT_WANTED", "node", 3600, "operations")
LABEL_FAILED = HoldKind("LABEL_FAILED", "node", 3600, "operations")
Parcel = parcels_service_pb2.Parcel


class Cartons:
    """Says in which cartons a fulfilment order fits."""

    def __init__(self, channels: Channels) -> None:
        self._articles = Articles(channels)

    async def suggest_cartons(self, asked: Looking) -> parcels_service_pb2.SuggestCartonsResponse:
        """Packs what is left and not packed yet. Refusals: NO_SUCH_FULFILLMENT_ORDER, TOO_MANY_UNITS."""
        async with asked.database.read() as tx:
            row, lines = await load(tx, asked.request.fulfillment_order_id)
            packed = await packed_of(tx, [row.fulfillment_order_id])
            cartons = [to_carton(one) for one in await tx.read(select(CARTONS))]
        left = {line.line_id: counts(line).left - packed[line.line_id] for line in lines}
        if sum(left.values()) > MOST_UNITS:
            text = f"more than {MOST_UNITS} units are packed by pallets: pack them as they come"
            raise FailedPrecondition("TOO_MANY_UNITS", text, field="fulfillment_order_id")
        articles = await self._articles.of(line.item_id for line in lines)
        units = [unit for line in lines for unit in _units(line, articles) * max(0, left[line.line_id])]
        unknown = {unit.line_id for unit in units if not unit.volume}
        # Many units are a second's work: others are answered meanwhile.
        parcels = await asyncio.to_thread(cartonise, units, cartons)
        return parcels_service_pb2.SuggestCartonsResponse(parcels=[_suggested(one, unknown) for one in parcels])


def _units(line: Any, articles: Mapping[str, Any]) -> list[Unit]:
    """Returns what one of a line is: itself, or of a kit without measures of its own its components."""
    article = articles.get(line.item_id)
    if article is None:
        return [Unit(line.line_id, (0, 0, 0), line.weight_g)]
    if article.length_mm or not article.components:
        return [Unit(line.line_id, (article.length_mm, article.width_mm, article.height_mm), line.weight_g)]
    parts = [(articles[part.item_id], part.quantity) for part in article.components if part.item_id in articles]
    return [Unit(line.line_id, (p.length_mm, p.width_mm, p.height_mm), p.weight_g) for p, quantity in parts for _ in range(quantity)]


def to_carton(row: Any) -> Carton:
    """Returns a carton as decisions use it."""
    return Carton(row.carton, (row.length_mm, row.width_mm, row.height_mm), row.most_weight_g, row.tare_g)


def _suggested(one: Packed, unknown: set[str]) -> parcels_service_pb2.SuggestedParcel:
    lines = [fulfillment_pb2.ParcelLine(line_id=line_id, quantity=quantity) for line_id, quantity in one.lines.items()]
    if one.carton is None:
        note = "fits in no carton"
    else:
        note = "some measures are not known: look whether it fits" if unknown & set(one.lines) else ""
    return parcels_service_pb2.SuggestedParcel(
        carton=one.carton.name if one.carton else "", lines=lines, weight_g=one.weight_g, filled_percent=one.filled_percent, note=note
    )


async def packed_of(tx: Tx, fulfillment_order_ids: Sequence[str]) -> Counter[str]:
    """Returns the units by line that are packed and have not left."""
    query = (
        select(PARCEL_LINES.c.line_id, func.sum(PARCEL_LINES.c.quantity))
        .join(PARCELS, PARCELS.c.parcel_id == PARCEL_LINES.c.parcel_id)
        .where(PARCELS.c.fulfillment_order_id.in_(fulfillment_order_ids), PARCELS.c.status == PACKED)
        .group_by(PARCEL_LINES.c.line_id)
    )
    return Counter({line_id: int(quantity) for line_id, quantity in await tx.read(query)})


async def pack_parcel(work: Work, request: parcels_service_pb2.PackParcelRequest) -> Parcel:
    """Refusals: NO_SUCH_FULFILLMENT_ORDER, NO_SUCH_CARTON, NO_SUCH_LINE, NOTHING_LEFT, TOO_HEAVY, WEIGHT_DIFFERS."""
    order = (await open_orders(work, [request.fulfillment_order_id])).get(request.fulfillment_order_id)
    if order is None:
        text = f"there is no fulfilment order {request.fulfillment_order_id}"
        raise NotFound("NO_SUCH_FULFILLMENT_ORDER", text, field="fulfillment_order_id")
    carton = await _carton(work.tx, request.carton)
    inside = _inside(order, await packed_of(work.tx, [request.fulfillment_order_id]), request)
    computed = sum(order.lines[line_id].weight_g * quantity for line_id, quantity in inside.items()) + (carton.tare_g if carton else 0)
    _check_weight(request, carton, computed)
    row = {
        "parcel_id": new_id(), "fulfillment_order_id": order.row.fulfillment_order_id, "order_id": order.row.order_id,
        "location_id": order.row.location_id, "carton": request.carton, "weight_g": request.weight_g or computed,
        "computed_weight_g": computed, "status": PACKED, "label_status": NO_LABEL, "label_failure": "", "label_url": "",
        "label_reference": "", "carrier": "", "service": "", "tracking_number": "", "freight_minor": 0,
        "currency_code": order.row.currency_code, "country_code": order.row.country_code, "shipment_id": "", "manifest_id": "",
        "packed_by": work.cause.actor, "packed_at": work.now,
    }  # fmt: skip
    await work.tx.insert(PARCELS, [row])
    lines = [{"parcel_id": row["parcel_id"], "line_id": line_id, "quantity": quantity} for line_id, quantity in inside.items()]
    await work.tx.insert(PARCEL_LINES, lines)
    order.work_on()
    await save(work, [order])
    return await shown(work.tx, str(row["parcel_id"]))


async def _carton(tx: Tx, name: str) -> Carton | None:
    if not name:
        return None
    rows = await tx.find(CARTONS, ("carton",), [(name,)])
    if not rows:
        raise NotFound("NO_SUCH_CARTON", f"carton: there is no carton {name}; see GET /v1/cartons", field="carton")
    return to_carton(rows[0])


def _inside(order: OpenOrder, packed: Counter[str], request: parcels_service_pb2.PackParcelRequest) -> dict[str, int]:
    left = {line_id: own.left - packed[line_id] for line_id, own in order.counts.items()}
    inside = Counter[str]()
    for index, line in enumerate(request.lines):
        if line.line_id not in left:
            raise NotFound("NO_SUCH_LINE", f"the fulfilment order has no line {line.line_id}", field=f"lines[{index}].line_id")
        inside[line.line_id] += line.quantity
        if inside[line.line_id] > left[line.line_id]:
            text = f"of the line {max(0, left[line.line_id])} are left to pack"
            raise FailedPrecondition("NOTHING_LEFT", text, field=f"lines[{index}].quantity")
    if not request.lines:
        inside.update({line_id: quantity for line_id, quantity in left.items() if quantity > 0})
    if not inside:
        raise FailedPrecondition("NOTHING_LEFT", "nothing of this fulfilment order is left to pack", field="fulfillment_order_id")
    return dict(sorted(inside.items()))


def _check_weight(request: parcels_service_pb2.PackParcelRequest, carton: Carton | None, computed: int) -> None:
    """A parcel that weighs other than its contents holds other contents: somebody looks before it leaves."""
    if carton is not None and (request.weight_g or computed) - carton.tare_g > carton.most_weight_g:
        text = f"carton: {carton.name} carries {carton.most_weight_g} g; take another, or two"
        raise FailedPrecondition("TOO_HEAVY", text, field="carton")
    off = abs(request.weight_g - computed)
    if request.weight_g and not request.weight_confirmed and off > max(TOLERANCE_G, computed * TOLERANCE_PERCENT // 100):
        text = f"weight_g: it should weigh {computed} g; look what is in it, then send weight_confirmed"
        raise FailedPrecondition("WEIGHT_DIFFERS", text, field="weight_g", computed_g=computed)


async def unpack_parcel(work: Work, request: parcels_service_pb2.UnpackParcelRequest) -> Parcel:
    """Refusals: NO_SUCH_PARCEL, WRONG_STATUS, HAS_LABEL."""
    row = await locked(work.tx, request.parcel_id)
    need_packed(row)
    if row.label_status in HELD_BY_CARRIER:
        raise FailedPrecondition("HAS_LABEL", "its label is bought, or being bought: void it first", field="parcel_id")
    await work.tx.write(update(PARCELS).where(PARCELS.c.parcel_id == row.parcel_id).values(status=UNPACKED))
    await release_parcels(work, [row.parcel_id], "unpacked")
    return await shown(work.tx, row.parcel_id)


async def release_parcels(work: Work, parcel_ids: Iterable[str], resolution: str) -> None:
    """Releases the holds of parcels that are here no more."""
    await work.release_holds([(one, kind.reason) for one in parcel_ids for kind in (TO_UNPACK, LABEL_FAILED)], resolution)


async def hold_unwanted(work: Work, orders: Sequence[OpenOrder]) -> None:
    """Parcels that hold more of a line than can still ship must be opened again: a hold for each."""
    ids = [(one.row.fulfillment_order_id,) for one in orders]
    rows = await work.tx.find(PARCELS, ("fulfillment_order_id",), ids, where=WAITS)
    of = {row.parcel_id: row.fulfillment_order_id for row in rows}
    inside = await work.tx.find(PARCEL_LINES, ("parcel_id",), [(one,) for one in sorted(of)])
    # A line may ship from two locations, by a fulfilment order at each.
    left = Counter({(one.row.fulfillment_order_id, line_id): own.left for one in orders for line_id, own in one.counts.items()})
    for line in inside:
        left[of[line.parcel_id], line.line_id] -= line.quantity
    for parcel_id in sorted({line.parcel_id for line in inside if left[of[line.parcel_id], line.line_id] < 0}):
        await work.hold_once(TO_UNPACK, "parcel", parcel_id, "it was called back after it was packed: void its label, then unpack it")


async def locked(tx: Tx, parcel_id: str) -> Any:
    """Returns a parcel's row, locked. Refusals: NO_SUCH_PARCEL."""
    rows = await tx.find(PARCELS, ("parcel_id",), [(parcel_id,)], order=("parcel_id",), lock=True)
    if not rows:
        raise NotFound("NO_SUCH_PARCEL", f"there is no parcel {parcel_id}", field="parcel_id")
    return rows[0]


def need_packed(row: Any) -> None:
    """Raises WRONG_STATUS for a parcel that is not here any more."""
    if row.status != PACKED:
        name = parcels_service_pb2.ParcelStatus.Name(row.status).removeprefix("PARCEL_STATUS_")
        raise FailedPrecondition("WRONG_STATUS", f"the parcel is {name}", field="parcel_id", status=name)


async def get_parcel(asked: Asked) -> Parcel:
    """Refusals: NO_SUCH_PARCEL."""
    return await shown(asked.tx, asked.request.parcel_id)


async def shown(tx: Tx, parcel_id: str) -> Parcel:
    """Returns a parcel with what is in it. Refusals: NO_SUCH_PARCEL."""
    rows = await tx.find(PARCELS, ("parcel_id",), [(parcel_id,)])
    if not rows:
        raise NotFound("NO_SUCH_PARCEL", f"there is no parcel {parcel_id}", field="parcel_id")
    return (await _shown(tx, rows))[0]


async def list_parcels(asked: Asked) -> parcels_service_pb2.ListParcelsResponse:
    """Lists the last first."""
    query = select(PARCELS)
    for name in ("fulfillment_order_id", "location_id", "status"):
        if wanted := getattr(asked.request, name):
            query = query.where(PARCELS.c[name] == wanted)
    rows, token = await page(asked.tx, query, [PARCELS.c.parcel_id], asked.request, descending=True)
    return parcels_service_pb2.ListParcelsResponse(parcels=await _shown(asked.tx, rows), next_page_token=token)


SAME = (
    "parcel_id", "fulfillment_order_id", "order_id", "location_id", "carton", "weight_g", "computed_weight_g", "status", "label_status",
    "label_failure", "label_url", "carrier", "service", "tracking_number", "freight_minor", "currency_code", "shipment_id",
    "manifest_id", "packed_by",
)  # fmt: skip


async def _shown(tx: Tx, rows: Sequence[Any]) -> list[Parcel]:
    inside = defaultdict(list)
    for line in await tx.find(PARCEL_LINES, ("parcel_id",), [(row.parcel_id,) for row in rows], order=("line_id",)):
        inside[line.parcel_id].append(fulfillment_pb2.ParcelLine(line_id=line.line_id, quantity=line.quantity))
    return [
        Parcel(**{name: getattr(row, name) for name in SAME}, packed_at=to_timestamp(row.packed_at), lines=inside[row.parcel_id])
        for row in rows
    ]
