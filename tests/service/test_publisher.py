"""What a channel should show: what was asked about before stock moved is not written after what was told of the move."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

from sqlalchemy import select

from argosy.inventory.v1 import stock_service_pb2
from chassis.runtime.component import Component
from gateway.store.tables import PUBLICATIONS
from gateway.voice.publisher import ChannelVoice
from tests.service.conftest import Bench

Availability = stock_service_pb2.ItemAvailability


class Stock:
    """Inventory as a channel's voice hears it: ten are there, until it tells that the last was sold."""

    def __init__(self) -> None:
        self.asked, self.answers, self.sold = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def GetAvailability(self, request: Any) -> Any:
        self.asked.set()
        await self.answers.wait()
        items = [Availability(item_id=one, available_to_sell=10) for one in request.item_ids]
        return stock_service_pb2.GetAvailabilityResponse(items=items)

    async def WatchAvailability(self, request: Any) -> Any:
        del request
        await self.sold.wait()
        yield stock_service_pb2.WatchAvailabilityResponse(items=[Availability(item_id="cup", available_to_sell=0)])


async def test_what_was_told_of_a_move_holds(bench: Bench, started: Callable[[str], Awaitable[Component]]) -> None:
    component, stock = await started("gateway"), Stock()
    row = {
        "channel_id": "web", "channel_sku": "CUP", "item_id": "cup", "units": 1, "external_id": "1", "wanted": 3, "sent": 3,
        "acknowledged": 3, "observed": 3, "wanted_since": None, "due_at": None, "acknowledged_at": 1, "attempts": 0, "error": "",
        "repairs": 0, "changed_at": 2, "found_at": 1,
    }  # fmt: skip
    async with component.database.write() as tx:
        await tx.insert(PUBLICATIONS, [row])
    connection = SimpleNamespace(channel_id="web", coalesce_ms=0)
    voice = ChannelVoice(component, bench.channels, cast(Any, None), connection, cast(Any, None))
    cast(Any, voice)._stock = stock
    # Its listing changed, so that inventory is asked; what it answers is overtaken by what it tells.
    finds, watches = asyncio.ensure_future(voice._find_out()), asyncio.ensure_future(voice._watch())
    await stock.asked.wait()
    stock.sold.set()
    await asyncio.wait({watches}, timeout=0.5)
    stock.answers.set()
    await asyncio.gather(finds, watches)
    async with component.database.read() as tx:
        (found,) = await tx.read(select(PUBLICATIONS.c.wanted, PUBLICATIONS.c.found_at))
    assert tuple(found) == (0, 2)
