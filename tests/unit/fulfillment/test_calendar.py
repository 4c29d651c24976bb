"""When parcels leave and arrive: cut-offs, handling days, closed days, full days, delivery days."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from chassis.kernel.working_time import Hours, WorkingCalendar
from services.fulfillment.domain.calendar import Node, Transit, Wanted, arrives_on, dates

BERLIN = ZoneInfo("Europe/Berlin")
WEEK = tuple(Hours(day, 8 * 60, 17 * 60) for day in range(1, 6))
CALENDAR = WorkingCalendar("Europe/Berlin", WEEK, "DE", "BE", frozenset({"2026-06-19"}))
NODE = Node(CALENDAR, 14 * 60, 0, 0)


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp() * 1_000_000)


@pytest.mark.parametrize(
    ("now", "handling", "ships"),
    [
        ("2026-06-15T13:59", 0, "2026-06-15"),
        ("2026-06-15T14:01", 0, "2026-06-16"),
        ("2026-06-18T15:00", 0, "2026-06-22"),  # the 19th is closed, then comes the weekend
        ("2026-06-17T09:00", 2, "2026-06-22"),
        ("2026-12-24T15:00", 0, "2026-12-28"),  # Christmas
        ("2026-03-06T15:00", 0, "2026-03-09"),  # 8 March is a holiday in Berlin, a Sunday in 2026
        ("2026-06-13T09:00", 1, "2026-06-16"),
    ],
)
def test_what_is_known_by_the_cut_off_leaves_after_the_handling_days(now: str, handling: int, ships: str) -> None:
    node = Node(CALENDAR, 14 * 60, handling, 0)
    assert node.ships_on(at(now), {}) == date.fromisoformat(ships)


def test_what_is_known_after_closing_leaves_another_day_whatever_the_cut_off() -> None:
    node = Node(CALENDAR, 24 * 60, 0, 0)
    assert node.ships_on(at("2026-06-15T16:59"), {}) == date(2026, 6, 15)
    assert node.ships_on(at("2026-06-15T17:01"), {}) == date(2026, 6, 16)


def test_a_full_day_passes_to_the_next_and_a_place_that_never_works_ships_never() -> None:
    node = Node(CALENDAR, 14 * 60, 0, 10)
    load = {date(2026, 6, 15): 10, date(2026, 6, 16): 9}
    assert node.ships_on(at("2026-06-15T09:00"), load) == date(2026, 6, 16)
    assert [node.load_permille(parcels) for parcels in (0, 9, 10, 12)] == [0, 900, 1000, 1000]
    assert Node(WorkingCalendar("Europe/Berlin", ()), 0, 0, 0).ships_on(at("2026-06-15T09:00"), {}) is None


def test_delivery_days_leave_out_sundays_holidays_and_mostly_saturdays() -> None:
    friday = date(2026, 6, 12)
    assert arrives_on(friday, 0, "DE", saturdays=False) == friday
    assert arrives_on(friday, 1, "DE", saturdays=False) == date(2026, 6, 15)
    assert arrives_on(friday, 1, "DE", saturdays=True) == date(2026, 6, 13)
    assert arrives_on(date(2026, 12, 23), 2, "DE", saturdays=True) == date(2026, 12, 28)
    assert arrives_on(date(2026, 12, 23), 2, "", saturdays=True) == date(2026, 12, 25)


def test_dates_are_told_by_the_clock_of_the_place_and_lateness_in_days() -> None:
    found = dates(NODE, at("2026-06-15T09:00"), {}, Transit(1, 2, saturdays=False), "DE", Wanted())
    assert (found.ship_day, found.ship_by, found.late_days) == (date(2026, 6, 15), at("2026-06-15T17:00"), 0)
    assert (found.deliver_from, found.deliver_by) == (at("2026-06-16T00:00"), at("2026-06-18T00:00"))
    late = dates(NODE, at("2026-06-15T15:00"), {}, Transit(1, 2, saturdays=False), "DE", Wanted(ship_by=at("2026-06-15T18:00")))
    assert late.late_days == 1
    later = dates(NODE, at("2026-06-15T09:00"), {}, Transit(1, 3, saturdays=False), "DE", Wanted(deliver_by=at("2026-06-16T20:00")))
    assert later.late_days == 2
    # What was promised once is kept by what arrives as early, and by no day more.
    for days, late_days in ((2, 0), (3, 1)):
        again = dates(NODE, at("2026-06-15T09:00"), {}, Transit(1, days, saturdays=False), "DE", Wanted(deliver_by=found.deliver_by))
        assert again.late_days == late_days
    assert dates(NODE, at("2026-06-15T09:00"), {}, None, "DE", Wanted()).deliver_by is None
