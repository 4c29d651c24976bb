"""Rules are data: an error in one denies, it never passes."""

import pytest

from chassis.kernel.rules import RuleError, Vocabulary

WORDS = Vocabulary({"total": "int", "country": "string", "tags": "list", "guest": "bool"})


@pytest.mark.parametrize("text", ["total >", "unknown > 1", "total > 'a'", "", "total +"])
def test_what_does_not_compile_is_refused(text: str) -> None:
    with pytest.raises(RuleError):
        WORDS.compile(text).holds({"total": 1, "country": "DE", "tags": [], "guest": True})


def test_a_rule_speaks_its_vocabulary() -> None:
    rule = WORDS.compile("guest && total > 100 && country in ['DE', 'AT'] && size(tags) == 1")
    facts = {"total": 101, "country": "DE", "tags": ["x"], "guest": True}
    assert rule.holds(facts)
    assert not rule.holds({**facts, "total": 100})


def test_an_evaluation_error_is_no_pass() -> None:
    with pytest.raises(RuleError):
        WORDS.compile("tags[3] == 'x'").holds({"total": 1, "country": "", "tags": [], "guest": False})
    with pytest.raises(RuleError):
        WORDS.compile("total / 0 == 1").holds({"total": 1, "country": "", "tags": [], "guest": False})
    with pytest.raises(RuleError):
        WORDS.compile("total").holds({"total": 1, "country": "", "tags": [], "guest": False})
