"""What a payment provider says by itself: doubled, late, before the order, out of order; each changes what it changes once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from argosy.gateway.v1 import connections_service_pb2, deliveries_service_pb2
from argosy.ops.v1 import holds_service_pb2
from argosy.orders.v1 import order_pb2, orders_service_pb2
from chassis.kernel.clock import DAY, to_timestamp
from chassis.kernel.ids import new_id
from chassis.runtime.host import wall_clock
from chassis.runtime.settings import Settings
from gateway.app.prove import prove
from gateway.calls import Calls
from suite.up import running_suite
from tests.builders import eventually, open_shop, ship_all, until_released, until_status
from tests.listener import listening
from tests.suite.provider_simulator import ENDPOINT_SECRET, SECRET, Bank, signed
from tests.suite.test_provider import authorised, tender_of, until_state

PENDING, AUTHORISED, CAPTURED, VOIDED = (
    order_pb2.TENDER_STATE_PENDING, order_pb2.TENDER_STATE_AUTHORISED, order_pb2.TENDER_STATE_CAPTURED, order_pb2.TENDER_STATE_VOIDED,
)  # fmt: skip


class Shop:
    """A suite, its provider, and the provider's way to it."""

    def __init__(self, calls: Calls, bank: Bank, http: httpx.AsyncClient) -> None:
        self.calls = calls
        self.bank = bank
        self.http = http

    async def tell(self, event: dict[str, Any], times: int = 1, **how: Any) -> int:
        """Lets the provider say something so often; returns the last status."""
        status = 0
        for _ in range(times):
            body, headers = signed(event, **how)
            status = (await self.http.post("/webhooks/bank", content=body, headers=headers)).status_code
        return status

    async def read(self) -> None:
        """Waits until all that the provider said is recorded."""

        async def look() -> bool:
            found = (await self.calls.deliveries.ListDeliveries(deliveries_service_pb2.ListDeliveriesRequest(channel_id="bank"))).deliveries
            return all(one.state == deliveries_service_pb2.DELIVERY_STATE_DONE for one in found)

        await eventually(look)

    async def holds(self) -> list[holds_service_pb2.Hold]:
        """Returns the open holds of orders, once all is recorded."""
        await self.read()
        return list((await self.calls.holds("orders").ListHolds(holds_service_pb2.ListHoldsRequest(service="orders"))).holds)


def reasons(holds: list[holds_service_pb2.Hold]) -> list[str]:
    return sorted(one.reason for one in holds)


@asynccontextmanager
async def shop(settings: Settings) -> AsyncIterator[Shop]:
    bank = Bank()
    async with listening(bank.app()) as url:
        asking = settings.model_copy(update={"payment_provider_url": url, "payment_provider_secret": SECRET})
        async with running_suite(asking) as suite:
            calls = Calls(suite.channels)
            await open_shop(calls, {"BER": 20})
            connection = connections_service_pb2.SetConnectionRequest(
                request_id=new_id(), channel_id="bank", dialect=connections_service_pb2.DIALECT_PAYMENTS, entity="DE01",
                secret=ENDPOINT_SECRET,
            )  # fmt: skip
            await calls.connections.SetConnection(connection)
            async with httpx.AsyncClient(base_url=f"http://{settings.host}:{settings.http_port}", timeout=20) as http:
                yield Shop(calls, bank, http)
            assert (await prove(suite.channels, settled=True)).breaks == []


def pending(bank: Bank, number: str) -> orders_service_pb2.CreateOrderRequest:
    """Returns an order whose customer still has to confirm the payment."""
    placed = authorised(bank, number, 1)
    placed.tenders[0].state = PENDING
    return placed


async def test_an_order_waits_until_the_provider_says_that_it_can_be_paid_and_captures_are_counted_once(settings: Settings) -> None:
    async with shop(settings) as own:
        # Faster than the order, and twice.
        bank, calls = own.bank, own.calls
        bank.authorise("W-1", 1785)
        assert await own.tell(bank.event("payment_intent.amount_capturable_updated", "W-1"), 2) == 200
        placed = await calls.orders.CreateOrder(pending(bank, "W-1"))
        await until_released(calls, placed.order_id)
        assert (await tender_of(calls, placed.order_id)).state == AUTHORISED
        assert await own.holds() == []
        # What we take ourselves is told too, before or after its answer.
        bank.moods = ["done, slowly"]
        await ship_all(calls, placed.order_id)

        async def taken() -> bool:
            return bank.payments["W-1"].taken > 0

        await eventually(taken)
        await own.tell(bank.event("payment_intent.succeeded", "W-1"), 3)
        done = await until_state(calls, placed.order_id, CAPTURED)
        assert (done.captured_minor, done.capturing_minor) == (1785, 0)
        # What was said before and comes late changes nothing.
        late = bank.event("payment_intent.amount_capturable_updated", "W-1", amount_capturable=1785)
        await own.tell(late)
        await own.tell(bank.event("payment_intent.canceled", "W-1"))

        await own.read()
        assert (await tender_of(calls, placed.order_id)) == done


async def test_what_is_done_at_the_provider_by_hand_is_recorded_or_held(sqlite_settings: Settings) -> None:
    async with shop(sqlite_settings) as own:
        bank, calls = own.bank, own.calls
        placed = await calls.orders.CreateOrder(authorised(bank, "W-1", 1))
        await until_released(calls, placed.order_id)
        # Somebody takes the money by hand before anything leaves.
        bank.payments["W-1"].taken = 1785
        await own.tell(bank.event("payment_intent.succeeded", "W-1"))
        await until_state(calls, placed.order_id, CAPTURED)
        await ship_all(calls, placed.order_id)
        await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_SHIPPED)
        # And gives some back by hand.
        bank.payments["W-1"].given_back = 500
        await own.tell(bank.event("charge.refunded", "W-1"), 2)
        (hold,) = await own.holds()
        assert hold.reason == "REFUND_MISMATCH"
        assert "€5.00 back that nobody asked for here" in hold.detail
        # The customer has their bank undo it; the dispute is won.
        await own.tell(bank.event("charge.dispute.created", "W-1", object="dispute", reason="product_not_received"), 2)
        holds = await own.holds()
        assert reasons(holds) == ["CHARGEBACK", "REFUND_MISMATCH"]
        assert any("disputes €17.85: product_not_received" in one.detail for one in holds)
        await own.tell(bank.event("charge.dispute.closed", "W-1", object="dispute", status="won"))
        assert reasons(await own.holds()) == ["REFUND_MISMATCH"]
        await own.tell(bank.event("charge.dispute.closed", "W-1", object="dispute", status="lost"))
        holds = await own.holds()
        assert reasons(holds) == ["CHARGEBACK", "REFUND_MISMATCH"]
        assert any("was lost" in one.detail for one in holds)


async def test_an_authorisation_that_goes_while_goods_are_to_ship_is_a_hold(sqlite_settings: Settings) -> None:
    async with shop(sqlite_settings) as own:
        bank, calls = own.bank, own.calls
        failed = await calls.orders.CreateOrder(pending(bank, "W-1"))
        gone = await calls.orders.CreateOrder(authorised(bank, "W-2", 1))
        await until_released(calls, gone.order_id)
        await own.tell(bank.event("payment_intent.payment_failed", "W-1", last_payment_error={"message": "insufficient funds"}))
        await until_state(calls, failed.order_id, VOIDED)
        await own.tell(bank.event("payment_intent.canceled", "W-2", cancellation_reason="automatic"))
        await until_state(calls, gone.order_id, VOIDED)
        holds = await own.holds()
        assert reasons(holds) == ["AUTH_EXPIRED", "AWAITING_PAYMENT"]
        assert any("its authorisation is gone: automatic" in one.detail for one in holds)
        # What is let go by us, as it is cancelled, is no news.
        away = await calls.orders.CreateOrder(authorised(bank, "W-3", 1))
        await until_released(calls, away.order_id)
        cancel = orders_service_pb2.CancelOrderRequest(request_id=new_id(), order_id=away.order_id, reason="not wanted")
        await calls.orders.CancelOrder(cancel)
        await until_state(calls, away.order_id, VOIDED)
        await own.tell(bank.event("payment_intent.canceled", "W-3"))
        assert reasons(await own.holds()) == ["AUTH_EXPIRED", "AWAITING_PAYMENT"]


async def test_what_is_let_go_because_it_is_renewed_is_no_news(sqlite_settings: Settings) -> None:
    async with shop(sqlite_settings) as own:
        # The provider renews, does not say so, and tells that the payment before is gone.
        bank, calls = own.bank, own.calls
        bank.moods = ["done, not said"]
        placed = await calls.orders.CreateOrder(authorised(bank, "W-1", 1, expires_at=to_timestamp(wall_clock() + DAY // 2)))

        async def gone() -> bool:
            return bank.payments["W-1"].let_go

        await eventually(gone, 90)
        await own.tell(bank.event("payment_intent.canceled", "W-1"))
        await own.read()

        async def renewed() -> bool:
            found = await tender_of(calls, placed.order_id)
            return (found.reference, found.state) == ("W-1+", AUTHORISED)

        await eventually(renewed, 90)
        await own.tell(bank.event("payment_intent.canceled", "W-1"), 2)
        assert await own.holds() == []
        assert (await tender_of(calls, placed.order_id)).state == AUTHORISED


async def test_what_is_not_signed_or_signed_long_ago_is_refused_and_the_rest_is_not_ours(sqlite_settings: Settings) -> None:
    async with shop(sqlite_settings) as own:
        bank = own.bank
        bank.authorise("W-1", 100)
        event = bank.event("payment_intent.succeeded", "W-1")
        assert await own.tell(event, secret="another") == 401
        assert await own.tell(event, seconds_ago=3600) == 401
        body, _ = signed(event)
        for header in ("", "t=,v1=", "t=1", "nonsense", "v1=0"):
            assert (await own.http.post("/webhooks/bank", content=body, headers={"stripe-signature": header})).status_code in (400, 401)
        assert await own.tell({"id": "evt_x", "type": "customer.created", "data": {"object": {}}}) == 200
        nonsense = {"payment_intent": "W-1", "currency": "eur", "amount_refunded": "much"}
        assert await own.tell({"id": "evt_y", "type": "charge.refunded", "data": {"object": nonsense}}) == 200

        async def read() -> set[int] | None:
            found = (await own.calls.deliveries.ListDeliveries(deliveries_service_pb2.ListDeliveriesRequest())).deliveries
            states = {int(one.state) for one in found}
            return states if deliveries_service_pb2.DELIVERY_STATE_RECEIVED not in states else None

        assert await eventually(read) == {
            deliveries_service_pb2.DELIVERY_STATE_UNREADABLE, deliveries_service_pb2.DELIVERY_STATE_IGNORED,
        }  # fmt: skip
