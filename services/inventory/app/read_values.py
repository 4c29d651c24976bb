"""What stock is and was worth. A past moment is looked up in the journal, which keeps what there was after each change."""

from typing import Any

from sqlalchemy import Select, func, select

from argosy.inventory.v1 import valuation_service_pb2
from chassis.kernel.clock import from_timestamp, to_timestamp
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from services.inventory.domain.cost import unit_cost
from services.inventory.store.tables import LOCATIONS, VALUATIONS, VALUE_ENTRIES


async def list_stock_values(asked: Asked) -> valuation_service_pb2.ListStockValuesResponse:
    """Lists by item and location."""
    request = asked.request
    found = _as_of(request)
    query = select(found, LOCATIONS.c.currency_code).join(LOCATIONS, LOCATIONS.c.location_id == found.c.location_id)
    query = query.where((found.c.quantity != 0) | (found.c.value_minor != 0))
    if request.item_id:
        query = query.where(found.c.item_id == request.item_id)
    if request.location_id:
        query = query.where(found.c.location_id == request.location_id)
    rows, token = await page(asked.tx, query, [found.c.item_id, found.c.location_id], request)
    values = [
        valuation_service_pb2.StockValue(
            item_id=row.item_id, location_id=row.location_id, currency_code=row.currency_code, quantity=row.quantity,
            value_minor=row.value_minor, unit_cost=unit_cost(row.value_minor, row.quantity),
        )
        for row in rows
    ]  # fmt: skip
    return valuation_service_pb2.ListStockValuesResponse(values=values, next_page_token=token)


async def get_stock_value(asked: Asked) -> valuation_service_pb2.StockValueTotals:
    """Sums by location."""
    found = _as_of(asked.request)
    keys = (LOCATIONS.c.location_id, LOCATIONS.c.entity, LOCATIONS.c.currency_code)
    query = select(
        *keys, func.sum(found.c.quantity).label("quantity"), func.sum(found.c.value_minor).label("value_minor"), func.count().label("items")
    ).join(found, found.c.location_id == LOCATIONS.c.location_id)
    if asked.request.location_id:
        query = query.where(LOCATIONS.c.location_id == asked.request.location_id)
    rows = await asked.tx.read(query.where(found.c.quantity != 0).group_by(*keys).order_by(*keys))
    totals = [
        valuation_service_pb2.StockValueTotal(
            location_id=row.location_id, entity=row.entity, currency_code=row.currency_code, quantity=int(row.quantity),
            value_minor=int(row.value_minor), items=row.items,
        )
        for row in rows
    ]  # fmt: skip
    return valuation_service_pb2.StockValueTotals(totals=totals)


def _as_of(request: Any) -> Any:
    """Returns quantity and value by item and location as they are, or as the last entry up to a moment left them."""
    if not request.HasField("as_of"):
        return select(VALUATIONS).subquery("found")
    entries, moment = VALUE_ENTRIES.alias("entries"), from_timestamp(request.as_of)
    last: Select[Any] = (
        select(entries.c.position)
        .where(entries.c.item_id == VALUATIONS.c.item_id, entries.c.location_id == VALUATIONS.c.location_id, entries.c.booked_at <= moment)
        .order_by(entries.c.booked_at.desc(), entries.c.position.desc())
        .limit(1)
        .correlate(VALUATIONS)
    )
    quantity, value = VALUE_ENTRIES.c.quantity_after.label("quantity"), VALUE_ENTRIES.c.value_after_minor.label("value_minor")
    query = select(VALUATIONS.c.item_id, VALUATIONS.c.location_id, quantity, value)
    both = VALUATIONS.join(VALUE_ENTRIES, VALUE_ENTRIES.c.position == last.scalar_subquery())
    return query.select_from(both).subquery("found")


async def list_value_entries(asked: Asked) -> valuation_service_pb2.ListValueEntriesResponse:
    """Lists newest first."""
    query = select(VALUE_ENTRIES).where(VALUE_ENTRIES.c.item_id == asked.request.item_id)
    if asked.request.location_id:
        query = query.where(VALUE_ENTRIES.c.location_id == asked.request.location_id)
    rows, token = await page(asked.tx, query, [VALUE_ENTRIES.c.position], asked.request, descending=True)
    plain = (
        "position", "item_id", "location_id", "document_type", "document_id", "quantity", "value_minor", "quantity_after",
        "value_after_minor",
    )  # fmt: skip
    entries = [
        valuation_service_pb2.ValueEntry(**{name: getattr(row, name) for name in plain}, booked_at=to_timestamp(row.booked_at))
        for row in rows
    ]
    return valuation_service_pb2.ListValueEntriesResponse(entries=entries, next_page_token=token)
