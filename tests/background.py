"""A suite that runs in a thread of its own, for tests that are not asynchronous themselves."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from argosy.gateway.v1 import access_service_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from suite.calls import Calls
from suite.up import running_suite
from tests.builders import open_shop


@dataclass(frozen=True)
class Door:
    """Where the gateway answers HTTP, and a key that may do anything."""

    url: str
    key: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


@contextmanager
def open_door(settings: Settings) -> Iterator[Door]:
    """Runs a suite with a small shop for as long as the block."""
    opened, closing = threading.Event(), asyncio.Event()
    found: list[Door] = []
    failed: list[BaseException] = []
    loops: list[asyncio.AbstractEventLoop] = []

    async def work() -> None:
        loops.append(asyncio.get_running_loop())
        async with running_suite(settings) as suite:
            calls = Calls(suite.channels)
            await open_shop(calls, {"BER": 1000, "HAM": 1000})
            request = access_service_pb2.CreateKeyRequest(request_id=new_id(), account="tester", permissions=["*"])
            created = await calls.access.CreateKey(request)
            found.append(Door(f"http://{settings.host}:{settings.http_port}", created.secret))
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
