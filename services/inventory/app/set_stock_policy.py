"""SetStockPolicy, SetMethodSafety: what is kept back of an item at a location, or what a channel may be shown; never a state."""

import json
from collections.abc import Sequence

from sqlalchemy import select

from argosy.inventory.v1 import stock_service_pb2
from chassis.kernel.errors import InvalidArgument, NotFound
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.work import Work
from services.inventory.app.views import to_policy
from services.inventory.store.tables import LOCATIONS, METHOD_SAFETY, POLICIES

METHOD_KEY = ("item_id", "location_id", "shipping_method")


async def set_stock_policy(work: Work, request: stock_service_pb2.SetStockPolicyRequest) -> stock_service_pb2.StockPolicy:
    """Refusals: NO_SUCH_LOCATION; BAD_POLICY where it is neither (item and location) nor (channel, with an item or for all)."""
    safety = not request.channel_id and request.item_id and request.location_id
    buffer = request.channel_id and not request.location_id
    if not (safety or buffer):
        raise InvalidArgument("BAD_POLICY", "give item_id and location_id for safety stock, or channel_id for a buffer", field="channel_id")
    row = {
        "channel_id": request.channel_id, "item_id": request.item_id, "location_id": request.location_id,
        "quantity": request.quantity, "share_percent": request.share_percent if request.HasField("share_percent") else 100,
        "changed_at": work.now, "threshold": request.threshold, "most": request.most,
        "network": json.dumps(sorted(request.network)) if request.network else "", "risk_ppm": request.oversell_chance_ppm,
    }  # fmt: skip
    await _need_locations(work, request, request.network)
    key = ("channel_id", "item_id", "location_id")
    await work.tx.merge(POLICIES, key, [row])
    return to_policy((await work.tx.find(POLICIES, key, [tuple(str(row[name]) for name in key)]))[0])


async def set_method_safety(work: Work, request: stock_service_pb2.SetMethodSafetyRequest) -> stock_service_pb2.MethodSafety:
    """Replaces what is kept back from this method. Refusals: NO_SUCH_LOCATION."""
    await _need_locations(work, request, ())
    values = {name: getattr(request, name) for name in (*METHOD_KEY, "quantity")}
    await work.tx.merge(METHOD_SAFETY, METHOD_KEY, [values])
    return stock_service_pb2.MethodSafety(**values)


async def list_method_safety(asked: Asked) -> stock_service_pb2.ListMethodSafetyResponse:
    """Lists by item and location."""
    query = select(METHOD_SAFETY)
    if asked.request.item_id:
        query = query.where(METHOD_SAFETY.c.item_id == asked.request.item_id)
    rows, token = await page(asked.tx, query, [METHOD_SAFETY.c[name] for name in METHOD_KEY], asked.request)
    found = [stock_service_pb2.MethodSafety(**row._mapping) for row in rows]
    return stock_service_pb2.ListMethodSafetyResponse(method_safety=found, next_page_token=token)


async def _need_locations(
    work: Work, request: stock_service_pb2.SetStockPolicyRequest | stock_service_pb2.SetMethodSafetyRequest, network: Sequence[str]
) -> None:
    wanted = sorted({*network, *([request.location_id] if request.location_id else [])})
    known = {row.location_id for row in await work.tx.find(LOCATIONS, ("location_id",), [(one,) for one in wanted], only=("location_id",))}
    for location_id in wanted:
        if location_id not in known:
            field = "location_id" if location_id == request.location_id else "network"
            raise NotFound("NO_SUCH_LOCATION", f"{field}: there is no location {location_id}", field=field)
