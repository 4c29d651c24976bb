"""Checks that several use cases make before they touch stock."""

from chassis.kernel.errors import FailedPrecondition, NotFound
from services.inventory.store.stock_book import StockBook


def need_known(book: StockBook, item_id: str, location_id: str, field: str = "") -> None:
    """Raises NotFound where item or location is not known here."""
    if book.has(item_id, location_id):
        return
    prefix = f"{field}." if field else ""
    if location_id not in book.locations:
        raise NotFound("NO_SUCH_LOCATION", f"there is no location {location_id}", field=f"{prefix}location_id")
    if item_id not in book.items:
        raise NotFound("NO_SUCH_ITEM", f"there is no published item {item_id}", field=f"{prefix}item_id")


def need_sellable(book: StockBook, item_id: str, lot: str, field: str) -> None:
    """Raises FailedPrecondition LOT_RECALLED or EXPIRED_LOT for a lot of which nothing may be AVAILABLE."""
    if lot and book.recalled(item_id, lot):
        raise FailedPrecondition(
            "LOT_RECALLED", f"{field}: lot {lot} is recalled; lift the recall first, or choose QUARANTINE", field=field
        )
    if lot and book.expired(item_id, lot):
        text = f"{field}: lot {lot} has expired; choose QUARANTINE or DAMAGED, or set its day right with SetLotExpiry"
        raise FailedPrecondition("EXPIRED_LOT", text, field=field)


def need_no_kit(book: StockBook, item_id: str, field: str = "item_id") -> None:
    """Raises FailedPrecondition for a kit, which has no stock of its own."""
    if book.components(item_id):
        raise FailedPrecondition("KIT", f"{field}: a kit has no stock of its own; name its components", field=field)
