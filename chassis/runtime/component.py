"""A running service: database, writer, relay, inbox, effects, timers and pipeline, put together.

Knows no transport: `server.py` puts gRPC in front of it, a simulation calls its pipeline directly.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
from sqlalchemy import func, select, true

from argosy.ops.v1 import ops_pb2, ops_service_pb2
from argosy.ops.v1.ops_service_pb2_grpc import OpsServiceStub
from chassis.kernel.ids import new_id
from chassis.kernel.process import Fired
from chassis.runtime import audit
from chassis.runtime.approvals import Approvals
from chassis.runtime.auth import Authenticator
from chassis.runtime.bus import Bus
from chassis.runtime.channels import Channels
from chassis.runtime.contracts import Method, methods_of
from chassis.runtime.database import Database
from chassis.runtime.effects import Executor
from chassis.runtime.holds import Holds
from chassis.runtime.inbox import Inbox
from chassis.runtime.jobs import Jobs
from chassis.runtime.leases import Leases
from chassis.runtime.looks import Looks
from chassis.runtime.ops import CONTRACTS, Ops
from chassis.runtime.pipeline import Pipeline
from chassis.runtime.process import Runner
from chassis.runtime.relay import Relay
from chassis.runtime.service import Periodic, Service
from chassis.runtime.settings import Settings
from chassis.runtime.statements import NOW
from chassis.runtime.tables import ChassisTables
from chassis.runtime.telemetry import Metrics, Telemetry
from chassis.runtime.tx import Tx
from chassis.runtime.work import Cause, Work
from chassis.runtime.writer import Writer

MEASURE_S = 15.0
TIMERS = "timers"
MOST_TIMERS = 256
log = structlog.get_logger()


async def backlog(tx: Tx, tables: ChassisTables) -> dict[str, tuple[int, int | None]]:
    """Returns how much of each kind waits, and since when the oldest of it does: outbox, effects, parked and dead events, holds.

    Holds are counted by queue; those past their due time again as `overdue`, since they were due.
    """
    outbox, effects, parked, holds = tables.outbox, tables.effects, tables.parked_events, tables.holds
    waiting = {
        "outbox": (outbox.c.occurred_at, outbox.c.published_at.is_(None)),
        "effects": (effects.c.created_at, true()),
        "parked": (parked.c.parked_at, parked.c.dead_at.is_(None)),
        "dead": (parked.c.dead_at, parked.c.dead_at.is_not(None)),
    }
    found: dict[str, tuple[int, int | None]] = {}
    for kind, (moment, condition) in waiting.items():
        count, oldest = (await tx.read(select(func.count(), func.min(moment)).where(condition)))[0]
        found[kind] = (int(count), oldest)
    queues = select(holds.c.queue, func.count(), func.min(holds.c.raised_at)).where(*tables.open_holds).group_by(holds.c.queue)
    found.update({f"holds:{queue}": (int(count), oldest) for queue, count, oldest in await tx.read(queues)})
    return found


async def overdue(tx: Tx, tables: ChassisTables, now: int) -> tuple[int, int | None]:
    """Returns how many open holds are past their due time, and since when the first is."""
    late = select(func.count(), func.min(tables.holds.c.due_at)).where(*tables.open_holds, tables.holds.c.due_at < now)
    count, since = (await tx.read(late))[0]
    return int(count), since


class Component:
    """One service with everything it runs on."""

    def __init__(
        self, service: Service, database: Database, bus: Bus, channels: Channels, authenticator: Authenticator,
        settings: Settings, telemetry: Telemetry, metrics: Metrics, clock: Callable[[], int],
    ) -> None:  # fmt: skip
        self.service = service
        self.database = database
        self.telemetry = telemetry
        self._channels = channels
        self._clock = clock
        self._metrics = metrics
        tables = service.tables
        runner = Runner(tables, service.processes)
        self._methods = {m.name: m for contract in (*service.contracts, *CONTRACTS) for m in methods_of(contract)}
        self.methods: dict[str, Method] = {method.path: method for method in self._methods.values()}
        handlers: dict[str, Any] = {}
        self.writer = Writer(database, tables, runner, handlers, clock, self._committed)
        self.leases = Leases(new_id(), database, tables, self.writer, clock)
        self.looks = Looks(database, clock)
        self.relay = Relay(service.name, database, tables, self.writer, bus, self.leases, self.looks)
        self.executor = Executor(database, tables, self.writer, self.leases, service.processes, clock, telemetry, self.looks)
        self.inbox = Inbox(
            service.name, database, tables, self.writer, bus, self.leases, service.reactions, self._ask_replay, telemetry, metrics,
            self.looks,
        )  # fmt: skip
        self.holds = Holds(service.name, tables, service.on_hold_released, clock)
        self.jobs = Jobs(database, tables, self.writer, self.leases, (*service.jobs, self.holds.release_job), self.looks)
        alike: tuple[Ops | Holds | Approvals | Jobs, ...] = (
            Ops(service, self.relay, clock), self.holds, Approvals(tables, service.approvals), self.jobs
        )  # fmt: skip
        writes = {**service.writes, **{name: answer for one in alike for name, answer in one.writes().items()}}
        reads = {**service.reads, **{name: answer for one in alike for name, answer in one.reads().items()}}
        self._bound = {*writes, *reads, *service.watches}
        handlers.update(self._by_path(writes))
        self.pipeline = Pipeline(
            writer=self.writer, database=database, authenticator=authenticator, telemetry=telemetry, metrics=metrics,
            reads=self._by_path(reads), watches=self._by_path(service.watches),
            prepares=self._by_path(service.prepares),
            most_in_flight=settings.max_in_flight, deadline_s=settings.deadline_s,
        )  # fmt: skip
        self.pipeline.elements = self.methods
        self._tasks: list[asyncio.Task[None]] = []

    def _by_path(self, bound: Any) -> dict[str, Any]:
        return {self._methods[name].path: answer for name, answer in bound.items()}

    def unbound(self) -> list[str]:
        """Returns the rpcs of the contracts that nothing answers."""
        return [m.path for m in self._methods.values() if m.name not in self._bound and not m.element]

    def loops(self) -> Sequence[tuple[str, Callable[[], Awaitable[None]]]]:
        """Returns what must run beside the rpcs, by name."""
        tables, timers = self.service.tables, self.service.tables.timers
        periodics = (
            Periodic(audit.SEALING, 1.0, audit.seal, select(tables.audit_rows.c.audit_id).where(*tables.unsealed)),
            Periodic(TIMERS, 0.5, self._fire, select(timers.c.due_at).where(timers.c.due_at <= NOW)),
            Periodic("escalations", 5.0, self.holds.escalate, self.holds.due_escalations()),
            *self.service.periodics,
        )
        return [
            ("writer", self.writer.serve),
            ("looks", self.looks.serve),
            ("relay", self.relay.serve),
            ("parked", self.inbox.serve_parked),
            *((f"inbox:{p}", lambda p=p: self.inbox.serve(p)) for p in self.inbox.producers),
            *((f"effects:{k}", lambda k=k: self.executor.serve(k)) for k in self.executor.kinds),
            ("jobs", self.jobs.serve),
            ("effects", self.executor.watch),
            ("backlog", self._measure),
            *((f"periodic:{p.name}", lambda p=p: self._repeat(p)) for p in periodics),
        ]

    def start(self) -> None:
        """Starts the loops."""
        self._tasks = [asyncio.ensure_future(run()) for _, run in self.loops()]

    async def stop(self) -> None:
        """Stops taking events and effects, lets the writer finish what it has, and closes the database."""
        await cancelled(self._tasks[1:])
        await self.writer.finish()
        await cancelled(self._tasks[:1])
        await self.database.close()
        self.telemetry.close()

    def abandon(self) -> None:
        """Ends everything at once, as the end of its process would."""
        for task in self._tasks:
            task.cancel()

    def _committed(self, work: Work) -> None:
        self.looks.wake(work.wakes)
        if work.emissions:
            for name, count in Counter(type(one.message).__name__ for one in work.emissions).items():
                self._metrics.said.add(count, {"event": name})
        self.executor.wake(work.effects_written)

    async def _measure(self) -> None:
        """Counts what waits, for the gauges."""
        while True:
            try:
                now = self._clock()
                async with self.database.read() as tx:
                    found = await backlog(tx, self.service.tables)
                    found["overdue"] = await overdue(tx, self.service.tables, now)
                self._metrics.waits(self.service.name, found, now)
            except Exception as error:
                log.warning("backlog is not known", service=self.service.name, error=repr(error))
            await asyncio.sleep(MEASURE_S)

    async def _repeat(self, periodic: Periodic) -> None:
        cause = Cause("service", periodic.name, periodic.name)
        due = None if periodic.due is None else self.looks.add(periodic.name, periodic.due, periodic.every_s)
        while True:
            await asyncio.sleep(periodic.every_s)
            if due is not None:
                await due.wait()
                due.clear()
            try:
                if await self.leases.hold(f"periodic:{periodic.name}"):
                    await self.writer.run(periodic.job, cause)
            except Exception as error:
                log.exception("periodic job failed", job=periodic.name, exc_info=error)

    async def _fire(self, work: Work) -> None:
        """Delivers the timers that are due."""
        timers = self.service.tables.timers
        query = select(timers).where(timers.c.due_at <= work.now).order_by(timers.c.due_at).limit(MOST_TIMERS)
        # Whoever sets one anew, or takes it back, has it; what is left then is looked at again.
        due = await work.tx.read(query.with_for_update(skip_locked=True))
        if len(due) == MOST_TIMERS:
            work.wake(TIMERS)
        key = ("process", "process_id", "name")
        await work.tx.remove(timers, key, [tuple(getattr(row, name) for name in key) for row in due])
        for row in due:
            work.deliver(row.process, row.process_id, Fired(row.name))

    async def _ask_replay(
        self, producer: str, aggregate: str, aggregate_id: str, from_sequence: int
    ) -> tuple[Sequence[ops_pb2.EventRecord], int]:
        request = ops_service_pb2.ReplayEventsRequest(
            service=producer, aggregate=aggregate, aggregate_id=aggregate_id, from_sequence=from_sequence
        )
        answer = await OpsServiceStub(self._channels.to(producer)).ReplayEvents(request)
        return list(answer.events), answer.oldest_sequence


async def cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancels tasks until they have ended: one cancellation is lost where it meets the end of a wait (`asyncio.wait_for`)."""
    while waiting := [task for task in tasks if not task.done()]:
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting, timeout=0.5)
