"""What customers owe, and have ordered unpaid."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import case, func, select

from argosy.orders.v1 import customers_service_pb2
from chassis.runtime.host import wall_clock
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx
from services.orders.app.customers import load
from services.orders.store.tables import LINES, OPEN, ORDERS, OWING


class Owed(NamedTuple):
    """Minor units."""

    owed_minor: int = 0
    overdue_minor: int = 0
    ordered_minor: int = 0


async def owed_by(tx: Tx, accounts: Sequence[tuple[str, str]], now: int) -> dict[tuple[str, str], Owed]:
    """Returns what customers owe and have ordered unpaid, by customer and currency."""
    if not accounts:
        return {}
    ids = sorted({customer_id for customer_id, _ in accounts})
    key = (ORDERS.c.customer_id, ORDERS.c.currency_code)
    late = func.sum(case((ORDERS.c.pay_by < now, ORDERS.c.receivable_minor), else_=0))
    owing = select(*key, func.sum(ORDERS.c.receivable_minor), late).where(ORDERS.c.customer_id.in_(ids), OWING).group_by(*key)
    found = {(row[0], row[1]): Owed(int(row[2]), int(row[3])) for row in await tx.read(owing)}
    # Of each open order: what its open units are worth, and before anything ships its shipping, less what was paid for it.
    line = LINES.c.amount_minor - LINES.c.discount_minor + LINES.c.tax_minor
    open_units = LINES.c.waiting + LINES.c.reserved
    priced = LINES.c.ordered - LINES.c.settled
    worth = func.sum(line * open_units / case((priced > 0, priced), else_=1))
    unshipped = case((func.sum(LINES.c.shipped) == 0, ORDERS.c.shipping_minor + ORDERS.c.shipping_tax_minor), else_=0)
    each = (
        select(*key, (worth + unshipped - ORDERS.c.deposits_minor).label("unpaid"))
        .join(LINES, LINES.c.order_id == ORDERS.c.order_id)
        .where(ORDERS.c.customer_id.in_(ids), OPEN)
        .group_by(ORDERS.c.order_id, *key, ORDERS.c.shipping_minor, ORDERS.c.shipping_tax_minor, ORDERS.c.deposits_minor)
        .subquery()
    )
    unpaid = func.sum(case((each.c.unpaid > 0, each.c.unpaid), else_=0))
    for customer_id, currency_code, ordered in await tx.read(
        select(each.c.customer_id, each.c.currency_code, unpaid).group_by(each.c.customer_id, each.c.currency_code)
    ):
        before = found.get((customer_id, currency_code), Owed())
        found[customer_id, currency_code] = before._replace(ordered_minor=int(ordered))
    return found


async def get_credit(asked: Asked) -> customers_service_pb2.Credit:
    """Refusals: NO_SUCH_CUSTOMER."""
    customer = await load(asked.tx, asked.request.customer_id)
    key = (customer.customer_id, customer.credit_currency_code)
    owed = (await owed_by(asked.tx, [key], wall_clock())).get(key, Owed())
    used = owed.owed_minor + owed.ordered_minor
    return customers_service_pb2.Credit(
        customer_id=customer.customer_id, currency_code=customer.credit_currency_code, limit_minor=customer.credit_limit_minor,
        left_minor=max(0, customer.credit_limit_minor) - used, **owed._asdict(),
    )  # fmt: skip
