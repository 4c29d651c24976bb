"""Writes what the process of a return changed: its refund, its end, its holds; and tells it when a hold is lifted."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from argosy.returns.v1 import returns_events_pb2
from chassis.kernel.process import HoldReleased
from chassis.runtime.work import HoldKind, Work
from services.returns.domain.judgement import RefundState, Status
from services.returns.process import settle_return
from services.returns.store.tables import RETURNS

KEY = ("return_id",)
MISMATCH = HoldKind("REFUND_MISMATCH", "returns", 86_400, "support", "refund")


async def apply_changes(work: Work, changes: Sequence[tuple[str, Struct]]) -> None:
    """Applies the changes in their order."""
    ids = sorted({return_id for return_id, _ in changes})
    rows = {r.return_id: dict(r._mapping) for r in await work.tx.find(RETURNS, KEY, [(one,) for one in ids], order=KEY, lock=True)}
    for return_id, change in changes:
        work.cause = work.causes[return_id]
        row = rows[return_id]
        match change:
            case settle_return.KeepRefund(amount_minor):
                row["refund_state"], row["refund_minor"] = int(RefundState.ISSUED), row["refund_minor"] + amount_minor
            case settle_return.RaiseHold(_, detail):
                row["refund_state"] = int(RefundState.FAILED)
                work.hold(MISMATCH, "return", return_id, detail)
            case settle_return.Close(status):
                row["status"] = int(Status[status])
                work.emit(returns_events_pb2.ReturnClosed(return_id=return_id, order_id=row["order_id"], status=status))
            case _:
                raise TypeError(f"unknown change {type(change).__name__}")
    names = ("return_id", "status", "refund_state", "refund_minor")
    changed = [{**{name: row[name] for name in names}, "version": 1} for row in rows.values()]
    await work.tx.change(RETURNS, KEY, changed, add=("version",))


async def on_hold_released(work: Work, hold: Any) -> None:
    """The refund is asked for again."""
    if hold.reason == MISMATCH.reason:
        work.deliver(settle_return.NAME, hold.subject_id, HoldReleased(hold.reason, work.cause.actor, hold.resolution))
