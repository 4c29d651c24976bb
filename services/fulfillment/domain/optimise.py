"""Which locations ship many orders that want the same stock: one mixed-integer programme (HiGHS) over all of them.

For each order and place that may help there is a parcel (yes or no), and for each of its lines so many units. What a parcel
costs is the least that any carrier takes for what the place has of the order; each parcel more costs its split penalty.
Filling a line goes before any cost. Given the parcels and the kits, units are a flow through stock, so that they are whole by
themselves; kits take several of what they are made of, and are whole because that is asked.
It starts from a plan that is known, answers with one that is not worse, and says how far that may be from the best.
"""

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import highspy
import numpy as np

from services.fulfillment.domain.sourcing import MOST_PLACES, Ask, Components, Key, Place, Share, useful

MILLION = 1_000_000
GOOD_ENOUGH = 0.0005
BELOW_ALL = -(10**15)
_OWN = threading.local()
Seconds = int | Fraction
Stock = Mapping[Key, int]


class Answer(NamedTuple):
    """Shares for each order, in the order asked, and how far they may be from the best: of costs with what is not filled."""

    shares: list[list[Share]]
    gap_ppm: int


class _Order(NamedTuple):
    """An order's columns: of units with what they mean and take of stock, of parcels by place, and of whether all of it ships."""

    units: list[tuple[int, Share, Components]]
    parcels: dict[str, int]
    all_of_it: int | None


class _Taking(NamedTuple):
    """What a column takes of an item in stock: so many for each, of how many must be left to others, and how many it took before."""

    column: int
    each: int
    kept: int
    before: int


class _Quiet(highspy.Highs):
    """A solver that nobody listens to: setting listeners up prints its version."""

    def enableCallbacks(self) -> None:
        """Sets none up."""


def _solver() -> Any:
    """Returns this thread's solver: it lets others run while it works, and knows one problem at a time."""
    solver: Any = getattr(_OWN, "solver", None)
    if solver is None:
        solver = _OWN.solver = _Quiet()  # type: ignore[no-untyped-call]
        for name, value in (("output_flag", False), ("threads", 1), ("mip_rel_gap", GOOD_ENOUGH), ("random_seed", 1)):
            solver.setOptionValue(name, value)
    return solver


class _Model:
    """Columns and rows as HiGHS takes them."""

    def __init__(self) -> None:
        self.cost: list[int | Fraction] = []
        self.upper: list[int] = []
        self.whole: list[bool] = []
        self.rows: list[tuple[int, int, list[int], list[int]]] = []
        self.orders: list[_Order] = []

    def column(self, cost: int | Fraction, upper: int, *, whole: bool) -> int:
        """Adds a column from 0 to `upper` and returns its number."""
        self.cost.append(cost)
        self.upper.append(upper)
        self.whole.append(whole)
        return len(self.cost) - 1

    def row(self, lower: int, upper: int, columns: list[int], factors: list[int]) -> None:
        """Adds a condition: lower ≤ Σ factor · column ≤ upper."""
        self.rows.append((lower, upper, columns, factors))

    def solve(self, start: list[int], limit_s: Seconds) -> tuple[list[int], int]:
        """Returns the columns' values and how far their cost may be from the least."""
        solver = _solver()
        solver.clearModel()
        solver.setOptionValue("time_limit", limit_s)
        solver.passModel(self._programme())
        known = highspy.HighsSolution()
        known.col_value = np.array(start, dtype=np.double)
        solver.setSolution(known)
        solver.run()
        info = solver.getInfo()
        if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            raise ArithmeticError(f"no plan was found, not even the known one: {solver.getModelStatus()}")
        values = [int(np.rint(value)) for value in solver.getSolution().col_value]
        distance = info.objective_function_value - info.mip_dual_bound
        return values, max(0, int(np.ceil(distance)))

    def _programme(self) -> highspy.HighsLp:
        programme = highspy.HighsLp()
        programme.num_col_, programme.num_row_ = len(self.cost), len(self.rows)
        programme.col_cost_ = np.array(self.cost, dtype=np.double)
        programme.col_lower_ = np.zeros(len(self.cost))
        programme.col_upper_ = np.array(self.upper, dtype=np.double)
        kinds = highspy.HighsVarType
        programme.integrality_ = [kinds.kInteger if one else kinds.kContinuous for one in self.whole]
        programme.row_lower_ = np.array([lower if lower > BELOW_ALL else -highspy.kHighsInf for lower, *_ in self.rows], dtype=np.double)
        programme.row_upper_ = np.array([upper for _, upper, *_ in self.rows], dtype=np.double)
        programme.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        programme.a_matrix_.start_ = np.cumsum([0, *(len(columns) for _, _, columns, _ in self.rows)])
        programme.a_matrix_.index_ = np.array([column for _, _, columns, _ in self.rows for column in columns], dtype=np.int32)
        programme.a_matrix_.value_ = np.array([factor for *_, factors in self.rows for factor in factors], dtype=np.double)
        return programme


def optimise(
    asks: Sequence[Ask], known: Sequence[Sequence[Share]], stock: Stock, limit_s: Seconds, kept_back: Sequence[Stock] = ()
) -> Answer:
    """Returns where each order ships from, within what (item, location) `stock` has; what is `known` where time is up.

    The places of each ask promise what all of the batch may have together; `known` fits the stock. `kept_back` says for each
    order of how many units it must leave others the stock: those that must leave as much or more share the rest.
    """
    model = _Model()
    places = [_some(ask, own) for ask, own in zip(asks, known, strict=True)]
    costs = [[_parcel(ask, place) for place in own] for ask, own in zip(asks, places, strict=True)]
    if not any(costs):
        return Answer([list(own) for own in known], 0)
    # A unit that ships is worth more than any way to ship its order costs.
    worth = 1 + max((ask.terms.most_locations * max(own) + ask.terms.balance_minor for ask, own in zip(asks, costs, strict=True) if own))
    for ask, some, own, ships in zip(asks, places, costs, known, strict=True):
        model.orders.append(_add_order(model, ask, some, own, worth))
        if not ships:
            _add_first(model, model.orders[-1], ask.terms.split_penalty_minor)
    _share_stock(model, stock, known, kept_back or [{}] * len(asks))
    values, distance = model.solve(_start(model, known), limit_s)
    shares = [[share._replace(quantity=values[column]) for column, share, _ in order.units if values[column]] for order in model.orders]
    found, before = _judged(asks, shares), _judged(asks, known)
    wanted = sum(ask.wanted for ask in asks)
    cost = worth * (wanted + found[0]) + found[1]
    gap_ppm = distance * MILLION // max(1, cost)
    return Answer(shares, gap_ppm) if found < before else Answer([list(own) for own in known], gap_ppm)


def _share_stock(model: _Model, stock: Stock, known: Sequence[Sequence[Share]], kept_back: Sequence[Stock]) -> None:
    """Lets all take together no more than there is, and those that others' units are kept back from no more than the rest."""
    taking: dict[Key, list[_Taking]] = defaultdict(list)
    for order, own, kept in zip(model.orders, known, kept_back, strict=True):
        before = {(share.line_id, share.location_id): share.quantity for share in own}
        for column, share, takes in order.units:
            for item_id, each in takes:
                key = item_id, share.location_id
                taking[key].append(_Taking(column, each, kept.get(key, 0), before.get((share.line_id, share.location_id), 0) * each))
    for key, units in sorted(taking.items()):
        for least in sorted({0, *(one.kept for one in units)}):
            own_units = [one for one in units if one.kept >= least]
            # What is reserved already stays, even where it would not be given today.
            most = max(0, stock[key] - least, sum(one.before for one in own_units))
            if sum(model.upper[one.column] * one.each for one in own_units) > most:
                model.row(BELOW_ALL, most, [one.column for one in own_units], [one.each for one in own_units])


def _judged(asks: Sequence[Ask], shares: Sequence[Sequence[Share]]) -> tuple[int, int]:
    """Returns how good plans are, the lower the better: units that do not ship, then what the others cost."""
    plans = [ask.plan(own) for ask, own in zip(asks, shares, strict=True)]
    return -sum(plan.filled for plan in plans), sum(plan.total_minor for plan in plans)


def _start(model: _Model, known: Sequence[Sequence[Share]]) -> list[int]:
    values = [0] * len(model.cost)
    for own, order in zip(known, model.orders, strict=True):
        quantities = {(share.line_id, share.location_id): share.quantity for share in own}
        for column, share, _ in order.units:
            if quantity := quantities.get((share.line_id, share.location_id), 0):
                values[column] = quantity
                values[order.parcels[share.location_id]] = 1
        if order.all_of_it is not None and quantities:
            values[order.all_of_it] = 1
    return values


def _some(ask: Ask, known: Sequence[Share]) -> list[Place]:
    """Returns the best places of an order, and those of its known plan."""
    used = {share.location_id for share in known}
    return [place for index, place in enumerate(useful(ask)) if index < MOST_PLACES or place.location_id in used]


def _parcel(ask: Ask, place: Place) -> int:
    """What a parcel from a place costs with all that the place has of the order; what it carries is known only afterwards."""
    weight_g = sum(min(want.quantity, want.within(place.promisable)) * want.weight_g for want in ask.wants)
    return ask.parcel(place, weight_g) + ask.terms.split_penalty_minor


def _add_order(model: _Model, ask: Ask, places: Sequence[Place], costs: Sequence[int], worth: int) -> _Order:
    parcels = {place.location_id: model.column(cost, 1, whole=True) for place, cost in zip(places, costs, strict=True)}
    if len(parcels) > ask.terms.most_locations:
        model.row(BELOW_ALL, ask.terms.most_locations, list(parcels.values()), [1] * len(parcels))
    all_of_it = model.column(0, 1, whole=True) if ask.complete else None
    units = []
    for want in ask.wants:
        own = []
        for place in places:
            most = min(want.quantity, want.within(place.promisable))
            if most > 0:
                cost = Fraction(*ask.scarcity(want, place)) * ask.terms.balance_minor - worth
                column = model.column(cost, most, whole=bool(want.components))
                model.row(BELOW_ALL, 0, [column, parcels[place.location_id]], [1, -most])
                own.append(column)
                units.append((column, Share(want.line_id, want.item_id, place.location_id, 0), want.takes))
        if all_of_it is not None:
            model.row(0, 0, [*own, all_of_it], [*([1] * len(own)), -want.quantity])
        elif len(own) > 1:
            model.row(BELOW_ALL, want.quantity, own, [1] * len(own))
    return _Order(units, parcels, all_of_it)


def _add_first(model: _Model, order: _Order, split_minor: int) -> None:
    """Takes the split penalty off the first parcel of an order that would not ship otherwise; all others have a first one anyway."""
    if order.parcels and split_minor:
        first = model.column(-split_minor, 1, whole=False)
        model.row(BELOW_ALL, 0, [first, *order.parcels.values()], [1, *([-1] * len(order.parcels))])
