"""A supplier ships for us from stock of its own: bought, sold and owed when it leaves, and owed less when it comes back there."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from argosy.finance.v1 import finance_service_pb2
from argosy.inventory.v1 import purchasing_service_pb2, stock_pb2, stock_service_pb2
from argosy.ops.v1 import holds_service_pb2
from argosy.orders.v1 import order_pb2
from argosy.returns.v1 import returns_service_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from gateway.app.prove import prove
from gateway.calls import Calls
from suite.up import running_suite
from tests.builders import eventually, open_shop, order, publish_item, receive, ship_all, until_status
from tests.service.stockroom import refused

COST, OWED, PAYABLE, STOCK = "5000", "2300", "2330", "1300"


class Shop:
    """A suite whose lamps are at a supplier's."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.item_id = ""

    async def price(self, amount_minor: int, quantity: int = 1, **values: Any) -> purchasing_service_pb2.DropShipPrice:
        given = {"location_id": "LAMPCO-1", "item_id": self.item_id, "supplier_id": "LAMPCO", **values}
        return await self.calls.purchasing.SetDropShipPrice(
            purchasing_service_pb2.SetDropShipPriceRequest(request_id=new_id(), amount_minor=amount_minor, quantity=quantity, **given)
        )

    async def booked(self, order_id: str) -> Counter[tuple[str, str]]:
        """Returns debit less credit by rule and account."""
        entries = (await self.calls.finance.ListEntries(finance_service_pb2.ListEntriesRequest(order_id=order_id))).entries
        found: Counter[tuple[str, str]] = Counter()
        for entry in entries:
            for line in entry.lines:
                found[entry.rule.partition("@")[0], line.account] += line.debit_minor - line.credit_minor
        return found

    async def until_booked(self, order_id: str, rule: str) -> Counter[tuple[str, str]]:
        async def look() -> Counter[tuple[str, str]] | None:
            found = await self.booked(order_id)
            return found if any(name == rule for name, _ in found) else None

        return await eventually(look)  # type: ignore[no-any-return]

    async def ship(self, number: str, quantity: int) -> order_pb2.Order:
        placed = await self.calls.orders.CreateOrder(order(number, quantity, sku="LAMP-1"))
        await ship_all(self.calls, placed.order_id)
        return await until_status(self.calls, placed.order_id, order_pb2.ORDER_STATUS_SHIPPED)

    async def send_back(self, shipped: order_pb2.Order, location_id: str, disposition: int) -> None:
        line_id = shipped.lines[0].line_id
        returns = self.calls.returns
        wanted = returns_service_pb2.ReturnLineInput(line_id=line_id, quantity=1, reason="NOT_AS_EXPECTED")
        asked = await returns.AuthorizeReturn(
            returns_service_pb2.AuthorizeReturnRequest(
                request_id=new_id(), order_id=shipped.order_id, location_id=location_id, lines=[wanted]
            )
        )
        got = [returns_service_pb2.ReceivedLine(line_id=line_id, quantity=1)]
        await returns.ReceiveReturn(returns_service_pb2.ReceiveReturnRequest(request_id=new_id(), return_id=asked.return_id, lines=got))
        judged = [returns_service_pb2.InspectedLine(line_id=line_id, quantity=1, disposition=disposition)]
        await returns.InspectReturn(returns_service_pb2.InspectReturnRequest(request_id=new_id(), return_id=asked.return_id, lines=judged))


@asynccontextmanager
async def shop(settings: Settings) -> AsyncIterator[Shop]:
    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 5})
        place = stock_service_pb2.CreateLocationRequest(
            request_id=new_id(), location_id="LAMPCO-1", name="Lampco", kind=stock_pb2.LOCATION_KIND_SUPPLIER, entity="DE01",
            consigned=True, country_code="DE", currency_code="EUR",
        )  # fmt: skip
        await calls.stock.CreateLocation(place)
        await calls.purchasing.SetSupplier(
            purchasing_service_pb2.SetSupplierRequest(request_id=new_id(), supplier_id="LAMPCO", name="Lampco", currency_code="EUR")
        )
        own = Shop(calls)
        own.item_id = await publish_item(calls, "LAMP-1")
        await receive(calls, own.item_id, "LAMPCO-1", 20, 0)
        yield own
        assert (await prove(suite.channels, settled=True)).breaks == []


async def test_what_a_supplier_ships_is_cost_and_owed_and_comes_back_at_that(settings: Settings) -> None:
    async with shop(settings) as own:
        # Seven for 10.00: three cost 4.29.
        assert (await own.price(1000, 7)).currency_code == "EUR"
        shipped = await own.ship("W-1", 3)
        booked = await own.until_booked(shipped.order_id, "drop-ship")
        assert (booked["drop-ship", COST], booked["drop-ship", OWED]) == (429, -429)
        # Nothing of ours left the stock.
        assert booked["cost-of-goods", STOCK] == 0
        # A new price holds for what leaves from now on.
        await own.price(200)
        # Back at the supplier's, it is owed less; here, it is ours, at what it cost.
        await own.send_back(shipped, "LAMPCO-1", returns_service_pb2.DISPOSITION_RESTOCK)
        booked = await own.until_booked(shipped.order_id, "drop-ship-return")
        assert (booked["drop-ship-return", PAYABLE], booked["drop-ship-return", COST]) == (143, -143)
        await own.send_back(shipped, "BER", returns_service_pb2.DISPOSITION_RESTOCK)

        async def ours() -> bool:
            found = await own.booked(shipped.order_id)
            return bool(found["disposition", STOCK] == found["return-received", "1310"] == 143)

        await eventually(ours)


async def test_what_nobody_priced_is_held_and_owed_when_somebody_does(sqlite_settings: Settings) -> None:
    async with shop(sqlite_settings) as own:
        shipped = await own.ship("W-1", 2)
        holds = own.calls.holds("inventory")

        async def held() -> Any:
            found = (await holds.ListHolds(holds_service_pb2.ListHoldsRequest(service="inventory"))).holds
            return next((one for one in found if one.reason == "DROP_SHIP_UNPRICED"), None)

        async def release() -> None:
            hold = await eventually(held)
            await holds.ReleaseHold(
                holds_service_pb2.ReleaseHoldRequest(request_id=new_id(), service="inventory", hold_id=hold.hold_id, resolution="agreed")
            )

        await release()
        # Released without a price, it is held again.
        await eventually(held)
        await own.price(150)
        await release()
        booked = await own.until_booked(shipped.order_id, "drop-ship")
        assert booked["drop-ship", COST] == 300
        assert await held() is None


async def test_only_stock_of_others_is_priced(sqlite_settings: Settings) -> None:
    async with shop(sqlite_settings) as own:
        await refused("OWNED", own.price(100, location_id="BER"))
        await refused("NO_SUCH_LOCATION", own.price(100, location_id="NOWHERE"))
        await refused("NO_SUCH_ITEM", own.price(100, item_id="nothing"))
        await refused("NO_SUCH_SUPPLIER", own.price(100, supplier_id="NOBODY"))
        await own.calls.purchasing.SetSupplier(
            purchasing_service_pb2.SetSupplierRequest(request_id=new_id(), supplier_id="DOLLARS", name="Dollars", currency_code="USD")
        )
        await refused("MIXED_CURRENCIES", own.price(100, supplier_id="DOLLARS"))
        place = stock_service_pb2.CreateLocationRequest(
            request_id=new_id(), location_id="SUP-2", name="Ours?", kind=stock_pb2.LOCATION_KIND_SUPPLIER, entity="DE01", country_code="DE",
            currency_code="EUR",
        )  # fmt: skip
        refusal = await refused("INVALID_FIELD", own.calls.stock.CreateLocation(place))
        assert refusal.field == "consigned"
        await own.price(100)
        listed = (
            await own.calls.purchasing.ListDropShipPrices(purchasing_service_pb2.ListDropShipPricesRequest(location_id="LAMPCO-1"))
        ).prices
        assert [(one.supplier_id, one.amount_minor, one.quantity) for one in listed] == [("LAMPCO", 100, 1)]
