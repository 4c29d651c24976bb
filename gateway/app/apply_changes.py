"""What `take_order` changes: holds, and how far a delivery got."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from argosy.gateway.v1 import deliveries_service_pb2
from chassis.kernel.process import HoldReleased
from chassis.runtime.work import Work
from gateway.app.deliveries import put_back
from gateway.app.hold_kinds import OF_ORDERS, UNMAPPED, UNREADABLE
from gateway.app.publications import try_dispatch_again
from gateway.app.warehouses import try_again
from gateway.process.take_order import NAME, Finish, RaiseHold
from gateway.store.tables import DELIVERIES

# One that is not understood, or is to be read again, is not done when what could be read of it is.
ALL_DONE = (DELIVERIES.c.open_orders == 0, DELIVERIES.c.state == deliveries_service_pb2.DELIVERY_STATE_UNDERSTOOD)


async def apply_changes(work: Work, changes: Sequence[tuple[str, Struct]]) -> None:
    """Writes them, two statements for all deliveries."""
    finished: Counter[str] = Counter()
    for process_id, change in changes:
        if isinstance(change, RaiseHold):
            work.cause = work.causes[process_id]
            work.hold(OF_ORDERS[change.reason], "delivered-order", process_id, change.detail)
        elif isinstance(change, Finish):
            finished[change.delivery_id] += 1
    if not finished:
        return
    key, ids = ("delivery_id",), sorted(finished)
    rows = [{"delivery_id": delivery_id, "open_orders": -finished[delivery_id]} for delivery_id in ids]
    await work.tx.change(DELIVERIES, key, rows, add=("open_orders",))
    rows = [{"delivery_id": delivery_id, "state": deliveries_service_pb2.DELIVERY_STATE_DONE} for delivery_id in ids]
    await work.tx.change(DELIVERIES, key, rows, where=ALL_DONE)


async def on_hold_released(work: Work, hold: Any) -> None:
    """An order goes on; an unreadable delivery is read again; a channel or a warehouse is told again; a report needs nothing more."""
    if hold.subject_type == "delivered-order":
        work.deliver(NAME, hold.subject_id, HoldReleased(hold.reason, work.cause.actor, hold.resolution))
    elif hold.subject_type == "dispatch":
        await try_dispatch_again(work, hold.subject_id)
    elif hold.subject_type == "warehouse-message":
        await try_again(work, hold.subject_id)
    elif hold.reason in (UNREADABLE.reason, UNMAPPED.reason):
        await put_back(work, hold.subject_id)
