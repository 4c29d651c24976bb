"""The life of an order: its known roads, one by one."""

from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from chassis.kernel.clock import DAY
from chassis.kernel.process import Fired, HoldReleased, Next, Timer
from services.orders.process import fulfil_order as f
from services.orders.process import messages as m
from services.orders.process import order_state as o
from services.orders.process.deadlines import RESTOCK_EVERY
from services.orders.process.take_back import CHANGED
from tests.unit.orders.test_order_roads import POLICIES


def walk(*messages: Struct, policy: int = o.SHIP_AVAILABLE, lines: dict[str, int] | None = None) -> Next[o.State]:
    following = Next(o.State("o", policy, {key: o.Line(0, quantity) for key, quantity in (lines or {"a": 2}).items()}))
    for message in messages:
        following = f.decide(following.state, message, 0)
    return following


def item(units: int = 1) -> m.Item:
    return m.Item("i", "S", units, "standard", 1, [], -1, False)


READY = (m.Placed(), m.ItemsResolved({"a": item()}), m.TaxCalculated({}, 0, False), m.Validated([]))
PLANNED = (*READY, m.Planned([m.Part("a", "X", 2)], []))


def asked(following: Next[o.State]) -> list[Any]:
    return [do.effect for do in following.do]


def test_the_straight_road() -> None:
    assert asked(walk(*READY)) == [m.PlanOrder("o", [m.LineCount("a", 2)], [], False)]
    assert asked(walk(*PLANNED)) == [m.ReserveStock("o", [m.Part("a", "X", 2)])]
    assert asked(walk(*PLANNED, m.Reserved())) == [m.ReleaseOrder("o", [m.Part("a", "X", 2)])]
    end = walk(*PLANNED, m.Reserved(), m.Released(), m.Shipped("s", [m.Part("a", "X", 2)]))
    assert end.ended
    assert m.Complete() in end.changes


LATER = f.SOURCE_AGAIN_AFTER


def let_go_later(*messages: Struct) -> Next[o.State]:
    """An order of three that is reserved at X is held, and let go an hour later."""
    held = (m.Placed(), m.ItemsResolved({"a": item()}), m.TaxCalculated({}, 0, False), m.Validated(["HIGH_RISK"]))
    following = walk(*held, m.Planned([m.Part("a", "X", 3)], []), m.Reserved(), lines={"a": 3})
    for message in (HoldReleased("HIGH_RISK", "p", "looked at"), *messages):
        following = f.decide(following.state, message, LATER)
    return following


def test_what_waited_reserved_is_sourced_again_before_it_is_released() -> None:
    held = [m.Part("a", "X", 3)]
    assert asked(let_go_later()) == [m.PlanOrder("o", [m.LineCount("a", 3)], [], False, held)]
    # Where it is, it stays.
    assert asked(let_go_later(m.Planned(held, []))) == [m.ReleaseOrder("o", held)]
    # Better from elsewhere, it is moved, as far as there is still something; promised anew once all is.
    moves = [m.Move("a", "X", "Y", 2), m.Move("a", "X", "Z", 1)]
    planned = m.Planned([m.Part("a", "Z", 1), m.Part("a", "Y", 2)], [], 99)
    assert asked(let_go_later(planned)) == [m.MoveReservations("o", moves)]
    end = let_go_later(planned, m.Moved(moves))
    assert asked(end) == [m.ReleaseOrder("o", [m.Part("a", "Y", 2), m.Part("a", "Z", 1)])]
    assert m.KeepPromise(99, False) in end.changes
    end = let_go_later(planned, m.Moved(moves[:1]))
    assert asked(end) == [m.ReleaseOrder("o", [m.Part("a", "X", 1), m.Part("a", "Y", 2)])]
    assert not [one for one in end.changes if isinstance(one, m.KeepPromise)]


@pytest.mark.parametrize(
    "answer", [m.StepFailed("plan", "NO_POLICY"), m.Planned([], [m.LineCount("a", 3)]), m.Planned([m.Part("a", "Y", 2)], [])]
)
def test_what_cannot_be_sourced_again_ships_from_where_it_is_reserved(answer: Struct) -> None:
    end = let_go_later(answer)
    assert asked(end) == [m.ReleaseOrder("o", [m.Part("a", "X", 3)])]
    assert end.state.holds == []


def test_what_is_cancelled_while_it_is_moved_is_cancelled_from_where_it_is() -> None:
    planned = m.Planned([m.Part("a", "Y", 3)], [])
    cancel = m.CancelRequested([m.LineCount("a", 1)], "changed my mind")
    end = let_go_later(planned, cancel, m.Moved([m.Move("a", "X", "Y", 3)]))
    assert asked(end) == [m.CancelReservation("o", [m.Taken("a", 1, "Y")], "changed my mind")]
    end = f.decide(end.state, m.ReservationCancelled(), LATER)
    assert asked(end) == [m.ReleaseOrder("o", [m.Part("a", "Y", 2)])]


def test_what_is_cancelled_is_taken_from_where_it_is_said_to_be() -> None:
    """Supply came elsewhere: inventory, which would begin with what was reserved first, is told where to take from."""
    plan = m.Planned([m.Part("a", "Y", 1), m.Part("a", "X", 1)], [])
    held = walk(*READY[:3], m.Validated(["HIGH_RISK"]), plan, m.Reserved())
    end = f.decide(held.state, m.CancelRequested([m.LineCount("a", 1)], "changed my mind"), 0)
    assert asked(end) == [m.CancelReservation("o", [m.Taken("a", 1, "X")], "changed my mind")]
    # Where more is by the time of the answer, it stays.
    line = replace(end.state.lines["a"], reserved={"W": 3, "X": 1, "Y": 1})
    end = f.decide(replace(end.state, lines={"a": line}), m.ReservationCancelled(), 0)
    assert (end.state.lines["a"].reserved, end.state.lines["a"].cancelled) == ({"W": 3, "Y": 1}, 1)
    assert m.BookCancellation([m.LineCount("a", 1)], "changed my mind") in end.changes


def test_a_unit_of_the_channel_may_be_many_of_stock() -> None:
    following = walk(m.Placed(), m.ItemsResolved({"a": item(6)}), m.TaxCalculated({}, 0, False), m.Validated([]))
    assert asked(following) == [m.PlanOrder("o", [m.LineCount("a", 12)], [], False)]
    # Eleven of twelve are one whole unit of the channel.
    following = f.decide(following.state, m.Planned([m.Part("a", "X", 11)], [m.LineCount("a", 1)]), 0)
    assert asked(following) == [m.ReserveStock("o", [m.Part("a", "X", 6)])]


def test_three_refused_reservations_are_out_of_stock() -> None:
    messages: list[Struct] = list(READY)
    for _ in range(3):
        messages += [m.Planned([m.Part("a", "X", 2)], []), m.ReserveRefused("INSUFFICIENT_STOCK")]
    end = walk(*messages)
    assert "OUT_OF_STOCK" in end.state.holds
    assert asked(walk(*messages, Fired("restock"))) == [m.PlanOrder("o", [m.LineCount("a", 2)], [], False)]


def test_what_is_refused_together_is_reserved_line_by_line() -> None:
    both = m.Planned([m.Part("a", "X", 2), m.Part("b", "X", 1)], [])
    known = (m.Placed(), m.ItemsResolved({"a": item(), "b": item()}), m.TaxCalculated({}, 0, False), m.Validated([]))
    refused = (*known, both, m.ReserveRefused("INSUFFICIENT_STOCK"), both)
    lines = {"a": 2, "b": 1}
    assert asked(walk(*refused, lines=lines)) == [m.ReserveStock("o", [m.Part("a", "X", 2)])]
    again = (*refused, m.ReserveRefused("INSUFFICIENT_STOCK"), both)
    assert asked(walk(*again, lines=lines)) == [m.ReserveStock("o", [m.Part("b", "X", 1)])]
    assert asked(walk(*again, m.Reserved(), lines=lines)) == [m.PlanOrder("o", [m.LineCount("a", 2)], [], False)]
    whole = walk(*refused, policy=o.SHIP_COMPLETE, lines=lines)
    assert asked(whole) == [m.ReserveStock("o", list(both.parts))]


def test_a_hold_reserves_but_does_not_release_and_a_data_hold_reserves_nothing() -> None:
    unpaid = (*READY[:3], m.Validated(["AWAITING_PAYMENT"]), m.Planned([m.Part("a", "X", 2)], []))
    assert asked(walk(*unpaid)) == [m.ReserveStock("o", [m.Part("a", "X", 2)])]
    assert asked(walk(*unpaid, m.Reserved())) == []
    assert asked(walk(*unpaid, m.Reserved(), m.Paid())) == [m.ReleaseOrder("o", [m.Part("a", "X", 2)])]
    unknown = walk(m.Placed(), m.ItemsResolved({}))
    assert unknown.state.holds == ["UNKNOWN_SKU"]
    assert not unknown.do


def test_a_partial_cancellation_before_validation_skips_nothing() -> None:
    following = walk(m.Placed(), m.CancelRequested([m.LineCount("a", 1)], "x"), m.ItemsResolved({"a": item()}))
    assert asked(following) == [m.CalculateTax("o")]
    following = f.decide(following.state, m.TaxCalculated({}, 0, False), 0)
    assert not following.state.validated
    following = f.decide(following.state, m.Validated([]), 0)
    assert asked(following) == [m.PlanOrder("o", [m.LineCount("a", 1)], [], False)]
    assert following.state.lines["a"].cancelled == 1


def test_what_is_cancelled_while_it_is_planned_is_not_reserved() -> None:
    following = walk(*READY, m.CancelRequested([m.LineCount("a", 1)], "x"), m.Planned([m.Part("a", "X", 2)], []))
    assert asked(following) == [m.ReserveStock("o", [m.Part("a", "X", 1)])]


def test_what_a_location_does_not_find_is_sourced_elsewhere() -> None:
    following = walk(*PLANNED, m.Reserved(), m.Released(), m.Shorted([m.Part("a", "X", 1)]))
    assert asked(following) == [m.PlanOrder("o", [m.LineCount("a", 1)], ["X"], False)]


def test_a_shipment_that_overtakes_the_answer_to_the_release_counts() -> None:
    end = walk(*PLANNED, m.Reserved(), m.Shipped("s", [m.Part("a", "X", 2)]))
    assert end.state.lines["a"].shipped == 2
    assert not end.ended
    assert f.decide(end.state, m.Released(), 0).ended


def test_a_failed_step_waits_for_a_person_and_is_asked_again() -> None:
    failed = walk(*PLANNED, m.StepFailed("reserve", "NOT_FOUND: no item"))
    assert failed.state.holds == ["INTEGRATION_FAILED"]
    assert asked(f.decide(failed.state, HoldReleased("INTEGRATION_FAILED", "p", "fixed"), 0))
    cancelled = f.decide(failed.state, m.CancelRequested([], "give up"), 0)
    assert cancelled.ended


def short(waiting: int = 3, **reserved: int) -> o.State:
    """Returns an order that waits for stock and has some reserved already."""
    line = o.Line(1, waiting, reserved=dict(reserved))
    return o.State("o", o.SHIP_COMPLETE, {"1": line}, validated=True, short=True, holds=["OUT_OF_STOCK"])


def test_what_waited_is_reserved_when_supply_came_and_goes_out() -> None:
    following = f.decide(short(3, X=1), m.SupplyCame([m.Part("1", "X", 3)]), 0)
    assert following.state.lines["1"] == o.Line(1, 0, reserved={"X": 4})
    assert m.LiftHold("OUT_OF_STOCK") in following.changes
    assert [type(one.effect) for one in following.do] == [m.ReleaseOrder]


def test_what_comes_too_late_is_given_back_where_it_came() -> None:
    following = f.decide(short(1), m.SupplyCame([m.Part("1", "X", 3), m.Part("9", "X", 1)]), 0)
    assert asked(following) == [m.GiveBack("o", [m.Part("1", "X", 2), m.Part("9", "X", 1)])]
    following = f.decide(following.state, m.ReservationCancelled(), 0)
    assert following.state.surplus == []
    assert asked(following) == [m.ReleaseOrder("o", [m.Part("1", "X", 1)])]


def test_what_a_more_urgent_order_took_is_planned_again() -> None:
    state = o.State("o", o.SHIP_AVAILABLE, {"1": o.Line(1, 0, reserved={"X": 4})}, validated=True, holds=["AWAITING_PAYMENT"])
    following = f.decide(state, m.StockTaken([m.Part("1", "X", 3)], "vip"), 0)
    assert following.state.lines["1"] == o.Line(1, 3, reserved={"X": 1})
    assert [type(one.effect) for one in following.do] == [m.PlanOrder]


def test_what_was_released_meanwhile_is_held() -> None:
    state = o.State("o", o.SHIP_AVAILABLE, {"1": o.Line(1, 0, released={"X": 4})}, validated=True)
    following = f.decide(state, m.StockTaken([m.Part("1", "X", 3)], "vip"), 0)
    assert following.state.holds == ["STOCK_TAKEN"]
    assert following.state.lines["1"] == o.Line(1, 0, released={"X": 4})


def test_what_inventory_does_by_itself_waits_for_the_answer_that_is_asked() -> None:
    asking = o.State("o", o.SHIP_AVAILABLE, {"1": o.Line(1, 2, reserved={"X": 1})}, validated=True, asking="plan", asked=1)
    told = f.decide(asking, m.StockTaken([m.Part("1", "X", 1)], "vip"), 0).state
    assert (told.asking, told.lines["1"].waiting) == ("plan", 2)
    after = f.decide(told, m.Planned([], []), 0).state
    assert (after.later, after.lines["1"].waiting, after.lines["1"].reserved) == ([], 3, {})


def test_what_a_location_rejects_is_sourced_elsewhere_and_its_promise_is_kept() -> None:
    following = walk(*PLANNED[:-1], m.Planned([m.Part("a", "X", 2)], [], 500), m.Reserved(), m.Released())
    assert m.KeepPromise(500, partial=False) in walk(*PLANNED[:-1], m.Planned([m.Part("a", "X", 2)], [], 500)).changes
    following = f.decide(following.state, m.Rejected([m.Part("a", "X", 2)], "NO_ACK: silent"), 0)
    assert following.changes[0] == m.Record("REJECTED", "X: NO_ACK: silent")
    (do,) = following.do
    assert isinstance(do.effect, m.PlanOrder)
    assert do.effect.excluded_location_ids == ["X"]


SHORT = (*READY, m.Planned([], [m.LineCount("a", 2)]))


def test_what_is_short_waits_for_supply_and_is_told_until_when() -> None:
    following = walk(*SHORT, policy=o.BACKORDER)
    assert asked(following) == [m.PlaceDemand("o", "a", 2)]
    following = f.decide(following.state, m.Demanded("a", 2, True, 500), 0)
    assert m.KeepPromise(500, True) in following.changes
    assert following.timers == (Timer("supply", 500 + DAY),)
    assert not following.do
    later = f.decide(following.state, m.SupplyDated("a", 900), 0)
    assert (later.changes, later.timers) == ((m.KeepPromise(900, True),), (Timer("supply", 900 + DAY),))
    came = f.decide(later.state, m.SupplyCame([m.Part("a", "X", 2)]), 0)
    assert asked(came) == [m.ReleaseOrder("o", [m.Part("a", "X", 2)])]


def test_supply_that_is_not_in_sight_or_late_is_a_hold_until_it_is_dated() -> None:
    following = walk(*SHORT, m.Demanded("a", 2, True, None), policy=o.BACKORDER)
    assert following.state.holds == ["UNKNOWN_DATE"]
    dated = f.decide(following.state, m.SupplyDated("a", 500), 0)
    assert m.LiftHold("UNKNOWN_DATE") in dated.changes
    late = f.decide(dated.state, Fired("supply"), 500 + DAY)
    assert late.state.holds == ["UNKNOWN_DATE"]
    # Now and then, and when somebody lets the hold go, it is looked for everywhere again.
    assert following.timers == (Timer("restock", RESTOCK_EVERY),)
    for message in (Fired("restock"), HoldReleased("UNKNOWN_DATE", "p", "look again")):
        again = f.decide(following.state, message, 0)
        assert asked(again) == [m.CancelDemand("o", "a")]
        assert asked(f.decide(again.state, m.DemandCancelled("a"), 0)) == [m.PlanOrder("o", [m.LineCount("a", 2)], [], False)]


def test_what_cannot_wait_for_supply_is_out_of_stock() -> None:
    following = walk(*SHORT, m.DemandRefused("a", "KIT"), policy=o.BACKORDER)
    assert following.state.holds == ["OUT_OF_STOCK"]
    assert not following.do


def test_a_line_that_waits_is_cancelled_after_it_waits_no_more() -> None:
    waiting = walk(*SHORT, m.Demanded("a", 2, True, 500), policy=o.BACKORDER)
    following = f.decide(waiting.state, m.CancelRequested([m.LineCount("a", 1)], "one is enough"), 0)
    assert asked(following) == [m.CancelDemand("o", "a")]
    following = f.decide(following.state, m.DemandCancelled("a"), 0)
    assert m.BookCancellation([m.LineCount("a", 1)], "one is enough") in following.changes
    # The other one is looked for again, and waits again where it is not found.
    assert asked(following) == [m.PlanOrder("o", [m.LineCount("a", 1)], [], False)]


def test_a_change_gives_back_what_is_under_way_and_the_order_is_looked_at_again() -> None:
    released = walk(*PLANNED, m.Reserved(), m.Released())
    following = f.decide(released.state, m.ChangeRequested("c"), 0)
    assert asked(following) == [m.RecallOrder("o", [m.LineCount("a", 2)], CHANGED)]
    following = f.decide(following.state, m.Recalled([m.Part("a", "X", 2)]), 0)
    assert m.SettleChange("c") in following.changes
    assert asked(following) == [m.ResolveItems("o")]
    # It is planned again once it is taxed and judged; what the rules do not hold it for any more is let go.
    held = o.State("o", o.SHIP_AVAILABLE, {"a": o.Line(1, 2)}, asking="tax", holds=["HIGH_RISK", "OUT_OF_STOCK"], judged=["HIGH_RISK"])
    following = f.decide(held, m.Validated(["OVERDUE"]), 0)
    assert m.LiftHold("HIGH_RISK") in following.changes
    assert following.state.holds == ["OUT_OF_STOCK", "OVERDUE"]


def test_a_change_comes_too_late_for_what_is_on_its_way() -> None:
    released = walk(*PLANNED, m.Reserved(), m.Released())
    following = f.decide(released.state, m.ChangeRequested("c"), 0)
    following = f.decide(following.state, m.Recalled([m.Part("a", "X", 1)]), 0)
    assert m.SettleChange("c", "1 unit is on the way already") in following.changes
    assert asked(following) == [m.PlanOrder("o", [m.LineCount("a", 1)], [], False)]
    shipped = walk(*PLANNED, m.Reserved(), m.Released(), m.Shipped("s", [m.Part("a", "X", 1)]))
    following = f.decide(shipped.state, m.ChangeRequested("c"), 0)
    assert m.SettleChange("c", "1 unit has shipped or been cancelled since it was asked") in following.changes


def test_of_a_line_that_has_shipped_in_part_the_rest_goes_on_as_another() -> None:
    shipped = walk(*PLANNED, m.Reserved(), m.Released(), m.Shipped("s", [m.Part("a", "X", 1)]))
    following = f.decide(shipped.state, m.ChangeRequested("c", [m.LineCount("a", 3)], 0, 1, {"a": "rest"}), 0)
    if following.do:
        following = f.decide(following.state, m.Recalled([m.Part("a", "X", 1)]), 0)
    assert m.SettleChange("c") in following.changes
    lines = following.state.lines
    assert (lines["a"].shipped, o.open_of(lines["a"]), o.open_of(lines["rest"])) == (1, 0, 3)
    # What a location ships after it gave it back is counted for the rest.
    late = f.decide(following.state, m.Shipped("t", [m.Part("a", "X", 1)]), 0)
    assert [part.line_id for part in late.state.ahead[0].parts] == ["rest"]


def test_a_change_of_what_is_reserved_reserves_again() -> None:
    held = walk(*READY[:3], m.Validated(["HIGH_RISK"]), m.Planned([m.Part("a", "X", 2)], []), m.Reserved())
    following = f.decide(held.state, m.ChangeRequested("c"), 0)
    assert asked(following) == [m.CancelReservation("o", [m.Taken("a", 2, "X")], CHANGED)]
    following = f.decide(following.state, m.ReservationCancelled(), 0)
    assert (following.state.lines["a"].waiting, following.state.lines["a"].reserved) == (2, {})
    assert asked(following) == [m.ResolveItems("o")]


def test_other_lines_answer_what_stood_in_the_way_of_those_before() -> None:
    unknown = walk(m.Placed(), m.ItemsResolved({}))
    assert unknown.state.holds == ["UNKNOWN_SKU"]
    wanted = [m.LineCount("a", 0), m.LineCount("b", 3)]
    following = f.decide(unknown.state, m.ChangeRequested("c", wanted), 0)
    assert following.changes[:2] == (m.SettleChange("c"), m.LiftHold("UNKNOWN_SKU"))
    assert following.state.lines == {"a": o.Line(0, 0), "b": o.Line(0, 3)}
    assert asked(following) == [m.ResolveItems("o")]
    # The new line is in boxes of two; the old one is asked for no more.
    following = f.decide(following.state, m.ItemsResolved({"b": item(2)}), 0)
    assert following.state.lines["b"] == o.Line(2, 6)
    assert following.state.holds == []
    following = f.decide(following.state, m.TaxCalculated({"b": 19}, 0, False), 0)
    assert following.changes == (m.KeepTax({"b": 19}, 0, False, True),)
    assert not following.state.changed
    following = f.decide(following.state, m.Validated([]), 0)
    assert asked(following) == [m.PlanOrder("o", [m.LineCount("b", 6)], [], False)]


def test_more_of_a_line_is_planned_once_all_of_it_is_had_back() -> None:
    released = walk(*PLANNED, m.Reserved(), m.Released())
    following = f.decide(released.state, m.ChangeRequested("c", [m.LineCount("a", 5)]), 0)
    assert asked(following) == [m.RecallOrder("o", [m.LineCount("a", 2)], CHANGED)]
    following = f.decide(following.state, m.Recalled([m.Part("a", "X", 2)]), 0)
    assert following.state.lines["a"] == o.Line(1, 5)
    assert following.changes[-1] == m.KeepQuantities({"a": m.Counts(5, 0, 0, 0, 0)})
    # Whoever ships what they gave back is counted; more than is wanted is held.
    late = f.decide(following.state, m.Shipped("s", [m.Part("a", "X", 2)]), 0)
    assert late.state.lines["a"].waiting == 5, "not before what is asked is answered"


def test_what_customs_would_stop_stays_reserved_until_somebody_enters_what_is_missing() -> None:
    refused = walk(*PLANNED, m.Reserved(), m.ReleaseRefused("an HS code"))
    assert m.RaiseHold("DOCUMENTS_MISSING", "an HS code") in refused.changes
    assert (refused.state.lines["a"].reserved, asked(refused)) == ({"X": 2}, [])
    again = f.decide(refused.state, HoldReleased("DOCUMENTS_MISSING", "p", "entered"), 0)
    assert asked(again) == [m.ReleaseOrder("o", [m.Part("a", "X", 2)])]


def test_an_order_that_shall_go_together_may_be_split_after_all() -> None:
    short = walk(*READY, m.Planned([m.Part("a", "X", 1)], [m.LineCount("a", 1)]), policy=o.HOLD_SHORT)
    assert short.state.holds == ["OUT_OF_STOCK"]
    following = f.decide(short.state, m.ChangeRequested("c", [], o.SHIP_AVAILABLE), 0)
    assert m.LiftHold("OUT_OF_STOCK") in following.changes
    assert (following.state.policy, following.state.change_policy, following.state.holds) == (o.SHIP_AVAILABLE, 0, [])
    for message in READY[1:]:
        following = f.decide(following.state, message, 0)
    following = f.decide(following.state, m.Planned([m.Part("a", "X", 1)], [m.LineCount("a", 1)]), 0)
    assert asked(following) == [m.ReserveStock("o", [m.Part("a", "X", 1)])]


def test_a_change_of_lines_that_comes_too_late_leaves_them() -> None:
    released = walk(*PLANNED, m.Reserved(), m.Released())
    following = f.decide(released.state, m.ChangeRequested("c", [m.LineCount("a", 0), m.LineCount("b", 1)]), 0)
    following = f.decide(following.state, m.Recalled([m.Part("a", "X", 1)]), 0)
    assert m.SettleChange("c", "1 unit is on the way already") in following.changes
    assert (following.state.change_lines, list(following.state.lines)) == ([], ["a"])


def test_what_nobody_collects_is_cancelled_and_nothing_else_changes() -> None:
    released = walk(*PLANNED, m.Reserved(), m.Released())
    one = f.decide(released.state, m.Shipped("s", [m.Part("a", "X", 1)]), 0)
    following = f.decide(one.state, m.NotCollected([m.Part("a", "X", 1)]), 0)
    assert m.BookCancellation([m.LineCount("a", 1)], "it was not collected in time") in following.changes
    assert following.ended
    # What was called back meanwhile is not cancelled twice.
    again = f.decide(following.state, m.NotCollected([m.Part("a", "X", 1)]), 0)
    assert again.state == following.state


def early(units: int = 1) -> m.Item:
    return m.Item("i", "S", units, "standard", 1, [], -1, False, sellable_from=50 * DAY)


EARLY = (m.Placed(), m.ItemsResolved({"a": early()}), m.TaxCalculated({}, 0, False), m.Validated([]))


def test_what_is_not_sold_yet_is_reserved_promised_for_its_day_and_stays_until_then() -> None:
    following = walk(*EARLY, m.Planned([m.Part("a", "X", 2)], [], 3 * DAY))
    assert m.KeepPromise(50 * DAY, partial=False) in following.changes
    following = f.decide(following.state, m.Reserved(), 0)
    assert not following.do
    # The day is looked at again every day: it may be moved.
    assert Timer("sale", DAY) in walk(*EARLY[:2]).timers
    asking = f.decide(following.state, Fired("sale"), DAY)
    assert asked(asking) == [m.AskSale("o")]
    moved = f.decide(asking.state, m.SaleDated({"a": 60 * DAY}), DAY)
    assert m.KeepPromise(60 * DAY, partial=True) in moved.changes
    assert moved.timers == (Timer("sale", 2 * DAY),)
    asking = f.decide(moved.state, Fired("sale"), 60 * DAY)
    sold = f.decide(asking.state, m.SaleDated({"a": 60 * DAY}), 60 * DAY)
    assert m.KeepSale({"a": 0}) in sold.changes
    # It waited for so long that it may ship better from elsewhere by now.
    held = [m.Part("a", "X", 2)]
    assert asked(sold) == [m.PlanOrder("o", [m.LineCount("a", 2)], [], False, held)]
    assert asked(f.decide(sold.state, m.Planned(held, []), 60 * DAY)) == [m.ReleaseOrder("o", held)]


@pytest.mark.parametrize("policy", POLICIES)
def test_what_is_not_sold_yet_and_not_there_waits_for_supply_whatever_happens_to_what_is_short(policy: int) -> None:
    following = walk(*EARLY, m.Planned([], [m.LineCount("a", 2)]), policy=policy)
    assert asked(following) == [m.PlaceDemand("o", "a", 2, preorder=True)]
    following = f.decide(following.state, m.Demanded("a", 2, True, 3 * DAY), 0)
    assert m.KeepPromise(50 * DAY, partial=True) in following.changes
    assert not following.state.holds
    came = f.decide(following.state, m.SupplyCame([m.Part("a", "X", 2)]), 4 * DAY)
    assert not came.do


def test_what_is_sold_leaves_before_what_is_not_unless_all_shall_go_together() -> None:
    lines = {"a": 1, "b": 1}
    known = m.ItemsResolved({"a": early(), "b": item()})
    planned = (m.Placed(), known, *EARLY[2:], m.Planned([m.Part("a", "X", 1), m.Part("b", "X", 1)], []), m.Reserved())
    assert asked(walk(*planned, lines=lines)) == [m.ReleaseOrder("o", [m.Part("b", "X", 1)])]
    assert asked(walk(*planned, lines=lines, policy=o.SHIP_COMPLETE)) == []
    cancelled = walk(*planned, m.CancelRequested([m.LineCount("a", 1)], "x"), m.ReservationCancelled(), lines=lines, policy=o.SHIP_COMPLETE)
    assert asked(cancelled) == [m.ReleaseOrder("o", [m.Part("b", "X", 1)])]


def test_a_preordered_kit_that_may_not_wait_is_a_persons_matter_once() -> None:
    following = walk(*EARLY, m.Planned([], [m.LineCount("a", 2)]), m.DemandRefused("a", "KIT"))
    assert following.state.holds == ["OUT_OF_STOCK"]
    assert not following.do


def kept(reasons: list[str], policy: int = o.SHIP_AVAILABLE) -> Next[o.State]:
    """An order of two that is reserved at X, and may not be released."""
    return walk(*READY[:3], m.Validated(reasons), m.Planned([m.Part("a", "X", 2)], []), m.Reserved(), policy=policy)


@pytest.mark.parametrize(
    ("reasons", "days"), [(["HIGH_RISK"], 3), (["INCORRECT_ADDRESS", "AWAITING_PAYMENT"], 7), (["HIGH_RISK", "INTEGRATION_FAILED"], 0)]
)
def test_stock_is_kept_for_what_waits_as_long_as_the_longest_of_its_holds_says(reasons: list[str], days: int) -> None:
    timers = [one for one in kept(reasons).timers if one.name == "keep"]
    assert timers == ([Timer("keep", days * DAY)] if days else [])


def test_what_waits_for_too_long_is_given_back_and_sourced_anew_once_it_may_be_released() -> None:
    held = kept(["HIGH_RISK"])
    going = f.decide(held.state, Fired("keep"), 3 * DAY)
    assert asked(going) == [m.CancelReservation("o", [m.Taken("a", 2, "X")], "it waited too long for a person")]
    back = f.decide(going.state, m.ReservationCancelled(), 3 * DAY)
    assert (asked(back), back.state.lines["a"]) == ([], o.Line(1, 2))
    assert m.Record("GIVEN_BACK", "2 units, as it waited too long for a person") in back.changes
    assert Timer("keep", None) in back.timers
    # Nothing but the hold brings it back.
    for message in (Fired("restock"), Fired("keep"), m.Paid()):
        assert asked(f.decide(back.state, message, 4 * DAY)) == []
    again = f.decide(back.state, HoldReleased("HIGH_RISK", "p", "looked at"), 4 * DAY)
    assert asked(again) == [m.PlanOrder("o", [m.LineCount("a", 2)], [], False)]
    short = f.decide(again.state, m.Planned([], [m.LineCount("a", 2)]), 4 * DAY)
    assert short.state.holds == ["OUT_OF_STOCK"]


def test_what_may_be_released_just_in_time_stays() -> None:
    held = kept(["HIGH_RISK"])
    free = f.decide(held.state, HoldReleased("HIGH_RISK", "p", "looked at"), 3 * DAY)
    assert Timer("keep", None) in free.timers
    late = f.decide(free.state, Fired("keep"), 3 * DAY)
    assert asked(f.decide(late.state, m.Planned([m.Part("a", "X", 2)], []), 3 * DAY)) == [m.ReleaseOrder("o", [m.Part("a", "X", 2)])]


@pytest.mark.parametrize("early", [False, True], ids=["after it went back", "while it goes back"])
def test_what_is_paid_too_late_is_known_as_that_until_it_is_there(early: bool) -> None:
    held = kept(["AWAITING_PAYMENT"])
    following = f.decide(held.state, Fired("keep"), 3 * DAY)
    messages = [m.ReservationCancelled(), m.Paid()]
    for message in reversed(messages) if early else messages:
        following = f.decide(following.state, message, 4 * DAY)
    assert following.state.holds == []
    partly = f.decide(following.state, m.Planned([m.Part("a", "X", 1)], [m.LineCount("a", 1)]), 4 * DAY)
    for message in (m.Reserved(), m.Planned([], [m.LineCount("a", 1)])):
        partly = f.decide(partly.state, message, 4 * DAY)
    assert partly.state.holds == ["PAID_NO_STOCK"]
    there = f.decide(f.decide(partly.state, m.Released(), 4 * DAY).state, Fired("restock"), 4 * DAY)
    for message in (m.Planned([m.Part("a", "Y", 1)], []), m.Reserved()):
        there = f.decide(there.state, message, 4 * DAY)
    assert m.LiftHold("PAID_NO_STOCK") in there.changes
    assert not there.state.paid_late


def test_what_was_given_back_before_it_was_taken_is_with_nobody() -> None:
    held = kept(["HIGH_RISK"])
    back = f.decide(f.decide(held.state, Fired("keep"), 3 * DAY).state, m.ReservationCancelled(), 3 * DAY)
    taken = f.decide(back.state, m.StockTaken([m.Part("a", "X", 2)], "other"), 3 * DAY)
    assert (taken.state.holds, taken.state.lines["a"]) == (["HIGH_RISK"], o.Line(1, 2))


def test_what_is_kept_follows_its_holds() -> None:
    """From when it may not be released on: what is held longest for is answered, and what is left counts."""
    held = kept(["INCORRECT_ADDRESS", "AWAITING_PAYMENT"])
    following = f.decide(held.state, HoldReleased("INCORRECT_ADDRESS", "p", "looked at"), DAY)
    assert Timer("keep", 3 * DAY) in following.timers
    again = f.decide(following.state, m.StockTaken([m.Part("a", "X", 1)], "other"), 2 * DAY)
    assert [one for one in again.timers if one.name == "keep"] == []


RELEASED_TWICE = (
    m.Placed(), m.ItemsResolved({"a": item()}), m.TaxCalculated({}, 0, False), m.Validated([]),
    m.Planned([m.Part("a", "X", 1), m.Part("a", "Y", 1)], []), m.Reserved(), m.Released(),
)  # fmt: skip


def test_a_location_that_does_not_ship_in_time_is_held_whatever_the_others_do() -> None:
    released = walk(*RELEASED_TWICE)
    assert Timer("ship", 3 * DAY) in released.timers
    late = f.decide(released.state, Fired("ship"), 3 * DAY)
    assert m.RaiseHold("NO_ACK", "X, Y did not ship in time") in late.changes
    one = f.decide(late.state, m.Shipped("s", [m.Part("a", "X", 1)]), 4 * DAY)
    assert one.state.holds == ["NO_ACK"]
    # Let go by a person, Y is given as long again.
    patient = f.decide(one.state, HoldReleased("NO_ACK", "p", "they promised"), 4 * DAY)
    assert Timer("ship", 7 * DAY) in patient.timers
    again = f.decide(patient.state, Fired("ship"), 7 * DAY)
    assert m.RaiseHold("NO_ACK", "Y did not ship in time") in again.changes
    elsewhere = f.decide(again.state, m.Rejected([m.Part("a", "Y", 1)], "closed"), 7 * DAY)
    assert m.LiftHold("NO_ACK") in elsewhere.changes


def test_what_waits_for_the_customer_is_not_late() -> None:
    released = walk(*PLANNED, m.Reserved(), m.Released())
    ready = f.decide(released.state, m.Ready([m.Part("a", "X", 2)], 9 * DAY), 2 * DAY)
    assert Timer("ship", 10 * DAY) in ready.timers
    assert f.decide(ready.state, Fired("ship"), 3 * DAY).state.holds == []
    # A location may be faster than its answer to the release.
    faster = f.decide(walk(*PLANNED, m.Reserved()).state, m.Ready([m.Part("a", "X", 2)], 9 * DAY), 0)
    assert faster.state.late_from == {"X": 10 * DAY}


def test_what_was_released_before_it_was_known_to_whom_is_late_when_its_time_is_up() -> None:
    released = walk(*PLANNED, m.Reserved(), m.Released())
    late = f.decide(replace(released.state, late_from={}), Fired("ship"), 3 * DAY)
    assert m.RaiseHold("NO_ACK", "X did not ship in time") in late.changes
