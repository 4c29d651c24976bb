"""Webhooks to subscribers: signed, filtered, tried again, replayed; whatever a receiver does, orders go on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from argosy.gateway.v1 import subscriptions_service_pb2 as pb
from argosy.ops.v1 import holds_service_pb2
from argosy.orders.v1 import order_pb2
from chassis.kernel.errors import FailedPrecondition, InvalidArgument
from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from gateway.app.prove import prove
from gateway.calls import Calls
from gateway.voice import sender
from suite.up import running_suite
from tests.builders import eventually, open_shop, order, ship_all, until_status
from tests.listener import listening


@dataclass
class Receiver:
    """A subscriber's own server; each path has its manners."""

    taken: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    refuse: int = 0
    connections: int = 0

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{manners}", self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> Response:
        self.connections += 1
        body = await request.body()
        match request.path_params["manners"]:
            case "hang":
                await asyncio.sleep(60)
            case "redirect":
                return RedirectResponse("/good", 307)
            case "gone":
                return PlainTextResponse("gone", 410)
            case "garbage":
                return StreamingResponse(_endless(), 500)
            case "good" if self.refuse:
                self.refuse -= 1
                return PlainTextResponse("not now", 503)
        self.taken.append((dict(request.headers), body))
        return PlainTextResponse("thanks")


async def _endless() -> AsyncIterator[bytes]:
    while True:
        yield b"\xff\x00" * 500
        await asyncio.sleep(0.001)


@asynccontextmanager
async def told(settings: Settings) -> AsyncIterator[tuple[Calls, Receiver, str]]:
    """A suite and somebody who is told; the proof must settle when the test is done."""
    receiver = Receiver()
    async with listening(receiver.app()) as url, running_suite(settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 50})
        yield calls, receiver, url
        assert (await prove(suite.channels, settled=True)).breaks == []


async def subscribe(calls: Calls, url: str, *types: str, channels: tuple[str, ...] = ()) -> pb.CreatedSubscription:
    request = pb.CreateSubscriptionRequest(request_id=new_id(), url=url, event_types=types, channel_ids=channels)
    return await calls.subscriptions.CreateSubscription(request)


async def notifications(calls: Calls, subscription_id: str) -> list[pb.Notification]:
    answer = await calls.subscriptions.ListNotifications(pb.ListNotificationsRequest(subscription_id=subscription_id))
    return list(answer.notifications)


async def subscription(calls: Calls, subscription_id: str) -> pb.Subscription:
    answer = await calls.subscriptions.ListSubscriptions(pb.ListSubscriptionsRequest())
    return next(one for one in answer.subscriptions if one.subscription_id == subscription_id)


async def test_a_subscriber_is_told_what_they_want_and_can_check_it(settings: Settings) -> None:
    async with told(settings) as (calls, receiver, url):
        created = await subscribe(calls, f"{url}/good", "orders.OrderPlaced", "fulfillment.*")
        await subscribe(calls, f"{url}/other", channels=("elsewhere",))
        placed = await calls.orders.CreateOrder(order("1"))
        await ship_all(calls, placed.order_id)
        found = await eventually(lambda: delivered(calls, created.subscription.subscription_id, 3))
        assert {one.event_type for one in found} == {
            "orders.OrderPlaced", "fulfillment.FulfillmentOrderReleased", "fulfillment.ShipmentShipped",
        }  # fmt: skip
        for headers, body in receiver.taken:
            checked = Webhook(created.secret).verify(body, headers)
            assert checked["data"]["order_id"] == placed.order_id
        assert {headers["webhook-id"] for headers, _ in receiver.taken} == {one.notification_id for one in found}
        whole = await calls.subscriptions.GetNotification(pb.GetNotificationRequest(notification_id=found[0].notification_id))
        assert whole.body.encode() in {body for _, body in receiver.taken}
        assert [(one.status, one.error, one.answer) for one in whole.log] == [(200, "", "thanks")]


async def delivered(calls: Calls, subscription_id: str, count: int) -> list[pb.Notification] | None:
    found = [one for one in await notifications(calls, subscription_id) if one.state == pb.NOTIFICATION_STATE_DELIVERED]
    return found if len(found) == count else None


async def test_a_secret_is_exchanged_while_both_sign(sqlite_settings: Settings) -> None:
    async with told(sqlite_settings) as (calls, receiver, url):
        first = await subscribe(calls, f"{url}/good", "orders.OrderPlaced")
        rotate = pb.RotateSecretRequest(request_id=new_id(), subscription_id=first.subscription.subscription_id)
        second = await calls.subscriptions.RotateSecret(rotate)
        assert second.secret != first.secret and second.subscription.previous_secret_holds
        assert (await calls.subscriptions.RotateSecret(rotate)).secret == "", "a secret is shown once"
        await calls.orders.CreateOrder(order("1"))
        await eventually(lambda: delivered(calls, first.subscription.subscription_id, 1))
        headers, body = receiver.taken[0]
        for secret in (first.secret, second.secret):
            Webhook(secret).verify(body, headers)
        await calls.subscriptions.RotateSecret(
            pb.RotateSecretRequest(request_id=new_id(), subscription_id=first.subscription.subscription_id, end_previous_secret=True)
        )
        await calls.orders.CreateOrder(order("2"))
        await eventually(lambda: delivered(calls, first.subscription.subscription_id, 2))
        with pytest.raises(Exception, match="signature"):
            Webhook(first.secret).verify(receiver.taken[1][1], receiver.taken[1][0])


async def test_it_is_tried_again_given_up_and_replayed(sqlite_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "RETRY_US", (100_000, 100_000))
    async with told(sqlite_settings) as (calls, receiver, url):
        created = await subscribe(calls, f"{url}/good", "orders.OrderPlaced")
        own = created.subscription.subscription_id
        receiver.refuse = 2
        await calls.orders.CreateOrder(order("1"))
        found = await eventually(lambda: delivered(calls, own, 1))
        assert found[0].attempts == 3
        receiver.refuse = 3
        await calls.orders.CreateOrder(order("2"))

        async def given_up() -> bool:
            return (await notifications(calls, own))[0].state == pb.NOTIFICATION_STATE_FAILED

        await eventually(given_up)
        assert (await subscription(calls, own)).HasField("failing_since")
        holds = (await calls.holds("gateway").ListHolds(holds_service_pb2.ListHoldsRequest(service="gateway"))).holds
        assert [(hold.reason, hold.subject_id) for hold in holds] == [("NOTIFICATION_FAILED", own)]
        answer = await calls.subscriptions.ReplayFailed(pb.ReplayFailedRequest(request_id=new_id(), subscription_id=own))
        assert answer.notifications == 1
        await eventually(lambda: delivered(calls, own, 2))
        assert len({headers["webhook-id"] for headers, _ in receiver.taken}) == 2
        assert not (await subscription(calls, own)).HasField("failing_since")


async def test_who_is_gone_is_told_nothing_more(sqlite_settings: Settings) -> None:
    async with told(sqlite_settings) as (calls, _, url):
        created = await subscribe(calls, f"{url}/gone", "orders.*")
        own = created.subscription.subscription_id
        placed = await calls.orders.CreateOrder(order("1"))

        async def disabled() -> bool:
            return (await subscription(calls, own)).disabled_reason == "GONE"

        await eventually(disabled)
        await ship_all(calls, placed.order_id)
        await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_SHIPPED)
        assert {one.state for one in await notifications(calls, own)} == {pb.NOTIFICATION_STATE_FAILED}
        with pytest.raises(FailedPrecondition, match="take the subscription up again"):
            await calls.subscriptions.ReplayFailed(pb.ReplayFailedRequest(request_id=new_id(), subscription_id=own))
        again = pb.UpdateSubscriptionRequest(request_id=new_id(), subscription_id=own, url=f"{url}/good", event_types=["orders.*"])
        assert not (await calls.subscriptions.UpdateSubscription(again)).disabled
        count = (await calls.subscriptions.ReplayFailed(pb.ReplayFailedRequest(request_id=new_id(), subscription_id=own))).notifications
        assert count

        async def nothing_left() -> bool:
            return {one.state for one in await notifications(calls, own)} == {pb.NOTIFICATION_STATE_DELIVERED}

        await eventually(nothing_left)


async def test_receivers_that_misbehave_hold_up_nobody(sqlite_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "TIMEOUT_S", 2.0)
    async with told(sqlite_settings) as (calls, receiver, url):
        bad = [await subscribe(calls, f"{url}/{manners}") for manners in ("hang", "redirect", "garbage")]
        bad.append(await subscribe(calls, "http://127.0.0.1:1/closed"))
        bad.append(await subscribe(calls, "https://nowhere.invalid/hook"))
        good = await subscribe(calls, f"{url}/good", "orders.OrderPlaced")
        for number in range(10):
            placed = await calls.orders.CreateOrder(order(str(number)))
            await ship_all(calls, placed.order_id)
        await eventually(lambda: delivered(calls, good.subscription.subscription_id, 10))
        assert any(not one.attempts for one in await notifications(calls, bad[0].subscription.subscription_id)), (
            "who hangs is still waited for"
        )
        # One that answered too late on a slow machine is told again, under its own id; a redirect that is followed has another.
        assert len({headers["webhook-id"] for headers, _ in receiver.taken}) == 10, "a redirect is not followed"
        for one in bad:
            tried = [n for n in await notifications(calls, one.subscription.subscription_id) if n.attempts]
            assert all(n.state == pb.NOTIFICATION_STATE_PENDING and n.last_result for n in tried)


async def test_private_addresses_are_not_called(sqlite_settings: Settings) -> None:
    strict = sqlite_settings.model_copy(update={"allow_private_targets": False})
    async with told(strict) as (calls, receiver, url):
        for bad in (
            f"{url}/good", "https://127.0.0.1/x", "https://[::1]/x", "https://10.1.2.3/x", "https://169.254.169.254/latest",
            "https://localhost/x", "https://[::ffff:127.0.0.1]/x", "https://user:pass@example.com/x", "ftp://example.com/x", "https://",
            "http://example.com/", "https://example.com:99999/", "https://192.168.0.1/", "nonsense",
        ):  # fmt: skip
            with pytest.raises(InvalidArgument) as refused:
                await subscribe(calls, bad)
            assert refused.value.field == "url"
        # A name that leads inside is found out when it is called.
        created = await subscribe(calls, "https://localtest.argosy.example/hook", "orders.OrderPlaced")
        await calls.orders.CreateOrder(order("1"))

        async def once_tried() -> str:
            found = await notifications(calls, created.subscription.subscription_id)
            return found[0].last_result if found else ""

        assert await eventually(once_tried)
        assert receiver.connections == 0
