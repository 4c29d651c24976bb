"""The queries of orders."""

from typing import Any

from sqlalchemy import case, func, select

from argosy.orders.v1 import order_pb2, orders_service_pb2
from chassis.kernel.clock import DAY, HOUR, MINUTE, from_timestamp, to_timestamp
from chassis.kernel.errors import NotFound
from chassis.kernel.ids import least_id
from chassis.runtime.host import wall_clock
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx
from services.orders.app.refund_order import to_refund
from services.orders.app.views import load, to_address, to_header, to_order, visible, whole
from services.orders.store.tables import CHASSIS, CUSTOMERS, HISTORY, LINES, ORDERS, REFUNDS

SKU_USE_DAYS = 28
SHOWN_ORDERS = 20


async def get_order(asked: Asked) -> order_pb2.Order:
    """Refusals: NO_SUCH_ORDER."""
    order = await whole(asked.tx, asked.request.order_id)
    visible(asked, order.channel_id)
    return order


async def find_order(asked: Asked) -> order_pb2.Order:
    """Refusals: NO_SUCH_ORDER."""
    request = asked.request
    query = select(ORDERS.c.order_id).where(
        ORDERS.c.channel_id == request.channel_id, ORDERS.c.external_order_id == request.external_order_id
    )
    rows = await asked.tx.read(query)
    if not rows:
        raise NotFound("NO_SUCH_ORDER", f"the channel has no order {request.external_order_id} here", field="external_order_id")
    visible(asked, request.channel_id)
    return await whole(asked.tx, rows[0].order_id)


async def list_orders(asked: Asked) -> orders_service_pb2.ListOrdersResponse:
    """Lists newest first, without lines."""
    request = asked.request
    query = select(ORDERS)
    for name in ("status", "channel_id", "customer_id", "external_order_id"):
        if wanted := getattr(request, name):
            query = query.where(ORDERS.c[name] == wanted)
    # Ids are in the order of time, so that a span of it is a span of the primary key; clocks may differ by a little.
    if request.HasField("created_from"):
        first = from_timestamp(request.created_from)
        query = query.where(ORDERS.c.order_id >= least_id(first - MINUTE), ORDERS.c.created_at >= first)
    if request.HasField("created_before"):
        end = from_timestamp(request.created_before)
        query = query.where(ORDERS.c.order_id < least_id(end + MINUTE), ORDERS.c.created_at < end)
    if asked.principal.channel_ids:
        query = query.where(ORDERS.c.channel_id.in_(sorted(asked.principal.channel_ids)))
    rows, token = await page(asked.tx, query, [ORDERS.c.order_id], request, descending=True)
    return orders_service_pb2.ListOrdersResponse(orders=map(to_header, rows), next_page_token=token)


async def get_order_lines(asked: Asked) -> orders_service_pb2.GetOrderLinesResponse:
    """Answers each id; an unknown one with an empty message."""
    keys = {(one,) for one in asked.request.order_ids}
    orders = {r.order_id: r for r in await asked.tx.find(ORDERS, ("order_id",), keys)}
    rows = await asked.tx.find(LINES, ("order_id",), keys, order=("position",))
    response = orders_service_pb2.GetOrderLinesResponse()
    for order_id in asked.request.order_ids:
        if order_id in orders and asked.principal.sees(orders[order_id].channel_id):
            response.orders.append(to_order(orders[order_id], [row for row in rows if row.order_id == order_id], []))
        else:
            response.orders.add()
    return response


async def get_ship_to(asked: Asked) -> orders_service_pb2.ShipTo:
    """Refusals: NO_SUCH_ORDER."""
    row = await load(asked.tx, asked.request.order_id)
    visible(asked, row.channel_id)
    return await ship_to_of(asked.tx, row)


async def ship_to_of(tx: Tx, row: Any) -> orders_service_pb2.ShipTo:
    """Returns where an order goes, and where its customer is told."""
    address = to_address(row.ship_to)
    email = address.email
    if not email and row.customer_id:
        email = next((one.email for one in await tx.find(CUSTOMERS, ("customer_id",), [(row.customer_id,)])), "")
    return orders_service_pb2.ShipTo(order_id=row.order_id, address=address, email=email)


async def list_history(asked: Asked) -> orders_service_pb2.ListHistoryResponse:
    """Lists oldest first. Refusals: NO_SUCH_ORDER."""
    visible(asked, (await load(asked.tx, asked.request.order_id)).channel_id)
    query = select(HISTORY).where(HISTORY.c.order_id == asked.request.order_id)
    rows, token = await page(asked.tx, query, [HISTORY.c.entry_id], asked.request)
    entries = [
        order_pb2.HistoryEntry(entry_id=r.entry_id, at=to_timestamp(r.at), kind=r.kind, detail=r.detail, actor=r.actor) for r in rows
    ]
    return orders_service_pb2.ListHistoryResponse(entries=entries, next_page_token=token)


async def list_refunds(asked: Asked) -> orders_service_pb2.ListRefundsResponse:
    """Refusals: NO_SUCH_ORDER. Lists oldest first."""
    order = await load(asked.tx, asked.request.order_id)
    visible(asked, order.channel_id)
    query = select(REFUNDS).where(REFUNDS.c.order_id == asked.request.order_id)
    rows, token = await page(asked.tx, query, [REFUNDS.c.refund_id], asked.request)
    refunds = [to_refund(dict(row._mapping), order.currency_code) for row in rows]
    return orders_service_pb2.ListRefundsResponse(refunds=refunds, next_page_token=token)


async def get_figures(asked: Asked) -> orders_service_pb2.Figures:
    """Counts orders by status and open holds by queue and reason."""
    figures = orders_service_pb2.Figures()
    for status, count in await asked.tx.read(select(ORDERS.c.status, func.count()).group_by(ORDERS.c.status)):
        figures.by_status[order_pb2.OrderStatus.Name(status).removeprefix("ORDER_STATUS_")] = count
    holds = CHASSIS.holds
    query = select(holds.c.queue, holds.c.reason, func.count()).where(holds.c.released_at.is_(None))
    for queue, reason, count in await asked.tx.read(query.group_by(holds.c.queue, holds.c.reason)):
        figures.by_queue[queue] += count
        figures.by_reason[reason] += count
    figures.hours.extend(await _hours(asked))
    return figures


async def _hours(asked: Asked) -> list[orders_service_pb2.HourFigures]:
    """Counts the orders taken in each of the last 24 hours."""
    now = wall_clock()
    first = now // HOUR * HOUR - 23 * HOUR
    hour = ORDERS.c.created_at // HOUR
    taken = select(hour.label("hour"), func.count().label("taken"))
    rows = await asked.tx.read(taken.where(ORDERS.c.order_id >= least_id(first - MINUTE), ORDERS.c.created_at >= first).group_by("hour"))
    counts = {int(row.hour): row.taken for row in rows}
    hours = range(first // HOUR, first // HOUR + 24)
    return [orders_service_pb2.HourFigures(begins_at=to_timestamp(one * HOUR), taken=counts.get(one, 0)) for one in hours]


async def get_sku_use(asked: Asked) -> orders_service_pb2.SkuUse:
    """Counts what was ordered of a channel's SKU; its channel's orders only, for whoever sees no others."""
    request = asked.request
    if asked.principal.channel_ids and request.channel_id not in asked.principal.channel_ids:
        return orders_service_pb2.SkuUse()
    since = least_id(wall_clock() - (request.days or SKU_USE_DAYS) * DAY)
    there = (LINES.c.channel_sku == request.channel_sku, LINES.c.order_id >= since, ORDERS.c.channel_id == request.channel_id)
    own = select(LINES).join(ORDERS, ORDERS.c.order_id == LINES.c.order_id).where(*there).subquery()
    units = case((own.c.units > 1, own.c.units), else_=1)
    counts = select(
        func.count(func.distinct(own.c.order_id)), func.count(), func.coalesce(func.sum(own.c.ordered // units), 0),
        func.coalesce(func.sum(own.c.amount_minor), 0),
        func.count(func.distinct(case((own.c.waiting + own.c.reserved > 0, own.c.order_id), else_=None))),
    )  # fmt: skip
    orders, lines, quantity, amount_minor, still_open = (int(one) for one in (await asked.tx.read(counts))[0])
    latest = await asked.tx.read(select(own.c.order_id).distinct().order_by(own.c.order_id.desc()).limit(SHOWN_ORDERS))
    return orders_service_pb2.SkuUse(
        orders=orders, lines=lines, quantity=quantity, amount_minor=amount_minor, open_orders=still_open,
        order_ids=[row.order_id for row in latest],
    )  # fmt: skip
