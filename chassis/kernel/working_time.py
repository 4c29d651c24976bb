"""Working time: the hours of a week in a time zone, without holidays and closed days. Moments are microseconds since 1970."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import holidays

from chassis.kernel.clock import SECOND

MOST_DAYS = 366
MINUTES_OF_HOUR = 60


class Hours(NamedTuple):
    """Opening hours on a day of the week, 1 for Monday to 7 for Sunday, in minutes since midnight."""

    weekday: int
    opens_min: int
    closes_min: int


@dataclass(frozen=True)
class WorkingCalendar:
    """When somebody works. A country's public holidays are closed, and so are single days, as YYYY-MM-DD."""

    time_zone: str
    hours: tuple[Hours, ...]
    country_code: str = ""
    region: str = ""
    closed_days: frozenset[str] = field(default=frozenset())

    def works_on(self, day: date) -> bool:
        """Says whether a day is neither a holiday nor closed."""
        return day.isoformat() not in self.closed_days and not is_holiday(day, self.country_code, self.region)

    def open_on(self, day: date) -> bool:
        """Says whether somebody works on a day."""
        return any(one.weekday == day.isoweekday() for one in self.hours) and self.works_on(day)

    def day_of(self, moment: int) -> date:
        """Returns the day of a moment, there."""
        return datetime.fromtimestamp(moment / SECOND, ZoneInfo(self.time_zone)).date()

    def moment(self, day: date, minutes: int) -> int:
        """Returns the moment so many minutes after a day's midnight, by the clock there."""
        return _moment(day, minutes, ZoneInfo(self.time_zone))

    def closes_on(self, day: date) -> int:
        """Returns when the last hours of a day end; its end where nobody works."""
        minutes = max((one.closes_min for one in self.hours if one.weekday == day.isoweekday()), default=24 * MINUTES_OF_HOUR)
        return self.moment(day, minutes)

    def spans(self, since: int) -> Iterator[tuple[int, int]]:
        """Returns the working spans from a moment on, by time, for at most a year."""
        zone = ZoneInfo(self.time_zone)
        first = datetime.fromtimestamp(since / SECOND, zone).date()
        for offset in range(MOST_DAYS):
            day = first + timedelta(days=offset)
            if not self.works_on(day):
                continue
            for hours in sorted(one for one in self.hours if one.weekday == day.isoweekday()):
                begins, ends = _moment(day, hours.opens_min, zone), _moment(day, hours.closes_min, zone)
                if ends > since:
                    yield max(begins, since), ends

    def after(self, since: int, seconds: int) -> int:
        """Returns the moment at which so many working seconds have passed; by the clock where nobody works within a year."""
        left = seconds * SECOND
        for begins, ends in self.spans(since):
            if ends - begins >= left:
                return begins + left
            left -= ends - begins
        return since + seconds * SECOND


def _moment(day: date, minutes: int, zone: ZoneInfo) -> int:
    midnight = datetime.combine(day, time(), zone)
    local = midnight.replace(hour=minutes // MINUTES_OF_HOUR, minute=minutes % MINUTES_OF_HOUR) if minutes < 24 * MINUTES_OF_HOUR else (
        datetime.combine(day + timedelta(days=1), time(), zone)
    )  # fmt: skip
    return round((local.astimezone(UTC) - datetime.fromtimestamp(0, UTC)) / timedelta(microseconds=1))


def is_holiday(day: date, country_code: str, region: str = "") -> bool:
    """Says whether a day is a public holiday of a country, or of its region; never where none are known."""
    return bool(country_code) and knows_holidays(country_code, region) and day in _holidays(country_code, region, day.year)


@cache
def _holidays(country_code: str, region: str, year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays(country_code, subdiv=region or None, years=year))


@cache
def knows_holidays(country_code: str, region: str) -> bool:
    """Says whether a country's, and a region's, public holidays are known."""
    known = holidays.list_supported_countries(include_aliases=False)
    return country_code in known and (not region or region in known[country_code])
