"""Which locations ship an order: every split over at most so many locations, the fullest first, then the cheapest."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import NamedTuple

MOST_CANDIDATES = 10
MOST_PLACES = 12
THOUSAND = 1000
Key = tuple[str, str]
Components = Sequence[tuple[str, int]]


class Rate(NamedTuple):
    """What a parcel costs, and the shipping method it serves; those that no rate names where empty."""

    carrier: str
    service: str
    base_minor: int
    per_kg_minor: int
    method: str = ""

    def cost(self, weight_g: int) -> int:
        """Returns the price of a parcel: base and each kilogram begun."""
        return self.base_minor + self.per_kg_minor * -(-weight_g // THOUSAND)


class Terms(NamedTuple):
    """How plans for an order are judged. Amounts in minor units of its currency."""

    handling_minor: int
    split_penalty_minor: int
    most_locations: int
    late_day_minor: int = 0
    balance_minor: int = 0
    capacity_minor: int = 0


class Want(NamedTuple):
    """A line's wish, in stock units; `components` are what one of it takes of stock where it is a kit: item and stock units."""

    line_id: str
    item_id: str
    quantity: int
    weight_g: int
    components: Components = ()

    @property
    def takes(self) -> Components:
        """Returns what one of it takes of stock."""
        return self.components or ((self.item_id, 1),)

    def within(self, stock: Mapping[str, int]) -> int:
        """Returns how many of it there are in stock: item → stock units."""
        if not self.components:
            return max(0, stock.get(self.item_id, 0))
        return max(0, min(stock.get(item_id, 0) // units for item_id, units in self.components))


class Place(NamedTuple):
    """A location and what it can promise of what is stocked: item → stock units; what a parcel from there costs more than the rate.

    And by how many days it would be late, and how full its day is.
    """

    location_id: str
    country_code: str
    promisable: Mapping[str, int]
    surcharge_minor: int = 0
    late_days: int = 0
    load_permille: int = 0


class Share(NamedTuple):
    """Units of a line from a location."""

    line_id: str
    item_id: str
    location_id: str
    quantity: int


@dataclass(frozen=True)
class Plan:
    """A way to ship, and what it costs with all that counts against it."""

    location_ids: tuple[str, ...]
    shares: tuple[Share, ...]
    filled: int
    shipping_minor: int
    handling_minor: int
    split_minor: int
    late_minor: int = 0
    balance_minor: int = 0
    capacity_minor: int = 0
    late_days: int = 0

    @property
    def total_minor(self) -> int:
        """Returns the sum of all parts."""
        return (
            self.shipping_minor + self.handling_minor + self.split_minor + self.late_minor + self.balance_minor + self.capacity_minor
        )  # fmt: skip


@dataclass(frozen=True)
class Ask:
    """An order to source: what it wants, which places may ship it, and how plans are judged; nothing but all where `complete`."""

    wants: Sequence[Want]
    places: Sequence[Place]
    rates: Sequence[Rate]
    terms: Terms
    complete: bool = False

    @cached_property
    def wanted(self) -> int:
        """Returns how many units are wanted."""
        return sum(want.quantity for want in self.wants)

    @cached_property
    def _lines(self) -> dict[str, Want]:
        return {want.line_id: want for want in self.wants}

    @cached_property
    def _places(self) -> dict[str, Place]:
        return {place.location_id: place for place in self.places}

    @cached_property
    def _most(self) -> dict[str, int]:
        return {want.item_id: max((want.within(place.promisable) for place in self.places), default=0) for want in self.wants}

    @cached_property
    def fillable(self) -> int:
        """Returns how many units all places together can fill; at most, where lines share what they are made of."""
        by_item: dict[str, int] = {}
        for want in self.wants:
            by_item[want.item_id] = by_item.get(want.item_id, 0) + want.quantity
        own = {want.item_id: want for want in self.wants}
        return sum(min(wanted, sum(own[key].within(place.promisable) for place in self.places)) for key, wanted in by_item.items())

    @cached_property
    def least_parcel(self) -> int:
        """Returns what no parcel of this order costs less than."""
        return min((rate.base_minor for rate in self.rates), default=0) + self.terms.handling_minor

    def reach(self, place: Place) -> int:
        """Returns how much of the order a place has, line by line."""
        return sum(min(want.quantity, want.within(place.promisable)) for want in self.wants)

    @cached_property
    def in_order(self) -> Sequence[Want]:
        """Returns what is wanted as it is filled: kits first, which need all that they are made of in one place."""
        return sorted(self.wants, key=lambda want: -len(want.components))

    def scarcity(self, want: Want, place: Place) -> tuple[int, int]:
        """Returns as a fraction how much less a place has of what is wanted than the one that has most."""
        most = self._most[want.item_id]
        return (most - want.within(place.promisable), most) if most else (0, 1)

    def parcel(self, place: Place, weight_g: int) -> int:
        """Returns what a parcel from a place costs, with all that counts against it but its split and its units."""
        return self._shipping(place, weight_g) + self.terms.handling_minor + self._late(place) + self._full(place)

    def _shipping(self, place: Place, weight_g: int) -> int:
        return cheapest(self.rates, weight_g).cost(weight_g) + place.surcharge_minor

    def _late(self, place: Place) -> int:
        return self.terms.late_day_minor * place.late_days

    def _full(self, place: Place) -> int:
        return self.terms.capacity_minor * place.load_permille // THOUSAND

    def plan(self, shares: Sequence[Share]) -> Plan:
        """Returns what it costs to ship such shares: a parcel from each of their places."""
        weights: dict[str, int] = {}
        balance = 0
        for share in shares:
            want = self._lines[share.line_id]
            weights[share.location_id] = weights.get(share.location_id, 0) + share.quantity * want.weight_g
            if self.terms.balance_minor:
                above, below = self.scarcity(want, self._places[share.location_id])
                balance += self.terms.balance_minor * share.quantity * above // below
        used = [self._places[location_id] for location_id in sorted(weights)]
        return Plan(
            tuple(sorted(weights)), tuple(shares), sum(share.quantity for share in shares),
            sum(self._shipping(place, weights[place.location_id]) for place in used), self.terms.handling_minor * len(used),
            self.terms.split_penalty_minor * max(0, len(used) - 1), sum(map(self._late, used)), balance, sum(map(self._full, used)),
            sum(place.late_days for place in used),
        )  # fmt: skip

    def short(self, shares: Iterable[Share]) -> list[Want]:
        """Returns what shares leave unfilled."""
        got: dict[str, int] = {}
        for share in shares:
            got[share.line_id] = got.get(share.line_id, 0) + share.quantity
        short = [want._replace(quantity=want.quantity - got.get(want.line_id, 0)) for want in self.wants]
        return [want for want in short if want.quantity]


@dataclass
class Outcome:
    """The plan that was chosen and those it was compared with, best first."""

    chosen: Plan | None
    candidates: list[Plan] = field(default_factory=list)
    short: list[Want] = field(default_factory=list)

    @property
    def filled(self) -> int:
        """Returns how many units ship."""
        return self.chosen.filled if self.chosen is not None else 0


def cheapest(rates: Sequence[Rate], weight_g: int) -> Rate:
    """Returns the cheapest rate for a parcel; one that costs nothing where no rate is kept."""
    return min(rates, key=lambda rate: (rate.cost(weight_g), rate.carrier, rate.service), default=Rate("", "", 0, 0))


def taken(wants: Iterable[Want], shares: Iterable[Share]) -> dict[Key, int]:
    """Returns what shares of such lines take of stock: (item, location) → stock units."""
    lines = {want.line_id: want for want in wants}
    found: defaultdict[Key, int] = defaultdict(int)
    for share in shares:
        for item_id, units in lines[share.line_id].takes:
            found[item_id, share.location_id] += share.quantity * units
    return found


def serving(rates: Sequence[Rate], method: str) -> list[Rate]:
    """Returns the rates of a method; those that serve any where none is its own."""
    return [rate for rate in rates if rate.method == method] or [rate for rate in rates if not rate.method]


def source(ask: Ask) -> Outcome:
    """Compares the splits over the places that have something, and chooses; nothing where `complete` cannot be met."""
    plans = sorted(_plans(ask), key=lambda plan: (-plan.filled, plan.total_minor, plan.location_ids))
    best = plans[0] if plans and plans[0].filled else None
    if best is None or (ask.complete and best.filled < ask.wanted):
        return Outcome(None, plans[:MOST_CANDIDATES], list(ask.wants))
    return Outcome(best, plans[:MOST_CANDIDATES], ask.short(best.shares))


def useful(ask: Ask) -> list[Place]:
    """Returns the places that have anything of what is wanted: most of it first, then soonest, then cheapest."""
    reach = {place.location_id: ask.reach(place) for place in ask.places}
    found = [place for place in ask.places if reach[place.location_id]]
    return sorted(found, key=lambda place: (-reach[place.location_id], place.late_days, place.surcharge_minor, place.location_id))


def _plans(ask: Ask) -> Iterator[Plan]:
    """Returns the plans of one place, of two, and so on, while more places may fill more or cost less."""
    places = useful(ask)[:MOST_PLACES]
    filled, least = 0, 0
    for count in range(1, ask.terms.most_locations + 1):
        bound = count * ask.least_parcel + (count - 1) * ask.terms.split_penalty_minor
        if filled == ask.fillable and bound >= least:
            return
        for chosen in combinations(places, count):
            plan = ask.plan(_fill(ask, chosen))
            if len(plan.location_ids) < count:
                continue
            if plan.filled > filled or (plan.filled == filled and plan.total_minor < least):
                filled, least = plan.filled, plan.total_minor
            yield plan


def _fill(ask: Ask, places: Sequence[Place]) -> list[Share]:
    """Fills the lines from the places, in their order: the one that reaches furthest first."""
    left = [dict(place.promisable) for place in places]
    shares = []
    for want in ask.in_order:
        open_units = want.quantity
        for place, there in zip(places, left, strict=True):
            part = min(open_units, want.within(there))
            if part > 0:
                for item_id, units in want.takes:
                    there[item_id] -= part * units
                open_units -= part
                shares.append(Share(want.line_id, want.item_id, place.location_id, part))
    return shares
