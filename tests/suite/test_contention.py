"""Many buyers of little stock: exactly as many win as there is, over one inventory process or two."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from argosy.inventory.v1 import reservations_service_pb2, stock_pb2, stock_service_pb2
from argosy.inventory.v1.reservations_service_pb2_grpc import ReservationsServiceStub
from chassis.kernel.errors import FailedPrecondition
from chassis.kernel.ids import new_id
from chassis.runtime.auth import Tokens
from chassis.runtime.channels import Channels, GrpcChannels
from chassis.runtime.settings import Settings
from gateway.app.prove import prove
from gateway.calls import Calls
from suite.up import Suite, free_ports, running_suite
from tests.builders import open_shop, publish_item, receive

BUYERS, UNITS = 64, 10
FLASH_BUYERS, FLASH_UNITS, AT_ONCE = 2000, 100, 250


async def buy(channels: Channels, item_id: str, buyer: int, quantity: int = 1) -> str:
    line = reservations_service_pb2.ReservationLine(line_id=f"line-{buyer}", item_id=item_id, location_id="BER", quantity=quantity)
    request = reservations_service_pb2.ReserveRequest(request_id=new_id(), order_id=f"buyer-{buyer}", lines=[line])
    try:
        await ReservationsServiceStub(channels.to("inventory")).Reserve(request, timeout=30)
    except FailedPrecondition as refusal:
        return refusal.reason
    return "won"


async def rush(calls: Calls, doors: list[Channels], item_id: str) -> None:
    """All buyers at once, spread over the doors."""
    results = Counter(await asyncio.gather(*(buy(doors[n % len(doors)], item_id, n) for n in range(BUYERS))))
    assert results == {"won": UNITS, "INSUFFICIENT_STOCK": BUYERS - UNITS}
    answer = await calls.stock.GetAvailability(stock_service_pb2.GetAvailabilityRequest(item_ids=[item_id]))
    assert answer.items[0].available_to_sell == 0


def second_door(suite: Suite, port: int) -> GrpcChannels:
    """Channels to the second inventory process."""
    settings = suite.settings.model_copy(update={"addresses": {**suite.settings.addresses, "inventory": f"127.0.0.1:{port}"}})
    return GrpcChannels(settings, Tokens("suite", settings.service_secret))


@asynccontextmanager
async def two_doors(settings: Settings) -> AsyncIterator[tuple[Calls, list[Channels]]]:
    """A catalog and two inventory processes on one database."""
    async with running_suite(settings, processes=True, services=("catalog", "inventory", "gateway")) as suite:
        port = free_ports(1)[0]
        other = settings.model_copy(update={"ports": {**settings.ports, "inventory": port}})
        second = Suite(other, None, second_door(suite, port))
        try:
            await second.start_process("inventory")
            yield Calls(suite.channels), [suite.channels, second.channels]
        finally:
            await second.stop()


async def test_over_two_processes_on_postgresql(postgres_settings: Settings) -> None:
    async with two_doors(postgres_settings) as (calls, doors):
        await rush(calls, doors, await open_shop_of_stock(calls))


@pytest.mark.parametrize("rounds", [1, pytest.param(50, marks=pytest.mark.soak)])
async def test_flash_sale(postgres_settings: Settings, rounds: int) -> None:
    """2,000 buyers of 100 units over two processes: exactly 100 win each time. That a no is as fast as a yes, `make bench` shows."""
    async with two_doors(postgres_settings) as (calls, doors):
        await open_shop_of_stock(calls)
        for number in range(rounds):
            item_id = await publish_item(calls, f"FLASH-{number}")
            await receive(calls, item_id, "BER", FLASH_UNITS, FLASH_UNITS * 400)
            results = Counter[str]()
            for start in range(0, FLASH_BUYERS, AT_ONCE):
                buyers = range(start, start + AT_ONCE)
                results.update(await asyncio.gather(*(buy(doors[n % len(doors)], item_id, number * FLASH_BUYERS + n) for n in buyers)))
            assert results == {"won": FLASH_UNITS, "INSUFFICIENT_STOCK": FLASH_BUYERS - FLASH_UNITS}


async def test_over_one_process_on_sqlite(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        item_id = await open_shop(calls, {"BER": UNITS})
        await rush(calls, [suite.channels], item_id)
        # Nobody stands behind these reservations, and the proof says so; nothing else is wrong.
        assert {one.check for one in (await prove(suite.channels)).breaks} == {"P2"}


async def open_shop_of_stock(calls: Calls) -> str:
    """A published article with stock, where only catalog and inventory run."""
    await calls.stock.CreateLocation(
        stock_service_pb2.CreateLocationRequest(
            request_id=new_id(), location_id="BER", name="BER", kind=stock_pb2.LOCATION_KIND_WAREHOUSE, entity="DE01", country_code="DE",
            currency_code="EUR",
        )
    )  # fmt: skip
    item_id = await publish_item(calls)
    await receive(calls, item_id, "BER", UNITS, UNITS * 400)
    return item_id


@pytest.mark.parametrize("lines", [(1, 2), (2, 1)])
async def test_two_lines_of_one_item_are_summed_before_they_are_checked(sqlite_settings: Settings, lines: tuple[int, int]) -> None:
    async with running_suite(sqlite_settings) as suite:
        item_id = await open_shop(Calls(suite.channels), {"BER": 2})
        request = reservations_service_pb2.ReserveRequest(
            request_id=new_id(), order_id="o",
            lines=[
                reservations_service_pb2.ReservationLine(line_id=f"l{n}", item_id=item_id, location_id="BER", quantity=n) for n in lines
            ],
        )  # fmt: skip
        with pytest.raises(FailedPrecondition) as refused:
            await ReservationsServiceStub(suite.channels.to("inventory")).Reserve(request)
        assert refused.value.reason == "INSUFFICIENT_STOCK"
