"""Reservations of owners, locked, and how their changes are written."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import or_

from chassis.runtime.statements import Condition
from chassis.runtime.work import Work
from services.inventory.store.tables import RESERVATIONS, TOMBSTONES

STILL_OPEN = (or_(RESERVATIONS.c.reserved > 0, RESERVATIONS.c.allocated > 0),)
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
    priority: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """Item and location."""
        return (self.item_id, self.location_id)


async def load(work: Work, owner_ids: Iterable[str]) -> list[Held]:
    """Locks and returns all open reservations of the owners, in one order."""
    keys = {(owner,) for owner in owner_ids}
    rows = await work.tx.find(RESERVATIONS, ("owner_id",), keys, where=STILL_OPEN, order=("reservation_id",), lock=True)
    return [Held(**row._mapping) for row in rows]


async def buried(work: Work, owner_ids: Iterable[str]) -> set[str]:
    """Returns the owners whose reservations were cancelled before they were made."""
    return {row.owner_id for row in await work.tx.find(TOMBSTONES, ("owner_id",), {(owner,) for owner in owner_ids})}


async def known(work: Work, owner_ids: Iterable[str]) -> set[str]:
    """Returns the owners that ever had a reservation."""
    rows = await work.tx.find(RESERVATIONS, ("owner_id",), {(owner,) for owner in owner_ids}, only=("owner_id",))
    return {row.owner_id for row in rows}


async def bury(work: Work, owner_ids: Iterable[str]) -> None:
    """Remembers owners whose late reserve must be refused."""
    rows = [{"owner_id": owner, "buried_at": work.now} for owner in sorted(set(owner_ids))]
    await work.tx.insert(TOMBSTONES, rows, once=True)


async def insert(work: Work, fresh: Sequence[Held]) -> None:
    """Writes new reservations."""
    await work.tx.insert(RESERVATIONS, [vars(one) for one in fresh])


async def save(work: Work, changed: Iterable[Held]) -> None:
    """Writes the quantities of changed reservations."""
    names = ("reservation_id", *QUANTITIES)
    rows = {held.reservation_id: {name: getattr(held, name) for name in names} for held in changed}
    await work.tx.change(RESERVATIONS, names[:1], [rows[key] for key in sorted(rows)])


async def of_key(work: Work, key: tuple[str, str], where: Condition) -> list[Held]:
    """Locks and returns reservations of an item at a location."""
    rows = await work.tx.find(RESERVATIONS, ("item_id", "location_id"), [key], where=where, order=("reservation_id",), lock=True)
    return [Held(**row._mapping) for row in rows]
