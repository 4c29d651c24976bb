"""What came of a purchase order is shared out among its lines; what cannot be kept is not understood."""

from types import SimpleNamespace

import pytest

from gateway.app.effects.goods import share_out
from gateway.app.hear_goods import goods_in
from gateway.channels.commands import Unreadable
from gateway.channels.warehouses import Arrived

LINES = [
    SimpleNamespace(line_id="1", item_id="a", confirmed=5, received=3),
    SimpleNamespace(line_id="2", item_id="a", confirmed=4, received=0),
    SimpleNamespace(line_id="3", item_id="b", confirmed=1, received=1),
]
ITEMS = {"A": "a", "B": "b", "C": "c"}


@pytest.mark.parametrize(
    ("units", "found", "strange"),
    [
        ({"A": 1}, {"1": 1}, {}),
        ({"A": 6}, {"1": 2, "2": 4}, {}),
        # What is too much is of the last: the order says what becomes of it.
        ({"A": 9, "b": 1}, {"1": 2, "2": 7, "3": 1}, {}),
        ({"C": 2, "D": 1, "A": 1}, {"1": 1}, {"C": 2, "D": 1}),
    ],
)
def test_each_line_gets_what_it_still_awaits(units: dict[str, int], found: dict[str, int], strange: dict[str, int]) -> None:
    assert share_out(LINES, ITEMS, units) == (found, strange)


@pytest.mark.parametrize(
    "arrived",
    [Arrived("P", "D", {"A" * 101: 1}), Arrived("P", "D\x00", {"A": 1}), Arrived("P", "D", {"A": 10**30})],
    ids=["long", "odd", "many"],
)
async def test_what_no_database_keeps_stops_nobody(arrived: Arrived) -> None:
    with pytest.raises(Unreadable):
        await goods_in(None, "delivery", None, arrived)  # type: ignore[arg-type]
