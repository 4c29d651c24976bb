"""Sources the orders of a batch: each by the policy's strategies, and those that want the same stock together."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from services.fulfillment.domain.calendar import Dates, Node, Transit, Wanted, dates
from services.fulfillment.domain.optimise import Answer
from services.fulfillment.domain.policy import Exclusion, Policy, Strategy
from services.fulfillment.domain.sourcing import (
    MOST_CANDIDATES,
    Ask,
    Components,
    Key,
    Outcome,
    Place,
    Rate,
    Share,
    Want,
    serving,
    source,
    taken,
)

Lane = tuple[str, str, str, str]
AT_ONCE = Transit(0, 0, saturdays=True)


class Location(NamedTuple):
    """A location that may ship."""

    location_id: str
    kind: str
    country_code: str
    entity: str


class Question(NamedTuple):
    """An order to source, as it was asked."""

    order_id: str
    channel_id: str
    entity: str
    country_code: str
    region: str
    postal_prefix: str
    method: str
    currency_code: str
    wants: Sequence[Want]
    complete: bool = False
    hints: Sequence[str] = ()
    excluded: Sequence[str] = ()
    ship_by: int | None = None
    deliver_by: int | None = None
    # Where the customer collects it; empty where it is shipped.
    pickup: str = ""
    # What is reserved for it already.
    held: Sequence[Share] = ()

    def with_kits(self, kits: Mapping[str, Components]) -> "Question":
        """Returns the question with what its kits are made of."""
        return self._replace(wants=[want._replace(components=kits.get(want.item_id, ())) for want in self.wants])

    @property
    def stocked(self) -> set[str]:
        """Returns the items that it takes of stock."""
        return {item_id for want in self.wants for item_id, _ in want.takes}

    @property
    def facts(self) -> dict[str, Any]:
        """Returns what conditions may ask of the order."""
        return {
            "channel": self.channel_id, "entity": self.entity, "country": self.country_code, "region": self.region,
            "postal_prefix": self.postal_prefix, "method": self.method, "currency": self.currency_code, "hints": list(self.hints),
            "lines": len(self.wants), "units": sum(want.quantity for want in self.wants),
            "weight_g": sum(want.quantity * want.weight_g for want in self.wants), "ship_complete": self.complete,
            "has_date": self.ship_by is not None or self.deliver_by is not None,
        }  # fmt: skip


@dataclass
class World:
    """What is kept of rates, lanes, transit times and nodes, and how many parcels locations have on their days."""

    rates: Mapping[tuple[str, str], Sequence[Rate]] = field(default_factory=dict)
    lanes: Mapping[Lane, int] = field(default_factory=dict)
    transits: Mapping[Lane, Transit] = field(default_factory=dict)
    nodes: Mapping[str, Node] = field(default_factory=dict)
    load: defaultdict[str, Counter[date]] = field(default_factory=lambda: defaultdict(Counter))

    def rates_for(self, country_code: str, currency_code: str, method: str) -> list[Rate]:
        """Returns the rates to a country, the general ones included, that serve a method."""
        found = [*self.rates.get((country_code, currency_code), ()), *self.rates.get(("", currency_code), ())]
        return serving(found, method)

    def surcharge(self, location_id: str, country_code: str, postal_prefix: str, currency_code: str) -> int:
        """Returns what a parcel costs more: the lane that names most of the postal code, then the country, then any."""
        if self.lanes:
            for country, prefix in _narrowing(country_code, postal_prefix):
                found = self.lanes.get((location_id, country, prefix, currency_code))
                if found is not None:
                    return found
        return 0

    def transit(self, location_id: str, question: Question) -> Transit | None:
        """Returns how long parcels take: what names the location holds first, then most of the postal code, then the method."""
        if question.pickup:
            return AT_ONCE
        for place in (location_id, ""):
            for country, prefix in _narrowing(question.country_code, question.postal_prefix):
                for method in dict.fromkeys((question.method, "")):
                    found = self.transits.get((place, country, prefix, method))
                    if found is not None:
                        return found
        return None

    def dates(self, location_id: str, question: Question, now: int) -> Dates:
        """Returns when a parcel leaves a location and arrives; nothing is known of one that is no node."""
        node = self.nodes.get(location_id)
        if node is None:
            return Dates()
        wanted = Wanted(question.ship_by, question.deliver_by)
        return dates(node, now, self.load[location_id], self.transit(location_id, question), question.country_code, wanted)

    def kept_load(self) -> dict[str, dict[int, int]]:
        """Returns the load as it can be kept: location → ordinal of the day → parcels."""
        return {
            location_id: {day.toordinal(): parcels for day, parcels in days.items() if parcels} for location_id, days in self.load.items()
        }

    def take_load(self, kept: Mapping[str, Mapping[int | str, int]]) -> None:
        """Takes a load that was kept."""
        for location_id, days in kept.items():
            self.load[location_id].update({date.fromordinal(int(day)): parcels for day, parcels in days.items()})

    def load_permille(self, location_id: str, day: date | None) -> int:
        """Returns how full a location's day is."""
        node = self.nodes.get(location_id)
        return node.load_permille(self.load[location_id][day]) if node is not None and day is not None else 0


def _narrowing(country_code: str, postal_prefix: str) -> Iterable[tuple[str, str]]:
    for length in range(len(postal_prefix), -1, -1):
        yield country_code, postal_prefix[:length]
    yield "", ""


@dataclass
class Decided:
    """How an order is sourced: by which strategy, the plan, what it was compared with, who was left out, and when it leaves."""

    question: Question
    ask: Ask
    outcome: Outcome
    strategy: str
    eliminated: list[tuple[str, str]]
    dates: Mapping[str, Dates]
    how: str = "ALONE"
    gap_ppm: int = 0

    @property
    def shares(self) -> Sequence[Share]:
        """Returns what ships from where."""
        return self.outcome.chosen.shares if self.outcome.chosen is not None else ()

    def stay(self, stock: Mapping[Key, int]) -> None:
        """Leaves what is reserved where it is, if it is still there and no other plan ships more or costs less."""
        chosen, held, places = self.outcome.chosen, self.question.held, {place.location_id for place in self.ask.places}
        if chosen is None or not held or any(share.location_id not in places for share in held):
            return
        there = taken(self.question.wants, held)
        plan = self.ask.plan(held)
        worse = plan.filled < chosen.filled or plan.total_minor > chosen.total_minor
        if worse or any(stock[key] < quantity for key, quantity in there.items()):
            return
        others = [one for one in self.outcome.candidates if one.shares != plan.shares]
        self.outcome = Outcome(plan, [plan, *others][:MOST_CANDIDATES], self.ask.short(plan.shares))

    @property
    def own_dates(self) -> dict[str, Dates]:
        """Returns the dates of the locations that ship."""
        used = self.outcome.chosen.location_ids if self.outcome.chosen is not None else ()
        return {location_id: self.dates[location_id] for location_id in used}


@dataclass
class Batch:
    """Orders that are sourced at one moment, over one picture of what is promised: (item, location) → units."""

    policy: Policy
    world: World
    locations: Mapping[str, Location]
    stock: dict[Key, int]
    now: int
    kept_back: Mapping[tuple[str, str, str], int] = field(default_factory=dict)

    def add_held(self, questions: Iterable[Question]) -> None:
        """Counts what is reserved for orders as stock that all of them may have: one that goes elsewhere leaves it to the others."""
        for question in questions:
            for key, units in taken(question.wants, question.held).items():
                if key[1] in self.locations:
                    self.stock[key] = self.stock.get(key, 0) + units

    def decide(self, question: Question, stock: Mapping[Key, int]) -> Decided:
        """Sources an order: strategies in turn until one fills it, else the one that fills most. Its parcels count as load."""
        places, dated, gone = self._places(question, stock)
        facts, best = question.facts, None
        for strategy in self.policy.strategies:
            if not strategy.suits(facts):
                continue
            own = self._try(question, strategy, places, dated, gone)
            if best is None or own.outcome.filled > best.outcome.filled:
                best = own
            if own.outcome.filled == own.ask.wanted:
                break
        if best is None:
            nothing = Ask(question.wants, (), (), self.policy.strategies[0].terms)
            best = Decided(question, nothing, Outcome(None, [], list(question.wants)), "", [*gone, ("", "STRATEGY")], dated)
        best.stay(stock)
        self._count(best, 1)
        return best

    def _try(
        self, question: Question, strategy: Strategy, places: Sequence[Place], dated: Mapping[str, Dates], gone: list[tuple[str, str]]
    ) -> Decided:
        # Where the customer collects it is not the policy's to say, and costs no parcel.
        network = () if question.pickup else strategy.network
        inside = [place for place in places if not network or place.location_id in network]
        outside = [(place.location_id, "NETWORK") for place in places if network and place.location_id not in network]
        rates = [] if question.pickup else self.world.rates_for(question.country_code, question.currency_code, question.method)
        ask = Ask(question.wants, inside, rates, strategy.terms, question.complete or strategy.complete)
        return Decided(question, ask, source(ask), strategy.name, [*gone, *outside], dated)

    def forget(self, decided: Decided) -> None:
        """Lets an order's parcels count as load no more."""
        self._count(decided, -1)

    def _count(self, decided: Decided, parcels: int) -> None:
        for location_id, own in decided.own_dates.items():
            if own.ship_day is not None:
                self.world.load[location_id][own.ship_day] += parcels

    def _places(self, question: Question, stock: Mapping[Key, int]) -> tuple[list[Place], dict[str, Dates], list[tuple[str, str]]]:
        items = sorted(question.stocked)
        facts = question.facts if self.policy.exclusions else {}
        places, dated, gone = [], {}, []
        for location_id, location in sorted(self.locations.items()):
            known = [item_id for item_id in items if (item_id, location_id) in stock]
            if not known:
                continue
            promisable = {item_id: units for item_id in known if (units := self.open_to(question, item_id, location_id, stock)) > 0}
            if why := self._barred(question, location, promisable):
                gone.append((location_id, why))
                continue
            own = dated[location_id] = self.world.dates(location_id, question, self.now)
            full = self.world.load_permille(location_id, own.ship_day)
            place = self._place(question, location, promisable, own, full)
            if why := _excluded(self.policy.exclusions, facts, location, place):
                gone.append((location_id, why))
            else:
                places.append(place)
        return places, dated, gone

    def open_to(self, question: Question, item_id: str, location_id: str, stock: Mapping[Key, int]) -> int:
        """Returns what an order may have of an item: what its shipping method is not kept back from."""
        if not self.kept_back:
            return stock[item_id, location_id]
        open_units = stock[item_id, location_id] - self._kept_from(question, (item_id, location_id))
        held = taken(question.wants, question.held).get((item_id, location_id), 0)
        return max(open_units, min(held, stock[item_id, location_id]))

    def _kept_from(self, question: Question, key: Key) -> int:
        """Returns how much of an item at a location is kept back from an order's shipping method."""
        return self.kept_back.get((*key, question.method), self.kept_back.get((*key, ""), 0))

    def _kept_from_all(self, question: Question, ask: Ask) -> Mapping[Key, int]:
        if not self.kept_back:
            return {}
        keys = [(item_id, place.location_id) for item_id in sorted(question.stocked) for place in ask.places]
        return {key: kept for key in keys if (kept := self._kept_from(question, key))}

    def _place(self, question: Question, location: Location, promisable: Mapping[str, int], own: Dates, full: int) -> Place:
        more = self.world.surcharge(location.location_id, question.country_code, question.postal_prefix, question.currency_code)
        return Place(location.location_id, location.country_code, promisable, more, own.late_days, full)

    @staticmethod
    def _barred(question: Question, location: Location, promisable: Mapping[str, int]) -> str:
        if location.location_id in question.excluded:
            return "EXCLUDED"
        if question.pickup not in ("", location.location_id):
            return "PICKUP"
        if question.entity and location.entity != question.entity:
            return "ENTITY"
        return "" if any(want.within(promisable) for want in question.wants) else "NO_STOCK"

    def in_turn(self, questions: Sequence[Question]) -> tuple[list[Decided], list[int]]:
        """Decides each alone; those that then want more than there is, in turn. Returns all, and which of them are contested."""
        decided = [self.decide(question, self.stock) for question in questions]
        contested = self._contested(decided)
        for index in contested:
            self.forget(decided[index])
        left = dict(self.stock)
        for index, one in enumerate(decided):
            if index not in contested:
                _take(left, one)
        for index in sorted(contested):
            one = decided[index] = self.decide(questions[index], left)
            one.how = "IN_TURN"
            _take(left, one)
        return decided, sorted(contested)

    def _contested(self, decided: Sequence[Decided]) -> set[int]:
        """Returns the orders that want what is too little, and those that share an item with one of them."""
        by_key: defaultdict[Key, Counter[int]] = defaultdict(Counter)
        for one in decided:
            for key, units in taken(one.question.wants, one.shares).items():
                by_key[key][self._kept_from(one.question, key) if self.kept_back else 0] += units
        scarce = {key[0] for key, by_kept in by_key.items() if _is_too_much(by_kept, self.stock[key])}
        wanting = defaultdict(set)
        for index, one in enumerate(decided):
            for item_id in one.question.stocked:
                wanting[item_id].add(index)
        found: set[int] = set()
        waiting = list(scarce)
        while waiting:
            for index in wanting.pop(waiting.pop(), ()):
                if index not in found and decided[index].strategy:
                    found.add(index)
                    waiting += decided[index].question.stocked
        return found

    def contest(self, decided: Sequence[Decided], contested: Sequence[int]) -> "Contest | None":
        """Returns what the contested orders ask together; None where no other place could help any of them."""
        others = set(range(len(decided))) - set(contested)
        left = dict(self.stock)
        for index in others:
            _take(left, decided[index])
        asks = [self._over(decided[index], left) for index in contested]
        if not any(len(ask.places) > 1 for ask in asks):
            return None
        kept_back = [self._kept_from_all(decided[index].question, ask) for index, ask in zip(contested, asks, strict=True)]
        return Contest(asks, [list(decided[index].shares) for index in contested], left, kept_back)

    def _over(self, one: Decided, left: Mapping[Key, int]) -> Ask:
        """Returns an order's question over all that the contested may have, not only what those before it left."""
        places, dated, _ = self._places(one.question, left)
        one.dates = {**dated, **one.dates}
        named = next(strategy.network for strategy in self.policy.strategies if strategy.name == one.strategy)
        network = () if one.question.pickup else named
        found = {place.location_id: place for place in places if not network or place.location_id in network}
        for place in one.ask.places:
            if any(share.location_id == place.location_id for share in one.shares):
                items = {item_id for item_id in one.question.stocked if (item_id, place.location_id) in left}
                promisable = {item_id: self.open_to(one.question, item_id, place.location_id, left) for item_id in items}
                found[place.location_id] = place._replace(promisable=promisable)
        return Ask(one.ask.wants, list(found.values()), one.ask.rates, one.ask.terms, one.ask.complete)


class Contest(NamedTuple):
    """Orders that want the same stock, a plan for them that fits, the stock, and for each what is kept back from it."""

    asks: list[Ask]
    known: list[list[Share]]
    stock: Mapping[Key, int]
    kept_back: Sequence[Mapping[Key, int]]


def together(decided: Sequence[Decided], contested: Sequence[int], contest: Contest, answer: Answer) -> None:
    """Takes over what was found for the contested orders together."""
    for index, ask, shares in zip(contested, contest.asks, answer.shares, strict=True):
        one = decided[index]
        plan = ask.plan(shares) if shares else None
        others = [each for each in one.outcome.candidates if plan is None or each.shares != plan.shares]
        candidates = [plan, *others] if plan is not None else others
        one.outcome = Outcome(plan, candidates[:MOST_CANDIDATES], ask.short(shares))
        one.how, one.gap_ppm = "TOGETHER", answer.gap_ppm


def _is_too_much(by_kept: Mapping[int, int], units: int) -> bool:
    """Says whether units taken, by how many had to be left to others, are more than there are, or than those may share."""
    return any(sum(own for kept, own in by_kept.items() if kept >= least) > units - least for least in by_kept)


def _take(left: dict[Key, int], decided: Decided) -> None:
    for key, units in taken(decided.question.wants, decided.shares).items():
        left[key] -= units


def _excluded(exclusions: Sequence[Exclusion], facts: Mapping[str, Any], location: Location, place: Place) -> str:
    if not exclusions:
        return ""
    own = {
        **facts, "location_id": location.location_id, "location_kind": location.kind, "location_country": location.country_code,
        "location_entity": location.entity, "late_days": place.late_days, "load_permille": place.load_permille,
    }  # fmt: skip
    return next((one.name for one in exclusions if one.forbids(own)), "")
