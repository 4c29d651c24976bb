"""Orders that want the same stock: never worse than in turn, never more than there is, and the best where that can be counted out."""

import random
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest

from services.fulfillment.domain.optimise import optimise
from services.fulfillment.domain.planning import Batch, Location, Question, World, together
from services.fulfillment.domain.policy import Policy, Strategy
from services.fulfillment.domain.sourcing import Ask, Place, Rate, Share, Terms, Want, source

RATES = [Rate("P", "std", 400, 100)]
TERMS = Terms(50, 300, 3)


def judged(asks: list[Ask], shares: list[list[Share]]) -> tuple[int, int]:
    plans = [ask.plan(own) for ask, own in zip(asks, shares, strict=True)]
    return -sum(plan.filled for plan in plans), sum(plan.total_minor for plan in plans)


def best_of_all(asks: list[Ask], stock: dict[tuple[str, str], int]) -> tuple[int, int]:
    """Tries every way to take each unit of each order from some place or from none."""
    units = [(index, want) for index, ask in enumerate(asks) for want in ask.wants for _ in range(want.quantity)]
    places = ["", *(place.location_id for place in asks[0].places)]
    best = (1, 0)
    for choice in product(places, repeat=len(units)):
        left, shares = dict(stock), [[] for _ in asks]  # type: ignore[var-annotated]
        for (index, want), where in zip(units, choice, strict=True):
            if where:
                for item_id, each in want.takes:
                    left[item_id, where] = left.get((item_id, where), 0) - each
                shares[index].append(Share(want.line_id, want.item_id, where, 1))
        if min(left.values()) < 0 or any(len({share.location_id for share in own}) > 3 for own in shares):
            continue
        if any(ask.complete and own and len(own) < ask.wanted for ask, own in zip(asks, shares, strict=True)):
            continue
        best = min(best, judged(asks, shares))
    return best


@pytest.mark.parametrize("seed", range(12))
def test_it_finds_the_best_of_all_ways(seed: int) -> None:
    dice = random.Random(seed)
    stock = {(item, place): dice.randrange(3) for item in "AB" for place in "XY"}
    asks = []
    for number in range(3):
        wants = [Want(f"{number}{item}", item, 1 + (item == "A" and number == 0), 0) for item in dice.sample("AB", dice.choice((1, 2)))]
        places = [Place(place, "DE", {item: stock[item, place] for item in "AB"}, dice.randrange(300)) for place in "XY"]
        asks.append(Ask(wants, places, RATES, TERMS, complete=dice.random() < 0.3))
    answer = optimise(asks, [[] for _ in asks], stock, 5)
    assert judged(asks, answer.shares) == best_of_all(asks, stock)
    assert answer.gap_ppm == 0


@pytest.mark.parametrize("seed", range(8))
def test_kits_share_stock_with_what_they_are_made_of(seed: int) -> None:
    dice = random.Random(seed)
    stock = {(item, place): dice.randrange(5) for item in "AB" for place in "XY"}
    kinds = [("A", ()), ("SET", (("A", 2), ("B", 1))), ("PAIR", (("A", 2),))]
    asks = []
    for number in range(3):
        wants = [Want(f"{number}{item}", item, 1, 0, made) for item, made in dice.sample(kinds, 2)]
        places = [Place(place, "DE", {item: stock[item, place] for item in "AB"}, dice.randrange(300)) for place in "XY"]
        asks.append(Ask(wants, places, RATES, TERMS, complete=dice.random() < 0.3))
    answer = optimise(asks, [[] for _ in asks], stock, 5)
    assert judged(asks, answer.shares) == best_of_all(asks, stock)


def test_the_known_plan_is_kept_where_nothing_better_is_found() -> None:
    places = [Place("X", "DE", {"A": 1})]
    asks = [Ask([Want("1", "A", 1, 0)], places, RATES, TERMS), Ask([Want("2", "A", 1, 0)], places, RATES, TERMS)]
    known = [[Share("1", "A", "X", 1)], []]
    assert optimise(asks, known, {("A", "X"): 1}, 5).shares == known


def question(number: int, *items: str) -> Question:
    wants = [Want(f"{number}-{item}", item, 1, 100) for item in items]
    return Question(str(number), "web", "", "DE", "", "101", "", "EUR", wants)


def batch(stock: dict[tuple[str, str], int], kept_back: dict[tuple[str, str, str], int] | None = None) -> Batch:
    policy = Policy(1, [Strategy("all", "", frozenset(), TERMS, False)])
    places = {place: Location(place, "WAREHOUSE", "DE", "DE01") for _, place in stock}
    return Batch(policy, World({("", "EUR"): RATES}), places, stock, 0, kept_back or {})


def test_orders_of_kits_and_of_what_they_are_made_of_want_the_same_stock() -> None:
    sourcing = batch({("A", "X"): 2, ("B", "X"): 1, ("A", "Y"): 1})
    of_kit = question(2, "SET").with_kits({"SET": [("A", 2), ("B", 1)]})
    decided, contested = sourcing.in_turn([question(1, "A"), of_kit])
    assert contested == [0, 1]
    contest = sourcing.contest(decided, contested)
    assert contest is not None
    together(decided, contested, contest, optimise(contest.asks, contest.known, contest.stock, 5, contest.kept_back))
    assert [[share.location_id for share in one.shares] for one in decided] == [["Y"], ["X"]]


def test_who_comes_first_leaves_the_place_to_who_needs_it() -> None:
    # The first order could have A from X or Y; the second needs A and B from X to be one parcel.
    sourcing = batch({("A", "X"): 1, ("A", "Y"): 1, ("B", "X"): 1})
    questions = [question(1, "A"), question(2, "A", "B")]
    decided, contested = sourcing.in_turn(questions)
    assert contested == [0, 1]
    assert [one.how for one in decided] == ["IN_TURN", "IN_TURN"]
    assert {share.location_id for share in decided[1].shares} == {"X", "Y"}
    contest = sourcing.contest(decided, contested)
    assert contest is not None
    together(decided, contested, contest, optimise(contest.asks, contest.known, contest.stock, 5, contest.kept_back))
    assert [{share.location_id for share in one.shares} for one in decided] == [{"Y"}, {"X"}]
    assert [one.how for one in decided] == ["TOGETHER", "TOGETHER"]
    assert decided[0].outcome.candidates[0] == decided[0].outcome.chosen


def test_what_is_reserved_stays_unless_another_place_is_better_for_all_together() -> None:
    # Both are reserved at X; the second could be one parcel there, if the first left it, which costs the same.
    one = question(1, "A")._replace(held=[Share("1-A", "A", "X", 1)])
    two = question(2, "A", "B")._replace(held=[Share("2-A", "A", "Z", 1), Share("2-B", "B", "X", 1)])
    free = {("A", "X"): 0, ("A", "Y"): 1, ("A", "Z"): 0, ("B", "X"): 0}
    alone = batch(dict(free))
    alone.add_held([one])
    (stays,), _ = alone.in_turn([one])
    assert [share.location_id for share in stays.shares] == ["X"]
    sourcing = batch(dict(free))
    sourcing.add_held([one, two])
    decided, contested = sourcing.in_turn([one, two])
    contest = sourcing.contest(decided, contested)
    assert contest is not None
    together(decided, contested, contest, optimise(contest.asks, contest.known, contest.stock, 5, contest.kept_back))
    first, second = ({share.location_id for share in each.shares} for each in decided)
    assert second == {"X"}
    assert first < {"Y", "Z"}


def test_orders_that_do_not_meet_are_decided_alone() -> None:
    sourcing = batch({("A", "X"): 1, ("B", "X"): 9, ("B", "Y"): 9})
    decided, contested = sourcing.in_turn([question(1, "A"), question(2, "A"), question(3, "B")])
    assert contested == [0, 1]
    assert [one.how for one in decided] == ["IN_TURN", "IN_TURN", "ALONE"]
    assert [len(one.shares) for one in decided] == [1, 0, 1]
    assert sourcing.contest(decided, contested) is None


@pytest.mark.parametrize("seed", range(6))
def test_many_orders_take_no_more_than_there_is_and_cost_no_more_than_in_turn(seed: int) -> None:
    dice = random.Random(seed)
    stock = {(f"i{i}", f"p{p}"): dice.choice((0, 0, dice.randrange(6))) for i in range(12) for p in range(5)}
    sourcing = batch(stock)
    questions = [question(number, *dice.sample([f"i{i}" for i in range(12)], 3)) for number in range(25)]
    decided, contested = sourcing.in_turn(questions)
    contest = sourcing.contest(decided, contested)
    assert contest is not None
    before = judged(contest.asks, contest.known)
    answer = optimise(contest.asks, contest.known, contest.stock, 2, contest.kept_back)
    assert judged(contest.asks, answer.shares) <= before
    together(decided, contested, contest, answer)
    taken: dict[tuple[str, str], int] = {}
    for one in decided:
        wanted = {want.line_id: want.quantity for want in one.question.wants}
        for share in one.shares:
            taken[share.item_id, share.location_id] = taken.get((share.item_id, share.location_id), 0) + share.quantity
            wanted[share.line_id] -= share.quantity
        assert min(wanted.values()) >= 0
        assert sum(wanted.values()) == sum(want.quantity for want in one.outcome.short)
    assert all(quantity <= stock[key] for key, quantity in taken.items())


def test_a_lone_order_is_sourced_the_same_way() -> None:
    ask = Ask([Want("1", "A", 2, 100)], [Place("X", "DE", {"A": 1}), Place("Y", "DE", {"A": 1}, 10)], RATES, TERMS)
    alone = source(ask).chosen
    assert alone is not None
    assert judged([ask], optimise([ask], [[]], {("A", "X"): 1, ("A", "Y"): 1}, 5).shares) == (-2, alone.total_minor)  # type: ignore[comparison-overlap]


@pytest.mark.parametrize(("stock", "contested"), [(6, True), (9, False)])
def test_what_is_kept_back_from_a_method_is_kept_back_from_all_its_orders(stock: int, contested: bool) -> None:
    """Four units are for express: the others share the rest, and are contested where that is too little."""
    sourcing = batch({("A", "X"): stock}, {("A", "X", ""): 4, ("A", "X", "EXPRESS"): 0})
    questions = [*(question(number, "A") for number in range(5)), question(9, "A")._replace(method="EXPRESS")]
    decided, found = sourcing.in_turn(questions)
    assert bool(found) is contested
    assert [len(one.shares) for one in decided] == [int(number < stock - 4) for number in range(5)] + [1]


def test_together_they_take_no_more_than_is_left_to_their_methods() -> None:
    slow = [Ask([Want(str(number), "A", 1, 0)], [Place("X", "DE", {"A": 2})], RATES, TERMS) for number in range(3)]
    fast = [Ask([Want(str(number), "A", 1, 0)], [Place("X", "DE", {"A": 4})], RATES, TERMS) for number in range(7, 9)]
    kept_back: list[dict[tuple[str, str], int]] = [{("A", "X"): 2}] * 3 + [{}] * 2
    answer = optimise([*slow, *fast], [[]] * 5, {("A", "X"): 4}, 5, kept_back)
    taken = [len(own) for own in answer.shares]
    assert (sum(taken[:3]), sum(taken[3:])) == (2, 2)
    # What is reserved already stays.
    known = [[Share(str(number), "A", "X", 1)] for number in range(3)]
    assert optimise(slow, known, {("A", "X"): 3}, 5, kept_back[:3]).shares == known


def random_contest(seed: int, orders: int) -> tuple[list[Ask], list[list[Share]], dict[tuple[str, str], int]]:
    dice = random.Random(seed)
    stock = {(item, place): dice.randrange(5) for item in "ABC" for place in "XYZ"}
    asks = []
    for number in range(orders):
        wants = [Want(f"{number}{item}", item, 1 + dice.randrange(2), 100) for item in dice.sample("ABC", 2)]
        places = [Place(place, "DE", {item: stock[item, place] for item in "ABC"}, dice.randrange(300)) for place in "XYZ"]
        asks.append(Ask(wants, places, RATES, TERMS))
    return asks, [[] for _ in asks], stock


def test_two_threads_solve_at_a_time_each_its_own() -> None:
    """A replay or a large batch is solved beside the loop, which solves small ones meanwhile."""
    contests = [[random_contest(seed, orders) for seed in range(12)] for orders in (3, 8)]
    alone = [[optimise(*one, 5).shares for one in some] for some in contests]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(4):
            beside = list(pool.map(lambda some: [optimise(*one, 5).shares for one in some], contests))
            assert beside == alone
