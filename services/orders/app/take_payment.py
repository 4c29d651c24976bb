"""What `take_payment` asks of the provider, what it writes when money has moved, and who asks for it."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import select

from argosy.orders.v1 import order_pb2, orders_events_pb2
from chassis.kernel.clock import DAY
from chassis.kernel.errors import Unavailable
from chassis.kernel.ids import new_id
from chassis.runtime.database import Database
from chassis.runtime.effects import Effect, few_at_once
from chassis.runtime.statements import NOW
from chassis.runtime.work import Stake, Work
from services.orders.app.hold_kinds import hold_kind
from services.orders.clients.payments import Payments
from services.orders.process import take_payment
from services.orders.process.messages import RaiseHold
from services.orders.process.take_payment import CAPTURE, RENEW, VOID, Declined, Done, KeepMoney
from services.orders.store.tables import AUTHORISED, HISTORY, LINES, ORDERS, PAYMENT_REFERENCES, TENDERS

PROVIDER, OPEN, CAPTURED, VOIDED = (
    order_pb2.PAYMENT_ADAPTER_PROVIDER, order_pb2.TENDER_STATE_AUTHORISED, order_pb2.TENDER_STATE_CAPTURED, order_pb2.TENDER_STATE_VOIDED,
)  # fmt: skip
KEY = ("tender_id",)
# What ends within a day is authorised again.
RENEW_BEFORE = DAY
AT_ONCE = 100
EXPIRING = select(TENDERS.c.tender_id).where(AUTHORISED, TENDERS.c.expires_at < NOW + RENEW_BEFORE)


def left_of(tender: Any) -> int:
    """Returns what can still be taken of a tender."""
    return int(tender.amount_minor - tender.captured_minor - tender.capturing_minor)


def is_open(tender: Any) -> bool:
    """Says whether the provider holds money for a tender."""
    return bool(tender.adapter == PROVIDER and tender.state == OPEN)


def ask_provider(work: Work, order_id: str, tender_id: str, kind: str, amount_minor: int) -> None:
    """Starts asking the provider; the caller notes what is being taken."""
    payment_id = new_id()
    state = take_payment.State(payment_id, order_id, tender_id, kind, amount_minor)
    work.start(take_payment.NAME, payment_id, state, take_payment.Begin())


class Takings:
    """Asks who moves the money to take it, to let it go, or to authorise it again."""

    def __init__(self, payments: Payments) -> None:
        self._payments = payments

    async def ask_providers(self, effects: Sequence[Effect], database: Database) -> Sequence[Struct | None]:
        """Asks the provider of each tender, outside any transaction, under the effect's own key."""
        async with database.read() as tx:
            tenders = {row.tender_id: row for row in await tx.find(TENDERS, KEY, {(effect.asked.tender_id,) for effect in effects})}
            orders = {row.order_id: row for row in await tx.find(ORDERS, ("order_id",), {(row.order_id,) for row in tenders.values()})}

        async def ask(effect: Effect) -> Struct | None:
            tender = tenders[effect.asked.tender_id]
            try:
                move = getattr(self._payments.port_of(tender.adapter), effect.asked.kind)
                result = await move(tender.reference, effect.asked.amount_minor, orders[tender.order_id].currency_code, effect.request_id)
            except Unavailable:
                # Nobody knows whether it worked: it is asked again under the same key.
                return None
            return Declined(result.failure) if result.failure else Done(result.reference, result.expires_at)

        return await few_at_once(map(ask, effects))


async def apply_payments(work: Work, changes: Sequence[tuple[str, Struct]]) -> None:
    """Writes what the provider did: tender, order, history, and the event that finance books."""
    kept = [(payment_id, change) for payment_id, change in changes if isinstance(change, KeepMoney)]
    orders = {r.order_id: dict(r._mapping) for r in await work.tx.find(ORDERS, ("order_id",), {(c.order_id,) for _, c in kept}, lock=True)}
    tenders = {r.tender_id: dict(r._mapping) for r in await work.tx.find(TENDERS, KEY, {(c.tender_id,) for _, c in kept}, lock=True)}
    history = []
    for payment_id, change in changes:
        work.cause = work.causes[payment_id]
        if isinstance(change, RaiseHold):
            work.hold(hold_kind(change.reason), "payment", payment_id, change.detail, Stake())
        elif isinstance(change, KeepMoney):
            detail = _keep(work, orders[change.order_id], tenders[change.tender_id], change)
            entry = {"entry_id": new_id(), "order_id": change.order_id, "at": work.now, "actor": work.cause.actor}
            history.append({**entry, "kind": KINDS[change.kind], "detail": detail})
    names = ("state", "captured_minor", "capturing_minor", "renewing", "reference", "expires_at")
    await work.tx.change(TENDERS, KEY, [{"tender_id": key, **{name: row[name] for name in names}} for key, row in tenders.items()])
    money = ("captured_minor", "deposits_minor", "receivable_minor")
    rows = [{"order_id": key, "version": 1, **{name: row[name] for name in money}} for key, row in orders.items()]
    await work.tx.change(ORDERS, ("order_id",), rows, add=("version",))
    await work.tx.insert(HISTORY, history)
    renewed = [{"reference": one.reference, "tender_id": one.tender_id} for _, one in kept if one.kind == RENEW]
    await work.tx.insert(PAYMENT_REFERENCES, renewed, once=True)
    await _let_go(work, tenders)


KINDS = {CAPTURE: "CAPTURED_PAYMENT", VOID: "VOIDED_PAYMENT", RENEW: "RENEWED_PAYMENT"}


def _keep(work: Work, order: dict[str, Any], tender: dict[str, Any], change: KeepMoney) -> str:
    amount = change.amount_minor
    if change.kind == VOID:
        tender["state"] = CAPTURED if tender["captured_minor"] else VOIDED
        return str(amount)
    if change.kind == RENEW:
        tender.update(reference=change.reference, expires_at=change.expires_at, renewing=0)
        return change.reference
    tender["capturing_minor"] -= amount
    tender["captured_minor"] += amount
    if tender["captured_minor"] == tender["amount_minor"]:
        tender["state"] = CAPTURED
    to_receivable = min(amount, order["receivable_minor"])
    order["captured_minor"] += amount
    order["receivable_minor"] -= to_receivable
    order["deposits_minor"] += amount - to_receivable
    work.emit(
        orders_events_pb2.TenderCaptured(
            order_id=order["order_id"], tender_id=tender["tender_id"], channel_id=order["channel_id"], entity=order["entity"],
            currency_code=order["currency_code"], amount_minor=amount, to_receivable_minor=to_receivable,
            to_deposits_minor=amount - to_receivable,
        )
    )  # fmt: skip
    return str(amount)


async def _let_go(work: Work, tenders: dict[str, dict[str, Any]]) -> None:
    """Once nothing is left to ship, what is authorised and not taken is let go."""
    waiting = [one for one in tenders.values() if one["adapter"] == PROVIDER and one["state"] == OPEN and not one["capturing_minor"]]
    lines = await work.tx.find(LINES, ("order_id",), {(one["order_id"],) for one in waiting}) if waiting else ()
    still_open = {line.order_id for line in lines if line.waiting + line.reserved}
    for one in waiting:
        left = one["amount_minor"] - one["captured_minor"]
        if one["order_id"] not in still_open and left:
            ask_provider(work, one["order_id"], one["tender_id"], VOID, left)


async def renew_expiring(work: Work) -> None:
    """Asks for authorisations that end soon again."""
    rows = await work.tx.read(EXPIRING.limit(AT_ONCE), {"now": work.now})
    found = await work.tx.find(TENDERS, KEY, [(row.tender_id,) for row in rows], order=KEY, lock=True)
    renewed = [one for one in found if is_open(one) and not one.renewing and not one.capturing_minor and left_of(one)]
    for one in renewed:
        ask_provider(work, one.order_id, one.tender_id, RENEW, left_of(one))
    await work.tx.change(TENDERS, KEY, [{"tender_id": one.tender_id, "renewing": 1} for one in renewed])
