"""How things are shown: amounts, moments, names of states, and back from what people type."""

from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from babel.numbers import get_currency_precision
from google.protobuf.timestamp_pb2 import Timestamp

from chassis.kernel.clock import SECOND
from chassis.kernel.errors import InvalidArgument

GOOD = {
    "SHIPPED", "DELIVERED", "CLOSED", "CAPTURED", "DISPOSITIONED", "ISSUED", "DONE", "ACKNOWLEDGED", "PUBLISHED", "PICKED", "SUCCEEDED",
    "ORDERED", "BOUGHT", "SENT", "COLLECTED", "TAKEN", "ACCEPTED",
}  # fmt: skip
WAITING = {
    "ON_HOLD",
    "PENDING",
    "PENDING_APPROVAL",
    "PARTIALLY_SHIPPED",
    "RECEIVED",
    "AUTHORISED",
    "HALF_OPEN",
    "UNREADABLE",
    "READY_FOR_PICKUP",
    "READY",
}
BAD = {"EXCEPTION", "FAILED", "DECLINED", "DEAD", "BROKEN", "DISABLED"}
MOST_MINOR = 10**12


def minor(text: str, currency_code: str, field: str) -> int:
    """Returns what a person typed as minor units; raises InvalidArgument that names the field."""
    if not text.strip():
        return 0
    try:
        amount = Decimal(text.strip()).scaleb(get_currency_precision(currency_code))
    except (InvalidOperation, ValueError) as error:
        raise InvalidArgument("INVALID_FIELD", f"{field}: {text!r} is no amount; write 12.50", field=field) from error
    if not amount.is_finite() or amount != amount.to_integral_value() or abs(amount) > MOST_MINOR:
        raise InvalidArgument("INVALID_FIELD", f"{field}: {text!r} is no amount of {currency_code}", field=field)
    return int(amount)


def whole(text: str, field: str) -> int:
    """Returns what a person typed as a whole number, 0 where nothing; raises InvalidArgument that names the field."""
    stripped = text.strip()
    if not stripped:
        return 0
    if not stripped.removeprefix("-").isdecimal() or not stripped.isascii() or len(stripped) > 18:
        raise InvalidArgument("INVALID_FIELD", f"{field}: {text!r} is no whole number", field=field)
    return int(stripped)


def choice(text: str, field: str) -> Any:
    """Returns the number of what a person chose from a list, 0 where nothing; the contract judges whether it is one."""
    return min(whole(text, field), 2**31 - 1)


def day_start(text: str, field: str) -> Timestamp | None:
    """Returns the beginning of a day (UTC) that a person chose; None where none is."""
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise InvalidArgument("INVALID_FIELD", f"{field}: {text!r} is no day; write 2026-01-31", field=field) from error
    return Timestamp(seconds=int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()))


def moment(stamp: Any) -> str:
    """Returns a moment in UTC for people; a dash where there is none."""
    if stamp is None or not stamp.seconds:
        return "–"
    return datetime.fromtimestamp(stamp.seconds, UTC).strftime("%-d %b %Y %H:%M:%S")


def machine_moment(stamp: Any) -> str:
    """Returns a moment for machines."""
    return datetime.fromtimestamp(stamp.seconds, UTC).isoformat()


def span(seconds: float) -> str:
    """Returns how long, in the two largest units that matter."""
    left = int(abs(seconds))
    parts: list[str] = []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or (name == "s" and not parts):
            parts.append(f"{count} {name}")
        if len(parts) == 2:
            break
    return " ".join(parts)


def until(stamp: Any, now_us: int) -> str:
    """Returns how far off a moment is: "in 2 h 5 min" or "3 min ago"."""
    seconds = stamp.seconds - now_us / SECOND
    return f"in {span(seconds)}" if seconds >= 0 else f"{span(seconds)} ago"


def name_of(enum: Any, value: int) -> str:
    """Returns a value's name without its enum's: ORDER_STATUS_OPEN is OPEN."""
    if value not in enum.values():
        return str(value)
    prefix = "".join(f"_{c}" if c.isupper() else c.upper() for c in enum.DESCRIPTOR.name).removeprefix("_") + "_"
    return str(enum.Name(value)).removeprefix(prefix)


def choices(enum: Any) -> list[tuple[int, str]]:
    """Returns an enum's values and names, without the unset one."""
    return [(value, name_of(enum, value)) for value in enum.values() if value]


def words(name: str) -> str:
    """Returns a name of a state as people read it."""
    return name.replace("_", " ").lower()


def tone(name: str) -> str:
    """Returns how a state is felt: good, waiting, bad, or plain."""
    return "good" if name in GOOD else "waiting" if name in WAITING else "bad" if name in BAD else "plain"


def brief(identity: str) -> str:
    """Returns the end of an id, which tells it from its neighbours."""
    return identity[-8:] if len(identity) > 16 else identity
