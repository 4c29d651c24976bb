"""Parcels: in which cartons units fit, what customs wants, what became of a parcel, and its label step by step."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from chassis.kernel.process import Do, HoldReleased
from services.fulfillment.domain.cartons import Carton, Packed, Unit, _Layout, cartonise
from services.fulfillment.domain.customs import Goods, crosses_border, missing
from services.fulfillment.domain.tracking import Told, latest
from services.fulfillment.process import form, label

SMALL, LARGE = Carton("S", (200, 150, 100), 5_000, 100), Carton("L", (400, 300, 200), 10_000, 250)
MUG = Unit("1", (100, 100, 100), 400)


def shown(parcels: list[Packed]) -> list[tuple[str, dict[str, int]]]:
    return [(one.carton.name if one.carton else "", one.lines) for one in parcels]


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ([MUG] * 2, [("S", {"1": 2})]),
        ([MUG] * 3, [("L", {"1": 3})]),
        ([MUG] * 24, [("L", {"1": 24})]),
        ([MUG] * 25, [("L", {"1": 24}), ("S", {"1": 1})]),
        ([Unit("2", (390, 10, 10), 10)], [("L", {"2": 1})]),
        ([Unit("3", (900, 10, 10), 10), MUG], [("S", {"1": 1}), ("", {"3": 1})]),
        ([Unit("4", (0, 0, 0), 3_000)] * 2, [("L", {"4": 2})]),
        ([Unit("5", (50, 50, 50), 6_000)] * 2, [("L", {"5": 1}), ("L", {"5": 1})]),
        ([Unit("6", (50, 50, 50), 11_000)], [("", {"6": 1})]),
    ],
)
def test_units_go_into_the_smallest_carton_that_takes_them(units: list[Unit], expected: list[tuple[str, dict[str, int]]]) -> None:
    assert shown(cartonise(units, [LARGE, SMALL])) == expected


def test_a_parcel_knows_its_weight_and_how_full_it_is() -> None:
    (one,) = cartonise([MUG] * 2, [SMALL])
    assert (one.weight_g, one.filled_percent) == (900, 66)


SIZES = st.tuples(st.integers(1, 400), st.integers(1, 300), st.integers(1, 200))


@settings(max_examples=60)
@given(st.lists(st.tuples(SIZES, st.integers(1, 9_000)), max_size=14))
def test_nothing_is_lost_doubled_or_packed_over_the_brim(given_units: list[tuple[tuple[int, int, int], int]]) -> None:
    units = [Unit(str(number), size, weight) for number, (size, weight) in enumerate(given_units)]
    parcels = cartonise(units, [SMALL, LARGE])
    assert Counter(unit for one in parcels for unit in one.units) == Counter(units)
    for one in parcels:
        assert one.carton is None or sum(unit.weight_g for unit in one.units) <= one.carton.most_weight_g
        assert one.filled_percent <= 100


@given(st.lists(SIZES, max_size=12))
def test_boxes_lie_inside_and_never_in_one_another(sizes: list[tuple[int, int, int]]) -> None:
    layout = _Layout((400, 300, 200))
    for size in sizes:
        layout.put(size)
    boxes = layout.boxes
    for number, (at, size) in enumerate(boxes):
        assert all(at[axis] + size[axis] <= (400, 300, 200)[axis] for axis in range(3))
        for other, own in boxes[number + 1 :]:
            assert any(at[axis] + size[axis] <= other[axis] or other[axis] + own[axis] <= at[axis] for axis in range(3))


@pytest.mark.parametrize(
    ("sender", "recipient", "postal_code", "crosses"),
    [
        ("DE", "DE", "10115", False), ("DE", "FR", "75001", False), ("DE", "CH", "8001", True), ("US", "US", "12345", False),
        ("GB", "DE", "10115", True), ("DE", "DE", "27498", True), ("ES", "ES", "51001", True), ("US", "DE", "10115", True),
    ],
)  # fmt: skip
def test_a_customs_border_is_known(sender: str, recipient: str, postal_code: str, crosses: bool) -> None:
    assert crosses_border(sender, recipient, postal_code) is crosses


def test_what_customs_misses_is_named() -> None:
    assert missing([Goods("MUG-1", "Mug", "", "PT"), Goods("CUP-1", "Cup", "691200", "")], "") == [
        "the sender's tax id: set it at the location's origin", "MUG-1: its HS code", "CUP-1: its country of origin",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ([("IN_TRANSIT", 2), ("PRE_TRANSIT", 1)], "IN_TRANSIT"),
        ([("DELIVERED", 2), ("IN_TRANSIT", 3)], "DELIVERED"),
        ([("DELIVERED", 2), ("IN_TRANSIT", 1), ("RETURNED", 4)], "RETURNED"),
        ([("RETURNED", 1), ("DELIVERED", 2)], "DELIVERED"),
        ([("LOST", 2), ("DELIVERED", 5)], "DELIVERED"),
        ([("OUT_FOR_DELIVERY", 2), ("FAILURE", 2)], "FAILURE"),
    ],
)
def test_the_latest_holds_and_nothing_undoes_delivered_but_returned(told: list[tuple[str, int]], status: str) -> None:
    assert latest([Told(*one) for one in told]).status == status
    assert latest([Told(*one) for one in reversed(told)]).status == status


EMPTY, KNOWN = label.State("p1", "USPS", ""), label.State("p1", "USPS", "", "shp_1")
QUOTED = label.Quoted("shp_1", "rate_1", "USPS", "Priority", 820, "USD")
BOUGHT = label.Bought("shp_1", "USPS", "Priority", "9400", "https://labels/1", 820, "USD")


@pytest.mark.parametrize(
    ("state", "message", "expected_state", "do", "changes", "ended"),
    [
        (EMPTY, label.Buy(), EMPTY, (Do("rate", label.AskRate("p1", "USPS", "")),), (), False),
        (EMPTY, QUOTED, KNOWN, (Do("buy", label.BuyRate("p1", QUOTED)),), (), False),
        (KNOWN, BOUGHT, KNOWN, (), (label.KeepLabel("p1", BOUGHT),), True),
        (KNOWN, label.Void(), KNOWN, (Do("void", label.GiveBack("p1", "shp_1")),), (), False),
        (KNOWN, label.Voided(), KNOWN, (), (label.KeepVoid("p1"),), True),
        (EMPTY, label.Refused("no"), EMPTY, (), (label.KeepFailure("p1", "no"),), True),
        (KNOWN, label.Refused("no"), KNOWN, (), (label.KeepFailure("p1", "no"),), True),
    ],
)
def test_a_label_step_by_step(
    state: label.State, message: Struct, expected_state: label.State, do: tuple[Do, ...], changes: tuple[Struct, ...], ended: bool
) -> None:
    found = label.decide(state, message, 0)
    assert (found.state, found.do, found.changes, found.ended) == (expected_state, do, changes, ended)


def test_a_form_is_asked_for_again_once_somebody_looked() -> None:
    once, again = form.State("m1", 1), form.State("m1", 2)
    found = form.decide(form.State("m1"), form.Want(), 0)
    assert (found.state, found.do, found.ended) == (once, (Do("ask/1", form.AskForm("m1")),), False)
    found = form.decide(once, form.Refused("not today"), 0)
    assert (found.state, found.changes, found.ended) == (once, (form.KeepFailure("not today"),), False)
    found = form.decide(once, HoldReleased("FORM_FAILED", "p", "asked them"), 0)
    assert (found.state, found.do) == (again, (Do("ask/2", form.AskForm("m1")),))
    found = form.decide(again, form.Made("https://forms/1"), 0)
    assert (found.changes, found.ended) == ((form.KeepForm("https://forms/1"),), True)
    with pytest.raises(TypeError, match="form knows no"):
        form.decide(once, form.AskForm("m1"), 0)


def test_what_it_does_not_know_it_refuses() -> None:
    with pytest.raises(TypeError, match="label knows no"):
        label.decide(EMPTY, label.GiveBack("p1", "x"), 0)
