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
        if day.isoformat() in self.closed_days:
            return False
        return not self.country_code or day not in _holidays(self.country_code, self.region, day.year)

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


@cache
def _holidays(country_code: str, region: str, year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays(country_code, subdiv=region or None, years=year))


def knows_holidays(country_code: str, region: str) -> bool:
    """Says whether a country's, and a region's, public holidays are known."""
    known = holidays.list_supported_countries(include_aliases=False)
    return country_code in known and (not region or region in known[country_code])
