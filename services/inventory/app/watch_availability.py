"""WatchAvailability: tells what can be promised, and again whenever that changes.

Availability is a level, not an event: who watches is told how it stands, and who lost the line asks anew. So nothing is
written for watchers: the movements, which are the truth, are looked at once for all of them, and only while somebody
watches. A movement that was committed late, behind ids that were seen already, is found by a second look further back.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress

import structlog
from sqlalchemy import func, select

from argosy.inventory.v1 import stock_service_pb2
from chassis.kernel.clock import MINUTE, to_timestamp
from chassis.kernel.ids import least_id
from chassis.runtime.database import Database
from chassis.runtime.host import wall_clock
from chassis.runtime.pipeline import Looking
from services.inventory.app.get_availability import Promises
from services.inventory.store.tables import MOVEMENTS, POLICIES, RISK_BUFFERS

LOOK_S = 0.2
# A transaction takes no longer than half a minute, and clocks of replicas differ by less.
LATE_US = MINUTE
LATE_LOOK_S = 10.0
OPEN_LINE_S = 15.0
MOST_ITEMS = 500
log = structlog.get_logger()


class Watcher:
    """What one caller has not been told yet."""

    def __init__(self, item_ids: Sequence[str]) -> None:
        self._only = frozenset(item_ids)
        self._changed: set[str] = set()
        self._all_changed = False
        self._moved_at = 0
        self._wake = asyncio.Event()

    def tell(self, item_ids: set[str], moved_at: int, *, all_changed: bool = False) -> None:
        """Notes what changed, and when first; what is not of interest is left out."""
        self._changed |= item_ids & self._only if self._only else item_ids
        if all_changed:
            self._changed |= self._only
            self._all_changed = not self._only
        if self._changed or self._all_changed:
            self._moved_at = self._moved_at or moved_at
            self._wake.set()

    async def changed(self) -> tuple[list[str], bool, int]:
        """Returns what changed since the last time, once something has; nothing after a quiet while."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), OPEN_LINE_S)
        self._wake.clear()
        found = sorted(self._changed), self._all_changed, self._moved_at
        self._changed, self._all_changed, self._moved_at = set(), False, 0
        return found


class Changes:
    """Looks for what moved, for all watchers of this process."""

    def __init__(self, promises: Promises, clock: Callable[[], int] = wall_clock) -> None:
        self._promises = promises
        self._clock = clock
        self._watchers: dict[Watcher, None] = {}
        self._looking: asyncio.Task[None] | None = None
        self._seen = ""
        self._policies_seen = 0
        self._risks_seen = 0
        self._late_at = 0.0

    async def watch(self, watching: Looking) -> AsyncGenerator[stock_service_pb2.WatchAvailabilityResponse]:
        """Yields how the items stand, then every change."""
        request, database = watching.request, watching.database
        watcher = Watcher(request.item_ids)
        await self._join(watcher, database)
        try:
            told: dict[str, int] = {}
            wanted = sorted(set(request.item_ids))
            # The first answer says that the line is open: whoever asks for all may look around now and miss nothing.
            items = await self._fresh(database, wanted, request.channel_id, told)
            yield stock_service_pb2.WatchAvailabilityResponse(items=items, all_changed=not wanted)
            while True:
                changed, all_changed, moved_at = await watcher.changed()
                items = await self._fresh(database, changed, request.channel_id, told)
                if items or all_changed or not changed:
                    when = to_timestamp(moved_at) if moved_at else None
                    yield stock_service_pb2.WatchAvailabilityResponse(items=items, all_changed=all_changed, moved_at=when)
        finally:
            self._watchers.pop(watcher, None)

    async def _fresh(
        self, database: Database, item_ids: Sequence[str], channel_id: str, told: dict[str, int]
    ) -> list[stock_service_pb2.ItemAvailability]:
        """Returns the items whose availability is not what was told last."""
        fresh = []
        for start in range(0, len(item_ids), MOST_ITEMS):
            async with database.read() as tx:
                found = await self._promises.of(tx, item_ids[start : start + MOST_ITEMS], channel_id)
            for item in found:
                said = hash(item.SerializeToString(deterministic=True))
                if told.get(item.item_id) != said:
                    told[item.item_id] = said
                    fresh.append(item)
        return fresh

    async def _join(self, watcher: Watcher, database: Database) -> None:
        self._watchers[watcher] = None
        if self._looking is None or self._looking.done():
            now = self._clock()
            self._seen, self._policies_seen = least_id(now - LATE_US), now - LATE_US
            self._risks_seen = self._policies_seen
            await self._look(database)
            self._looking = asyncio.ensure_future(self._keep_looking(database))

    async def _keep_looking(self, database: Database) -> None:
        while self._watchers:
            await asyncio.sleep(LOOK_S)
            try:
                await self._look(database)
            except Exception as error:
                log.exception("stock could not be watched; it is tried again", exc_info=error)

    async def _look(self, database: Database) -> None:
        latest, first = func.max(MOVEMENTS.c.movement_id).label("latest"), func.min(MOVEMENTS.c.moved_at).label("first")
        moved = select(MOVEMENTS.c.item_id, latest, first).group_by(MOVEMENTS.c.item_id)
        policies = select(POLICIES.c.item_id, POLICIES.c.changed_at).where(POLICIES.c.changed_at > self._policies_seen)
        risks = select(RISK_BUFFERS.c.item_id, RISK_BUFFERS.c.changed_at).where(RISK_BUFFERS.c.changed_at > self._risks_seen)
        async with database.read() as tx:
            rows = await tx.read(moved.where(MOVEMENTS.c.movement_id > self._seen))
            late = await tx.read(moved.where(MOVEMENTS.c.movement_id > least_id(self._clock() - LATE_US))) if self._is_late() else []
            changed_policies = await tx.read(policies)
            changed_risks = await tx.read(risks)
        self._seen = max([self._seen, *(row.latest for row in rows)])
        self._policies_seen = max([self._policies_seen, *(row.changed_at for row in changed_policies)])
        self._risks_seen = max([self._risks_seen, *(row.changed_at for row in changed_risks)])
        changed_policies = [*changed_policies, *changed_risks]
        item_ids = {row.item_id for row in (*rows, *late)} | {row.item_id for row in changed_policies if row.item_id}
        all_changed = any(not row.item_id for row in changed_policies)
        if item_ids or all_changed:
            moved_at = min([*(row.first for row in rows), *(row.changed_at for row in changed_policies)], default=self._clock())
            for watcher in self._watchers:
                watcher.tell(item_ids, moved_at, all_changed=all_changed)

    def _is_late(self) -> bool:
        """Says, every ten seconds, that the last minute is looked at again; what was told already is not told again."""
        now = asyncio.get_running_loop().time()
        if now < self._late_at + LATE_LOOK_S:
            return False
        self._late_at = now
        return True
