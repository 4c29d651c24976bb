"""SetStockPolicy: safety stock of an item at a location, or a channel's buffer and share. Policies are not states."""

from argosy.inventory.v1 import stock_service_pb2
from chassis.kernel.errors import InvalidArgument
from chassis.runtime.work import Work
from services.inventory.store.tables import POLICIES


async def set_stock_policy(work: Work, request: stock_service_pb2.SetStockPolicyRequest) -> stock_service_pb2.StockPolicy:
    """Refusals: BAD_POLICY where it is neither (item and location) nor (channel, with an item or for all)."""
    safety = not request.channel_id and request.item_id and request.location_id
    buffer = request.channel_id and not request.location_id
    if not (safety or buffer):
        raise InvalidArgument("BAD_POLICY", "give item_id and location_id for safety stock, or channel_id for a buffer", field="channel_id")
    row = {
        "channel_id": request.channel_id, "item_id": request.item_id, "location_id": request.location_id,
        "quantity": request.quantity, "share_percent": request.share_percent or 100,
        "changed_at": work.now,
    }  # fmt: skip
    await work.tx.merge(POLICIES, ("channel_id", "item_id", "location_id"), [row])
    return stock_service_pb2.StockPolicy(
        channel_id=request.channel_id, item_id=request.item_id, location_id=request.location_id, quantity=request.quantity,
        share_percent=request.share_percent or 100,
    )  # fmt: skip
