"""The life of a purchase order, what a line of it costs, and when it is expected."""

from enum import IntEnum

from chassis.kernel.clock import DAY
from chassis.kernel.errors import FailedPrecondition
from chassis.kernel.money import proportion, share

MILLION = 1_000_000


class Status(IntEnum):
    """Where a purchase order stands; numbered as in the contract."""

    DRAFT = 1
    APPROVED = 2
    SENT = 3
    ACKNOWLEDGED = 4
    PARTIALLY_RECEIVED = 5
    RECEIVED = 6
    CLOSED = 7
    CANCELLED = 8


EXPECTED = frozenset({Status.SENT, Status.ACKNOWLEDGED, Status.PARTIALLY_RECEIVED})
STEPS: dict[str, tuple[frozenset[Status], Status]] = {
    "update": (frozenset({Status.DRAFT}), Status.DRAFT),
    "approve": (frozenset({Status.DRAFT}), Status.APPROVED),
    "send": (frozenset({Status.APPROVED}), Status.SENT),
    "acknowledge": (EXPECTED, Status.ACKNOWLEDGED),
    "receive": (EXPECTED | {Status.RECEIVED}, Status.PARTIALLY_RECEIVED),
    "close": (EXPECTED | {Status.RECEIVED}, Status.CLOSED),
    "cancel": (frozenset({Status.DRAFT, Status.APPROVED, Status.SENT, Status.ACKNOWLEDGED}), Status.CANCELLED),
}


def after(step: str, now: int) -> Status:
    """Returns where an order stands after a step; raises FailedPrecondition where the step is not open to it."""
    allowed, following = STEPS[step]
    if now not in allowed:
        names = " or ".join(one.name for one in sorted(allowed))
        text = f"to {step} it, a purchase order must be {names}; it is {Status(now).name}"
        raise FailedPrecondition("WRONG_STATUS", text, status=Status(now).name)
    # A confirmation of what is left does not undo what has come.
    return Status(max(now, following)) if step == "acknowledge" else following


def cost(quantity: int, unit_cost_millionths: int) -> int:
    """Returns what a quantity costs in minor units; unit cost in millionths of one, rounded once for the whole line, half up."""
    return proportion(quantity * unit_cost_millionths, 1, MILLION)


def cost_of_receipt(value_minor: int, ordered: int, received: int, quantity: int) -> int:
    """Returns what the next `quantity` of a line costs after `received` came; what is above the order costs the same each."""
    within = max(0, min(quantity, ordered - received))
    inside = share(value_minor, received, within, ordered) if within else 0
    return inside + proportion(value_minor, quantity - within, ordered)


def over(ordered: int, received: int, quantity: int) -> int:
    """Returns how much of the next `quantity` is more than was ordered."""
    return max(0, received + quantity - max(ordered, received))


def most_without_check(ordered: int, percent: int) -> int:
    """Returns how much may come of a line before the rest must be checked."""
    return ordered + ordered * percent // 100


def expected_at(now: int, lead_time_days: int) -> int:
    """Returns when something ordered now is expected."""
    return now + lead_time_days * DAY
