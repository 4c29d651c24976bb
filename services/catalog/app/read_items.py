"""GetItem, FindItems and ListItems."""

from sqlalchemy import select

from argosy.catalog.v1 import item_pb2, items_service_pb2
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from services.catalog.app.item_view import load, shown
from services.catalog.store.tables import ITEMS


async def get_item(asked: Asked) -> item_pb2.Item:
    """Refusals: NO_SUCH_ITEM."""
    return (await shown(asked.tx, [await load(asked.tx, asked.request.item_id)]))[0]


async def find_items(asked: Asked) -> items_service_pb2.FindItemsResponse:
    """Returns those that are known, by SKU."""
    skus = sorted({sku.strip().upper() for sku in asked.request.skus})
    found = [*await asked.tx.find(ITEMS, ("sku",), [(sku,) for sku in skus])]
    found += await asked.tx.find(ITEMS, ("item_id",), [(one,) for one in sorted(set(asked.request.item_ids))])
    rows = {row.sku: row for row in found}
    return items_service_pb2.FindItemsResponse(items=await shown(asked.tx, [rows[sku] for sku in sorted(rows)]))


async def list_items(asked: Asked) -> items_service_pb2.ListItemsResponse:
    """Lists by SKU."""
    query = select(ITEMS)
    if asked.request.lifecycle:
        query = query.where(ITEMS.c.lifecycle == asked.request.lifecycle)
    if asked.request.query:
        query = query.where(ITEMS.c.sku.startswith(asked.request.query.upper(), autoescape=True))
    rows, token = await page(asked.tx, query, [ITEMS.c.sku], asked.request)
    return items_service_pb2.ListItemsResponse(items=await shown(asked.tx, rows), next_page_token=token)
