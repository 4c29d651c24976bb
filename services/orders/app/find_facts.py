"""Orders' share of the proof: P2 and P7 by themselves and as numbers, P6 for processes that nothing will wake."""

from sqlalchemy import func, select

from argosy.ops.v1 import ops_pb2
from chassis.kernel.clock import MINUTE
from chassis.runtime.service import FoundFacts
from chassis.runtime.statements import ZERO
from chassis.runtime.tx import Tx
from services.orders.store.tables import CHASSIS, LINES, OFFERS, ORDERS, TENDERS


async def demand(tx: Tx, now: int) -> FoundFacts:
    """P2: per line ordered = cancelled + shipped + reserved + waiting; and what inventory must hold for it."""
    parts = LINES.c.waiting + LINES.c.reserved + LINES.c.shipped + LINES.c.cancelled
    wrong = await tx.read(select(LINES.c.line_id, LINES.c.order_id).where(LINES.c.ordered != parts).limit(100))
    breaks = [_break("P2", f"order {r.order_id} line {r.line_id}", "its quantities do not add up to what was ordered") for r in wrong]
    rows = await tx.read(select(LINES.c.line_id, LINES.c.reserved).where(LINES.c.reserved > 0))
    return breaks, [ops_pb2.Fact(name="demand", key=line_id, value=reserved) for line_id, reserved in rows]


async def forgotten(tx: Tx, now: int) -> FoundFacts:
    """P6: open processes without effect, timer or open hold; offers whose time is over and that nobody ended."""
    processes, effects, timers, holds = CHASSIS.processes, CHASSIS.effects, CHASSIS.timers, CHASSIS.holds
    waits_for = (
        select(effects.c.effect_id).where(effects.c.process_id == processes.c.process_id),
        select(timers.c.name).where(timers.c.process_id == processes.c.process_id),
        select(holds.c.hold_id).where(holds.c.subject_id == processes.c.process_id, holds.c.released_at.is_(None)),
    )
    query = select(processes.c.process, processes.c.process_id).where(processes.c.ended == ZERO, *(~one.exists() for one in waits_for))
    rows = await tx.read(query.limit(100))
    breaks = [_break("P6", f"{r.process} {r.process_id}", "is open, and nothing will wake it") for r in rows]
    late = select(OFFERS.c.offer_id).where(OFFERS.c.ended_at.is_(None), OFFERS.c.answer_by < now - MINUTE)
    breaks += [_break("P6", f"offer {r.offer_id}", "its time is over, and it is still open") for r in await tx.read(late.limit(100))]
    return breaks, []


async def money(tx: Tx, now: int) -> FoundFacts:
    """P7: refunded ≤ captured per tender, units refunded ≤ shipped ≤ ordered; headers agree with tenders."""
    breaks = []
    back = TENDERS.c.refunded_minor + TENDERS.c.refunding_minor
    for row in await tx.read(select(TENDERS).where(back > TENDERS.c.captured_minor).limit(100)):
        text = f"{row.refunded_minor} refunded and {row.refunding_minor} on their way of {row.captured_minor} captured"
        breaks.append(_break("P7", f"tender {row.tender_id}", text))
    wrong = (LINES.c.refunded > LINES.c.shipped) | (LINES.c.shipped > LINES.c.ordered)
    for row in await tx.read(select(LINES).where(wrong).limit(100)):
        breaks.append(_break("P7", f"order {row.order_id} line {row.line_id}", "more units refunded than shipped, or shipped than ordered"))
    captured = (
        select(ORDERS.c.order_id, ORDERS.c.captured_minor, func.sum(TENDERS.c.captured_minor).label("sum"))
        .join(TENDERS, TENDERS.c.order_id == ORDERS.c.order_id)
        .group_by(ORDERS.c.order_id, ORDERS.c.captured_minor)
        .having(func.sum(TENDERS.c.captured_minor) != ORDERS.c.captured_minor)
    )
    for row in await tx.read(captured.limit(100)):
        breaks.append(_break("P7", f"order {row.order_id}", f"captured {row.captured_minor}, its tenders {row.sum}"))
    deposits = await tx.read(
        select(ORDERS.c.entity, ORDERS.c.currency_code, func.sum(ORDERS.c.deposits_minor), func.sum(ORDERS.c.receivable_minor)).group_by(
            ORDERS.c.entity, ORDERS.c.currency_code
        )
    )
    facts = []
    for entity, currency, held, owed in deposits:
        facts.append(ops_pb2.Fact(name="deposits", key=f"{entity}/{currency}", value=int(held)))
        facts.append(ops_pb2.Fact(name="receivable", key=f"{entity}/{currency}", value=int(owed)))
    return breaks, facts


def _break(check: str, subject: str, detail: str) -> ops_pb2.Break:
    return ops_pb2.Break(check=check, subject=subject, detail=detail)
