"""FIFO layers: what leaves takes its share, the last unit the rest, and nothing is lost."""

from hypothesis import given
from hypothesis import strategies as st

from services.inventory.domain.cost import Layer, take, unit_cost


@given(
    st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 10**9)), min_size=1, max_size=8),
    st.lists(st.integers(1, 400), min_size=1, max_size=20),
)
def test_value_is_conserved_whatever_is_taken(made: list[tuple[int, int]], wanted: list[int]) -> None:
    layers = [Layer(str(i), quantity, value) for i, (quantity, value) in enumerate(made)]
    units, value = sum(q for q, _ in made), sum(v for _, v in made)
    for quantity in wanted:
        taken = take(layers, quantity)
        assert sum(one.quantity for one in taken) == min(quantity, units)
        units -= sum(one.quantity for one in taken)
        value -= sum(one.value_minor for one in taken)
        assert (sum(layer.quantity for layer in layers), sum(layer.value_minor for layer in layers)) == (units, value)
        assert all(layer.value_minor == 0 for layer in layers if not layer.quantity)
        assert value >= 0


def test_the_oldest_goes_first_and_a_layer_empties_with_its_last_unit() -> None:
    layers = [Layer("old", 3, 100), Layer("new", 10, 5000)]
    taken = take(layers, 5)
    assert [(one.layer_id, one.quantity, one.value_minor) for one in taken] == [("old", 3, 100), ("new", 2, 1000)]


def test_thirteen_of_ten_and_fifteen_are_ten_and_three() -> None:
    assert [one.quantity for one in take([Layer("a", 10, 10), Layer("b", 15, 15)], 13)] == [10, 3]


def test_a_unit_cost_is_shown_at_six_decimals() -> None:
    assert unit_cost(100, 3) == "33.333333"
    assert unit_cost(1, 0) == "0.000000"


def test_a_moving_average_keeps_its_rate_and_flushes_the_rest() -> None:
    pool = Layer("pool", 0, 0)
    for quantity, value in ((3, 100), (4, 200)):
        pool.add(quantity, value, 0)
    assert [take([pool], 2)[0].value_minor for _ in range(3)] == [86, 86, 85]
    assert [one.value_minor for one in take([pool], 1)] == [43]
    assert (pool.quantity, pool.value_minor, pool.quantity_in, pool.value_in_minor) == (0, 0, 7, 300)


def test_what_leaves_takes_the_cost_of_its_own_lot_first() -> None:
    layers = [Layer("old", 5, 50, lot="A"), Layer("new", 5, 500, lot="B")]
    assert [(one.layer_id, one.quantity) for one in take(layers, 7, "B")] == [("new", 5), ("old", 2)]
