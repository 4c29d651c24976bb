"""CreateCustomer, GetCustomer, ListCustomers."""

from typing import Any

from sqlalchemy import select

from argosy.orders.v1 import customers_service_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import NotFound
from chassis.kernel.ids import new_id
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.work import Work
from services.orders.store.tables import CUSTOMERS


async def create_customer(work: Work, request: customers_service_pb2.CreateCustomerRequest) -> customers_service_pb2.Customer:
    """Sets a customer up."""
    row = {
        "customer_id": new_id(), "name": request.name, "email": request.email,
        "external_customer_id": request.external_customer_id, "created_at": work.now,
    }  # fmt: skip
    await work.tx.insert(CUSTOMERS, [row])
    return customers_service_pb2.Customer(
        customer_id=str(row["customer_id"]), name=request.name, email=request.email,
        external_customer_id=request.external_customer_id, created_at=to_timestamp(work.now),
    )  # fmt: skip


async def get_customer(asked: Asked) -> customers_service_pb2.Customer:
    """Refusals: NO_SUCH_CUSTOMER."""
    rows = await asked.tx.read(select(CUSTOMERS).where(CUSTOMERS.c.customer_id == asked.request.customer_id))
    if not rows:
        raise NotFound("NO_SUCH_CUSTOMER", f"there is no customer {asked.request.customer_id}", field="customer_id")
    return _to_customer(rows[0])


async def list_customers(asked: Asked) -> customers_service_pb2.ListCustomersResponse:
    """Lists by id."""
    rows, token = await page(asked.tx, select(CUSTOMERS), [CUSTOMERS.c.customer_id], asked.request)
    return customers_service_pb2.ListCustomersResponse(customers=map(_to_customer, rows), next_page_token=token)


def _to_customer(row: Any) -> customers_service_pb2.Customer:
    return customers_service_pb2.Customer(
        customer_id=row.customer_id, name=row.name, email=row.email, external_customer_id=row.external_customer_id,
        created_at=to_timestamp(row.created_at),
    )  # fmt: skip
