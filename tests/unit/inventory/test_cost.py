"""FIFO layers: what leaves takes its share, the last unit the rest, and nothing is lost."""

from hypothesis import given
from hypothesis import strategies as st

from services.inventory.domain.cost import Layer, take, unit_cost
from services.inventory.domain.stock import available_to_promise, available_to_sell


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


def test_display_and_promise() -> None:
    assert unit_cost(100, 3) == "33.333333"
    assert unit_cost(1, 0) == "0.000000"
    assert [available_to_promise(5, 2), available_to_promise(1, 2)] == [3, 0]
    assert [available_to_sell({"a": 10, "b": 5}, 2, 50), available_to_sell({}, 2, 50), available_to_sell({"a": 3}, 0, 100)] == [7, 0, 3]
