"""The writer: the one place where a service's data changes.

Calls that wait are taken together (at most 256) into one transaction: their handlers, then events, audit and outcomes; a
refusal is an answer. That a call was made before shows when its outcome is written; then all is done again, and the outcomes
of those made before are looked up first. A lone call is taken at once; where calls crowd, the writer rests until as many wait
as lately came together, at most twice as long as the last transaction took and then only while more come. Where a full batch
waits whose handlers lock nothing, it is decided while the database writes the one before. Jobs are other work: events, effects'
results, timers. They share transactions too (at most 32) and rest for twice the time as well: calls come first, and the more
there is to do, the more is done at once. What fails otherwise rolls all back and each is done by itself, so that a poisonous
one hurts nobody else.
"""

import asyncio
import hashlib
from base64 import b64decode, b64encode
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar

import msgspec
import structlog
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from sqlalchemy.exc import DBAPIError

from chassis.kernel.errors import Aborted, FailedPrecondition, Internal, Kind, Refusal, refusal_of
from chassis.kernel.ids import new_id
from chassis.runtime.contracts import Method
from chassis.runtime.database import Database
from chassis.runtime.moments import Moments
from chassis.runtime.process import Runner
from chassis.runtime.tables import ChassisTables
from chassis.runtime.tx import Mistaken
from chassis.runtime.work import Cause, Work

MOST_CALLS = 256
MOST_JOBS = 32
REST = 2.0
LONGEST_REST_S = 0.25
CROWD = 4
# So many full batches are at work at once, of handlers that are lockless.
AT_ONCE = 2
LONGEST_CALLS_REST_S = 0.03
LITTLE_LONGER = 0.25
# As many calls are expected as came together lately: after each transaction a tenth fewer, until more come.
STILL_EXPECTED = 0.9
# For how long after one call was repeated others are expected to be.
DOUBT_S = 1.0
# Serialisation, deadlock, a lock that is held; a key that another replica took meanwhile, which is found the next time.
REPEAT_STATES = {"40001", "40P01", "55P03", "23505"}
MOST_REPEATS = 5
T = TypeVar("T")
Outcome = Message | Refusal
Key = tuple[str, str, str]
KEY = ("principal", "method", "request_id")
SetHandler = Callable[[Work, "Sequence[Call]"], Awaitable[Sequence[Outcome]]]
OneHandler = Callable[[Work, Any], Awaitable[Message]]
log = structlog.get_logger()


@dataclass(frozen=True)
class Principal:
    """Who calls: an account, what it may do and which channels it may see (all where empty)."""

    account: str
    permissions: tuple[str, ...] = ()
    channel_ids: frozenset[str] = frozenset()

    def may(self, permission: str) -> bool:
        """Says whether the permission is held; a held trailing * means all that begin so."""
        return any(held == permission or (held.endswith("*") and permission.startswith(held[:-1])) for held in self.permissions)

    def sees(self, channel_id: str) -> bool:
        """Says whether what is of a channel is there for them."""
        return not self.channel_ids or channel_id in self.channel_ids


@dataclass
class Call:
    """A mutating call on its way through the writer; `replayed` says that it got the answer of an earlier one."""

    method: Method
    request: Any
    principal: Principal
    cause: Cause
    context: Any = None
    fingerprint: bytes = b""
    replayed: bool = False
    # What the call is known by for ever.
    key: Key = field(init=False)
    # Its answer, once it is in the writer.
    answer: "asyncio.Future[Outcome]" = field(init=False)

    def __post_init__(self) -> None:
        self.key = (self.principal.account, self.method.path, self.request.request_id)


@dataclass(frozen=True)
class Lockless:
    """A handler that as a rule locks nothing while it hopes: one batch can be decided while another is written."""

    handle: SetHandler

    def __call__(self, work: Work, calls: "Sequence[Call]") -> Awaitable[Sequence[Outcome]]:
        """Answers the calls."""
        return self.handle(work, calls)


@dataclass(frozen=True)
class Job:
    """Work that is no call: what to do, what it follows from, whether it must have its transaction to itself."""

    do: Callable[[Work], Awaitable[Any]]
    cause: Cause
    alone: bool
    done: "asyncio.Future[Any]"


class Overtaken(Exception):
    """Another replica answered the same call first."""


class Rerun(Exception):
    """This batch cannot be done as one; do its calls one by one."""


def each(handle: OneHandler) -> SetHandler:
    """Makes a handler of one request serve many. One that refuses after it wrote is rerun in its own transaction."""
    return each_call(lambda work, call: handle(work, call.request if call.context is None else call))


def each_call(handle: OneHandler) -> SetHandler:
    """The same for a handler that wants the whole call: who makes it, beside what is asked."""

    async def handle_all(work: Work, calls: Sequence[Call]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for call in calls:
            work.cause, work.principal = call.cause, call.principal
            before = _pending(work)
            try:
                outcomes.append(await handle(work, call))
            except Refusal as refusal:
                if _pending(work) != before:
                    if len(calls) > 1:
                        raise Rerun from refusal
                    raise
                outcomes.append(refusal)
        return outcomes

    return handle_all


def _pending(work: Work) -> tuple[int, ...]:
    return (work.tx.writes, len(work.emissions), len(work.holds), len(work.deliveries), len(work.starts))


class Writer:
    """Takes calls and jobs, and commits them."""

    def __init__(
        self, database: Database, tables: ChassisTables, runner: Runner, handlers: dict[str, SetHandler],
        clock: Callable[[], int], on_commit: Callable[[Work], None],
    ) -> None:  # fmt: skip
        self._database = database
        self._tables = tables
        self._runner = runner
        self._handlers = handlers
        self._moments = Moments(clock)
        self._on_commit = on_commit
        self._memory: dict[Any, Any] = {}
        self._calls: deque[Call] = deque()
        self._jobs: deque[Job] = deque()
        self._doubtful_until = 0.0
        self._expected = 1
        self._rest_s = 0.0
        self._going: set[asyncio.Task[None]] = set()
        self._enough = asyncio.Event()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()

    async def submit(self, calls: Sequence[Call]) -> list[Outcome]:
        """Runs calls in the next transactions and returns their outcomes; one who stops waiting does not stop them."""
        new_answer = asyncio.get_running_loop().create_future
        for call in calls:
            call.fingerprint, call.answer = _fingerprint(call), new_answer()
        self._calls.extend(calls)
        if len(self._calls) >= self._expected:
            self._enough.set()
        self._idle.clear()
        self._wake.set()
        return [await call.answer for call in calls]

    async def run(self, do: Callable[[Work], Awaitable[T]], cause: Cause, *, alone: bool = False) -> T:
        """Runs a job in the next transaction; what it raises comes back and nothing of it is written.

        One that is likely to fail asks to be alone, so that others need not be done twice.
        """
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.append(Job(do, cause, alone, done))
        self._idle.clear()
        self._wake.set()
        return await done

    async def finish(self) -> None:
        """Waits until all that was taken is committed."""
        await self._idle.wait()

    async def serve(self) -> None:
        """Works until cancelled: calls at once, or after a short rest where they crowd; jobs after their rest."""
        clock = asyncio.get_running_loop().time
        rested_at = 0.0
        async with asyncio.TaskGroup() as tasks:
            while True:
                if not self._calls and not self._jobs and not self._going:
                    self._idle.set()
                pause = rested_at - clock() if self._jobs else None
                if not self._calls and (pause is None or pause > 0):
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), pause)
                    self._wake.clear()
                elif self._calls:
                    await self._take(tasks)
                if self._jobs and clock() >= rested_at:
                    started = clock()
                    await self._do(self._next_jobs())
                    rested_at = clock() + min(REST * (clock() - started), LONGEST_REST_S)

    async def _take(self, tasks: asyncio.TaskGroup) -> None:
        """Takes calls that wait, and sees to it that they are answered: beside others only where a full batch waits."""
        while self._going and (len(self._going) >= AT_ONCE or len(self._calls) < MOST_CALLS):
            await asyncio.wait(self._going, return_when=asyncio.FIRST_COMPLETED)
        await self._rest()
        batch = [self._calls.popleft() for _ in range(min(len(self._calls), MOST_CALLS))]
        self._expected = max(len(batch), int(self._expected * STILL_EXPECTED))
        if self._shares(batch):
            task = tasks.create_task(self._work_on(batch))
            self._going.add(task)
            task.add_done_callback(self._went)
            return
        if self._going:
            await asyncio.wait(self._going)
        await self._work_on(batch)

    def _shares(self, batch: Sequence[Call]) -> bool:
        """Says whether another batch may be at work beside this one; only one writes at a time on SQLite."""
        full = len(batch) == MOST_CALLS and self._database.dialect == "postgresql" and self._is_hopeful()
        return full and all(isinstance(self._handlers[call.method.path], Lockless) for call in batch)

    def _went(self, task: asyncio.Task[None]) -> None:
        self._going.discard(task)
        self._wake.set()

    async def _rest(self) -> None:
        """Rests until as many calls wait as are expected, so that who was answered is not kept waiting for nobody.

        At most for its time, and a little longer for as long as more come.
        """
        if not self._rest_s:
            if len(self._calls) < self._expected:
                await asyncio.sleep(0)
            return
        clock = asyncio.get_running_loop().time
        latest, rest_s, before = clock() + LONGEST_CALLS_REST_S, self._rest_s, 0
        while before < len(self._calls) < self._expected and clock() < latest:
            before = len(self._calls)
            self._enough.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(rest_s):
                    await self._enough.wait()
            rest_s = self._rest_s * LITTLE_LONGER

    async def _work_on(self, batch: Sequence[Call]) -> None:
        clock = asyncio.get_running_loop().time
        started = clock()
        await self._answer(batch)
        self._rest_s = min(REST * (clock() - started), LONGEST_CALLS_REST_S) if len(batch) >= CROWD else 0.0

    def _is_hopeful(self) -> bool:
        return asyncio.get_running_loop().time() >= self._doubtful_until

    def _next_jobs(self) -> list[Job]:
        jobs = [self._jobs.popleft()]
        while not jobs[0].alone and self._jobs and not self._jobs[0].alone and len(jobs) < MOST_JOBS:
            jobs.append(self._jobs.popleft())
        return jobs

    async def _do(self, jobs: Sequence[Job]) -> None:
        async def each_of(work: Work) -> list[Any]:
            results = []
            for job in jobs:
                work.cause = job.cause
                results.append(await job.do(work))
            return results

        try:
            results = await self._transact(jobs[0].cause, each_of)
        except Exception as error:
            if len(jobs) > 1:
                for job in jobs:
                    await self._do([job])
                return
            if not jobs[0].done.done():
                jobs[0].done.set_exception(error)
            return
        for job, result in zip(jobs, results, strict=True):
            if not job.done.done():
                job.done.set_result(result)

    async def _answer(self, batch: Sequence[Call], *, hopeful: bool = True) -> None:
        """Answers calls: hopefully none was made before, unless one was a moment ago."""
        hopeful = hopeful and self._is_hopeful()
        try:
            outcomes = await self._transact(batch[0].cause, lambda work: self._decide(work, batch, hopeful=hopeful))
        except Exception as error:
            if hopeful and isinstance(error, Mistaken):
                self._doubtful_until = asyncio.get_running_loop().time() + DOUBT_S
                await self._answer(batch, hopeful=False)
                return
            if len(batch) > 1 or hopeful:
                for call in batch:
                    await self._answer([call], hopeful=False)
                return
            outcomes = [await self._alone(batch[0], error)]
        for call, outcome in zip(batch, outcomes, strict=True):
            if not call.answer.done():
                call.answer.set_result(outcome)

    async def _alone(self, call: Call, error: Exception) -> Outcome:
        """Answers a call whose own transaction failed: a refusal after writes is kept, a defect is not."""
        if isinstance(error, Refusal):
            if error.lasting:
                await self._transact(call.cause, lambda work: self._keep_refusal(work, call, error))
            return error
        if _may_repeat(error):
            return Aborted("CONTENDED", "the data was in use; send the same request again", retry_after_s=1)
        log.exception("call failed", method=call.method.path, exc_info=error)
        return Internal("INTERNAL", "the service failed; the incident is in its log")

    async def _keep_refusal(self, work: Work, call: Call, refusal: Refusal) -> None:
        await self._keep_outcomes(work, [(call, refusal)])

    async def _transact(self, cause: Cause, do: Callable[[Work], Awaitable[T]]) -> T:
        for attempt in range(MOST_REPEATS):
            try:
                async with self._database.write() as tx:
                    work = Work(tx, await self._moments.now(tx), self._tables, self._runner, cause, memory=self._memory)
                    result = await do(work)
                    await work.flush()
                self._on_commit(work)
                return result
            except (DBAPIError, Overtaken) as error:
                if not _may_repeat(error) or attempt + 1 == MOST_REPEATS:
                    raise
        raise AssertionError("unreachable")

    async def _decide(self, work: Work, batch: Sequence[Call], *, hopeful: bool) -> list[Outcome]:
        work.hopeful = hopeful
        first: dict[Key, Call] = {}
        for call in batch:
            first.setdefault(call.key, call)
        outcomes = {} if hopeful else await self._recall(work, list(first.values()))
        known = set(outcomes)
        groups: dict[str, list[Call]] = defaultdict(list)
        for key, call in first.items():
            if key not in outcomes:
                groups[call.method.path].append(call)
        fresh: list[tuple[Call, Outcome]] = []
        for path, calls in groups.items():
            work.cause = calls[0].cause
            fresh += zip(calls, await self._handlers[path](work, calls), strict=True)
        for call, outcome in fresh:
            outcomes[call.key] = (call.fingerprint, outcome)
        work.audit += [_audit(work, call, outcome) for call, outcome in fresh if not isinstance(outcome, Refusal)]
        if hopeful:
            # What is refused and not kept may be what was done before.
            passing = [call.key for call, outcome in fresh if isinstance(outcome, Refusal) and not outcome.lasting]
            await work.tx.need_none(self._tables.requests, KEY, passing)
        await self._keep_outcomes(work, fresh)
        for call in batch:
            again = call.key in known or call is not first[call.key]
            call.replayed = again and call.fingerprint == outcomes[call.key][0]
        return [_same(call, *outcomes[call.key]) for call in batch]

    async def _recall(self, work: Work, calls: Sequence[Call]) -> dict[Key, tuple[bytes, Outcome]]:
        """Returns the stored outcomes of those calls that were made before."""
        table = self._tables.requests
        by_key = {call.key: call for call in calls}
        rows = await work.tx.find(table, KEY, by_key)
        stored = {(row.principal, row.method, row.request_id): row for row in rows}
        return {key: (row.fingerprint, _stored_outcome(by_key[key], row)) for key, row in stored.items()}

    async def _keep_outcomes(self, work: Work, outcomes: Sequence[tuple[Call, Outcome]]) -> None:
        """Writes outcomes; where another replica answered one of the calls meanwhile, all is done again and finds its outcome."""
        table = self._tables.requests
        rows = [
            {
                "principal": call.key[0], "method": call.key[1], "request_id": call.key[2], "fingerprint": call.fingerprint,
                "response": "" if isinstance(outcome, Refusal) else b64encode(_kept(call.method, outcome)).decode(),
                "refusal": _refusal_text(outcome) if isinstance(outcome, Refusal) else "", "created_at": work.now,
            }
            for call, outcome in sorted(outcomes, key=lambda one: one[0].key)
            if not isinstance(outcome, Refusal) or outcome.lasting
        ]  # fmt: skip
        if await work.tx.insert(table, rows, once=True, must=work.hopeful) != len(rows):
            raise Overtaken


def _fingerprint(call: Call) -> bytes:
    """Returns what tells a request from another: a secret is left out, because a hash of one that a person chose gives it away."""
    request = call.request
    if call.method.asked_secrets:
        request = call.method.request()
        request.CopyFrom(call.request)
        for name in call.method.asked_secrets:
            request.ClearField(name)
    return hashlib.sha256(request.SerializeToString(deterministic=True)).digest()


def _audit(work: Work, call: Call, response: Message) -> dict[str, Any]:
    request = call.request
    return {
        "audit_id": new_id(), "at": work.now, "actor": call.cause.actor, "action": call.method.path,
        "subject_type": response.DESCRIPTOR.name, "subject_id": _identity(response) or _identity(request),
        "reason": request.reason if _has_reason(request.DESCRIPTOR) else "", "detail": call.fingerprint.hex(),
    }  # fmt: skip


def _identity(message: Message) -> str:
    """Returns what a message is about: the first of its ids that is set."""
    for name in _ids(message.DESCRIPTOR):
        if value := getattr(message, name):
            return str(value)
    return ""


@cache
def _ids(kind: Descriptor) -> tuple[str, ...]:
    fields: list[Any] = sorted(kind.fields, key=attrgetter("number"))
    return tuple(one.name for one in fields if one.name.endswith("_id") and one.name != "request_id" and not one.is_repeated)


@cache
def _has_reason(kind: Descriptor) -> bool:
    return "reason" in kind.fields_by_name


def _kept(method: Method, response: Message) -> bytes:
    """Returns a response as it is stored: secrets are shown once and not kept."""
    if method.secrets:
        copy = method.response()
        copy.CopyFrom(response)
        for name in method.secrets:
            copy.ClearField(name)
        response = copy
    return response.SerializeToString()


def _same(call: Call, fingerprint: bytes, outcome: Outcome) -> Outcome:
    if fingerprint != call.fingerprint:
        return FailedPrecondition(
            "IDEMPOTENCY_KEY_REUSED", "this request_id was used for another request; choose a new one", field="request_id"
        )
    return outcome


def _stored_outcome(call: Call, row: Any) -> Outcome:
    if row.refusal:
        stored = msgspec.json.decode(row.refusal)
        return refusal_of(Kind(stored["kind"]), stored["reason"], stored["message"], field=stored["field"], metadata=stored["metadata"])
    return call.method.response.FromString(b64decode(row.response))


def _refusal_text(refusal: Refusal) -> str:
    kept = {
        "kind": refusal.kind.value, "reason": refusal.reason, "message": refusal.message, "field": refusal.field,
        "metadata": refusal.metadata,
    }  # fmt: skip
    return msgspec.json.encode(kept).decode()


def _may_repeat(error: Exception) -> bool:
    if isinstance(error, DBAPIError):
        state = getattr(error.orig, "sqlstate", None) or getattr(getattr(error.orig, "__cause__", None), "sqlstate", None)
        return state in REPEAT_STATES
    return isinstance(error, Overtaken)
