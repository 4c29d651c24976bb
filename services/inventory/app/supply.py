"""What is expected, and who waits for it: documents say what they expect, lines are pegged to it, and what comes is theirs.

A kit waits by its components. What comes of them is reserved for it and kept as KIT_PART until a whole kit is there.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select

from argosy.inventory.v1 import inventory_events_pb2, stock_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.ids import new_id
from chassis.runtime.statements import NOW, ZERO
from chassis.runtime.work import HoldKind, Work
from services.inventory.domain.pegging import Need, Peg, Source, peg, promised
from services.inventory.domain.stock import HOLDING, State
from services.inventory.store import reservations
from services.inventory.store.reservations import Held
from services.inventory.store.stock_book import KEY, Document, Key, StockBook, components_of
from services.inventory.store.tables import DEMANDS, INBOUND, ITEMS

RETURN = "return"
UNKNOWN_DATE = HoldKind("UNKNOWN_DATE", "stock", 7200, "operations")
WAITING = (DEMANDS.c.quantity > ZERO,)
COMING = (INBOUND.c.quantity > ZERO,)
# Supply that is late while lines wait for it.
LATE_SUPPLY = select(INBOUND.c.inbound_id, INBOUND.c.item_id, INBOUND.c.location_id).where(
    INBOUND.c.quantity > ZERO, INBOUND.c.pegged > 0, INBOUND.c.due_at < NOW
)


@dataclass(frozen=True)
class Expected:
    """What a line of a document still expects, in all."""

    document_type: str
    document_id: str
    line_id: str
    item_id: str
    location_id: str
    quantity: int
    due_at: int
    confidence_percent: int = 100

    @property
    def row(self) -> dict[str, Any]:
        """Returns it as it is kept."""
        return {
            "inbound_id": f"{self.document_id}/{self.line_id}", "document_type": self.document_type, "document_id": self.document_id,
            "item_id": self.item_id, "location_id": self.location_id, "quantity": self.quantity, "pegged": 0, "due_at": self.due_at,
            "confidence_percent": self.confidence_percent,
        }  # fmt: skip


async def expect(work: Work, lines: Sequence[Expected]) -> None:
    """Keeps what documents expect from now on, and lets who waits know."""
    await work.tx.merge(INBOUND, ("inbound_id",), [line.row for line in sorted(lines, key=lambda one: (one.document_id, one.line_id))])
    await peg_anew(work, {(line.item_id, line.location_id) for line in lines})


async def fill(work: Work, book: StockBook, keys: Iterable[Key]) -> None:
    """Reserves what is AVAILABLE for the lines that wait for it, the most urgent first. The book is written after it."""
    wanted = sorted(set(keys))
    rows = await work.tx.find(DEMANDS, KEY, wanted, where=WAITING, lock=True)
    if not rows:
        return
    made: list[Held] = []
    gone: list[dict[str, Any]] = []
    for row in sorted(rows, key=lambda one: (-one.priority, one.wanted_at, one.created_at, one.demand_id)):
        document = Document("reservation", row.owner_id, "supply came")
        taken = 0
        for lot, quantity in book.from_lots(row.item_id, row.location_id, State.AVAILABLE, row.quantity, 0):
            book.move(row.item_id, row.location_id, lot, (State.AVAILABLE, State.RESERVED), quantity, document)
            made.append(
                Held(
                    new_id(), reservations.KIT_PART if row.kit_item_id else stock_pb2.RESERVATION_KIND_ORDER, row.owner_id, row.line_id,
                    row.item_id, row.location_id, lot, quantity, 0, 0, 0, None, work.now, row.priority, row.each, row.kit_item_id,
                )
            )  # fmt: skip
            taken += quantity
        if taken:
            gone.append({"demand_id": row.demand_id, "quantity": -taken})
    await work.tx.change(DEMANDS, ("demand_id",), gone, add=("quantity",))
    await reservations.insert(work, made)
    whole = [one for one in made if not one.kit_item_id]
    if len(whole) < len(made):
        whole += await _whole_kits(work, {one.owner_id for one in made if one.kit_item_id})
    _say_filled(work, whole)
    await peg_anew(work, {one.key for one in made})


async def _whole_kits(work: Work, owner_ids: Iterable[str]) -> list[Held]:
    """Gives owners' lines the kits whose components are all there, and returns what they have of each."""
    kept = await reservations.load_parts(work, owner_ids)
    kits = await work.tx.find(ITEMS, ("item_id",), {(one.kit_item_id,) for one in kept}, only=("item_id", "kit"))
    components = {row.item_id: {item_id for item_id, _ in components_of(row.kit)} for row in kits}
    whole: list[Held] = []
    changed: list[Held] = []
    for there in reservations.by_place(kept):
        if {one.item_id for one in there} != components[there[0].kit_item_id]:
            continue
        for one, part in reservations.shares(there, reservations.units_of(there)):
            whole.append(replace(one, reservation_id=new_id(), kind=stock_pb2.RESERVATION_KIND_ORDER, reserved=part))
            one.reserved -= part
            changed.append(one)
    await reservations.save(work, changed)
    await reservations.insert(work, whole)
    return whole


def _say_filled(work: Work, made: Sequence[Held]) -> None:
    by_owner: dict[tuple[str, str], inventory_events_pb2.DemandFilled] = {}
    for there in reservations.by_place(made):
        one = there[0]
        key = (one.owner_id, one.location_id)
        event = by_owner.setdefault(key, inventory_events_pb2.DemandFilled(order_id=one.owner_id, location_id=one.location_id))
        event.lines.add(item_id=one.kit_item_id or one.item_id, quantity=reservations.units_of(there), line_id=one.line_id)
    for event in by_owner.values():
        work.emit(event)


def give_back(book: StockBook, one: Held, quantity: int, document: Document) -> None:
    """Moves a part of what is reserved back to AVAILABLE."""
    if quantity:
        source = State.SOFT_RESERVED if one.kind in HOLDING else State.RESERVED
        book.move(*one.key, one.lot, (source, State.AVAILABLE), quantity, document)
        one.reserved, one.cancelled = one.reserved - quantity, one.cancelled + quantity


async def peg_anew(work: Work, keys: Iterable[Key]) -> None:
    """Pegs the lines that wait at the keys to what is expected there; says whose date changed, holds who has none any more."""
    wanted = sorted(set(keys))
    rows = await work.tx.find(DEMANDS, KEY, wanted, where=WAITING, order=("demand_id",), lock=True)
    coming = await work.tx.find(INBOUND, KEY, wanted, where=COMING, order=("inbound_id",), lock=True)
    if not rows and not any(row.pegged for row in coming):
        return
    others = await _other_parts(work, rows)
    before: defaultdict[tuple[str, str, str], list[int | None]] = defaultdict(list)
    for row in (*rows, *others):
        before[_waits_for(row)].append(row.promised_at)
    needs: defaultdict[Key, dict[tuple[str, str], Need]] = defaultdict(dict)
    for row in rows:
        parts, key = needs[row.item_id, row.location_id], (row.owner_id, row.line_id)
        already = parts[key].quantity if key in parts else 0
        quantity = already + row.quantity
        parts[key] = Need(
            row.kind, row.owner_id, row.line_id, quantity, row.priority, row.wanted_at, row.created_at, row.each, row.kit_item_id
        )  # fmt: skip
    sources: defaultdict[Key, list[Source]] = defaultdict(list)
    for row in coming:
        if row.due_at >= work.now and row.document_type != RETURN:
            sources[row.item_id, row.location_id].append(Source(row.inbound_id, row.due_at, row.quantity))
    pegs = {key: peg(list(parts.values()), sources[key]) for key, parts in needs.items()}
    await work.tx.remove(DEMANDS, ("demand_id",), [(row.demand_id,) for row in rows])
    await work.tx.insert(DEMANDS, [_demand(key, one) for key, of_key in pegs.items() for one in of_key])
    pegged = defaultdict[str, int](int)
    for of_key in pegs.values():
        for one in of_key:
            pegged[one.source.inbound_id if one.source else ""] += one.quantity
    changed = [row for row in coming if row.pegged != pegged[row.inbound_id]]
    await work.tx.change(INBOUND, ("inbound_id",), [{"inbound_id": row.inbound_id, "pegged": pegged[row.inbound_id]} for row in changed])
    now = defaultdict[tuple[str, str, str], list[int | None]](list)
    for row in others:
        now[_waits_for(row)].append(row.promised_at)
    for (item_id, _), of_key in sorted(pegs.items()):
        for one in of_key:
            waits_for = (one.need.owner_id, one.need.line_id, one.need.kit_item_id or item_id)
            now[waits_for].append(one.source.due_at if one.source else None)
    _say_promised(work, before, now)


async def _other_parts(work: Work, rows: Sequence[Any]) -> Sequence[Any]:
    """Returns what else the kits wait for whose components are among the rows."""
    lines = sorted({(row.owner_id, row.line_id) for row in rows if row.kit_item_id})
    if not lines:
        return ()
    known = {row.demand_id for row in rows}
    return [row for row in await work.tx.find(DEMANDS, ("owner_id", "line_id"), lines, where=WAITING) if row.demand_id not in known]


def _waits_for(row: Any) -> tuple[str, str, str]:
    return row.owner_id, row.line_id, row.kit_item_id or row.item_id


def _demand(key: Key, one: Peg) -> dict[str, Any]:
    return {
        "demand_id": new_id(), "kind": one.need.kind, "owner_id": one.need.owner_id, "line_id": one.need.line_id, "item_id": key[0],
        "location_id": key[1], "quantity": one.quantity, "wanted_at": one.need.wanted_at, "priority": one.need.priority,
        "inbound_id": one.source.inbound_id if one.source else "", "promised_at": one.source.due_at if one.source else None,
        "created_at": one.need.created_at, "each": one.need.each, "kit_item_id": one.need.kit_item_id,
    }  # fmt: skip


Dates = dict[tuple[str, str, str], list[int | None]]


def _say_promised(work: Work, before: Dates, now: Dates) -> None:
    for (owner_id, line_id, item_id), dates in sorted(now.items()):
        when = promised(dates)
        if when == promised(before[owner_id, line_id, item_id]):
            continue
        event = inventory_events_pb2.DemandPromised(order_id=owner_id, line_id=line_id, item_id=item_id)
        if when is not None:
            event.promised_at.CopyFrom(to_timestamp(when))
        work.emit(event)
        if when is None:
            work.hold(UNKNOWN_DATE, "order", owner_id, f"line {line_id} waits for {item_id}, and no supply of it is in sight any more")


async def doubt_late_supply(work: Work) -> None:
    """Pegs anew what waits for supply that should have come: it counts nothing until it is dated again."""
    rows = await work.tx.read(LATE_SUPPLY.limit(500), {"now": work.now})
    await peg_anew(work, {(row.item_id, row.location_id) for row in rows})
