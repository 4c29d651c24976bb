"""The inbox: applies each event once, in order within its aggregate, in the same transaction as its effect.

Events are taken in batches, one transaction for a batch, one by one where a batch fails. One that fails, comes early
or misses a fact goes to `parked_events`, later ones of its aggregate behind it; heads are tried again, then are dead.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import structlog
from google.protobuf.message import Message
from opentelemetry.trace import SpanKind
from sqlalchemy import Select, Table, and_, delete, func, select, update

from argosy.ops.v1 import ops_pb2
from chassis.kernel.clock import SECOND
from chassis.runtime.bus import Bus, Delivery
from chassis.runtime.contracts import event_type, message_class
from chassis.runtime.database import Database
from chassis.runtime.leases import Leases
from chassis.runtime.looks import Looks
from chassis.runtime.tables import ChassisTables
from chassis.runtime.telemetry import SAMPLED, Metrics, Telemetry
from chassis.runtime.tx import Tx
from chassis.runtime.work import Cause, NotYet, Work
from chassis.runtime.writer import Writer

KEY = ("producer", "aggregate", "aggregate_id")
MOST = 256
RETRY_S = (1, 5, 15, 60, 300, 300, 300, 300)
GAP_S = 2
AGAIN_S = 1.0
log = structlog.get_logger()


@dataclass(frozen=True)
class Received:
    """An event as a reaction sees it."""

    id: str
    message: Any
    occurred_at: int
    cause: Cause


Reaction = Callable[[Work, Sequence[Received]], Awaitable[None]]
AskReplay = Callable[[str, str, str, int], Awaitable[tuple[Sequence[ops_pb2.EventRecord], int]]]
Key = tuple[str, str, str]


def _parked_heads(table: Table) -> Select[Any]:
    """SELECT the first parked event of each aggregate, unless that is dead; those due first come first."""
    key = [table.c[name] for name in KEY]
    head = select(*key, func.min(table.c.sequence).label("sequence")).group_by(*key).subquery("head")
    first = (table.c[name] == head.c[name] for name in (*KEY, "sequence"))
    return select(table).where(*first, table.c.dead_at.is_(None)).order_by(table.c.due_at).limit(MOST)


class Inbox:
    """Consumes the events of other services for one service."""

    def __init__(
        self, name: str, database: Database, tables: ChassisTables, writer: Writer, bus: Bus, leases: Leases,
        reactions: Mapping[type[Message], Reaction], ask_replay: AskReplay, telemetry: Telemetry, metrics: Metrics,
        looks: Looks,
    ) -> None:  # fmt: skip
        self._name = name
        parked = tables.parked_events
        self._parked_heads = _parked_heads(parked)
        self._parked = looks.add("parked", select(parked.c.event_id).where(parked.c.dead_at.is_(None)), AGAIN_S)
        self._telemetry = telemetry
        self._metrics = metrics
        self._database = database
        self._tables = tables
        self._writer = writer
        self._bus = bus
        self._leases = leases
        self._reactions = {event_type(cls).name: reaction for cls, reaction in reactions.items()}
        self._ask_replay = ask_replay
        self.producers: dict[str, list[str]] = {}
        for cls in reactions:
            kind = event_type(cls)
            if kind.aggregate not in self.producers.setdefault(kind.producer, []):
                self.producers[kind.producer].append(kind.aggregate)

    async def serve(self, producer: str) -> None:
        """Consumes one producer's events until cancelled."""
        subscription = await self._bus.subscribe(self._name, producer, self.producers[producer])
        while True:
            try:
                deliveries = await subscription.fetch(MOST, 2.0)
                if deliveries:
                    await self.take(producer, deliveries)
            except Exception as error:
                log.warning("inbox waits", service=self._name, producer=producer, error=repr(error))
                await asyncio.sleep(AGAIN_S)

    async def take(self, producer: str, deliveries: Sequence[Delivery]) -> None:
        """Applies or parks what was delivered, then acknowledges it."""
        await self.apply(producer, [delivery.record for delivery in deliveries])
        for delivery in deliveries:
            await delivery.ack()

    async def apply(self, producer: str, records: Sequence[ops_pb2.EventRecord]) -> None:
        """Applies records in one transaction, or one by one where that fails; a failing one is parked."""
        try:
            await self._writer.run(lambda work: self._apply(work, producer, records), _cause(records[0]))
        except Exception as error:
            if len(records) > 1:
                for record in records:
                    await self.apply(producer, [record])
                return
            if not isinstance(error, NotYet):
                log.exception("event failed", service=self._name, type=records[0].type, exc_info=error)
            failed = [(records[0], repr(error))]
            await self._writer.run(lambda work: self._park(work, producer, failed), _cause(records[0]))

    async def _apply(self, work: Work, producer: str, records: Sequence[ops_pb2.EventRecord]) -> None:
        keys = sorted({(producer, r.aggregate, r.aggregate_id) for r in records})
        last = await self._last(work.tx, keys)
        known = set(last)
        blocked = await self._blocked(work.tx, keys)
        parked, ready = [], []
        for record in sorted(records, key=lambda r: r.sequence):
            key = (producer, record.aggregate, record.aggregate_id)
            expected = last.get(key, 0) + 1
            if record.sequence < expected:
                continue
            if key in blocked or record.sequence > expected:
                parked.append((record, "behind a parked event" if key in blocked else f"sequence {expected} is missing"))
                continue
            last[key] = record.sequence
            ready.append(record)
        await self._react(work, ready)
        self._metrics.applied.add(len(ready), {"consumer": self._name, "producer": producer})
        await self._keep_last(work, {k: last[k] for k in keys if k in last}, known)
        await self._park(work, producer, parked)

    async def _react(self, work: Work, records: Sequence[ops_pb2.EventRecord]) -> None:
        """Reacts round by round, so that an aggregate's events come in sequence; a round is one call a kind of event."""
        rounds: list[dict[str, list[Received]]] = []
        place: dict[str, int] = {}
        for record in records:
            index = place.get(record.aggregate_id, 0)
            place[record.aggregate_id] = index + 1
            if record.type in self._reactions:
                while len(rounds) <= index:
                    rounds.append({})
                rounds[index].setdefault(record.type, []).append(_received(record))
        for by_type in rounds:
            for name, events in by_type.items():
                with ExitStack() as spans:
                    traced = [self._trace(spans, one) for one in events]
                    work.cause = traced[0].cause
                    await self._reactions[name](work, traced)

    def _trace(self, spans: ExitStack, event: Received) -> Received:
        """Opens a consumer's span below the event's, where that was sampled; what follows from the event is below it."""
        if not event.cause.traceparent.endswith(SAMPLED):
            return event
        name = f"{self._name} {event.cause.action.rsplit('.', 1)[1]}"
        own = spans.enter_context(self._telemetry.span(name, SpanKind.CONSUMER, event.cause.traceparent))
        return replace(event, cause=replace(event.cause, traceparent=own))

    async def _last(self, tx: Tx, keys: Sequence[Key]) -> dict[Key, int]:
        rows = await tx.find(self._tables.inbox, KEY, keys, order=KEY, lock=True)
        return {(r.producer, r.aggregate, r.aggregate_id): r.sequence for r in rows}

    async def _blocked(self, tx: Tx, keys: Sequence[Key]) -> set[Key]:
        return {(r.producer, r.aggregate, r.aggregate_id) for r in await tx.find(self._tables.parked_events, KEY, keys, only=KEY)}

    async def _keep_last(self, work: Work, last: Mapping[Key, int], known: Collection[Key]) -> None:
        """Writes how far each is; where another replica took the first of one meanwhile, all is done again and finds it."""
        rows = {key: {**dict(zip(KEY, key, strict=True)), "sequence": sequence} for key, sequence in sorted(last.items())}
        await work.tx.insert(self._tables.inbox, [row for key, row in rows.items() if key not in known])
        await work.tx.change(self._tables.inbox, KEY, [row for key, row in rows.items() if key in known])

    async def _park(self, work: Work, producer: str, records: Sequence[tuple[ops_pb2.EventRecord, str]]) -> None:
        rows = [
            {
                "event_id": record.event_id, "producer": producer, "aggregate": record.aggregate,
                "aggregate_id": record.aggregate_id, "sequence": record.sequence, "record": record.SerializeToString(),
                "attempts": 0, "due_at": work.now + RETRY_S[0] * SECOND, "error": error[:2000], "parked_at": work.now,
            }
            for record, error in records
        ]  # fmt: skip
        await work.tx.insert(self._tables.parked_events, rows, once=True)

    async def serve_parked(self) -> None:
        """Tries parked events again until cancelled."""
        while True:
            await self._parked.wait()
            self._parked.clear()
            try:
                if await self._leases.hold("parked"):
                    await self.retry_parked()
            except Exception as error:
                log.warning("parked events wait", service=self._name, error=repr(error))

    async def retry_parked(self) -> None:
        """Tries every head that is due; where one succeeds, those behind it follow."""
        while any([await self._retry(row) for row in await self._heads()]):
            pass

    async def _heads(self) -> Sequence[Any]:
        async with self._database.read() as tx:
            return await tx.read(self._parked_heads)

    async def _retry(self, row: Any) -> bool:
        """Tries one head and says whether another one may now be tried."""
        record = ops_pb2.EventRecord.FromString(row.record)
        try:
            more = await self._writer.run(lambda work: self._retry_one(work, row, record), _cause(record), alone=True)
        except Exception as error:
            message = repr(error)
            await self._writer.run(lambda work: self._failed(work, row, message), _cause(record))
            return False
        return await self._fill_gap(row) if more == "gap" else more == "next"

    async def _retry_one(self, work: Work, row: Any, record: ops_pb2.EventRecord) -> str:
        """Applies a parked head where it is due; answers gap, next or wait."""
        table = self._tables.parked_events
        key = (row.producer, row.aggregate, row.aggregate_id)
        found = await self._last(work.tx, [key])
        last = found.get(key, 0)
        if row.sequence > last + 1:
            return "gap" if work.now - row.parked_at >= GAP_S * SECOND else "wait"
        if row.sequence == last + 1:
            if row.due_at > work.now and row.error != "behind a parked event" and not row.error.startswith("sequence "):
                return "wait"
            await self._react(work, [record])
            await self._keep_last(work, {key: row.sequence}, found)
        await work.tx.write(delete(table).where(table.c.event_id == row.event_id))
        return "next"

    async def _failed(self, work: Work, row: Any, error: str) -> None:
        table = self._tables.parked_events
        attempts = row.attempts + 1
        dead = attempts >= len(RETRY_S)
        await work.tx.write(
            update(table).where(table.c.event_id == row.event_id).values(
                attempts=attempts, error=error[:2000], dead_at=work.now if dead else None,
                due_at=work.now + RETRY_S[min(attempts, len(RETRY_S) - 1)] * SECOND,
            )
        )  # fmt: skip

    async def _fill_gap(self, row: Any) -> bool:
        """Asks the producer for what is missing; where it no longer keeps it, starts at the oldest that it does."""
        key = (row.producer, row.aggregate, row.aggregate_id)
        async with self._database.read() as tx:
            table = self._tables.inbox
            match = and_(*(table.c[n] == v for n, v in zip(("producer", "aggregate", "aggregate_id"), key, strict=True)))
            rows = await tx.read(select(table.c.sequence).where(match))
        last = rows[0].sequence if rows else 0
        records, oldest = await self._ask_replay(row.producer, row.aggregate, row.aggregate_id, last + 1)
        if oldest > last + 1:
            await self._writer.run(lambda work: self._keep_last(work, {key: oldest - 1}, {key} if rows else ()), _cause(records[0]))
        missing = [record for record in records if record.sequence < row.sequence]
        if missing:
            found = [(record, "sequence asked for") for record in missing]
            await self._writer.run(lambda work: self._park(work, row.producer, found), _cause(missing[0]))
        return bool(missing) or oldest > last + 1


def _cause(record: ops_pb2.EventRecord) -> Cause:
    return Cause(f"event:{record.type.rsplit('.', 1)[1]}", record.type, record.event_id, record.traceparent, record.correlation_id)


def _received(record: ops_pb2.EventRecord) -> Received:
    message = message_class(record.type).FromString(record.payload)
    occurred = record.occurred_at.seconds * SECOND + record.occurred_at.nanos // 1000
    return Received(record.event_id, message, occurred, _cause(record))
