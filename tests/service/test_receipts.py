"""A receipt answers with the movements as they are stored, and is told once to whoever keeps bins."""

import asyncio
from collections.abc import Awaitable, Callable

from sqlalchemy import select

from argosy.inventory.v1 import inventory_events_pb2, stock_pb2, stock_service_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.component import Component
from services.inventory.app.views import to_movement
from services.inventory.store.tables import ITEMS, MOVEMENTS
from tests.service.conftest import Pause, submit
from tests.service.stockroom import Stockroom

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


async def test_what_comes_in_while_a_location_begins_to_keep_bins_is_told_once(
    replicas: tuple[Stockroom, Component], pause: Callable[[Component], Pause]
) -> None:
    """One replica takes an item's first goods in, the other begins to tell what is on hand."""
    room, second = replicas
    await room.item("mug")
    waits = pause(room.component)
    line = stock_service_pb2.ReceiptLine(item_id="mug", quantity=5, value_minor=100)
    goods = stock_service_pb2.ReceiveStockRequest(
        request_id=new_id(), location_id="BER", kind=stock_service_pb2.RECEIPT_KIND_PURCHASE, lines=[line]
    )
    comes = asyncio.ensure_future(submit(room.component, f"{STOCK}ReceiveStock", goods))
    await waits.reached.wait()
    keep = stock_service_pb2.KeepBinsRequest(request_id=new_id(), location_id="BER")
    keeps = asyncio.ensure_future(submit(second, f"{STOCK}KeepBins", keep))
    done, _ = await asyncio.wait({keeps}, timeout=0.5)
    assert not done, "it waits for what is being booked"
    waits.go.set()
    await asyncio.gather(comes, keeps)
    told = [(one.item_id, one.quantity) for event in await room.said(inventory_events_pb2.OnHandChanged) for one in event.lines]
    assert told == [("mug", 5)]
