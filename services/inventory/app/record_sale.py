"""RecordSale: what a till or a marketplace sold and handed out by itself. It happened, so it is never refused for want of stock."""

from sqlalchemy import select

from argosy.inventory.v1 import inventory_events_pb2, stock_service_pb2
from chassis.kernel.errors import FailedPrecondition
from chassis.kernel.ids import request_id
from chassis.runtime.work import Work
from services.inventory.app.checks import need_known
from services.inventory.app.find_stock import find_stock
from services.inventory.domain.stock import State
from services.inventory.store.stock_book import Document, StockBook
from services.inventory.store.tables import ISSUES

MARKETPLACE, STORE = 4, 2


async def record_sale(work: Work, request: stock_service_pb2.RecordSaleRequest) -> stock_service_pb2.StockDocument:
    """Booked once for each channel and reference. Refusals: NO_SUCH_LOCATION, NO_SUCH_ITEM, NOT_A_SELLER."""
    document = Document("sale", request_id("sale", request.channel_id, request.reference), f"{request.channel_id} {request.reference}")
    answer = stock_service_pb2.StockDocument(document_id=document.id)
    if await work.tx.read(select(ISSUES.c.line_id).where(ISSUES.c.document_id == document.id).limit(1)):
        return answer
    location_id = request.location_id
    book = await StockBook.open(work, [(line.item_id, location_id) for line in request.lines], costs=True)
    for index, line in enumerate(request.lines):
        need_known(book, line.item_id, location_id, f"lines[{index}]")
    location = book.locations[location_id]
    if location.kind not in (MARKETPLACE, STORE):
        raise FailedPrecondition(
            "NOT_A_SELLER", f"location_id: {location_id} sells nothing by itself; ship orders from it", field="location_id"
        )
    event = inventory_events_pb2.StockIssued(
        document_id=document.id, channel_id=request.channel_id, location_id=location_id, entity=location.entity,
        currency_code=location.currency_code,
    )  # fmt: skip
    issues = []
    for index, line in enumerate(request.lines):
        value = sum(
            _sell(work, book, location_id, part, quantity, line.lot, document) for part, quantity in book.parts(line.item_id, line.quantity)
        )
        event.value_minor += value
        event.lines.add(item_id=line.item_id, quantity=line.quantity, value_minor=value, line_id=str(index + 1))
        issues.append(
            {
                "document_id": document.id, "line_id": str(index + 1), "item_id": line.item_id, "location_id": location_id,
                "quantity": line.quantity, "value_minor": value, "returned_quantity": 0, "issued_at": work.now, "order_id": "",
            }
        )  # fmt: skip
    await work.tx.insert(ISSUES, issues)
    await book.write()
    work.emit(event)
    return answer


def _sell(work: Work, book: StockBook, location_id: str, item_id: str, quantity: int, lot: str, document: Document) -> int:
    named = min(quantity, book.lot_quantity(item_id, location_id, lot, State.AVAILABLE)) if lot else 0
    taken = [(lot, named)] if named else []
    left = quantity - named
    taken += [(other, part) for other, part in book.from_lots(item_id, location_id, State.AVAILABLE, left) if other != lot or not named]
    missing = quantity - sum(part for _, part in taken)
    if missing:
        find_stock(work, book, (item_id, location_id), missing, request_id("found", document.id, item_id), "sold more than was booked")
        taken.append(("", missing))
    value = 0
    for one, part in taken:
        cost = book.issue(item_id, location_id, part, document, lot=one)
        book.move(item_id, location_id, one, (State.AVAILABLE, State.OUTSIDE), part, document, cost)
        value += cost
    return value
