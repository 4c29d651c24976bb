"""The book of bins: what lies in the bins of some items, locked, changed in memory, written at once.

Bins hold together what inventory has on hand: goods come into DOCK when inventory says that they came, leave when it says
that they left, and otherwise only go from one bin to another.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from chassis.kernel.ids import new_id
from chassis.runtime.work import Work
from services.fulfillment.domain.bins import DOCK, LOST, NAMED, OUT, Bin, Content, Kind
from services.fulfillment.store.warehouse import BIN_MOVES, BIN_STOCK, BINS

Key = tuple[str, str]
STOCK = ("location_id", "item_id", "bin", "lot")
PLACE = ("location_id", "bin")


class BinBook:
    """What lies in bins, open for change."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._stock: defaultdict[Key, dict[tuple[str, str], int]] = defaultdict(dict)
        self._known: set[tuple[str, str, str, str]] = set()
        self._changed: set[tuple[str, str, str, str]] = set()
        self._moves: list[dict[str, Any]] = []
        self.bins: defaultdict[str, dict[str, Bin]] = defaultdict(dict)

    @classmethod
    async def open(cls, work: Work, keys: Iterable[Key], named: Iterable[Key] = ()) -> "BinBook":
        """Locks and reads what lies in bins of (location, item) keys; knows these bins, and those (location, bin) named."""
        book = cls(work)
        ordered = sorted(set(keys))
        rows = await work.tx.find(BIN_STOCK, STOCK[:2], ordered, order=STOCK, lock=True)
        for row in rows:
            book._stock[row.location_id, row.item_id][row.bin, row.lot] = row.quantity
            book._known.add((row.location_id, row.item_id, row.bin, row.lot))
        own = {(location_id, name) for location_id, _ in ordered for name in NAMED}
        places = sorted({(row.location_id, row.bin) for row in rows} | set(named) | own)
        for row in await work.tx.find(BINS, PLACE, places):
            book.bins[row.location_id][row.bin] = to_bin(row)
        return book

    def contents(self, location_id: str, item_id: str) -> list[Content]:
        """Returns where an item lies."""
        return [Content(name, lot, quantity) for (name, lot), quantity in self._stock[location_id, item_id].items() if quantity]

    def quantity(self, location_id: str, item_id: str, name: str, lot: str) -> int:
        """Returns the units of a lot in a bin."""
        return self._stock[location_id, item_id].get((name, lot), 0)

    def move(
        self, location_id: str, item_id: str, lot: str, quantity: int, way: tuple[str, str], reason: str, document_id: str = ""
    ) -> dict[str, Any]:
        """Moves units from a bin to a bin and returns the move's row; the empty bin is outside. Raises ValueError below zero."""
        source, target = way
        own = self._stock[location_id, item_id]
        for name, change in ((source, -quantity), (target, quantity)):
            if name:
                own[name, lot] = own.get((name, lot), 0) + change
                self._changed.add((location_id, item_id, name, lot))
                if own[name, lot] < 0:
                    raise ValueError(f"{item_id} in {name} at {location_id} would be {own[name, lot]}")
        row = {
            "move_id": new_id(), "location_id": location_id, "item_id": item_id, "lot": lot, "quantity": quantity,
            "from_bin": source, "to_bin": target, "reason": reason, "document_id": document_id,
            "actor": self._work.cause.actor, "moved_at": self._work.now,
        }  # fmt: skip
        self._moves.append(row)
        return row

    async def write(self) -> None:
        """Writes what changed, a statement for each kind of change."""
        tx = self._work.tx
        rows = {key: {**dict(zip(STOCK, key, strict=True)), "quantity": self.quantity(*key)} for key in sorted(self._changed)}
        gone = [key for key, row in rows.items() if key in self._known and not row["quantity"]]
        old = [row for key, row in rows.items() if key in self._known and row["quantity"]]
        fresh = [row for key, row in rows.items() if key not in self._known and row["quantity"]]
        await tx.change(BIN_STOCK, STOCK, old)
        await tx.remove(BIN_STOCK, STOCK, gone)
        await tx.merge(BIN_STOCK, STOCK, fresh, add=("quantity",))
        await tx.insert(BIN_MOVES, self._moves)


def to_bin(row: Any) -> Bin:
    """Returns a bin's row as decisions use it."""
    return Bin(row.bin, row.zone, Kind(row.kind), row.position, row.most_units, bool(row.blocked))


async def set_up(work: Work, location_ids: Sequence[str]) -> None:
    """Gives locations the bins that each has: DOCK, OUT and LOST."""
    kinds = {DOCK: Kind.DOCK, OUT: Kind.OUT, LOST: Kind.LOST}
    rows = [
        {"location_id": one, "bin": name, "zone": "", "kind": int(kind), "position": 0, "most_units": 0, "blocked": 0}
        for one in sorted(set(location_ids))
        for name, kind in kinds.items()
    ]
    await work.tx.insert(BINS, rows, once=True)
