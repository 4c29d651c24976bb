"""What `take_order` changes: holds, and how far a delivery got."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import case, update

from argosy.gateway.v1 import deliveries_service_pb2
from chassis.kernel.process import HoldReleased
from chassis.runtime.work import HoldKind, Work
from gateway.app.deliveries import put_back
from gateway.process.take_order import NAME, Finish, RaiseHold
from gateway.store.tables import DELIVERIES

HOUR_S = 3600


async def apply_changes(work: Work, changes: Sequence[tuple[str, Struct]]) -> None:
    """Writes them, one statement for all deliveries."""
    finished: Counter[str] = Counter()
    for process_id, change in changes:
        if isinstance(change, RaiseHold):
            work.cause = work.causes[process_id]
            work.hold(HoldKind(change.reason, "channels", 2 * HOUR_S, "channel-manager"), "delivered-order", process_id, change.detail)
        elif isinstance(change, Finish):
            finished[change.delivery_id] += 1
    if not finished:
        return
    new = work.tx.rows("new", {"delivery_id": str, "done": int}, sorted(finished.items()))
    left = DELIVERIES.c.open_orders - new.c.done
    done = case((left == 0, deliveries_service_pb2.DELIVERY_STATE_DONE), else_=DELIVERIES.c.state)
    await work.tx.write(update(DELIVERIES).where(DELIVERIES.c.delivery_id == new.c.delivery_id).values(open_orders=left, state=done))


async def on_hold_released(work: Work, hold: Any) -> None:
    """An order goes on; an unreadable delivery is read again; a report needs nothing more."""
    if hold.subject_type == "delivered-order":
        work.deliver(NAME, hold.subject_id, HoldReleased(hold.reason, work.cause.actor, hold.resolution))
    elif hold.reason == "DELIVERY_UNREADABLE":
        await put_back(work, hold.subject_id)
