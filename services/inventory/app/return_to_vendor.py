"""ReturnToVendor: stock goes back to its supplier at its cost in the books; what is credited beside that is a variance."""

from sqlalchemy import select

from argosy.inventory.v1 import inventory_events_pb2, purchasing_service_pb2, stock_service_pb2
from chassis.kernel.errors import FailedPrecondition, NotFound
from chassis.kernel.ids import new_id
from chassis.runtime.work import Work
from services.inventory.app.checks import need_known, need_no_kit
from services.inventory.domain.stock import State, by_hand
from services.inventory.store.stock_book import Document, StockBook
from services.inventory.store.tables import SUPPLIERS


async def return_to_vendor(work: Work, request: purchasing_service_pb2.ReturnToVendorRequest) -> stock_service_pb2.StockDocument:
    """Refusals: NO_SUCH_SUPPLIER, NO_SUCH_LOCATION, NO_SUCH_ITEM, KIT, INVALID_STATE, INSUFFICIENT_STOCK."""
    if not await work.tx.read(select(SUPPLIERS.c.supplier_id).where(SUPPLIERS.c.supplier_id == request.supplier_id)):
        raise NotFound("NO_SUCH_SUPPLIER", f"supplier_id: there is no {request.supplier_id}", field="supplier_id")
    location_id = request.location_id
    book = await StockBook.open(work, [(line.item_id, location_id) for line in request.lines], costs=True)
    document = Document("vendor_return", new_id(), request.reason)
    event = inventory_events_pb2.StockReturnedToVendor(
        document_id=document.id, supplier_id=request.supplier_id, location_id=location_id, reason=request.reason
    )
    for index, line in enumerate(request.lines):
        field = f"lines[{index}]"
        need_known(book, line.item_id, location_id, field)
        need_no_kit(book, line.item_id, f"{field}.item_id")
        state = by_hand(line.state or State.DAMAGED, f"{field}.state")
        there = book.lot_quantity(line.item_id, location_id, line.lot, state)
        if there < line.quantity:
            text = f"{field}.quantity: only {there} are {state.name} there"
            raise FailedPrecondition("INSUFFICIENT_STOCK", text, field=f"{field}.quantity", available=there)
        value = book.issue(line.item_id, location_id, line.quantity, document, lot=line.lot)
        book.move(line.item_id, location_id, line.lot, (state, State.OUTSIDE), line.quantity, document, value)
        credit = line.credit_minor if book.owned(location_id) else 0
        event.value_minor += value
        event.credit_minor += credit
        event.variance_up_minor += max(0, value - credit)
        event.variance_down_minor += max(0, credit - value)
        event.lines.add(item_id=line.item_id, quantity=line.quantity, value_minor=value)
    event.entity, event.currency_code = book.locations[location_id].entity, book.locations[location_id].currency_code
    await book.write()
    work.emit(event)
    return stock_service_pb2.StockDocument(document_id=document.id)
