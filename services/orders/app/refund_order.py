"""RefundOrder: agrees to give money back for units that shipped; `pay_refund` brings it to the customer."""

from typing import Any

from sqlalchemy import select, update

from argosy.orders.v1 import order_pb2, orders_events_pb2, orders_service_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import FailedPrecondition, NotFound
from chassis.kernel.ids import new_id
from chassis.runtime.work import Work
from services.orders.app.agree_refund import start_refund
from services.orders.app.views import load, visible
from services.orders.domain.amounts import priced, shipping_shipped, units_worth
from services.orders.store.tables import HISTORY, LINES, ORDERS, REFUNDS, TENDERS


async def refund_order(work: Work, request: orders_service_pb2.RefundOrderRequest) -> order_pb2.Refund:
    """Refusals: NO_SUCH_ORDER, NO_SUCH_LINE, NOT_SHIPPED, NOT_CAPTURED."""
    order = await load(work.tx, request.order_id, lock=True)
    visible(work, order.channel_id)
    lines = {r.line_id: r for r in await work.tx.read(select(LINES).where(LINES.c.order_id == request.order_id))}
    refunded = {line_id: line.refunded for line_id, line in lines.items()}
    event = orders_events_pb2.RefundAgreed(
        order_id=order.order_id, return_id=request.return_id, channel_id=order.channel_id, entity=order.entity,
        currency_code=order.currency_code,
    )  # fmt: skip
    for index, wanted in enumerate(request.lines):
        _add(event, lines, refunded, wanted, f"lines[{index}]")
    shipping_back = request.include_shipping and not order.shipping_refunded and _all_back(lines, refunded)
    if shipping_back:
        shipping = shipping_shipped(order._mapping, [line._mapping for line in lines.values()])
        event.shipping_minor = shipping.product_minor
        event.tax_minor += shipping.tax_minor
    event.amount_minor = event.product_minor + event.shipping_minor + event.tax_minor
    tenders = await work.tx.read(select(TENDERS).where(TENDERS.c.order_id == order.order_id).order_by(TENDERS.c.tender_id))
    left = order.captured_minor - order.refunded_minor
    if event.amount_minor > left:
        text = f"{event.amount_minor} would go back, but only {left} was captured and not refunded"
        raise FailedPrecondition("NOT_CAPTURED", text, field="lines", left_minor=left)
    refunding: dict[str, int] = {}
    row = start_refund(
        work, order.order_id, tenders, event.amount_minor, refunding, kind="return", reason=request.reason, return_id=request.return_id
    )
    event.refund_id = row["refund_id"]
    await work.tx.change(TENDERS, ("tender_id",), [{"tender_id": one, "refunding_minor": amount} for one, amount in refunding.items()])
    await _write(work, order, row, refunded, bool(shipping_back))
    work.emit(event)
    return to_refund(row, order.currency_code)


def _add(event: Any, lines: dict[str, Any], refunded: dict[str, int], wanted: orders_service_pb2.LineQuantity, field: str) -> None:
    line = lines.get(wanted.line_id)
    if line is None:
        raise NotFound("NO_SUCH_LINE", f"the order has no line {wanted.line_id}", field=f"{field}.line_id")
    quantity = wanted.quantity * line.units
    left = line.shipped - refunded[wanted.line_id]
    if quantity > left:
        text = f"of the line, {left // line.units} shipped and were not refunded"
        raise FailedPrecondition("NOT_SHIPPED", text, field=f"{field}.quantity", left=left // line.units)
    worth = units_worth(priced(line._mapping), refunded[wanted.line_id], quantity)
    refunded[wanted.line_id] += quantity
    event.product_minor += worth.product_minor - worth.discount_minor
    event.tax_minor += worth.tax_minor
    event.units += wanted.quantity


def _all_back(lines: dict[str, Any], refunded: dict[str, int]) -> bool:
    return all(line.shipped == refunded[line_id] for line_id, line in lines.items())


async def _write(work: Work, order: Any, row: dict[str, Any], refunded: dict[str, int], shipping_back: bool) -> None:
    await work.tx.insert(REFUNDS, [row])
    lines = [{"line_id": line_id, "refunded": quantity} for line_id, quantity in refunded.items()]
    await work.tx.change(LINES, ("line_id",), lines)
    await work.tx.write(
        update(ORDERS).where(ORDERS.c.order_id == order.order_id).values(
            refunded_minor=order.refunded_minor + row["amount_minor"], version=order.version + 1,
            shipping_refunded=int(order.shipping_refunded or shipping_back),
        )
    )  # fmt: skip
    entry = {"entry_id": new_id(), "order_id": order.order_id, "at": work.now, "actor": work.cause.actor}
    await work.tx.insert(HISTORY, [{**entry, "kind": "REFUND_AGREED", "detail": f"{row['amount_minor']}: {row['reason']}"}])


def to_refund(row: dict[str, Any], currency_code: str) -> order_pb2.Refund:
    """Returns a refund's row as the contract shows it."""
    return order_pb2.Refund(
        refund_id=row["refund_id"], order_id=row["order_id"], return_id=row["return_id"], amount_minor=row["amount_minor"],
        currency_code=currency_code, state=row["state"], reason=row["reason"], created_at=to_timestamp(row["created_at"]),
    )  # fmt: skip
