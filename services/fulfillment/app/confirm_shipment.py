"""ConfirmShipment: a parcel left, with all or some of the lines; many parcels at once."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from argosy.fulfillment.v1 import fulfillment_events_pb2, fulfillment_service_pb2
from chassis.kernel.errors import FailedPrecondition, NotFound, Refusal, need_unchanged
from chassis.kernel.ids import new_id
from chassis.runtime.work import Work
from chassis.runtime.writer import Call, Outcome
from services.fulfillment.app.parcels.bills import book_early_charges
from services.fulfillment.app.parcels.leave import packed_parcels
from services.fulfillment.app.parcels.packing import hold_unwanted
from services.fulfillment.app.save_lines import OpenOrder, open_orders
from services.fulfillment.app.settle import settle
from services.fulfillment.app.views import to_shipment
from services.fulfillment.app.world import load_prices
from services.fulfillment.domain.planning import World
from services.fulfillment.domain.sourcing import cheapest
from services.fulfillment.store.tables import FULFILLMENT_ORDERS, SHIPMENT_LINES, SHIPMENTS


async def confirm_shipments(work: Work, calls: Sequence[Call]) -> list[Outcome]:
    """Answers each with its shipment or a Refusal: NO_SUCH_FULFILLMENT_ORDER, FOR_PICKUP, ETAG_MISMATCH, NO_SUCH_LINE, NOTHING_LEFT.

    Of what was packed: PACKED_ALREADY where no parcel is named, NO_SUCH_PARCEL, WRONG_STATUS, LABEL_PENDING.
    """
    orders = await open_orders(work, sorted({call.request.fulfillment_order_id for call in calls}))
    others = await _others(work, orders, calls)
    world = await load_prices(work.tx)
    packed = await packed_parcels(work.tx, [call.request for call in calls])
    outcomes: list[Outcome] = []
    shipments, parcel_lines = [], []
    changed: dict[str, OpenOrder] = {}
    taken_over: list[OpenOrder] = []
    for call in calls:
        work.cause = call.cause
        try:
            request = packed.ship(call.request)
            order, parcel = _parcel(orders, changed, request)
            if not request.parcel_id:
                packed.need_unpacked(order, parcel)
        except Refusal as refusal:
            outcomes.append(refusal)
            continue
        for other in _take_over(work, order, parcel, others):
            changed[other.row.fulfillment_order_id] = other
            taken_over.append(other)
        row = _ship(work, order, request, parcel, world, packed.currency_of(request, order.row.currency_code))
        packed.note(request.parcel_id, row["shipment_id"])
        lines = [{"shipment_id": row["shipment_id"], "line_id": line_id, "quantity": quantity} for line_id, quantity in parcel.items()]
        shipments.append(row)
        parcel_lines += lines
        changed[order.row.fulfillment_order_id] = order
        outcomes.append(to_shipment(SimpleNamespace(**row), [SimpleNamespace(**line) for line in lines]))
    await settle(work, list(changed.values()))
    await work.tx.insert(SHIPMENTS, shipments)
    await work.tx.insert(SHIPMENT_LINES, parcel_lines)
    await packed.write(work, shipments)
    await hold_unwanted(work, taken_over)
    await book_early_charges(work, shipments, {fulfillment_order_id: order.row for fulfillment_order_id, order in orders.items()})
    return outcomes


async def _others(work: Work, orders: Mapping[str, OpenOrder], calls: Sequence[Call]) -> dict[str, OpenOrder]:
    """Returns what else the locations have to ship of the orders of which more left than they were to ship."""
    beyond = {
        (order.row.order_id, order.row.location_id)
        for call in calls
        if (order := orders.get(call.request.fulfillment_order_id)) is not None
        for line in call.request.lines
        if line.line_id in order.counts and line.quantity > order.counts[line.line_id].left
    }
    if not beyond:
        return {}
    rows = await work.tx.find(FULFILLMENT_ORDERS, ("order_id",), [(one,) for one in sorted({order_id for order_id, _ in beyond})])
    ids = [row.fulfillment_order_id for row in rows if (row.order_id, row.location_id) in beyond]
    return await open_orders(work, sorted(set(ids) - set(orders)))


def _take_over(work: Work, order: OpenOrder, parcel: Mapping[str, int], others: Mapping[str, OpenOrder]) -> list[OpenOrder]:
    """What left beyond a fulfilment order, left for another of the same order there: who has that is told to ship it no more."""
    changed = []
    beyond = {line_id: max(0, quantity - order.counts[line_id].left) for line_id, quantity in parcel.items()}
    for other in others.values():
        if (other.row.order_id, other.row.location_id) != (order.row.order_id, order.row.location_id):
            continue
        event = fulfillment_events_pb2.CancellationRequested(
            fulfillment_order_id=other.row.fulfillment_order_id, order_id=other.row.order_id, location_id=other.row.location_id,
            reason=f"it left with {order.row.fulfillment_order_id}",
        )  # fmt: skip
        for line_id in sorted(beyond.keys() & other.counts.keys()):
            part = min(beyond[line_id], other.counts[line_id].left)
            if part:
                beyond[line_id] -= part
                other.add(line_id, cancelled=part)
                event.lines.append(other.assignment(line_id, part))
        if event.lines:
            work.emit(event)
            changed.append(other)
    return changed


def _parcel(
    orders: dict[str, OpenOrder], changed: Mapping[str, OpenOrder], request: fulfillment_service_pb2.ConfirmShipmentRequest
) -> tuple[OpenOrder, dict[str, int]]:
    order = orders.get(request.fulfillment_order_id)
    if order is None:
        text = f"there is no fulfilment order {request.fulfillment_order_id}"
        raise NotFound("NO_SUCH_FULFILLMENT_ORDER", text, field="fulfillment_order_id")
    if order.row.pickup:
        raise FailedPrecondition("FOR_PICKUP", "the customer collects it: use ConfirmCollection", field="fulfillment_order_id")
    # What another call of this batch changed has a new version already.
    need_unchanged(request.etag, order.row.version + (request.fulfillment_order_id in changed))
    if not request.lines:
        parcel = {line_id: own.left for line_id, own in order.counts.items() if own.left}
        if not parcel:
            text = "nothing of this fulfilment order is left to ship; if something left nevertheless, name it in lines"
            raise FailedPrecondition("NOTHING_LEFT", text, field="fulfillment_order_id")
        return order, parcel
    parcel = {}
    for index, line in enumerate(request.lines):
        if line.line_id not in order.counts:
            raise NotFound("NO_SUCH_LINE", f"the fulfilment order has no line {line.line_id}", field=f"lines[{index}].line_id")
        parcel[line.line_id] = parcel.get(line.line_id, 0) + line.quantity
        left = order.shippable(line.line_id)
        if parcel[line.line_id] > left:
            raise FailedPrecondition("NOTHING_LEFT", f"of the line {left} are left to ship", field=f"lines[{index}].quantity")
    return order, parcel


def _ship(
    work: Work,
    order: OpenOrder,
    request: fulfillment_service_pb2.ConfirmShipmentRequest,
    parcel: dict[str, int],
    world: World,
    currency_code: str,
) -> dict[str, Any]:
    weight_g = sum(order.lines[line_id].weight_g * quantity for line_id, quantity in parcel.items())
    to = order.row
    rates = world.rates_for(to.country_code, to.currency_code, to.method)
    own = [r for r in rates if request.carrier in ("", r.carrier) and request.service in ("", r.service)]
    rate = cheapest(own, weight_g)
    freight = rate.cost(weight_g) + world.surcharge(to.location_id, to.country_code, to.postal_prefix, to.currency_code)
    row = {
        "shipment_id": new_id(), "fulfillment_order_id": order.row.fulfillment_order_id, "order_id": order.row.order_id,
        "location_id": order.row.location_id, "carrier": request.carrier or rate.carrier,
        "service": request.service or rate.service, "tracking_number": request.tracking_number,
        "tracking_status": "IN_TRANSIT", "tracked_at": 0, "freight_minor": request.freight_minor or freight,
        "currency_code": currency_code, "shipped_at": work.now,
        "method": to.method, "ship_by": to.ship_by, "deliver_by": to.deliver_by, "delivered_at": None,
        "reference": request.reference,
    }  # fmt: skip
    event = fulfillment_events_pb2.ShipmentShipped(
        fulfillment_order_id=row["fulfillment_order_id"], shipment_id=row["shipment_id"], order_id=row["order_id"],
        channel_id=order.row.channel_id, location_id=row["location_id"], entity=order.row.entity,
        currency_code=row["currency_code"], freight_minor=row["freight_minor"], carrier=row["carrier"],
        tracking_number=row["tracking_number"],
    )  # fmt: skip
    order.work_on()
    for line_id, quantity in parcel.items():
        order.ship(line_id, quantity)
        event.lines.add(line_id=line_id, item_id=order.lines[line_id].item_id, location_id=row["location_id"], quantity=quantity)
    work.emit(event)
    return row
