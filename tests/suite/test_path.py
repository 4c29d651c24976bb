"""The whole path on real gRPC, NATS and both databases: from set-up to the journal, and back."""

import asyncio

import pytest

from argosy.finance.v1 import finance_service_pb2
from argosy.fulfillment.v1 import fulfillment_service_pb2
from argosy.inventory.v1 import stock_service_pb2
from argosy.ops.v1 import holds_service_pb2
from argosy.orders.v1 import order_pb2, orders_service_pb2
from argosy.returns.v1 import returns_service_pb2
from chassis.kernel.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from gateway.app.prove import prove
from gateway.calls import Calls
from services.orders.domain import holds
from suite.up import running_suite
from tests.builders import eventually, open_shop, order, receive, ship_all, until_released, until_status


async def balances(calls: Calls) -> dict[str, int]:
    answer = await calls.finance.GetTrialBalance(finance_service_pb2.GetTrialBalanceRequest())
    return {row.account: row.balance_minor for row in answer.rows if row.balance_minor}


async def test_an_order_goes_to_the_ledger_and_back(settings: Settings) -> None:
    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 10, "HAM": 5})
        placed = await calls.orders.CreateOrder(order("1001", 12))
        await ship_all(calls, placed.order_id)
        shipped = await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_SHIPPED)
        assert (shipped.lines[0].ordered, shipped.lines[0].shipped, shipped.total_minor) == (12, 12, 14_875)

        line_id = shipped.lines[0].line_id
        asked = await calls.returns.AuthorizeReturn(
            returns_service_pb2.AuthorizeReturnRequest(
                request_id=new_id(), order_id=placed.order_id, location_id="BER",
                lines=[returns_service_pb2.ReturnLineInput(line_id=line_id, quantity=3, reason="BROKEN")],
            )
        )  # fmt: skip
        await calls.returns.ReceiveReturn(
            returns_service_pb2.ReceiveReturnRequest(
                request_id=new_id(), return_id=asked.return_id, lines=[returns_service_pb2.ReceivedLine(line_id=line_id, quantity=2)]
            )
        )
        judged = [
            returns_service_pb2.InspectedLine(line_id=line_id, quantity=1, disposition=returns_service_pb2.DISPOSITION_RESTOCK),
            returns_service_pb2.InspectedLine(line_id=line_id, quantity=1, disposition=returns_service_pb2.DISPOSITION_SCRAP),
        ]
        await calls.returns.InspectReturn(
            returns_service_pb2.InspectReturnRequest(request_id=new_id(), return_id=asked.return_id, lines=judged)
        )

        async def refunded() -> bool:
            found = await calls.returns.GetReturn(returns_service_pb2.GetReturnRequest(return_id=asked.return_id))
            return found.refund_minor == 2 * 1190

        await eventually(refunded)
        proof = await prove(suite.channels, settled=True)
        assert proof.breaks == []
        # 12 units at 4.00 left, 2 came back: one is stock again, one is written off; 2 × 11.90 went back to the customer.
        assert await balances(calls) == {
            "1100": 14_875 - 2380, "1300": 6000 - 4800 + 400, "2200": -(2280 + 95 - 380), "2310": -freight(10, 2),
            "3000": -6000, "4000": -12_000, "4020": -500, "4030": 2000, "5000": 4000, "5100": freight(10, 2), "5300": 400,
        }  # fmt: skip


def freight(*parcels: int) -> int:
    """Parcels of units of 500 g: 3.00 and 1.00 for each kilogram begun."""
    return sum(300 + 100 * -(-units * 500 // 1000) for units in parcels)


async def test_a_short_pick_is_sourced_again(settings: Settings) -> None:
    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 4, "HAM": 4})
        placed = await calls.orders.CreateOrder(order("1002", 3))
        first = (await until_released(calls, placed.order_id))[0]
        line = first.lines[0]
        await calls.fulfillment.ConfirmPick(
            fulfillment_service_pb2.ConfirmPickRequest(
                request_id=new_id(), fulfillment_order_id=first.fulfillment_order_id,
                lines=[fulfillment_service_pb2.PickedLine(line_id=line.line_id, picked=1, shorted=2)],
            )
        )  # fmt: skip

        async def second() -> bool:
            return len(await until_released(calls, placed.order_id)) == 2

        await eventually(second)
        found = await until_released(calls, placed.order_id)
        assert {one.location_id: one.lines[0].quantity for one in found} == {
            first.location_id: 3,
            ({"BER", "HAM"} - {first.location_id}).pop(): 2,
        }
        await ship_all(calls, placed.order_id)
        await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_SHIPPED)
        assert (await prove(suite.channels, settled=True)).breaks == []


async def test_cancelling_at_every_stage_gives_everything_back(settings: Settings) -> None:
    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        item_id = await open_shop(calls, {"BER": 10})
        at_once = await calls.orders.CreateOrder(order("1003", 2))
        await cancel(calls, at_once.order_id)
        released = await calls.orders.CreateOrder(order("1004", 2))
        await until_released(calls, released.order_id)
        await cancel(calls, released.order_id)
        partly = await calls.orders.CreateOrder(order("1005", 4))
        fulfilment = (await until_released(calls, partly.order_id))[0]
        parcel = fulfillment_service_pb2.ConfirmShipmentRequest(request_id=new_id(), fulfillment_order_id=fulfilment.fulfillment_order_id)
        parcel.lines.add(line_id=fulfilment.lines[0].line_id, quantity=1)
        await calls.fulfillment.ConfirmShipment(parcel)
        await until_status(calls, partly.order_id, order_pb2.ORDER_STATUS_PARTIALLY_SHIPPED)
        await cancel(calls, partly.order_id)
        await until_status(calls, partly.order_id, order_pb2.ORDER_STATUS_SHIPPED)
        for order_id in (at_once.order_id, released.order_id):
            await until_status(calls, order_id, order_pb2.ORDER_STATUS_CANCELLED)
        assert (await prove(suite.channels, settled=True)).breaks == []
        answer = await calls.stock.GetAvailability(stock_service_pb2.GetAvailabilityRequest(item_ids=[item_id]))
        assert answer.items[0].available_to_sell == 9
        found = await calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=partly.order_id))
        # 47.60 + 5.95 were paid; a quarter of the units shipped and took its share.
        assert (found.lines[0].shipped, found.lines[0].cancelled, found.refunded_minor) == (1, 3, 5355 - 1190 - 149)
        with pytest.raises(FailedPrecondition, match="return what shipped"):
            await cancel(calls, partly.order_id)


async def cancel(calls: Calls, order_id: str) -> None:
    request = orders_service_pb2.CancelOrderRequest(request_id=new_id(), order_id=order_id, reason="changed my mind")
    await calls.orders.CancelOrder(request)


async def test_what_is_out_of_stock_waits_for_a_person_and_goes_on(settings: Settings) -> None:
    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        item_id = await open_shop(calls, {"BER": 2})
        placed = await calls.orders.CreateOrder(order("1006", 5))
        await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_ON_HOLD)
        hold = (await calls.holds("orders").ListHolds(holds_service_pb2.ListHoldsRequest(service="orders"))).holds[0]
        assert (hold.queue, hold.reason, hold.subject_id) == ("stock", "OUT_OF_STOCK", placed.order_id)
        await receive(calls, item_id, "BER", 3, 1200)
        request = holds_service_pb2.ReleaseHoldRequest(request_id=new_id(), service="orders", hold_id=hold.hold_id, resolution="restocked")
        await calls.holds("orders").ReleaseHold(request)

        async def both() -> bool:
            return len(await until_released(calls, placed.order_id)) == 2

        await eventually(both)
        await ship_all(calls, placed.order_id)
        await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_SHIPPED)
        assert (await prove(suite.channels, settled=True)).breaks == []


async def test_an_unpaid_order_is_reserved_but_not_released_until_it_is_paid(settings: Settings) -> None:
    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 2})
        pending = orders_service_pb2.TenderInput(method="transfer", state=order_pb2.TENDER_STATE_PENDING, amount_minor=1785)
        placed = await calls.orders.CreateOrder(order("1007", tenders=[pending]))
        held = await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_ON_HOLD)

        async def reserved() -> bool:
            found = await calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=placed.order_id))
            return found.lines[0].reserved == 1

        await eventually(reserved)
        request = orders_service_pb2.CaptureTenderRequest(
            request_id=new_id(), order_id=placed.order_id, tender_id=held.tenders[0].tender_id
        )
        await calls.orders.CaptureTender(request)
        await ship_all(calls, placed.order_id)
        await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_SHIPPED)
        assert (await prove(suite.channels, settled=True)).breaks == []


async def test_what_is_not_paid_in_time_is_for_others_and_paid_later_it_is_known_as_that(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(holds.KEPT_S, "payment", 1)
    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        item_id = await open_shop(calls, {"BER": 1})
        pending = orders_service_pb2.TenderInput(method="transfer", state=order_pb2.TENDER_STATE_PENDING, amount_minor=1785)
        unpaid = (await calls.orders.CreateOrder(order("1008", tenders=[pending]))).order_id

        async def given_back() -> bool:
            told = await calls.orders.ListHistory(orders_service_pb2.ListHistoryRequest(order_id=unpaid))
            return [one.kind for one in told.entries][-2:] == ["RESERVED", "GIVEN_BACK"]

        await eventually(given_back)
        held = await until_status(calls, unpaid, order_pb2.ORDER_STATUS_ON_HOLD)
        assert (held.lines[0].reserved, held.lines[0].waiting) == (0, 1)
        faster = (await calls.orders.CreateOrder(order("1009"))).order_id
        await ship_all(calls, faster)
        request = orders_service_pb2.CaptureTenderRequest(request_id=new_id(), order_id=unpaid, tender_id=held.tenders[0].tender_id)
        await calls.orders.CaptureTender(request)

        async def waits() -> holds_service_pb2.Hold | None:
            listed = await calls.holds("orders").ListHolds(holds_service_pb2.ListHoldsRequest(service="orders", queue="payment"))
            return next((one for one in listed.holds if one.reason == "PAID_NO_STOCK"), None)

        hold = await eventually(waits)
        await receive(calls, item_id, "BER", 1, 400)
        again = holds_service_pb2.ReleaseHoldRequest(request_id=new_id(), service="orders", hold_id=hold.hold_id, resolution="restocked")
        await calls.holds("orders").ReleaseHold(again)
        await ship_all(calls, unpaid)
        for order_id in (unpaid, faster):
            await until_status(calls, order_id, order_pb2.ORDER_STATUS_SHIPPED)
        assert (await prove(suite.channels, settled=True)).breaks == []


async def test_the_same_order_fifty_times_at_once_is_one(settings: Settings) -> None:
    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 100})
        same = order("1008")
        answers = await asyncio.gather(*(calls.orders.CreateOrder(same) for _ in range(50)))
        others = [order("1008") for _ in range(50)]
        answers += await asyncio.gather(*(calls.orders.CreateOrder(one) for one in others))
        assert len({answer.order_id for answer in answers}) == 1
        same.shipping_minor = 1
        with pytest.raises(FailedPrecondition) as reused:
            await calls.orders.CreateOrder(same)
        assert reused.value.reason == "IDEMPOTENCY_KEY_REUSED"
        with pytest.raises(AlreadyExists) as differs:
            await calls.orders.CreateOrder(order("1008", 2))
        assert differs.value.reason == "ORDER_EXISTS"


async def test_bad_input_names_the_field_and_writes_nothing(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        for change, field in (
            ({"channel_id": ""}, "channel_id"), ({"currency_code": "euro"}, "currency_code"), ({"lines": []}, "lines"),
            ({"external_order_id": "a\x00b"}, "external_order_id"), ({"request_id": "short"}, "request_id"),
            ({"shipping_minor": -1}, "shipping_minor"), ({"discount_minor": 99_999}, "discount_minor"),
            ({"lines": [orders_service_pb2.OrderLineInput(channel_sku="A", quantity=0)]}, "lines[0].quantity"),
        ):  # fmt: skip
            with pytest.raises(InvalidArgument) as refused:
                await calls.orders.CreateOrder(order("1009", **change))
            assert refused.value.field == field
        assert not (await calls.orders.ListOrders(orders_service_pb2.ListOrdersRequest())).orders
