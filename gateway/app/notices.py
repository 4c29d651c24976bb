"""Notices: events that customers are told of, ListNotices, SendNoticeAgain."""

from collections.abc import Sequence
from typing import Any

import msgspec
from google.protobuf.message import Message
from sqlalchemy import select, update

from argosy.fulfillment.v1 import fulfillment_events_pb2
from argosy.gateway.v1 import notices_service_pb2
from argosy.orders.v1 import orders_events_pb2
from argosy.returns.v1 import returns_events_pb2
from chassis.kernel.clock import DAY, SECOND, to_timestamp
from chassis.kernel.errors import FailedPrecondition, NotFound
from chassis.kernel.ids import least_id, new_id
from chassis.runtime.inbox import Received
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx
from chassis.runtime.work import HoldKind, Work
from gateway.app.notice_routes import allows, load_routes
from gateway.http.codec import Codecs
from gateway.store.tables import NOTICES

PENDING = notices_service_pb2.NOTICE_STATE_PENDING
KINDS: dict[type[Message], int] = {
    orders_events_pb2.OrderPlaced: notices_service_pb2.NOTICE_KIND_RECEIVED,
    orders_events_pb2.OrderChanged: notices_service_pb2.NOTICE_KIND_CHANGED,
    orders_events_pb2.OrderDelayed: notices_service_pb2.NOTICE_KIND_DELAYED,
    orders_events_pb2.SubstituteOffered: notices_service_pb2.NOTICE_KIND_SUBSTITUTE_OFFERED,
    fulfillment_events_pb2.ReadyForPickup: notices_service_pb2.NOTICE_KIND_READY_FOR_PICKUP,
    fulfillment_events_pb2.ShipmentShipped: notices_service_pb2.NOTICE_KIND_SHIPPED,
    fulfillment_events_pb2.ShipmentDelivered: notices_service_pb2.NOTICE_KIND_DELIVERED,
    orders_events_pb2.LinesCancelled: notices_service_pb2.NOTICE_KIND_CANCELLED,
    returns_events_pb2.ReturnAuthorized: notices_service_pb2.NOTICE_KIND_RETURN_OPENED,
    orders_events_pb2.DepositRefunded: notices_service_pb2.NOTICE_KIND_REFUNDED,
    orders_events_pb2.RefundPaid: notices_service_pb2.NOTICE_KIND_REFUNDED,
}
# What is told of an order should know what its items are called, and what else the same moment did to it.
SETTLE_US = 2 * SECOND
KEEP_US = 400 * DAY
FORGET_AT_ONCE = 5000
FAILED_HOLD = HoldKind("NOTICE_FAILED", "integration", 4 * 3600, "support")
CODECS = Codecs()
SHOWN = ("notice_id", "kind", "order_id", "channel_id", "event_id", "state", "attempts", "last_result", "language")
MOMENTS = ("created_at", "sent_at", "due_at")
Notice = notices_service_pb2.Notice


async def on_events(work: Work, events: Sequence[Received]) -> None:
    """Keeps a notice of each event whose channel tells its customers of it; one query and one insert however many events."""
    # What a customer has collected is not on its way, and they know that they have it.
    told = [event for event in events if type(event.message) in KINDS and not getattr(event.message, "collected", False)]
    if not told:
        return
    routes = await load_routes(work.tx, {event.message.channel_id for event in told})
    rows = []
    for event in told:
        message, kind = event.message, KINDS[type(event.message)]
        if allows(routes.get(message.channel_id), kind):
            rows.append(
                {
                    "notice_id": new_id(), "event_id": event.id, "kind": kind, "order_id": message.order_id,
                    "channel_id": message.channel_id, "state": PENDING, "attempts": 0, "due_at": work.now + SETTLE_US, "last_result": "",
                    "facts": msgspec.json.encode(CODECS.of(type(message)).encode(message)).decode(), "language": "",
                    "created_at": work.now, "sent_at": None,
                }
            )  # fmt: skip
    await work.tx.insert(NOTICES, rows, once=True)


async def list_notices(asked: Asked) -> notices_service_pb2.ListNoticesResponse:
    """Lists newest first."""
    query = select(NOTICES)
    if asked.principal.channel_ids:
        query = query.where(NOTICES.c.channel_id.in_(sorted(asked.principal.channel_ids)))
    for name in ("order_id", "channel_id", "state"):
        if wanted := getattr(asked.request, name):
            query = query.where(NOTICES.c[name] == wanted)
    rows, token = await page(asked.tx, query, [NOTICES.c.notice_id], asked.request, descending=True)
    return notices_service_pb2.ListNoticesResponse(notices=map(_to_notice, rows), next_page_token=token)


async def send_again(work: Work, request: notices_service_pb2.SendNoticeAgainRequest) -> Notice:
    """Refusals: NO_SUCH_NOTICE, NO_ROUTE."""
    row = await _load(work.tx, request.notice_id)
    if not allows((await load_routes(work.tx, {row.channel_id})).get(row.channel_id), row.kind):
        raise FailedPrecondition(
            "NO_ROUTE", f"{row.channel_id} tells its customers nothing of this: set its route first", field="notice_id"
        )
    again = update(NOTICES).where(NOTICES.c.notice_id == row.notice_id)
    await work.tx.write(again.values(state=PENDING, attempts=0, due_at=work.now))
    await work.release_holds([(row.notice_id, FAILED_HOLD.reason)], "it is sent again")
    return _to_notice(await _load(work.tx, request.notice_id))


async def forget(work: Work) -> None:
    """Drops what was told more than a year ago, a part at a time."""
    old = select(NOTICES.c.notice_id).where(NOTICES.c.notice_id < least_id(work.now - KEEP_US), NOTICES.c.state != PENDING)
    keys = [(row.notice_id,) for row in await work.tx.read(old.order_by(NOTICES.c.notice_id).limit(FORGET_AT_ONCE))]
    await work.tx.remove(NOTICES, ("notice_id",), keys)


async def _load(tx: Tx, notice_id: str) -> Any:
    rows = await tx.read(select(NOTICES).where(NOTICES.c.notice_id == notice_id))
    if not rows:
        raise NotFound("NO_SUCH_NOTICE", f"there is no notice {notice_id}", field="notice_id")
    return rows[0]


def _to_notice(row: Any) -> Notice:
    values = {name: getattr(row, name) for name in SHOWN}
    moments = {name: to_timestamp(getattr(row, name)) for name in MOMENTS if getattr(row, name) is not None}
    return Notice(**values, **moments)  # type: ignore[arg-type]
