"""The pipeline's clock: whoever waits no longer is not waited for, and what they began is finished."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest

from argosy.catalog.v1 import channels_service_pb2
from argosy.catalog.v1.channels_service_pb2_grpc import ChannelsServiceStub
from chassis.kernel.errors import DeadlineExceeded, Refusal
from chassis.kernel.ids import new_id
from chassis.runtime.auth import Tokens
from chassis.runtime.channels import GrpcChannels
from chassis.runtime.component import Component
from chassis.runtime.pipeline import Incoming
from chassis.runtime.server import Server
from chassis.runtime.work import Work
from suite.up import wait_for
from tests.service.conftest import Bench

PATH = "/argosy.catalog.v1.ChannelsService/CreateChannel"
Started = Callable[[str], Awaitable[Component]]


@pytest.fixture
async def slow(started: Started, monkeypatch: pytest.MonkeyPatch) -> tuple[Component, asyncio.Event]:
    """A catalog that makes channels when it is let."""
    catalog, go = await started("catalog"), asyncio.Event()
    handle = catalog.writer._handlers[PATH]

    async def wait(work: Work, calls: Sequence[Any]) -> Any:
        await go.wait()
        return await handle(work, calls)

    monkeypatch.setitem(catalog.writer._handlers, PATH, wait)
    return catalog, go


@pytest.fixture
async def stub(bench: Bench, slow: tuple[Component, asyncio.Event]) -> AsyncIterator[ChannelsServiceStub]:
    """Calls it over the network."""
    settings = bench.settings
    server = Server(slow[0], f"{settings.host}:{settings.ports['catalog']}")
    await server.start()
    channels = GrpcChannels(settings, Tokens("suite", settings.service_secret))
    yield ChannelsServiceStub(channels.to("catalog"))
    await channels.close()
    await server.drain(0)


def channel() -> channels_service_pb2.CreateChannelRequest:
    return channels_service_pb2.CreateChannelRequest(request_id=new_id(), channel_id="web", name="Web", currency_code="EUR", entity="DE01")


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_caller_who_waits_no_longer_is_not_waited_for(
    slow: tuple[Component, asyncio.Event], stub: ChannelsServiceStub, leaves: bool
) -> None:
    catalog, go = slow
    request = channel()
    asks = asyncio.ensure_future(stub.CreateChannel(request, timeout=20 if leaves else 0.3))
    await wait_for(lambda: catalog.pipeline.in_flight == 1, "the call")
    if leaves:
        asks.cancel()
    with pytest.raises(asyncio.CancelledError if leaves else DeadlineExceeded):
        await asks
    await wait_for(lambda: catalog.pipeline.in_flight == 0, "its end")
    assert dict(catalog.pipeline._metrics._calls) == {(PATH, "CANCELLED" if leaves else "DEADLINE_EXCEEDED"): 1}
    go.set()
    answer = await stub.CreateChannel(request)
    assert answer.channel_id == "web"
    assert catalog.pipeline._metrics._calls[PATH, "OK"] == 1


@pytest.mark.parametrize(("left", "reason"), [(None, "TOO_SLOW"), (601.0, "TOO_SLOW"), (0.0, "NO_TIME_LEFT"), (0.01, "NO_TIME_LEFT")])
async def test_who_names_no_time_or_none_is_told(
    bench: Bench, slow: tuple[Component, asyncio.Event], monkeypatch: pytest.MonkeyPatch, left: float | None, reason: str
) -> None:
    catalog, go = slow
    monkeypatch.setattr(catalog.pipeline, "_deadline_s", 0.2)
    monkeypatch.setattr("chassis.runtime.pipeline.LONGEST_S", 0.2)
    token = f"Bearer {Tokens('suite', bench.settings.service_secret).current()}"
    refusal = await catalog.pipeline.outcome(catalog.methods[PATH], channel(), Incoming(token, time_left_s=left))
    assert isinstance(refusal, DeadlineExceeded)
    assert refusal.reason == reason
    assert catalog.pipeline._metrics._calls == {(PATH, "DEADLINE_EXCEEDED"): 1}
    go.set()


async def test_a_refusal_is_raised_or_returned(bench: Bench, started: Started) -> None:
    catalog = await started("catalog")
    incoming = Incoming("Bearer nobody", time_left_s=5)
    refusal = await catalog.pipeline.outcome(catalog.methods[PATH], channel(), incoming)
    assert isinstance(refusal, Refusal) and refusal.reason == "BAD_CREDENTIALS"
    with pytest.raises(Refusal, match="the token is not valid"):
        await catalog.pipeline.call(catalog.methods[PATH], channel(), incoming)
