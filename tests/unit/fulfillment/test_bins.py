"""Bins and waves: where units are taken from, where goods go, how lists are walked, what is brought back."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.fulfillment.domain.bins import (
    MISSED_FROM,
    PICKED_FROM,
    SHIPPED_FROM,
    Advice,
    Bin,
    Content,
    Goods,
    Kind,
    Part,
    put_away,
    take,
)  # fmt: skip
from services.fulfillment.domain.waves import Need, Shelves, Surplus, Tally, Wanted, WaveKind, by_lots, lists_of, surplus, whole

BINS = {
    "A1": Bin("A1", "A", Kind.PICK, 1), "A2": Bin("A2", "A", Kind.PICK, 2), "B1": Bin("B1", "B", Kind.PICK, 3),
    "R1": Bin("R1", "R", Kind.RESERVE, 0), "DOCK": Bin("DOCK", "", Kind.DOCK, 0), "OUT": Bin("OUT", "", Kind.OUT, 0),
    "LOST": Bin("LOST", "", Kind.LOST, 0),
}  # fmt: skip


@pytest.mark.parametrize(
    ("quantity", "lot", "contents", "kinds", "parts"),
    [
        (2, "", [("A1", "", 5)], PICKED_FROM, [("A1", "", 2)]),
        (3, "", [("A1", "", 2), ("A2", "", 3)], PICKED_FROM, [("A2", "", 3)]),
        (4, "", [("A1", "", 2), ("A2", "", 3)], PICKED_FROM, [("A1", "", 2), ("A2", "", 2)]),
        (3, "", [("R1", "", 9), ("A1", "", 1)], PICKED_FROM, [("A1", "", 1), ("R1", "", 2)]),
        (2, "L2", [("A1", "L1", 5), ("B1", "L2", 5)], PICKED_FROM, [("B1", "L2", 2)]),
        (2, "", [("LOST", "", 5), ("OUT", "", 5)], PICKED_FROM, [("", "", 2)]),
        (2, "", [("A1", "", 5), ("OUT", "", 1)], SHIPPED_FROM, [("OUT", "", 1), ("A1", "", 1)]),
        (2, "", [("A1", "", 5), ("LOST", "", 1), ("DOCK", "", 3)], MISSED_FROM, [("LOST", "", 1), ("DOCK", "", 1)]),
        (2, "", [("Z9", "", 5)], PICKED_FROM, [("", "", 2)]),
    ],
)
def test_units_are_taken_from_the_right_bins(
    quantity: int, lot: str, contents: list[tuple[str, str, int]], kinds: tuple[Kind, ...], parts: list[tuple[str, str, int]]
) -> None:
    assert take(quantity, lot, [Content(*one) for one in contents], BINS, kinds) == [Part(*one) for one in parts]


def test_goods_go_to_their_like_then_to_an_empty_bin_and_never_over_the_brim() -> None:
    bins = [
        Bin("A1", "A", Kind.PICK, 1, 10),
        Bin("A2", "A", Kind.PICK, 2, 4),
        Bin("A3", "A", Kind.PICK, 3, 0, True),
        Bin("R1", "R", Kind.RESERVE, 0, 3),
    ]
    waiting = [Goods("mug", "", 8), Goods("cup", "", 9)]
    advice = put_away(waiting, bins, {"A1": 5}, {("mug", ""): ["A1", "DOCK"]})
    assert [(one.goods.item_id, one.goods.quantity, one.bin) for one in advice] == [
        ("mug", 5, "A1"), ("mug", 3, "A2"), ("cup", 3, "R1"), ("cup", 6, ""),
    ]  # fmt: skip
    assert isinstance(advice[-1], Advice) and "no bin has room" in advice[-1].why


def wanted(order_id: str, item_id: str, quantity: int) -> Wanted:
    return Wanted(order_id, "1", item_id, "", quantity, 1)


def shelves(**contents: list[tuple[str, str, int]]) -> Shelves:
    return Shelves(BINS, {item: [Content(*one) for one in own] for item, own in contents.items()}, Counter())


def test_a_batch_visits_each_bin_once_for_all_orders_and_sorts_into_totes() -> None:
    there = shelves(mug=[("B1", "", 9)], cup=[("A1", "", 9)])
    asked = [wanted("o1", "mug", 1), wanted("o2", "cup", 2), wanted("o2", "mug", 1), wanted("o3", "cup", 1)]
    first, second = lists_of(WaveKind.BATCH, ["o1", "o2", "o3"], asked, there, 2)
    assert [(step.bin, step.tote, step.quantity) for step in first] == [("A1", 2, 2), ("B1", 1, 1), ("B1", 2, 1)]
    assert [(step.bin, step.tote) for step in second] == [("A1", 1)]


def test_zones_have_a_list_each_and_what_lies_nowhere_is_looked_for_last() -> None:
    there = shelves(mug=[("B1", "", 9)], cup=[("A1", "", 1)])
    lists = lists_of(WaveKind.ZONE, ["o1", "o2"], [wanted("o1", "mug", 1), wanted("o2", "cup", 2)], there, 12)
    assert [[(step.zone, step.bin, step.tote) for step in one] for one in lists] == [[("", "", 2)], [("A", "A1", 2)], [("B", "B1", 1)]]
    one_each = lists_of(WaveKind.SINGLE, ["o1", "o2"], [wanted("o1", "mug", 1), wanted("o2", "mug", 1)], shelves(mug=[("B1", "", 9)]), 12)
    assert [len(one) for one in one_each] == [1, 1]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.lists(st.integers(0, 9), max_size=3), st.sampled_from(list(WaveKind)))
def test_lists_ask_for_all_that_is_wanted_and_for_no_more_than_lies_there(quantities: list[int], there: list[int], kind: WaveKind) -> None:
    orders = [f"o{number}" for number, _ in enumerate(quantities)]
    held = [(name, "", quantity) for name, quantity in zip(("A1", "A2", "R1"), there, strict=False)]
    asked = [wanted(order_id, "mug", quantity) for order_id, quantity in zip(orders, quantities, strict=True)]
    steps = [step for one in lists_of(kind, orders, asked, shelves(mug=held), 3) for step in one]
    by_order = Counter[str]()
    by_bin = Counter[str]()
    for step in steps:
        by_order[step.wanted.fulfillment_order_id] += step.quantity
        by_bin[step.bin] += step.quantity
    assert by_order == Counter(dict(zip(orders, quantities, strict=True)))
    assert all(by_bin[name] <= quantity for name, _, quantity in held)
    assert by_bin[""] == max(0, sum(quantities) - sum(there))


def test_a_need_is_split_by_the_lots_that_are_kept_for_it() -> None:
    need = Need("o1", "1", "milk", 5, 1, [("L1", 2), ("L2", 1)])
    assert [(one.lot, one.quantity) for one in by_lots(need)] == [("L1", 2), ("L2", 1), ("", 2)]


def test_a_kit_is_picked_when_all_its_components_are_and_short_when_one_is() -> None:
    assert whole([Tally(2, 4, 0), Tally(1, 1, 1)]) == (1, 1)
    assert whole([Tally(2, 4, 1)]) == (2, 1)


@pytest.mark.parametrize(
    ("per_unit", "out", "remaining", "left", "shipped", "expected"),
    [
        (1, 0, 3, 3, 0, (0, 0)),
        (1, 0, 3, 1, 0, (0, 2)),
        (1, 3, 0, 1, 0, (2, 0)),
        (1, 2, 1, 0, 0, (2, 1)),
        (1, 3, 0, 1, 2, (0, 0)),
        (2, 4, 2, 1, 1, (0, 2)),
        (1, 0, 2, 0, 2, (0, 2)),
    ],
)
def test_what_does_not_ship_any_more_is_left_or_brought_back(
    per_unit: int, out: int, remaining: int, left: int, shipped: int, expected: tuple[int, int]
) -> None:
    assert surplus(per_unit, out, remaining, left, shipped) == Surplus(*expected)
