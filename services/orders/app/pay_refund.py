"""What `pay_refund` asks of the payment port, and what it writes when money has moved."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import select, update

from argosy.orders.v1 import orders_events_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.database import Database
from chassis.runtime.effects import Effect
from chassis.runtime.work import HoldKind, Work
from services.orders.clients.payments import ADAPTERS
from services.orders.domain.holds import REASONS
from services.orders.process.messages import RaiseHold
from services.orders.process.pay_refund import KeepPayment, TenderFailed, TenderPaid
from services.orders.store.tables import HISTORY, ORDERS, REFUNDS, TENDERS


async def refund_tenders(effects: Sequence[Effect], database: Database) -> Sequence[Struct | None]:
    """Pays each part through its tender's adapter, outside any transaction, under the effect's own key."""
    async with database.read() as tx:
        ids = tx.rows("ids", {"tender_id": str}, [(effect.asked.tender_id,) for effect in effects])
        query = select(TENDERS, ORDERS.c.currency_code).join(ORDERS, ORDERS.c.order_id == TENDERS.c.order_id)
        tenders = {row.tender_id: row for row in await tx.read(query.where(TENDERS.c.tender_id == ids.c.tender_id))}
    answers: list[Struct | None] = []
    for effect in effects:
        tender = tenders[effect.asked.tender_id]
        port = ADAPTERS[tender.adapter]
        result = await port.refund(tender.reference, effect.asked.amount_minor, tender.currency_code, effect.request_id)
        if result.failure:
            answers.append(TenderFailed(tender.tender_id, result.failure))
        else:
            answers.append(TenderPaid(tender.tender_id, result.reference))
    return answers


async def apply_refund_changes(work: Work, changes: Sequence[tuple[str, Struct]]) -> None:
    """Writes payments: the tender, the refund's state, history, and the event that finance books."""
    paid = [(refund_id, change) for refund_id, change in changes if isinstance(change, KeepPayment)]
    refunds = await _refunds(work, sorted({refund_id for refund_id, _ in changes}))
    history = []
    for refund_id, change in changes:
        work.cause = work.causes[refund_id]
        refund = refunds[refund_id]
        if isinstance(change, RaiseHold):
            queue, due_s, role, blocks = REASONS[change.reason]
            work.hold(HoldKind(change.reason, queue, due_s, role, blocks), "refund", refund_id, change.detail)
        elif isinstance(change, KeepPayment):
            work.emit(_event(refund, change))
            entry = {"entry_id": new_id(), "order_id": refund.order_id, "at": work.now, "actor": work.cause.actor}
            history.append({**entry, "kind": "REFUND_PAID", "detail": str(change.amount_minor)})
    if paid:
        new = work.tx.rows("new", {"tender_id": str, "amount": int}, [(c.tender_id, c.amount_minor) for _, c in paid])
        statement = update(TENDERS).where(TENDERS.c.tender_id == new.c.tender_id)
        await work.tx.write(statement.values(refunded_minor=TENDERS.c.refunded_minor + new.c.amount))
    done = [refund_id for refund_id, change in paid if change.last]
    if done:
        await work.tx.write(update(REFUNDS).where(REFUNDS.c.refund_id.in_(done)).values(state="ISSUED"))
    await work.tx.write(HISTORY.insert(), history)


async def _refunds(work: Work, ids: list[str]) -> dict[str, Any]:
    wanted = work.tx.rows("wanted", {"refund_id": str}, [(one,) for one in ids])
    query = select(REFUNDS, ORDERS.c.channel_id, ORDERS.c.entity, ORDERS.c.currency_code)
    query = query.join(ORDERS, ORDERS.c.order_id == REFUNDS.c.order_id).where(REFUNDS.c.refund_id == wanted.c.refund_id)
    return {row.refund_id: row for row in await work.tx.read(query)}


def _event(refund: Any, change: KeepPayment) -> Any:
    about = {
        "order_id": refund.order_id, "refund_id": refund.refund_id, "channel_id": refund.channel_id, "entity": refund.entity,
        "currency_code": refund.currency_code, "amount_minor": change.amount_minor,
    }  # fmt: skip
    if refund.kind == "deposit":
        return orders_events_pb2.DepositRefunded(**about)
    return orders_events_pb2.RefundPaid(**about, tender_id=change.tender_id)
