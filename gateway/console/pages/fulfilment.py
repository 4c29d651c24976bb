"""Fulfilment: what each location has to ship; to pick, to pick short, and to ship."""

import asyncio

from starlette.responses import Response

from argosy.fulfillment.v1 import fulfillment_pb2, fulfillment_service_pb2, parcels_service_pb2
from argosy.gateway.v1 import warehouses_service_pb2
from argosy.orders.v1 import orders_service_pb2
from chassis.kernel.errors import FailedPrecondition, InvalidArgument, NotFound
from gateway.console import show
from gateway.console.pages.common import location_ids
from gateway.console.visit import ROWS, Notice, Visit, action

ENDED = tuple(fulfillment_pb2.FulfillmentStatus.Value(f"FULFILLMENT_STATUS_{one}") for one in ("SHIPPED", "CANCELLED", "COLLECTED"))


async def page(visit: Visit, notice: Notice | None = None, status: int = 200) -> Response:
    """Shows a page of fulfilment orders."""
    request = fulfillment_service_pb2.ListFulfillmentOrdersRequest(
        location_id=visit.query("location"), status=show.choice(visit.query("status"), "status"), page_size=ROWS,
        page_token=visit.query("page"),
    )  # fmt: skip
    answer, locations = await asyncio.gather(visit.ask(visit.calls.fulfillment.ListFulfillmentOrders, request), location_ids(visit))
    return visit.render(
        "fulfilment.html", notice, status, work=answer.fulfillment_orders, locations=locations,
        following=visit.following(answer.next_page_token), statuses=show.choices(fulfillment_pb2.FulfillmentStatus),
        Status=fulfillment_pb2.FulfillmentStatus,
    )  # fmt: skip


async def one(visit: Visit, notice: Notice | None = None, status: int = 200) -> Response:
    """Shows a fulfilment order with what is left of each line, where it goes, and its parcels."""
    identity, calls = visit.path["fulfillment_order_id"], visit.calls
    order = await visit.ask(
        calls.fulfillment.GetFulfillmentOrder, fulfillment_service_pb2.GetFulfillmentOrderRequest(fulfillment_order_id=identity)
    )
    packing = parcels_service_pb2.ListParcelsRequest(fulfillment_order_id=identity, page_size=ROWS)
    told_of = warehouses_service_pb2.ListWarehouseMessagesRequest(fulfillment_order_id=identity, page_size=ROWS)
    ship_to, parcels, packed, advice, told = await asyncio.gather(
        visit.ask_if("orders.shipto.read", calls.orders.GetShipTo, orders_service_pb2.GetShipToRequest(order_id=order.order_id)),
        visit.ask(calls.fulfillment.ListShipments, fulfillment_service_pb2.ListShipmentsRequest(order_id=order.order_id)),
        visit.ask(calls.parcels.ListParcels, packing),
        _advice(visit, order),
        visit.ask_if("gateway.connections.read", calls.warehouse_messages.ListWarehouseMessages, told_of),
    )
    own = [parcel for parcel in parcels.shipments if parcel.fulfillment_order_id == identity]
    return visit.render(
        "fulfilment_order.html", notice, status, order=order, parcels=own, Status=fulfillment_pb2.FulfillmentStatus,
        ship_to=ship_to.address if ship_to is not None else None, packed=packed.parcels, advice=advice,
        skus={line.line_id: line.sku for line in order.lines}, Handshake=fulfillment_pb2.Handshake, Parcel=parcels_service_pb2.ParcelStatus,
        Label=parcels_service_pb2.LabelStatus, told=told.messages if told is not None else None,
        MessageKind=warehouses_service_pb2.WarehouseMessageKind, MessageState=warehouses_service_pb2.WarehouseMessageState,
    )  # fmt: skip


async def _advice(visit: Visit, order: fulfillment_pb2.FulfillmentOrder) -> list[parcels_service_pb2.SuggestedParcel]:
    """Returns how what is left could be packed; nothing where nobody has set cartons up, or for pallets."""
    if order.status in ENDED:
        return []
    request = parcels_service_pb2.SuggestCartonsRequest(fulfillment_order_id=order.fulfillment_order_id)
    try:
        return list((await visit.ask(visit.calls.parcels.SuggestCartons, request)).parcels)
    except FailedPrecondition:
        return []


def _quantities(visit: Visit, prefix: str) -> dict[str, int]:
    names = [name for name in visit.form if name.startswith(prefix)]
    return {name.removeprefix(prefix): show.whole(visit.field(name), prefix.rstrip("-")) for name in names}


def _parcel_lines(visit: Visit, prefix: str) -> list[fulfillment_pb2.ParcelLine]:
    """Returns what was typed; raises InvalidArgument where that is nothing, which an rpc takes for all there is."""
    lines = [
        fulfillment_pb2.ParcelLine(line_id=line_id, quantity=quantity)
        for line_id, quantity in _quantities(visit, prefix).items()
        if quantity
    ]
    if not lines:
        name = prefix.rstrip("-")
        raise InvalidArgument("INVALID_FIELD", f"{name}: say of at least one line how many", field=name)
    return lines


async def _answer(visit: Visit) -> Response:
    """Says for a location that it ships, will not, gives back what it is asked for, or keeps it."""
    identity, calls = visit.path["fulfillment_order_id"], visit.calls.fulfillment
    named = {"request_id": visit.request_id(), "fulfillment_order_id": identity}
    match visit.path["what"]:
        case "accept":
            await visit.ask(calls.AcceptFulfillmentOrder, fulfillment_service_pb2.AcceptFulfillmentOrderRequest(**named))
        case "reject":
            no = fulfillment_service_pb2.RejectFulfillmentOrderRequest(**named, reason=visit.field("reason"))
            await visit.ask(calls.RejectFulfillmentOrder, no)
        case "give-back":
            lines = _parcel_lines(visit, "back-")
            yes = fulfillment_service_pb2.AcceptCancellationRequest(
                request_id=named["request_id"], fulfillment_order_id=identity, lines=lines
            )
            await visit.ask(calls.AcceptCancellation, yes)
        case "ready":
            await visit.ask(calls.MarkReadyForPickup, fulfillment_service_pb2.MarkReadyForPickupRequest(**named))
        case "collected":
            taken = _parcel_lines(visit, "taken-")
            request = fulfillment_service_pb2.ConfirmCollectionRequest(
                request_id=named["request_id"], fulfillment_order_id=identity, lines=taken
            )
            await visit.ask(calls.ConfirmCollection, request)
        case "keep":
            kept = fulfillment_service_pb2.RejectCancellationRequest(**named, reason=visit.field("reason"))
            await visit.ask(calls.RejectCancellation, kept)
        case what:
            raise NotFound("NO_SUCH_PATH", f"a fulfilment order cannot be {what}")
    return visit.go(f"/console/fulfilment/{identity}", "answered")


async def _pick(visit: Visit) -> Response:
    identity = visit.path["fulfillment_order_id"]
    picked, short = _quantities(visit, "picked-"), _quantities(visit, "short-")
    lines = [
        fulfillment_service_pb2.PickedLine(line_id=line_id, picked=picked.get(line_id, 0), shorted=short.get(line_id, 0))
        for line_id in sorted(picked.keys() | short.keys())
        if picked.get(line_id) or short.get(line_id)
    ]
    request = fulfillment_service_pb2.ConfirmPickRequest(
        request_id=visit.request_id(), fulfillment_order_id=identity, lines=lines, etag=visit.field("etag")
    )
    await visit.ask(visit.calls.fulfillment.ConfirmPick, request)
    return visit.go(f"/console/fulfilment/{identity}", "picked")


async def _ship(visit: Visit) -> Response:
    identity = visit.path["fulfillment_order_id"]
    lines = _parcel_lines(visit, "shipped-")
    request = fulfillment_service_pb2.ConfirmShipmentRequest(
        request_id=visit.request_id(), fulfillment_order_id=identity, carrier=visit.field("carrier"), lines=lines,
        tracking_number=visit.field("tracking_number"), etag=visit.field("etag"),
    )  # fmt: skip
    await visit.ask(visit.calls.fulfillment.ConfirmShipment, request)
    return visit.go(f"/console/fulfilment/{identity}", "shipped")


async def _pack(visit: Visit) -> Response:
    identity = visit.path["fulfillment_order_id"]
    lines = _parcel_lines(visit, "packed-")
    request = parcels_service_pb2.PackParcelRequest(
        request_id=visit.request_id(), fulfillment_order_id=identity, carton=visit.field("carton").upper(), lines=lines,
        weight_g=show.whole(visit.field("weight_g"), "weight_g"), weight_confirmed=bool(visit.field("weight_confirmed")),
    )  # fmt: skip
    await visit.ask(visit.calls.parcels.PackParcel, request)
    return visit.go(f"/console/fulfilment/{identity}", "packed")


async def _handle(visit: Visit) -> Response:
    """Buys or voids a parcel's label, opens it again, or lets it leave."""
    identity, parcel_id, parcels = visit.path["fulfillment_order_id"], visit.path["parcel_id"], visit.calls.parcels
    named = {"request_id": visit.request_id(), "parcel_id": parcel_id}
    match visit.path["what"]:
        case "label":
            request = parcels_service_pb2.BuyLabelRequest(**named, carrier=visit.field("carrier"), service=visit.field("service"))
            await visit.ask(parcels.BuyLabel, request)
            done = "label-asked"
        case "void":
            await visit.ask(parcels.VoidLabel, parcels_service_pb2.VoidLabelRequest(**named))
            done = "label-asked"
        case "unpack":
            await visit.ask(parcels.UnpackParcel, parcels_service_pb2.UnpackParcelRequest(**named))
            done = "unpacked"
        case "ship":
            shipping = fulfillment_service_pb2.ConfirmShipmentRequest(
                request_id=visit.request_id(), fulfillment_order_id=identity, parcel_id=parcel_id
            )
            await visit.ask(visit.calls.fulfillment.ConfirmShipment, shipping)
            done = "shipped"
        case what:
            raise NotFound("NO_SUCH_PATH", f"a parcel cannot be {what}")
    return visit.go(f"/console/fulfilment/{identity}", done)


answer = action(_answer, one)
pick = action(_pick, one)
ship = action(_ship, one)
pack = action(_pack, one)
handle = action(_handle, one)
