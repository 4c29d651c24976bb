"""Goods that warehouses of others take in: what suppliers send them, and what customers send back."""

import pytest

from argosy.gateway.v1 import connections_service_pb2, deliveries_service_pb2
from argosy.inventory.v1 import purchasing_service_pb2, stock_pb2, stock_service_pb2
from argosy.orders.v1 import order_pb2
from argosy.returns.v1 import returns_service_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from gateway.app import publications, warehouses
from tests.builders import eventually, until_status
from tests.suite.test_warehouses_of_others import ORDER, TAKEN, House, house
from tests.suite.warehouse_simulators import ShipBob, ShipHero

AVAILABLE = stock_pb2.STOCK_STATE_AVAILABLE


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was told in vain is told again at once."""
    monkeypatch.setattr(publications, "PAUSE_US", 50_000)


async def bought(own: House, number: str, location_id: str = "3PL") -> purchasing_service_pb2.PurchaseOrder:
    """Orders ten mugs of a supplier, to be sent to the warehouse."""
    items = (await own.calls.stock.ListBalances(stock_service_pb2.ListBalancesRequest(location_id="3PL"))).balances
    await own.calls.purchasing.SetSupplier(
        purchasing_service_pb2.SetSupplierRequest(request_id=new_id(), supplier_id="KILN", name="Kiln", currency_code="EUR")
    )
    line = purchasing_service_pb2.PurchaseLineInput(item_id=items[0].item_id, quantity=10, unit_cost_millionths=450_000_000)
    made = await own.calls.purchasing.CreatePurchaseOrder(
        purchasing_service_pb2.CreatePurchaseOrderRequest(
            request_id=new_id(), supplier_id="KILN", location_id=location_id, number=number, lines=[line]
        )
    )
    named = {"purchase_order_id": made.purchase_order_id}
    await own.calls.purchasing.ApprovePurchaseOrder(purchasing_service_pb2.ApprovePurchaseOrderRequest(request_id=new_id(), **named))
    return await own.calls.purchasing.SendPurchaseOrder(purchasing_service_pb2.SendPurchaseOrderRequest(request_id=new_id(), **named))


async def received(own: House, number: str) -> int:
    request = purchasing_service_pb2.ListPurchaseOrdersRequest(number=number)
    (found,) = (await own.calls.purchasing.ListPurchaseOrders(request)).purchase_orders
    return found.lines[0].received


async def until_received(own: House, number: str, count: int) -> None:
    async def look() -> bool:
        return await received(own, number) == count

    await eventually(look)


async def until_read(own: House, count: int) -> None:
    async def look() -> bool:
        request = deliveries_service_pb2.ListDeliveriesRequest(channel_id="3pl")
        found = (await own.calls.deliveries.ListDeliveries(request)).deliveries
        done = (deliveries_service_pb2.DELIVERY_STATE_DONE, deliveries_service_pb2.DELIVERY_STATE_IGNORED)
        # A look at the warehouse, which comes when it comes, is none of those that it sent.
        return len([one for one in found if one.state in done and one.topic != "looked-at"]) == count

    await eventually(look)


async def until_stock(own: House, count: int, state: stock_pb2.StockState.ValueType = AVAILABLE) -> None:
    async def look() -> bool:
        request = stock_service_pb2.ListBalancesRequest(location_id="3PL", state=state)
        return sum(one.quantity for one in (await own.calls.stock.ListBalances(request)).balances) == count

    await eventually(look)


async def test_what_shiphero_took_in_is_received_once_however_often_it_says_so(settings: Settings) -> None:
    warehouse = ShipHero()
    async with house(settings, warehouse, connections_service_pb2.DIALECT_SHIPHERO) as own:
        await bought(own, "PO-7")
        first, second = warehouse.come("PO-7", "MUG-1", 4), warehouse.come("PO-7", "MUG-1", 5)
        # Out of order, twice, and under other names.
        for name, content in (("m1", second), ("m2", first), ("m3", second), ("m4", first)):
            assert await own.hook(content, ShipHero.headers(content, name)) == 200
        await until_read(own, 4)
        await until_received(own, "PO-7", 9)
        await until_stock(own, 29)
        # What nobody ordered waits for a person; after that it is theirs.
        strange = warehouse.come("PO-7", "MUG-9", 2)
        assert await own.hook(strange, ShipHero.headers(strange, "m5")) == 200
        hold = await own.hold("COMMAND_REFUSED")
        assert "2 of MUG-9, which PO-7 does not order" in hold.detail
        await own.release(hold)
        await until_read(own, 5)
        # However many articles that nobody ordered came with them, those that were are received.
        many = warehouse.come("PO-7", "MUG-1", 1)
        for index in range(600):
            many = warehouse.come("PO-7", f"ODD-{index}", 1)
        assert await own.hook(many, ShipHero.headers(many, "m5b")) == 200
        hold = await own.hold("COMMAND_REFUSED")
        assert "and 590 more, which PO-7 does not order" in hold.detail
        await own.release(hold)
        await until_received(own, "PO-7", 10)
        await until_read(own, 6)
        # One that is sent elsewhere is not received here, but once it is set right it is.
        unknown = warehouse.come("PO-8", "MUG-1", 3)
        assert await own.hook(unknown, ShipHero.headers(unknown, "m6")) == 200
        hold = await own.hold("COMMAND_REFUSED")
        assert "its purchase order PO-8 is not known" in hold.detail
        await bought(own, "PO-8")
        await own.release(hold)
        await until_received(own, "PO-8", 3)
        assert await received(own, "PO-7") == 10


@pytest.mark.parametrize(
    ("kind", "dialect"),
    [(ShipHero, connections_service_pb2.DIALECT_SHIPHERO), (ShipBob, connections_service_pb2.DIALECT_SHIPBOB)],
    ids=["ShipHero", "ShipBob"],
)
async def test_a_warehouse_is_asked_what_came(
    sqlite_settings: Settings, monkeypatch: pytest.MonkeyPatch, kind: type[ShipHero | ShipBob], dialect: int
) -> None:
    monkeypatch.setattr(warehouses, "LOOK_AGAIN_US", 300_000)
    warehouse = kind()
    async with house(sqlite_settings, warehouse, dialect) as own:
        warehouse.come("SOMEBODYS", "MUG-1", 5)
        await bought(own, "PO-7")
        warehouse.moods = ["away"]
        warehouse.come("PO-7", "MUG-1", 4)
        await until_received(own, "PO-7", 4)
        warehouse.come("PO-7", "MUG-1", 6)
        await until_received(own, "PO-7", 10)
        await until_stock(own, 30)


async def test_what_customers_send_back_to_shiphero_is_a_return(settings: Settings) -> None:
    warehouse = ShipHero()
    async with house(settings, warehouse, connections_service_pb2.DIALECT_SHIPHERO) as own:
        order_id, released = await own.place("W-1", 3)
        await own.until_told(released.fulfillment_order_id, ORDER, TAKEN)
        reference = warehouses.reference_of(released.fulfillment_order_id)
        shipped = warehouse.ship(reference, "s1", 3)
        assert await own.hook(shipped, ShipHero.headers(shipped, "m1")) == 200
        await until_status(own.calls, order_id, order_pb2.ORDER_STATUS_SHIPPED)

        async def returns() -> list[returns_service_pb2.Return]:
            request = returns_service_pb2.ListReturnsRequest(order_id=order_id)
            return list((await own.calls.returns.ListReturns(request)).returns)

        async def until(*wanted: tuple[str, int, int, int]) -> None:
            async def look() -> bool:
                found = [(one.reference, line.quantity, line.received, line.restocked) for one in await returns() for line in one.lines]
                return sorted(found) == sorted(wanted)

            await eventually(look)

        async def says(name: str, number: str, quantity: int, came: int, *, restock: bool) -> None:
            content = warehouse.back(reference, number, quantity, came, restock=restock)
            assert await own.hook(content, ShipHero.headers(content, name)) == 200

        # Announced, it is one of ours; what comes is received, and in stock once they say that it is good.
        await says("m2", "R1", 2, 0, restock=False)
        await until(("R1", 2, 0, 0))
        await says("m3", "R1", 2, 1, restock=True)
        await until(("R1", 2, 1, 1))
        # Said out of turn and again, it stands as it does.
        await says("m4", "R1", 2, 0, restock=False)
        await says("m5", "R1", 2, 1, restock=True)
        await until_read(own, 5)
        await until(("R1", 2, 1, 1))
        # One that was agreed with the customer here is the one that comes there.
        line_id = (await returns())[0].lines[0].line_id
        agreed = returns_service_pb2.AuthorizeReturnRequest(
            request_id=new_id(), order_id=order_id, location_id="3PL",
            lines=[returns_service_pb2.ReturnLineInput(line_id=line_id, quantity=1, reason="TOO_SMALL")],
        )  # fmt: skip
        await own.calls.returns.AuthorizeReturn(agreed)
        await says("m6", "R2", 1, 1, restock=False)
        await until(("R1", 2, 1, 1), ("R2", 1, 1, 0))
        # More than was bought is not allowed by anybody: a person looks, and it is theirs.
        await says("m7", "R3", 5, 0, restock=False)
        hold = await own.hold("COMMAND_REFUSED")
        assert "R3 is not allowed" in hold.detail
        await own.release(hold)
        await until_read(own, 7)
        declined = [one.reference for one in await returns() if one.status == returns_service_pb2.RETURN_STATUS_DECLINED]
        assert set(declined) == {"R3"}
        await says("m8", "R1", 2, 2, restock=True)
        await until_read(own, 8)

        async def stands() -> bool:
            found = [one for one in await returns() if one.reference == "R1"]
            return [(line.received, line.restocked) for line in found[0].lines] == [(2, 2)]

        await eventually(stands)
        await until_stock(own, 19)
