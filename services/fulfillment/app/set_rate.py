"""SetRate: what a parcel costs."""

from argosy.fulfillment.v1 import fulfillment_service_pb2
from chassis.runtime.work import Work
from services.fulfillment.store.tables import RATES


async def set_rate(work: Work, request: fulfillment_service_pb2.SetRateRequest) -> fulfillment_service_pb2.Rate:
    """Replaces the rate of this carrier, service, destination and currency."""
    names = ("carrier", "service", "country_code", "currency_code", "base_minor", "per_kg_minor")
    values = {name: getattr(request, name) for name in names}
    await work.tx.merge(RATES, names[:4], [values])
    return fulfillment_service_pb2.Rate(**values)
