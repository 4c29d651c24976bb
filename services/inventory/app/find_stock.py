"""What left and was not booked: it is found first, as an adjustment gain, with a hold to count the place."""

from argosy.inventory.v1 import inventory_events_pb2
from chassis.runtime.work import HoldKind, Work
from services.inventory.domain.stock import State
from services.inventory.store.stock_book import Document, Key, StockBook

OVERSHIPPED = HoldKind("OVERSHIPPED", "stock", 7200, "operations")


def find_stock(work: Work, book: StockBook, key: Key, quantity: int, document_id: str, reason: str) -> None:
    """Books a gain of AVAILABLE stock at its last cost, else its standard, else 0."""
    item_id, location_id = key
    value, basis = book.estimate(item_id, location_id, quantity) if book.owned(location_id) else (0, "NONE")
    document = Document("adjustment", document_id, reason)
    value = book.put(item_id, location_id, quantity, value, document)
    book.move(item_id, location_id, "", (State.OUTSIDE, State.AVAILABLE), quantity, document, value)
    location = book.locations[location_id]
    work.emit(
        inventory_events_pb2.StockAdjusted(
            document_id=document.id, location_id=location_id, entity=location.entity, currency_code=location.currency_code,
            item_id=item_id, quantity=quantity, gain_minor=value, reason=reason, cost_basis=basis,
        )
    )  # fmt: skip
    work.hold(OVERSHIPPED, "item", item_id, f"{quantity} of {item_id} left {location_id} that were not booked there: count it")
