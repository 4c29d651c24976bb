"""The holds of orders as the chassis raises them."""

from chassis.runtime.work import HoldKind
from services.orders.domain.holds import REASONS


def hold_kind(reason: str) -> HoldKind:
    """Returns a reason with its queue, its due time, who owns it and what it blocks."""
    queue, due_s, role, blocks = REASONS[reason]
    return HoldKind(reason, queue, due_s, role, blocks)
