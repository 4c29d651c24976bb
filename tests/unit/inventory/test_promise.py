"""What can be promised, and for when."""

from hypothesis import given
from hypothesis import strategies as st

from chassis.kernel.clock import DAY
from services.inventory.domain.promise import ChannelPolicy, Coming, Outlook, available_to_sell
from services.inventory.domain.stock import Lot, kits_of, picking_order

NOW = 1_000 * DAY


def of(*there: int, **values: object) -> Outlook:
    return Outlook(there=[(Lot(""), quantity) for quantity in there], **values)  # type: ignore[arg-type]


def test_safety_stock_is_kept_back_and_nothing_is_promised_below_zero() -> None:
    assert [of(5, safety=2).promise(NOW, NOW), of(1, safety=2).promise(NOW, NOW)] == [3, 0]


def test_what_comes_by_then_counts_as_far_as_it_is_trusted_and_less_what_is_pegged() -> None:
    outlook = of(2, coming=[Coming(NOW + 3 * DAY, 10, 85)])
    assert [outlook.promise(NOW, NOW + day * DAY) for day in (0, 2, 3)] == [2, 2, 10]


def test_what_should_have_come_counts_nothing_until_it_is_dated_again() -> None:
    assert of(2, coming=[Coming(NOW - DAY, 10)]).promise(NOW, NOW + DAY) == 2


def test_demand_that_waits_counts_when_it_is_due_and_overdue_demand_at_once() -> None:
    assert of(10, waiting=[(NOW - DAY, 4)]).promise(NOW, NOW) == 6
    # What is promised today would be missing on the day when the other demand is due.
    assert of(10, waiting=[(NOW + 5 * DAY, 4)]).promise(NOW, NOW) == 6
    assert of(10, waiting=[(NOW + 5 * DAY, 4)], coming=[Coming(NOW + 4 * DAY, 20)]).promise(NOW, NOW) == 10


def test_a_lot_is_promised_only_while_it_lives_long_enough() -> None:
    outlook = Outlook(there=[(Lot("short", NOW + 10 * DAY), 3), (Lot("long", NOW + 100 * DAY), 4)])
    assert [outlook.promise(NOW, NOW, life) for life in (0, 9, 10, 99, 100)] == [7, 7, 4, 4, 0]
    assert outlook.promise(NOW, NOW + 20 * DAY) == 4


def test_first_expired_first_out_then_first_in_first_out() -> None:
    lots = [Lot("no expiry, old", received_at=1), Lot("late", 50, 9), Lot("soon", 10, 8), Lot("soon, older", 10, 2)]
    assert [one.lot for one in picking_order(lots)] == ["soon, older", "soon", "late", "no expiry, old"]


def test_a_kit_is_as_many_as_its_scarcest_component_allows() -> None:
    assert kits_of([("cup", 2), ("saucer", 1)], {"cup": 7, "saucer": 9}) == 3
    assert kits_of([("cup", 2), ("saucer", 1)], {"cup": 7}) == 0


def test_a_channel_is_shown_its_share_less_its_buffer_within_its_limits() -> None:
    assert available_to_sell({"a": 10, "b": 5}, ChannelPolicy(buffer=2, share_percent=50)) == 7
    assert available_to_sell({"a": 10, "b": 5}, ChannelPolicy(buffer=12)) == 3
    assert available_to_sell({"a": 10}, ChannelPolicy(share_percent=0)) == 0
    assert available_to_sell({"a": 10}, ChannelPolicy(most=4)) == 4
    assert available_to_sell({"a": 2}, ChannelPolicy(threshold=3)) == 0
    assert available_to_sell({}, ChannelPolicy(buffer=2)) == 0


@given(
    st.lists(st.integers(0, 100), max_size=4),
    st.lists(st.tuples(st.integers(-5, 30), st.integers(0, 50), st.integers(0, 100)), max_size=5),
    st.lists(st.tuples(st.integers(-5, 30), st.integers(0, 50)), max_size=5),
    st.integers(0, 20),
)
def test_a_promise_taken_up_leaves_all_others_kept(
    there: list[int], coming: list[tuple[int, int, int]], waiting: list[tuple[int, int]], safety: int
) -> None:
    supplies = [Coming(NOW + day * DAY, free, trust) for day, free, trust in coming]
    demands = [(NOW + day * DAY, quantity) for day, quantity in waiting]
    outlook = of(*there, coming=supplies, waiting=demands, safety=safety)
    for day in (0, 3, 12):
        promised = outlook.promise(NOW, NOW + day * DAY)
        assert promised >= 0
        if promised:
            # Whoever takes it all leaves just nothing: not less on any later day.
            after = of(*there, coming=supplies, waiting=[*demands, (NOW + day * DAY, promised)], safety=safety)
            assert after.promise(NOW, NOW + day * DAY) == 0
            later = [after._by(NOW, NOW + step * DAY) + sum(there) - safety for step in range(day, 31)]
            assert min(later) >= 0
