"""UpdateItem: replaces what is said of an item; a published one tells the others."""

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from argosy.catalog.v1 import item_pb2, items_service_pb2
from chassis.kernel.errors import AlreadyExists, FailedPrecondition, need_unchanged
from chassis.runtime.work import Work
from services.catalog.app.item_view import load, published_event, to_message, to_values
from services.catalog.domain.item import Lifecycle, missing_attributes
from services.catalog.store.tables import ITEMS


async def update_item(work: Work, request: items_service_pb2.UpdateItemRequest) -> item_pb2.Item:
    """Refusals: NO_SUCH_ITEM, ETAG_MISMATCH, WRONG_LIFECYCLE, INCOMPLETE, DUPLICATE_SKU."""
    row = await load(work.tx, request.item_id, lock=True)
    need_unchanged(request.etag, row.version)
    if row.lifecycle == Lifecycle.RETIRED:
        raise FailedPrecondition("WRONG_LIFECYCLE", "a retired item is not changed any more")
    values = to_values(request.item)
    missing = missing_attributes(values)
    if row.lifecycle == Lifecycle.PUBLISHED and missing:
        raise FailedPrecondition("INCOMPLETE", f"a published item needs {', '.join(missing)}", field=f"item.{missing[0]}")
    change = update(ITEMS).where(ITEMS.c.item_id == row.item_id)
    try:
        await work.tx.write(change.values(**values, version=row.version + 1, updated_at=work.now))
    except IntegrityError as error:
        raise AlreadyExists("DUPLICATE_SKU", "another item has this SKU or GTIN", field="item.sku") from error
    changed = await load(work.tx, row.item_id)
    if changed.lifecycle == Lifecycle.PUBLISHED:
        work.emit(published_event(changed))
    return to_message(changed)
