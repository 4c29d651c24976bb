"""Which locations ship: what fills most, then what costs least; blocked or empty places never block others."""

from collections.abc import Sequence

from services.fulfillment.domain.sourcing import Ask, Outcome, Place, Rate, Terms, Want, cheapest, serving
from services.fulfillment.domain.sourcing import source as decide

RATES = [Rate("SLOW", "std", 400, 100), Rate("FAST", "std", 700, 10)]
TERMS = Terms(50, 300, 3)


def source(wants: Sequence[Want], places: Sequence[Place], terms: Terms = TERMS, *, complete: bool = False) -> Outcome:
    return decide(Ask(wants, places, RATES, terms, complete))


def shares(outcome: Outcome) -> dict[tuple[str, str], int]:
    chosen = outcome.chosen
    return {(share.line_id, share.location_id): share.quantity for share in chosen.shares} if chosen else {}


def test_one_place_is_better_than_two_where_it_has_all() -> None:
    wants = [Want("1", "A", 2, 500), Want("2", "B", 1, 500)]
    places = [Place("X", "DE", {"A": 2}), Place("Y", "DE", {"B": 1}), Place("Z", "DE", {"A": 2, "B": 1})]
    assert shares(source(wants, places)) == {("1", "Z"): 2, ("2", "Z"): 1}


def test_a_line_splits_where_no_place_has_all_of_it() -> None:
    outcome = source([Want("1", "A", 13, 100)], [Place("X", "DE", {"A": 10}), Place("Y", "DE", {"A": 15})])
    assert shares(outcome) == {("1", "Y"): 13}
    outcome = source([Want("1", "A", 13, 100)], [Place("X", "DE", {"A": 10}), Place("Y", "DE", {"A": 5})])
    assert shares(outcome) == {("1", "X"): 10, ("1", "Y"): 3}
    assert outcome.chosen is not None
    assert (outcome.chosen.handling_minor, outcome.chosen.split_minor) == (100, 300)


def test_two_lines_that_share_an_item_share_its_stock() -> None:
    outcome = source([Want("1", "A", 2, 1), Want("2", "A", 2, 1)], [Place("X", "DE", {"A": 3})])
    assert shares(outcome) == {("1", "X"): 2, ("2", "X"): 1}
    assert [(want.line_id, want.quantity) for want in outcome.short] == [("2", 1)]


def test_a_kit_and_what_it_is_made_of_share_its_stock() -> None:
    kit = Want("2", "SET", 1, 1, (("A", 2), ("B", 1)))
    places = [Place("X", "DE", {"A": 2, "B": 1}), Place("Y", "DE", {"A": 1})]
    # The set leaves no cup at X, although either alone could come from there.
    outcome = source([Want("1", "A", 1, 1), kit], places, complete=True)
    assert shares(outcome) == {("2", "X"): 1, ("1", "Y"): 1}
    assert shares(source([Want("1", "A", 1, 1), kit], places[:1])) == {("2", "X"): 1}
    assert source([Want("1", "A", 1, 1), kit], places[:1], complete=True).chosen is None
    # One place's cups and another's pot are no set.
    assert source([kit], [Place("X", "DE", {"A": 2}), Place("Y", "DE", {"B": 1})]).chosen is None


def test_all_or_nothing_where_the_order_wants_it() -> None:
    outcome = source([Want("1", "A", 2, 1)], [Place("X", "DE", {"A": 1})], complete=True)
    assert outcome.chosen is None
    assert outcome.candidates


def test_negative_or_no_stock_in_a_place_blocks_nobody() -> None:
    places = [Place("X", "DE", {"A": -5}), Place("Y", "DE", {}), Place("Z", "DE", {"A": 2})]
    assert shares(source([Want("1", "A", 2, 1)], places)) == {("1", "Z"): 2}


def test_a_line_of_a_thousand_is_decided_as_a_line_of_one() -> None:
    places = [Place(f"L{i}", "DE", {"A": 10**6}) for i in range(30)]
    one, many = (source([Want("1", "A", n, 1)], places) for n in (1, 1000))
    assert len(one.candidates) == len(many.candidates)


def test_the_cheapest_carrier_depends_on_the_weight() -> None:
    assert [cheapest(RATES, 1000).carrier, cheapest(RATES, 20_000).carrier, cheapest([], 5).carrier] == ["SLOW", "FAST", ""]


def test_rates_that_name_a_method_serve_it_alone() -> None:
    express = Rate("FAST", "air", 900, 0, "express")
    assert serving([*RATES, express], "express") == [express]
    assert serving([*RATES, express], "standard") == RATES


def test_lateness_scarcity_and_full_days_count_against_a_plan() -> None:
    near = Place("N", "DE", {"A": 2}, 0, 2, 500)
    far = Place("F", "DE", {"A": 10}, 100)
    want = [Want("1", "A", 2, 100)]
    assert shares(source(want, [near, far])) == {("1", "N"): 2}
    for terms in (Terms(50, 300, 3, late_day_minor=60), Terms(50, 300, 3, balance_minor=100), Terms(50, 300, 3, capacity_minor=300)):
        outcome = source(want, [near, far], terms)
        assert shares(outcome) == {("1", "F"): 2}
    plan = next(one for one in source(want, [near, far], Terms(50, 300, 3, 60, 100, 300)).candidates if one.location_ids == ("N",))
    assert (plan.late_minor, plan.late_days, plan.balance_minor, plan.capacity_minor) == (120, 2, 160, 150)
    assert plan.total_minor == plan.shipping_minor + 50 + 120 + 160 + 150


def test_a_split_that_is_cheaper_than_one_parcel_is_found_although_one_place_has_all() -> None:
    wants = [Want("1", "A", 1, 100), Want("2", "B", 1, 100)]
    places = [Place("X", "DE", {"A": 1, "B": 1}, 5000), Place("Y", "DE", {"A": 1}), Place("Z", "DE", {"B": 1})]
    assert shares(source(wants, places)) == {("1", "Y"): 1, ("2", "Z"): 1}
