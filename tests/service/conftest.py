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
from chassis.runtime.postgres_driver import PostgresTx
from chassis.runtime.settings import Settings
from chassis.runtime.telemetry import Metrics, Telemetry
from chassis.runtime.work import Cause, Work
from chassis.runtime.writer import Call, Outcome, Principal
from gateway.calls import Calls
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


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The first words of what our driver sends to PostgreSQL, one for each round trip."""
    words: list[str] = []
    drive = PostgresTx._drive

    async def noted(tx: PostgresTx, how: str, text: str, *cells: Any) -> Any:
        words.append(text.split(maxsplit=1)[0])
        return await drive(tx, how, text, *cells)

    monkeypatch.setattr(PostgresTx, "_drive", noted)
    return words


class Pause:
    """Where a component that has decided waits before it commits."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.go = asyncio.Event()


class Replicas:
    """Makes two components of a service on one database, of which only the writers run; who calls reaches the first."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.calls = Calls(bench.channels)

    async def start(self, service: str) -> tuple[Component, Component]:
        second, first = [await self._bench.component(service) for _ in range(2)]
        for replica in (first, second):
            replica._tasks = [asyncio.ensure_future(replica.writer.serve())]
        return first, second


@pytest.fixture
async def twice(postgres_settings: Settings) -> AsyncIterator[Replicas]:
    """Services on PostgreSQL, each as two replicas."""
    bench = Bench(postgres_settings)
    yield Replicas(bench)
    await bench.close()


@pytest.fixture
async def replicas(twice: Replicas) -> tuple[Stockroom, Component]:
    """Two inventories on one database: one with a warehouse in Berlin, and the other."""
    first, second = await twice.start("inventory")
    room = Stockroom(first, twice.calls)
    await room.place("BER")
    return room, second


@pytest.fixture
def pause() -> Iterator[Callable[[Component], Pause]]:
    """Makes a component wait before it commits what it is asked, from when it is called until it may go; at the end it may."""
    made: list[Pause] = []

    def start(component: Component) -> Pause:
        found, keep = Pause(), component.writer._keep_outcomes

        async def slowly(work: Work, outcomes: Any) -> None:
            found.reached.set()
            await found.go.wait()
            await keep(work, outcomes)

        component.writer._keep_outcomes = slowly  # type: ignore[method-assign]
        made.append(found)
        return found

    yield start
    for one in made:
        one.go.set()
