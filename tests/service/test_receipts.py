"""A receipt answers with the movements as they are stored."""

from collections.abc import Awaitable, Callable

from sqlalchemy import select

from argosy.inventory.v1 import stock_pb2, stock_service_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.component import Component
from services.inventory.app.views import to_movement
from services.inventory.store.tables import ITEMS, MOVEMENTS
from tests.service.conftest import submit

STOCK = "/argosy.inventory.v1.StockService/"


async def test_answers_with_what_is_stored(started: Callable[[str], Awaitable[Component]]) -> None:
    inventory = await started("inventory")
    place = stock_service_pb2.CreateLocationRequest(
        request_id=new_id(), location_id="BER", name="Berlin", kind=stock_pb2.LOCATION_KIND_WAREHOUSE, entity="DE01",
        country_code="DE", postal_prefix="101", currency_code="EUR",
    )  # fmt: skip
    await submit(inventory, f"{STOCK}CreateLocation", place)
    async with inventory.database.write() as tx:
        await tx.insert(ITEMS, [{"item_id": "mug", "sku": "MUG", "standard_cost_minor": 0, "retired": 0}])
    line = stock_service_pb2.ReceiptLine(item_id="mug", quantity=4, value_minor=900)
    request = stock_service_pb2.ReceiveStockRequest(
        request_id=new_id(), location_id="BER", kind=stock_service_pb2.RECEIPT_KIND_PURCHASE, reference="PO-1", lines=[line]
    )
    answer = await submit(inventory, f"{STOCK}ReceiveStock", request)
    assert isinstance(answer, stock_service_pb2.StockDocument)
    async with inventory.database.read() as tx:
        stored = [to_movement(row) for row in await tx.read(select(MOVEMENTS))]
    assert list(answer.movements) == stored
    assert stored[0].movement_id
    assert stored[0].reason == "PURCHASE PO-1"
