"""What each role may do. Who proposes something over a limit and who approves it is not told by roles alone."""

from argosy.gateway.v1 import access_service_pb2

LOOKING = ("catalog.channels.read", "catalog.items.read", "inventory.stock.read", "inventory.availability.read", "orders.orders.read")


def holds_of(role: str) -> tuple[str, ...]:
    """Returns what somebody needs who works on the holds that a role owns."""
    return ("ops.holds.read", "ops.holds.release", f"ops.holds.of.{role}")


GRANTS: dict[int, tuple[str, ...]] = {
    access_service_pb2.ROLE_WAREHOUSE: (
        *LOOKING, *holds_of("warehouse"), "inventory.stock.receive", "inventory.stock.adjust", "inventory.counts.*",
        "inventory.transfers.write",
        "inventory.purchasing.read", "ops.approvals.read", "fulfillment.orders.read", "fulfillment.orders.work", "orders.shipto.read",
        "returns.returns.read", "returns.returns.work",
    ),
    access_service_pb2.ROLE_MERCHANDISING: (
        *LOOKING, *holds_of("merchandising"), "catalog.*", "inventory.policy.write", "ops.jobs.read", "ops.approvals.read",
        "ops.approvals.decide",
    ),
    access_service_pb2.ROLE_PURCHASING: (
        *LOOKING, *holds_of("purchasing"), "inventory.stock.receive", "inventory.value.read", "inventory.purchasing.read",
        "inventory.purchasing.write", "inventory.suppliers.write", "inventory.planning.*", "ops.jobs.read", "ops.approvals.read",
    ),
    access_service_pb2.ROLE_FINANCE: (
        *LOOKING, *holds_of("finance"), "finance.*", "inventory.value.*", "inventory.purchasing.read", "inventory.purchasing.approve",
        "inventory.adjustment.approve", "catalog.prices.approve", "ops.approvals.read", "ops.approvals.decide",
        "fulfillment.orders.read", "fulfillment.freight.*", "returns.returns.read", "ops.audit.read", "ops.proof.read",
    ),
    access_service_pb2.ROLE_SUPPORT: (
        *LOOKING, *holds_of("support"), "orders.orders.create", "orders.orders.cancel", "orders.orders.change", "orders.shipto.read",
        "orders.customers.*",
        "orders.payments.refund", "fulfillment.orders.read", "fulfillment.promises.read", "returns.returns.read",
        "returns.returns.write", "gateway.notices.read", "gateway.notices.send",
    ),
    access_service_pb2.ROLE_OPERATIONS: (
        *LOOKING, "inventory.*", "orders.*", "fulfillment.*", "returns.*", "finance.journal.read",
        "ops.holds.*", "ops.queues.write", "ops.events.*", "ops.audit.read", "ops.proof.read", "ops.approvals.*", "ops.jobs.*",
        "gateway.deliveries.read", "gateway.deliveries.content", "gateway.connections.read", "gateway.subscriptions.read",
        "gateway.notices.*",
    ),
    access_service_pb2.ROLE_INTEGRATION: (
        *LOOKING, *holds_of("integration"), "orders.orders.create", "inventory.feeds.write", "inventory.sales.write",
        "fulfillment.promises.read", "gateway.connections.*", "gateway.deliveries.*", "gateway.subscriptions.*", "gateway.notices.*",
        "ops.events.read",
    ),
    access_service_pb2.ROLE_ADMIN: (
        "gateway.users.read", "gateway.users.write", "gateway.keys.read", "gateway.keys.write", "ops.audit.read", "ops.proof.read",
        "ops.approvals.read", "ops.limits.write",
    ),
}  # fmt: skip
