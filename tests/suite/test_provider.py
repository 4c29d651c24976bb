"""Money through a provider in the whole suite: taken as parcels leave, let go, renewed and given back, each exactly once."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from argosy.fulfillment.v1 import fulfillment_pb2, fulfillment_service_pb2
from argosy.ops.v1 import holds_service_pb2
from argosy.orders.v1 import order_pb2, orders_service_pb2
from chassis.kernel.clock import DAY, to_timestamp
from chassis.kernel.ids import new_id
from chassis.runtime.host import wall_clock
from chassis.runtime.settings import Settings
from gateway.app.prove import prove
from gateway.calls import Calls
from suite.up import running_suite
from tests.builders import eventually, open_shop, order, ship_all, until_released, until_status
from tests.listener import listening
from tests.suite.provider_simulator import SECRET, Bank, Payment

AUTHORISED, CAPTURED, VOIDED = (
    order_pb2.TENDER_STATE_AUTHORISED, order_pb2.TENDER_STATE_CAPTURED, order_pb2.TENDER_STATE_VOIDED,
)  # fmt: skip


@pytest.fixture
async def bank(sqlite_settings: Settings) -> AsyncIterator[Bank]:
    """A provider that the suite asks."""
    found = Bank()
    async with listening(found.app()) as url:
        sqlite_settings.payment_provider_url, sqlite_settings.payment_provider_secret = url, SECRET
        yield found


def authorised(bank: Bank, number: str, quantity: int, **tender: Any) -> orders_service_pb2.CreateOrderRequest:
    """Returns an order whose payment is authorised, not taken."""
    net = 1000 * quantity
    total = net + net * 19 // 100 + 595
    given = orders_service_pb2.TenderInput(
        method="card", state=AUTHORISED, amount_minor=total, reference=bank.authorise(number, total),
        adapter=order_pb2.PAYMENT_ADAPTER_PROVIDER, **tender,
    )  # fmt: skip
    return order(number, quantity, tenders=[given])


async def tender_of(calls: Calls, order_id: str) -> order_pb2.Tender:
    return (await calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=order_id))).tenders[0]


async def until_state(calls: Calls, order_id: str, state: int) -> order_pb2.Tender:
    async def look() -> order_pb2.Tender | None:
        found = await tender_of(calls, order_id)
        return found if found.state == state else None

    return await eventually(look)  # type: ignore[no-any-return]


async def ship_one(calls: Calls, order_id: str) -> None:
    (one,) = await until_released(calls, order_id)
    part = fulfillment_pb2.ParcelLine(line_id=one.lines[0].line_id, quantity=1)
    request = fulfillment_service_pb2.ConfirmShipmentRequest(
        request_id=new_id(), fulfillment_order_id=one.fulfillment_order_id, lines=[part]
    )
    await calls.fulfillment.ConfirmShipment(request)


async def test_money_is_taken_as_parcels_leave_once_whatever_the_provider_says(bank: Bank, sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 10})
        bank.moods = ["done, not said", "away", "done, slowly", "garbage", "done, not said"]
        placed = await calls.orders.CreateOrder(authorised(bank, "W-1", 2))
        await ship_one(calls, placed.order_id)

        async def half() -> bool:
            return (await tender_of(calls, placed.order_id)).captured_minor > 0

        await eventually(half, 60)
        first = bank.payments["W-1"].taken
        assert 0 < first < 2975
        await ship_all(calls, placed.order_id)
        done = await until_state(calls, placed.order_id, CAPTURED)
        assert (done.captured_minor, done.capturing_minor) == (2975, 0)
        assert bank.payments["W-1"] == Payment(2975, taken=2975)
        assert bank.calls > len(bank.answered) == 2

        # A return goes back to where the money came from, once.
        bank.moods = ["done, not said"]
        found = await calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=placed.order_id))
        line = orders_service_pb2.LineQuantity(line_id=found.lines[0].line_id, quantity=1)
        request = orders_service_pb2.RefundOrderRequest(
            request_id=new_id(), order_id=placed.order_id, return_id="r", lines=[line], reason="broken"
        )
        refund = await calls.orders.RefundOrder(request)

        async def paid() -> bool:
            return (await tender_of(calls, placed.order_id)).refunded_minor == refund.amount_minor

        await eventually(paid, 60)
        assert bank.payments["W-1"].given_back == refund.amount_minor == 1190
        proof = await prove(calls.channels, settled=True)
        assert not proof.breaks


async def test_what_is_not_shipped_is_let_go(bank: Bank, sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 10})
        placed = await calls.orders.CreateOrder(authorised(bank, "W-1", 2))
        await until_released(calls, placed.order_id)
        cancel = orders_service_pb2.CancelOrderRequest(request_id=new_id(), order_id=placed.order_id, reason="changed my mind")
        await calls.orders.CancelOrder(cancel)
        assert (await until_state(calls, placed.order_id, VOIDED)).captured_minor == 0
        assert bank.payments["W-1"] == Payment(2975, let_go=True)

        # Of what ships in part, the rest is let go after the last parcel was paid.
        other = await calls.orders.CreateOrder(authorised(bank, "W-2", 2))
        await ship_one(calls, other.order_id)
        await calls.orders.CancelOrder(
            orders_service_pb2.CancelOrderRequest(request_id=new_id(), order_id=other.order_id, reason="one is enough")
        )
        done = await until_state(calls, other.order_id, CAPTURED)
        assert bank.payments["W-2"].let_go
        assert bank.payments["W-2"].taken == done.captured_minor < 2975
        proof = await prove(calls.channels, settled=True)
        assert not proof.breaks


async def test_a_declined_capture_is_held_and_tried_again_when_somebody_says_so(bank: Bank, sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 10})
        placed = await calls.orders.CreateOrder(authorised(bank, "W-1", 1))
        bank.payments["W-1"].let_go = True
        await ship_all(calls, placed.order_id)

        async def held() -> holds_service_pb2.Hold | None:
            found = (await calls.holds("orders").ListHolds(holds_service_pb2.ListHoldsRequest(service="orders"))).holds
            return found[0] if found else None

        hold = await eventually(held)
        assert (hold.reason, hold.queue, hold.subject_type) == ("CAPTURE_FAILED", "payment", "payment")
        assert "charge_expired" in hold.detail
        bank.payments["W-1"].let_go = False
        release = holds_service_pb2.ReleaseHoldRequest(
            request_id=new_id(), service="orders", hold_id=hold.hold_id, resolution="the bank was called"
        )
        await calls.holds("orders").ReleaseHold(release)
        await until_state(calls, placed.order_id, CAPTURED)
        assert bank.payments["W-1"].taken == 1785
        await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_SHIPPED)
        proof = await prove(calls.channels, settled=True)
        assert not proof.breaks


async def test_an_authorisation_is_renewed_before_it_ends(bank: Bank, sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 10})
        soon = to_timestamp(wall_clock() + DAY // 2)
        placed = await calls.orders.CreateOrder(authorised(bank, "W-1", 1, expires_at=soon))
        await until_released(calls, placed.order_id)

        async def renewed() -> bool:
            return (await tender_of(calls, placed.order_id)).reference == "W-1+"

        await eventually(renewed, 90)
        assert bank.payments["W-1"].let_go
        await ship_all(calls, placed.order_id)
        await until_state(calls, placed.order_id, CAPTURED)
        assert bank.payments["W-1+"] == Payment(1785, taken=1785)
