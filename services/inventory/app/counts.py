"""Cycle counts: planned by class, counted blind, counted again where they differ, approved where they cost."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, case, func, literal, select, update

from argosy.inventory.v1 import counts_service_pb2, inventory_events_pb2
from chassis.kernel.clock import DAY, to_timestamp
from chassis.kernel.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from chassis.kernel.ids import new_id
from chassis.runtime.approvals import ApprovalKind, Weight, need_approval
from chassis.runtime.host import wall_clock
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import gate
from chassis.runtime.work import HoldKind, Work
from services.inventory.app.checks import need_known, need_no_kit
from services.inventory.app.supply import fill
from services.inventory.domain.counting import Attempt, Tolerance, believed
from services.inventory.domain.stock import ON_HAND, State
from services.inventory.store.stock_book import Document, StockBook
from services.inventory.store.tables import COUNT_POLICIES, COUNTS, ITEMS, VALUATIONS

Count = counts_service_pb2.Count
OPEN, RECOUNT, AWAITING, BOOKED, CANCELLED = range(1, 6)
WAITING = (OPEN, RECOUNT)
COUNT_SHORT = HoldKind("COUNT_SHORT", "stock", 7200, "operations")
# What is missing is taken from what nobody is promised.
FREE = (State.AVAILABLE, State.QUARANTINE, State.DAMAGED)
POLICY = ("abc_class", "every_days", "tolerance_percent", "tolerance_quantity")
SHOWN_AT_THE_END = ("expected", "counted", "difference", "value_minor")


async def set_count_policy(work: Work, request: counts_service_pb2.SetCountPolicyRequest) -> counts_service_pb2.CountPolicy:
    """Sets or changes a class' policy."""
    row = {name: getattr(request, name) for name in POLICY}
    await work.tx.merge(COUNT_POLICIES, POLICY[:1], [row])
    return counts_service_pb2.CountPolicy(**row)


async def list_count_policies(asked: Asked) -> counts_service_pb2.ListCountPoliciesResponse:
    """Lists by class."""
    rows, token = await page(asked.tx, select(COUNT_POLICIES), [COUNT_POLICIES.c.abc_class], asked.request)
    policies = [counts_service_pb2.CountPolicy(**{name: getattr(row, name) for name in POLICY}) for row in rows]
    return counts_service_pb2.ListCountPoliciesResponse(policies=policies, next_page_token=token)


async def plan_counts(work: Work, request: counts_service_pb2.PlanCountsRequest) -> counts_service_pb2.PlanCountsResponse:
    """Those that waited longest come first; an item with an open count gets no other."""
    await work.tx.close(gate("counts", request.location_id))
    last = select(func.max(COUNTS.c.created_at)).where(
        COUNTS.c.item_id == VALUATIONS.c.item_id, COUNTS.c.location_id == VALUATIONS.c.location_id, COUNTS.c.status != CANCELLED
    )
    counted_at = func.coalesce(last.scalar_subquery(), 0)
    query = (
        select(VALUATIONS.c.item_id, counted_at.label("counted_at"), ITEMS.c.abc_class)
        .join(ITEMS, ITEMS.c.item_id == VALUATIONS.c.item_id)
        .join(COUNT_POLICIES, COUNT_POLICIES.c.abc_class == ITEMS.c.abc_class)
        .where(VALUATIONS.c.location_id == request.location_id, VALUATIONS.c.quantity > 0, COUNT_POLICIES.c.every_days > 0)
        .where(counted_at + COUNT_POLICIES.c.every_days * literal(DAY, BigInteger) <= work.now)
        .order_by(ITEMS.c.abc_class, counted_at, VALUATIONS.c.item_id)
        .limit(request.most or 100)
    )
    rows = [_row(work, row.item_id, request.location_id, f"class {row.abc_class} is due", DAY) for row in await work.tx.read(query)]
    await work.tx.insert(COUNTS, rows)
    return counts_service_pb2.PlanCountsResponse(counts=await _shown(work, [str(row["count_id"]) for row in rows]))


async def create_count(work: Work, request: counts_service_pb2.CreateCountRequest) -> Count:
    """Refusals: NO_SUCH_LOCATION, NO_SUCH_ITEM, KIT."""
    book = await StockBook.open(work, [(request.item_id, request.location_id)], masters=True)
    need_known(book, request.item_id, request.location_id)
    need_no_kit(book, request.item_id)
    return (await _shown(work, [await want_count(work, request.item_id, request.location_id, request.reason)]))[0]


async def want_count(work: Work, item_id: str, location_id: str, reason: str) -> str:
    """Makes a count that is due within a day, unless one waits already; returns its id."""
    await work.tx.close(gate("counts", location_id))
    open_ones = select(COUNTS.c.count_id).where(
        COUNTS.c.item_id == item_id, COUNTS.c.location_id == location_id, COUNTS.c.status.in_(WAITING)
    )
    if rows := await work.tx.read(open_ones):
        return str(rows[0].count_id)
    row = _row(work, item_id, location_id, reason, DAY)
    await work.tx.insert(COUNTS, [row])
    return str(row["count_id"])


async def submit_count(work: Work, request: counts_service_pb2.SubmitCountRequest) -> Count:
    """Refusals: NO_SUCH_COUNT, WRONG_STATUS, DOUBLE_LOT, OWN_COUNT."""
    row = await _locked(work, request.count_id, *WAITING)
    attempts = _attempts(row)
    if any(one.counted_by == work.cause.actor for one in attempts):
        raise PermissionDenied("OWN_COUNT", "you counted it before; somebody else counts it now")
    lots = [one.lot for one in request.lots]
    if len(set(lots)) != len(lots):
        raise InvalidArgument("DOUBLE_LOT", "lots: a lot is named twice", field="lots")
    book = await StockBook.open(work, [(row.item_id, row.location_id)], costs=True, lots=[(row.item_id, lot) for lot in lots])
    booked = book.on_hand(row.item_id, row.location_id, ON_HAND)
    counted = {one.lot: one.quantity for one in request.lots}
    differences = {lot: counted.get(lot, 0) - booked.get(lot, 0) for lot in sorted({*booked, *counted})}
    last = Attempt(work.cause.actor, sum(booked.values()), {lot: one for lot, one in differences.items() if one})
    attempts.append(last)
    values = {
        "attempts": json.dumps([_kept(one) for one in attempts]),
        "expected": last.expected, "counted": sum(counted.values()), "differed": last.differed,
    }  # fmt: skip
    if not believed(attempts, await _tolerance(work, book.items[row.item_id].abc_class)):
        return await _advance(work, row, RECOUNT, **values)
    await _advance(work, row, row.status, **values)
    worth, _ = book.estimate(row.item_id, row.location_id, last.differed) if book.owned(row.location_id) else (0, "")
    summary = f"{sum(last.differences.values()):+d} {book.items[row.item_id].sku} at {row.location_id}, counted {len(attempts)} times"
    # Counts of an item at a location weigh together, as adjustments do.
    weight = Weight("stock", f"{row.item_id}@{row.location_id}", summary, worth, book.locations[row.location_id].currency_code)
    if last.differed and (approval_id := await need_approval(work, COUNTED, request, weight)):
        return await _advance(work, row, AWAITING, approval_id=approval_id)
    return await _book(work, row, last, book)


async def carry_out(work: Work, request: counts_service_pb2.SubmitCountRequest) -> Count:
    """Books what was counted, whatever moved since. Refusals: NO_SUCH_COUNT, WRONG_STATUS."""
    row = await _locked(work, request.count_id, AWAITING)
    last = _attempts(row)[-1]
    named = [(row.item_id, lot) for lot in last.differences]
    book = await StockBook.open(work, [(row.item_id, row.location_id)], costs=True, lots=named)
    return await _book(work, row, last, book)


COUNTED = ApprovalKind(
    "inventory.count", "Counts that differ, by the value of what differs", "inventory.adjustment.approve",
    counts_service_pb2.SubmitCountRequest, carry_out, limit_minor=100_000,
)  # fmt: skip


async def cancel_count(work: Work, request: counts_service_pb2.CancelCountRequest) -> Count:
    """Refusals: NO_SUCH_COUNT, WRONG_STATUS."""
    row = await _locked(work, request.count_id, *WAITING, AWAITING)
    return await _advance(work, row, CANCELLED, ended_at=work.now, reason=request.reason)


async def _book(work: Work, row: Any, attempt: Attempt, book: StockBook) -> Count:
    """Changes the books by what was found beside them; what is promised to orders is not taken from them but held."""
    key, location = (row.item_id, row.location_id), book.locations[row.location_id]
    document = Document("count", row.count_id, row.reason)
    gain = loss = change = 0
    for lot, difference in attempt.differences.items():
        if difference > 0:
            value = book.estimate(*key, difference)[0] if location.owned else 0
            value = book.put(*key, difference, value, document, lot=lot)
            if lot:
                book.learn_lot(row.item_id, lot, None)
            book.move(*key, lot, (State.OUTSIDE, State.AVAILABLE), difference, document, value)
            gain, change = gain + value, change + difference
            continue
        missing = -difference
        for state in FREE:
            part = min(missing, book.lot_quantity(*key, lot, state))
            if part:
                value = book.issue(*key, part, document, lot=lot)
                book.move(*key, lot, (state, State.OUTSIDE), part, document, value)
                loss, change, missing = loss + value, change - part, missing - part
        if missing:
            text = (
                f"{missing} of {row.item_id} are missing at {row.location_id} and promised to orders: promise others instead, then adjust"
            )
            work.hold(COUNT_SHORT, "item", row.item_id, text)
    await fill(work, book, [key])
    await book.write()
    if change or gain or loss:
        work.emit(
            inventory_events_pb2.StockAdjusted(
                document_id=row.count_id, location_id=row.location_id, entity=location.entity, currency_code=location.currency_code,
                item_id=row.item_id, quantity=change, gain_minor=gain, loss_minor=loss, reason=row.reason, cost_basis="LAYER",
            )
        )  # fmt: skip
    return await _advance(work, row, BOOKED, difference=change, value_minor=gain - loss, ended_at=work.now)


async def list_counts(asked: Asked) -> counts_service_pb2.ListCountsResponse:
    """Lists first due first."""
    query = select(COUNTS)
    for name in ("location_id", "status"):
        if wanted := getattr(asked.request, name):
            query = query.where(COUNTS.c[name] == wanted)
    rows, token = await page(asked.tx, query, [COUNTS.c.due_at, COUNTS.c.count_id], asked.request)
    return counts_service_pb2.ListCountsResponse(counts=map(_count, rows), next_page_token=token)


async def get_count_figures(asked: Asked) -> counts_service_pb2.CountFigures:
    """Counts what was booked in the last days, and what waits."""
    request, now = asked.request, wall_clock()
    done = (COUNTS.c.status == BOOKED) & (COUNTS.c.ended_at >= now - (request.days or 90) * DAY)
    waits = COUNTS.c.ended_at.is_(None)

    def total(condition: Any, value: Any) -> Any:
        return func.coalesce(func.sum(case((condition, value), else_=0)), 0)

    query = select(
        total(done, 1), total(done & (COUNTS.c.differed == 0), 1), total(done, COUNTS.c.expected), total(done, COUNTS.c.differed),
        total(done & (COUNTS.c.value_minor > 0), COUNTS.c.value_minor), total(done & (COUNTS.c.value_minor < 0), -COUNTS.c.value_minor),
        total(waits, 1), total(waits & (COUNTS.c.due_at < now), 1),
    )  # fmt: skip
    if request.location_id:
        query = query.where(COUNTS.c.location_id == request.location_id)
    counts, exact, expected, differed, gain, loss, open_ones, overdue = (int(one) for one in (await asked.tx.read(query))[0])
    accuracy = max(0, 1_000_000 - differed * 1_000_000 // expected) if expected else 1_000_000
    return counts_service_pb2.CountFigures(
        counts=counts, exact=exact, accuracy_ppm=accuracy, gain_minor=gain, loss_minor=loss, open=open_ones, overdue=overdue
    )


async def _tolerance(work: Work, abc_class: str) -> Tolerance:
    rows = await work.tx.read(select(COUNT_POLICIES).where(COUNT_POLICIES.c.abc_class == abc_class))
    return Tolerance(rows[0].tolerance_percent, rows[0].tolerance_quantity) if rows else Tolerance()


def _row(work: Work, item_id: str, location_id: str, reason: str, within: int) -> dict[str, Any]:
    return {
        "count_id": new_id(), "item_id": item_id, "location_id": location_id, "status": OPEN, "reason": reason,
        "due_at": work.now + within, "attempts": "[]", "expected": 0, "counted": 0, "difference": 0, "differed": 0, "value_minor": 0,
        "approval_id": "", "created_at": work.now, "ended_at": None,
    }  # fmt: skip


def _kept(attempt: Attempt) -> dict[str, Any]:
    return {"by": attempt.counted_by, "expected": attempt.expected, "differences": dict(attempt.differences)}


def _attempts(row: Any) -> list[Attempt]:
    return [Attempt(one["by"], one["expected"], one["differences"]) for one in json.loads(row.attempts)]


async def _locked(work: Work, count_id: str, *statuses: int) -> Any:
    rows = await work.tx.read(select(COUNTS).where(COUNTS.c.count_id == count_id).with_for_update())
    if not rows:
        raise NotFound("NO_SUCH_COUNT", f"there is no count {count_id}", field="count_id")
    if rows[0].status not in statuses:
        name = counts_service_pb2.CountStatus.Name(rows[0].status).removeprefix("COUNT_STATUS_")
        raise FailedPrecondition("WRONG_STATUS", f"the count is {name}", field="count_id", status=name)
    return rows[0]


async def _advance(work: Work, row: Any, status: int, **values: Any) -> Count:
    await work.tx.write(update(COUNTS).where(COUNTS.c.count_id == row.count_id).values(status=status, **values))
    return (await _shown(work, [row.count_id]))[0]


async def _shown(work: Work, count_ids: Sequence[str]) -> list[Count]:
    rows = {row.count_id: row for row in await work.tx.find(COUNTS, ("count_id",), [(one,) for one in count_ids])}
    return [_count(rows[count_id]) for count_id in count_ids]


def _count(row: Any) -> Count:
    """Shows a count; what the books expect only once it has ended, so that whoever counts is blind to it."""
    attempts, ended = _attempts(row), row.ended_at is not None
    return Count(
        count_id=row.count_id, item_id=row.item_id, location_id=row.location_id, status=row.status, reason=row.reason,
        due_at=to_timestamp(row.due_at), attempts=len(attempts), counted_by=attempts[-1].counted_by if attempts else "",
        approval_id=row.approval_id, ended_at=to_timestamp(row.ended_at) if ended else None,
        **{name: getattr(row, name) if ended else 0 for name in SHOWN_AT_THE_END},
    )  # fmt: skip
