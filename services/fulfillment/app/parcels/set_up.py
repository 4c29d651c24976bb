"""Origins and cartons: from where locations ship, and what in."""

from google.protobuf.json_format import MessageToJson, Parse
from sqlalchemy import select

from argosy.common.v1 import address_pb2
from argosy.fulfillment.v1 import parcels_service_pb2
from chassis.kernel.errors import InvalidArgument
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.work import Work
from services.fulfillment.store.parcels import CARTONS, ORIGINS

CARTON = ("carton", "length_mm", "width_mm", "height_mm", "most_weight_g", "tare_g")


async def set_origin(work: Work, request: parcels_service_pb2.SetOriginRequest) -> parcels_service_pb2.Origin:
    """Refusals: INVALID_FIELD where a carrier could not find the address."""
    address = request.address
    for name in ("lines", "locality", "postal_code", "country_code"):
        if not getattr(address, name):
            raise InvalidArgument("INVALID_FIELD", f"address.{name}: carriers need it", field=f"address.{name}")
    body = MessageToJson(address, preserving_proto_field_name=True, indent=None)
    await work.tx.merge(ORIGINS, ("location_id",), [{"location_id": request.location_id, "address": body, "tax_id": request.tax_id}])
    return parcels_service_pb2.Origin(location_id=request.location_id, address=address, tax_id=request.tax_id)


def origin_address(body: str) -> address_pb2.Address:
    """Returns an origin's address as it was set."""
    return Parse(body, address_pb2.Address())


async def list_origins(asked: Asked) -> parcels_service_pb2.ListOriginsResponse:
    """Lists by location."""
    rows, token = await page(asked.tx, select(ORIGINS), [ORIGINS.c.location_id], asked.request)
    origins = [
        parcels_service_pb2.Origin(location_id=row.location_id, address=origin_address(row.address), tax_id=row.tax_id) for row in rows
    ]
    return parcels_service_pb2.ListOriginsResponse(origins=origins, next_page_token=token)


async def set_carton(work: Work, request: parcels_service_pb2.SetCartonRequest) -> parcels_service_pb2.Carton:
    """Sets a carton up, or changes it."""
    row = {name: getattr(request, name) for name in CARTON}
    await work.tx.merge(CARTONS, CARTON[:1], [row])
    return parcels_service_pb2.Carton(**row)


async def list_cartons(asked: Asked) -> parcels_service_pb2.ListCartonsResponse:
    """Lists by name."""
    rows, token = await page(asked.tx, select(CARTONS), [CARTONS.c.carton], asked.request)
    return parcels_service_pb2.ListCartonsResponse(
        cartons=[parcels_service_pb2.Carton(**row._mapping) for row in rows], next_page_token=token
    )
