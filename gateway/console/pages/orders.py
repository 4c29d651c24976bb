"""Orders: the list, with its filters in the address, and the same as CSV; and an order entered by hand."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from babel.numbers import list_currencies
from google.protobuf.timestamp_pb2 import Timestamp
from starlette.responses import Response

from argosy.catalog.v1 import channels_service_pb2
from argosy.common.v1 import address_pb2
from argosy.orders.v1 import order_pb2, orders_service_pb2
from chassis.kernel.errors import InvalidArgument, Refusal
from gateway.console import show
from gateway.console.pages.common import channel_ids
from gateway.console.visit import ROWS, Notice, Visit, action, download, pages_of, refused

DAY_S = 86_400
LINES = 6
HEADER = ("order_id", "channel", "number", "status", "currency", "total", "captured", "refunded", "country", "placed_at", "taken_at")


def _asked(visit: Visit) -> orders_service_pb2.ListOrdersRequest:
    before = show.day_start(visit.query("to"), "to")
    return orders_service_pb2.ListOrdersRequest(
        status=show.choice(visit.query("status"), "status"), channel_id=visit.query("channel"), external_order_id=visit.query("number"),
        created_from=show.day_start(visit.query("from"), "from"),
        created_before=Timestamp(seconds=before.seconds + DAY_S) if before is not None else None,
        page_token=visit.query("page"), page_size=ROWS,
    )  # fmt: skip


async def page(visit: Visit, notice: Notice | None = None, status: int = 200) -> Response:
    """Shows a page of orders, newest first."""
    orders, following = [], ""
    try:
        answer = await visit.ask(visit.calls.orders.ListOrders, _asked(visit))
        orders, following = list(answer.orders), visit.following(answer.next_page_token)
    except InvalidArgument as refusal:
        notice, status = refused(refusal)
    return visit.render(
        "orders.html", notice, status, orders=orders, following=following, channels=await channel_ids(visit),
        statuses=show.choices(order_pb2.OrderStatus), Status=order_pb2.OrderStatus,
    )  # fmt: skip


async def as_csv(visit: Visit) -> Response:
    """Gives all orders that the filters leave."""

    async def rows() -> AsyncIterator[Sequence[Any]]:
        async for order in pages_of(visit, visit.calls.orders.ListOrders, _asked(visit), lambda answer: answer.orders):
            yield (
                order.order_id, order.channel_id, order.external_order_id, show.name_of(order_pb2.OrderStatus, order.status),
                order.currency_code, order.total_minor, order.captured_minor, order.refunded_minor, order.destination.country_code,
                show.machine_moment(order.placed_at), show.machine_moment(order.created_at),
            )  # fmt: skip

    return await download("orders", HEADER, rows())


async def new(visit: Visit, notice: Notice | None = None, status: int = 200) -> Response:
    """Shows the form of an order by hand, with what was typed before where it was refused."""
    return visit.render(
        "order_new.html", notice, status, channels=await channel_ids(visit), lines=range(LINES),
        policies=show.choices(order_pb2.ShortagePolicy), states=show.choices(order_pb2.TenderState),
    )  # fmt: skip


async def _create(visit: Visit) -> Response:
    try:
        request = channels_service_pb2.GetChannelRequest(channel_id=visit.field("channel"))
        channel = await visit.ask(visit.calls.sales_channels.GetChannel, request)
        order = await visit.ask(visit.calls.orders.CreateOrder, _typed(visit, channel))
    except Refusal:
        # The same form is sent again after it was mended, so it needs another name.
        visit.form = visit.form.__class__([(k, v) for k, v in visit.form.multi_items() if k != "request_id"])
        raise
    return visit.go(f"/console/orders/{order.order_id}", "created")


def _typed(visit: Visit, channel: Any) -> orders_service_pb2.CreateOrderRequest:
    currency = channel.currency_code if channel.currency_code in list_currencies() else "EUR"
    lines = [
        orders_service_pb2.OrderLineInput(
            channel_sku=visit.field(f"sku-{n}"), quantity=show.whole(visit.field(f"quantity-{n}"), f"line {n + 1}, quantity"),
            amount_minor=show.minor(visit.field(f"amount-{n}"), currency, f"line {n + 1}, amount"),
        )
        for n in range(LINES)
        if visit.field(f"sku-{n}")
    ]  # fmt: skip
    paid = show.minor(visit.field("paid"), currency, "paid")
    state = show.choice(visit.field("payment"), "payment") or order_pb2.TENDER_STATE_CAPTURED
    tenders = [orders_service_pb2.TenderInput(method=visit.field("method") or "manual", state=state, amount_minor=paid)] if paid else []
    address = address_pb2.Address(
        name=visit.field("name"), lines=[visit.field("street")] if visit.field("street") else [], locality=visit.field("locality"),
        postal_code=visit.field("postal_code"), country_code=visit.field("country_code").upper(), email=visit.field("email"),
    )  # fmt: skip
    return orders_service_pb2.CreateOrderRequest(
        request_id=visit.request_id(), channel_id=channel.channel_id, external_order_id=visit.field("number"), currency_code=currency,
        entity=channel.entity, ship_to=address, lines=lines, tenders=tenders, note=visit.field("note"),
        shipping_minor=show.minor(visit.field("shipping"), currency, "shipping"),
        shortage_policy=show.choice(visit.field("policy"), "policy"),
    )  # fmt: skip


create = action(_create, new)
