"""Why what others say waits for a person: queues, owners and due times."""

from chassis.runtime.work import HoldKind

HOUR_S = 3600

UNREADABLE = HoldKind("DELIVERY_UNREADABLE", "integration", HOUR_S, "integration")
UNMAPPED = HoldKind("UNMAPPED_STATUS", "data", 2 * HOUR_S, "integration")
CONFLICT = HoldKind("DELIVERY_CONFLICT", "integration", HOUR_S, "integration")
ROWS_LEFT_OUT = HoldKind("ROWS_LEFT_OUT", "integration", 8 * HOUR_S, "integration")
# What of a delivery cannot be carried out, order by order.
OF_ORDERS = {
    kind.reason: kind
    for kind in (
        HoldKind("COMMAND_REFUSED", "integration", HOUR_S, "integration"),
        HoldKind("ORDER_UNKNOWN", "integration", HOUR_S, "integration"),
        HoldKind("ORDER_REVIEW", "data", 2 * HOUR_S, "support"),
        HoldKind("ORDER_CHANGED", "data", 2 * HOUR_S, "support"),
        HoldKind("CANCELLED_TOO_LATE", "returns", 24 * HOUR_S, "support"),
        HoldKind("GIVE_BACK_UNMATCHED", "returns", 24 * HOUR_S, "support"),
        HoldKind("REFUND_DIFFERS", "returns", 24 * HOUR_S, "finance"),
        HoldKind("WAREHOUSE_STUCK", "node", HOUR_S, "operations"),
    )
}
