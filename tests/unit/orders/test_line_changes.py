"""What a change makes of lines: amounts by unit, lines that leave, join or are replaced, and wishes that are refused by name."""

from types import SimpleNamespace
from typing import Any

import pytest

from argosy.orders.v1 import changes_service_pb2
from chassis.kernel.errors import Refusal
from services.orders.domain.line_changes import LineChange, line_changes

Wish = changes_service_pb2.LineChange


def line(line_id: str, ordered: int = 4, units: int = 1, **values: Any) -> SimpleNamespace:
    row = {
        "line_id": line_id, "channel_sku": line_id.upper(), "external_line_id": f"x-{line_id}", "ordered": ordered, "units": units,
        "amount_minor": 1001, "discount_minor": 100, "tax_minor": 171, "shipped": 0, "cancelled": 0, "settled": 0, **values,
    }  # fmt: skip
    return SimpleNamespace(_mapping=row, **row)


LINES = [line("a"), line("b", 6, 2), line("gone", 0)]


def test_amounts_follow_the_units() -> None:
    assert line_changes(LINES, [Wish(line_id="a", quantity=3)], tax_charged=False) == [LineChange("a", "A", "x-a", 4, 3, 751, 75, 128)]
    # Three of the channel's units are six of stock.
    assert line_changes(LINES, [Wish(line_id="b", quantity=6)], tax_charged=True) == [LineChange("b", "B", "x-b", 3, 6, 2002, 200, 342)]
    assert line_changes(LINES, [Wish(line_id="b", quantity=3)], tax_charged=True) == []


def test_what_a_line_costs_is_said_for_all_of_it() -> None:
    wish = Wish(line_id="a", quantity=4, amount_minor=500, tax_minor=95)
    assert line_changes(LINES, [wish], tax_charged=True) == [LineChange("a", "A", "x-a", 4, 4, 500, 0, 95)]


def test_of_a_line_that_has_shipped_in_part_the_rest_is_changed() -> None:
    lines = [line("a", shipped=1, cancelled=1), line("b", 6, 2, shipped=1), line("all", 2, shipped=2)]
    # Two are left, worth two of four; three would be half as much again.
    assert line_changes(lines, [Wish(line_id="a", quantity=3)], tax_charged=False) == [LineChange("a", "A", "x-a", 2, 3, 752, 75, 128)]
    assert line_changes(lines, [Wish(line_id="a", quantity=2)], tax_charged=False) == []
    for name in ("b", "all"):
        with pytest.raises(Refusal) as refused:
            line_changes(lines, [Wish(line_id=name, quantity=1)], tax_charged=False)
        assert refused.value.field == "lines[0].line_id"


def test_lines_leave_join_and_are_replaced() -> None:
    assert line_changes(LINES, [Wish(line_id="a")], tax_charged=False) == [LineChange("a", "A", "x-a", 4, 0)]
    added = line_changes(LINES, [Wish(channel_sku="C", quantity=2, amount_minor=300)], tax_charged=False)[0]
    assert (added.channel_sku, added.before, added.quantity, added.amount_minor, added.tax_minor) == ("C", 0, 2, 300, 0)
    assert added.external_line_id == added.line_id
    left, came = line_changes(LINES, [Wish(line_id="a", quantity=2, channel_sku="D")], tax_charged=False)
    assert left == LineChange("a", "A", "x-a", 4, 0)
    # What comes in its place costs what it did, and is what the channel calls that line.
    assert came == LineChange(came.line_id, "D", "x-a", 0, 2, 501, 50, 86)
    assert came.line_id != "a"
    assert [str(one) for one in (left, came)] == ["4 × A left", "2 × D added"]


@pytest.mark.parametrize(
    ("wishes", "field"),
    [
        ([Wish(line_id="nobody", quantity=1)], "lines[0].line_id"),
        ([Wish(line_id="gone", quantity=1)], "lines[0].line_id"),
        ([Wish(line_id="a", quantity=1), Wish(line_id="a", quantity=2)], "lines[1].line_id"),
        ([Wish(line_id="a", channel_sku="D")], "lines[0].quantity"),
        ([Wish(quantity=1, amount_minor=1)], "lines[0].channel_sku"),
        ([Wish(channel_sku="C", amount_minor=1)], "lines[0].quantity"),
        ([Wish(channel_sku="C", quantity=1)], "lines[0].amount_minor"),
        ([Wish(line_id="a", quantity=1, tax_minor=1)], "lines[0].tax_minor"),
        ([Wish(line_id="a"), Wish(line_id="b")], "lines"),
    ],
)
def test_a_wrong_wish_is_refused_by_name(wishes: list[Wish], field: str) -> None:
    with pytest.raises(Refusal) as refused:
        line_changes(LINES, wishes, tax_charged=False)
    assert refused.value.field == field


def test_all_lines_may_be_replaced_at_once() -> None:
    wishes = [Wish(line_id=one, quantity=1, channel_sku="D") for one in ("a", "b")]
    assert [one.quantity for one in line_changes(LINES, wishes, tax_charged=False)] == [0, 1, 0, 1]
