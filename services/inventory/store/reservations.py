"""Reservations of owners, locked, and how their changes are written."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, or_, select, update

from chassis.runtime.work import Work
from services.inventory.store.tables import RESERVATIONS, TOMBSTONES

QUANTITIES = ("reserved", "allocated", "shipped", "cancelled")


@dataclass
class Held:
    """A reservation as it stands in memory."""

    reservation_id: str
    kind: int
    owner_id: str
    line_id: str
    item_id: str
    location_id: str
    lot: str
    reserved: int
    allocated: int
    shipped: int
    cancelled: int
    expires_at: int | None
    created_at: int

    @property
    def key(self) -> tuple[str, str]:
        """Item and location."""
        return (self.item_id, self.location_id)


async def load(work: Work, owner_ids: Iterable[str]) -> list[Held]:
    """Locks and returns all open reservations of the owners, in one order."""
    wanted = work.tx.rows("owners", {"owner_id": str}, [(owner,) for owner in sorted(set(owner_ids))])
    still_open = or_(RESERVATIONS.c.reserved > 0, RESERVATIONS.c.allocated > 0)
    query = select(RESERVATIONS).where(RESERVATIONS.c.owner_id == wanted.c.owner_id, still_open)
    rows = await work.tx.read(query.order_by(RESERVATIONS.c.reservation_id).with_for_update(of=RESERVATIONS))
    return [Held(**row._mapping) for row in rows]


async def buried(work: Work, owner_ids: Iterable[str]) -> set[str]:
    """Returns the owners whose reservations were cancelled before they were made."""
    wanted = work.tx.rows("owners", {"owner_id": str}, [(owner,) for owner in sorted(set(owner_ids))])
    rows = await work.tx.read(select(TOMBSTONES.c.owner_id).where(TOMBSTONES.c.owner_id == wanted.c.owner_id))
    return {row.owner_id for row in rows}


async def known(work: Work, owner_ids: Iterable[str]) -> set[str]:
    """Returns the owners that ever had a reservation."""
    wanted = work.tx.rows("owners", {"owner_id": str}, [(owner,) for owner in sorted(set(owner_ids))])
    query = select(RESERVATIONS.c.owner_id).where(RESERVATIONS.c.owner_id == wanted.c.owner_id).distinct()
    return {row.owner_id for row in await work.tx.read(query)}


async def bury(work: Work, owner_ids: Iterable[str]) -> None:
    """Remembers owners whose late reserve must be refused."""
    rows = [{"owner_id": owner, "buried_at": work.now} for owner in sorted(set(owner_ids))]
    await work.tx.write(work.insert(TOMBSTONES).on_conflict_do_nothing(), rows)


async def insert(work: Work, fresh: Sequence[Held]) -> None:
    """Writes new reservations."""
    await work.tx.write(RESERVATIONS.insert(), [vars(one) for one in fresh])


async def save(work: Work, changed: Iterable[Held]) -> None:
    """Writes the quantities of changed reservations."""
    rows: list[tuple[Any, ...]] = sorted({(h.reservation_id, h.reserved, h.allocated, h.shipped, h.cancelled) for h in changed})
    if not rows:
        return
    new = work.tx.rows("new", {"reservation_id": str, **dict.fromkeys(QUANTITIES, int)}, rows)
    match = and_(RESERVATIONS.c.reservation_id == new.c.reservation_id)
    await work.tx.write(update(RESERVATIONS).where(match).values({name: new.c[name] for name in QUANTITIES}))
