"""Notifications: events that become webhooks, ListNotifications, GetNotification, ReplayNotification, ReplayFailed."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from google.protobuf.message import Message
from sqlalchemy import select, update

from argosy.gateway.v1 import subscriptions_service_pb2
from chassis.kernel.clock import DAY, SECOND, from_timestamp, to_timestamp
from chassis.kernel.errors import FailedPrecondition, NotFound
from chassis.kernel.ids import least_id, new_id
from chassis.runtime.contracts import event_type
from chassis.runtime.inbox import Received
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from gateway.http.codec import Codecs
from gateway.store.tables import ATTEMPTS, NOTIFICATIONS, SUBSCRIPTIONS

PENDING = subscriptions_service_pb2.NOTIFICATION_STATE_PENDING
DELIVERED = subscriptions_service_pb2.NOTIFICATION_STATE_DELIVERED
FAILED = subscriptions_service_pb2.NOTIFICATION_STATE_FAILED
KEEP_US = 30 * DAY
# What brings notifications waits for.
TELLING = "notifications"
FORGET_AT_ONCE = 5000
CODECS = Codecs()
ACTIVE = select(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.disabled_reason == "")


def public_name(cls: type[Message]) -> str:
    """Returns an event's name for subscribers, e.g. orders.OrderPlaced."""
    kind = event_type(cls)
    return f"{kind.producer}.{cls.DESCRIPTOR.name}"


async def on_events(work: Work, events: Sequence[Received]) -> None:
    """Keeps a notification for each subscriber who wants it; one query and one insert however many events."""
    subscriptions = [
        (row.subscription_id, frozenset(json.loads(row.event_types)), frozenset(json.loads(row.channel_ids)))
        for row in await work.tx.read(ACTIVE)
    ]
    rows = []
    for event in events if subscriptions else ():
        name = public_name(type(event.message))
        takers = [one for one, types, channels in subscriptions if _wants(types, channels, name, event.message)]
        body = _body(name, event) if takers else ""
        subject_id = str(getattr(event.message, event_type(type(event.message)).key))
        rows += [
            {
                "notification_id": new_id(), "subscription_id": taker, "event_id": event.id, "event_type": name, "subject_id": subject_id,
                "body": body, "state": PENDING, "attempts": 0, "due_at": work.now, "last_result": "", "created_at": work.now,
            }
            for taker in takers
        ]  # fmt: skip
    await work.tx.insert(NOTIFICATIONS, rows, once=True)
    if rows:
        work.wake(TELLING)


def _wants(types: frozenset[str], channels: frozenset[str], name: str, message: Any) -> bool:
    """Events that name no channel go only to those who want all channels."""
    wanted = not types or name in types or f"{name.split('.', maxsplit=1)[0]}.*" in types
    return wanted and (not channels or getattr(message, "channel_id", "") in channels)


def _body(name: str, event: Received) -> str:
    moment = datetime.fromtimestamp(event.occurred_at / SECOND, UTC).isoformat().replace("+00:00", "Z")
    data = CODECS.of(type(event.message)).encode(event.message)
    return msgspec.json.encode({"type": name, "timestamp": moment, "data": data}).decode()


async def list_notifications(asked: Asked) -> subscriptions_service_pb2.ListNotificationsResponse:
    """Lists newest first, without bodies."""
    query = select(*(column for column in NOTIFICATIONS.c if column.name != "body"))
    for name in ("subscription_id", "state"):
        if wanted := getattr(asked.request, name):
            query = query.where(NOTIFICATIONS.c[name] == wanted)
    rows, token = await page(asked.tx, query, [NOTIFICATIONS.c.notification_id], asked.request, descending=True)
    return subscriptions_service_pb2.ListNotificationsResponse(notifications=map(_to_notification, rows), next_page_token=token)


async def get_notification(asked: Asked) -> subscriptions_service_pb2.Notification:
    """Refusals: NO_SUCH_NOTIFICATION."""
    row = await _load(asked.tx, asked.request.notification_id)
    found = _to_notification(row)
    found.body = row.body
    log = select(ATTEMPTS).where(ATTEMPTS.c.notification_id == row.notification_id).order_by(ATTEMPTS.c.at)
    for attempt in await asked.tx.read(log):
        found.log.add(
            at=to_timestamp(attempt.at), status=attempt.status, duration_ms=attempt.duration_ms, error=attempt.error, answer=attempt.answer
        )
    return found


async def replay_notification(
    work: Work, request: subscriptions_service_pb2.ReplayNotificationRequest
) -> subscriptions_service_pb2.Notification:
    """Refusals: NO_SUCH_NOTIFICATION, SUBSCRIPTION_DISABLED."""
    row = await _load(work.tx, request.notification_id)
    await _need_active(work.tx, row.subscription_id)
    again = update(NOTIFICATIONS).where(NOTIFICATIONS.c.notification_id == request.notification_id)
    await work.tx.write(again.values(state=PENDING, attempts=0, due_at=work.now))
    return _to_notification(await _load(work.tx, request.notification_id))


async def replay_failed(
    work: Work, request: subscriptions_service_pb2.ReplayFailedRequest
) -> subscriptions_service_pb2.ReplayFailedResponse:
    """Refusals: NO_SUCH_SUBSCRIPTION, SUBSCRIPTION_DISABLED."""
    await _need_active(work.tx, request.subscription_id)
    failed = (NOTIFICATIONS.c.subscription_id == request.subscription_id, NOTIFICATIONS.c.state == FAILED)
    since = least_id(from_timestamp(request.since)) if request.HasField("since") else ""
    again = update(NOTIFICATIONS).where(*failed, NOTIFICATIONS.c.notification_id >= since)
    count = await work.tx.write(again.values(state=PENDING, attempts=0, due_at=work.now))
    return subscriptions_service_pb2.ReplayFailedResponse(notifications=count)


async def stop_telling(work: Work, subscription_id: str, why: str) -> None:
    """Gives up what a subscriber was still to be told; it can be replayed when they are taken up again."""
    waiting = (NOTIFICATIONS.c.subscription_id == subscription_id, NOTIFICATIONS.c.due_at.is_not(None))
    await work.tx.write(update(NOTIFICATIONS).where(*waiting).values(state=FAILED, due_at=None, last_result=why))


async def forget(work: Work) -> None:
    """Drops what was told more than a month ago, a part at a time."""
    old = select(NOTIFICATIONS.c.notification_id).where(
        NOTIFICATIONS.c.notification_id < least_id(work.now - KEEP_US), NOTIFICATIONS.c.state != PENDING
    )
    keys = [(row.notification_id,) for row in await work.tx.read(old.order_by(NOTIFICATIONS.c.notification_id).limit(FORGET_AT_ONCE))]
    await work.tx.remove(ATTEMPTS, ("notification_id",), keys)
    await work.tx.remove(NOTIFICATIONS, ("notification_id",), keys)


async def _need_active(tx: Tx, subscription_id: str) -> None:
    rows = await tx.read(select(SUBSCRIPTIONS.c.disabled_reason).where(SUBSCRIPTIONS.c.subscription_id == subscription_id))
    if not rows:
        raise NotFound("NO_SUCH_SUBSCRIPTION", f"there is no subscription {subscription_id}", field="subscription_id")
    if rows[0].disabled_reason:
        raise FailedPrecondition("SUBSCRIPTION_DISABLED", "take the subscription up again first", field="subscription_id")


async def _load(tx: Tx, notification_id: str) -> Any:
    rows = await tx.read(select(NOTIFICATIONS).where(NOTIFICATIONS.c.notification_id == notification_id))
    if not rows:
        raise NotFound("NO_SUCH_NOTIFICATION", f"there is no notification {notification_id}", field="notification_id")
    return rows[0]


def _to_notification(row: Any) -> subscriptions_service_pb2.Notification:
    return subscriptions_service_pb2.Notification(
        notification_id=row.notification_id, subscription_id=row.subscription_id, event_id=row.event_id, event_type=row.event_type,
        subject_id=row.subject_id, state=row.state, attempts=row.attempts, last_result=row.last_result,
        due_at=to_timestamp(row.due_at) if row.due_at is not None else None, created_at=to_timestamp(row.created_at),
    )  # fmt: skip
