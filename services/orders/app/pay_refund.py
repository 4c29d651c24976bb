"""What `pay_refund` asks of the payment port, and what it writes when money has moved."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import update

from argosy.orders.v1 import orders_events_pb2
from chassis.kernel.errors import Unavailable
from chassis.kernel.ids import new_id
from chassis.runtime.database import Database
from chassis.runtime.effects import Effect, few_at_once
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from services.orders.app.hold_kinds import hold_kind
from services.orders.clients.payments import Payments
from services.orders.process.messages import RaiseHold
from services.orders.process.pay_refund import KeepPayment, TenderFailed, TenderPaid
from services.orders.store.tables import HISTORY, ORDERS, REFUNDS, TENDERS


class Refunds:
    """Asks who moves the money to give it back."""

    def __init__(self, payments: Payments) -> None:
        self._payments = payments

    async def refund_tenders(self, effects: Sequence[Effect], database: Database) -> Sequence[Struct | None]:
        """Pays each part through its tender's adapter, outside any transaction, under the effect's own key."""
        wanted = {(effect.asked.tender_id,) for effect in effects}
        async with database.read() as tx:
            tenders = {row.tender_id: row for row in await tx.find(TENDERS, ("tender_id",), wanted)}
            orders = await _orders(tx, tenders.values())

        async def pay(effect: Effect) -> Struct | None:
            tender = tenders[effect.asked.tender_id]
            amount, currency = effect.asked.amount_minor, orders[tender.order_id].currency_code
            try:
                result = await self._payments.port_of(tender.adapter).refund(tender.reference, amount, currency, effect.request_id)
            except Unavailable:
                # Nobody knows whether it worked: it is asked again under the same key.
                return None
            return TenderFailed(tender.tender_id, result.failure) if result.failure else TenderPaid(tender.tender_id, result.reference)

        return await few_at_once(map(pay, effects))


async def apply_refund_changes(work: Work, changes: Sequence[tuple[str, Struct]]) -> None:
    """Writes payments: the tender, the refund's state, history, and the event that finance books."""
    paid = [(refund_id, change) for refund_id, change in changes if isinstance(change, KeepPayment)]
    refunds = {row.refund_id: row for row in await work.tx.find(REFUNDS, ("refund_id",), {(refund_id,) for refund_id, _ in changes})}
    orders = await _orders(work.tx, refunds.values())
    history = []
    for refund_id, change in changes:
        work.cause = work.causes[refund_id]
        refund = refunds[refund_id]
        if isinstance(change, RaiseHold):
            work.hold(hold_kind(change.reason), "refund", refund_id, change.detail)
        elif isinstance(change, KeepPayment):
            work.emit(_event(orders[refund.order_id], refund, change))
            entry = {"entry_id": new_id(), "order_id": refund.order_id, "at": work.now, "actor": work.cause.actor}
            history.append({**entry, "kind": "REFUND_PAID", "detail": str(change.amount_minor)})
    await work.tx.change(TENDERS, ("tender_id",), _sums(paid), add=("refunded_minor", "refunding_minor"))
    done = [refund_id for refund_id, change in paid if change.last]
    if done:
        await work.tx.write(update(REFUNDS).where(REFUNDS.c.refund_id.in_(done)).values(state="ISSUED"))
    await work.tx.insert(HISTORY, history)


def _sums(paid: Sequence[tuple[str, KeepPayment]]) -> list[dict[str, str | int]]:
    sums: Counter[str] = Counter()
    for _, change in paid:
        sums[change.tender_id] += change.amount_minor
    return [{"tender_id": one, "refunded_minor": amount, "refunding_minor": -amount} for one, amount in sorted(sums.items())]


async def _orders(tx: Tx, rows: Iterable[Any]) -> dict[str, Any]:
    """Returns the orders that the rows belong to."""
    found = await tx.find(ORDERS, ("order_id",), {(row.order_id,) for row in rows})
    return {row.order_id: row for row in found}


def _event(order: Any, refund: Any, change: KeepPayment) -> Any:
    about = {
        "order_id": order.order_id, "refund_id": refund.refund_id, "channel_id": order.channel_id, "entity": order.entity,
        "currency_code": order.currency_code, "amount_minor": change.amount_minor,
    }  # fmt: skip
    if refund.kind == "deposit":
        return orders_events_pb2.DepositRefunded(**about)
    return orders_events_pb2.RefundPaid(**about, tender_id=change.tender_id)
