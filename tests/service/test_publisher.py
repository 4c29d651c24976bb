"""What a channel should show: what was asked about before something changed is not written after what was told of the change."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import select

from argosy.catalog.v1 import catalog_events_pb2, channels_service_pb2, listing_pb2
from argosy.gateway.v1 import publications_service_pb2
from argosy.inventory.v1 import stock_service_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.component import Component, cancelled
from chassis.runtime.inbox import Received
from gateway.app.publications import on_listing_changed, reading_back, save_state
from gateway.store.tables import CONNECTIONS, PUBLICATIONS
from gateway.voice.publisher import CAUSE, ChannelVoice
from suite.up import wait_for
from tests.service.conftest import Bench, submit

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


CUP = {
    "channel_id": "web", "channel_sku": "CUP", "item_id": "cup", "units": 1, "external_id": "1", "wanted": 3, "sent": 3, "acknowledged": 3,
    "observed": 3, "wanted_since": None, "due_at": None, "acknowledged_at": 1, "attempts": 0, "error": "", "repairs": 0, "version": 1,
    "changed_at": 2, "found_at": 1,
}  # fmt: skip


class Listings:
    """Catalog as a channel's voice hears it: what was listed when it was asked, which is told when something else was."""

    def __init__(self, *listings: listing_pb2.Listing) -> None:
        self.asked, self.answers = asyncio.Event(), asyncio.Event()
        self._listings = listings

    async def ListListings(self, request: Any) -> Any:
        del request
        self.asked.set()
        await self.answers.wait()
        return channels_service_pb2.ListListingsResponse(listings=self._listings)


def voice_of(bench: Bench, component: Component, stock: Any) -> ChannelVoice:
    """Returns what tells the channel."""
    connection = SimpleNamespace(channel_id="web", coalesce_ms=0)
    voice = ChannelVoice(component, bench.channels, cast(Any, None), connection, cast(Any, None))
    cast(Any, voice)._stock = stock
    return voice


def listed(sku: str, item_id: str, version: int) -> listing_pb2.Listing:
    return listing_pb2.Listing(
        channel_id="web", channel_sku=sku, item_id=item_id, units=version, version=version, status=listing_pb2.LISTING_STATUS_ACTIVE
    )


def heard(sku: str, item_id: str, version: int) -> Received:
    event = catalog_events_pb2.ListingChanged(
        listing_id=f"web/{sku}", channel_id="web", channel_sku=sku, item_id=item_id, units=version, version=version,
        status=listing_pb2.LISTING_STATUS_ACTIVE,
    )  # fmt: skip
    return Received(new_id(), event, 0, CAUSE)


async def connect(component: Component) -> None:
    """Connects the channel and shows its cup."""
    row = {
        "channel_id": "web", "dialect": 1, "entity": "DE01", "mapping_id": "", "returns_location_id": "", "secret": "",
        "previous_secret": "", "updated_at": 1, "api_url": "https://shop.example",
    }  # fmt: skip
    async with component.database.write() as tx:
        await tx.insert(PUBLICATIONS, [CUP])
        await tx.insert(CONNECTIONS, [row])


async def test_what_was_told_of_a_listing_holds(bench: Bench, started: Callable[[str], Awaitable[Component]]) -> None:
    component, stock = await started("gateway"), Stock()
    stock.answers.set()
    await connect(component)
    voice, listings = voice_of(bench, component, stock), Listings(listed("CUP", "cup", 1))
    cast(Any, voice)._listings = listings
    # Catalog is asked; before its answer is here, the cup means another item, and a pot is listed.
    finds = asyncio.ensure_future(voice._want_all())
    await listings.asked.wait()
    await component.writer.run(lambda work: on_listing_changed(work, [heard("CUP", "mug", 2), heard("POT", "pot", 1)]), CAUSE)
    listings.answers.set()
    await finds
    shown = PUBLICATIONS.c
    async with component.database.read() as tx:
        found = await tx.read(select(shown.channel_sku, shown.item_id, shown.units, shown.version).order_by(shown.channel_sku))
    assert [tuple(row) for row in found] == [("CUP", "mug", 2, 2), ("POT", "pot", 1, 1)]
    # Asked again, it follows what catalog says by now.
    later = Listings(listed("CUP", "jug", 3))
    later.answers.set()
    cast(Any, voice)._listings = later
    await voice._want_all()
    async with component.database.read() as tx:
        found = await tx.read(select(shown.channel_sku, shown.item_id, shown.units, shown.version))
    assert [tuple(row) for row in found] == [("CUP", "jug", 3, 3)]


async def test_who_asks_for_a_channel_that_is_being_read_back_has_it_read_again(
    bench: Bench, started: Callable[[str], Awaitable[Component]], monkeypatch: pytest.MonkeyPatch
) -> None:
    component = await started("gateway")
    await connect(component)
    voice = voice_of(bench, component, Stock())
    reads: list[int] = []
    asked, goes_on = asyncio.Event(), asyncio.Event()

    async def reconcile() -> None:
        reads.append(1)
        asked.set()
        if len(reads) == 1:
            await goes_on.wait()

    monkeypatch.setattr(voice, "_reconcile", reconcile)
    await component.writer.run(partial(save_state, channel_id="web", values={}), CAUSE)
    with component.looks.looking(reading_back("web"), select(CONNECTIONS.c.channel_id)) as voice._unread:
        voice._unread.set()
        back = asyncio.ensure_future(voice._read_back())
        await asked.wait()
        request = publications_service_pb2.ReconcileChannelRequest(request_id=new_id(), channel_id="web")
        await submit(component, "/argosy.gateway.v1.PublicationsService/ReconcileChannel", request)
        goes_on.set()
        await wait_for(lambda: len(reads) == 2, "the second reading", 10)
        await asyncio.wait({back}, timeout=0.3)
        await cancelled([back])
    assert len(reads) == 2


async def test_what_was_told_of_a_move_holds(bench: Bench, started: Callable[[str], Awaitable[Component]]) -> None:
    component, stock = await started("gateway"), Stock()
    async with component.database.write() as tx:
        await tx.insert(PUBLICATIONS, [CUP])
    voice = voice_of(bench, component, stock)
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
