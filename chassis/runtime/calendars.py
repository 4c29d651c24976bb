"""Working calendars as contracts carry them."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from argosy.ops.v1 import holds_service_pb2
from chassis.kernel.clock import is_day
from chassis.kernel.errors import InvalidArgument
from chassis.kernel.working_time import Hours, WorkingCalendar, knows_holidays


def to_calendar(given: holds_service_pb2.WorkingCalendar) -> WorkingCalendar:
    """Returns a calendar to reckon with."""
    hours = tuple(Hours(one.weekday, minutes_of(one.opens), minutes_of(one.closes)) for one in given.hours)
    return WorkingCalendar(given.time_zone, hours, given.country_code, given.region, frozenset(given.closed_days))


def minutes_of(text: str) -> int:
    """Returns minutes since midnight of HH:MM."""
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def need_calendar(calendar: holds_service_pb2.WorkingCalendar, field: str = "calendar") -> None:
    """Raises InvalidArgument, INVALID_FIELD, for a calendar that nobody can work by."""

    def bad(name: str, text: str) -> InvalidArgument:
        return InvalidArgument("INVALID_FIELD", f"{field}.{name}: {text}", field=f"{field}.{name}")

    try:
        ZoneInfo(calendar.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise bad("time_zone", f"{calendar.time_zone} is no time zone; name one like Europe/Berlin") from error
    for index, hours in enumerate(calendar.hours):
        if minutes_of(hours.opens) >= minutes_of(hours.closes):
            raise bad(f"hours[{index}].closes", "must be after opens")
    if calendar.country_code and not knows_holidays(calendar.country_code, calendar.region):
        raise bad("country_code", "the public holidays of that country or region are not known; name closed_days instead")
    for index, day in enumerate(calendar.closed_days):
        if not is_day(day):
            raise bad(f"closed_days[{index}]", f"{day} is no day")
