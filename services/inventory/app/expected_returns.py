"""Returns on their way: from their authorisation until they are received or nothing more comes, RETURN_PENDING at their location.

They count as supply with a date and little confidence; nobody's order is pegged to what a customer may keep.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from chassis.kernel.clock import DAY
from chassis.runtime.inbox import Received
from chassis.runtime.work import NotYet, Work
from services.inventory.app.supply import RETURN, Expected, expect
from services.inventory.domain.stock import State
from services.inventory.store.stock_book import Document, StockBook
from services.inventory.store.tables import INBOUND

# When what was authorised is expected, and how far it is counted on.
DUE_DAYS = 14
CONFIDENCE_PERCENT = 50
PENDING = (INBOUND.c.document_type == RETURN,)


async def on_return_authorized(work: Work, events: Sequence[Received]) -> None:
    """Outside → RETURN_PENDING."""
    keys = {(line.item_id, one.message.location_id) for one in events for line in one.message.lines}
    book = await StockBook.open(work, keys, masters=True)
    wanted: list[Expected] = []
    for event in events:
        message = event.message
        if message.location_id not in book.locations:
            raise NotYet(f"there is no location {message.location_id}")
        sums: defaultdict[str, int] = defaultdict(int)
        for line in message.lines:
            for item_id, quantity in book.parts(line.item_id, line.stock_quantity):
                sums[item_id] += quantity
        for item_id, quantity in sorted(sums.items()):
            document = Document("return", message.return_id, "authorised")
            book.move(item_id, message.location_id, "", (State.OUTSIDE, State.RETURN_PENDING), quantity, document)
            due_at = work.now + DUE_DAYS * DAY
            wanted.append(Expected(RETURN, message.return_id, item_id, item_id, message.location_id, quantity, due_at, CONFIDENCE_PERCENT))
    await book.write()
    await expect(work, wanted)


async def on_return_closed(work: Work, events: Sequence[Received]) -> None:
    """RETURN_PENDING → outside: what has not come by now does not come."""
    pending = await Pending.of(work, {event.message.return_id for event in events})
    book = await StockBook.open(work, pending.keys)
    for event in events:
        pending.give_up(book, event.message.return_id)
    await book.write()
    await pending.save(work)


class Pending:
    """What is still expected of some returns."""

    def __init__(self, rows: Iterable[Any]) -> None:
        self._rows = {(row.document_id, row.item_id): [row.inbound_id, row.location_id, row.quantity] for row in rows}
        self._changed: set[tuple[str, str]] = set()

    @staticmethod
    async def of(work: Work, return_ids: Iterable[str]) -> "Pending":
        """Locks and returns what is expected of returns."""
        keys = [(one,) for one in sorted(set(return_ids))]
        return Pending(await work.tx.find(INBOUND, ("document_id",), keys, where=PENDING, order=("inbound_id",), lock=True))

    @property
    def keys(self) -> set[tuple[str, str]]:
        """The items and locations of it."""
        return {(item_id, location_id) for (_, item_id), (_, location_id, _) in self._rows.items()}

    def take(self, return_id: str, item_id: str, quantity: int) -> int:
        """Takes what came off what is expected; returns how much of it was expected."""
        row = self._rows.get((return_id, item_id))
        part = min(quantity, row[2]) if row is not None else 0
        if row is not None and part:
            row[2] -= part
            self._changed.add((return_id, item_id))
        return part

    def give_up(self, book: StockBook, return_id: str) -> None:
        """Expects nothing more of a return."""
        for (of_return, item_id), (_, location_id, left) in self._rows.items():
            if of_return == return_id and self.take(return_id, item_id, left):
                document = Document("return", return_id, "nothing more comes")
                book.move(item_id, location_id, "", (State.RETURN_PENDING, State.OUTSIDE), left, document)

    async def save(self, work: Work) -> None:
        """Writes what is expected now."""
        rows = [{"inbound_id": self._rows[key][0], "quantity": self._rows[key][2]} for key in sorted(self._changed)]
        await work.tx.change(INBOUND, ("inbound_id",), rows)
