"""CreateCustomer, SetCustomerTerms, GetCustomer, ListCustomers."""

from typing import Any

from sqlalchemy import select

from argosy.orders.v1 import customers_service_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import Aborted, InvalidArgument, NotFound
from chassis.kernel.ids import new_id
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from services.orders.store.tables import CUSTOMERS

GIVEN = ("customer_group", "credit_limit_minor", "credit_currency_code", "payment_days", "tax_exemption")


async def create_customer(work: Work, request: customers_service_pb2.CreateCustomerRequest) -> customers_service_pb2.Customer:
    """Sets a customer up, without credit."""
    row = {
        "customer_id": new_id(), "name": request.name, "email": request.email,
        "external_customer_id": request.external_customer_id, "created_at": work.now,
    }  # fmt: skip
    await work.tx.insert(CUSTOMERS, [row])
    return _to_customer(await load(work.tx, str(row["customer_id"])))


async def set_customer_terms(work: Work, request: customers_service_pb2.SetCustomerTermsRequest) -> customers_service_pb2.Customer:
    """Refusals: NO_SUCH_CUSTOMER, CUSTOMER_CHANGED, INVALID_FIELD."""
    row = await load(work.tx, request.customer_id, lock=True)
    if request.etag and request.etag != str(row.version):
        raise Aborted("CUSTOMER_CHANGED", "somebody changed the customer since; look again", field="etag")
    if (request.credit_limit_minor >= 0) != bool(request.credit_currency_code):
        text = "credit_currency_code: name it where there is a limit, and only there (a limit of -1 is none)"
        raise InvalidArgument("INVALID_FIELD", text, field="credit_currency_code")
    if request.tax_exempt != bool(request.tax_exemption):
        text = "tax_exemption: name the certificate where the customer is exempt, and only there"
        raise InvalidArgument("INVALID_FIELD", text, field="tax_exemption")
    values = {name: getattr(request, name) for name in GIVEN}
    changed = {"customer_id": row.customer_id, **values, "blocked": int(request.blocked), "version": row.version + 1}
    await work.tx.change(CUSTOMERS, ("customer_id",), [changed])
    work.note("customer", row.customer_id, reason=request.reason, detail=f"{values}, blocked {request.blocked}")
    return _to_customer(await load(work.tx, row.customer_id))


async def get_customer(asked: Asked) -> customers_service_pb2.Customer:
    """Refusals: NO_SUCH_CUSTOMER."""
    return _to_customer(await load(asked.tx, asked.request.customer_id))


async def list_customers(asked: Asked) -> customers_service_pb2.ListCustomersResponse:
    """Lists by id."""
    rows, token = await page(asked.tx, select(CUSTOMERS), [CUSTOMERS.c.customer_id], asked.request)
    return customers_service_pb2.ListCustomersResponse(customers=map(_to_customer, rows), next_page_token=token)


async def load(tx: Tx, customer_id: str, *, lock: bool = False) -> Any:
    """Returns a customer's row; raises NotFound."""
    rows = await tx.find(CUSTOMERS, ("customer_id",), [(customer_id,)], lock=lock)
    if not rows:
        raise NotFound("NO_SUCH_CUSTOMER", f"there is no customer {customer_id}", field="customer_id")
    return rows[0]


def _to_customer(row: Any) -> customers_service_pb2.Customer:
    return customers_service_pb2.Customer(
        customer_id=row.customer_id, name=row.name, email=row.email, external_customer_id=row.external_customer_id,
        created_at=to_timestamp(row.created_at), tax_exempt=bool(row.tax_exemption), blocked=bool(row.blocked), etag=str(row.version),
        **{name: getattr(row, name) for name in GIVEN},
    )  # fmt: skip
