"""SubmitItem, ApproveItem, PublishItem, RetireItem: the governed steps of an item's life."""

from typing import Any

from sqlalchemy import update

from argosy.catalog.v1 import catalog_events_pb2, item_pb2, items_service_pb2
from chassis.kernel.errors import FailedPrecondition, PermissionDenied
from chassis.runtime.work import Work
from services.catalog.app.categories import rules_of
from services.catalog.app.item_view import load, missing_for_publication, published_event, shown
from services.catalog.app.kits import need_published
from services.catalog.domain.item import after
from services.catalog.store.tables import ITEMS


async def submit_item(work: Work, request: items_service_pb2.SubmitItemRequest) -> item_pb2.Item:
    """Refusals: NO_SUCH_ITEM, WRONG_LIFECYCLE."""
    return await _advance(work, request.item_id, "submit", submitted_by=work.cause.actor)


async def approve_item(work: Work, request: items_service_pb2.ApproveItemRequest) -> item_pb2.Item:
    """Refusals: NO_SUCH_ITEM, WRONG_LIFECYCLE, OWN_SUBMISSION."""
    row = await load(work.tx, request.item_id, lock=True)
    if row.submitted_by == work.cause.actor:
        raise PermissionDenied("OWN_SUBMISSION", "whoever submits an item cannot approve it; ask somebody else")
    return await _advance(work, request.item_id, "approve")


async def publish_item(work: Work, request: items_service_pb2.PublishItemRequest) -> item_pb2.Item:
    """Refusals: NO_SUCH_ITEM, WRONG_LIFECYCLE, INCOMPLETE, COMPONENT_NOT_PUBLISHED."""
    row = await load(work.tx, request.item_id, lock=True)
    missing = missing_for_publication(row, await rules_of(work.tx, {row.category_id}))
    if missing:
        raise FailedPrecondition("INCOMPLETE", f"before publishing, fill in {', '.join(missing)}", field=missing[0])
    await need_published(work.tx, row)
    item = await _advance(work, request.item_id, "publish", published=1)
    work.emit(published_event(await load(work.tx, item.item_id)))
    return item


async def retire_item(work: Work, request: items_service_pb2.RetireItemRequest) -> item_pb2.Item:
    """Refusals: NO_SUCH_ITEM, WRONG_LIFECYCLE."""
    item = await _advance(work, request.item_id, "retire")
    work.emit(catalog_events_pb2.ItemRetired(item_id=item.item_id, sku=item.sku, reason=request.reason))
    return item


async def _advance(work: Work, item_id: str, step: str, **values: Any) -> item_pb2.Item:
    row = await load(work.tx, item_id, lock=True)
    lifecycle = int(after(step, row.lifecycle))
    change = update(ITEMS).where(ITEMS.c.item_id == row.item_id)
    await work.tx.write(change.values(lifecycle=lifecycle, version=row.version + 1, updated_at=work.now, **values))
    return (await shown(work.tx, [await load(work.tx, row.item_id)]))[0]
