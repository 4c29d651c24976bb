"""Which locations ship: what fills most, then what costs least; blocked or empty places never block others."""

from services.fulfillment.domain.sourcing import Place, Policy, Rate, Want, cheapest, source

RATES = [Rate("SLOW", "std", 400, 100), Rate("FAST", "std", 700, 10)]
POLICY = Policy(1, 50, 300, 3)


def shares(outcome: object) -> dict[tuple[str, str], int]:
    chosen = outcome.chosen  # type: ignore[attr-defined]
    return {(share.line_id, share.location_id): share.quantity for share in chosen.shares} if chosen else {}


def test_one_place_is_better_than_two_where_it_has_all() -> None:
    wants = [Want("1", "A", 2, 500), Want("2", "B", 1, 500)]
    places = [Place("X", "DE", {"A": 2}), Place("Y", "DE", {"B": 1}), Place("Z", "DE", {"A": 2, "B": 1})]
    assert shares(source(wants, places, RATES, POLICY, complete=False)) == {("1", "Z"): 2, ("2", "Z"): 1}


def test_a_line_splits_where_no_place_has_all_of_it() -> None:
    outcome = source([Want("1", "A", 13, 100)], [Place("X", "DE", {"A": 10}), Place("Y", "DE", {"A": 15})], RATES, POLICY, complete=False)
    assert shares(outcome) == {("1", "Y"): 13}
    outcome = source([Want("1", "A", 13, 100)], [Place("X", "DE", {"A": 10}), Place("Y", "DE", {"A": 5})], RATES, POLICY, complete=False)
    assert shares(outcome) == {("1", "X"): 10, ("1", "Y"): 3}
    assert outcome.chosen is not None
    assert (outcome.chosen.handling_minor, outcome.chosen.split_minor) == (100, 300)


def test_two_lines_that_share_an_item_share_its_stock() -> None:
    outcome = source([Want("1", "A", 2, 1), Want("2", "A", 2, 1)], [Place("X", "DE", {"A": 3})], RATES, POLICY, complete=False)
    assert shares(outcome) == {("1", "X"): 2, ("2", "X"): 1}
    assert [(want.line_id, want.quantity) for want in outcome.short] == [("2", 1)]


def test_all_or_nothing_where_the_order_wants_it() -> None:
    outcome = source([Want("1", "A", 2, 1)], [Place("X", "DE", {"A": 1})], RATES, POLICY, complete=True)
    assert outcome.chosen is None
    assert outcome.candidates


def test_negative_or_no_stock_in_a_place_blocks_nobody() -> None:
    places = [Place("X", "DE", {"A": -5}), Place("Y", "DE", {}), Place("Z", "DE", {"A": 2})]
    assert shares(source([Want("1", "A", 2, 1)], places, RATES, POLICY, complete=False)) == {("1", "Z"): 2}


def test_a_line_of_a_thousand_is_decided_as_a_line_of_one() -> None:
    places = [Place(f"L{i}", "DE", {"A": 10**6}) for i in range(30)]
    one, many = (source([Want("1", "A", n, 1)], places, RATES, POLICY, complete=False) for n in (1, 1000))
    assert len(one.candidates) == len(many.candidates)


def test_the_cheapest_carrier_depends_on_the_weight() -> None:
    assert [cheapest(RATES, 1000).carrier, cheapest(RATES, 20_000).carrier, cheapest([], 5).carrier] == ["SLOW", "FAST", ""]
