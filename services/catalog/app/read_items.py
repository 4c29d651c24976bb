"""GetItem and ListItems."""

from sqlalchemy import select

from argosy.catalog.v1 import item_pb2, items_service_pb2
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from services.catalog.app.item_view import load, to_message
from services.catalog.store.tables import ITEMS


async def get_item(asked: Asked) -> item_pb2.Item:
    """Refusals: NO_SUCH_ITEM."""
    return to_message(await load(asked.tx, asked.request.item_id))


async def list_items(asked: Asked) -> items_service_pb2.ListItemsResponse:
    """Lists by SKU."""
    query = select(ITEMS)
    if asked.request.lifecycle:
        query = query.where(ITEMS.c.lifecycle == asked.request.lifecycle)
    if asked.request.query:
        query = query.where(ITEMS.c.sku.startswith(asked.request.query.upper(), autoescape=True))
    rows, token = await page(asked.tx, query, [ITEMS.c.sku], asked.request)
    return items_service_pb2.ListItemsResponse(items=[to_message(row) for row in rows], next_page_token=token)
