"""Whether goods may come back, and how far a return got."""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from chassis.kernel.clock import DAY

DEFAULT_WINDOW_DAYS = 30


class Status(IntEnum):
    """Numbered as in the contract."""

    REQUESTED = 1
    AUTHORIZED = 2
    DECLINED = 3
    IN_TRANSIT = 4
    RECEIVED = 5
    DISPOSITIONED = 6
    CLOSED = 7
    CANCELLED = 8
    EXPIRED = 9


class RefundState(IntEnum):
    """Numbered as in the contract."""

    NONE = 1
    PENDING_APPROVAL = 2
    ISSUED = 3
    FAILED = 4


class Wish(NamedTuple):
    """A line that shall come back, beside what is known of it."""

    line_id: str
    quantity: int
    shipped: int
    already_returning: int
    shipped_at: int | None


def judge(wishes: Sequence[Wish], window_days: int, now: int) -> str:
    """Returns why the return is declined; empty where it is authorised."""
    for wish in wishes:
        if wish.shipped_at is None or not wish.shipped:
            return f"line {wish.line_id} has not shipped"
        if wish.quantity > wish.shipped - wish.already_returning:
            return f"of line {wish.line_id} only {wish.shipped - wish.already_returning} can come back"
        if now > wish.shipped_at + window_days * DAY:
            return f"line {wish.line_id} shipped more than {window_days} days ago"
    return ""


class Counts(NamedTuple):
    """A line's quantities."""

    quantity: int
    received: int
    judged: int


def progress(lines: Sequence[Counts]) -> Status:
    """Returns how far the goods got."""
    if not any(line.received for line in lines):
        return Status.AUTHORIZED
    if any(line.judged < line.received for line in lines):
        return Status.RECEIVED
    return Status.DISPOSITIONED
