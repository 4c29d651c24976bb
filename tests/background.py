"""A suite that runs in a thread of its own, for tests that are not asynchronous themselves."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from argosy.gateway.v1 import access_service_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from gateway.calls import Calls
from suite.up import Suite, running_suite
from tests.builders import open_shop

T = TypeVar("T")


@dataclass(frozen=True)
class Door:
    """Where the gateway answers HTTP, a key that may do anything, and the suite behind it."""

    url: str
    key: str
    suite: Suite
    calls: Calls
    loop: asyncio.AbstractEventLoop

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def run(self, work: Coroutine[Any, Any, T], within_s: float = 120) -> T:
        """Runs something in the suite's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(within_s)


@contextmanager
def open_house(settings: Settings) -> Iterator[Door]:
    """Runs an empty suite for as long as the block."""
    opened, closing = threading.Event(), asyncio.Event()
    found: list[Door] = []
    failed: list[BaseException] = []
    loops: list[asyncio.AbstractEventLoop] = []

    async def work() -> None:
        loops.append(asyncio.get_running_loop())
        async with running_suite(settings) as suite:
            calls = Calls(suite.channels)
            request = access_service_pb2.CreateKeyRequest(request_id=new_id(), account="tester", permissions=["*"])
            created = await calls.access.CreateKey(request)
            found.append(Door(f"http://{settings.host}:{settings.http_port}", created.secret, suite, calls, loops[0]))
            opened.set()
            await closing.wait()

    def run() -> None:
        try:
            asyncio.run(work())
        except BaseException as error:
            failed.append(error)
        finally:
            opened.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    opened.wait(60)
    try:
        if failed:
            raise failed[0]
        yield found[0]
    finally:
        if loops:
            loops[0].call_soon_threadsafe(closing.set)
        thread.join(30)
    if thread.is_alive():
        raise RuntimeError("the suite did not stop within 30 s")
    if failed:
        raise failed[0]


@contextmanager
def open_door(settings: Settings) -> Iterator[Door]:
    """Runs a suite with a small shop for as long as the block."""
    with open_house(settings) as door:
        door.run(open_shop(door.calls, {"BER": 1000, "HAM": 1000}))
        yield door
