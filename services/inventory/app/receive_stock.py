"""ReceiveStock: takes stock in from outside, with what it cost. Many receipts make one set of statements."""

from collections.abc import Sequence
from types import SimpleNamespace

from argosy.inventory.v1 import inventory_events_pb2, stock_pb2, stock_service_pb2
from chassis.kernel.errors import Refusal
from chassis.kernel.ids import new_id
from chassis.runtime.work import Work
from chassis.runtime.writer import Call, Outcome
from services.inventory.app.intake import Intake, lots_named, need_new_serials, read_line
from services.inventory.app.supply import fill
from services.inventory.app.views import to_movement
from services.inventory.domain.stock import State
from services.inventory.store.stock_book import Document, StockBook

KINDS = {stock_service_pb2.RECEIPT_KIND_OPENING: "OPENING", stock_service_pb2.RECEIPT_KIND_PURCHASE: "PURCHASE"}


async def receive_stock(work: Work, calls: Sequence[Call]) -> list[Outcome]:
    """Answers each with its document, or a Refusal: those of `read_line`, SERIAL_EXISTS."""
    keys = [(line.item_id, call.request.location_id) for call in calls for line in call.request.lines]
    lots = {one for call in calls for one in lots_named(call.request.lines)}
    book = await StockBook.open(work, keys, masters=True, lots=lots)
    outcomes: list[Outcome] = []
    for call in calls:
        work.cause = call.cause
        request = call.request
        try:
            lines = [read_line(book, request.location_id, line, f"lines[{index}]", work.now) for index, line in enumerate(request.lines)]
            await need_new_serials(work, book, lines)
        except Refusal as refusal:
            outcomes.append(refusal)
            continue
        outcomes.append(_receive(work, book, request, lines))
    await fill(work, book, keys)
    await book.write()
    return outcomes


def _receive(
    work: Work, book: StockBook, request: stock_service_pb2.ReceiveStockRequest, lines: Sequence[Intake]
) -> stock_service_pb2.StockDocument:
    location = book.locations[request.location_id]
    kind = KINDS[request.kind]
    document = Document("receipt", new_id(), f"{kind} {request.reference}".strip())
    event = inventory_events_pb2.StockReceived(
        document_id=document.id, kind=kind, location_id=request.location_id, entity=location.entity, currency_code=location.currency_code
    )
    answer = stock_service_pb2.StockDocument(document_id=document.id)
    for said, line in zip(request.lines, lines, strict=True):
        paid = said.value_minor if location.owned else 0
        value, moved = take_in(book, line, 0, paid, document)
        answer.movements.extend(moved)
        event.value_minor += value
        event.variance_up_minor += max(0, paid - value)
        event.variance_down_minor += max(0, value - paid)
        event.lines.add(item_id=line.item_id, quantity=line.quantity, value_minor=value)
    work.emit(event)
    return answer


def take_in(book: StockBook, line: Intake, expected: int, paid_minor: int, document: Document) -> tuple[int, list[stock_pb2.Movement]]:
    """Books a line's lots and its cost; returns its value in the books and its movements. Each carries its part of the value.

    So much of it was `expected`: that comes from INCOMING, which knows no lots; the rest from outside.
    """
    line.learn(book)
    key = (line.item_id, line.location_id)
    value, moved, left = 0, [], paid_minor
    for index, (lot, quantity) in enumerate(line.lots):
        part = left if index == len(line.lots) - 1 else paid_minor * quantity // line.quantity
        left -= part
        booked = book.put(*key, quantity, part, document, lot=lot)
        known = min(expected, quantity)
        expected -= known
        if lot and known:
            book.move(*key, "", (State.INCOMING, State.OUTSIDE), known, document)
            known = 0
        if known:
            moved.append(book.move(*key, lot, (State.INCOMING, line.state), known, document, booked if known == quantity else 0))
        if known < quantity:
            moved.append(book.move(*key, lot, (State.OUTSIDE, line.state), quantity - known, document, booked))
        value += booked
    return value, [to_movement(SimpleNamespace(**row)) for row in moved]
