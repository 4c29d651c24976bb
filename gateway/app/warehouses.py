"""What warehouses of others are told: the book of messages and of the orders that they were given, and the rpcs that show it."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import or_, select, update

from argosy.fulfillment.v1 import fulfillment_events_pb2
from argosy.gateway.v1 import connections_service_pb2, warehouses_service_pb2
from chassis.kernel.clock import HOUR, to_timestamp
from chassis.kernel.errors import FailedPrecondition, NotFound
from chassis.kernel.ids import new_id
from chassis.runtime.inbox import Received
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx
from chassis.runtime.work import HoldKind, Work
from gateway.app.publications import pause
from gateway.channels.commands import Command, TellLocation
from gateway.channels.warehouses import REJECTED, Handed
from gateway.process import take_order
from gateway.store.tables import CONNECTIONS, CONTROL_NUMBERS, EXTERNAL_STEPS, WAREHOUSE_MESSAGES, WAREHOUSE_ORDERS

DIALECTS = {
    connections_service_pb2.DIALECT_X12_WAREHOUSE, connections_service_pb2.DIALECT_SHIPHERO, connections_service_pb2.DIALECT_SHIPBOB,
    connections_service_pb2.DIALECT_SHIPSTATION,
}  # fmt: skip
ORDER, CHANGE, ACKNOWLEDGEMENT, FETCH = (
    warehouses_service_pb2.WAREHOUSE_MESSAGE_KIND_ORDER, warehouses_service_pb2.WAREHOUSE_MESSAGE_KIND_CHANGE,
    warehouses_service_pb2.WAREHOUSE_MESSAGE_KIND_ACKNOWLEDGEMENT, warehouses_service_pb2.WAREHOUSE_MESSAGE_KIND_FETCH,
)  # fmt: skip
PENDING, READY, SENT, TAKEN, FAILED, NEEDLESS = (
    getattr(warehouses_service_pb2, f"WAREHOUSE_MESSAGE_STATE_{name}")
    for name in ("PENDING", "READY", "SENT", "TAKEN", "FAILED", "NEEDLESS")
)
MOST_ATTEMPTS = 12
SHORT, BOOKED = "short", "booked"
LOOK_AGAIN_US = HOUR
UNTOLD = HoldKind("WAREHOUSE_NOT_TOLD", "integration", 3600, "integration")
UNHEARD = HoldKind("WAREHOUSE_NOT_UNDERSTOOD", "integration", 8 * 3600, "integration")
Message = warehouses_service_pb2.WarehouseMessage
EVENTS = (
    fulfillment_events_pb2.FulfillmentOrderReleased, fulfillment_events_pb2.CancellationRequested,
    fulfillment_events_pb2.FulfillmentOrderRecalled, fulfillment_events_pb2.FulfillmentOrderRejected,
)  # fmt: skip


def reference_of(fulfillment_order_id: str) -> str:
    """Returns what a fulfilment order is called to warehouses: X12 leaves 22 characters."""
    return fulfillment_order_id.replace("-", "")[-20:].upper()


async def on_events(work: Work, events: Sequence[Received]) -> None:
    """What locations that are warehouses of others are given, or shall not ship any more, becomes messages."""
    locations = sorted({(event.message.location_id,) for event in events})
    only = ("channel_id", "location_id")
    found = await work.tx.find(CONNECTIONS, ("location_id",), locations, only=only)
    channels = {row.location_id: row.channel_id for row in found}
    ours = [event for event in events if event.message.location_id in channels]
    if not ours:
        return
    released = {event.message.fulfillment_order_id for event in ours if isinstance(event.message, EVENTS[0])}
    others = sorted({(event.message.fulfillment_order_id,) for event in ours} - {(one,) for one in released})
    given = await work.tx.find(WAREHOUSE_MESSAGES, ("fulfillment_order_id",), others, only=("fulfillment_order_id",))
    known = released | {row.fulfillment_order_id for row in given}
    said = await _said_no(work, [event.message for event in ours if isinstance(event.message, EVENTS[3])])
    rows = [
        message_row(work, channels[one.location_id], _kind(one), one.fulfillment_order_id, asks=isinstance(one, EVENTS[1]))
        for event in ours if (one := event.message).fulfillment_order_id in known and one.fulfillment_order_id not in said
    ]  # fmt: skip
    await add_messages(work, rows)


def _kind(event: Any) -> int:
    return ORDER if isinstance(event, EVENTS[0]) else CHANGE


async def _said_no(work: Work, rejected: Sequence[Any]) -> set[str]:
    """Returns which were rejected because the warehouse said so: it need not be told.

    One that was silent, or for whom a person said no, may ship nevertheless.
    """
    by_reference = {reference_of(one.fulfillment_order_id): one.fulfillment_order_id for one in rejected if one.reason != "NO_ACK"}
    if not by_reference:
        return set()
    step = EXTERNAL_STEPS.c.step
    own = (EXTERNAL_STEPS.c.external_order_id.in_(sorted(by_reference)), or_(step == SHORT, step.startswith(f"{REJECTED.lower()}/")))
    rows = await work.tx.read(select(EXTERNAL_STEPS.c.external_order_id).where(*own))
    return {by_reference[row.external_order_id] for row in rows}


def telling(channel_id: str) -> str:
    """Names the look for what a warehouse is to be told."""
    return f"warehouse:{channel_id}"


async def add_messages(work: Work, rows: Sequence[dict[str, Any]]) -> None:
    """Writes messages down, each once; who tells them is woken."""
    await work.tx.insert(WAREHOUSE_MESSAGES, rows, once=True)
    for channel_id in sorted({row["channel_id"] for row in rows}):
        work.wake(telling(channel_id))


def message_row(work: Work, channel_id: str, kind: int, fulfillment_order_id: str = "", content: bytes = b"", *, asks: bool = False) -> Any:
    """Returns a message that is told at once."""
    return {
        "message_id": new_id(), "channel_id": channel_id, "kind": kind, "state": PENDING, "fulfillment_order_id": fulfillment_order_id,
        "asks": int(asks), "content": content, "control_number": 0, "attempts": 0, "due_at": work.now, "error": "",
        "created_at": work.now, "taken_at": None,
    }  # fmt: skip


def lines_meant(lines: Sequence[dict[str, Any]], line_id: str, number: int, sku: str) -> list[int]:
    """Returns which lines are meant: the one with the id, the one with the number where the article agrees, else those of the article."""
    by_id = [index for index, line in enumerate(lines) if line_id and line["line_id"] == line_id]
    if by_id:
        return by_id
    if 0 < number <= len(lines) and lines[number - 1]["sku"] in (sku, sku or lines[number - 1]["sku"]):
        return [number - 1]
    return [index for index, line in enumerate(lines) if line["sku"] == sku]


async def begin_order(work: Work, message: Any, order: Handed, order_id: str) -> None:
    """Writes down what a warehouse is about to be given, so that its answer finds it however early it comes."""
    row = {
        "fulfillment_order_id": message.fulfillment_order_id, "channel_id": message.channel_id, "order_id": order_id,
        "reference": order.reference, "external_id": "", "told": told_of(order), "look_at": None,
        "lines": json.dumps([{"line_id": line.line_id, "sku": line.sku, "shipped": 0} for line in order.whole]),
    }  # fmt: skip
    await work.tx.insert(WAREHOUSE_ORDERS, [row], once=True)


def told_of(order: Handed) -> str:
    """Returns what an order tells to ship, to be compared."""
    return json.dumps([line.quantity for line in order.whole])


async def take_control_number(work: Work, channel_id: str) -> int:
    """Returns the next control number of a connection; after 999,999,999 they begin anew."""
    await work.tx.insert(CONTROL_NUMBERS, [{"channel_id": channel_id, "last": 0}], once=True)
    own = CONTROL_NUMBERS.c.channel_id == channel_id
    row = (await work.tx.read(select(CONTROL_NUMBERS).where(own).with_for_update()))[0]
    number: int = row.last % 999_999_999 + 1
    await work.tx.write(update(CONTROL_NUMBERS).where(own).values(last=number))
    return number


async def change_message(work: Work, message_id: str, **values: Any) -> None:
    """Changes a message; what is not pending any more is not due."""
    if values.get("state", PENDING) != PENDING:
        values["due_at"] = None
    if values.get("state") == TAKEN:
        # The document names a customer and has done its work.
        values.update(taken_at=work.now, content=b"", error="")
    await work.tx.write(update(WAREHOUSE_MESSAGES).where(WAREHOUSE_MESSAGES.c.message_id == message_id).values(values))


async def record_given(work: Work, message: Any, external_id: str, *, accepted: bool) -> None:
    """The warehouse took an order; where taking is accepting, the location has accepted."""
    own = WAREHOUSE_ORDERS.c.fulfillment_order_id == message.fulfillment_order_id
    await work.tx.write(update(WAREHOUSE_ORDERS).where(own).values(external_id=external_id[:100], look_at=work.now + LOOK_AGAIN_US))
    await change_message(work, message.message_id, state=TAKEN)
    if accepted:
        tell(work, message, "AcceptFulfillmentOrder")


async def record_change(work: Work, message: Any, told: str, *, agreed: bool) -> None:
    """The warehouse ships no more than it was told, or ships nevertheless."""
    if agreed:
        own = WAREHOUSE_ORDERS.c.fulfillment_order_id == message.fulfillment_order_id
        await work.tx.write(update(WAREHOUSE_ORDERS).where(own).values(told=told))
    if message.asks:
        answer_cancellation(work, message, "" if agreed else "the warehouse does not give it back any more")
    if agreed or message.asks:
        await change_message(work, message.message_id, state=TAKEN)
    else:
        await record_failure(work, message, "it does not give back what was called back, and may ship it", final=True)


def answer_cancellation(work: Work, message: Any, refusal: str) -> None:
    """Tells fulfillment whether a warehouse gives back what it was asked for."""
    if refusal:
        tell(work, message, "RejectCancellation", reason=refusal)
    else:
        tell(work, message, "AcceptCancellation")


def tell(work: Work, message: Any, rpc: str, **said: str) -> None:
    """Lets fulfillment be told what follows from a message's fate."""
    request = json.dumps({"fulfillment_order_id": message.fulfillment_order_id, **said})
    start(work, "", message.channel_id, reference_of(message.fulfillment_order_id), [TellLocation(rpc, request)])


def start(work: Work, delivery_id: str, channel_id: str, reference: str, commands: list[Command]) -> None:
    """Carries out what a warehouse says of an order."""
    work.start(take_order.NAME, new_id(), take_order.State(delivery_id, channel_id, reference, commands), take_order.Started())


async def record_failure(work: Work, message: Any, why: str, *, final: bool) -> None:
    """A message was told in vain; given up, it waits for a person."""
    attempts = message.attempts + 1
    if not final and attempts < MOST_ATTEMPTS:
        await change_message(work, message.message_id, attempts=attempts, error=why[:500], due_at=work.now + pause(attempts))
        return
    await change_message(work, message.message_id, state=FAILED, attempts=attempts, error=why[:500])
    about = f" fulfilment order {message.fulfillment_order_id}" if message.fulfillment_order_id else " what it was to be told"
    work.hold(UNTOLD, "warehouse-message", message.message_id, f"{message.channel_id} did not take{about}: {why}")


async def record_silence(work: Work, channel_id: str, why: str) -> None:
    """A warehouse that is asked every hour said nothing that can be used; a person is asked once."""
    await work.hold_once(UNHEARD, "connection", channel_id, why[:500])


async def bills_unbooked(tx: Tx, channel_id: str, numbers: Sequence[str]) -> list[str]:
    """Returns which of a warehouse's bills were not booked yet."""
    keys = [(channel_id, f"bill/{number}", BOOKED) for number in numbers]
    booked = {row.external_order_id for row in await tx.find(EXTERNAL_STEPS, ("channel_id", "external_order_id", "step"), keys)}
    return [number for number in numbers if f"bill/{number}" not in booked]


async def record_bill(work: Work, channel_id: str, number: str) -> None:
    """A bill was booked."""
    row = {"channel_id": channel_id, "external_order_id": f"bill/{number}", "step": BOOKED, "delivery_id": ""}
    await work.tx.insert(EXTERNAL_STEPS, [row], once=True)


async def try_again(work: Work, message_id: str) -> None:
    """A person looked: the warehouse is told again, of an order by a document that tells how it stands by then."""
    failed = (WAREHOUSE_MESSAGES.c.message_id == message_id, WAREHOUSE_MESSAGES.c.state == FAILED)
    anew = update(WAREHOUSE_MESSAGES).where(*failed, WAREHOUSE_MESSAGES.c.kind.in_((ORDER, CHANGE)))
    await work.tx.write(anew.values(control_number=0, content=b""))
    await work.tx.write(update(WAREHOUSE_MESSAGES).where(*failed).values(state=PENDING, attempts=0, due_at=work.now))


async def list_messages(asked: Asked) -> warehouses_service_pb2.ListWarehouseMessagesResponse:
    """Lists newest first."""
    query = SHOWN
    for name in ("channel_id", "state", "fulfillment_order_id"):
        if wanted := getattr(asked.request, name):
            query = query.where(WAREHOUSE_MESSAGES.c[name] == wanted)
    rows, token = await page(asked.tx, query, [WAREHOUSE_MESSAGES.c.message_id], asked.request, descending=True)
    return warehouses_service_pb2.ListWarehouseMessagesResponse(messages=map(_to_message, rows), next_page_token=token)


async def get_document(asked: Asked) -> warehouses_service_pb2.WarehouseDocument:
    """Refusals: NO_SUCH_MESSAGE, NO_DOCUMENT."""
    query = select(WAREHOUSE_MESSAGES).where(WAREHOUSE_MESSAGES.c.message_id == asked.request.message_id)
    rows = await asked.tx.read(query)
    if not rows:
        raise NotFound("NO_SUCH_MESSAGE", f"there is no message {asked.request.message_id}", field="message_id")
    if not (rows[0].control_number and rows[0].content):
        text = "the message has no document: it is told otherwise, is not made yet, or was taken"
        raise NotFound("NO_DOCUMENT", text, field="message_id")
    return warehouses_service_pb2.WarehouseDocument(message_id=rows[0].message_id, content=rows[0].content)


async def mark_sent(work: Work, request: warehouses_service_pb2.MarkWarehouseMessageSentRequest) -> Message:
    """Said again, it changes nothing. Refusals: NO_SUCH_MESSAGE, NOT_READY."""
    query = SHOWN.where(WAREHOUSE_MESSAGES.c.message_id == request.message_id)
    rows = await work.tx.read(query.with_for_update(of=WAREHOUSE_MESSAGES))
    if not rows:
        raise NotFound("NO_SUCH_MESSAGE", f"there is no message {request.message_id}", field="message_id")
    if rows[0].state not in (READY, SENT, TAKEN):
        raise FailedPrecondition("NOT_READY", "the message does not wait to be fetched", field="message_id")
    if rows[0].state == READY:
        await change_message(work, request.message_id, state=TAKEN if rows[0].kind == ACKNOWLEDGEMENT else SENT)
    return _to_message((await work.tx.read(query))[0])


SHOWN = select(
    *(column for column in WAREHOUSE_MESSAGES.c if column.name != "content"), WAREHOUSE_ORDERS.c.reference, WAREHOUSE_ORDERS.c.external_id
).outerjoin(WAREHOUSE_ORDERS, WAREHOUSE_ORDERS.c.fulfillment_order_id == WAREHOUSE_MESSAGES.c.fulfillment_order_id)


def _to_message(row: Any) -> Message:
    return Message(
        message_id=row.message_id, channel_id=row.channel_id, kind=row.kind, state=row.state,
        fulfillment_order_id=row.fulfillment_order_id, reference=row.reference or "", external_id=row.external_id or "",
        control_number=row.control_number, attempts=row.attempts, error=row.error, created_at=to_timestamp(row.created_at),
        taken_at=to_timestamp(row.taken_at) if row.taken_at is not None else None,
    )  # fmt: skip
