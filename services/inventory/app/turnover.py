"""How fast stock turns, how long it lasts, how old it is and what of it stands still; told by the journal of its value."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select

from argosy.inventory.v1 import valuation_service_pb2
from chassis.kernel.clock import DAY, to_timestamp
from chassis.runtime.host import wall_clock
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.statements import given, parameters
from chassis.runtime.tx import Tx
from services.inventory.domain.turnover import AGES, cover_days, turns_hundredths
from services.inventory.store.tables import ITEMS, LAYERS, LOCATIONS, VALUATIONS, VALUE_ENTRIES

DAYS = 90
DEAREST = 10
KEY = ("item_id", "location_id")
LEFT = VALUE_ENTRIES.c.document_type.in_(("fulfillment_order", "sale"))
CAME_BACK = and_(VALUE_ENTRIES.c.document_type == "return", VALUE_ENTRIES.c.quantity > 0)
HERE = VALUATIONS.c.quantity > 0
# What changed since the period began, and what of it customers took.
SUMS = (
    func.coalesce(func.sum(VALUE_ENTRIES.c.value_minor), 0).label("changed_minor"),
    func.coalesce(func.sum(case((or_(LEFT, CAME_BACK), -VALUE_ENTRIES.c.quantity), else_=0)), 0).label("sold"),
    func.coalesce(func.sum(case((or_(LEFT, CAME_BACK), -VALUE_ENTRIES.c.value_minor), else_=0)), 0).label("cost_minor"),
    func.coalesce(func.sum(case((LEFT, 1), else_=0)), 0).label("taken"),
)


async def get_stock_turnover(asked: Asked) -> valuation_service_pb2.StockTurnover:
    """Sums by location."""
    since, days = await _period(asked)
    where = _where(asked.request, item=False)
    there = select(
        LOCATIONS.c.location_id, LOCATIONS.c.entity, LOCATIONS.c.currency_code, func.sum(VALUATIONS.c.quantity).label("quantity"),
        func.sum(VALUATIONS.c.value_minor).label("value_minor"), func.sum(case((HERE, 1), else_=0)).label("items"),
    ).select_from(VALUATIONS.join(LOCATIONS, _at(VALUATIONS))).where(*where)  # fmt: skip
    found: dict[str, valuation_service_pb2.LocationTurnover] = {}
    rows = await asked.tx.read(there.group_by(LOCATIONS.c.location_id, LOCATIONS.c.entity, LOCATIONS.c.currency_code))
    changes = {row.location_id: row for row in await asked.tx.read(_changes(since, where))}
    for row in sorted(rows, key=lambda one: one.location_id):
        # Of different items, days come by value: pieces do not add up.
        turnover = _turnover(row, changes.get(row.location_id), days, by_value=True)
        found[row.location_id] = valuation_service_pb2.LocationTurnover(
            location_id=row.location_id, entity=row.entity, currency_code=row.currency_code, turnover=turnover, items=row.items,
            ages=[valuation_service_pb2.StockAge(from_days=age) for age in AGES],
        )  # fmt: skip
    for row in await asked.tx.read(_aged(wall_clock(), where)):
        age = found[row.location_id].ages[row.age]
        age.quantity, age.value_minor = int(row.quantity), int(row.value_minor)
    idle = select(VALUATIONS.c.location_id, func.count().label("items"), func.sum(VALUATIONS.c.value_minor).label("value_minor"))
    for row in await asked.tx.read(_owned(idle).where(*where, _idle(since)).group_by(VALUATIONS.c.location_id)):
        found[row.location_id].idle_items, found[row.location_id].idle_minor = row.items, int(row.value_minor)
    dearest = _items().where(*where, _idle(since)).order_by(VALUATIONS.c.value_minor.desc(), *_keys()).limit(DEAREST)
    return valuation_service_pb2.StockTurnover(
        begins_at=to_timestamp(since), locations=found.values(), idle=await _shown(asked.tx, await asked.tx.read(dearest), since, days)
    )


async def list_stock_turnover(asked: Asked) -> valuation_service_pb2.ListStockTurnoverResponse:
    """Lists by item and location."""
    since, days = await _period(asked)
    wanted = _idle(since) if asked.request.idle else or_(HERE, _entries(since).where(LEFT).exists())
    rows, token = await page(asked.tx, _items().where(*_where(asked.request), wanted), _keys(), asked.request)
    return valuation_service_pb2.ListStockTurnoverResponse(turnovers=await _shown(asked.tx, rows, since, days), next_page_token=token)


async def _period(asked: Asked) -> tuple[int, int]:
    """Returns when the period began and its days, the begun one included: no earlier than the first entry of the journal."""
    now = wall_clock()
    first = await asked.tx.read(select(VALUE_ENTRIES.c.booked_at).order_by(VALUE_ENTRIES.c.position).limit(1))
    since = max(now - (asked.request.days or DAYS) * DAY, first[0].booked_at if first else now)
    return since, max(1, -((since - now) // DAY))


def _where(request: Any, *, item: bool = True) -> list[ColumnElement[bool]]:
    found = [VALUATIONS.c.location_id == request.location_id] if request.location_id else []
    return [*found, VALUATIONS.c.item_id == request.item_id] if item and request.item_id else found


def _at(table: Any) -> ColumnElement[bool]:
    """Stock of ours alone has a value."""
    return and_(LOCATIONS.c.location_id == table.c.location_id, LOCATIONS.c.owned == 1)


def _keys() -> list[ColumnElement[Any]]:
    return [VALUATIONS.c.item_id, VALUATIONS.c.location_id]


def _owned(query: Select[Any]) -> Select[Any]:
    return query.select_from(VALUATIONS.join(LOCATIONS, _at(VALUATIONS)))


def _items() -> Select[Any]:
    columns = (*_keys(), VALUATIONS.c.quantity, VALUATIONS.c.value_minor, LOCATIONS.c.currency_code, ITEMS.c.sku)
    both = VALUATIONS.join(LOCATIONS, _at(VALUATIONS)).join(ITEMS, ITEMS.c.item_id == VALUATIONS.c.item_id)
    return select(*columns).select_from(both)


def _same(table: Any) -> ColumnElement[bool]:
    return and_(table.c.item_id == VALUATIONS.c.item_id, table.c.location_id == VALUATIONS.c.location_id)


def _entries(since: int) -> Select[Any]:
    return select(VALUE_ENTRIES.c.position).where(_same(VALUE_ENTRIES), VALUE_ENTRIES.c.booked_at > since).correlate(VALUATIONS)


def _idle(since: int) -> ColumnElement[bool]:
    """What was there during the whole period, and of which no customer took any."""
    old = select(LAYERS.c.position).where(_same(LAYERS), LAYERS.c.quantity_left > 0, LAYERS.c.effective_at <= since)
    return and_(HERE, old.correlate(VALUATIONS).exists(), ~_entries(since).where(LEFT).exists())


def _changes(since: int, where: Sequence[ColumnElement[bool]]) -> Select[Any]:
    """SELECT what changed since, by location: through the journal's index by item, location and moment."""
    both = VALUATIONS.join(LOCATIONS, _at(VALUATIONS)).join(VALUE_ENTRIES, and_(_same(VALUE_ENTRIES), VALUE_ENTRIES.c.booked_at > since))
    return select(VALUATIONS.c.location_id, *SUMS).select_from(both).where(*where).group_by(VALUATIONS.c.location_id)


def _aged(now: int, where: Sequence[ColumnElement[bool]]) -> Select[Any]:
    """SELECT what is there by location and the place of its age in AGES."""
    older = [(LAYERS.c.effective_at <= now - days * DAY, place) for place, days in reversed(tuple(enumerate(AGES)))]
    age = case(*older, else_=0).label("age")
    query = select(
        LAYERS.c.location_id,
        age,
        func.sum(LAYERS.c.quantity_left).label("quantity"),
        func.sum(LAYERS.c.value_left_minor).label("value_minor"),
    ).select_from(VALUATIONS.join(LOCATIONS, _at(VALUATIONS)).join(LAYERS, and_(_same(LAYERS), LAYERS.c.quantity_left > 0)))
    return query.where(*where).group_by(LAYERS.c.location_id, age)


async def _shown(tx: Tx, rows: Sequence[Any], since: int, days: int) -> list[valuation_service_pb2.ItemTurnover]:
    keys = [(row.item_id, row.location_id) for row in rows]
    if not keys:
        return []
    wanted = given(tx.dialect, "wanted", ((KEY[0], str), (KEY[1], str)))
    asked = parameters(tx.dialect, "wanted", KEY, keys)

    def by_key(table: Any, *columns: Any) -> Select[Any]:
        of = (table.c.item_id, table.c.location_id)
        return select(*of, *columns).where(*(own == wanted.c[name] for own, name in zip(of, KEY, strict=True))).group_by(*of)

    sums = by_key(VALUE_ENTRIES, *SUMS).where(VALUE_ENTRIES.c.booked_at > since)
    changed = {(row.item_id, row.location_id): row for row in await tx.read(sums, asked)}
    came = by_key(LAYERS, func.min(LAYERS.c.effective_at).label("oldest_at")).where(LAYERS.c.quantity_left > 0)
    oldest = {(row.item_id, row.location_id): int(row.oldest_at) for row in await tx.read(came, asked)}
    shown = []
    for row, key in zip(rows, keys, strict=True):
        change = changed.get(key)
        one = valuation_service_pb2.ItemTurnover(
            item_id=row.item_id, sku=row.sku, location_id=row.location_id, currency_code=row.currency_code,
            turnover=_turnover(row, change, days, by_value=False),
        )  # fmt: skip
        if key in oldest:
            one.oldest_at.CopyFrom(to_timestamp(oldest[key]))
            one.idle = oldest[key] <= since and row.quantity > 0 and not (change and change.taken)
        shown.append(one)
    return shown


def _turnover(row: Any, change: Any, days: int, *, by_value: bool) -> valuation_service_pb2.Turnover:
    quantity, value = int(row.quantity), int(row.value_minor)
    changed, sold, cost = (int(change.changed_minor), int(change.sold), int(change.cost_minor)) if change else (0, 0, 0)
    return valuation_service_pb2.Turnover(
        quantity=quantity, value_minor=value, value_before_minor=value - changed, sold=sold, cost_minor=cost,
        turns_hundredths=turns_hundredths(cost, value - changed, value, days),
        cover_days=cover_days(value, cost, days) if by_value else cover_days(quantity, sold, days),
    )  # fmt: skip
