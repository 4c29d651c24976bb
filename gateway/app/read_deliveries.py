"""Reads what was delivered: each delivery becomes commands, carried out order by order by `take_order`.

One that nobody understands is kept, marked and held for a person; it never stops the others.
"""

import asyncio
from typing import Any

from msgspec import Struct
from sqlalchemy import select, update

from argosy.gateway.v1 import connections_service_pb2, deliveries_service_pb2
from chassis.kernel.errors import Refusal
from chassis.kernel.ids import new_id
from chassis.runtime.work import Work
from gateway.app.connections import load_mapping
from gateway.app.deliveries import READING
from gateway.app.hear_warehouse import hear
from gateway.app.hold_kinds import ROWS_LEFT_OUT, UNMAPPED, UNREADABLE
from gateway.app.warehouses import DIALECTS
from gateway.channels import carriers, order_file, payments, shopify
from gateway.channels.commands import OrderSteps, Understood, Unmapped, Unreadable
from gateway.process import take_order
from gateway.store.tables import CONNECTIONS, DELIVERIES, EXTERNAL_ORDERS, EXTERNAL_STEPS, SOLD_LINES

AT_ONCE = 32
BUSY_S = 0.5
UNREAD = select(DELIVERIES).where(DELIVERIES.c.state == deliveries_service_pb2.DELIVERY_STATE_RECEIVED)
LEFT_SOLD = (SOLD_LINES.c.given_back < SOLD_LINES.c.quantity,)
CHARGES = {
    connections_service_pb2.CHARGE_KIND_SHIPPING: order_file.SHIPPING,
    connections_service_pb2.CHARGE_KIND_DISCOUNT: order_file.DISCOUNT,
    connections_service_pb2.CHARGE_KIND_REPORT: order_file.REPORT,
}


async def read_deliveries(work: Work) -> None:
    """Reads the oldest that nobody has read; stops after half a second, so that others get their turn."""
    clock = asyncio.get_running_loop().time
    started = clock()
    rows = await work.tx.read(UNREAD.order_by(DELIVERIES.c.delivery_id).limit(AT_ONCE).with_for_update())
    for number, row in enumerate(rows, start=1):
        await _read(work, row)
        if number == AT_ONCE or clock() - started > BUSY_S:
            work.wake(READING)
            break


class _Outcome(Struct):
    state: int
    detail: str = ""
    orders: int = 0
    report: bytes = b""


async def _read(work: Work, row: Any) -> None:
    connections = await work.tx.read(select(CONNECTIONS).where(CONNECTIONS.c.channel_id == row.channel_id))
    try:
        if not connections:
            raise Unreadable(f"the channel {row.channel_id} is not connected any more")
        match connections[0].dialect:
            case connections_service_pb2.DIALECT_SHOPIFY:
                outcome = await _begin(work, row, shopify.understand(row.topic, row.content, connections[0].entity, row.channel_id))
            case connections_service_pb2.DIALECT_PAYMENTS:
                outcome = await _begin(work, row, payments.understand(row.content))
            case connections_service_pb2.DIALECT_CARRIERS:
                outcome = await _begin(work, row, carriers.understand(row.content))
            case dialect if dialect in DIALECTS:
                outcome = await _hear(work, row, connections[0])
            case _:
                outcome = await _read_file(work, row, connections[0])
    except (Unreadable, Refusal) as error:
        kind = UNMAPPED if isinstance(error, Unmapped) else UNREADABLE
        work.hold(kind, "delivery", row.delivery_id, str(error))
        outcome = _Outcome(deliveries_service_pb2.DELIVERY_STATE_UNREADABLE, str(error)[:2000])
    open_orders = row.open_orders + outcome.orders
    if open_orders and outcome.state == deliveries_service_pb2.DELIVERY_STATE_DONE:
        # What it said when it was read before is still being carried out.
        outcome.state = deliveries_service_pb2.DELIVERY_STATE_UNDERSTOOD
    await work.tx.write(
        update(DELIVERIES).where(DELIVERIES.c.delivery_id == row.delivery_id).values(
            state=outcome.state, detail=outcome.detail, orders=row.orders + outcome.orders, open_orders=open_orders, report=outcome.report
        )
    )  # fmt: skip


async def _begin(work: Work, row: Any, understood: Understood) -> _Outcome:
    """Starts what is to be carried out; what is older than what the channel said before is not."""
    if understood.ignored:
        return _Outcome(deliveries_service_pb2.DELIVERY_STATE_IGNORED, understood.ignored)
    fresh = [one for one in understood.orders if await _is_news(work, row.channel_id, one)]
    if not fresh:
        return _Outcome(deliveries_service_pb2.DELIVERY_STATE_SUPERSEDED, "the channel has said something newer before")
    wanted = [(one.external_order_id, step.once) for one in fresh for step in one.steps if step.once]
    claimed = await _claim(work, row, wanted)
    for one in fresh:
        commands = [step.command for step in one.steps if not step.once or (one.external_order_id, step.once) in claimed]
        state = take_order.State(row.delivery_id, row.channel_id, one.external_order_id, commands)
        work.start(take_order.NAME, new_id(), state, take_order.Started())
    return _Outcome(deliveries_service_pb2.DELIVERY_STATE_UNDERSTOOD, orders=len(fresh))


async def _hear(work: Work, row: Any, connection: Any) -> _Outcome:
    """A warehouse speaks; what of it nobody understands is held, the rest is carried out."""
    heard = await hear(work, row, connection)
    if heard.unreadable:
        work.hold(UNREADABLE, "delivery", row.delivery_id, heard.unreadable)
        state = deliveries_service_pb2.DELIVERY_STATE_UNREADABLE
    elif heard.ignored:
        state = deliveries_service_pb2.DELIVERY_STATE_IGNORED
    elif heard.started:
        state = deliveries_service_pb2.DELIVERY_STATE_UNDERSTOOD
    else:
        state = deliveries_service_pb2.DELIVERY_STATE_DONE
    return _Outcome(state, (heard.unreadable or heard.ignored)[:2000], heard.started)


async def _is_news(work: Work, channel_id: str, order: OrderSteps) -> bool:
    if not order.updated_at:
        return True
    row = {"channel_id": channel_id, "external_order_id": order.external_order_id, "updated_at": order.updated_at}
    if await work.tx.insert(EXTERNAL_ORDERS, [row], once=True):
        return True
    own = (EXTERNAL_ORDERS.c.channel_id == channel_id, EXTERNAL_ORDERS.c.external_order_id == order.external_order_id)
    newer = update(EXTERNAL_ORDERS).where(*own, EXTERNAL_ORDERS.c.updated_at <= order.updated_at)
    return bool(await work.tx.write(newer.values(updated_at=order.updated_at)))


async def _claim(work: Work, row: Any, wanted: list[tuple[str, str]]) -> set[tuple[str, str]]:
    """Claims steps for this delivery and returns those that no other has claimed."""
    rows = [
        {"channel_id": row.channel_id, "external_order_id": external, "step": step, "delivery_id": row.delivery_id}
        for external, step in sorted(set(wanted))
    ]
    await work.tx.insert(EXTERNAL_STEPS, rows, once=True)
    key = ("channel_id", "external_order_id", "step")
    claimed = await work.tx.find(EXTERNAL_STEPS, key, [tuple(one[name] for name in key) for one in rows])
    return {(one.external_order_id, one.step) for one in claimed if one.delivery_id == row.delivery_id}


async def _read_file(work: Work, row: Any, connection: Any) -> _Outcome:
    mapping = plain(await load_mapping(work.tx, connection.mapping_id))
    read = order_file.read_file(row.content, mapping)
    claimed = await _claim(work, row, [(one.number, "taken back") for one in read.give_backs])
    read.give_backs = [one for one in read.give_backs if (one.number, "taken back") in claimed]
    await _keep_sold(work, row.channel_id, read)
    sold = await _bought(work, row.channel_id, read)
    left_before = {(one.external_order_id, one.external_line_id): one.left for one in sold}
    back, touched = order_file.match(read, sold, connection.returns_location_id, work.now)
    key = ("channel_id", "external_order_id", "external_line_id")
    given_back = [
        {
            **dict(zip(key, (row.channel_id, line.external_order_id, line.external_line_id), strict=True)),
            "given_back": left_before[line.external_order_id, line.external_line_id] - line.left,
        }
        for line in touched
    ]
    await work.tx.change(SOLD_LINES, key, given_back, add=("given_back",))
    steps = order_file.steps(read.orders, back, mapping, row.channel_id, connection.entity)
    if read.left_out:
        work.hold(ROWS_LEFT_OUT, "delivery", row.delivery_id, f"{read.left_out} of {read.rows} rows were left out; see the report")
    report = _report(read)
    if not steps:
        return _Outcome(deliveries_service_pb2.DELIVERY_STATE_DONE, "no row was fit", report=report)
    outcome = await _begin(work, row, Understood(steps))
    outcome.report = report
    return outcome


async def _keep_sold(work: Work, channel_id: str, read: order_file.FileRead) -> None:
    rows = [
        {
            "channel_id": channel_id, "external_order_id": order.number, "external_line_id": external, "customer": order.customer,
            "channel_sku": line.sku, "quantity": line.quantity, "given_back": 0, "placed_at": order.placed_us(work.now),
        }
        for order in read.orders if order.customer
        for external, line in zip(order.quantities, order.lines, strict=True)
    ]  # fmt: skip
    await work.tx.insert(SOLD_LINES, rows, once=True)


async def _bought(work: Work, channel_id: str, read: order_file.FileRead) -> list[order_file.Sold]:
    keys = sorted({(channel_id, one.customer, line.sku) for one in read.give_backs for line in one.lines if one.customer})
    rows = await work.tx.find(SOLD_LINES, ("channel_id", "customer", "channel_sku"), keys, where=LEFT_SOLD)
    return [
        order_file.Sold(r.external_order_id, r.external_line_id, r.customer, r.channel_sku, r.quantity - r.given_back, r.placed_at)
        for r in rows
    ]


def plain(mapping: connections_service_pb2.FileMapping) -> order_file.Mapping:
    """Returns a mapping of the contract as plain values."""
    address = mapping.default_address
    named = {descriptor.name: value for descriptor, value in mapping.columns.ListFields()}
    return order_file.Mapping(
        columns=named, currency_code=mapping.currency_code, encoding=mapping.encoding or "utf-8", delimiter=mapping.delimiter or ",",
        date_format=mapping.date_format, decimal_mark=mapping.decimal_mark or ".", cancellation_prefix=mapping.cancellation_prefix,
        charges={charge.code.upper(): CHARGES[charge.kind] for charge in mapping.charges},
        countries={country.name: country.country_code for country in mapping.countries},
        default_country_code=mapping.default_country_code, paid_by=mapping.paid_by,
        default_address={
            "name": address.name, "lines": [address.line] if address.line else [], "locality": address.locality,
            "postal_code": address.postal_code,
        },
    )  # fmt: skip


def _report(read: order_file.FileRead) -> bytes:
    reported = [
        deliveries_service_pb2.ReportedRow(row=one.row, order_number=one.order_number, field=one.field, reason=one.reason)
        for one in read.reported
    ]
    return deliveries_service_pb2.FileReport(
        rows=read.rows, duplicates=read.duplicates, orders=len(read.orders), give_backs=len(read.give_backs), reported=reported,
        left_out=read.left_out,
    ).SerializeToString()  # fmt: skip
