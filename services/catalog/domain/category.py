"""What must be said of items of a category, and what a channel wants to know: rules over attributes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import IntEnum
from typing import Any

from chassis.kernel.errors import InvalidArgument

ATTRIBUTES = "attributes."


class Kind(IntEnum):
    """What the value of an attribute is; numbered as in the contract."""

    TEXT = 1
    NUMBER = 2
    CHOICE = 3
    FLAG = 4


@dataclass(frozen=True)
class Rule:
    """What is said by one attribute; bounds are texts of decimal numbers, empty where there is none."""

    name: str
    kind: Kind = Kind.TEXT
    required: bool = False
    choices: tuple[str, ...] = ()
    unit: str = ""
    least: str = ""
    most: str = ""
    max_length: int = 0

    def wrong(self, value: str) -> str:
        """Returns what is wrong with a value; nothing where it is right."""
        if self.kind is Kind.CHOICE and value not in self.choices:
            return f"choose one of {', '.join(self.choices)}"
        if self.kind is Kind.FLAG and value not in ("true", "false"):
            return "must be true or false"
        if self.kind is Kind.NUMBER:
            return self._wrong_number(value)
        if self.max_length and len(value) > self.max_length:
            return f"has {len(value)} characters; at most {self.max_length}"
        return ""

    def _wrong_number(self, value: str) -> str:
        try:
            number = Decimal(value)
        except InvalidOperation:
            return f"{value!r} is no number"
        if not number.is_finite():
            return f"{value!r} is no number"
        if self.least and number < Decimal(self.least):
            return f"must be at least {self.least} {self.unit}".rstrip()
        if self.most and number > Decimal(self.most):
            return f"must be at most {self.most} {self.unit}".rstrip()
        return ""


Rules = Mapping[str, Rule]


def need_rules(rules: Iterable[Rule], inherited: Rules) -> None:
    """Raises InvalidArgument for rules that cannot be kept, or that one's parents have already."""
    seen = set(inherited)
    for index, rule in enumerate(rules):
        field = f"attributes[{index}]"
        if rule.name in seen:
            raise InvalidArgument(
                "DOUBLE_ATTRIBUTE", f"{field}.name: {rule.name} is said twice, here or in a parent", field=f"{field}.name"
            )
        seen.add(rule.name)
        if rule.kind is Kind.CHOICE and not rule.choices:
            raise InvalidArgument("INVALID_FIELD", f"{field}.choices: a choice needs something to choose from", field=f"{field}.choices")
        if rule.least and rule.most and Decimal(rule.least) > Decimal(rule.most):
            raise InvalidArgument("INVALID_FIELD", f"{field}.least: is more than the most", field=f"{field}.least")


def need_attributes(rules: Rules, attributes: Mapping[str, str]) -> None:
    """Raises InvalidArgument BAD_ATTRIBUTE for a value that its category does not allow; what it does not know may be anything."""
    for name, value in attributes.items():
        wrong = rules[name].wrong(value) if name in rules and value else ""
        if wrong:
            raise InvalidArgument("BAD_ATTRIBUTE", f"item.attributes.{name}: {wrong}", field=f"item.attributes.{name}")


def missing_of(rules: Rules, attributes: Mapping[str, str]) -> list[str]:
    """Returns the required attributes that are empty, as fields of an item."""
    return [f"{ATTRIBUTES}{rule.name}" for rule in rules.values() if rule.required and not attributes.get(rule.name)]


def missing_for(required: Sequence[str], item: Any) -> list[str]:
    """Returns which of the fields and attributes that somebody wants to know are empty in an item (as the contract shows it)."""

    def there(path: str) -> bool:
        if path.startswith(ATTRIBUTES):
            return bool(item.attributes.get(path.removeprefix(ATTRIBUTES), ""))
        return bool(getattr(item, path))

    return [path for path in required if not there(path)]
