"""What a warehouse of others says becomes what fulfillment is told of its fulfilment orders; said twice, it counts once."""

import json
from typing import Any, NamedTuple

from sqlalchemy import select, update

from argosy.gateway.v1 import connections_service_pb2
from chassis.kernel.ids import request_id
from chassis.runtime.work import Work
from gateway.app.hear_goods import goods_back, goods_in
from gateway.app.warehouses import (
    ACKNOWLEDGEMENT,
    CHANGE,
    FETCH,
    ORDER,
    READY,
    SENT,
    SHORT,
    TAKEN,
    add_messages,
    answer_cancellation,
    change_message,
    lines_meant,
    message_row,
    record_failure,
    start,
    tell,
)
from gateway.channels import shipbob, shiphero, shipstation, x12_warehouse
from gateway.channels.commands import Command, NeedsPerson, TellLocation, Unreadable
from gateway.channels.warehouses import ACCEPTED, REJECTED, SHIPPED, STUCK, ComingBack, Heard, Parcel, Receipt, Said
from gateway.store.tables import EXTERNAL_STEPS, WAREHOUSE_MESSAGES, WAREHOUSE_ORDERS

STUCK_HOLD = "WAREHOUSE_STUCK"


class Outcome(NamedTuple):
    """How many orders something is carried out for, or why nothing is."""

    started: int
    ignored: str = ""
    unreadable: str = ""


async def hear(work: Work, delivery: Any, connection: Any) -> Outcome:
    """Carries out what a delivery says; raises Unreadable where nothing of it is understood."""
    heard = _understand(delivery.content, connection)
    if heard.ignored:
        return Outcome(0, heard.ignored)
    messages = [message_row(work, connection.channel_id, FETCH, content=url.encode()) for url in heard.fetch]
    if heard.acknowledgement:
        content = json.dumps(heard.acknowledgement).encode()
        answer = message_row(work, connection.channel_id, ACKNOWLEDGEMENT, content=content)
        # Read again, a delivery is not acknowledged a second time.
        messages.append({**answer, "message_id": request_id("acknowledgement", delivery.delivery_id)})
    await add_messages(work, messages)
    for receipt in heard.receipts:
        await _receive(work, connection.channel_id, receipt)
    started, foreign = 0, 0
    wrong = [heard.unreadable] if heard.unreadable else []
    for said in heard.said:
        order = await _order(work, connection.channel_id, said)
        if order is None and said.foreign:
            foreign += 1
            continue
        try:
            if order is None:
                raise Unreadable(f"no fulfilment order that it was given is called {said.reference or said.external_id}")
            started += await _carry_out(work, delivery.delivery_id, order, said)
        except Unreadable as error:
            wrong.append(str(error))
    for arrived in heard.arrived:
        started += await goods_in(work, delivery.delivery_id, connection, arrived)
    for back in heard.back:
        order = await _order(work, connection.channel_id, back)
        if order is None:
            foreign += 1
            continue
        try:
            started += goods_back(work, delivery.delivery_id, connection, order, back)
        except Unreadable as error:
            wrong.append(str(error))
    if not started and foreign == len(heard.said) + len(heard.back) and foreign:
        return Outcome(0, ignored="it is of orders that we did not give")
    return Outcome(started, unreadable="; ".join(wrong))


def _understand(content: bytes, connection: Any) -> Heard:
    match connection.dialect:
        case connections_service_pb2.DIALECT_SHIPHERO:
            return shiphero.understand(content)
        case connections_service_pb2.DIALECT_SHIPBOB:
            return shipbob.understand(content)
        case connections_service_pb2.DIALECT_SHIPSTATION:
            return shipstation.understand(content)
        case _:
            return x12_warehouse.understand(content, connection.edi_own_id, connection.edi_partner_id)


async def _order(work: Work, channel_id: str, said: Said | ComingBack) -> Any:
    """Returns the order that is meant, locked: by our name for it, else by the warehouse's."""
    for name, value in (("reference", said.reference), ("external_id", said.external_id)):
        if value:
            own = (WAREHOUSE_ORDERS.c.channel_id == channel_id, WAREHOUSE_ORDERS.c[name] == value)
            if rows := await work.tx.read(select(WAREHOUSE_ORDERS).where(*own).with_for_update()):
                return rows[0]
    return None


async def _carry_out(work: Work, delivery_id: str, order: Any, said: Said) -> int:
    """Starts what nobody said before, and returns 1 where something is; the order is locked. Raises Unreadable before it claims anything.

    A delivery of which a part could not be read is read again later: what it said that could be read is not said anew by that.
    """
    parcels = {f"parcel/{one.number}": one for one in said.parcels if one.lines}
    steps = list(parcels)
    if said.kind != SHIPPED:
        steps.append(f"{said.kind.lower()}/{said.reason}"[:200])
    elif said.short:
        steps.append(SHORT)
    key = ("channel_id", "external_order_id", "step")
    known = {row.step for row in await work.tx.find(EXTERNAL_STEPS, key, [(order.channel_id, order.reference, step) for step in steps])}
    fresh = [step for step in steps if step not in known]
    lines = json.loads(order.lines)
    commands: list[Command] = [TellLocation("ConfirmShipment", _shipment(order, lines, parcels[step])) for step in fresh if step in parcels]
    rows = [dict(zip(key, (order.channel_id, order.reference, step), strict=True)) for step in fresh]
    await work.tx.insert(EXTERNAL_STEPS, [{**row, "delivery_id": delivery_id} for row in rows])
    if commands:
        own = WAREHOUSE_ORDERS.c.fulfillment_order_id == order.fulfillment_order_id
        await work.tx.write(update(WAREHOUSE_ORDERS).where(own).values(lines=json.dumps(lines)))
    if set(fresh) - parcels.keys():
        commands += await _word(work, order, said)
    if commands:
        start(work, delivery_id, order.channel_id, order.reference, commands)
    return int(bool(commands))


async def _word(work: Work, order: Any, said: Said) -> list[Command]:
    """Returns what follows from what a warehouse says beside its parcels."""
    own = {"fulfillment_order_id": order.fulfillment_order_id}
    if said.kind == ACCEPTED:
        return [TellLocation("AcceptFulfillmentOrder", json.dumps(own))]
    if said.kind == STUCK:
        return [NeedsPerson(STUCK_HOLD, f"fulfilment order {order.fulfillment_order_id}: {said.reason}"[:500])]
    if said.kind == REJECTED:
        asked = (WAREHOUSE_MESSAGES.c.fulfillment_order_id == order.fulfillment_order_id, WAREHOUSE_MESSAGES.c.kind == CHANGE)
        if await work.tx.read(select(WAREHOUSE_MESSAGES.c.message_id).where(*asked).limit(1)):
            # It says what we told it.
            return []
    return [TellLocation("RejectFulfillmentOrder", json.dumps({**own, "reason": said.reason}))]


def _shipment(order: Any, lines: list[dict[str, Any]], parcel: Parcel) -> str:
    """Returns the request that says that a parcel left; counts in `lines` what has."""
    told = json.loads(order.told)
    shipped: dict[str, int] = {}
    for position, said in enumerate(parcel.lines):
        own = lines_meant(lines, said.line_id, said.number, said.sku)
        if not own:
            what = said.sku or said.line_id or str(said.number)
            raise Unreadable(f"of {order.reference}, line {position + 1} of parcel {parcel.number} is of {what}, which is not in the order")
        left = said.quantity
        for index in own:
            free = max(0, told[index] - lines[index]["shipped"]) if index != own[-1] else left
            part = min(left, free)
            if part:
                left -= part
                lines[index]["shipped"] += part
                shipped[lines[index]["line_id"]] = shipped.get(lines[index]["line_id"], 0) + part
    request = {
        "fulfillment_order_id": order.fulfillment_order_id, "carrier": parcel.carrier, "service": parcel.service,
        "tracking_number": parcel.tracking_number, "reference": parcel.number[:100],
        "lines": [{"line_id": line_id, "quantity": quantity} for line_id, quantity in shipped.items()],
    }  # fmt: skip
    return json.dumps(request)


async def _receive(work: Work, channel_id: str, receipt: Receipt) -> None:
    """A document was read, or could not be."""
    own = (WAREHOUSE_MESSAGES.c.channel_id == channel_id, WAREHOUSE_MESSAGES.c.control_number == receipt.control_number)
    newest = select(WAREHOUSE_MESSAGES).where(*own).order_by(WAREHOUSE_MESSAGES.c.message_id.desc()).limit(1)
    rows = await work.tx.read(newest.with_for_update())
    if not rows or rows[0].state not in (READY, SENT):
        # Of what was not sent, or was answered before, nothing follows.
        return
    message = rows[0]
    if message.kind == CHANGE and message.asks:
        answer_cancellation(work, message, "" if receipt.taken else receipt.detail)
    elif receipt.taken and message.kind == ORDER:
        tell(work, message, "AcceptFulfillmentOrder")
    if receipt.taken or (message.kind == CHANGE and message.asks):
        await change_message(work, message.message_id, state=TAKEN)
    else:
        await record_failure(work, message, receipt.detail, final=True)
