"""ReceiveStock: takes stock in from outside, with what it cost. Many receipts make one set of statements."""

from collections.abc import Sequence
from types import SimpleNamespace

from argosy.inventory.v1 import inventory_events_pb2, stock_pb2, stock_service_pb2
from chassis.kernel.errors import Refusal
from chassis.kernel.ids import new_id
from chassis.runtime.work import Work
from chassis.runtime.writer import Call, Outcome
from services.inventory.app.intake import Intake, need_new_serials, read_line
from services.inventory.app.views import to_movement
from services.inventory.domain.stock import State
from services.inventory.store.stock_book import Document, StockBook

KINDS = {stock_service_pb2.RECEIPT_KIND_OPENING: "OPENING", stock_service_pb2.RECEIPT_KIND_PURCHASE: "PURCHASE"}


async def receive_stock(work: Work, calls: Sequence[Call]) -> list[Outcome]:
    """Answers each with its document, or a Refusal: those of `read_line`, SERIAL_EXISTS."""
    keys = [(line.item_id, call.request.location_id) for call in calls for line in call.request.lines]
    book = await StockBook.open(work, keys, masters=True)
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
        value, moved = take_in(book, line, (State.OUTSIDE, line.state), paid, document)
        answer.movements.extend(moved)
        event.value_minor += value
        event.variance_up_minor += max(0, paid - value)
        event.variance_down_minor += max(0, value - paid)
        event.lines.add(item_id=line.item_id, quantity=line.quantity, value_minor=value)
    work.emit(event)
    return answer


def take_in(
    book: StockBook, line: Intake, change: tuple[State, State], paid_minor: int, document: Document
) -> tuple[int, list[stock_pb2.Movement]]:
    """Books a line's lots and its cost; returns its value in the books and its movements. Each carries its part of the value."""
    line.learn(book)
    value, moved, left = 0, [], paid_minor
    for index, (lot, quantity) in enumerate(line.lots):
        part = left if index == len(line.lots) - 1 else paid_minor * quantity // line.quantity
        left -= part
        booked = book.put(line.item_id, line.location_id, quantity, part, document, lot=lot)
        row = book.move(line.item_id, line.location_id, lot, change, quantity, document, booked)
        moved.append(to_movement(SimpleNamespace(**row)))
        value += booked
    return value, moved
