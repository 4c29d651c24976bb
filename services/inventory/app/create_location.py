"""CreateLocation: sets a place up that holds stock."""

from sqlalchemy import select

from argosy.inventory.v1 import stock_pb2, stock_service_pb2
from chassis.kernel.errors import AlreadyExists, InvalidArgument
from chassis.runtime.work import Work
from services.inventory.app.views import to_location
from services.inventory.store.tables import LOCATIONS


async def create_location(work: Work, request: stock_service_pb2.CreateLocationRequest) -> stock_pb2.Location:
    """Refusals: LOCATION_EXISTS, INVALID_FIELD where a supplier's stock is said to be ours."""
    if request.kind == stock_pb2.LOCATION_KIND_SUPPLIER and not request.consigned:
        text = "consigned: stock at a supplier's is the supplier's until it ships; set it"
        raise InvalidArgument("INVALID_FIELD", text, field="consigned")
    query = select(LOCATIONS).where(LOCATIONS.c.location_id == request.location_id)
    if await work.tx.read(query):
        raise AlreadyExists("LOCATION_EXISTS", f"there is a location {request.location_id} already", field="location_id")
    row = {
        "location_id": request.location_id, "name": request.name, "kind": request.kind, "entity": request.entity,
        "owned": int(not request.consigned), "country_code": request.country_code, "postal_prefix": request.postal_prefix,
        "currency_code": request.currency_code, "created_at": work.now,
    }  # fmt: skip
    await work.tx.insert(LOCATIONS, [row])
    return to_location((await work.tx.read(query))[0])
