"""Which locations ship an order: every split over at most so many locations, the fullest first, then the cheapest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

MOST_CANDIDATES = 10
MOST_PLACES = 12


class Rate(NamedTuple):
    """What a parcel costs."""

    carrier: str
    service: str
    base_minor: int
    per_kg_minor: int

    def cost(self, weight_g: int) -> int:
        """Returns the price of a parcel: base and each kilogram begun."""
        return self.base_minor + self.per_kg_minor * -(-weight_g // 1000)


class Policy(NamedTuple):
    """How a plan is judged. Amounts in minor units."""

    version: int
    handling_minor: int
    split_penalty_minor: int
    most_locations: int


class Want(NamedTuple):
    """A line's wish, in stock units."""

    line_id: str
    item_id: str
    quantity: int
    weight_g: int


class Place(NamedTuple):
    """A location and what it can promise: item → stock units."""

    location_id: str
    country_code: str
    promisable: Mapping[str, int]


class Share(NamedTuple):
    """Units of a line from a location."""

    line_id: str
    item_id: str
    location_id: str
    quantity: int


@dataclass(frozen=True)
class Plan:
    """A way to ship."""

    location_ids: tuple[str, ...]
    shares: tuple[Share, ...]
    filled: int
    shipping_minor: int
    handling_minor: int
    split_minor: int

    @property
    def total_minor(self) -> int:
        """What it costs, the split penalty included."""
        return self.shipping_minor + self.handling_minor + self.split_minor


@dataclass
class Outcome:
    """The plan that was chosen and those it was compared with, best first."""

    chosen: Plan | None
    candidates: list[Plan] = field(default_factory=list)
    short: list[Want] = field(default_factory=list)


def cheapest(rates: Sequence[Rate], weight_g: int) -> Rate:
    """Returns the cheapest rate for a parcel; one that costs nothing where no rate is kept."""
    return min(rates, key=lambda rate: (rate.cost(weight_g), rate.carrier, rate.service), default=Rate("", "", 0, 0))


def source(wants: Sequence[Want], places: Sequence[Place], rates: Sequence[Rate], policy: Policy, *, complete: bool) -> Outcome:
    """Compares all splits over the places that have something, and chooses; nothing where `complete` cannot be met."""
    useful = [place for place in places if any(place.promisable.get(want.item_id, 0) > 0 for want in wants)]
    useful = sorted(useful, key=lambda place: -_reach(place, wants))[:MOST_PLACES]
    plans = [_plan(wants, chosen, rates, policy) for count in range(1, policy.most_locations + 1) for chosen in combinations(useful, count)]
    plans = [plan for plan in plans if len({share.location_id for share in plan.shares}) == len(plan.location_ids)]
    plans.sort(key=lambda plan: (-plan.filled, plan.total_minor, plan.location_ids))
    best = plans[0] if plans and plans[0].filled else None
    wanted = sum(want.quantity for want in wants)
    if best is None or (complete and best.filled < wanted):
        return Outcome(None, plans[:MOST_CANDIDATES], list(wants))
    got: dict[str, int] = {}
    for share in best.shares:
        got[share.line_id] = got.get(share.line_id, 0) + share.quantity
    short = [want._replace(quantity=want.quantity - got.get(want.line_id, 0)) for want in wants]
    return Outcome(best, plans[:MOST_CANDIDATES], [want for want in short if want.quantity])


def _reach(place: Place, wants: Sequence[Want]) -> int:
    return sum(min(want.quantity, place.promisable.get(want.item_id, 0)) for want in wants)


def _plan(wants: Sequence[Want], places: Sequence[Place], rates: Sequence[Rate], policy: Policy) -> Plan:
    """Fills the lines from the places, the one that reaches furthest first."""
    ordered = sorted(places, key=lambda place: (-_reach(place, wants), place.location_id))
    left = [dict(place.promisable) for place in ordered]
    shares, weights = [], [0] * len(ordered)
    for want in wants:
        open_units = want.quantity
        for index, place in enumerate(ordered):
            part = min(open_units, left[index].get(want.item_id, 0))
            if part > 0:
                left[index][want.item_id] -= part
                open_units -= part
                weights[index] += part * want.weight_g
                shares.append(Share(want.line_id, want.item_id, place.location_id, part))
    used = {share.location_id for share in shares}
    shipping = sum(
        cheapest(rates, weight).cost(weight) for place, weight in zip(ordered, weights, strict=True) if place.location_id in used
    )
    return Plan(
        tuple(sorted(place.location_id for place in ordered)), tuple(shares), sum(share.quantity for share in shares),
        shipping, policy.handling_minor * len(used), policy.split_penalty_minor * max(0, len(used) - 1),
    )  # fmt: skip
