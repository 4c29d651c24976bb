"""Working time counts hours of a week, without nights, weekends, holidays and the hour that clocks skip."""

from datetime import datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from chassis.kernel.working_time import Hours, WorkingCalendar, knows_holidays

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = WorkingCalendar("Europe/Berlin", tuple(Hours(day, 9 * 60, 17 * 60) for day in range(1, 6)), "DE", "BE", frozenset({"2026-12-24"}))
HOUR_S = 3600


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp() * 10**6)


def test_hours_that_nobody_works_do_not_count() -> None:
    assert OFFICE.after(at("2026-11-25T10:00"), 2 * HOUR_S) == at("2026-11-25T12:00")
    assert OFFICE.after(at("2026-11-25T16:00"), 2 * HOUR_S) == at("2026-11-26T10:00")
    assert OFFICE.after(at("2026-11-25T03:00"), 0) == at("2026-11-25T09:00")
    assert OFFICE.after(at("2026-11-27T16:30"), HOUR_S) == at("2026-11-30T09:30"), "a weekend lies between"


def test_holidays_and_closed_days_do_not_count() -> None:
    # Closed on the 24th, holidays on Friday the 25th and Saturday; Monday is the next.
    assert OFFICE.after(at("2026-12-23T16:00"), 2 * HOUR_S) == at("2026-12-28T10:00")
    # International Women's Day is free in Berlin, not in Bavaria.
    assert OFFICE.after(at("2027-03-07T12:00"), HOUR_S) == at("2027-03-09T10:00")
    bavaria = WorkingCalendar("Europe/Berlin", OFFICE.hours, "DE", "BY")
    assert bavaria.after(at("2027-03-07T12:00"), HOUR_S) == at("2027-03-08T10:00")


def test_the_night_when_clocks_change_has_the_hours_it_has() -> None:
    night = WorkingCalendar("Europe/Berlin", (Hours(7, 0, 24 * 60),))
    assert night.after(at("2027-03-28T00:00"), 23 * HOUR_S) == at("2027-03-29T00:00")


def test_where_nobody_ever_works_the_clock_counts() -> None:
    assert WorkingCalendar("UTC", ()).after(5, 60) == 5 + 60 * 10**6


def test_regions_whose_holidays_are_known() -> None:
    assert knows_holidays("DE", "BE")
    assert not knows_holidays("DE", "XX")
    assert not knows_holidays("ZZ", "")


@given(st.integers(at("2026-01-01T00:00"), at("2027-12-31T00:00")), st.integers(0, 200 * HOUR_S), st.integers(0, 200 * HOUR_S))
def test_time_in_two_parts_is_the_same_time(since: int, first_s: int, second_s: int) -> None:
    whole = OFFICE.after(since, first_s + second_s)
    # At the end of a day, nothing more to do is now, and the next thing begins on the morning after.
    assert OFFICE.after(OFFICE.after(since, first_s), second_s) in (whole, OFFICE.after(whole, 0))
