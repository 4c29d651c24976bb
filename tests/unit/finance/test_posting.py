"""Posting rules of version 1: every event of every rule makes a balanced entry of its amounts."""

import pytest

from services.finance.domain import chart
from services.finance.domain.posting import PostingError, Rule, RuleLine, applies, post


def rule(*lines: tuple[str, str, str], condition: str = "true") -> Rule:
    return Rule("r", 1, "X", condition, tuple(RuleLine(*line) for line in lines))


def test_an_entry_balances_or_is_refused() -> None:
    good = rule(("1100", "debit", "e.a + e.b"), ("4000", "credit", "e.a"), ("2200", "credit", "e.b"))
    lines = post(good, {"a": 100, "b": 19})
    assert [(line.account, line.debit_minor, line.credit_minor) for line in lines] == [("1100", 119, 0), ("4000", 0, 100), ("2200", 0, 19)]
    with pytest.raises(PostingError, match="debit and credit differ"):
        post(rule(("1100", "debit", "e.a"), ("4000", "credit", "e.b")), {"a": 1, "b": 2})
    with pytest.raises(PostingError, match="not an amount"):
        post(rule(("1100", "debit", "e.a"), ("4000", "credit", "e.a")), {"a": -1})


def test_nothing_is_booked_for_nothing() -> None:
    assert post(rule(("1100", "debit", "e.a"), ("4000", "credit", "e.a")), {"a": 0}) == []


def test_a_condition_chooses() -> None:
    one = rule(condition="e.kind == 'deposit'")
    assert applies(one, {"kind": "deposit"})
    assert not applies(one, {"kind": "refund"})


def test_the_chart_knows_every_account_that_a_rule_names() -> None:
    accounts = {account for account, *_ in chart.ACCOUNTS}
    named = {account for _, _, _, lines in chart.RULES_VERSION_1 for account, _, _ in lines}
    assert named
    assert named <= accounts
