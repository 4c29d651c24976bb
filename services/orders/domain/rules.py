"""What the validation rules may speak of, and the rules of version 1."""

from functools import cache
from typing import NamedTuple

from chassis.kernel.rules import Expression, RuleError, Vocabulary

NAMES = {
    "total_minor": "int", "tendered_minor": "int", "captured_minor": "int", "channel_id": "string", "country_code": "string",
    "units": "int", "lines": "int", "tax_unknown": "bool", "tax_difference_minor": "int", "price_difference_ppm": "int",
    "restricted_skus": "list", "address_complete": "bool", "guest": "bool",
}  # fmt: skip
VOCABULARY = Vocabulary(NAMES)

# (rule, reason, condition, what a person is told); written by the first migration.
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


@cache
def compiled(condition: str) -> Expression:
    """Returns a condition, compiled once; raises RuleError."""
    return VOCABULARY.compile(condition)


class Rule(NamedTuple):
    """A compiled rule."""

    reason: str
    condition: Expression
    detail: str


def judge(rules: list[Rule], facts: dict[str, object]) -> list[tuple[str, str]]:
    """Returns (reason, detail) for each rule that holds; one that cannot be evaluated holds the order as RULE_ERROR."""
    found = []
    for rule in rules:
        try:
            if rule.condition.holds(facts):
                found.append((rule.reason, rule.detail))
        except RuleError as error:
            found.append(("RULE_ERROR", str(error)))
    return found
