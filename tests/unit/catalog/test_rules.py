"""What categories allow, and which price holds."""

from dataclasses import dataclass

import pytest

from chassis.kernel.errors import InvalidArgument
from services.catalog.domain.category import Kind, Rule, missing_for, missing_of, need_attributes, need_rules
from services.catalog.domain.pricing import moved_permille, price_in_force

COLOUR = Rule("colour", Kind.CHOICE, required=True, choices=("red", "blue"))
WIDTH = Rule("width", Kind.NUMBER, unit="mm", least="10", most="200.5")
WASHABLE = Rule("washable", Kind.FLAG)
CARE = Rule("care", max_length=5)
RULES = {rule.name: rule for rule in (COLOUR, WIDTH, WASHABLE, CARE)}


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("colour", "red", True), ("colour", "green", False), ("width", "10", True), ("width", "200.5", True), ("width", "200.51", False),
        ("width", "9.99", False), ("width", "wide", False), ("width", "NaN", False), ("width", "1e2", True), ("washable", "true", True),
        ("washable", "yes", False), ("care", "12345", True), ("care", "123456", False), ("unknown", "anything", True), ("colour", "", True),
    ],
)  # fmt: skip
def test_a_value_is_what_its_rule_allows(name: str, value: str, right: bool) -> None:
    if right:
        need_attributes(RULES, {name: value})
        return
    with pytest.raises(InvalidArgument) as caught:
        need_attributes(RULES, {name: value})
    assert (caught.value.reason, caught.value.field) == ("BAD_ATTRIBUTE", f"item.attributes.{name}")


def test_what_is_required_and_empty_is_missing() -> None:
    assert missing_of(RULES, {"width": "20"}) == ["attributes.colour"]
    assert missing_of(RULES, {"colour": "red"}) == []

    @dataclass
    class Item:
        gtin: str
        attributes: dict[str, str]

    assert missing_for(["gtin", "attributes.width"], Item("", {"width": "3"})) == ["gtin"]


@pytest.mark.parametrize("rules", [[COLOUR, COLOUR], [Rule("size", Kind.CHOICE)], [Rule("width", least="5", most="4")], [Rule("parent")]])
def test_rules_that_cannot_be_kept_are_refused(rules: list[Rule]) -> None:
    with pytest.raises(InvalidArgument):
        need_rules(rules, {"parent": Rule("parent")})


@dataclass
class Price:
    amount: int
    channel_id: str = ""
    customer_group: str = ""
    min_quantity: int = 1
    valid_from: int = 0
    valid_until: int = 0
    currency_code: str = "EUR"


PRICES = [
    Price(1000), Price(950, min_quantity=10), Price(1100, channel_id="web"), Price(900, customer_group="trade"), Price(500, valid_from=100),
    Price(800, channel_id="web", valid_from=10, valid_until=20), Price(7, currency_code="JPY"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("channel", "group", "quantity", "moment", "amount"),
    [
        ("shop", "", 1, 50, 1000), ("shop", "", 10, 50, 950), ("web", "", 1, 50, 1100), ("web", "", 10, 50, 1100),
        ("shop", "trade", 1, 50, 900), ("shop", "trade", 10, 50, 900), ("shop", "", 1, 100, 500), ("web", "", 1, 10, 800),
        ("web", "", 1, 19, 800), ("web", "", 1, 20, 1100), ("shop", "", 10, 200, 950),
    ],
)  # fmt: skip
def test_the_price_that_is_nearest_holds(channel: str, group: str, quantity: int, moment: int, amount: int) -> None:
    assert price_in_force(PRICES, channel, "EUR", group, quantity, moment).amount == amount


def test_where_no_price_holds_there_is_none() -> None:
    assert price_in_force(PRICES, "web", "USD", "", 1, 50) is None
    assert price_in_force([Price(1, valid_from=60)], "web", "EUR", "", 1, 50) is None


@pytest.mark.parametrize(
    ("before", "after", "moved"), [(1000, 1000, 0), (1000, 1200, 200), (1000, 800, 200), (0, 5, 1000), (0, 0, 0), (300, 100, 667)]
)
def test_how_far_a_price_moves(before: int, after: int, moved: int) -> None:
    assert moved_permille(before, after) == moved
