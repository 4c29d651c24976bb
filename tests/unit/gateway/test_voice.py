"""What goes out, decided: when to try again, what a publication becomes by each thing that happens to it, who may be called."""

import pytest

from chassis.kernel.clock import DAY, SECOND
from chassis.kernel.errors import InvalidArgument
from gateway.app.publications import EVENT, INTERVAL, LONGEST_PAUSE_US, STEPS, acknowledge, fail, observe, pause, send, want
from gateway.voice.egress import Egress, _is_private
from gateway.voice.sender import RETRY_US, next_attempt

NOW, WINDOW = 1_000_000_000, SECOND


def row(**changes: object) -> dict[str, object]:
    settled = {
        "wanted": 5, "sent": 5, "acknowledged": 5, "observed": 5, "wanted_since": None, "due_at": None, "acknowledged_at": NOW,
        "attempts": 0, "error": "", "repairs": 0, "sync_mode": 0, "sync_us": 0, "sync_steps": "[]", "on_sale": 1,
    }  # fmt: skip
    return {**settled, **changes}


def test_retries_spread_over_days_and_end() -> None:
    for attempts, pause_us in enumerate(RETRY_US, 1):
        assert next_attempt(attempts, NOW, 0, 0.5) == NOW + pause_us
        assert next_attempt(attempts, NOW, 0, 0.0) == NOW + int(pause_us * 0.9)
    assert next_attempt(len(RETRY_US) + 1, NOW, 0, 0.5) is None
    assert next_attempt(1, NOW, 3600, 0.5) == NOW + 3600 * SECOND, "what they ask for is kept"
    assert next_attempt(1, NOW, 10**7, 0.5) == NOW + DAY, "but not for ever"


def test_a_change_waits_for_its_window_and_counts_from_the_first_movement() -> None:
    one = row()
    want(one, 7, NOW - 3, NOW, WINDOW)
    assert (one["wanted"], one["wanted_since"], one["due_at"]) == (7, NOW - 3, NOW + WINDOW)
    want(one, 9, NOW + 5, NOW + 5, WINDOW)
    assert (one["wanted"], one["wanted_since"], one["due_at"]) == (9, NOW - 3, NOW + WINDOW), "gathered with the first"
    want(one, 5, NOW + 6, NOW + 6, WINDOW)
    assert (one["wanted_since"], one["due_at"]) == (None, None), "the channel shows that already"


def test_a_listing_may_have_a_window_of_its_own() -> None:
    one = row(sync_mode=EVENT, sync_us=60 * SECOND)
    want(one, 7, NOW, NOW, WINDOW)
    assert one["due_at"] == NOW + 60 * SECOND


def test_in_an_interval_it_is_told_once_but_never_late_that_nothing_is_left() -> None:
    hour = 3600 * SECOND
    one = row(sync_mode=INTERVAL, sync_us=hour)
    want(one, 7, NOW, NOW, WINDOW)
    due = (NOW // hour + 1) * hour
    assert one["due_at"] == due
    want(one, 6, NOW, NOW + 5, WINDOW)
    assert one["due_at"] == due
    want(one, 0, NOW, NOW + 9, WINDOW)
    assert one["due_at"] == NOW + 9 + WINDOW, "sold out"
    new = row(sync_mode=INTERVAL, sync_us=hour, acknowledged=None, wanted=0)
    want(new, 7, NOW, NOW, WINDOW)
    assert new["due_at"] == NOW + WINDOW, "what was never told is told at once"


def test_in_steps_the_lower_one_is_shown_and_little_is_shown_as_it_is() -> None:
    one = row(sync_mode=STEPS, sync_steps="[10, 50, 100]", wanted=50, sent=50, acknowledged=50)
    for quantity, shown in ((57, 50), (99, 50), (100, 100), (5000, 100), (12, 10), (9, 9), (3, 3), (0, 0)):
        want(one, quantity, NOW, NOW, WINDOW)
        assert one["wanted"] == shown
    one = row(sync_mode=STEPS, sync_steps="[10, 50]", wanted=50, sent=50, acknowledged=50)
    want(one, 80, NOW, NOW, WINDOW)
    assert one["due_at"] is None, "the step is the same: nothing is told"


def test_what_is_not_on_sale_is_shown_as_nothing() -> None:
    one = row(on_sale=0)
    want(one, 80, NOW, NOW, WINDOW)
    assert (one["wanted"], one["due_at"]) == (0, NOW + WINDOW)


def test_what_is_on_its_way_is_not_forgotten_when_the_stock_comes_back() -> None:
    one = row()
    want(one, 7, NOW, NOW, WINDOW)
    send(one, NOW)
    want(one, 5, NOW + 1, NOW + 1, WINDOW)
    assert one["due_at"] is not None, "7 may arrive yet"
    acknowledge(one, 7, NOW + 2, WINDOW)
    assert (one["acknowledged"], one["wanted"], one["due_at"]) == (7, 5, NOW + 2 + WINDOW)


def test_what_was_told_in_vain_is_told_again_ever_more_rarely() -> None:
    one = row(wanted=7, wanted_since=NOW, due_at=NOW)
    fail(one, "HTTP 500", NOW)
    fail(one, "HTTP 500", NOW)
    assert (one["attempts"], one["error"], one["due_at"]) == (2, "HTTP 500", NOW + pause(2))
    assert [pause(n) for n in (1, 2, 3, 30)] == [2 * SECOND, 4 * SECOND, 8 * SECOND, LONGEST_PAUSE_US]
    acknowledge(one, 7, NOW, WINDOW)
    assert (one["attempts"], one["error"], one["due_at"], one["wanted_since"]) == (0, "", None, None)


def test_what_is_read_back_is_what_counts() -> None:
    settled = row()
    observe(settled, 5, NOW)
    assert (settled["repairs"], settled["due_at"]) == (0, None)
    lost = row()
    observe(lost, 3, NOW)
    assert (lost["repairs"], lost["acknowledged"], lost["due_at"], lost["wanted_since"]) == (1, 3, NOW, NOW)
    unknown = row(sent=7, wanted=7, wanted_since=NOW, due_at=NOW)
    observe(unknown, 7, NOW)
    assert (unknown["repairs"], unknown["acknowledged"], unknown["due_at"]) == (0, 7, None), "it had arrived"


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("127.0.0.1", True), ("10.0.0.1", True), ("169.254.169.254", True), ("192.168.1.1", True), ("100.64.0.1", True), ("0.0.0.0", True),
        ("224.0.0.1", True), ("::1", True), ("fe80::1%eth0", True), ("fc00::1", True), ("::ffff:10.0.0.1", True), ("64:ff9b:1::1", True),
        ("93.184.215.14", False), ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", False), ("example.com", False),
    ],
)  # fmt: skip
def test_which_addresses_are_private(host: str, private: bool) -> None:
    assert _is_private(host) is private


def test_what_may_be_called() -> None:
    egress = Egress()
    egress.check("https://partner.example:8443/hook?a=b", "url")
    with pytest.raises(InvalidArgument):
        egress.check("http://partner.example/hook", "url")
    egress.allow_private = True
    egress.check("http://127.0.0.1:9/hook", "url")
