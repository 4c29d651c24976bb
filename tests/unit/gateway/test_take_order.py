"""What a delivery says of an order, carried out: every command looks first, and what does not fit waits for a person."""

from typing import Any

import pytest
from msgspec import Struct

from chassis.kernel.process import Fired, HoldReleased, Next
from gateway.channels.commands import CancelOrder, CapturePayment, CompareLines, FindOrder, GiveBack, PlaceOrder
from gateway.process import take_order as t

RELEASED = HoldReleased("X", "somebody", "looked at")


def begin(*commands: Any) -> t.State:
    return t.State("d", "web", "1", list(commands))


def known(*, open_: int = 0, refundable: int = 0, ordered: int = 3, cancelled: int = 0, unpaid: tuple[str, ...] = ()) -> t.OrderKnown:
    return t.OrderKnown("o", [t.KnownLine("l", "1", ordered, open_, refundable, cancelled)], list(unpaid))


def play(state: t.State, *messages: Struct) -> Next[t.State]:
    """Tells one message after the other and returns what follows from the last."""
    following = Next(state)
    for message in messages:
        following = t.decide(following.state, message, 0)
    return following


def asked(following: Next[t.State]) -> list[Any]:
    return [do.effect for do in following.do]


def hold(following: Next[t.State]) -> str:
    (change,) = following.changes
    assert isinstance(change, t.RaiseHold)
    assert not following.do
    return change.reason


ASK = t.AskOrder("web", "1")


def test_an_unknown_order_is_placed_and_a_known_one_is_not() -> None:
    assert asked(play(begin(PlaceOrder("{}")), t.Started())) == [ASK]
    assert asked(play(begin(PlaceOrder("{}")), t.Started(), t.OrderUnknown())) == [t.Place("{}")]
    done = play(begin(PlaceOrder("{}")), t.Started(), known())
    assert (done.ended, done.changes) == (True, (t.Finish("d"),))


def test_an_order_under_review_is_placed_when_a_person_says_so() -> None:
    state = begin(PlaceOrder("{}", "the lines come to 1, the order says 2"))
    assert hold(play(state, t.Started(), t.OrderUnknown())) == "ORDER_REVIEW"
    assert asked(play(state, t.Started(), t.OrderUnknown(), RELEASED, t.OrderUnknown())) == [t.Place("{}")]
    # Known already: nothing to review.
    assert play(state, t.Started(), known()).ended


def test_what_refers_to_an_order_that_has_not_come_waits_for_it() -> None:
    waiting = play(begin(FindOrder()), t.Started(), t.OrderUnknown())
    assert [timer.name for timer in waiting.timers] == ["find"]
    state = waiting.state
    for _ in range(t.MOST_FINDS - 1):
        following = play(state, Fired("find"), t.OrderUnknown())
        state = following.state
    assert hold(following) == "ORDER_UNKNOWN"
    assert play(state, RELEASED, known()).ended


def test_every_question_has_a_name_of_its_own() -> None:
    steps = []
    state = begin(FindOrder(), CancelOrder("x"))
    for message in (
        t.Started(),
        t.OrderUnknown(),
        Fired("find"),
        known(open_=3),
        known(open_=3),
        t.Refused("no"),
        RELEASED,
        known(open_=2),
    ):
        following = t.decide(state, message, 0)
        state = following.state
        steps += [do.step for do in following.do]
    assert len(steps) == len(set(steps)) == 6


def test_changed_lines_wait_and_are_accepted() -> None:
    state = begin(CompareLines({"1": 4}))
    assert hold(play(state, t.Started(), known())) == "ORDER_CHANGED"
    assert play(state, t.Started(), known(), RELEASED).ended
    assert play(begin(CompareLines({"1": 3})), t.Started(), known()).ended


def test_every_unpaid_tender_is_captured_one_after_the_other() -> None:
    state = begin(CapturePayment())
    first = play(state, t.Started(), known(unpaid=("a", "b")))
    assert asked(first) == [t.Capture("o", "a")]
    second = play(first.state, t.Done())
    assert asked(second) == [t.Capture("o", "b")]
    assert play(second.state, t.Done()).ended
    assert play(state, t.Started(), known()).ended


def test_a_cancellation_takes_what_is_open_and_complains_of_what_shipped() -> None:
    state = begin(CancelOrder("changed my mind"))
    assert asked(play(state, t.Started(), known(open_=1, refundable=2))) == [t.Cancel("o", {}, "changed my mind")]
    assert hold(play(state, t.Started(), known(refundable=3))) == "CANCELLED_TOO_LATE"
    assert play(state, t.Started(), known(cancelled=3)).ended


@pytest.mark.parametrize(
    ("quantity", "open_", "refundable", "acts"),
    [
        (2, 3, 0, [t.Cancel("o", {"l": 2}, "r")]), (2, 0, 3, [t.Refund("o", {"l": 2}, "r")]),
        (3, 1, 2, [t.Cancel("o", {"l": 1}, "r"), t.Refund("o", {"l": 2}, "r")]),
    ],
)  # fmt: skip
def test_what_comes_back_is_cancelled_while_it_is_open_and_refunded_after(
    quantity: int, open_: int, refundable: int, acts: list[Any]
) -> None:
    following = play(begin(GiveBack("k", "r", {"1": quantity})), t.Started(), known(open_=open_, refundable=refundable))
    done = []
    while not following.ended:
        done += asked(following)
        following = play(following.state, t.Done())
    assert done == acts


def test_goods_that_come_back_are_expected_where_the_channel_says() -> None:
    following = play(begin(GiveBack("k", "r", {"1": 1}, -1, "BER")), t.Started(), known(refundable=2))
    assert asked(following) == [t.OpenReturn("o", "BER", {"l": 1}, "r")]


@pytest.mark.parametrize("lines", [{"1": 4}, {"2": 1}, {}])
def test_what_was_neither_open_nor_shipped_waits_and_is_let_go(lines: dict[str, int]) -> None:
    state = begin(GiveBack("k", "r", lines, 500))
    assert hold(play(state, t.Started(), known(refundable=3))) == "GIVE_BACK_UNMATCHED"
    assert play(state, t.Started(), known(refundable=3), RELEASED).ended


def test_a_refund_of_another_amount_than_the_channels_is_looked_at() -> None:
    state = begin(GiveBack("k", "r", {"1": 1}, 500))
    read = known(refundable=3)
    assert play(state, t.Started(), read, t.Done(500)).ended
    assert hold(play(state, t.Started(), read, t.Done(499))) == "REFUND_DIFFERS"
    assert play(state, t.Started(), read, t.Done(499), RELEASED).ended


def test_what_was_done_before_a_refusal_is_not_done_again() -> None:
    state = begin(GiveBack("k", "r", {"1": 3}))
    following = play(state, t.Started(), known(open_=1, refundable=2), t.Done(), t.Refused("NOT_CAPTURED"))
    assert hold(following) == "COMMAND_REFUSED"
    assert asked(play(following.state, RELEASED)) == [t.Refund("o", {"l": 2}, "r")]
