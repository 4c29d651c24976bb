"""Books returned goods: in at the cost at which they left, then to where the inspection sends them."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from argosy.inventory.v1 import inventory_events_pb2
from chassis.kernel.money import allocate, share
from chassis.runtime.inbox import Received
from chassis.runtime.work import HoldKind, NotYet, Work
from services.inventory.app.expected_returns import Pending
from services.inventory.app.supply import fill
from services.inventory.domain.stock import State, Tracking
from services.inventory.store.stock_book import Document, StockBook
from services.inventory.store.tables import ISSUES, MOVEMENTS

UNCOSTED = HoldKind("UNCOSTED", "returns", 86_400, "operations")
TARGETS = {"RESTOCK": State.AVAILABLE, "QUARANTINE": State.QUARANTINE, "DAMAGED": State.DAMAGED, "SCRAP": State.OUTSIDE}
WENT_OUT = (MOVEMENTS.c.to_state == int(State.OUTSIDE), MOVEMENTS.c.lot != "")
WEAKER = ("ISSUE", "LAST", "STANDARD", "NONE")


async def on_return_received(work: Work, events: Sequence[Received]) -> None:
    """Outside → RETURN_INSPECTION, at the line's share of its issues; an unknown issue takes last cost, standard or 0."""
    book = await StockBook.open(work, _keys(events), costs=True)
    issues = await _issues(work, {line.line_id for event in events for line in event.message.lines})
    pending = await Pending.of(work, {event.message.return_id for event in events})
    left = await _lots_that_left(work, book, [issue for of_line in issues.values() for issue in of_line])
    for event in events:
        work.cause = event.cause
        message = event.message
        returned = inventory_events_pb2.StockReturned(
            document_id=f"return-{message.receipt_id}", cost_basis="ISSUE", **_about(book, message)
        )
        document = Document("return", returned.document_id, "received")
        credit = 0
        for line in message.lines:
            value, basis, bought = _cost(work, book, message, line, issues.get(line.line_id, []))
            if not book.owned(message.location_id):
                # What its owner had sold to us goes back to them; of what was ours all along, nothing was agreed.
                credit, value = credit + bought, 0
            value = _take_back(book, message, line, value, left, pending, document)
            returned.value_minor += value
            returned.cost_basis = max(returned.cost_basis, basis, key=WEAKER.index)
            returned.lines.add(item_id=line.item_id, quantity=line.stock_quantity, value_minor=value, line_id=line.line_id)
        work.emit(returned)
        if credit:
            back = inventory_events_pb2.DropShipReturned(
                document_id=f"to-supplier-{message.receipt_id}", credit_minor=credit, **_about(book, message)
            )
            work.emit(back)
    await book.write()
    await pending.save(work)
    await _save(work, [issue for of_line in issues.values() for issue in of_line])


async def on_return_inspected(work: Work, events: Sequence[Received]) -> None:
    """RETURN_INSPECTION → AVAILABLE, QUARANTINE, DAMAGED or out; whoever waits for what is AVAILABLE again has it."""
    book = await StockBook.open(work, _keys(events), costs=True)
    restocked = set()
    for event in events:
        work.cause = event.cause
        message = event.message
        judged = inventory_events_pb2.StockDispositioned(document_id=f"disposition-{message.inspection_id}", **_about(book, message))
        document = Document("return", judged.document_id, "inspected")
        for line in message.lines:
            target = TARGETS[line.disposition]
            value = _judge(book, message, line, target, document)
            if target is State.AVAILABLE:
                restocked |= {(item_id, message.location_id) for item_id, _ in book.parts(line.item_id, line.stock_quantity)}
            if target is State.OUTSIDE:
                judged.written_off_minor += value
            else:
                judged.restocked_minor += value
            judged.lines.add(item_id=line.item_id, quantity=line.stock_quantity, value_minor=value, line_id=line.line_id)
        work.emit(judged)
    await fill(work, book, restocked)
    await book.write()


def _take_back(book: StockBook, message: Any, line: Any, value_minor: int, left: "Left", pending: Pending, document: Document) -> int:
    """Puts a line's goods before the inspection, a kit's as its components; returns their value in the books."""
    parts = book.parts(line.item_id, line.stock_quantity)
    weights = [book.estimate(item_id, message.location_id, quantity)[0] for item_id, quantity in parts]
    booked = 0
    for (item_id, quantity), cost in zip(parts, allocate(value_minor, weights), strict=True):
        key = (item_id, message.location_id)
        worth = book.put(*key, quantity, cost, document, held_for=message.return_id, line_id=line.line_id)
        booked += worth
        lots = left.take(line.line_id, item_id, quantity)
        for lot, part in lots:
            expected = pending.take(message.return_id, item_id, part)
            origins = [(State.RETURN_PENDING, expected), (State.OUTSIDE, part - expected)]
            if lot and expected:
                # What was expected had no lot yet.
                book.move(*key, "", (State.RETURN_PENDING, State.OUTSIDE), expected, document)
                origins = [(State.OUTSIDE, part)]
            for origin, some in origins:
                if some:
                    book.move(*key, lot, (origin, State.RETURN_INSPECTION), some, document, worth)
                    worth = 0
    return booked


def _judge(book: StockBook, message: Any, line: Any, target: State, document: Document) -> int:
    """Moves a line's goods to where the inspection sends them; returns what they are worth."""
    value = 0
    for item_id, quantity in book.parts(line.item_id, line.stock_quantity):
        key = (item_id, message.location_id)
        cost = book.issue(*key, quantity, document, held_for=message.return_id, line_id=line.line_id)
        if target is not State.OUTSIDE:
            book.put(*key, quantity, cost, document)
        for index, (lot, part) in enumerate(book.from_lots(*key, State.RETURN_INSPECTION, quantity)):
            book.move(*key, lot, (State.RETURN_INSPECTION, target), part, document, cost if index == 0 else 0)
        value += cost
    return value


class Left:
    """Which lots left with which line: they are what comes back with it."""

    def __init__(self) -> None:
        self._lots: defaultdict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)

    def add(self, line_id: str, item_id: str, lot: str, quantity: int) -> None:
        """Notes what left."""
        self._lots[line_id, item_id].append((lot, quantity))

    def take(self, line_id: str, item_id: str, quantity: int) -> list[tuple[str, int]]:
        """Returns the lots of what comes back; of what is not known to have left, none is known."""
        found = []
        for lot, there in self._lots[line_id, item_id]:
            part = min(there, quantity)
            if part:
                found.append((lot, part))
                quantity -= part
        return [*found, ("", quantity)] if quantity else found


async def _lots_that_left(work: Work, book: StockBook, issues: list["_Issue"]) -> Left:
    """Reads the lots of issues of tracked items; an issue tells lines apart only by item, which is enough for their lots."""
    left = Left()
    tracked = {item_id for item_id, item in book.items.items() if item.tracking != Tracking.NONE}
    if not tracked:
        return left
    documents = {issue.key[0]: issue.key[1] for issue in issues}
    for row in await work.tx.find(
        MOVEMENTS, ("document_id",), [(one,) for one in sorted(documents)], where=WENT_OUT, order=("movement_id",)
    ):
        if row.item_id in tracked:
            left.add(documents[row.document_id], row.item_id, row.lot, row.quantity)
    return left


def _keys(events: Sequence[Received]) -> set[tuple[str, str]]:
    return {(line.item_id, event.message.location_id) for event in events for line in event.message.lines}


def _about(book: StockBook, message: Any) -> dict[str, Any]:
    location = book.locations.get(message.location_id)
    if location is None:
        raise NotYet(f"there is no location {message.location_id}")
    return {
        "return_id": message.return_id, "order_id": message.order_id, "channel_id": message.channel_id,
        "location_id": message.location_id, "entity": location.entity, "currency_code": location.currency_code,
    }  # fmt: skip


class _Issue:
    def __init__(self, row: Any) -> None:
        self.key = (row.document_id, row.line_id)
        self.location_id = row.location_id
        self.quantity = row.quantity
        self.value_minor = row.value_minor
        self.returned = row.returned_quantity


async def _issues(work: Work, line_ids: set[str]) -> dict[str, list[_Issue]]:
    found: dict[str, list[_Issue]] = {}
    keys = [(one,) for one in sorted(line_ids)]
    for row in await work.tx.find(ISSUES, ("line_id",), keys, order=("issued_at", "document_id"), lock=True):
        found.setdefault(row.line_id, []).append(_Issue(row))
    return found


def _cost(work: Work, book: StockBook, message: Any, line: Any, issues: list[_Issue]) -> tuple[int, str, int]:
    """Returns what a line's goods left at, by which basis, and how much of that was paid to the owner of the place they left."""
    left, value, bought = line.stock_quantity, 0, 0
    for issue in issues:
        part = min(left, issue.quantity - issue.returned)
        worth = share(issue.value_minor, issue.returned, part, issue.quantity)
        value += worth
        if issue.location_id == message.location_id and not book.owned(issue.location_id):
            bought += worth
        issue.returned += part
        left -= part
    if not left:
        return value, "ISSUE", bought
    estimate, basis = book.estimate(line.item_id, message.location_id, left)
    work.hold(UNCOSTED, "return", message.return_id, f"{left} of {line.item_id} came back that are not known to have left")
    return value + estimate, basis, bought


async def _save(work: Work, issues: list[_Issue]) -> None:
    names = ("document_id", "line_id", "returned_quantity")
    await work.tx.change(ISSUES, names[:2], [dict(zip(names, (*issue.key, issue.returned), strict=True)) for issue in issues])
