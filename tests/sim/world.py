"""A suite in one thread, in virtual time, by a seed: every service's real code over a bus, a network and a disk that fail.

Time stands still while somebody works and jumps when all wait. Ids, delays and faults come from the seed, so that a run
that breaks can be run again.
"""

import asyncio
import random
import selectors
import shutil
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf.message import Message
from sqlalchemy import Engine, Executable, create_engine, event

from argosy.ops.v1 import ops_pb2
from chassis.kernel.clock import SECOND
from chassis.kernel.errors import Refusal, Unavailable
from chassis.kernel.ids import Ids
from chassis.runtime.auth import Authenticator, Tokens
from chassis.runtime.bus import MemoryBus
from chassis.runtime.channels import DirectChannels
from chassis.runtime.component import Component
from chassis.runtime.settings import SERVICES, Settings
from chassis.runtime.sqlite_driver import DEFERRED, IMMEDIATE, SqliteTx, Statement
from chassis.runtime.telemetry import Metrics, Telemetry
from chassis.runtime.tx import Tx
from suite.modules import BUILDS

SECRET = "a secret of simulations that is long enough"
BEGIN = 1_790_000_000 * SECOND
MOST_TRIES = 1000
T = TypeVar("T")
UNREACHABLE = Unavailable("UNREACHABLE", "the network lost it; send it again")


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time jumps to what is due next."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Selector(self))

    def time(self) -> float:
        """Returns the virtual time in seconds."""
        return self._now

    def jump(self, seconds: float) -> None:
        """Moves the time on."""
        self._now += seconds


class _Selector(selectors.SelectSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everybody waits for nothing: a deadlock")
        self._loop.jump(max(timeout, 0.0))
        return super().select(0)


class Dice:
    """All chance of a run."""

    def __init__(self, seed: int, faults: float) -> None:
        self.random = random.Random(seed)
        self.faults = faults

    def fails(self, share: float = 1.0) -> bool:
        """Says whether something goes wrong now."""
        return self.random.random() < self.faults * share

    async def delay(self, most_s: float) -> None:
        """Lets others go first, sometimes for a while."""
        await asyncio.sleep(self.random.choice((0.0, 0.0, self.random.uniform(0.0, most_s))))


class InlineDatabase:
    """A service's SQLite file without threads. A dead one writes no more."""

    dialect = "sqlite"

    def __init__(self, path: Path, dice: Dice) -> None:
        self._writer = _engine(path)
        self._reader = _engine(path)
        self._lock = asyncio.Lock()
        self._dice = dice
        self.dead = False

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Tx]:
        """Opens a transaction."""
        async with self._lock:
            with self._writer.begin() as connection:
                driver = _Inline(connection, self)
                tx = SqliteTx(driver, driver, IMMEDIATE)
                yield tx
                await tx.commit()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Tx]:
        """Opens a read."""
        with self._reader.connect() as connection:
            driver = _Inline(connection, self)
            yield SqliteTx(driver, driver, DEFERRED)

    def check(self) -> None:
        """Raises where its process was ended."""
        if self.dead:
            raise ConnectionError("this process was ended")

    async def run(self, execute: Callable[..., T], *what: Any) -> T:
        """Runs a statement after others had a chance to run theirs."""
        await self._dice.delay(0.002)
        self.check()
        return execute(*what)

    async def close(self) -> None:
        """Closes its connections."""
        self._writer.dispose()
        self._reader.dispose()


class _Inline:
    """A connection and its driver, in one thread."""

    def __init__(self, connection: Any, database: InlineDatabase) -> None:
        self._connection = connection
        self._database = database
        self.ahead: list[Statement] = []

    async def execute(self, statement: Executable, parameters: Any = None) -> Any:
        self._go_ahead()
        return await self._database.run(self._connection.execute, statement, parameters)

    async def hop(self, statement: Callable[[sqlite3.Connection], T]) -> T:
        self._go_ahead()
        return await self._database.run(statement, self._connection.connection.dbapi_connection)

    def _go_ahead(self) -> None:
        ahead, self.ahead = self.ahead, []
        for earlier in ahead:
            earlier(self._connection.connection.dbapi_connection)


def _engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"isolation_level": None, "check_same_thread": False}, pool_size=20)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=OFF", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


class RoughBus(MemoryBus):
    """A bus that is slow, is away, forgets to say that it took something, and delivers twice."""

    def __init__(self, dice: Dice) -> None:
        super().__init__()
        self._dice = dice

    async def publish(self, subject: str, record: ops_pb2.EventRecord) -> int:
        """Appends, perhaps twice, perhaps without an answer."""
        await self._dice.delay(0.005)
        if self._dice.fails():
            raise ConnectionError("the bus is away")
        place = await super().publish(subject, record)
        if self._dice.fails():
            await super().publish(subject, record)
        if self._dice.fails():
            raise ConnectionError("the bus did not answer")
        return place


class RoughChannels(DirectChannels):
    """A network that loses requests and answers, and callers whose service was ended under them."""

    def __init__(self, dice: Dice) -> None:
        super().__init__(Tokens("suite", SECRET))
        self._dice = dice
        # In the order in which they came: a set of tasks has the order of their addresses, another one each time.
        self._running: dict[str, dict[asyncio.Task[Message], None]] = {service: {} for service in SERVICES}

    async def call(self, service: str, path: str, request: bytes, actor: str) -> Message:
        """Runs a call, perhaps without an answer."""
        await self._dice.delay(0.01)
        if self._dice.fails():
            raise UNREACHABLE
        task = asyncio.ensure_future(super().call(service, path, request, actor))
        self._running[service][task] = None
        try:
            await asyncio.wait([task])
        finally:
            self._running[service].pop(task, None)
        if task.cancelled() or self._dice.fails():
            raise UNREACHABLE
        return task.result()

    def cut(self, service: str) -> None:
        """Ends the calls that a service is answering."""
        self.pipelines.pop(service, None)
        for task in list(self._running[service]):
            task.cancel()


class PatientChannels(DirectChannels):
    """A caller who sends each call again, as it was, until somebody answers it."""

    def __init__(self, rough: RoughChannels) -> None:
        super().__init__(Tokens("suite", SECRET))
        self._rough = rough

    async def call(self, service: str, path: str, request: bytes, actor: str) -> Message:
        """Runs a call until it is answered; fails where nobody answers for minutes."""
        for _ in range(MOST_TRIES):
            try:
                return await self._rough.call(service, path, request, actor)
            except Refusal as refusal:
                if not refusal.transient:
                    raise
            await asyncio.sleep(0.2)
        raise AssertionError(f"{path} was never answered")


class World:
    """The suite of one run."""

    def __init__(self, folder: Path, seed: int, faults: float) -> None:
        self.dice = Dice(seed, faults)
        self.bus = RoughBus(self.dice)
        self.channels = RoughChannels(self.dice)
        self._folder = folder
        self._components: dict[str, tuple[Component, InlineDatabase]] = {}
        self._loop = asyncio.get_running_loop()

    def clock(self) -> int:
        """Returns the virtual moment."""
        return BEGIN + int(self._loop.time() * SECOND)

    def start(self, service: str) -> None:
        """Starts a service on its file."""
        database: Any = InlineDatabase(self._folder / f"{service}.db", self.dice)
        settings = Settings(service_secret=SECRET)
        component = Component(
            BUILDS[service](self.channels, settings), database, self.bus, self.channels, Authenticator(SECRET, _nobody), settings,
            Telemetry(service, 0), Metrics(), self.clock,
        )  # fmt: skip
        component.start()
        self._components[service] = (component, database)
        self.channels.pipelines[service] = (component.pipeline, component.methods)

    def end(self, service: str) -> None:
        """Ends a service as kill -9 does: what was not committed is gone, who waited hears nothing."""
        component, database = self._components.pop(service)
        database.dead = True
        self.channels.cut(service)
        component.abandon()

    def calm(self) -> None:
        """Ends all faults."""
        self.dice.faults = 0.0

    async def trouble(self, endings: int, every_s: float, services: Sequence[str] = SERVICES) -> None:
        """Ends services, or loses the bus' store, now and then."""
        for _ in range(endings):
            await asyncio.sleep(self.dice.random.uniform(0.1, every_s))
            if self.dice.random.random() < 0.2:
                self.bus.lose()
                continue
            service = self.dice.random.choice(services)
            self.end(service)
            await asyncio.sleep(self.dice.random.uniform(0.0, 1.0))
            self.start(service)


async def _nobody(_: str, __: bytes) -> None:
    return None


@asynccontextmanager
async def world(template: Path, folder: Path, seed: int, faults: float) -> AsyncIterator[World]:
    """A running world on fresh copies of empty databases."""
    shutil.copytree(template, folder, dirs_exist_ok=True)
    found = World(folder, seed, faults)
    with _ids(found):
        for service in SERVICES:
            found.start(service)
        yield found
        for service in SERVICES:
            found.end(service)
        await asyncio.sleep(0)


@contextmanager
def _ids(of: World) -> Iterator[None]:
    """Ids in the order of virtual time, by the seed; a suite that lives in another thread must not use up the dice."""
    before, counter, own = Ids.source, iter(range(1 << 40)), threading.get_ident()

    def made() -> str:
        if threading.get_ident() != own:
            return before()
        return f"{of.clock() // 1000:012x}-{next(counter):08x}-{of.dice.random.getrandbits(32):08x}"

    Ids.source = made
    try:
        yield
    finally:
        Ids.source = before


def seeds(count: int) -> Sequence[int]:
    """Returns the seeds of so many runs."""
    return range(1, count + 1)
