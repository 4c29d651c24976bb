"""One service on its own database, with a bus and callers in memory."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from chassis.kernel.ids import new_id
from chassis.runtime.auth import Authenticator, Tokens
from chassis.runtime.bus import MemoryBus
from chassis.runtime.channels import DirectChannels
from chassis.runtime.component import Component
from chassis.runtime.database import Database
from chassis.runtime.host import wall_clock
from chassis.runtime.settings import Settings
from chassis.runtime.telemetry import Metrics, Telemetry
from chassis.runtime.work import Cause
from chassis.runtime.writer import Call, Outcome, Principal
from gateway.calls import Calls
from services.inventory.store.stock_book import StockBook
from suite.modules import BUILDS
from tests.service.stockroom import Stockroom

PRINCIPAL = Principal("key:test", ("*",))


class Bench:
    """Components by name, on one bus."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.bus = MemoryBus()
        self.channels = DirectChannels(Tokens("suite", settings.service_secret))
        self._stack = AsyncExitStack()

    async def component(self, service: str) -> Component:
        """Makes a component that does not run yet; the caller starts what it needs."""
        database = Database(self.settings.database_for(service))
        made = Component(
            BUILDS[service](self.channels, self.settings), database, self.bus, self.channels,
            Authenticator(self.settings.service_secret, _nobody), self.settings, Telemetry(service, 0), Metrics(), wall_clock,
        )  # fmt: skip
        self._stack.push_async_callback(made.stop)
        self.channels.pipelines[service] = (made.pipeline, made.methods)
        return made

    async def close(self) -> None:
        """Stops all."""
        await self._stack.aclose()


async def _nobody(_: str, __: bytes) -> None:
    return None


def call(component: Component, path: str, request: Any) -> Call:
    """Returns a call as the pipeline makes it."""
    return Call(component.methods[path], request, PRINCIPAL, Cause(PRINCIPAL.account, path, new_id()))


async def submit(component: Component, path: str, request: Any) -> Outcome:
    """Sends a call to a component's writer."""
    return (await component.writer.submit([call(component, path, request)]))[0]


@pytest.fixture
async def bench(settings: Settings) -> AsyncIterator[Bench]:
    """A bench on each database in turn."""
    found = Bench(settings)
    yield found
    await found.close()


@pytest.fixture
def started(bench: Bench) -> Callable[[str], Awaitable[Component]]:
    """Makes a component of which only the writer runs."""

    async def start(service: str) -> Component:
        made = await bench.component(service)
        made._tasks = [asyncio.ensure_future(made.writer.serve())]
        return made

    return start


@pytest.fixture
async def room(bench: Bench, started: Callable[[str], Awaitable[Component]]) -> Stockroom:
    """An inventory with a warehouse in Berlin."""
    found = Stockroom(await started("inventory"), Calls(bench.channels))
    await found.place("BER")
    return found


class Pause:
    """Where a stock book that has decided waits before it writes."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.go = asyncio.Event()


@pytest.fixture
async def replicas(postgres_settings: Settings) -> AsyncIterator[tuple[Stockroom, Component]]:
    """Two inventories on one database: one with a warehouse in Berlin, and the other."""
    bench = Bench(postgres_settings)
    first, second = [await bench.component("inventory") for _ in range(2)]
    for replica in (first, second):
        replica._tasks = [asyncio.ensure_future(replica.writer.serve())]
    room = Stockroom(first, Calls(bench.channels))
    await room.place("BER")
    yield room, second
    await bench.close()


@pytest.fixture
def pause(replicas: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Pause]]:
    """Makes books wait before they write, from when it is called until they may go; at the end they may."""
    made, write = Pause(), StockBook.write

    async def slowly(book: StockBook) -> None:
        made.reached.set()
        await made.go.wait()
        await write(book)

    def start() -> Pause:
        monkeypatch.setattr(StockBook, "write", slowly)
        return made

    yield start
    made.go.set()
