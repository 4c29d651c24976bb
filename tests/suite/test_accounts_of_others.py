"""What warehouses of others account for: the stock that they have, which the books follow, and the freight that they bill."""

from typing import Any

import pytest

from argosy.fulfillment.v1 import fulfillment_service_pb2, parcels_service_pb2
from argosy.gateway.v1 import connections_service_pb2
from argosy.inventory.v1 import feeds_service_pb2, stock_pb2
from argosy.ops.v1 import holds_service_pb2
from argosy.orders.v1 import order_pb2
from chassis.kernel.errors import InvalidArgument
from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from gateway.app import warehouses
from tests.builders import eventually, until_status
from tests.suite.test_goods_of_others import bought, until_received, until_stock
from tests.suite.test_warehouses_of_others import ORDER, TAKEN, House, connection, house
from tests.suite.warehouse_simulators import ShipBob, ShipHero, Warehouse

SHIPHERO, SHIPBOB = connections_service_pb2.DIALECT_SHIPHERO, connections_service_pb2.DIALECT_SHIPBOB


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked every hour is asked three times a second."""
    monkeypatch.setattr(warehouses, "LOOK_AGAIN_US", 300_000)


async def differences(own: House) -> set[tuple[str, str, int]]:
    """Returns what differed in any picture: article, kind, and by how much the books were changed."""
    feeds = (await own.calls.feeds.ListStockFeeds(feeds_service_pb2.ListStockFeedsRequest(location_id="3PL", page_size=500))).feeds
    found = set()
    for feed in feeds:
        request = feeds_service_pb2.ListDiscrepanciesRequest(feed_id=feed.feed_id)
        found |= {(one.sku, one.kind, one.applied) for one in (await own.calls.feeds.ListDiscrepancies(request)).discrepancies}
    return found


async def until_asked(warehouse: Warehouse, times: int = 2) -> None:
    """Waits until the warehouse was asked anew, and what it said was taken in: asked so often again."""
    before = warehouse.asked

    async def look() -> bool:
        return warehouse.asked >= before + times

    await eventually(look)


async def holds(own: House, service: str) -> list[Any]:
    return list((await own.calls.holds(service).ListHolds(holds_service_pb2.ListHoldsRequest(service=service))).holds)


@pytest.mark.parametrize(("kind", "dialect"), [(ShipHero, SHIPHERO), (ShipBob, SHIPBOB)], ids=["ShipHero", "ShipBob"])
async def test_the_books_follow_what_a_warehouse_has(sqlite_settings: Settings, kind: type[ShipHero | ShipBob], dialect: int) -> None:
    warehouse = kind()
    warehouse.stock = {"MUG-1": 17, "SOMEBODYS": 4}
    async with house(sqlite_settings, warehouse, dialect, takes_stock=True) as own:
        await until_stock(own, 17)
        assert await differences(own) == {("MUG-1", "DIFFERENT", -3), ("SOMEBODYS", "UNKNOWN_ITEM", 0)}
        # A parcel left, and its webhook is on its way: it is not missing twice.
        _, released = await own.place("W-1")
        await own.until_told(released.fulfillment_order_id, ORDER, TAKEN)
        await until_stock(own, 2, stock_pb2.STOCK_STATE_ALLOCATED)
        warehouse.stock["MUG-1"] = 15
        await until_asked(warehouse)
        assert ("MUG-1", "ON_ITS_WAY_OUT", 0) in await differences(own)
        reference = warehouses.reference_of(released.fulfillment_order_id)
        left: Any = warehouse.ship(reference, 901, 2)  # type: ignore[arg-type]
        assert await own.hook(left, kind.headers(left, "m1")) == 200
        await until_status(own.calls, released.order_id, order_pb2.ORDER_STATUS_SHIPPED)
        # What a supplier sent is stowed, and is not there twice once it is told.
        await bought(own, "PO-7")
        warehouse.stock["MUG-1"] = 19
        await until_asked(warehouse)
        assert ("MUG-1", "ON_ITS_WAY_IN", 0) in await differences(own)
        came = warehouse.come("PO-7", "MUG-1", 4)
        assert await own.hook(came, kind.headers(came, "m2")) == 200
        await until_received(own, "PO-7", 4)
        await until_stock(own, 19)
        await until_asked(warehouse)
        assert {applied for _, _, applied in await differences(own)} == {-3, 0}
        # However often it says the same, a person is asked once.
        assert [(hold.reason, hold.subject_id) for hold in await holds(own, "inventory")] == [("FEED_DIFFERENCE", "3PL")]


async def test_what_a_warehouse_bills_for_freight_is_booked_once(settings: Settings) -> None:
    warehouse = ShipBob()
    async with house(settings, warehouse, SHIPBOB, takes_bills=True) as own:
        order_id, released = await own.place("W-1")
        await own.until_told(released.fulfillment_order_id, ORDER, TAKEN)
        shipped = warehouse.ship(warehouses.reference_of(released.fulfillment_order_id), 901, 2)
        assert await own.hook(shipped, ShipBob.headers(shipped, "m1")) == 200
        await until_status(own.calls, order_id, order_pb2.ORDER_STATUS_SHIPPED)
        asked = fulfillment_service_pb2.ListShipmentsRequest(order_id=order_id)
        (shipment,) = (await own.calls.fulfillment.ListShipments(asked)).shipments
        assert shipment.reference == "901"
        warehouse.moods = ["away"]
        warehouse.charge(77, 901, "5.49")
        warehouse.charge(77, 901, "1.20", transaction_fee="Per Pick Fee")
        warehouse.charge(77, 901, "0.35", transaction_type="Credit")
        warehouse.charge(77, 500, "8.00")

        async def charges() -> Any:
            listed = await own.calls.parcels.ListFreightCharges(parcels_service_pb2.ListFreightChargesRequest(carrier="3pl"))
            return sorted((one.shipment_id, one.bill_number, one.billed_minor) for one in listed.charges)

        assert await eventually(charges) == [(shipment.shipment_id, "77", -35), (shipment.shipment_id, "77", 549)]
        # What was billed before anybody told that it left, is booked when it does.
        later_id, later = await own.place("W-2")
        await own.until_told(later.fulfillment_order_id, ORDER, TAKEN)
        left = warehouse.ship(warehouses.reference_of(later.fulfillment_order_id), 500, 2)
        assert await own.hook(left, ShipBob.headers(left, "m2")) == 200
        await until_status(own.calls, later_id, order_pb2.ORDER_STATUS_SHIPPED)
        assert sorted(billed for _, _, billed in await charges()) == [-35, 549, 800]
        # A bill that says nothing sensible waits for a person, once, and stands in nobody's way.
        warehouse.charge(78, 901, "1.00")
        warehouse.charge(78, 901, "1.00", currency_code="USD")
        hold = await own.hold("WAREHOUSE_NOT_UNDERSTOOD")
        assert "invoice 78 is in EUR and USD" in hold.detail
        warehouse.charge(79, 901, "1.00")

        async def four() -> bool:
            return len(await charges()) == 4

        await eventually(four)
        assert [one.reason for one in await holds(own, "gateway")] == ["WAREHOUSE_NOT_UNDERSTOOD"]
        assert await holds(own, "fulfillment") == []


async def test_only_who_says_so_is_asked(sqlite_settings: Settings) -> None:
    async with house(sqlite_settings, ShipHero(), SHIPHERO) as own:
        for name in ("takes_stock", "takes_bills"):
            with pytest.raises(InvalidArgument) as refused:
                stationed = connection(connections_service_pb2.DIALECT_SHIPSTATION, "http://127.0.0.1:1", **{name: True})
                await own.calls.connections.SetConnection(stationed)
            assert refused.value.field == name


async def test_a_bill_names_parcels_by_number_or_by_their_location(sqlite_settings: Settings) -> None:
    async with house(sqlite_settings, ShipBob(), SHIPBOB) as own:
        for name, line, values in (
            ("lines[0].tracking_number", {}, {}), ("location_id", {"reference": "901"}, {}),
        ):  # fmt: skip
            request = parcels_service_pb2.RecordCarrierBillRequest(
                request_id=new_id(), carrier="3pl", bill_number="77", currency_code="EUR", **values,
                lines=[parcels_service_pb2.CarrierBillLine(line_id="1", amount_minor=1, **line)],
            )  # fmt: skip
            with pytest.raises(InvalidArgument) as refused:
                await own.calls.parcels.RecordCarrierBill(request)
            assert refused.value.field == name
        # One that nobody knows is held; where the bill is for others too, it is only said.
        for skip, held in ((True, []), (False, ["UNKNOWN_PARCEL"])):
            request = parcels_service_pb2.RecordCarrierBillRequest(
                request_id=new_id(), carrier="3pl", bill_number=f"78-{skip}", currency_code="EUR", location_id="3PL", skip_unknown=skip,
                lines=[parcels_service_pb2.CarrierBillLine(line_id="1", amount_minor=1, reference="901")],
            )  # fmt: skip
            assert list((await own.calls.parcels.RecordCarrierBill(request)).unknown) == ["1"]
            assert [one.reason for one in await holds(own, "fulfillment")] == held
