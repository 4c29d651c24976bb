"""What rules may speak of, how an order is judged by a set of them, and the rules of version 1."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache, lru_cache
from typing import NamedTuple

from chassis.kernel.rules import Expression, RuleError, Vocabulary, all_of

WORD = re.compile(r"[a-z_][a-z0-9_]*")


class Fact(NamedTuple):
    """A name that conditions may use."""

    name: str
    kind: str
    meaning: str


FACTS = (
    Fact("channel_id", "string", "the channel that took the order"),
    Fact("total_minor", "int", "what the customer pays for all of it, in minor units"),
    Fact("currency_code", "string", "ISO 4217 code of all amounts"),
    Fact("lines", "int", "how many lines it has"),
    Fact("units", "int", "how many stock units it is about"),
    Fact("skus", "list", "the SKUs of its items"),
    Fact("shipping_method", "string", "how the customer wants it shipped; empty for the channel's usual way"),
    Fact("ship_by_in_s", "int", "seconds until the channel demands that it leaves; 0 where it does not"),
    Fact("country_code", "string", "where it goes, ISO 3166-1 alpha-2"),
    Fact("region", "string", "state, province or region where it goes"),
    Fact("address_complete", "bool", "the address has a line, a town and a postal code"),
    Fact("address_problems", "list", "what the country's own format finds missing or wrong in the address, as field:problem"),
    Fact("guest", "bool", "no customer is named"),
    Fact("customer_group", "string", "the customer's group; empty for none"),
    Fact("customer_blocked", "bool", "no order of the customer shall go on without a person"),
    Fact("on_account", "bool", "the customer may pay after shipment, in this currency"),
    Fact("credit_limit_minor", "int", "what the customer may owe and have ordered unpaid; -1 where nothing is on account"),
    Fact("credit_used_minor", "int", "what the customer owes and has ordered unpaid, with this order"),
    Fact("overdue_minor", "int", "what the customer should have paid already"),
    Fact("buyer_orders_1h", "int", "other orders of the same customer, or of guests at the same address, within an hour before"),
    Fact("buyer_orders_24h", "int", "the same within a day before"),
    Fact("same_orders_1h", "int", "of those within an hour, how many ask for the very same"),
    Fact("tendered_minor", "int", "what is authorised or captured, and did not go back"),
    Fact("captured_minor", "int", "what is captured, and did not go back"),
    Fact("tax_unknown", "bool", "no tax rate is kept for the destination"),
    Fact("tax_difference_minor", "int", "tax charged less tax computed"),
    Fact("price_difference_ppm", "int", "the largest difference of a line from its list price, in millionths of it"),
    Fact("discount_ppm", "int", "all discounts in millionths of what the lines cost without"),
    Fact("restricted_skus", "list", "SKUs that must not go to this country"),
    Fact("hazmat_skus", "list", "SKUs that are dangerous goods"),
    Fact("export_controlled_skus", "list", "SKUs under export control"),
    Fact("short_units", "int", "of the units that nothing is reserved for yet, how many all locations together cannot promise"),
    Fact("short_skus", "list", "SKUs of which less can be promised than is asked for"),
    Fact(
        "least_left_units",
        "int",
        "what can still be promised after this order of the item that is scarcest then; below 0 where it is short",
    ),
    Fact("fraud_score", "int", "the points of the scores that hold; 0 while scores are judged"),
)
NAMES = frozenset(fact.name for fact in FACTS)
VOCABULARY = Vocabulary({fact.name: fact.kind for fact in FACTS})
UNKNOWN: dict[str, object] = {fact.name: {"int": 0, "string": "", "bool": False, "list": []}[fact.kind] for fact in FACTS}

# (rule, reason, condition, what a person is told); written by the second migration.
VERSION_1 = (
    ("payment-missing", "AWAITING_PAYMENT", "tendered_minor < total_minor", "the tenders do not cover the total"),
    ("payment-excess", "AMOUNT_MISMATCH", "captured_minor > total_minor", "more was captured than the order costs"),
    ("tax-differs", "TAX_MISMATCH", "tax_difference_minor > lines + 1 || tax_difference_minor < -lines - 1", "the tax charged is not the tax computed"),
    ("tax-unknown", "TAX_MISMATCH", "tax_unknown", "no tax rate is set for this destination"),
    ("price-differs", "PRICE_OVERRIDE", "price_difference_ppm > 200000 || price_difference_ppm < -200000", "a price is off the list price by over 20 %"),
    ("destination-restricted", "RESTRICTED_DESTINATION", "size(restricted_skus) > 0", "an item must not go to this country"),
    ("address-incomplete", "INCORRECT_ADDRESS", "!address_complete", "the address lacks a line, a town or a postal code"),
    ("large-guest-order", "HIGH_RISK", "guest && total_minor > 500000", "a guest orders for a large amount"),
)  # fmt: skip


class Action(IntEnum):
    """What a rule does where its condition is true; numbered as in the contract."""

    HOLD = 1
    SCORE = 2
    HINT = 3


@cache
def compiled(condition: str) -> Expression:
    """Returns a condition, compiled once; raises RuleError."""
    return VOCABULARY.compile(condition)


class Rule(NamedTuple):
    """A compiled rule; the reason is a hold's, points a score's, the hint a hint's."""

    rule_id: str
    action: Action
    reason: str
    condition: Expression
    detail: str
    points: int = 0
    hint: str = ""


class Found(NamedTuple):
    """A rule that held; the reason RULE_ERROR where its condition could not be evaluated."""

    rule_id: str
    action: int
    reason: str
    detail: str
    points: int
    hint: str


@dataclass(frozen=True)
class Judgement:
    """What a set of rules says of an order."""

    found: Sequence[Found]

    @property
    def holds(self) -> list[Found]:
        """What holds the order."""
        return [one for one in self.found if one.action == Action.HOLD]

    @property
    def hints(self) -> list[str]:
        """What it hints at, each once."""
        return sorted({one.hint for one in self.found if one.action == Action.HINT})

    @property
    def fraud_score(self) -> int:
        """The points of the scores that held."""
        return sum(one.points for one in self.found if one.action == Action.SCORE)


def judge(rules: Sequence[Rule], facts: Mapping[str, object]) -> Judgement:
    """Judges scores first, then the rest with the score they make. What cannot be evaluated holds the order as RULE_ERROR."""
    scores = [rule for rule in rules if rule.action == Action.SCORE]
    others = [rule for rule in rules if rule.action != Action.SCORE]
    known = {**UNKNOWN, **facts, "fraud_score": 0}
    scored = Judgement(_all_found(scores, known))
    known["fraud_score"] = scored.fraud_score
    return Judgement([*scored.found, *_all_found(others, known)])


def _all_found(rules: Sequence[Rule], facts: Mapping[str, object]) -> list[Found]:
    """Looks at all rules at once; one by one where one of them cannot be evaluated."""
    if not rules:
        return []
    hold = _together(tuple(rule.condition.text for rule in rules)).each_holds(facts)
    if hold is None:
        return [found for rule in rules if (found := _found(rule, facts)) is not None]
    return [_says(rule) for rule, holds in zip(rules, hold, strict=True) if holds]


@lru_cache(32)
def _together(conditions: tuple[str, ...]) -> Expression:
    return VOCABULARY.compile(all_of(conditions))


def _says(rule: Rule) -> Found:
    return Found(rule.rule_id, int(rule.action), rule.reason, rule.detail, rule.points, rule.hint)


def _found(rule: Rule, facts: Mapping[str, object]) -> Found | None:
    try:
        if not rule.condition.holds(facts):
            return None
    except RuleError as error:
        return Found(rule.rule_id, int(Action.HOLD), "RULE_ERROR", str(error), 0, "")
    return _says(rule)


def unknown_to(rules: Sequence[Rule], facts: Mapping[str, object]) -> frozenset[str]:
    """Returns what rules ask for that was not known of an order when it was judged."""
    missing = NAMES - {"fraud_score"} - facts.keys()
    return frozenset(missing & _asked(tuple(rule.condition.text for rule in rules))) if missing else frozenset()


@lru_cache(32)
def _asked(conditions: tuple[str, ...]) -> frozenset[str]:
    return frozenset(word for text in conditions for word in WORD.findall(text))


class Comparison(NamedTuple):
    """What another set says of orders that were judged before."""

    held_now: int
    held_then: int
    newly_held: int
    newly_free: int
    changed: int


def compare(now: Judgement, then: Judgement) -> Comparison:
    """Compares two judgements of one order; each figure is 0 or 1."""
    held_now, held_then = int(bool(now.holds)), int(bool(then.holds))
    changed = _said(now) != _said(then)
    return Comparison(held_now, held_then, int(held_then > held_now), int(held_now > held_then), int(changed))


def _said(judgement: Judgement) -> tuple[list[str], int, list[str]]:
    return (sorted({one.reason for one in judgement.holds}), judgement.fraud_score, judgement.hints)
