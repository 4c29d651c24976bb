"""Why an order may wait for a person: queues, owners, due times and what each blocks."""

from collections.abc import Iterable

from chassis.kernel.errors import InvalidArgument

HOUR_S = 3600
DAY_S = 24 * HOUR_S

# reason → (queue, due in seconds, owner role, blocked step)
REASONS: dict[str, tuple[str, int, str, str]] = {
    "UNKNOWN_SKU": ("data", 2 * HOUR_S, "merchandising", "reserve"),
    "TAX_MISMATCH": ("data", 2 * HOUR_S, "finance", "release"),
    "PRICE_OVERRIDE": ("data", 2 * HOUR_S, "merchandising", "release"),
    "RULE_ERROR": ("data", 2 * HOUR_S, "operations", "release"),
    "AWAITING_PAYMENT": ("payment", 4 * HOUR_S, "support", "release"),
    "AMOUNT_MISMATCH": ("payment", 4 * HOUR_S, "support", "release"),
    "CHARGEBACK": ("payment", 24 * HOUR_S, "finance", ""),
    "REFUND_MISMATCH": ("returns", 24 * HOUR_S, "finance", ""),
    "CAPTURE_FAILED": ("payment", 4 * HOUR_S, "support", ""),
    "VOID_FAILED": ("payment", 8 * HOUR_S, "support", ""),
    "AUTH_EXPIRED": ("payment", 4 * HOUR_S, "support", ""),
    "HIGH_RISK": ("fraud", HOUR_S, "operations", "release"),
    "VELOCITY": ("fraud", HOUR_S, "operations", "release"),
    "INCORRECT_ADDRESS": ("address", 4 * HOUR_S, "support", "release"),
    "UNDELIVERABLE": ("address", 4 * HOUR_S, "support", "release"),
    "LIMIT_EXCEEDED": ("credit", 8 * HOUR_S, "finance", "release"),
    "OVERDUE": ("credit", 8 * HOUR_S, "finance", "release"),
    "CUSTOMER_BLOCKED": ("credit", 8 * HOUR_S, "finance", "release"),
    "DUPLICATE_SUSPECT": ("data", 2 * HOUR_S, "support", "release"),
    "PAID_NO_STOCK": ("payment", 4 * HOUR_S, "support", ""),
    "OUT_OF_STOCK": ("stock", 2 * HOUR_S, "operations", ""),
    "UNKNOWN_DATE": ("stock", 2 * HOUR_S, "operations", ""),
    "STOCK_TAKEN": ("stock", HOUR_S, "operations", ""),
    "SURPLUS_RESERVED": ("stock", 8 * HOUR_S, "operations", ""),
    "RESTRICTED_DESTINATION": ("trade", 8 * HOUR_S, "operations", "release"),
    "EXPORT_RESTRICTED": ("trade", 8 * HOUR_S, "operations", "release"),
    "DOCUMENTS_MISSING": ("trade", 8 * HOUR_S, "merchandising", "release"),
    "HAZMAT": ("trade", 8 * HOUR_S, "operations", "release"),
    "NEEDS_APPROVAL": ("approval", 8 * HOUR_S, "operations", "release"),
    "NO_ACK": ("node", HOUR_S, "operations", ""),
    "SHIPPED_UNASKED": ("node", HOUR_S, "operations", ""),
    "REFUND_FAILED": ("payment", 4 * HOUR_S, "support", ""),
    "INTEGRATION_FAILED": ("integration", HOUR_S, "operations", "release"),
}

# For how long stock stays reserved for what waits in a queue and may not be released; in others, as long as it takes.
KEPT_S = {
    "payment": 3 * DAY_S, "fraud": 3 * DAY_S, "credit": 3 * DAY_S, "address": 7 * DAY_S, "trade": 7 * DAY_S, "approval": 7 * DAY_S,
    "data": 7 * DAY_S,
}  # fmt: skip

# What an order does not answer by being done.
OUTLIVES = frozenset({"SHIPPED_UNASKED", "CHARGEBACK", "REFUND_MISMATCH"})


def blocked_step(reason: str) -> str:
    """Returns the step that a hold blocks; raises InvalidArgument for an unknown reason."""
    if reason not in REASONS:
        raise InvalidArgument("UNKNOWN_REASON", f"{reason} is no reason to hold an order")
    return REASONS[reason][3]


def kept_s(reasons: Iterable[str]) -> int:
    """Returns for how long stock stays reserved for an order with these holds, in seconds: the longest of those that block its release.

    Zero where none does, or one does for as long as it takes.
    """
    times = [KEPT_S.get(REASONS[reason][0], 0) for reason in reasons if blocked_step(reason) == "release"]
    return max(times) if times and all(times) else 0
