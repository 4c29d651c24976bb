"""A return from its authorisation to its end."""

from typing import Any

import pytest
from msgspec import Struct

from chassis.kernel.process import Fired, HoldReleased, Next
from services.returns.domain.judgement import Counts, Status, Wish, judge, progress
from services.returns.process import settle_return as s

DAY = 86_400_000_000


def begin(**lines: int) -> s.State:
    return s.State("r", "o", True, lines)


def play(state: s.State, *messages: Struct) -> Next[s.State]:
    following = Next(state)
    for message in messages:
        following = s.decide(following.state, message, 0)
    return following


def asked(following: Next[s.State]) -> list[Any]:
    return [do.effect for do in following.do]


def inspected(**lines: int) -> s.Inspected:
    return s.Inspected([s.Units(line, quantity) for line, quantity in lines.items()])


def test_what_was_judged_is_refunded_and_the_last_closes_it() -> None:
    first = play(begin(a=3), s.Authorised(), inspected(a=2))
    assert asked(first) == [s.AskRefund("r", "o", [s.Units("a", 2)], False)]
    # More is judged while the first refund is asked for.
    second = play(first.state, inspected(a=1), s.Refunded(200))
    assert asked(second) == [s.AskRefund("r", "o", [s.Units("a", 1)], True)]
    assert second.changes == (s.KeepRefund(200),)
    end = play(second.state, s.Refunded(100))
    assert end.ended
    assert end.changes == (s.KeepRefund(100), s.Close("CLOSED"))


def test_a_refused_refund_waits_for_a_person_and_is_asked_under_another_name() -> None:
    first = play(begin(a=1), s.Authorised(), inspected(a=1))
    held = play(first.state, s.RefundRefused("NOT_CAPTURED"))
    assert held.changes == (s.RaiseHold("REFUND_MISMATCH", "NOT_CAPTURED"),)
    again = play(held.state, HoldReleased("REFUND_MISMATCH", "x", "captured now"))
    assert asked(again) == asked(first)
    assert again.do[0].step != first.do[0].step


def test_three_authorised_two_came_and_the_rest_expires() -> None:
    state = play(begin(a=3), s.Authorised(), inspected(a=2), s.Refunded(200)).state
    end = play(state, Fired("expiry"))
    assert (end.ended, end.changes) == (True, (s.Close("CLOSED"),))
    assert play(begin(a=3), s.Authorised(), Fired("expiry")).changes == (s.Close("EXPIRED"),)


def test_expiry_waits_for_the_money_on_its_way() -> None:
    state = play(begin(a=3), s.Authorised(), inspected(a=2), Fired("expiry")).state
    assert play(state, s.Refunded(5)).changes == (s.KeepRefund(5), s.Close("CLOSED"))


def test_a_cancelled_return_forgets_its_timer() -> None:
    end = play(begin(a=3), s.Authorised(), s.Cancelled())
    assert end.ended
    assert end.timers[0].due_at is None


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        (Wish("a", 1, 1, 0, 0), ""), (Wish("a", 1, 0, 0, None), "not shipped"), (Wish("a", 2, 2, 1, 0), "only 1 can"),
        (Wish("a", 1, 1, 0, -31 * DAY), "more than 30 days"), (Wish("a", 1, 1, 0, -30 * DAY), ""),
    ],
)  # fmt: skip
def test_the_policy_says_why(wish: Wish, why: str) -> None:
    reason = judge([wish], 30, 0)
    assert why in reason
    assert bool(reason) == bool(why)


def test_progress_follows_from_the_counts() -> None:
    assert progress([Counts(3, 0, 0)]) is Status.AUTHORIZED
    assert progress([Counts(3, 2, 1)]) is Status.RECEIVED
    assert progress([Counts(3, 2, 2)]) is Status.DISPOSITIONED
