"""A part of planning: some hundreds of items at locations, with what was asked for there and what is there now."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select, tuple_, union

from chassis.kernel.ids import new_id
from chassis.runtime.statements import ONE, ZERO
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from services.inventory.domain.forecast import THOUSAND, Forecast, Series
from services.inventory.domain.purchasing import Status
from services.inventory.domain.reorder import MILLION, YEAR_DAYS, Position, ReorderPolicy, Terms, economic_lot, order_quantity, reason
from services.inventory.domain.stock import State
from services.inventory.store.tables import (
    BALANCES,
    DEMAND_DAYS,
    DEMANDS,
    FORECASTS,
    INBOUND,
    ITEMS,
    LOCATIONS,
    PLANNING_POLICIES,
    PROPOSALS,
    PURCHASE_LINES,
    PURCHASE_ORDERS,
    SUPPLIERS,
    VALUATIONS,
)

OPEN, ORDERED, DISMISSED, REPLACED = range(1, 5)
CHUNK = 500
HISTORY_DAYS = 3 * 364
# Where stock is replenished: our warehouses and shops, and what others keep for us.
REPLENISHED = (1, 2, 3)
Pair = tuple[str, str]
IS_OPEN = (PROPOSALS.c.status == ONE,)


@dataclass(frozen=True)
class Service:
    """How well something is served, and what ordering it costs."""

    level_permille: int
    review_days: int
    order_cost_minor: int = 0
    holding_permille: int = 0


SERVED = {"A": Service(980, 7), "B": Service(950, 7), "C": Service(900, 7)}


def _pairs(location_id: str, today: int, after: Pair | None = None, limit: int | None = None) -> Select[Any]:
    """SELECT items at locations that were asked for, or are sold and not there."""
    asked = select(DEMAND_DAYS.c.item_id, DEMAND_DAYS.c.location_id).where(DEMAND_DAYS.c.day >= today - HISTORY_DAYS)
    waiting = select(DEMANDS.c.item_id, DEMANDS.c.location_id).where(DEMANDS.c.quantity > ZERO)
    places = select(LOCATIONS.c.location_id).where(LOCATIONS.c.kind.in_(REPLENISHED))
    if location_id:
        places = places.where(LOCATIONS.c.location_id == location_id)
    parts = []
    for query in (asked, waiting):
        item, place = query.selected_columns
        part = query.where(place.in_(places)).distinct()
        if after is not None:
            part = part.where(tuple_(item, place) > tuple_(*after)).order_by(item, place).limit(limit)
        parts.append(select(part.subquery()))
    both = union(*parts).subquery()
    found = select(both.c.item_id, both.c.location_id)
    return found.order_by(both.c.item_id, both.c.location_id).limit(limit) if limit else found


async def count_pairs(tx: Tx, location_id: str, today: int) -> int:
    """Returns how many items at locations there are to plan."""
    pairs = _pairs(location_id, today).subquery()
    return int((await tx.read(select(func.count()).select_from(pairs)))[0][0])


class Replenishing:
    """What one step of planning works on; `read` fills it."""

    def __init__(self, state: dict[str, Any], pairs: list[Pair]) -> None:
        self.pairs = pairs
        self._today, self._period_days = int(state["today"]), int(state["period_days"])
        self._items: dict[str, Any] = {}
        self._suppliers: dict[str, Any] = {}
        self._currencies: dict[str, str] = {}
        self._served: dict[Pair, Service] = {}
        self._demand: dict[Pair, list[int]] = {}
        self._sums: dict[str, dict[Pair, int]] = {}
        self._values: dict[Pair, Any] = {}

    @staticmethod
    async def read(tx: Tx, state: dict[str, Any]) -> "Replenishing":
        """Reads the items at locations that come after the last ones, with their demand, their stock and their policies."""
        after = (str(state["after"][0]), str(state["after"][1]))
        found = await tx.read(_pairs(state["location_id"], state["today"], after, CHUNK))
        self = Replenishing(state, [(row.item_id, row.location_id) for row in found])
        items = sorted({item for item, _ in self.pairs})
        self._items = {row.item_id: row for row in await tx.find(ITEMS, ("item_id",), [(item,) for item in items]) if not row.kit}
        self._suppliers = {row.supplier_id: row for row in await tx.read(select(SUPPLIERS))}
        self._currencies = {row.location_id: row.currency_code for row in await tx.read(select(LOCATIONS))}
        policies = await tx.find(PLANNING_POLICIES, ("item_id",), [("",), *((item,) for item in items)])
        self._serve({(row.abc_class, row.item_id): row for row in policies})
        self._remember(await tx.find(DEMAND_DAYS, ("item_id", "location_id"), self.pairs))
        await self._take_stock(tx)
        return self

    def _serve(self, policies: dict[Pair, Any]) -> None:
        for item_id, location_id in self.pairs:
            item = self._items.get(item_id)
            abc = item.abc_class if item is not None else "C"
            row = policies.get(("", item_id), policies.get((abc, "")))
            self._served[item_id, location_id] = (
                Service(row.service_level_permille, row.review_days, row.order_cost_minor, row.holding_permille) if row else SERVED[abc]
            )

    def _remember(self, days: Sequence[Any]) -> None:
        """Sorts demand into periods that end yesterday, from the first with any."""
        most = HISTORY_DAYS // self._period_days
        for row in days:
            ago = (self._today - 1 - row.day) // self._period_days
            if 0 <= ago < most:
                history = self._demand.setdefault((row.item_id, row.location_id), [0] * most)
                history[most - 1 - ago] += row.quantity
        for pair, history in self._demand.items():
            first = next((index for index, quantity in enumerate(history) if quantity), most)
            self._demand[pair] = history[first:]

    async def _take_stock(self, tx: Tx) -> None:
        by = ("item_id", "location_id")
        sums: dict[str, defaultdict[Pair, int]] = {name: defaultdict(int) for name in ("available", "on_order", "waiting")}
        looks = (("available", BALANCES), ("on_order", INBOUND), ("waiting", DEMANDS))
        for name, table in looks:
            for row in await tx.find(table, by, self.pairs):
                if name != "available" or row.state == State.AVAILABLE:
                    sums[name][row.item_id, row.location_id] += row.quantity
        drafted = (
            select(PURCHASE_LINES.c.item_id, PURCHASE_ORDERS.c.location_id, PURCHASE_LINES.c.ordered)
            .join(PURCHASE_ORDERS, PURCHASE_ORDERS.c.purchase_order_id == PURCHASE_LINES.c.purchase_order_id)
            .where(PURCHASE_ORDERS.c.status.in_((int(Status.DRAFT), int(Status.APPROVED))))
        )
        for row in await tx.read(drafted):
            sums["on_order"][row.item_id, row.location_id] += row.ordered
        self._sums = {name: dict(found) for name, found in sums.items()}
        self._values = {(row.item_id, row.location_id): row for row in await tx.find(VALUATIONS, by, self.pairs)}

    def _cover_days(self, pair: Pair) -> int:
        item = self._items.get(pair[0])
        supplier = self._suppliers.get(item.supplier_id) if item is not None else None
        lead = item.lead_time_days if item is not None else 0
        return (lead or (supplier.lead_time_days if supplier is not None else 0)) + self._served[pair].review_days

    @property
    def series(self) -> list[Series]:
        """What is to be forecast, in the order of the pairs."""
        return [
            Series(
                self._demand.get(pair, []), self._cover_days(pair) / self._period_days, self._served[pair].level_permille / THOUSAND,
                max(1, YEAR_DAYS // self._period_days),
            )
            for pair in self.pairs
        ]  # fmt: skip

    async def write(self, work: Work, forecasts: Sequence[Forecast]) -> None:
        """Writes forecasts, and proposals in the place of those that are open."""
        found = dict(zip(self.pairs, forecasts, strict=True))
        await work.tx.merge(FORECASTS, ("item_id", "location_id"), [self._forecast(work, pair, one) for pair, one in found.items()])
        open_ones = [{"item_id": item, "location_id": place, "status": REPLACED, "decided_at": work.now} for item, place in self.pairs]
        await work.tx.change(PROPOSALS, ("item_id", "location_id"), open_ones, where=IS_OPEN)
        proposals = (self._proposal(work, pair, one) for pair, one in found.items())
        await work.tx.insert(PROPOSALS, [one for one in proposals if one is not None])

    def _forecast(self, work: Work, pair: Pair, one: Forecast) -> dict[str, Any]:
        return {
            "item_id": pair[0], "location_id": pair[1], "pattern": int(one.pattern), "method": int(one.method),
            "per_period_thousandths": one.per_period_thousandths, "period_days": self._period_days, "cover_days": self._cover_days(pair),
            "over_cover_thousandths": one.over_cover_thousandths, "error_thousandths": one.error_thousandths,
            "mase_thousandths": one.mase_thousandths, "naive_mase_thousandths": one.naive_mase_thousandths,
            "periods": len(self._demand.get(pair, [])), "origins": one.origins,
            "service_level_permille": self._served[pair].level_permille, "safety_stock": one.safety_stock,
            "reorder_point": one.cover_quantity, "forecast_at": work.now,
        }  # fmt: skip

    def _proposal(self, work: Work, pair: Pair, one: Forecast) -> dict[str, Any] | None:
        item = self._items.get(pair[0])
        if item is None or item.retired:
            return None
        sums = {name: found.get(pair, 0) for name, found in self._sums.items()}
        position, unit_cost = Position(**sums), self._unit_cost(pair, item)
        terms = self._terms(pair, item, one, unit_cost)
        quantity = order_quantity(position, one.cover_quantity, terms)
        if not quantity:
            return None
        why = reason(position, one.cover_quantity, one.safety_stock, self._cover_days(pair), self._served[pair].level_permille)
        return {
            "proposal_id": new_id(), "status": OPEN, "item_id": pair[0], "sku": item.sku, "location_id": pair[1],
            "supplier_id": item.supplier_id, "quantity": quantity, "unit_cost_millionths": unit_cost,
            "currency_code": self._currencies[pair[1]], "reason": why, **sums, "over_cover_thousandths": one.over_cover_thousandths,
            "safety_stock": one.safety_stock, "reorder_point": one.cover_quantity, "cover_days": self._cover_days(pair),
            "proposed_at": work.now, "decided_by": "", "decided_at": None, "note": "", "purchase_order_id": "",
        }  # fmt: skip

    def _terms(self, pair: Pair, item: Any, one: Forecast, unit_cost: int) -> Terms:
        served = self._served[pair]
        yearly = one.per_period_thousandths * YEAR_DAYS // (self._period_days * THOUSAND)
        lot = economic_lot(yearly, served.order_cost_minor, served.holding_permille, unit_cost)
        policy = ReorderPolicy(item.reorder_policy or ReorderPolicy.MANUAL)
        return Terms(policy, item.minimum_order_quantity, max(1, item.pack_multiple), lot)

    def _unit_cost(self, pair: Pair, item: Any) -> int:
        """Returns what one is expected to cost: what those that are there cost on average, else the standard."""
        value = self._values.get(pair)
        if value is not None and value.quantity > 0:
            return int(value.value_minor * MILLION // value.quantity)
        return int(item.standard_cost_minor * MILLION)
