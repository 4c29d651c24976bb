"""JobsService, the same in every service: long work beside the rpcs, step by step, with its progress.

A handler starts a job in its own transaction. One replica then does its steps: each reads and computes outside every
transaction, so that nobody waits for it, and then writes what it found together with how far it is. A crash repeats one
step at most, of which nothing was written; a job that was stopped writes nothing more.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import structlog
from google.protobuf.message import Message
from sqlalchemy import select, update

from argosy.ops.v1 import jobs_service_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import FailedPrecondition, NotFound, Refusal
from chassis.kernel.ids import new_id
from chassis.runtime.database import Database
from chassis.runtime.leases import Leases
from chassis.runtime.looks import Looks
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked, Read
from chassis.runtime.statements import ONE
from chassis.runtime.tables import ChassisTables
from chassis.runtime.tx import Tx
from chassis.runtime.work import Cause, HoldKind, Work
from chassis.runtime.writer import SetHandler, Writer, each

MOST_ATTEMPTS = 3
RUNNING = jobs_service_pb2.JOB_STATUS_RUNNING
FAILED = HoldKind("JOB_FAILED", "integration", 3600, "operations")
Reading = Callable[[], AbstractAsyncContextManager[Tx]]
log = structlog.get_logger()


@dataclass(frozen=True)
class Job:
    """A job as its next step sees it: what it was told or noted, and how far it is."""

    job_id: str
    state: dict[str, Any]
    total: int
    done: int
    failed: int
    started_by: str


@dataclass(frozen=True)
class Result:
    """What became of one subject of a job."""

    subject_id: str
    message: str
    failed: bool = False


@dataclass(frozen=True)
class Step:
    """What a step found: what to write, what to note for the next one, and how far the job is now.

    What only the transaction can tell of subjects, `write` returns; those that failed are counted beside `failed`.
    """

    state: dict[str, Any]
    total: int
    done: int
    failed: int = 0
    write: Callable[[Work], Awaitable[Sequence[Result] | None]] | None = None
    results: Sequence[Result] = field(default=())
    ended: bool = False
    message: str = ""


@dataclass(frozen=True)
class JobKind:
    """A kind of long work and how its next step is done; a step should take a second or so.

    `rest` lets go of what steps kept for the next one; it is called whenever no job runs.
    """

    name: str
    title: str
    step: Callable[[Reading, Job], Awaitable[Step]]
    rest: Callable[[], None] | None = None


async def start_job(work: Work, kind: JobKind, state: dict[str, Any]) -> jobs_service_pb2.Job:
    """Starts a job; what it is told must be JSON."""
    row = {
        "job_id": new_id(), "kind": kind.name, "status": RUNNING, "state": json.dumps(state), "total": 0, "done": 0, "failed": 0,
        "attempts": 0, "message": "", "started_by": work.cause.actor, "started_at": work.now, "stepped_at": work.now, "ended_at": None,
    }  # fmt: skip
    await work.tx.insert(work.tables.jobs, [row])
    work.wake("jobs")
    return await load(work.tx, work.tables, kind.title, str(row["job_id"]))


async def load(tx: Tx, tables: ChassisTables, title: str, job_id: str) -> jobs_service_pb2.Job:
    """Returns a job; raises NotFound."""
    rows = await tx.read(select(tables.jobs).where(tables.jobs.c.job_id == job_id))
    if not rows:
        raise NotFound("NO_SUCH_JOB", f"there is no job {job_id}", field="job_id")
    return _message(rows[0], title)


def _message(row: Any, title: str) -> jobs_service_pb2.Job:
    plain = ("job_id", "kind", "status", "total", "done", "failed", "message", "started_by")
    return jobs_service_pb2.Job(
        **{name: getattr(row, name) for name in plain}, title=title, started_at=to_timestamp(row.started_at),
        ended_at=to_timestamp(row.ended_at) if row.ended_at is not None else None,
    )  # fmt: skip


class _Stopped(Exception):
    """Somebody stopped the job, or another replica took it, while the step was being done."""


class Jobs:
    """One service's jobs: answers for them, and does them."""

    def __init__(
        self, database: Database, tables: ChassisTables, writer: Writer, leases: Leases, kinds: Sequence[JobKind], looks: Looks
    ) -> None:
        self._database = database
        self._tables = tables
        self._writer = writer
        self._leases = leases
        self._kinds = {kind.name: kind for kind in kinds}
        self._waiting = looks.add("jobs", select(tables.jobs.c.job_id).where(tables.jobs.c.status == ONE))

    def writes(self) -> dict[str, SetHandler]:
        """The mutating rpcs."""
        return {"CancelJob": each(self._cancel)}

    def reads(self) -> dict[str, Read]:
        """The queries."""
        return {"ListJobs": self._list, "GetJob": self._get, "ListJobResults": self._results}

    def _title(self, kind: str) -> str:
        return self._kinds[kind].title if kind in self._kinds else kind

    async def _list(self, asked: Asked) -> Message:
        table, request = self._tables.jobs, asked.request
        query = select(table)
        for name in ("kind", "status"):
            if wanted := getattr(request, name):
                query = query.where(table.c[name] == wanted)
        rows, token = await page(asked.tx, query, [table.c.job_id], request, descending=True)
        return jobs_service_pb2.ListJobsResponse(jobs=[_message(row, self._title(row.kind)) for row in rows], next_page_token=token)

    async def _get(self, asked: Asked) -> Message:
        """Refusals: NO_SUCH_JOB."""
        return await self._shown(asked.tx, asked.request.job_id)

    async def _results(self, asked: Asked) -> Message:
        table, request = self._tables.job_results, asked.request
        query = select(table).where(table.c.job_id == request.job_id)
        if request.failed_only:
            query = query.where(table.c.failed == 1)
        rows, token = await page(asked.tx, query, [table.c.position], request)
        results = [
            jobs_service_pb2.JobResult(position=row.position, subject_id=row.subject_id, failed=bool(row.failed), message=row.message)
            for row in rows
        ]
        return jobs_service_pb2.ListJobResultsResponse(results=results, next_page_token=token)

    async def _cancel(self, work: Work, request: jobs_service_pb2.CancelJobRequest) -> Message:
        """Refusals: NO_SUCH_JOB, JOB_ENDED."""
        table = self._tables.jobs
        running = update(table).where(table.c.job_id == request.job_id, table.c.status == RUNNING)
        stopped = running.values(status=jobs_service_pb2.JOB_STATUS_CANCELLED, ended_at=work.now)
        if not await work.tx.write(stopped):
            await self._shown(work.tx, request.job_id)
            raise FailedPrecondition("JOB_ENDED", "the job has ended already", field="job_id")
        return await self._shown(work.tx, request.job_id)

    async def _shown(self, tx: Tx, job_id: str) -> jobs_service_pb2.Job:
        found = await load(tx, self._tables, "", job_id)
        found.title = self._title(found.kind)
        return found

    async def serve(self) -> None:
        """Does the steps of jobs, in turn, until cancelled."""
        try:
            while True:
                try:
                    if await self.do_one():
                        continue
                except Exception as error:
                    log.warning("jobs wait", error=repr(error))
                self.rest()
                await self._waiting.wait()
                self._waiting.clear()
        finally:
            self.rest()

    def rest(self) -> None:
        """Lets go of what steps kept, while no job runs."""
        for kind in self._kinds.values():
            if kind.rest is not None:
                kind.rest()

    async def do_one(self) -> bool:
        """Does one step of the job that waited longest; says whether there was one."""
        table = self._tables.jobs
        waiting = select(table).where(table.c.status == ONE).order_by(table.c.stepped_at).limit(1)
        async with self._database.read() as tx:
            rows = await tx.read(waiting)
        if not rows or not await self._leases.hold("jobs"):
            return False
        row = rows[0]
        cause = Cause(row.started_by, row.kind, row.job_id)
        try:
            job = Job(row.job_id, json.loads(row.state), row.total, row.done, row.failed, row.started_by)
            step = await self._kinds[row.kind].step(self._database.read, job)
            await self._writer.run(lambda work: self._note(work, row, step), cause, alone=True)
        except _Stopped:
            log.info("job was stopped", job=row.job_id)
        except Refusal as refusal:
            reason = refusal.message
            await self._writer.run(lambda work: self._fail(work, row, reason), cause, alone=True)
        except Exception as error:
            log.exception("job failed", job=row.job_id, kind=row.kind, exc_info=error)
            await self._writer.run(lambda work: self._count(work, row), cause, alone=True)
        return True

    async def _note(self, work: Work, row: Any, step: Step) -> None:
        written = await step.write(work) if step.write is not None else None
        found = [*step.results, *(written or ())]
        failed = step.failed + sum(one.failed for one in written or ())
        results = [
            {
                "job_id": row.job_id, "position": row.done + index, "subject_id": one.subject_id, "failed": int(one.failed),
                "message": one.message,
            }
            for index, one in enumerate(found)
        ]  # fmt: skip
        await work.tx.insert(self._tables.job_results, results)
        values: dict[str, Any] = {"state": json.dumps(step.state), "total": step.total, "done": step.done, "failed": failed}
        if step.ended:
            values |= {"status": jobs_service_pb2.JOB_STATUS_SUCCEEDED, "ended_at": work.now, "message": step.message}
        await self._advance(work, row, attempts=0, **values)

    async def _count(self, work: Work, row: Any) -> None:
        if row.attempts + 1 >= MOST_ATTEMPTS:
            await self._fail(work, row, "the service failed three times at the same step; the incident is in its log")
        else:
            await self._advance(work, row, attempts=row.attempts + 1)

    async def _fail(self, work: Work, row: Any, message: str) -> None:
        await self._advance(work, row, status=jobs_service_pb2.JOB_STATUS_FAILED, ended_at=work.now, message=message)
        work.hold(FAILED, "job", row.job_id, f"{self._title(row.kind)}: {message}")

    async def _advance(self, work: Work, row: Any, **values: Any) -> None:
        """Writes how far a job is, if it is still where this step found it."""
        table = self._tables.jobs
        here = update(table).where(table.c.job_id == row.job_id, table.c.status == RUNNING, table.c.stepped_at == row.stepped_at)
        if not await work.tx.write(here.values(stepped_at=max(work.now, row.stepped_at + 1), **values)):
            raise _Stopped
