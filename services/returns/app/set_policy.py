"""SetPolicy: a channel's return policy."""

from argosy.returns.v1 import returns_service_pb2
from chassis.runtime.work import Work
from services.returns.store.tables import POLICIES


async def set_policy(work: Work, request: returns_service_pb2.SetPolicyRequest) -> returns_service_pb2.Policy:
    """Replaces the channel's policy."""
    statement = work.insert(POLICIES)
    upsert = statement.on_conflict_do_update(
        index_elements=["channel_id"],
        set_={"window_days": statement.excluded.window_days, "refund_shipping": statement.excluded.refund_shipping},
    )
    row = {"channel_id": request.channel_id, "window_days": request.window_days, "refund_shipping": int(request.refund_shipping)}
    await work.tx.write(upsert, [row])
    return returns_service_pb2.Policy(
        channel_id=request.channel_id, window_days=request.window_days, refund_shipping=request.refund_shipping
    )
