"""Performs the effects of processes after commit: many of a kind at once, all answers in one transaction.

An effect's request id never changes, so that one which was performed and not recorded is performed again harmlessly.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

import msgspec
import structlog
from msgspec import Struct
from opentelemetry.trace import SpanKind
from sqlalchemy import select

from chassis.kernel.clock import SECOND
from chassis.kernel.errors import Refusal
from chassis.runtime.database import Database
from chassis.runtime.leases import Leases
from chassis.runtime.looks import LOOK_S, Looks
from chassis.runtime.process import Perform, ProcessType
from chassis.runtime.statements import NOW
from chassis.runtime.tables import ChassisTables
from chassis.runtime.telemetry import SAMPLED, Telemetry
from chassis.runtime.work import Cause, Work
from chassis.runtime.writer import Writer

MOST = 256
# So many of what is asked of providers outside are under way at a time.
AT_ONCE = 16
LONGEST_PAUSE_S = 30
T = TypeVar("T")
KEY = ("effect_id",)
log = structlog.get_logger()


async def few_at_once(asking: Iterable[Awaitable[T]]) -> list[T]:
    """Waits for all, a few at a time, so that who is slow keeps few others waiting. Raises what one raised once all have ended."""
    room = asyncio.Semaphore(AT_ONCE)

    async def wait(one: Awaitable[T]) -> T:
        async with room:
            return await one

    answers = await asyncio.gather(*(wait(one) for one in asking), return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return answers  # type: ignore[return-value]


class Effect:
    """An effect on its way: its request id for ever, what it asks, and what it follows from."""

    __slots__ = ("asked", "cause", "process_id", "request_id")

    def __init__(self, request_id: str, process_id: str, asked: Any, cause: Cause) -> None:
        self.request_id = request_id
        self.process_id = process_id
        self.asked = asked
        self.cause = cause


class Executor:
    """Performs one service's effects; every kind has its own line."""

    def __init__(
        self, database: Database, tables: ChassisTables, writer: Writer, leases: Leases,
        types: Sequence[ProcessType], clock: Callable[[], int], telemetry: Telemetry, looks: Looks,
    ) -> None:  # fmt: skip
        self._database = database
        self._tables = tables
        self._writer = writer
        self._leases = leases
        self._clock = clock
        self._telemetry = telemetry
        self.kinds: dict[str, tuple[type[Struct], Perform]] = {
            cls.__name__: (cls, perform) for kind in types for cls, perform in kind.effects.items()
        }
        effects = tables.effects
        self._due = select(effects.c.kind).where(effects.c.due_at <= NOW).distinct()
        self._waiting = looks.add("effects", self._due)
        self._wakes = {name: asyncio.Event() for name in self.kinds}

    def wake(self, names: Iterable[str]) -> None:
        """Says that effects of these kinds are due."""
        for name in sorted(names):
            self._wakes[name].set()

    async def watch(self) -> None:
        """Wakes until cancelled the kinds that are due: those that another replica left, and those to be tried again."""
        while True:
            await self._waiting.wait()
            self._waiting.clear()
            try:
                async with self._database.read() as tx:
                    due = await tx.read(self._due, {"now": self._clock()})
                self.wake(row.kind for row in due)
            except Exception as error:
                log.warning("effects are not known", error=repr(error))

    async def serve(self, name: str) -> None:
        """Performs effects of one kind until cancelled."""
        while True:
            await self._wakes[name].wait()
            self._wakes[name].clear()
            try:
                while await self._leases.hold(f"effects:{name}") and await self.perform(name):
                    pass
            except Exception as error:
                log.exception("effects wait", kind=name, exc_info=error)
                await asyncio.sleep(LOOK_S)

    async def perform(self, name: str) -> bool:
        """Performs what is due of a kind and says whether there may be more."""
        effects, processes = self._tables.effects, self._tables.processes
        cls, perform = self.kinds[name]
        query = select(effects, processes.c.traceparent, processes.c.correlation_id).join(
            processes, (processes.c.process == effects.c.process) & (processes.c.process_id == effects.c.process_id)
        )
        query = query.where(effects.c.kind == name, effects.c.due_at <= self._clock()).order_by(effects.c.effect_id).limit(MOST)
        async with self._database.read() as tx:
            rows = await tx.read(query)
        if not rows:
            return False
        asked = [
            Effect(
                row.request_id, row.process_id, msgspec.json.decode(row.payload, type=cls),
                Cause(f"process:{row.process}", name, row.request_id, row.traceparent, row.correlation_id),
            )
            for row in rows
        ]  # fmt: skip
        answers, errors = await self._ask_traced(name, perform, asked)
        await self._keep(rows, answers, errors, asked[0].cause)
        return len(rows) == MOST

    async def _ask_traced(self, name: str, perform: Perform, asked: Sequence[Effect]) -> tuple[list[Struct | None], list[str]]:
        """Asks all at once, but each sampled one alone and within its own trace."""
        sampled = [index for index, effect in enumerate(asked) if effect.cause.traceparent.endswith(SAMPLED)]
        rest = [index for index in range(len(asked)) if index not in set(sampled)]
        found: dict[int, tuple[Struct | None, str]] = {}
        if rest:
            answers, errors = await self._ask(name, perform, [asked[index] for index in rest])
            found.update(zip(rest, zip(answers, errors, strict=True), strict=True))
        for index in sampled:
            with self._telemetry.span(name, SpanKind.CLIENT, asked[index].cause.traceparent):
                answers, errors = await self._ask(name, perform, [asked[index]])
            found[index] = (answers[0], errors[0])
        return [found[index][0] for index in range(len(asked))], [found[index][1] for index in range(len(asked))]

    async def _ask(self, name: str, perform: Perform, asked: Sequence[Effect]) -> tuple[list[Struct | None], list[str]]:
        """Returns the answers and what failed; where many fail together, each is tried alone, so that one hurts only itself."""
        try:
            return list(await perform(asked, self._database)), [""] * len(asked)
        except Exception as failure:
            log.warning("effects failed", kind=name, count=len(asked), error=repr(failure))
            if len(asked) == 1 or (isinstance(failure, Refusal) and failure.transient and failure.reason == "UNREACHABLE"):
                return [None] * len(asked), [repr(failure)] * len(asked)
        answers: list[Struct | None] = []
        errors: list[str] = []
        for effect in asked:
            answer, error = await self._ask(name, perform, [effect])
            answers += answer
            errors += error
        return answers, errors

    async def _keep(self, rows: Sequence[Any], answers: Sequence[Struct | None], errors: Sequence[str], cause: Cause) -> None:
        """Records answers in one transaction, or one by one where that fails: a process that fails keeps its effect waiting."""
        try:
            await self._writer.run(lambda work: self._record(work, rows, answers, errors), cause)
            return
        except Exception as failure:
            error = repr(failure)
            log.exception("answers failed", count=len(rows), exc_info=failure)
        if len(rows) == 1:
            await self._writer.run(lambda work: self._record(work, rows, [None], [error]), cause)
            return
        for row, answer, text in zip(rows, answers, errors, strict=True):
            await self._keep([row], [answer], [text], cause)

    async def _record(self, work: Work, rows: Sequence[Any], answers: Sequence[Struct | None], errors: Sequence[str]) -> None:
        table = self._tables.effects
        again, done = [], []
        # What another replica asked too, when our lease had run out, and has an answer to, is answered.
        keys = [(row.effect_id,) for row in rows]
        waiting = {row.effect_id for row in await work.tx.find(table, KEY, keys, only=KEY, order=KEY, lock=True)}
        for row, answer, error in zip(rows, answers, errors, strict=True):
            if row.effect_id not in waiting:
                continue
            if answer is None:
                pause = min(2**row.attempts, LONGEST_PAUSE_S) * SECOND // 4
                due = {"attempts": row.attempts + 1, "due_at": work.now + pause, "error": error[:1000]}
                again.append({"effect_id": row.effect_id, **due})
            else:
                done.append((row.effect_id,))
                work.deliver(row.process, row.process_id, answer)
        await work.tx.remove(table, KEY, done)
        await work.tx.change(table, KEY, again)
