"""The relay: brings the outbox to the bus, in order within an aggregate, and brings it again where the bus lost it."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import structlog
from sqlalchemy import and_, func, select, update

from argosy.ops.v1 import ops_pb2
from chassis.kernel.clock import to_timestamp
from chassis.runtime.bus import Bus, StreamState
from chassis.runtime.contracts import event_type, message_class
from chassis.runtime.database import Database
from chassis.runtime.leases import Leases
from chassis.runtime.looks import LOOK_S, Looks
from chassis.runtime.tables import ChassisTables
from chassis.runtime.work import Cause, Work
from chassis.runtime.writer import Writer

PAGE = 512
HEAL_S = 60.0
HEAL_LOOK_S = 1.0
CAUSE = Cause("service", "relay", "relay")
log = structlog.get_logger()


def record_of(row: Any) -> ops_pb2.EventRecord:
    """Returns an outbox row as the record that travels."""
    return ops_pb2.EventRecord(
        event_id=row.event_id, type=row.type, aggregate=row.aggregate, aggregate_id=row.aggregate_id,
        sequence=row.sequence, payload=row.payload, traceparent=row.traceparent,
        correlation_id=row.correlation_id, causation_id=row.causation_id, occurred_at=to_timestamp(row.occurred_at),
    )  # fmt: skip


class Relay:
    """Publishes one service's outbox."""

    def __init__(
        self, name: str, database: Database, tables: ChassisTables, writer: Writer, bus: Bus, leases: Leases, looks: Looks
    ) -> None:
        self._name = name
        self._database = database
        self._outbox = tables.outbox
        waiting = self._outbox.c.published_at.is_(None)
        self._unpublished = select(self._outbox).where(waiting).order_by(self._outbox.c.position).limit(PAGE)
        self._writer = writer
        self._bus = bus
        self._leases = leases
        self._stream: StreamState | None = None
        self._waiting = looks.add("outbox", select(self._outbox.c.position).where(waiting))

    async def serve(self) -> None:
        """Publishes until cancelled; a bus that is away is waited for."""
        loop = asyncio.get_running_loop()
        healed_at, connections, waiting = -HEAL_S, -1, True
        while True:
            try:
                if await self._leases.hold("relay"):
                    if loop.time() - healed_at >= HEAL_S or connections != self._bus.connections:
                        connections = self._bus.connections
                        await self.heal()
                        healed_at = loop.time()
                    while waiting and await self.publish_page():
                        pass
            except Exception as error:
                log.warning("relay waits", service=self._name, error=repr(error))
                healed_at = -HEAL_S
                await asyncio.sleep(LOOK_S)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._waiting.wait(), HEAL_LOOK_S)
            waiting = self._waiting.is_set()
            self._waiting.clear()

    async def publish_page(self) -> bool:
        """Publishes the next unpublished events and says whether there may be more."""
        async with self._database.read() as tx:
            rows = await tx.read(self._unpublished)
        published: list[tuple[int, int]] = []
        try:
            for window in _windows(rows):
                places = await asyncio.gather(*(self._publish(row) for row in window))
                published += zip((row.position for row in window), places, strict=True)
        finally:
            if published:
                await self._writer.run(lambda work: self._mark(work, published), CAUSE)
        return len(rows) == PAGE

    async def _publish(self, row: Any) -> int:
        return await self._bus.publish(event_type(message_class(row.type)).subject, record_of(row))

    async def _mark(self, work: Work, published: Sequence[tuple[int, int]]) -> None:
        rows = [{"position": position, "published_at": work.now, "stream_sequence": place} for position, place in published]
        await work.tx.change(self._outbox, ("position",), rows)

    async def heal(self) -> None:
        """Compares the stream with what was recorded; where it is not the same one, everything kept is sent again."""
        state = await self._bus.declare(self._name)
        known, self._stream = self._stream, state
        if known is not None and known.created == state.created and known.last_sequence <= state.last_sequence:
            return
        newest = select(self._outbox).where(self._outbox.c.stream_sequence.is_not(None))
        async with self._database.read() as tx:
            last = await tx.read(newest.order_by(self._outbox.c.stream_sequence.desc()).limit(1))
        if not last or await self._bus.holds(self._name, last[0].stream_sequence, last[0].event_id):
            return
        log.warning("the stream lost events; sending them again", service=self._name)
        await self._writer.run(self._forget, CAUSE)

    async def _forget(self, work: Work) -> None:
        published = self._outbox.c.published_at.is_not(None)
        await work.tx.write(update(self._outbox).where(published).values(published_at=None, stream_sequence=None))
        work.wake("outbox")

    async def lag(self) -> tuple[int, int]:
        """Returns how many events wait and since when the oldest does (a moment, 0 where none)."""
        waiting = self._outbox.c.published_at.is_(None)
        query = select(func.count(), func.coalesce(func.min(self._outbox.c.occurred_at), 0)).where(waiting)
        async with self._database.read() as tx:
            row = (await tx.read(query))[0]
        return int(row[0]), int(row[1])

    async def replay(self, aggregate: str, aggregate_id: str, from_sequence: int) -> tuple[list[ops_pb2.EventRecord], int]:
        """Returns the kept events of an aggregate from a sequence on, at most 500, and the oldest kept sequence."""
        one = and_(self._outbox.c.aggregate == aggregate, self._outbox.c.aggregate_id == aggregate_id)
        query = select(self._outbox).where(one, self._outbox.c.sequence >= from_sequence)
        async with self._database.read() as tx:
            rows = await tx.read(query.order_by(self._outbox.c.sequence).limit(500))
            oldest = await tx.read(select(func.coalesce(func.min(self._outbox.c.sequence), 0)).where(one))
        return [record_of(row) for row in rows], int(oldest[0][0])


def _windows(rows: Sequence[Any]) -> list[list[Any]]:
    """Splits rows so that no window holds two events of one aggregate, in order."""
    windows: list[list[Any]] = []
    taken: defaultdict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        place = taken[(row.aggregate, row.aggregate_id)]
        taken[(row.aggregate, row.aggregate_id)] += 1
        if place == len(windows):
            windows.append([])
        windows[place].append(row)
    return windows
