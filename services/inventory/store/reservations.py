"""Reservations of owners, locked, how their changes are written, and how those of a kit's components are counted in kits."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import or_

from argosy.inventory.v1 import stock_pb2
from chassis.runtime.statements import Condition
from chassis.runtime.work import Work
from services.inventory.store.tables import RESERVATIONS, TOMBSTONES

KIT_PART = stock_pb2.RESERVATION_KIND_KIT_PART
STILL_OPEN = (or_(RESERVATIONS.c.reserved > 0, RESERVATIONS.c.allocated > 0), RESERVATIONS.c.kind != KIT_PART)
KEPT_PARTS = (RESERVATIONS.c.reserved > 0, RESERVATIONS.c.kind == KIT_PART)
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
    each: int = 1
    kit_item_id: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Item and location."""
        return (self.item_id, self.location_id)


async def load(work: Work, owner_ids: Iterable[str]) -> list[Held]:
    """Locks and returns all open reservations of the owners, in one order; not what is kept for kits that are not whole yet."""
    return await _of_owners(work, owner_ids, STILL_OPEN)


async def load_parts(work: Work, owner_ids: Iterable[str]) -> list[Held]:
    """Locks and returns what is kept for the owners' kits that are not whole yet."""
    return await _of_owners(work, owner_ids, KEPT_PARTS)


async def _of_owners(work: Work, owner_ids: Iterable[str], where: Condition) -> list[Held]:
    keys = {(owner,) for owner in owner_ids}
    rows = await work.tx.find(RESERVATIONS, ("owner_id",), keys, where=where, order=("reservation_id",), lock=True)
    return [Held(**row._mapping) for row in rows]


def by_place(held: Iterable[Held]) -> list[list[Held]]:
    """Returns the reservations of each owner's line at each location together."""
    found: dict[tuple[str, str, str], list[Held]] = {}
    for one in held:
        found.setdefault((one.owner_id, one.line_id, one.location_id), []).append(one)
    return list(found.values())


def units_of(held: Sequence[Held]) -> int:
    """Returns how many of its line are reserved with the reservations of one location: of a kit as many as are whole."""
    reserved, each = Counter[str](), {one.item_id: one.each for one in held}
    for one in held:
        reserved[one.item_id] += one.reserved
    return min((count // each[item_id] for item_id, count in reserved.items()), default=0)


def shares(held: Sequence[Held], units: int) -> Iterator[tuple[Held, int]]:
    """Yields how much of each reservation of one location makes so many units of its line."""
    left = {one.item_id: units * one.each for one in held}
    for one in held:
        part = min(one.reserved, left[one.item_id])
        if part:
            left[one.item_id] -= part
            yield one, part


async def buried(work: Work, owner_ids: Iterable[str]) -> set[str]:
    """Returns the owners whose reservations were cancelled before they were made; whoever is to bury one waits for us."""
    return {row.owner_id for row in await work.tx.find(TOMBSTONES, ("owner_id",), {(owner,) for owner in owner_ids}, share=True)}


async def need_unburied(work: Work, owner_ids: Iterable[str]) -> None:
    """Takes it that none of the owners is buried; where one is, the writer has all done again without hope."""
    await work.tx.need_none(TOMBSTONES, ("owner_id",), {(owner,) for owner in owner_ids})


async def known(work: Work, owner_ids: Iterable[str]) -> set[str]:
    """Returns the owners that ever had a reservation."""
    rows = await work.tx.find(RESERVATIONS, ("owner_id",), {(owner,) for owner in owner_ids}, only=("owner_id",))
    return {row.owner_id for row in rows}


async def bury(work: Work, owner_ids: set[str]) -> list[Held]:
    """Remembers those of the owners that never had a reservation: their late reserve is to be refused.

    Returns what another replica reserved for them while we looked, locked.
    """
    if not (strangers := owner_ids - await known(work, owner_ids)):
        return []
    came = await known(work, strangers) if await work.tx.shut(TOMBSTONES) else set()
    strangers -= came
    rows = [{"owner_id": owner, "buried_at": work.now} for owner in sorted(strangers)]
    await work.tx.insert(TOMBSTONES, rows, once=True)
    return await load(work, came)


async def insert(work: Work, fresh: Sequence[Held]) -> None:
    """Writes new reservations."""
    await work.tx.insert(RESERVATIONS, [vars(one) for one in fresh])


async def save(work: Work, changed: Iterable[Held]) -> None:
    """Writes the quantities of changed reservations."""
    names = ("reservation_id", *QUANTITIES)
    rows = {held.reservation_id: {name: getattr(held, name) for name in names} for held in changed}
    await work.tx.change(RESERVATIONS, names[:1], [rows[key] for key in sorted(rows)])


async def of_keys(work: Work, keys: Sequence[tuple[str, str]], where: Condition) -> list[Held]:
    """Locks and returns reservations of items at locations."""
    rows = await work.tx.find(RESERVATIONS, ("item_id", "location_id"), keys, where=where, order=("reservation_id",), lock=True)
    return [Held(**row._mapping) for row in rows]
