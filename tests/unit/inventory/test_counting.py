"""When a count is believed, and what a feed's line changes."""

import pytest

from services.inventory.domain.counting import Attempt, Tolerance, believed
from services.inventory.domain.feeding import Books, judge_change, judge_picture
from services.inventory.domain.pegging import Need, Source, peg, promised

ONCE = Attempt("a", 100, {"": -5})


def test_near_enough_is_believed_at_once() -> None:
    assert believed([ONCE], Tolerance(percent=5))
    assert believed([ONCE], Tolerance(quantity=5))
    assert not believed([ONCE], Tolerance(percent=4, quantity=4))


def test_what_two_people_find_alike_is_believed_though_stock_moved_between() -> None:
    assert believed([ONCE, Attempt("b", 90, {"": -5})], Tolerance())
    assert not believed([ONCE, Attempt("a", 90, {"": -5})], Tolerance())
    assert not believed([ONCE, Attempt("b", 90, {"": -6})], Tolerance())
    assert believed([ONCE, Attempt("b", 90, {"": -6}), Attempt("c", 90, {"": -5})], Tolerance())


def test_too_little_of_one_lot_does_not_make_up_for_too_much_of_another() -> None:
    assert not believed([Attempt("a", 100, {"A": -5, "B": 5})], Tolerance(quantity=9))


@pytest.mark.parametrize(
    ("reported", "books", "change", "kind"),
    [
        (10, Books(10, 10), 0, ""),
        (12, Books(10, 10), 2, "DIFFERENT"),
        (7, Books(10, 10), -3, "DIFFERENT"),
        # Two left after the picture was taken: it is right.
        (10, Books(8, 8, moved_since=-2), 0, ""),
        (10, Books(13, 13, moved_since=3), 0, ""),
        # Four are released; they may have left and not be told yet.
        (7, Books(10, 6, allocated=4), 0, "ON_ITS_WAY_OUT"),
        (5, Books(10, 6, allocated=4), -1, "ON_ITS_WAY_OUT"),
        # Nine are promised: they are not taken from their orders.
        (7, Books(10, 1), -1, "PROMISED"),
        # Five are expected; they may have come and not be told yet.
        (15, Books(10, 10, coming=5), 0, "ON_ITS_WAY_IN"),
        (17, Books(10, 10, coming=5), 2, "ON_ITS_WAY_IN"),
        (7, Books(10, 10, coming=5), -3, "DIFFERENT"),
        # Of all lots together: they agree, or nobody says in which they differ.
        (10, Books(10, 10, all_lots=True), 0, ""),
        (12, Books(10, 10, all_lots=True), 0, "LOT_REQUIRED"),
        (7, Books(10, 6, allocated=4, all_lots=True), 0, "ON_ITS_WAY_OUT"),
    ],
)
def test_a_picture_is_held_against_the_books_of_its_moment(reported: int, books: Books, change: int, kind: str) -> None:
    verdict = judge_picture(reported, books)
    assert (verdict.change, verdict.kind) == (change, kind)


def test_a_change_happened_but_takes_nothing_from_orders() -> None:
    assert [judge_change(q, Books(10, 4)).change for q in (3, -4, -6)] == [3, -4, -4]
    assert judge_change(-6, Books(10, 4)).kind == "PROMISED"


def need(owner: str, quantity: int, priority: int = 0, wanted_at: int = 0) -> Need:
    return Need(1, owner, "1", quantity, priority, wanted_at, 0)


def test_the_most_urgent_gets_the_earliest_supply_in_parts_where_it_must() -> None:
    pegs = peg(
        [need("late", 4, wanted_at=9), need("soon", 4, wanted_at=1), need("vip", 3, priority=5)], [Source("b", 20, 5), Source("a", 10, 5)]
    )
    assert [(one.need.owner_id, one.quantity, one.source.inbound_id if one.source else "") for one in pegs] == [
        ("vip", 3, "a"), ("soon", 2, "a"), ("soon", 2, "b"), ("late", 3, "b"), ("late", 1, ""),
    ]  # fmt: skip
    dates = {owner: [one.source and one.source.due_at for one in pegs if one.need.owner_id == owner] for owner in ("vip", "soon", "late")}
    assert [promised(one) for one in dates.values()] == [10, 20, None]
