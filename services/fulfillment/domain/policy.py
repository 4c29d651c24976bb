"""A sourcing policy: strategies that are tried in turn, exclusions, and what counts against a plan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from chassis.kernel.rules import Expression, RuleError, Vocabulary
from services.fulfillment.domain.sourcing import Terms


class Fact(NamedTuple):
    """A name that conditions may use; those of locations only in exclusions."""

    name: str
    kind: str
    meaning: str
    of_location: bool = False


FACTS = (
    Fact("channel", "string", "the channel"),
    Fact("entity", "string", "the legal entity whose stock it is; empty for any"),
    Fact("country", "string", "the destination's country, ISO 3166-1 alpha-2"),
    Fact("region", "string", "the destination's region"),
    Fact("postal_prefix", "string", "the first three characters of the destination's postal code"),
    Fact("method", "string", "the shipping method"),
    Fact("currency", "string", "ISO 4217 code of the order's amounts"),
    Fact("hints", "list", "what the rules of orders hint at"),
    Fact("lines", "int", "lines"),
    Fact("units", "int", "stock units of all lines"),
    Fact("weight_g", "int", "weight of all lines in grams"),
    Fact("ship_complete", "bool", "true where nothing ships unless all can"),
    Fact("has_date", "bool", "true where somebody said by when it must leave or arrive"),
    Fact("location_id", "string", "the location", True),
    Fact("location_kind", "string", "WAREHOUSE, STORE, THIRD_PARTY or SUPPLIER", True),
    Fact("location_country", "string", "the location's country", True),
    Fact("location_entity", "string", "the legal entity of the location's stock", True),
    Fact("late_days", "int", "by how many days a parcel from there would be late", True),
    Fact("load_permille", "int", "how full the location's day is, 1000 for full; 0 without a capacity", True),
)
ORDER = Vocabulary({fact.name: fact.kind for fact in FACTS if not fact.of_location})
LOCATION = Vocabulary({fact.name: fact.kind for fact in FACTS})


@cache
def compiled(text: str, *, of_location: bool) -> Expression:
    """Returns a condition; raises RuleError where it does not type-check."""
    return (LOCATION if of_location else ORDER).compile(text)


class Strategy(NamedTuple):
    """A way to source orders of some kind: all where there is no condition, from all places where there is no network."""

    name: str
    condition: str
    network: frozenset[str]
    terms: Terms
    complete: bool

    def suits(self, facts: Mapping[str, Any]) -> bool:
        """Says whether it is meant for an order; what cannot be evaluated is not."""
        try:
            return not self.condition or compiled(self.condition, of_location=False).holds(facts)
        except RuleError:
            return False


class Exclusion(NamedTuple):
    """Where a location may not ship an order."""

    name: str
    condition: str

    def forbids(self, facts: Mapping[str, Any]) -> bool:
        """Says whether it may not; what cannot be evaluated may not."""
        try:
            return compiled(self.condition, of_location=True).holds(facts)
        except RuleError:
            return True


@dataclass(frozen=True)
class Policy:
    """A version of how orders are sourced."""

    version: int
    strategies: Sequence[Strategy]
    exclusions: Sequence[Exclusion] = ()
