"""What lists and figures say, on both databases: filters, balances after each movement, counts by due time and by hour."""

import time
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from argosy.finance.v1 import finance_service_pb2
from argosy.fulfillment.v1 import fulfillment_pb2, fulfillment_service_pb2
from argosy.inventory.v1 import stock_pb2, stock_service_pb2
from argosy.ops.v1 import holds_service_pb2
from argosy.orders.v1 import order_pb2, orders_service_pb2
from chassis.kernel.errors import Aborted
from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from gateway.calls import Calls
from suite.up import running_suite
from tests.builders import eventually, open_shop, order, publish_item, ship_all, until_released, until_status


def adjust(item_id: str, quantity: int, expected: int | None = None) -> stock_service_pb2.AdjustStockRequest:
    return stock_service_pb2.AdjustStockRequest(
        request_id=new_id(), location_id="BER", item_id=item_id, state=stock_pb2.STOCK_STATE_AVAILABLE, quantity=quantity, reason="counted",
        expected_quantity=expected,
    )  # fmt: skip


async def test_an_items_ledger_and_who_corrects_it(settings: Settings) -> None:
    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        item_id = await open_shop(calls, {"BER": 10, "HAM": 5})
        await calls.stock.AdjustStock(adjust(item_id, -3, expected=10))
        with pytest.raises(Aborted) as late:
            await calls.stock.AdjustStock(adjust(item_id, -3, expected=10))
        assert (late.value.reason, late.value.metadata["there"]) == ("BALANCE_CHANGED", "7")
        await calls.stock.AdjustStock(adjust(item_id, 1))
        await calls.orders.CreateOrder(order("1", 2))

        async def reserved() -> list[stock_pb2.Movement] | None:
            found = (await calls.stock.ListMovements(stock_service_pb2.ListMovementsRequest(item_id=item_id))).movements
            return list(found) if any(one.to_state == stock_pb2.STOCK_STATE_ALLOCATED for one in found) else None

        after = [one.on_hand_after for one in await eventually(reserved)]
        assert after[:5] == [13, 13, 13, 12, 15], "a reservation leaves what is on hand"
        # The same, page by page and at one location.
        paged, token = [], ""
        while True:
            request = stock_service_pb2.ListMovementsRequest(item_id=item_id, page_size=2, page_token=token)
            answer = await calls.stock.ListMovements(request)
            paged += [one.on_hand_after for one in answer.movements]
            token = answer.next_page_token
            if not token:
                break
        assert paged == after
        ham = await calls.stock.ListMovements(stock_service_pb2.ListMovementsRequest(item_id=item_id, location_id="HAM"))
        assert ham.movements[-1].on_hand_after == 5
        await publish_item(calls, "MUG-2")

        async def figures() -> bool:
            found = await calls.stock.GetStockFigures(stock_service_pb2.GetStockFiguresRequest())
            return (found.items, found.sold_out) == (2, 1)

        await eventually(figures)
        only = await calls.stock.ListBalances(stock_service_pb2.ListBalancesRequest(item_ids=[item_id]))
        assert {one.item_id for one in only.balances} == {item_id}


async def test_orders_holds_and_entries_are_found(settings: Settings) -> None:
    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 10})
        started = int(time.time())
        first = await calls.orders.CreateOrder(order("A-1"))
        await calls.orders.CreateOrder(order("A-2", paid=False))
        await ship_all(calls, first.order_id)
        await until_status(calls, first.order_id, order_pb2.ORDER_STATUS_SHIPPED)

        async def numbers(**filters: object) -> list[str]:
            answer = await calls.orders.ListOrders(orders_service_pb2.ListOrdersRequest(**filters))  # type: ignore[arg-type]
            return [one.external_order_id for one in answer.orders]

        assert await numbers(external_order_id="A-1") == ["A-1"]
        assert await numbers(channel_id="web", status=order_pb2.ORDER_STATUS_SHIPPED) == ["A-1"]
        assert await numbers(created_from=Timestamp(seconds=started - 1)) == ["A-2", "A-1"]
        assert await numbers(created_from=Timestamp(seconds=started + 3600)) == []
        assert await numbers(created_before=Timestamp(seconds=started - 1)) == []
        figures = await calls.orders.GetFigures(orders_service_pb2.GetFiguresRequest())
        assert len(figures.hours) == 24
        assert sum(one.taken for one in figures.hours) == 2

        async def waits() -> holds_service_pb2.GetHoldFiguresResponse | None:
            found = await calls.holds("orders").GetHoldFigures(holds_service_pb2.GetHoldFiguresRequest(service="orders"))
            return found if found.queues else None

        [queue] = (await eventually(waits)).queues
        assert (queue.queue, queue.overdue, queue.within_hour, queue.within_four_hours + queue.later) == ("payment", 0, 0, 1)
        await _entries(calls)


async def _entries(calls: Calls) -> None:
    async def booked() -> list[finance_service_pb2.Entry] | None:
        found = (await calls.finance.ListEntries(finance_service_pb2.ListEntriesRequest(account="4000"))).entries
        return list(found) or None

    [sale] = await eventually(booked)
    assert all(any(line.account == "4000" for line in entry.lines) for entry in [sale])
    same = await calls.finance.ListEntries(finance_service_pb2.ListEntriesRequest(event_id=sale.event_id))
    assert sale.entry_id in {entry.entry_id for entry in same.entries}
    none = await calls.finance.ListEntries(finance_service_pb2.ListEntriesRequest(account="4000", order_id="another"))
    assert not none.entries


async def test_of_two_who_work_on_one_parcel_the_second_is_told(settings: Settings) -> None:
    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 10})
        placed = await calls.orders.CreateOrder(order("1", 4))
        [work] = await until_released(calls, placed.order_id)

        def parcel() -> fulfillment_service_pb2.ConfirmShipmentRequest:
            request = fulfillment_service_pb2.ConfirmShipmentRequest(
                request_id=new_id(), fulfillment_order_id=work.fulfillment_order_id, etag=work.etag
            )
            request.lines.add(line_id=work.lines[0].line_id, quantity=1)
            return request

        batch = fulfillment_service_pb2.BatchConfirmShipmentRequest(requests=[parcel(), parcel()])
        first, second = (await calls.fulfillment.BatchConfirmShipment(batch)).results
        assert first.HasField("response") and second.error.message.startswith("somebody changed it")
        with pytest.raises(Aborted):
            await calls.fulfillment.ConfirmPick(
                fulfillment_service_pb2.ConfirmPickRequest(
                    request_id=new_id(), fulfillment_order_id=work.fulfillment_order_id, etag=work.etag,
                    lines=[fulfillment_service_pb2.PickedLine(line_id=work.lines[0].line_id, picked=1)],
                )
            )  # fmt: skip


async def test_how_orders_flowed_is_counted_when_they_end_each_once(settings: Settings) -> None:
    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 20})

        async def placed(number: str, quantity: int = 1, **values: Any) -> str:
            return (await calls.orders.CreateOrder(order(number, quantity, **values))).order_id

        async def shipped(order_id: str) -> None:
            await until_released(calls, order_id)
            await ship_all(calls, order_id)
            await until_status(calls, order_id, order_pb2.ORDER_STATUS_SHIPPED)

        async def flow(**asked: Any) -> orders_service_pb2.FlowFigures:
            return await calls.orders.GetFlowFigures(orders_service_pb2.GetFlowFiguresRequest(**asked))

        nothing = await flow()
        assert (nothing.days, nothing.whole.ended, list(nothing.channels)) == (28, 0, [])
        # One that needs nobody, in two parcels; one that waits for money that came late; one that is cancelled; one that stays.
        plain = await placed("F-1", 2)
        (own,) = await until_released(calls, plain)
        for _ in range(2):
            await calls.fulfillment.ConfirmShipment(
                fulfillment_service_pb2.ConfirmShipmentRequest(
                    request_id=new_id(), fulfillment_order_id=own.fulfillment_order_id, carrier="PARCELCO",
                    lines=[fulfillment_pb2.ParcelLine(line_id=own.lines[0].line_id, quantity=1)],
                )
            )  # fmt: skip
        await until_status(calls, plain, order_pb2.ORDER_STATUS_SHIPPED)
        unpaid = await placed("F-2", paid=False)
        await until_status(calls, unpaid, order_pb2.ORDER_STATUS_ON_HOLD)
        total = (await calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=unpaid))).total_minor
        late = orders_service_pb2.TenderInput(method="card", state=order_pb2.TENDER_STATE_CAPTURED, amount_minor=total)
        await calls.orders.AddTender(orders_service_pb2.AddTenderRequest(request_id=new_id(), order_id=unpaid, tender=late))
        await shipped(unpaid)
        cancelled = await placed("F-3")
        await until_released(calls, cancelled)
        await calls.orders.CancelOrder(orders_service_pb2.CancelOrderRequest(request_id=new_id(), order_id=cancelled, reason="a test"))
        await until_status(calls, cancelled, order_pb2.ORDER_STATUS_CANCELLED)
        await until_status(calls, await placed("F-4", paid=False), order_pb2.ORDER_STATUS_ON_HOLD)
        found = await flow(days=1)
        whole = found.whole
        assert (whole.ended, whole.shipped, whole.touchless, whole.held, whole.changed) == (3, 2, 1, 1, 0)
        assert (whole.cancelled, whole.split, whole.waiting) == (1, 1, 1)
        assert (whole.to_warehouse.orders, whole.to_shipped.orders, whole.backlog.orders) == (2, 2, 1)
        assert whole.to_warehouse.p50_s <= whole.to_warehouse.p95_s <= whole.to_shipped.p95_s
        (own_channel,) = found.channels
        assert own_channel.channel_id == "web" and own_channel.ended == 3
        assert (await flow(channel_id="other")).whole.ended == 0
