"""Orders that wait with what is reserved for them are sourced again, together, before they are released."""

import pytest

from argosy.fulfillment.v1 import promise_service_pb2
from argosy.ops.v1 import holds_service_pb2
from argosy.orders.v1 import order_pb2, orders_service_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from gateway.app.prove import prove
from gateway.calls import Calls
from services.orders.process import fulfil_order
from suite.up import running_suite
from tests.builders import eventually, open_shop, order, ship_all, until_released, until_status


async def holds(calls: Calls, count: int) -> list[holds_service_pb2.Hold]:
    async def look() -> list[holds_service_pb2.Hold] | None:
        found = list((await calls.holds("orders").ListHolds(holds_service_pb2.ListHoldsRequest(service="orders"))).holds)
        return found if len(found) == count else None

    return await eventually(look)  # type: ignore[no-any-return]


async def until_reserved(calls: Calls, order_id: str) -> None:
    async def look() -> bool:
        found = await calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=order_id))
        return all(line.reserved == line.ordered for line in found.lines)

    await eventually(look)


async def surcharge(calls: Calls, location_id: str, minor: int) -> None:
    """Says what parcels from a location cost more."""
    lane = promise_service_pb2.SetLaneRequest(request_id=new_id(), location_id=location_id, currency_code="EUR", surcharge_minor=minor)
    await calls.promises.SetLane(lane)


async def test_what_was_let_go_together_ships_from_where_it_costs_least_by_then(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 9, "HAM": 2})
        await surcharge(calls, "HAM", 100)
        # Nobody has paid: the orders wait, with what is reserved for them.
        ids = [(await calls.orders.CreateOrder(order(f"W-{number}", 2, paid=False))).order_id for number in range(3)]
        waiting = await holds(calls, 3)
        for order_id in ids:
            await until_reserved(calls, order_id)
        # Meanwhile parcels from Berlin become dear, and there is no waiting for an hour here.
        await surcharge(calls, "BER", 500)
        monkeypatch.setattr(fulfil_order, "SOURCE_AGAIN_AFTER", 0)
        for hold in waiting:
            await calls.holds("orders").ReleaseHold(
                holds_service_pb2.ReleaseHoldRequest(request_id=new_id(), service="orders", hold_id=hold.hold_id, resolution="will pay")
            )
        places = [[one.location_id for one in await until_released(calls, order_id)] for order_id in ids]
        # Hamburg has enough for one of them.
        assert sorted(places) == [["BER"], ["BER"], ["HAM"]]
        moved = ids[places.index(["HAM"])]
        timeline = await calls.orders.GetTimeline(orders_service_pb2.GetTimelineRequest(order_id=moved))
        assert [one.text for one in timeline.entries if one.kind == "MOVED"] == ["Moved: 2 units from BER to HAM"]
        for order_id in ids:
            await ship_all(calls, order_id)
            await until_status(calls, order_id, order_pb2.ORDER_STATUS_SHIPPED)
        assert (await prove(suite.channels, settled=True)).breaks == []
