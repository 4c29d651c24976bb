"""SetPolicy: a channel's return policy."""

from argosy.returns.v1 import returns_service_pb2
from chassis.runtime.work import Work
from services.returns.store.tables import POLICIES


async def set_policy(work: Work, request: returns_service_pb2.SetPolicyRequest) -> returns_service_pb2.Policy:
    """Replaces the channel's policy."""
    row = {"channel_id": request.channel_id, "window_days": request.window_days, "refund_shipping": int(request.refund_shipping)}
    await work.tx.merge(POLICIES, ("channel_id",), [row])
    return returns_service_pb2.Policy(
        channel_id=request.channel_id, window_days=request.window_days, refund_shipping=request.refund_shipping
    )
