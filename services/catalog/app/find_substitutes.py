"""FindSubstitutes: what may be sent instead of an item, as its master ranks them, and why not."""

from typing import Any

from sqlalchemy import or_, select

from argosy.catalog.v1 import items_service_pb2
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx
from services.catalog.app.completeness import ENDED
from services.catalog.app.item_view import listed, load
from services.catalog.domain.substitutes import unfit
from services.catalog.store.tables import ITEMS, LISTINGS


async def find_substitutes(asked: Asked) -> items_service_pb2.FindSubstitutesResponse:
    """Lists by rank. Refusals: NO_SUCH_ITEM."""
    request = asked.request
    named = sorted(listed(await load(asked.tx, request.item_id), "substitutes"), key=lambda one: (one.rank, one.item_id))
    items = {row.item_id: row for row in await asked.tx.find(ITEMS, ("item_id",), [(one.item_id,) for one in named])}
    sold = await _sold(asked.tx, request.channel_id, list(items.values()))
    response = items_service_pb2.FindSubstitutesResponse()
    for one in named:
        item = items[one.item_id]
        channel_sku, units = sold.get(one.item_id, ("", 1))
        why = unfit(item, one.condition, request.channel_id, request.country_code, sold=bool(channel_sku))
        response.substitutes.add(
            item_id=one.item_id, sku=item.sku, name=item.name, rank=one.rank, channel_sku=channel_sku, units=units, unfit=why
        )
    return response


async def _sold(tx: Tx, channel_id: str, items: list[Any]) -> dict[str, tuple[str, int]]:
    """Returns what a channel calls items, and how many stock units one is: by its listings, else by their own SKUs."""
    skus = {item.sku: item.item_id for item in items}
    query = select(LISTINGS).where(LISTINGS.c.channel_id == channel_id)
    query = query.where(or_(LISTINGS.c.item_id.in_(skus.values()), LISTINGS.c.channel_sku.in_(skus)))
    rows = await tx.read(query.order_by(LISTINGS.c.units.desc(), LISTINGS.c.channel_sku))
    taken = {row.channel_sku for row in rows}
    sold = {item_id: (sku, 1) for sku, item_id in skus.items() if sku not in taken}
    return sold | {row.item_id: (row.channel_sku, row.units) for row in rows if row.status != ENDED}
