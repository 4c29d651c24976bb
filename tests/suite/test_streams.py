"""Availability as it changes: over gRPC and as server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from argosy.gateway.v1 import access_service_pb2
from argosy.inventory.v1 import stock_pb2, stock_service_pb2
from chassis.kernel.errors import InvalidArgument, Unavailable
from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from gateway.calls import Calls
from suite.up import running_suite
from tests.builders import open_shop, order, publish_item, receive


async def adjust(calls: Calls, item_id: str, quantity: int) -> None:
    await calls.stock.AdjustStock(
        stock_service_pb2.AdjustStockRequest(
            request_id=new_id(),
            location_id="BER",
            item_id=item_id,
            state=stock_pb2.STOCK_STATE_AVAILABLE,
            quantity=quantity,
            reason="found",
        )
    )


async def following(answers: AsyncIterator[stock_service_pb2.WatchAvailabilityResponse]) -> stock_service_pb2.WatchAvailabilityResponse:
    return await asyncio.wait_for(anext(answers), 10)


async def test_who_watches_is_told_how_it_stands_and_what_changes(settings: Settings) -> None:
    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        item_id = await open_shop(calls, {"BER": 10})
        other = await publish_item(calls, "MUG-2")
        await receive(calls, other, "BER", 5, 500)
        answers = calls.stock.WatchAvailability(stock_service_pb2.WatchAvailabilityRequest(channel_id="web", item_ids=[item_id]))
        first = await following(answers)
        assert [(one.item_id, one.available_to_sell) for one in first.items] == [(item_id, 10)]
        await adjust(calls, other, 1)
        await adjust(calls, item_id, -3)
        changed = await following(answers)
        assert [(one.item_id, one.available_to_sell) for one in changed.items] == [(item_id, 7)]
        assert changed.HasField("moved_at")
        await calls.orders.CreateOrder(order("1", 2))
        assert (await following(answers)).items[0].available_to_sell == 5
        await calls.stock.SetStockPolicy(stock_service_pb2.SetStockPolicyRequest(request_id=new_id(), channel_id="web", quantity=4))
        assert (await following(answers)).items[0].available_to_sell == 1
        await answers.aclose()
        everything = calls.stock.WatchAvailability(stock_service_pb2.WatchAvailabilityRequest())
        opened = await following(everything)
        assert opened.all_changed and not opened.items
        await adjust(calls, other, 1)
        assert [(one.item_id, one.available_to_sell) for one in (await following(everything)).items] == [(other, 7)]
        await everything.aclose()
        assert suite.running["inventory"].component.pipeline.watching == 0 or await _left(suite.running["inventory"].component.pipeline)


async def test_who_watches_is_sent_on_when_the_service_goes(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        item_id = await open_shop(calls, {"BER": 10})
        answers = calls.stock.WatchAvailability(stock_service_pb2.WatchAvailabilityRequest(item_ids=[item_id]))
        await following(answers)
        going = asyncio.ensure_future(suite.running["inventory"].server.drain(30))
        with pytest.raises(Unavailable):
            while True:
                await following(answers)
        await asyncio.wait_for(going, 10)


async def _left(pipeline: object) -> bool:
    for _ in range(100):
        if pipeline.watching == 0:  # type: ignore[attr-defined]
            return True
        await asyncio.sleep(0.02)
    return False


async def test_server_sent_events(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        item_id = await open_shop(calls, {"BER": 10})
        request = access_service_pb2.CreateKeyRequest(request_id=new_id(), account="shop", permissions=["inventory.availability.read"])
        key = (await calls.access.CreateKey(request)).secret
        url = f"http://{sqlite_settings.host}:{sqlite_settings.http_port}/v1/availability:watch"
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=20) as http:
            async with http.stream("GET", url, params={"item_ids": [item_id], "channel_id": "web"}) as response:
                assert response.headers["content-type"].startswith("text/event-stream")
                lines = response.aiter_lines()
                assert (await _event(lines))["items"][0]["available_to_sell"] == 10
                await adjust(calls, item_id, 5)
                assert (await _event(lines))["items"][0]["available_to_sell"] == 15
            assert (await http.get(url, params={"nonsense": "1"})).status_code == 400
            assert (await httpx.AsyncClient().get(url)).status_code == 401
        with pytest.raises(InvalidArgument):
            await anext(calls.stock.WatchAvailability(stock_service_pb2.WatchAvailabilityRequest(item_ids=["x"] * 501)))


async def _event(lines: AsyncIterator[str]) -> dict[str, object]:
    async for line in lines:
        if line.startswith("data: "):
            return json.loads(line[6:])  # type: ignore[no-any-return]
    raise AssertionError("the stream ended")
