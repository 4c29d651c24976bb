"""How fast stock turns, how long it lasts, how old it is and what of it stands still; told by the journal of its value."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select

from argosy.inventory.v1 import valuation_service_pb2
from chassis.kernel.clock import DAY, to_timestamp
from chassis.runtime.host import wall_clock
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.statements import Kinds, given, parameters
from chassis.runtime.tx import Tx
from services.inventory.domain.turnover import AGES, cover_days, turns_hundredths
from services.inventory.store.tables import ITEMS, LAYERS, LOCATIONS, VALUATIONS, VALUE_ENTRIES

DAYS = 90
DEAREST = 10
KEY: Kinds = (("item_id", str), ("location_id", str))
LEFT = VALUE_ENTRIES.c.document_type.in_(("fulfillment_order", "sale"))
CAME_BACK = and_(VALUE_ENTRIES.c.document_type == "return", VALUE_ENTRIES.c.quantity > 0)
KEYS = (VALUATIONS.c.item_id, VALUATIONS.c.location_id)
HERE = VALUATIONS.c.quantity > 0
# What changed since the period began, and what of it customers took.
SUMS = (
    func.coalesce(func.sum(VALUE_ENTRIES.c.value_minor), 0).label("changed_minor"),
    func.coalesce(func.sum(case((or_(LEFT, CAME_BACK), -VALUE_ENTRIES.c.quantity), else_=0)), 0).label("sold"),
    func.coalesce(func.sum(case((or_(LEFT, CAME_BACK), -VALUE_ENTRIES.c.value_minor), else_=0)), 0).label("cost_minor"),
    func.coalesce(func.sum(case((LEFT, 1), else_=0)), 0).label("taken"),
)


@dataclass(frozen=True)
class _Period:
    """The days up to now that were asked for, and what is known of them: the journal may be younger."""

    now: int
    begins_at: int
    known_from: int

    @property
    def days(self) -> int:
        """Days of which something is known, the begun one included."""
        return max(1, -((self.known_from - self.now) // DAY))


async def get_stock_turnover(asked: Asked) -> valuation_service_pb2.StockTurnover:
    """Sums by location."""
    period = await _period(asked)
    where = (LOCATIONS.c.location_id == asked.request.location_id,) if asked.request.location_id else ()
    place = (LOCATIONS.c.location_id, LOCATIONS.c.entity, LOCATIONS.c.currency_code)
    sums = (func.sum(VALUATIONS.c.quantity).label("quantity"), func.sum(VALUATIONS.c.value_minor).label("value_minor"))
    there = _owned(select(*place, *sums, func.sum(case((HERE, 1), else_=0)).label("items"))).where(*where).group_by(*place)
    changes = {row.location_id: row for row in await asked.tx.read(_changes(period, where))}
    found = {
        row.location_id: valuation_service_pb2.LocationTurnover(
            location_id=row.location_id, entity=row.entity, currency_code=row.currency_code, items=row.items,
            # Of different items, days come by value: pieces do not add up.
            turnover=_turnover(row, changes.get(row.location_id), period, by_value=True),
            ages=[valuation_service_pb2.StockAge(from_days=age) for age in AGES],
        )
        for row in await asked.tx.read(there.order_by(LOCATIONS.c.location_id))
    }  # fmt: skip
    for row in await asked.tx.read(_aged(period, where)):
        if row.location_id in found:
            age = found[row.location_id].ages[row.age]
            age.quantity, age.value_minor = int(row.quantity), int(row.value_minor)
    idle = _owned(select(VALUATIONS.c.location_id, func.count().label("items"), sums[1])).where(*where, _idle(period))
    for row in await asked.tx.read(idle.group_by(VALUATIONS.c.location_id)):
        if row.location_id in found:
            found[row.location_id].idle_items, found[row.location_id].idle_minor = row.items, int(row.value_minor)
    dearest = _items().where(*where, _idle(period)).order_by(VALUATIONS.c.value_minor.desc(), *KEYS).limit(DEAREST)
    standing = await _shown(asked.tx, await asked.tx.read(dearest), period)
    return valuation_service_pb2.StockTurnover(begins_at=to_timestamp(period.known_from), locations=found.values(), idle=standing)


async def list_stock_turnover(asked: Asked) -> valuation_service_pb2.ListStockTurnoverResponse:
    """Lists by item and location."""
    period = await _period(asked)
    wanted = _idle(period) if asked.request.idle else or_(HERE, _sold(period))
    query = _items().where(wanted)
    for key, only in zip(KEYS, (asked.request.item_id, asked.request.location_id), strict=True):
        if only:
            query = query.where(key == only)
    rows, token = await page(asked.tx, query, KEYS, asked.request)
    return valuation_service_pb2.ListStockTurnoverResponse(turnovers=await _shown(asked.tx, rows, period), next_page_token=token)


async def _period(asked: Asked) -> _Period:
    now = wall_clock()
    begins_at = now - (asked.request.days or DAYS) * DAY
    first = await asked.tx.read(select(VALUE_ENTRIES.c.booked_at).order_by(VALUE_ENTRIES.c.position).limit(1))
    return _Period(now, begins_at, max(begins_at, first[0].booked_at if first else now))


def _at(table: Any) -> ColumnElement[bool]:
    """Stock of ours alone has a value."""
    return and_(LOCATIONS.c.location_id == table.c.location_id, LOCATIONS.c.owned == 1)


def _owned(query: Select[Any]) -> Select[Any]:
    return query.select_from(VALUATIONS.join(LOCATIONS, _at(VALUATIONS)))


def _items() -> Select[Any]:
    columns = (*KEYS, VALUATIONS.c.quantity, VALUATIONS.c.value_minor, LOCATIONS.c.currency_code, ITEMS.c.sku)
    both = VALUATIONS.join(LOCATIONS, _at(VALUATIONS)).join(ITEMS, ITEMS.c.item_id == VALUATIONS.c.item_id)
    return select(*columns).select_from(both)


def _same(table: Any) -> ColumnElement[bool]:
    return and_(table.c.item_id == VALUATIONS.c.item_id, table.c.location_id == VALUATIONS.c.location_id)


def _sold(period: _Period) -> ColumnElement[bool]:
    """Of which customers took some."""
    left = select(VALUE_ENTRIES.c.position).where(_same(VALUE_ENTRIES), VALUE_ENTRIES.c.booked_at > period.begins_at, LEFT)
    return left.correlate(VALUATIONS).exists()


def _idle(period: _Period) -> ColumnElement[bool]:
    """What was there during the whole period, and of which no customer took any."""
    old = select(LAYERS.c.position).where(_same(LAYERS), LAYERS.c.quantity_left > 0, LAYERS.c.effective_at <= period.begins_at)
    return and_(HERE, old.correlate(VALUATIONS).exists(), ~_sold(period))


def _changes(period: _Period, where: Sequence[ColumnElement[bool]]) -> Select[Any]:
    """SELECT what changed since, by location."""
    query = select(VALUE_ENTRIES.c.location_id, *SUMS).select_from(VALUE_ENTRIES.join(LOCATIONS, _at(VALUE_ENTRIES)))
    return query.where(VALUE_ENTRIES.c.booked_at > period.known_from, *where).group_by(VALUE_ENTRIES.c.location_id)


def _aged(period: _Period, where: Sequence[ColumnElement[bool]]) -> Select[Any]:
    """SELECT what is there by location and the place of its age in AGES."""
    older = [(LAYERS.c.effective_at <= period.now - days * DAY, place) for place, days in reversed(tuple(enumerate(AGES)))]
    age = case(*older, else_=0).label("age")
    query = select(
        LAYERS.c.location_id,
        age,
        func.sum(LAYERS.c.quantity_left).label("quantity"),
        func.sum(LAYERS.c.value_left_minor).label("value_minor"),
    ).select_from(LAYERS.join(LOCATIONS, _at(LAYERS)))
    return query.where(LAYERS.c.quantity_left > 0, *where).group_by(LAYERS.c.location_id, age)


async def _shown(tx: Tx, rows: Sequence[Any], period: _Period) -> list[valuation_service_pb2.ItemTurnover]:
    keys = [(row.item_id, row.location_id) for row in rows]
    if not keys:
        return []
    wanted = given(tx.dialect, "wanted", KEY)
    given_keys = parameters(tx.dialect, "wanted", KEY, keys)

    def by_key(table: Any, *columns: Any) -> Select[Any]:
        of = (table.c.item_id, table.c.location_id)
        return select(*of, *columns).where(*(own == wanted.c[name] for own, (name, _) in zip(of, KEY, strict=True))).group_by(*of)

    sums = by_key(VALUE_ENTRIES, *SUMS).where(VALUE_ENTRIES.c.booked_at > period.known_from)
    changed = {(row.item_id, row.location_id): row for row in await tx.read(sums, given_keys)}
    came = by_key(LAYERS, func.min(LAYERS.c.effective_at).label("oldest_at")).where(LAYERS.c.quantity_left > 0)
    oldest = {(row.item_id, row.location_id): int(row.oldest_at) for row in await tx.read(came, given_keys)}
    shown = []
    for row, key in zip(rows, keys, strict=True):
        change = changed.get(key)
        one = valuation_service_pb2.ItemTurnover(
            item_id=row.item_id, sku=row.sku, location_id=row.location_id, currency_code=row.currency_code,
            turnover=_turnover(row, change, period, by_value=False),
        )  # fmt: skip
        if key in oldest:
            one.oldest_at.CopyFrom(to_timestamp(oldest[key]))
            one.idle = oldest[key] <= period.begins_at and row.quantity > 0 and not (change and change.taken)
        shown.append(one)
    return shown


def _turnover(row: Any, change: Any, period: _Period, *, by_value: bool) -> valuation_service_pb2.Turnover:
    quantity, value = int(row.quantity), int(row.value_minor)
    changed, sold, cost = (int(change.changed_minor), int(change.sold), int(change.cost_minor)) if change else (0, 0, 0)
    return valuation_service_pb2.Turnover(
        quantity=quantity, value_minor=value, value_before_minor=value - changed, sold=sold, cost_minor=cost,
        turns_hundredths=turns_hundredths(cost, value - changed, value, period.days),
        cover_days=cover_days(value, cost, period.days) if by_value else cover_days(quantity, sold, period.days),
    )  # fmt: skip
