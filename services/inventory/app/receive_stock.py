"""ReceiveStock: takes stock in from outside, with what it cost. Many receipts make one set of statements."""

from collections.abc import Sequence
from types import SimpleNamespace

from argosy.inventory.v1 import inventory_events_pb2, stock_service_pb2
from chassis.kernel.errors import Refusal
from chassis.kernel.ids import new_id
from chassis.runtime.work import Work
from chassis.runtime.writer import Call, Outcome
from services.inventory.app.checks import need_known
from services.inventory.app.views import to_movement
from services.inventory.domain.stock import State
from services.inventory.store.stock_book import Document, StockBook

KINDS = {stock_service_pb2.RECEIPT_KIND_OPENING: "OPENING", stock_service_pb2.RECEIPT_KIND_PURCHASE: "PURCHASE"}


async def receive_stock(work: Work, calls: Sequence[Call]) -> list[Outcome]:
    """Answers each with its document, or a Refusal: NO_SUCH_LOCATION, NO_SUCH_ITEM."""
    keys = [(line.item_id, call.request.location_id) for call in calls for line in call.request.lines]
    book = await StockBook.open(work, keys, masters=True)
    outcomes: list[Outcome] = []
    for call in calls:
        work.cause = call.cause
        try:
            for index, line in enumerate(call.request.lines):
                need_known(book, line.item_id, call.request.location_id, f"lines[{index}]")
        except Refusal as refusal:
            outcomes.append(refusal)
            continue
        outcomes.append(_receive(work, book, call.request))
    await book.write()
    return outcomes


def _receive(work: Work, book: StockBook, request: stock_service_pb2.ReceiveStockRequest) -> stock_service_pb2.StockDocument:
    location = book.locations[request.location_id]
    kind = KINDS[request.kind]
    document = Document("receipt", new_id(), f"{kind} {request.reference}".strip())
    event = inventory_events_pb2.StockReceived(
        document_id=document.id, kind=kind, location_id=request.location_id, entity=location.entity, currency_code=location.currency_code
    )
    answer = stock_service_pb2.StockDocument(document_id=document.id)
    for line in request.lines:
        target = State.QUARANTINE if line.quarantine else State.AVAILABLE
        value = line.value_minor if location.owned else 0
        moved = book.move(line.item_id, request.location_id, line.lot, (State.OUTSIDE, target), line.quantity, document, value)
        answer.movements.append(to_movement(SimpleNamespace(**moved)))
        book.add_layer(line.item_id, request.location_id, line.quantity, value, document.id)
        event.value_minor += value
        event.lines.add(item_id=line.item_id, quantity=line.quantity, value_minor=value)
    work.emit(event)
    return answer
