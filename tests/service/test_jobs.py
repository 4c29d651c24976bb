"""Jobs: each step's work and its progress are one; what fails is tried again, then held; what is stopped writes no more."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from sqlalchemy import select

from argosy.ops.v1 import jobs_service_pb2
from chassis.kernel.errors import FailedPrecondition
from chassis.kernel.ids import new_id
from chassis.runtime.component import Component
from chassis.runtime.jobs import Job, JobKind, Jobs, Reading, Result, Step, start_job
from chassis.runtime.work import Cause, Work
from gateway.calls import Calls
from services.inventory.store.tables import LOCATIONS
from tests.builders import eventually
from tests.service.conftest import Bench

Act = Callable[[Job], Awaitable[None]]
PLACES = 5


class Counting:
    """A job that sets five locations up, one a step, and does as a test says before each."""

    def __init__(self, component: Component, calls: Calls) -> None:
        self.component, self.calls = component, calls
        self.act: Act = self.nothing
        self.kind = JobKind("test.count", "Counts", self.step)
        parts = component.database, component.service.tables, component.writer, component.leases
        self.jobs = Jobs(*parts, [self.kind], component.looks)
        component.service = replace(component.service, jobs=[self.kind])

    async def nothing(self, job: Job) -> None:
        """Does nothing."""

    async def step(self, read: Reading, job: Job) -> Step:
        await self.act(job)
        done = job.done + 1

        async def write(work: Work) -> None:
            row = {
                "location_id": f"{job.job_id[-8:]}-{done}", "name": "L", "kind": 1, "entity": "DE01", "owned": 1, "country_code": "DE",
                "postal_prefix": "", "currency_code": "EUR", "created_at": work.now,
            }  # fmt: skip
            await work.tx.insert(LOCATIONS, [row])

        result = Result(f"L{done}", "made", failed=done == 3)
        failed = job.failed + (done == 3)
        return Step({"last": done}, PLACES, done, failed, write, [result], ended=done == PLACES, message="all made")

    async def start(self) -> str:
        cause = Cause("somebody", "test", new_id())
        return (await self.component.writer.run(lambda work: start_job(work, self.kind, {}), cause)).job_id

    async def run(self) -> None:
        while await self.jobs.do_one():
            pass

    async def job(self, job_id: str) -> jobs_service_pb2.Job:
        return await self.calls.jobs("inventory").GetJob(jobs_service_pb2.GetJobRequest(service="inventory", job_id=job_id))

    async def places(self) -> int:
        async with self.component.database.read() as tx:
            return len(await tx.read(select(LOCATIONS.c.location_id)))


@pytest.fixture
async def counting(bench: Bench, started: Callable[[str], Awaitable[Component]]) -> Counting:
    return Counting(await started("inventory"), Calls(bench.channels))


async def test_a_job_shows_how_far_it_is_and_what_became_of_each(counting: Counting) -> None:
    job_id = await counting.start()
    await counting.jobs.do_one()
    assert ((found := await counting.job(job_id)).done, found.total, found.started_by) == (1, PLACES, "somebody")
    await counting.run()
    found = await counting.job(job_id)
    assert (found.status, found.done, found.failed, found.message) == (jobs_service_pb2.JOB_STATUS_SUCCEEDED, PLACES, 1, "all made")
    assert found.HasField("ended_at")
    request = jobs_service_pb2.ListJobResultsRequest(service="inventory", job_id=job_id, failed_only=True)
    assert [one.subject_id for one in (await counting.calls.jobs("inventory").ListJobResults(request)).results] == ["L3"]
    listed = await counting.calls.jobs("inventory").ListJobs(jobs_service_pb2.ListJobsRequest(service="inventory"))
    assert [one.job_id for one in listed.jobs] == [job_id]


async def test_a_step_that_fails_is_done_again_and_nothing_of_it_twice(counting: Counting) -> None:
    failures = iter([2, 2])

    async def act(job: Job) -> None:
        if job.done == 2 and next(failures, None):
            raise RuntimeError("the power went off")

    counting.act = act
    job_id = await counting.start()
    await counting.run()
    assert (await counting.job(job_id)).status == jobs_service_pb2.JOB_STATUS_SUCCEEDED
    assert await counting.places() == PLACES


async def test_jobs_go_on_after_their_database_was_away(counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    do_one, tries = counting.jobs.do_one, []

    async def away() -> bool:
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError("the database is away")
        return await do_one()

    monkeypatch.setattr(counting.jobs, "do_one", away)
    running = [asyncio.ensure_future(run()) for run in (counting.jobs.serve, counting.component.looks.serve)]
    try:
        job_id = await counting.start()

        async def ended() -> bool:
            return (await counting.job(job_id)).status == jobs_service_pb2.JOB_STATUS_SUCCEEDED

        await eventually(ended)
    finally:
        for one in running:
            one.cancel()
    assert await counting.places() == PLACES


@pytest.mark.parametrize("error", [RuntimeError("broken"), FailedPrecondition("NOT_SO", "the file is gone; bring it again")])
async def test_a_job_that_cannot_go_on_fails_and_is_held(counting: Counting, error: Exception) -> None:
    async def act(job: Job) -> None:
        if job.done == 2:
            raise error

    counting.act = act
    job_id = await counting.start()
    await counting.run()
    found = await counting.job(job_id)
    assert found.status == jobs_service_pb2.JOB_STATUS_FAILED
    assert found.message == "the file is gone; bring it again" or "three times" in found.message
    assert await counting.places() == 2
    holds = counting.component.service.tables.holds
    async with counting.component.database.read() as tx:
        [hold] = await tx.read(select(holds))
    assert (hold.reason, hold.subject_id) == ("JOB_FAILED", job_id)


async def test_a_job_stopped_in_the_middle_of_a_step_writes_nothing_of_it(counting: Counting) -> None:
    cancel = jobs_service_pb2.CancelJobRequest(request_id=new_id(), service="inventory")

    async def act(job: Job) -> None:
        if job.done == 2:
            await counting.calls.jobs("inventory").CancelJob(cancel)

    counting.act = act
    cancel.job_id = await counting.start()
    await counting.run()
    assert (await counting.job(cancel.job_id)).status == jobs_service_pb2.JOB_STATUS_CANCELLED
    assert await counting.places() == 2


async def test_jobs_take_turns(counting: Counting) -> None:
    turns: list[str] = []

    async def act(job: Job) -> None:
        turns.append(job.job_id)

    counting.act = act
    first, second = await counting.start(), await counting.start()
    await counting.run()
    assert turns == [first, second] * PLACES
