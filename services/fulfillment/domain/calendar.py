"""When a parcel leaves and arrives: cut-off, working days and capacity of a location, then delivery days of the country."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from chassis.kernel.working_time import WorkingCalendar, is_holiday

MOST_DAYS = 366
SATURDAY, SUNDAY = 6, 7
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Node:
    """When and how much a location ships; any number of parcels where its capacity is 0.

    And within how many seconds it must accept what it is told; it need not where 0. And for how many days it keeps what
    customers collect; a week where 0.
    """

    calendar: WorkingCalendar
    cut_off_min: int
    handling_days: int
    capacity_parcels: int
    acknowledge_within_s: int = 0
    pickup_days: int = 0

    def ships_on(self, now: int, load: Mapping[date, int]) -> date | None:
        """Returns the day on which what is known now leaves; None where no day within a year has room."""
        day = self.calendar.day_of(now)
        if now > min(self.calendar.moment(day, self.cut_off_min), self.calendar.closes_on(day)):
            day += DAY
        left = self.handling_days
        for _ in range(MOST_DAYS):
            if self.calendar.open_on(day):
                if left <= 0 and not self._full(load.get(day, 0)):
                    return day
                left -= 1
            day += DAY
        return None

    def _full(self, parcels: int) -> bool:
        return 0 < self.capacity_parcels <= parcels

    def beyond(self, parcels: int) -> int:
        """Returns how many of so many parcels are more than it ships in a day."""
        return max(0, parcels - self.capacity_parcels) if self.capacity_parcels else 0

    def load_permille(self, parcels: int) -> int:
        """Returns how full a day with so many parcels is."""
        return min(1000, parcels * 1000 // self.capacity_parcels) if self.capacity_parcels else 0


class Transit(NamedTuple):
    """How long parcels are on their way, in delivery days."""

    least_days: int
    most_days: int
    saturdays: bool


def arrives_on(left: date, days: int, country_code: str, *, saturdays: bool) -> date:
    """Returns the day so many delivery days of a country after another: no Sundays, no public holidays."""
    day = left
    for _ in range(MOST_DAYS):
        if days <= 0:
            break
        day += DAY
        weekday = day.isoweekday()
        if weekday != SUNDAY and (saturdays or weekday != SATURDAY) and not is_holiday(day, country_code):
            days -= 1
    return day


class Dates(NamedTuple):
    """When a parcel leaves and arrives: the day, by when it left, from when and by when it has arrived. Moments, or None."""

    ship_day: date | None = None
    ship_by: int | None = None
    deliver_from: int | None = None
    deliver_by: int | None = None
    late_days: int = 0


@dataclass(frozen=True)
class Wanted:
    """By when a parcel must leave or arrive, where somebody said."""

    ship_by: int | None = None
    deliver_by: int | None = None


def dates(node: Node, now: int, load: Mapping[date, int], transit: Transit | None, country_code: str, wanted: Wanted) -> Dates:
    """Returns when a parcel leaves a location and arrives, and by how many days it is late."""
    ship_day = node.ships_on(now, load)
    if ship_day is None:
        return Dates()
    calendar = node.calendar
    # Midnight ends the day before, as it does where dates are promised.
    late = (ship_day - calendar.day_of(wanted.ship_by - 1)).days if wanted.ship_by is not None else 0
    ship_by = calendar.closes_on(ship_day)
    if transit is None:
        return Dates(ship_day, ship_by, late_days=max(0, late))
    first, last = (
        arrives_on(ship_day, days, country_code, saturdays=transit.saturdays) for days in (transit.least_days, transit.most_days)
    )
    if wanted.deliver_by is not None:
        late = max(late, (last - calendar.day_of(wanted.deliver_by - 1)).days)
    return Dates(ship_day, ship_by, calendar.moment(first, 0), calendar.moment(last + DAY, 0), max(0, late))
