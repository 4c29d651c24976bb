"""A recall in the whole suite: an order that had reserved of the lot is promised another, and ships that."""

from argosy.inventory.v1 import lots_service_pb2, stock_pb2, stock_service_pb2
from argosy.orders.v1 import order_pb2, orders_service_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from gateway.app.prove import prove
from gateway.calls import Calls
from suite.up import running_suite
from tests.builders import eventually, open_shop, order, publish_item, receive, ship_all, until_status
from tests.service.stockroom import day

LOT = 2
RESERVED, QUARANTINE = stock_pb2.STOCK_STATE_RESERVED, stock_pb2.STOCK_STATE_QUARANTINE


async def stock_of(calls: Calls, item_id: str) -> dict[tuple[str, int], int]:
    found = (await calls.stock.ListBalances(stock_service_pb2.ListBalancesRequest(item_id=item_id))).balances
    return {(one.lot, one.state): one.quantity for one in found if one.quantity}


async def test_an_order_that_reserved_of_a_recalled_lot_ships_another(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 1})
        milk = await publish_item(calls, "MILK-1", tracking=LOT, expires=True)
        await receive(calls, milk, "BER", 2, 200, lot="SOON", expires_on=day(20))
        await receive(calls, milk, "BER", 5, 500, lot="LATE", expires_on=day(60))
        # It waits for its payment, with what expires first.
        placed = await calls.orders.CreateOrder(order("W-1", quantity=2, paid=False, sku="MILK-1"))
        await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_ON_HOLD)

        async def reserved(lot: str) -> bool:
            return (await stock_of(calls, milk)).get((lot, RESERVED)) == 2

        await eventually(lambda: reserved("SOON"))
        request = lots_service_pb2.RecallLotRequest(request_id=new_id(), item_id=milk, lot="SOON", reason="salmonella")
        assert (await calls.lots.RecallLot(request)).blocked == 2
        await eventually(lambda: reserved("LATE"))
        assert (await stock_of(calls, milk))["SOON", QUARANTINE] == 2
        timeline = await calls.orders.GetTimeline(orders_service_pb2.GetTimelineRequest(order_id=placed.order_id))
        assert any("its stock was taken away for lot SOON is blocked" in one.text for one in timeline.story), timeline.story

        tender = orders_service_pb2.TenderInput(method="card", state=order_pb2.TENDER_STATE_CAPTURED, amount_minor=2975)
        await calls.orders.AddTender(orders_service_pb2.AddTenderRequest(request_id=new_id(), order_id=placed.order_id, tender=tender))
        await ship_all(calls, placed.order_id)
        await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_SHIPPED)

        async def went_to() -> list[str]:
            traced = await calls.lots.TraceLot(lots_service_pb2.TraceLotRequest(item_id=milk, lot="LATE"))
            return [one.order_id for one in traced.issues]

        # Orders and inventory hear of the shipment each by itself.
        await eventually(went_to)
        assert await went_to() == [placed.order_id]
        proof = await prove(calls.channels, settled=True)
        assert not proof.breaks, proof.breaks
