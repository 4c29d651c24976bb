"""Moments are integers: microseconds since 1970 in UTC. Conversions to and from contract timestamps live here."""

from datetime import UTC, date, datetime

from google.protobuf.timestamp_pb2 import Timestamp

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def to_timestamp(moment_us: int) -> Timestamp:
    """Returns a moment as a contract timestamp."""
    return Timestamp(seconds=moment_us // SECOND, nanos=moment_us % SECOND * 1000)


def set_moment(stamp: Timestamp, moment_us: int) -> None:
    """Makes a contract timestamp, where it is, say a moment; one that is made elsewhere must be copied."""
    stamp.seconds, stamp.nanos = moment_us // SECOND, moment_us % SECOND * 1000


def from_timestamp(stamp: Timestamp) -> int:
    """Returns a contract timestamp as a moment."""
    return stamp.seconds * SECOND + stamp.nanos // 1000


def from_datetime(moment: datetime) -> int:
    """Returns a datetime, naive ones taken as UTC, as a moment."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * SECOND)


def day_of(moment_us: int) -> str:
    """Returns the UTC day of a moment as YYYY-MM-DD."""
    return datetime.fromtimestamp(moment_us // SECOND, UTC).date().isoformat()


def is_day(text: str) -> bool:
    """Says whether a text is a day of the calendar, YYYY-MM-DD."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
