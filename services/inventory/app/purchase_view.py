"""Purchase orders as the contract shows them, and their queries."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from argosy.inventory.v1 import purchasing_service_pb2
from chassis.kernel.clock import day_of, to_timestamp
from chassis.kernel.errors import NotFound
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx
from services.inventory.store.tables import PURCHASE_LINES, PURCHASE_ORDERS

ORDER = (
    "purchase_order_id", "number", "supplier_id", "location_id", "currency_code", "status", "total_minor", "note", "approval_id",
    "created_by",
)  # fmt: skip
LINE = ("line_id", "item_id", "ordered", "confirmed", "received", "damaged", "over", "value_minor")


def to_purchase_order(row: Any, lines: Sequence[Any]) -> purchasing_service_pb2.PurchaseOrder:
    """Returns an order's rows as the contract shows them."""
    return purchasing_service_pb2.PurchaseOrder(
        **{name: getattr(row, name) for name in ORDER}, etag=str(row.version), created_at=to_timestamp(row.created_at),
        lines=[
            purchasing_service_pb2.PurchaseOrderLine(**{name: getattr(line, name) for name in LINE}, expected_on=day_of(line.due_at))
            for line in lines
        ],
    )  # fmt: skip


async def lines_of(tx: Tx, order_ids: Sequence[str]) -> Sequence[Any]:
    """Returns the lines of orders, in the order in which they were written."""
    rows = await tx.find(PURCHASE_LINES, ("purchase_order_id",), [(one,) for one in order_ids])
    return sorted(rows, key=lambda row: (row.purchase_order_id, int(row.line_id)))


async def get_purchase_order(asked: Asked) -> purchasing_service_pb2.PurchaseOrder:
    """Refusals: NO_SUCH_PURCHASE_ORDER."""
    order_id = asked.request.purchase_order_id
    rows = await asked.tx.read(select(PURCHASE_ORDERS).where(PURCHASE_ORDERS.c.purchase_order_id == order_id))
    if not rows:
        raise NotFound("NO_SUCH_PURCHASE_ORDER", f"there is no purchase order {order_id}", field="purchase_order_id")
    return to_purchase_order(rows[0], await lines_of(asked.tx, [order_id]))


async def list_purchase_orders(asked: Asked) -> purchasing_service_pb2.ListPurchaseOrdersResponse:
    """Lists newest first."""
    query = select(PURCHASE_ORDERS)
    for name in ("status", "supplier_id", "number", "location_id"):
        if wanted := getattr(asked.request, name):
            query = query.where(PURCHASE_ORDERS.c[name] == wanted)
    rows, token = await page(asked.tx, query, [PURCHASE_ORDERS.c.purchase_order_id], asked.request, descending=True)
    lines = await lines_of(asked.tx, [row.purchase_order_id for row in rows])
    orders = [to_purchase_order(row, [line for line in lines if line.purchase_order_id == row.purchase_order_id]) for row in rows]
    return purchasing_service_pb2.ListPurchaseOrdersResponse(purchase_orders=orders, next_page_token=token)
