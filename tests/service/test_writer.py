"""The writer: one effect for each request id, each call's failure its own, jobs and calls in shared transactions."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from argosy.catalog.v1 import channels_service_pb2
from chassis.kernel.errors import AlreadyExists, FailedPrecondition, Internal, Unavailable
from chassis.kernel.ids import new_id
from chassis.runtime.component import Component
from chassis.runtime.settings import Settings
from chassis.runtime.work import Cause, Work
from services.catalog.store.tables import CHANNELS
from tests.service.conftest import Bench, submit

PATH = "/argosy.catalog.v1.ChannelsService/CreateChannel"
CAUSE = Cause("test", "test", "test")
Started = Callable[[str], Awaitable[Component]]


def channel(channel_id: str, request_id: str = "", name: str = "Web") -> channels_service_pb2.CreateChannelRequest:
    return channels_service_pb2.CreateChannelRequest(
        request_id=request_id or new_id(), channel_id=channel_id, name=name, currency_code="EUR", entity="DE01"
    )


async def count(component: Component) -> int:
    async with component.database.read() as tx:
        return int((await tx.read(select(func.count()).select_from(CHANNELS)))[0][0])


async def test_the_same_request_fifty_times_at_once_has_one_effect(started: Started) -> None:
    catalog = await started("catalog")
    request = channel("web")
    answers = await asyncio.gather(*(submit(catalog, PATH, request) for _ in range(50)))
    assert all(answer == answers[0] for answer in answers)
    assert await submit(catalog, PATH, request) == answers[0]
    assert await count(catalog) == 1


async def test_a_request_id_belongs_to_one_request(started: Started) -> None:
    catalog = await started("catalog")
    first = channel("web")
    other = channel("shop", first.request_id)
    together = await asyncio.gather(submit(catalog, PATH, first), submit(catalog, PATH, other))
    later = await submit(catalog, PATH, other)
    for refused in (together[1], later):
        assert isinstance(refused, FailedPrecondition)
        assert (refused.reason, refused.field) == ("IDEMPOTENCY_KEY_REUSED", "request_id")
    assert await count(catalog) == 1


async def test_a_refusal_is_remembered(started: Started) -> None:
    catalog = await started("catalog")
    await submit(catalog, PATH, channel("web"))
    again = channel("web")
    refusals = [await submit(catalog, PATH, again) for _ in range(2)]
    assert [type(one) for one in refusals] == [AlreadyExists, AlreadyExists]
    assert refusals[0].reason == refusals[1].reason == "CHANNEL_EXISTS"  # type: ignore[union-attr]


@pytest.mark.parametrize("now", [Unavailable("AWAY", "not now"), FailedPrecondition("CLOSED", "no more"), RuntimeError("a defect")])
async def test_what_was_answered_is_answered_again_whatever_is_true_now(
    started: Started, monkeypatch: pytest.MonkeyPatch, now: Exception
) -> None:
    catalog = await started("catalog")
    before = channel("web")
    answer = await submit(catalog, PATH, before)

    async def changed(_: Work, calls: Any) -> Any:
        if isinstance(now, RuntimeError):
            raise now
        return [now] * len(calls)

    monkeypatch.setitem(catalog.writer._handlers, PATH, changed)
    requests = [channel("shop"), before, channel("store")]
    answers = await asyncio.gather(*(submit(catalog, PATH, request) for request in requests))
    assert answers[1] == answer
    wanted = Internal if isinstance(now, RuntimeError) else type(now)
    assert [type(answers[index]) for index in (0, 2)] == [wanted, wanted]
    assert await submit(catalog, PATH, before) == answer
    assert await count(catalog) == 1


async def test_a_poisonous_call_hurts_only_itself(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = await started("catalog")
    handle = catalog.writer._handlers[PATH]

    async def poisoned(work: Work, calls: Any) -> Any:
        if any(one.request.name == "poison" for one in calls):
            raise RuntimeError("a defect")
        return await handle(work, calls)

    monkeypatch.setitem(catalog.writer._handlers, PATH, poisoned)
    requests = [channel(f"c{index}", name="poison" if index == 100 else "Web") for index in range(256)]
    answers = await asyncio.gather(*(submit(catalog, PATH, request) for request in requests))
    assert [index for index, answer in enumerate(answers) if isinstance(answer, Internal)] == [100]
    assert await count(catalog) == 255
    monkeypatch.setitem(catalog.writer._handlers, PATH, handle)
    assert not isinstance(await submit(catalog, PATH, requests[100]), Internal), "a defect is no answer to be remembered"


async def test_a_job_that_fails_hurts_only_itself(started: Started) -> None:
    catalog = await started("catalog")

    async def insert(work: Work, channel_id: str) -> str:
        row = {"channel_id": channel_id, "name": "", "currency_code": "EUR", "entity": "", "prices_include_tax": 0, "created_at": 0}
        await work.tx.write(CHANNELS.insert(), [row])
        if channel_id == "j3":
            raise ValueError("after it wrote")
        return channel_id

    jobs = [catalog.writer.run(lambda work, name=f"j{index}": insert(work, name), CAUSE) for index in range(8)]  # type: ignore[misc]
    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert [type(one) for one in results if not isinstance(one, str)] == [ValueError]
    assert await count(catalog) == 7


async def test_two_replicas_answer_the_same_call_alike(postgres_settings: Settings) -> None:
    bench = Bench(postgres_settings)
    replicas = [await bench.component("catalog") for _ in range(2)]
    for replica in replicas:
        replica._tasks = [asyncio.ensure_future(replica.writer.serve())]
    try:
        for round_ in range(20):
            request = channel(f"c{round_}")
            answers = await asyncio.gather(*(submit(replica, PATH, request) for replica in replicas for _ in range(4)))
            assert all(answer == answers[0] for answer in answers)
        assert await count(replicas[0]) == 20
    finally:
        await bench.close()
