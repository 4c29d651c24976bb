"""From an event to a balanced entry, by a rule that is data."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from chassis.kernel.rules import Expression, Vocabulary

VOCABULARY = Vocabulary({"e": "map"})


class PostingError(Exception):
    """A rule that does not make a balanced entry of this event."""


class RuleLine(NamedTuple):
    """A line of a rule; `location` names the event's field that holds the line's location."""

    account: str
    side: str
    amount: str
    location: str = "location_id"


class Rule(NamedTuple):
    """A posting rule."""

    rule_id: str
    version: int
    event_type: str
    condition: str
    lines: tuple[RuleLine, ...]
    entity: str = "entity"


class Posting(NamedTuple):
    """A line of an entry."""

    account: str
    debit_minor: int
    credit_minor: int
    location_id: str = ""


@cache
def compiled(text: str) -> Expression:
    """Returns an expression, compiled once."""
    return VOCABULARY.compile(text)


def applies(rule: Rule, event: Mapping[str, object]) -> bool:
    """Says whether the rule books this event; raises RuleError."""
    return rule.condition == "true" or compiled(rule.condition).holds({"e": event})


def post(rule: Rule, event: Mapping[str, object]) -> list[Posting]:
    """Returns the entry's lines, none where all amounts are 0; raises PostingError where debit and credit differ."""
    lines = []
    for line in rule.lines:
        amount = _amount(line.amount, event)
        if not isinstance(amount, int) or amount < 0:
            raise PostingError(f"{rule.rule_id}: {line.amount} is {amount!r}, not an amount")
        if amount:
            debit, credit = (amount, 0) if line.side == "debit" else (0, amount)
            lines.append(Posting(line.account, debit, credit, str(event.get(line.location, ""))))
    if sum(line.debit_minor for line in lines) != sum(line.credit_minor for line in lines):
        raise PostingError(f"{rule.rule_id}: debit and credit differ for {dict(event)}")
    return lines


def _amount(text: str, event: Mapping[str, object]) -> object:
    name = text.removeprefix("e.")
    return event[name] if name in event else compiled(text).value({"e": event})


def rules_for(rules: Sequence[Rule], event_type: str) -> list[Rule]:
    """Returns the rules of an event."""
    return [rule for rule in rules if rule.event_type == event_type]
