"""The call pipeline: what happens to every call, whatever transport it came by.

errors → telemetry → load limit → deadline → authentication → permission → validation → (writer: idempotency, audit).
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

import protovalidate
import structlog
from google.protobuf.message import Message
from opentelemetry.trace import SpanKind

from argosy.common.v1 import options_pb2
from chassis.kernel.errors import DeadlineExceeded, Internal, InvalidArgument, PermissionDenied, Refusal, ResourceExhausted, Unavailable
from chassis.kernel.ids import new_id
from chassis.runtime.auth import Authenticator
from chassis.runtime.contracts import Method
from chassis.runtime.database import Database
from chassis.runtime.gather import Gathered, Gatherer
from chassis.runtime.status import to_status
from chassis.runtime.telemetry import Metrics, Telemetry
from chassis.runtime.tx import Tx
from chassis.runtime.work import Cause
from chassis.runtime.writer import Call, Outcome, Principal, Writer

SHARES: dict[int, float] = {
    options_pb2.ADMISSION_SHEDDABLE: 0.5,
    options_pb2.ADMISSION_UNSPECIFIED: 0.8,
    options_pb2.ADMISSION_CRITICAL: 1.0,
}
LEAST_TIME_S, LONGEST_S = 0.02, 600.0
log = structlog.get_logger()

MOST_WATCHING = 1000
Read = Callable[["Asked"], Awaitable[Message]]
Watch = Callable[["Looking"], AsyncGenerator[Message]]
Prepare = Callable[[Sequence[Any], Database], Awaitable[Sequence[Any]]]


@dataclass(frozen=True)
class Asked:
    """A query on its way: the request, a look at the database, and who asks."""

    request: Any
    tx: Tx
    principal: Principal


@dataclass(frozen=True)
class Looking:
    """A query that is answered until the caller leaves, or that asks others: the request, a database to look at, and who asks."""

    request: Any
    database: Database
    principal: Principal


@dataclass(frozen=True)
class Asks:
    """A read that asks other services: it looks at the database when it needs to, and holds no connection while it waits."""

    answer: Callable[[Looking], Awaitable[Message]]


@dataclass(frozen=True)
class Incoming:
    """What a transport knows of a call; `replayed` is called where the answer is that of an earlier call."""

    authorization: str = ""
    traceparent: str = ""
    correlation_id: str = ""
    actor: str = ""
    time_left_s: float | None = None
    replayed: Callable[[], None] = lambda: None


class Pipeline:
    """One service's pipeline over all its rpcs."""

    def __init__(
        self, *, writer: Writer, database: Database, authenticator: Authenticator, telemetry: Telemetry, metrics: Metrics,
        reads: Mapping[str, Read | Gathered | Asks], watches: Mapping[str, Watch], prepares: Mapping[str, Prepare], most_in_flight: int,
        deadline_s: float,
    ) -> None:  # fmt: skip
        self._writer = writer
        self._database = database
        self.authenticator = authenticator
        self._telemetry = telemetry
        self._metrics = metrics
        self._reads = {path: read for path, read in reads.items() if not isinstance(read, Gathered | Asks)}
        self._asks = {path: read for path, read in reads.items() if isinstance(read, Asks)}
        self._gatherers = {path: Gatherer(database, read) for path, read in reads.items() if isinstance(read, Gathered)}
        self._watches = watches
        self._prepares = prepares
        self._most = most_in_flight
        self._deadline_s = deadline_s
        self.in_flight = 0
        self.watching = 0
        self._ending = asyncio.Event()

    async def call(self, method: Method, request: Message, incoming: Incoming) -> Message:
        """Answers a call; raises a Refusal, never anything else."""
        outcome = await self.outcome(method, request, incoming)
        if isinstance(outcome, Refusal):
            raise outcome
        return outcome

    async def outcome(self, method: Method, request: Message, incoming: Incoming) -> Outcome:
        """Returns the answer of a call or its refusal, which need not be raised through all that lies between; raises nothing."""
        started = time.perf_counter()
        traceparent = self._telemetry.begin(incoming.traceparent)
        kind = "CANCELLED"
        self.in_flight += 1
        try:
            with self._telemetry.span(method.path, SpanKind.SERVER, traceparent) as current:
                outcome = await self._admitted(method, request, incoming, current)
            kind = outcome.kind.name if isinstance(outcome, Refusal) else "OK"
            return outcome
        except Refusal as refusal:
            kind = refusal.kind.name
            return refusal
        except asyncio.CancelledError:
            if incoming.time_left_s is not None and time.perf_counter() - started >= incoming.time_left_s - LEAST_TIME_S:
                kind = "DEADLINE_EXCEEDED"
            raise
        except Exception as error:
            kind = "INTERNAL"
            log.exception("call failed", method=method.path, exc_info=error)
            return Internal("INTERNAL", "the service failed; the incident is in its log")
        finally:
            self.in_flight -= 1
            self._metrics.answered(method.path, kind, time.perf_counter() - started)

    async def _admitted(self, method: Method, request: Message, incoming: Incoming, traceparent: str) -> Outcome:
        if self.in_flight > self._most * SHARES[method.admission]:
            raise ResourceExhausted("OVERLOADED", "too many calls at once; send it again later", retry_after_s=1)
        if incoming.time_left_s is not None and incoming.time_left_s < LEAST_TIME_S:
            raise DeadlineExceeded("NO_TIME_LEFT", "the deadline leaves no time to begin")
        principal = await self._permitted(method, incoming)
        wrong = validate_elements(request) if method.element else {}
        if not method.element:
            validate(request)
        actor = incoming.actor if incoming.actor and principal.account.startswith("service:") else principal.account
        cause = Cause(actor, method.path, new_id(), traceparent, incoming.correlation_id or new_id())
        going = self._execute(method, request, principal, cause, wrong, incoming.replayed)
        if incoming.time_left_s is not None and incoming.time_left_s <= LONGEST_S:
            # The transport ends a call whose caller waits no longer.
            return await going
        try:
            async with asyncio.timeout(self._deadline_s if incoming.time_left_s is None else LONGEST_S):
                return await going
        except TimeoutError as error:
            raise DeadlineExceeded("TOO_SLOW", "the answer did not come in time; ask again with the same request_id") from error

    async def _permitted(self, method: Method, incoming: Incoming) -> Principal:
        principal = await self.authenticator.identify(incoming.authorization)
        if not principal.may(method.permission):
            raise PermissionDenied("NOT_PERMITTED", f"the permission {method.permission} is needed", permission=method.permission)
        return principal

    async def watch(self, method: Method, request: Message, incoming: Incoming) -> AsyncGenerator[Message]:
        """Answers a call that has many answers, until the caller leaves; raises a Refusal, never anything else."""
        if self.watching >= MOST_WATCHING:
            raise ResourceExhausted("OVERLOADED", f"{MOST_WATCHING} callers watch already; try again later", retry_after_s=10)
        principal = await self._permitted(method, incoming)
        validate(request)
        self.watching += 1
        try:
            async with aclosing(self._watches[method.path](Looking(request, self._database, principal))) as answers:
                async for answer in self._until_ending(answers):
                    yield answer
        except Refusal:
            raise
        except Exception as error:
            log.exception("watch failed", method=method.path, exc_info=error)
            raise Internal("INTERNAL", "the service failed; the incident is in its log") from error
        finally:
            self.watching -= 1

    async def _until_ending(self, answers: AsyncGenerator[Message]) -> AsyncGenerator[Message]:
        """Yields answers until the service goes: who watches is told to ask another, so that going takes no longer for them."""
        ending = asyncio.ensure_future(self._ending.wait())
        following: asyncio.Task[Message] | None = None
        try:
            while True:
                following = asyncio.ensure_future(_next(answers))
                await asyncio.wait((following, ending), return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    raise Unavailable("GOING", "the service is going; ask again")
                yield following.result()
        except StopAsyncIteration:
            return
        finally:
            for task in (ending, *([following] if following is not None else ())):
                task.cancel()
            await asyncio.gather(ending, *([following] if following is not None else ()), return_exceptions=True)

    def end_watches(self) -> None:
        """Ends what has no end of its own."""
        self._ending.set()

    async def _execute(
        self, method: Method, request: Any, principal: Principal, cause: Cause, wrong: Mapping[int, Refusal],
        replayed: Callable[[], None],
    ) -> Outcome:  # fmt: skip
        if method.read_only:
            if method.path in self._gatherers:
                return await self._gatherers[method.path].ask(request)
            if method.path in self._asks:
                return await self._asks[method.path].answer(Looking(request, self._database, principal))
            async with self._database.read() as tx:
                return await self._reads[method.path](Asked(request, tx, principal))
        if method.element:
            return await self._batch(method, request, principal, cause, wrong)
        calls = await self._calls(method, [request], principal, cause)
        outcome = (await self._writer.submit(calls))[0]
        if calls[0].replayed:
            replayed()
        return outcome

    async def _calls(self, method: Method, requests: Sequence[Any], principal: Principal, cause: Cause) -> list[Call]:
        prepare = self._prepares.get(method.path)
        contexts = await prepare(requests, self._database) if prepare is not None else [None] * len(requests)
        return [Call(method, r, principal, cause, context) for r, context in zip(requests, contexts, strict=True)]

    async def _batch(self, method: Method, request: Any, principal: Principal, cause: Cause, wrong: Mapping[int, Refusal]) -> Message:
        single = self.elements[method.element]
        sound = [one for index, one in enumerate(request.requests) if index not in wrong]
        outcomes = await self._writer.submit(await self._calls(single, sound, principal, cause))
        for index, refusal in sorted(wrong.items()):
            outcomes.insert(index, refusal)
        response: Any = method.response()
        add = response.results.add
        for outcome in outcomes:
            if isinstance(outcome, Refusal):
                add().error.CopyFrom(to_status(outcome))
            else:
                add().response.CopyFrom(outcome)
        return response  # type: ignore[no-any-return]

    elements: Mapping[str, Method] = {}


async def _next(answers: AsyncGenerator[Message]) -> Message:
    return await anext(answers)


def validate(request: Message) -> None:
    """Raises InvalidArgument that names every field against the rules of the contract."""
    violations = protovalidate.collect_violations(request)
    if violations:
        raise _invalid([(_path(_elements(v)), _text(v)) for v in violations])
    if b"\x00" in request.SerializeToString():
        name = _with_nul(request)
        if name:
            raise InvalidArgument("INVALID_FIELD", f"{name}: holds a NUL character", field=name)


def validate_elements(batch: Any) -> dict[int, Refusal]:
    """Returns why elements of a batch are refused, by their index; raises InvalidArgument where the batch itself is wrong."""
    wrong: dict[int, Refusal] = {}
    by_index: dict[int, list[tuple[str, str]]] = {}
    whole = []
    for violation in protovalidate.collect_violations(batch):
        elements, text = _elements(violation), _text(violation)
        if elements[0].subscript is not None:
            by_index.setdefault(int(elements[0].subscript.value), []).append((_path(elements[1:]), text))
        else:
            whole.append((_path(elements), text))
    if whole:
        raise _invalid(whole)
    wrong.update({index: _invalid(found) for index, found in by_index.items()})
    if b"\x00" in batch.SerializeToString():
        for index, element in enumerate(batch.requests):
            name = _with_nul(element)
            if name:
                wrong.setdefault(index, _invalid([(name, "holds a NUL character")]))
    return wrong


def _elements(violation: Any) -> Sequence[Any]:
    return list(violation.proto.field.elements)


def _text(violation: Any) -> str:
    return str(violation.proto.message or violation.proto.rule_id)


def _invalid(found: Sequence[tuple[str, str]]) -> InvalidArgument:
    return InvalidArgument(
        "INVALID_FIELD", "; ".join(f"{name}: {text}" for name, text in found[:10]), field=found[0][0],
        **cast(dict[str, Any], {f"violation.{name}": text for name, text in found[:20]}),
    )  # fmt: skip


def _path(elements: Sequence[Any]) -> str:
    parts = []
    for element in elements:
        parts.append(element.field_name)
        if element.subscript is not None and element.subscript.field == "index":
            parts[-1] += f"[{element.subscript.value}]"
    return ".".join(parts)


def _with_nul(message: Message, prefix: str = "") -> str:
    for field, value in message.ListFields():
        name = f"{prefix}{field.name}"
        values = value if field.is_repeated and not isinstance(value, Mapping) else [value]
        for item in values:
            if isinstance(item, str) and "\x00" in item:
                return name
            if isinstance(item, Message) and (inner := _with_nul(item, f"{name}.")):
                return inner
    return ""
