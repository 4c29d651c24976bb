"""Integrations: what channels delivered, what they are told, who is told by webhook, and events that were given up."""

import asyncio
from functools import partial

import msgspec
from google.protobuf.message import DecodeError
from starlette.responses import Response

from argosy.gateway.v1 import (
    connections_service_pb2,
    deliveries_service_pb2,
    publications_service_pb2,
    subscriptions_service_pb2,
    warehouses_service_pb2,
)
from argosy.ops.v1 import ops_pb2, ops_service_pb2
from chassis.kernel.errors import NotFound
from chassis.runtime.contracts import message_class
from chassis.runtime.settings import SERVICES
from gateway.console import show
from gateway.console.visit import ROWS, Notice, Visit, action
from gateway.http.codec import Codecs

CODECS = Codecs()
MOST_SHOWN = 200_000
LATEST = 20


async def page(visit: Visit, notice: Notice | None = None, status: int = 200) -> Response:
    """Shows how every way in and out stands."""
    calls = visit.calls
    asked = deliveries_service_pb2.ListDeliveriesRequest(
        channel_id=visit.query("channel"),
        state=show.choice(visit.query("state"), "state"),
        page_size=ROWS,
        page_token=visit.query("page"),
    )
    told = warehouses_service_pb2.ListWarehouseMessagesRequest(page_size=LATEST)
    deliveries, connections, figures, subscriptions, dead, messages = await asyncio.gather(
        visit.ask_if("gateway.deliveries.read", calls.deliveries.ListDeliveries, asked),
        visit.ask_if(
            "gateway.connections.read", calls.connections.ListConnections, connections_service_pb2.ListConnectionsRequest(page_size=500)
        ),
        visit.ask_if(
            "gateway.connections.read", calls.publications.GetPublicationFigures, publications_service_pb2.GetPublicationFiguresRequest()
        ),
        visit.ask_if(
            "gateway.subscriptions.read", calls.subscriptions.ListSubscriptions,
            subscriptions_service_pb2.ListSubscriptionsRequest(page_size=500),
        ),
        _dead(visit),
        visit.ask_if("gateway.connections.read", calls.warehouse_messages.ListWarehouseMessages, told),
    )  # fmt: skip
    return visit.render(
        "integrations.html", notice, status, dead=dead, deliveries=deliveries.deliveries if deliveries is not None else None,
        following=visit.following(deliveries.next_page_token) if deliveries is not None else "",
        states=show.choices(deliveries_service_pb2.DeliveryState), State=deliveries_service_pb2.DeliveryState,
        connections=connections.connections if connections is not None else None, Dialect=connections_service_pb2.Dialect,
        figures={one.channel_id: one for one in figures.channels} if figures is not None else {},
        subscriptions=subscriptions.subscriptions if subscriptions is not None else None,
        messages=messages.messages if messages is not None else None, MessageKind=warehouses_service_pb2.WarehouseMessageKind,
        MessageState=warehouses_service_pb2.WarehouseMessageState,
    )  # fmt: skip


async def _dead(visit: Visit) -> list[tuple[str, object, str]] | None:
    """Returns (service, dead event, its content as JSON), oldest first in each service."""
    if not visit.may("ops.events.read"):
        return None
    request = partial(ops_service_pb2.ListDeadEventsRequest, page_size=ROWS)
    answers = await visit.ask_each({one: (visit.calls.ops(one).ListDeadEvents, request(service=one)) for one in SERVICES})
    return [(service, dead, content_of(dead.event)) for service, answer in answers for dead in answer.events]


def content_of(event: ops_pb2.EventRecord) -> str:
    """Returns what an event says; what nobody could read is why some are given up."""
    try:
        cls = message_class(event.type)
        return _json(CODECS.of(cls).encode(cls.FromString(event.payload)))
    except (KeyError, DecodeError) as error:
        return f"{len(event.payload)} bytes that cannot be read here: {error}"


def _json(data: object) -> str:
    return msgspec.json.format(msgspec.json.encode(data), indent=2).decode()


async def delivery(visit: Visit, notice: Notice | None = None, status: int = 200) -> Response:
    """Shows a delivery, and what came, as it came."""
    delivery_id, calls = visit.path["delivery_id"], visit.calls
    found = await visit.ask(calls.deliveries.GetDelivery, deliveries_service_pb2.GetDeliveryRequest(delivery_id=delivery_id))
    content = await visit.ask_if(
        "gateway.deliveries.content", calls.deliveries.GetContent, deliveries_service_pb2.GetContentRequest(delivery_id=delivery_id)
    )
    raw = content.content if content is not None else None
    return visit.render(
        "delivery.html", notice, status, delivery=found, State=deliveries_service_pb2.DeliveryState,
        raw=raw[:MOST_SHOWN].decode("utf-8", errors="replace") if raw is not None else None,
        cut=raw is not None and len(raw) > MOST_SHOWN,
    )  # fmt: skip


async def subscription(visit: Visit, notice: Notice | None = None, status: int = 200) -> Response:
    """Shows what a subscriber was told."""
    own = visit.path["subscription_id"]
    asked = subscriptions_service_pb2.ListNotificationsRequest(
        subscription_id=own,
        state=show.choice(visit.query("state"), "state"),
        page_size=ROWS,
        page_token=visit.query("page"),
    )
    everybody, told = await asyncio.gather(
        visit.ask(visit.calls.subscriptions.ListSubscriptions, subscriptions_service_pb2.ListSubscriptionsRequest(page_size=500)),
        visit.ask(visit.calls.subscriptions.ListNotifications, asked),
    )
    found = next((one for one in everybody.subscriptions if one.subscription_id == own), None)
    if found is None:
        raise NotFound("NO_SUCH_SUBSCRIPTION", f"there is no subscription {own}", field="subscription_id")
    return visit.render(
        "subscription.html", notice, status, subscription=found, notifications=told.notifications,
        following=visit.following(told.next_page_token), states=show.choices(subscriptions_service_pb2.NotificationState),
        State=subscriptions_service_pb2.NotificationState,
    )  # fmt: skip


async def notification(visit: Visit, notice: Notice | None = None, status: int = 200) -> Response:
    """Shows a notification, its body and every attempt."""
    asked = subscriptions_service_pb2.GetNotificationRequest(notification_id=visit.path["notification_id"])
    found = await visit.ask(visit.calls.subscriptions.GetNotification, asked)
    return visit.render("notification.html", notice, status, found=found, State=subscriptions_service_pb2.NotificationState)


def _service(visit: Visit) -> str:
    service = visit.path["service"]
    if service not in SERVICES:
        raise NotFound("NO_SUCH_SERVICE", f"there is no service {service}", field="service")
    return service


async def _replay(visit: Visit) -> Response:
    service = _service(visit)
    request = ops_service_pb2.ReplayDeadEventRequest(
        request_id=visit.request_id(), service=service, consumer=service, event_id=visit.path["event_id"]
    )
    await visit.ask(visit.calls.ops(service).ReplayDeadEvent, request)
    return visit.go("/console/integrations", "replayed")


async def _discard(visit: Visit) -> Response:
    service = _service(visit)
    request = ops_service_pb2.DiscardDeadEventRequest(
        request_id=visit.request_id(), service=service, consumer=service, event_id=visit.path["event_id"], reason=visit.field("reason")
    )
    await visit.ask(visit.calls.ops(service).DiscardDeadEvent, request)
    return visit.go("/console/integrations", "discarded")


async def _read_again(visit: Visit) -> Response:
    delivery_id = visit.path["delivery_id"]
    request = deliveries_service_pb2.ReadAgainRequest(request_id=visit.request_id(), delivery_id=delivery_id)
    await visit.ask(visit.calls.deliveries.ReadAgain, request)
    return visit.go(f"/console/integrations/deliveries/{delivery_id}", "read-again")


async def _reconcile(visit: Visit) -> Response:
    request = publications_service_pb2.ReconcileChannelRequest(request_id=visit.request_id(), channel_id=visit.path["channel_id"])
    await visit.ask(visit.calls.publications.ReconcileChannel, request)
    return visit.go("/console/integrations", "reconciling")


async def _send_again(visit: Visit) -> Response:
    own = visit.path["notification_id"]
    request = subscriptions_service_pb2.ReplayNotificationRequest(request_id=visit.request_id(), notification_id=own)
    await visit.ask(visit.calls.subscriptions.ReplayNotification, request)
    return visit.go(f"/console/integrations/notifications/{own}", "again")


replay = action(_replay, page)
discard = action(_discard, page)
read_again = action(_read_again, delivery)
reconcile = action(_reconcile, page)
send_again = action(_send_again, notification)
