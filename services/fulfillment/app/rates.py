"""SetRate, SetLane and their lists: what parcels cost."""

from sqlalchemy import select

from argosy.fulfillment.v1 import fulfillment_service_pb2, promise_service_pb2
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.work import Work
from services.fulfillment.store.tables import LANES, RATES

RATE_KEY = ("carrier", "service", "country_code", "currency_code")
LANE_KEY = ("location_id", "country_code", "postal_prefix", "currency_code")


async def set_rate(work: Work, request: fulfillment_service_pb2.SetRateRequest) -> fulfillment_service_pb2.Rate:
    """Replaces the rate of this carrier, service, destination and currency."""
    values = {name: getattr(request, name) for name in (*RATE_KEY, "base_minor", "per_kg_minor", "method")}
    await work.tx.merge(RATES, RATE_KEY, [values])
    return fulfillment_service_pb2.Rate(**values)


async def set_lane(work: Work, request: promise_service_pb2.SetLaneRequest) -> promise_service_pb2.Lane:
    """Replaces the lane of this location, destination and currency."""
    values = {name: getattr(request, name) for name in (*LANE_KEY, "surcharge_minor")}
    await work.tx.merge(LANES, LANE_KEY, [values])
    return promise_service_pb2.Lane(**values)


async def list_rates(asked: Asked) -> fulfillment_service_pb2.ListRatesResponse:
    """Lists by carrier and service."""
    rows, token = await page(asked.tx, select(RATES), [RATES.c[name] for name in RATE_KEY], asked.request)
    rates = [fulfillment_service_pb2.Rate(**row._mapping) for row in rows]
    return fulfillment_service_pb2.ListRatesResponse(rates=rates, next_page_token=token)


async def list_lanes(asked: Asked) -> promise_service_pb2.ListLanesResponse:
    """Lists by location and destination."""
    rows, token = await page(asked.tx, select(LANES), [LANES.c[name] for name in LANE_KEY], asked.request)
    lanes = [promise_service_pb2.Lane(**row._mapping) for row in rows]
    return promise_service_pb2.ListLanesResponse(lanes=lanes, next_page_token=token)
