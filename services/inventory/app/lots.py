"""Lots: where they are, who received them, recalls, and the job that blocks what has expired."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select, update

from argosy.inventory.v1 import inventory_events_pb2, lots_service_pb2, stock_pb2
from chassis.kernel.clock import SECOND, to_timestamp
from chassis.kernel.errors import FailedPrecondition, NotFound
from chassis.kernel.ids import new_id
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.statements import NOW, ZERO
from chassis.runtime.tx import Tx
from chassis.runtime.work import HoldKind, Work
from services.inventory.app.intake import THERE, end_of
from services.inventory.app.supply import fill, give_back
from services.inventory.domain.stock import NEVER, ON_HAND, State
from services.inventory.store import reservations
from services.inventory.store.reservations import Held
from services.inventory.store.stock_book import LOT_GATE, Document, Key, StockBook
from services.inventory.store.tables import BALANCES, ISSUES, LOTS, MOVEMENTS, RESERVATIONS

RECALLED = HoldKind("LOT_RECALLED", "stock", 3600, "operations")
EXPIRED = HoldKind("LOT_EXPIRED", "stock", 14_400, "operations")
PROMISED = (State.SOFT_RESERVED, State.RESERVED, State.ALLOCATED)
# What orders, carts and waves have reserved and can have of other lots.
RESERVED = (
    RESERVATIONS.c.reserved > ZERO,
    RESERVATIONS.c.kind.in_(
        (stock_pb2.RESERVATION_KIND_ORDER, stock_pb2.RESERVATION_KIND_CART, stock_pb2.RESERVATION_KIND_WAVE)
    ),
)  # fmt: skip
# Lots that have expired and are not blocked yet.
LATE_LOTS = select(LOTS.c.item_id, LOTS.c.lot).where(LOTS.c.expired == ZERO, LOTS.c.expires_at <= NOW)
MOST = 500
HELD = sorted(int(state) for state in ON_HAND)


async def list_lots(asked: Asked) -> lots_service_pb2.ListLotsResponse:
    """Lists first expiring first."""
    expiry = func.coalesce(LOTS.c.expires_at, NEVER).label("expiry")
    query = select(LOTS, expiry).where(LOTS.c.item_id == asked.request.item_id)
    if asked.request.on_hand_only:
        there = select(BALANCES.c.lot).where(BALANCES.c.item_id == LOTS.c.item_id, BALANCES.c.lot == LOTS.c.lot, BALANCES.c.quantity > 0)
        query = query.where(there.exists())
    rows, token = await page(asked.tx, query, [expiry, LOTS.c.lot], asked.request)
    sums = await _sums(asked.tx, [(row.item_id, row.lot) for row in rows])
    return lots_service_pb2.ListLotsResponse(lots=[_lot(row, sums) for row in rows], next_page_token=token)


async def trace_lot(asked: Asked) -> lots_service_pb2.LotTrace:
    """Refusals: NO_SUCH_LOT."""
    return await _trace(asked.tx, asked.request.item_id, asked.request.lot)


async def recall_lot(work: Work, request: lots_service_pb2.RecallLotRequest) -> lots_service_pb2.LotTrace:
    """Refusals: NO_SUCH_LOT."""
    await work.tx.close(LOT_GATE)
    rows = await _family(work.tx, request.item_id, request.lot)
    change = update(LOTS).where(LOTS.c.item_id == request.item_id, or_(LOTS.c.lot == request.lot, LOTS.c.batch == request.lot))
    await work.tx.write(change.values(recalled_at=work.now, recall_reason=request.reason))
    document = Document("recall", new_id(), request.reason)
    blocked = await _block(work, [(row.item_id, row.lot) for row in rows], document, RECALLED)
    trace = await _trace(work.tx, request.item_id, request.lot)
    trace.blocked = blocked
    return trace


async def lift_recall(work: Work, request: lots_service_pb2.LiftRecallRequest) -> lots_service_pb2.Lot:
    """Refusals: NO_SUCH_LOT, NOT_RECALLED."""
    row = (await _family(work.tx, request.item_id, request.lot))[0]
    if row.recalled_at is None:
        raise FailedPrecondition("NOT_RECALLED", "the lot is not recalled", field="lot")
    change = update(LOTS).where(LOTS.c.item_id == request.item_id, or_(LOTS.c.lot == request.lot, LOTS.c.batch == request.lot))
    await work.tx.write(change.values(recalled_at=None, recall_reason=""))
    return (await _trace(work.tx, request.item_id, request.lot)).lot


async def set_lot_expiry(work: Work, request: lots_service_pb2.SetLotExpiryRequest) -> lots_service_pb2.Lot:
    """Refusals: NO_SUCH_LOT."""
    await _family(work.tx, request.item_id, request.lot)
    change = update(LOTS).where(LOTS.c.item_id == request.item_id, LOTS.c.lot == request.lot)
    await work.tx.write(change.values(expires_at=end_of(request.expires_on, "expires_on"), expired=0))
    return (await _trace(work.tx, request.item_id, request.lot)).lot


async def expire_lots(work: Work) -> None:
    """Blocks what can be promised of lots that have expired: AVAILABLE → QUARANTINE."""
    rows = await work.tx.read(LATE_LOTS.limit(MOST), {"now": work.now})
    keys = [(row.item_id, row.lot) for row in rows]
    await _block(work, keys, Document("expiry", new_id(), "expired"), EXPIRED)
    await work.tx.change(LOTS, ("item_id", "lot"), [{"item_id": item_id, "lot": lot, "expired": 1} for item_id, lot in keys])


async def _block(work: Work, lots: Sequence[tuple[str, str]], document: Document, kind: HoldKind) -> int:
    """Blocks what can be promised of lots, and takes back what is reserved: its orders are promised others.

    What is with a warehouse, or goes to another location of ours, is held for a person. Returns how much was blocked.
    """
    rows = await work.tx.find(BALANCES, ("item_id", "lot"), lots)
    keys = sorted({(row.item_id, row.location_id) for row in rows if row.quantity})
    book = await StockBook.open(work, keys)
    book, changed, freed = await _take_back(work, book, keys, set(lots), document)
    blocked = 0
    for item_id, location_id, lot in sorted({(row.item_id, row.location_id, row.lot) for row in rows}):
        there = book.lot_quantity(item_id, location_id, lot, State.AVAILABLE)
        if there:
            book.move(item_id, location_id, lot, (State.AVAILABLE, State.QUARANTINE), there, document)
        blocked += there + sum(part for one, part in freed if (one.item_id, one.location_id, one.lot) == (item_id, location_id, lot))
        promised = sum(book.lot_quantity(item_id, location_id, lot, state) for state in PROMISED)
        if promised:
            text = f"{promised} of lot {lot} at {location_id} are promised: {document.reason}; promise others instead"
            work.hold(kind, "item", item_id, text)
    await fill(work, book, {one.key for one, _ in freed})
    await book.write()
    await reservations.save(work, changed)
    return blocked


async def _take_back(
    work: Work, book: StockBook, keys: Sequence[Key], lots: set[tuple[str, str]], document: Document
) -> tuple[StockBook, list[Held], list[tuple[Held, int]]]:
    """Takes back what is reserved of lots, of a kit with its other components, and tells the orders that lose it.

    Returns the book with all that changed, the reservations, and how much of each was given back.
    """
    of_lots = [one for one in await reservations.of_keys(work, keys, RESERVED) if (one.item_id, one.lot) in lots]
    kits = {(one.owner_id, one.line_id) for one in of_lots if one.kit_item_id}
    known = {one.reservation_id for one in of_lots}
    others = [
        one for one in (await reservations.load(work, {owner_id for owner_id, _ in kits}) if kits else ())
        if (one.owner_id, one.line_id) in kits and one.reservation_id not in known and one.reserved
    ]  # fmt: skip
    if others:
        book = await StockBook.open(work, [*keys, *(one.key for one in others)])
    freed: list[tuple[Held, int]] = []
    lost: dict[tuple[str, str, str], inventory_events_pb2.ReservationTaken] = {}
    for one in of_lots:
        if not one.reserved:
            continue
        line = (one.owner_id, one.line_id, one.location_id)
        parts = [each for each in (*of_lots, *others) if one.kit_item_id and (each.owner_id, each.line_id, each.location_id) == line]
        units = -(-one.reserved // one.each)
        for each, part in reservations.shares([one, *(each for each in parts if each is not one)], units):
            give_back(book, each, part, document)
            freed.append((each, part))
        if one.kind == stock_pb2.RESERVATION_KIND_ORDER:
            event = lost.setdefault(
                (one.owner_id, one.location_id, one.lot),
                inventory_events_pb2.ReservationTaken(order_id=one.owner_id, location_id=one.location_id, blocked_lot=one.lot),
            )
            event.lines.add(item_id=one.kit_item_id or one.item_id, quantity=units, line_id=one.line_id)
    for event in lost.values():
        work.emit(event)
    return book, [*of_lots, *others], freed


async def _family(tx: Tx, item_id: str, lot: str) -> Sequence[Any]:
    """Returns a lot, and the serial numbers that belong to it."""
    query = select(LOTS).where(LOTS.c.item_id == item_id, or_(LOTS.c.lot == lot, LOTS.c.batch == lot)).order_by(LOTS.c.lot)
    rows = await tx.read(query)
    if not rows:
        raise NotFound("NO_SUCH_LOT", f"the item has no lot {lot}", field="lot")
    return rows


async def _trace(tx: Tx, item_id: str, lot: str) -> lots_service_pb2.LotTrace:
    rows = await _family(tx, item_id, lot)
    keys = [(row.item_id, row.lot) for row in rows]
    found = await tx.find(BALANCES, ("item_id", "lot"), keys, where=THERE, order=("location_id", "lot", "state"))
    sums = await _sums(tx, keys)
    head = _lot(rows[0], sums)
    if len(rows) > 1:
        head.lot, head.batch = lot, ""
        head.available, head.on_hand = (sum(sums.get(key, (0, 0))[index] for key in keys) for index in (0, 1))
    left = await tx.find(MOVEMENTS, ("item_id", "lot"), keys, where=WENT_OUT, order=("movement_id",))
    documents = sorted({(row.document_id,) for row in left})
    orders = {row.document_id: row.order_id for row in await tx.find(ISSUES, ("document_id",), documents, only=("document_id", "order_id"))}
    issues = [
        lots_service_pb2.LotIssue(
            lot=row.lot, order_id=orders.get(row.document_id, ""), document_id=row.document_id, document_type=row.document_type,
            location_id=row.location_id, quantity=row.quantity, left_at=to_timestamp(row.moved_at),
        )
        for row in reversed(left)
    ]  # fmt: skip
    balances = [
        stock_pb2.Balance(item_id=r.item_id, location_id=r.location_id, lot=r.lot, state=r.state, quantity=r.quantity) for r in found
    ]
    return lots_service_pb2.LotTrace(lot=head, balances=balances, issues=issues)


async def _sums(tx: Tx, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], tuple[int, int]]:
    """Returns (available, on hand) by lot."""
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for row in await tx.find(BALANCES, ("item_id", "lot"), keys, where=THERE):
        available, on_hand = sums.get((row.item_id, row.lot), (0, 0))
        available += row.quantity if row.state == State.AVAILABLE else 0
        on_hand += row.quantity if row.state in HELD else 0
        sums[row.item_id, row.lot] = (available, on_hand)
    return sums


def _lot(row: Any, sums: dict[tuple[str, str], tuple[int, int]]) -> lots_service_pb2.Lot:
    available, on_hand = sums.get((row.item_id, row.lot), (0, 0))
    return lots_service_pb2.Lot(
        item_id=row.item_id, lot=row.lot, batch=row.batch, received_at=to_timestamp(row.received_at), recall_reason=row.recall_reason,
        expires_on=last_day(row.expires_at), recalled_at=to_timestamp(row.recalled_at) if row.recalled_at is not None else None,
        expired=bool(row.expired), available=available, on_hand=on_hand,
    )  # fmt: skip


def last_day(expires_at: int | None) -> str:
    """Returns the last day before a lot has expired; empty where it does not expire."""
    if expires_at is None:
        return ""
    return (datetime.fromtimestamp(expires_at // SECOND, UTC) - timedelta(days=1)).date().isoformat()


WENT_OUT = (MOVEMENTS.c.to_state == int(State.OUTSIDE),)
