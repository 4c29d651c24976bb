"""SetSupplier and ListSuppliers."""

from typing import Any

from sqlalchemy import select

from argosy.inventory.v1 import purchasing_service_pb2
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.work import Work
from services.inventory.store.tables import SUPPLIERS

PLAIN = (
    "supplier_id", "name", "currency_code", "lead_time_days", "confidence_percent", "over_delivery_percent", "country_code",
)  # fmt: skip


async def set_supplier(work: Work, request: purchasing_service_pb2.SetSupplierRequest) -> purchasing_service_pb2.Supplier:
    """Sets one up or changes it; what is ordered already keeps its dates."""
    row = {name: getattr(request, name) for name in PLAIN}
    await work.tx.merge(SUPPLIERS, PLAIN[:1], [row])
    return purchasing_service_pb2.Supplier(**row)


async def list_suppliers(asked: Asked) -> purchasing_service_pb2.ListSuppliersResponse:
    """Lists by id."""
    rows, token = await page(asked.tx, select(SUPPLIERS), [SUPPLIERS.c.supplier_id], asked.request)
    return purchasing_service_pb2.ListSuppliersResponse(suppliers=[_supplier(row) for row in rows], next_page_token=token)


def _supplier(row: Any) -> purchasing_service_pb2.Supplier:
    return purchasing_service_pb2.Supplier(**{name: getattr(row, name) for name in PLAIN})
