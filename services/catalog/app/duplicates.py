"""ListDuplicates and MergeItem: what may be the same article, and how one of two ends."""

from collections import defaultdict

from sqlalchemy import func, select, update

from argosy.catalog.v1 import catalog_events_pb2, item_pb2, items_service_pb2
from chassis.kernel.errors import FailedPrecondition
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.work import Work
from services.catalog.app.item_view import load, shown
from services.catalog.app.listings import relist
from services.catalog.domain.item import Lifecycle, after
from services.catalog.store.tables import ITEMS


async def list_duplicates(asked: Asked) -> items_service_pb2.ListDuplicatesResponse:
    """Lists groups by what they have in common."""
    live = (ITEMS.c.lifecycle != int(Lifecycle.RETIRED), ITEMS.c.likeness != "")
    query = select(ITEMS.c.likeness).where(*live).group_by(ITEMS.c.likeness).having(func.count() > 1)
    rows, token = await page(asked.tx, query, [ITEMS.c.likeness], asked.request)
    alike: defaultdict[str, list[item_pb2.Item]] = defaultdict(list)
    found = await asked.tx.find(ITEMS, ("likeness",), [(row.likeness,) for row in rows], order=("sku",))
    for row, item in zip(found, await shown(asked.tx, found), strict=True):
        if row.lifecycle != Lifecycle.RETIRED:
            alike[row.likeness].append(item)
    groups = [items_service_pb2.DuplicateGroup(likeness=row.likeness, items=alike[row.likeness]) for row in rows]
    return items_service_pb2.ListDuplicatesResponse(groups=groups, next_page_token=token)


async def merge_item(work: Work, request: items_service_pb2.MergeItemRequest) -> item_pb2.Item:
    """Refusals: NO_SUCH_ITEM, SELF_REFERENCE, NOT_PUBLISHED, WRONG_LIFECYCLE, UNITS_DIFFER."""
    # Two that are merged into each other at once must not both end.
    found = {name: await load(work.tx, name, lock=True) for name in sorted({request.item_id, request.into_item_id})}
    row, into = found[request.item_id], found[request.into_item_id]
    if row.item_id == into.item_id:
        raise FailedPrecondition("SELF_REFERENCE", "into_item_id: an item cannot be merged into itself", field="into_item_id")
    if into.lifecycle != Lifecycle.PUBLISHED:
        raise FailedPrecondition("NOT_PUBLISHED", "into_item_id: the item that stays must be published", field="into_item_id")
    if row.stock_unit != into.stock_unit:
        text = f"into_item_id: one is counted in {row.stock_unit}, the other in {into.stock_unit}"
        raise FailedPrecondition("UNITS_DIFFER", text, field="into_item_id")
    lifecycle = int(after("retire", row.lifecycle))
    await relist(work, row.item_id, into.item_id, f"merged into {into.sku}: {request.reason}")
    change = update(ITEMS).where(ITEMS.c.item_id == row.item_id)
    await work.tx.write(change.values(lifecycle=lifecycle, version=row.version + 1, updated_at=work.now))
    reason = f"merged into {into.sku}: {request.reason}"
    work.emit(catalog_events_pb2.ItemRetired(item_id=row.item_id, sku=row.sku, reason=reason))
    return (await shown(work.tx, [await load(work.tx, row.item_id)]))[0]
