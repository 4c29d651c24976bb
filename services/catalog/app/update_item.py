"""UpdateItem: replaces what is said of an item; a published one tells the others."""

from typing import Any

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from argosy.catalog.v1 import item_pb2, items_service_pb2
from chassis.kernel.errors import AlreadyExists, FailedPrecondition, need_unchanged
from chassis.runtime.work import Work
from services.catalog.app.item_view import load, published_event, to_message, to_values
from services.catalog.app.kits import need_others, others_of
from services.catalog.domain.item import Lifecycle, missing_attributes
from services.catalog.store.tables import ITEMS

FROZEN = ("stock_unit", "components", "tracking", "expires")


async def update_item(work: Work, request: items_service_pb2.UpdateItemRequest) -> item_pb2.Item:
    """Refusals: NO_SUCH_ITEM, ETAG_MISMATCH, WRONG_LIFECYCLE, FROZEN, INCOMPLETE, DUPLICATE_SKU, and those of `need_others`."""
    row = await load(work.tx, request.item_id, lock=True)
    need_unchanged(request.etag, row.version)
    if row.lifecycle == Lifecycle.RETIRED:
        raise FailedPrecondition("WRONG_LIFECYCLE", "a retired item is not changed any more")
    need_others(request.item, await others_of(work.tx, [request.item]), row.item_id)
    values = to_values(request.item)
    _need_frozen(row, values)
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


def _need_frozen(row: Any, values: dict[str, Any]) -> None:
    """What stock was counted by does not change under it."""
    for name in FROZEN:
        if row.published and getattr(row, name) != values[name]:
            text = f"item.{name}: stock of a published item is counted by it; set up another item and convert the stock"
            raise FailedPrecondition("FROZEN", text, field=f"item.{name}")
