"""Carts: what a cart holds already counts as available to itself."""

from collections.abc import Awaitable, Callable

from argosy.inventory.v1 import reservations_service_pb2, stock_pb2, stock_service_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.component import Component
from services.inventory.store.tables import ITEMS
from tests.service.conftest import submit

STOCK = "/argosy.inventory.v1.StockService/"
RESERVATIONS = "/argosy.inventory.v1.ReservationsService/"


async def test_a_cart_with_an_item_on_two_lines_becomes_an_order(started: Callable[[str], Awaitable[Component]]) -> None:
    inventory = await started("inventory")
    place = stock_service_pb2.CreateLocationRequest(
        request_id=new_id(), location_id="BER", name="Berlin", kind=stock_pb2.LOCATION_KIND_WAREHOUSE, entity="DE01",
        country_code="DE", postal_prefix="101", currency_code="EUR",
    )  # fmt: skip
    await submit(inventory, f"{STOCK}CreateLocation", place)
    async with inventory.database.write() as tx:
        await tx.insert(ITEMS, [{"item_id": "mug", "sku": "MUG", "standard_cost_minor": 0, "retired": 0}])
    receipt = stock_service_pb2.ReceiveStockRequest(
        request_id=new_id(), location_id="BER", kind=stock_service_pb2.RECEIPT_KIND_PURCHASE, reference="PO-1",
        lines=[stock_service_pb2.ReceiptLine(item_id="mug", quantity=3, value_minor=900)],
    )  # fmt: skip
    await submit(inventory, f"{STOCK}ReceiveStock", receipt)
    lines = [
        reservations_service_pb2.ReservationLine(line_id=str(quantity), item_id="mug", location_id="BER", quantity=quantity)
        for quantity in (1, 2)
    ]
    hold = reservations_service_pb2.HoldCartRequest(request_id=new_id(), cart_id="cart", lines=lines, ttl_s=600)
    await submit(inventory, f"{RESERVATIONS}HoldCart", hold)
    # All three are held by the cart; both changing it and ordering it may use them.
    hold.request_id = new_id()
    await submit(inventory, f"{RESERVATIONS}HoldCart", hold)
    order = reservations_service_pb2.ReserveRequest(request_id=new_id(), order_id="order", cart_id="cart", lines=lines)
    answer = await submit(inventory, f"{RESERVATIONS}Reserve", order)
    assert isinstance(answer, reservations_service_pb2.ReserveResponse)
    assert [one.reserved for one in answer.reservations] == [1, 2]
