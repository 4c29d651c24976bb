"""ApplyStockFeed: what warehouses say of the stock they hold, thousands of lines at a time.

Lines that agree with the books cost one look; only what differs is locked, judged again and booked.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import or_, select

from argosy.inventory.v1 import feeds_service_pb2, inventory_events_pb2
from chassis.kernel.clock import MINUTE, from_timestamp, to_timestamp
from chassis.kernel.errors import FailedPrecondition, InvalidArgument, NotFound
from chassis.kernel.ids import least_id, request_id
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.work import HoldKind, Work
from services.inventory.app.supply import COMING, fill
from services.inventory.domain.feeding import COME_AS, GROUP_OF, GROUPS, Books, Verdict, judge_change, judge_picture
from services.inventory.domain.stock import State, Tracking
from services.inventory.store.stock_book import KEY, Document, Key, StockBook
from services.inventory.store.tables import BALANCES, DISCREPANCIES, FEED_MARKS, FEEDS, INBOUND, ITEMS, LOCATIONS, LOTS, MOVEMENTS

DELTA, SNAPSHOT = feeds_service_pb2.FEED_KIND_DELTA, feeds_service_pb2.FEED_KIND_SNAPSHOT
FEED_DIFFERENCE = HoldKind("FEED_DIFFERENCE", "stock", 14_400, "operations")
FEED = ("source", "location_id", "feed_id")
COUNTED = ("pages", "lines", "changed", "discrepancies", "gain_minor", "loss_minor")
# What follows the feed, or is looked at again with the next.
SETTLED = ("DIFFERENT", "ON_ITS_WAY_OUT", "ON_ITS_WAY_IN")
MASTER = ("item_id", "sku", "kit", "tracking")
LOT = ("item_id", "lot")
FED = "feed"
NOTHING = (0, 0, 0)
Spot = tuple[str, str, int]


@dataclass(frozen=True)
class _Line:
    """A line that names an item: where it stands, and what it says."""

    sku: str
    spot: Spot
    quantity: int
    # Said of all lots of an item that has lots.
    all_lots: bool = False
    # Said of a lot of which nothing may be AVAILABLE: what is good by the sender is in QUARANTINE by the books.
    blocked: bool = False


async def apply_stock_feed(work: Work, request: feeds_service_pb2.ApplyStockFeedRequest) -> feeds_service_pb2.StockFeed:
    """Refusals: NO_SUCH_LOCATION, AS_OF_REQUIRED, FUTURE, STALE_FEED, FEED_GAP, FEED_PAGE."""
    location = await _location(work, request.location_id)
    as_of = _moment(work, request)
    feed = await _feed(work, request, as_of)
    if feed.pages >= request.page or feed.complete:
        return _shown(feed)
    lines, wrong = await _read(work, request)
    judged = await _judge(work, request, as_of, lines)
    differing = [line for line in lines if judged[line.spot].change]
    changed, gain, loss = 0, 0, 0
    if differing:
        keys = [(line.spot[0], request.location_id) for line in differing]
        book = await StockBook.open(work, keys, costs=True, lots=[line.spot[:2] for line in differing])
        judged.update(await _judge(work, request, as_of, differing, book))
        document_id = request_id("feed", request.source, request.location_id, request.feed_id, request.page)
        document = Document(FED, document_id, _reason(request))
        for line in differing:
            change = judged[line.spot].change
            value = _book(book, request.location_id, line.spot, change, document) if change else 0
            changed, gain, loss = changed + bool(change), gain + max(0, value), loss + max(0, -value)
        await fill(work, book, keys)
        await book.write()
        work.emit(
            inventory_events_pb2.StockAdjusted(
                document_id=document.id, location_id=request.location_id, entity=location.entity, currency_code=location.currency_code,
                quantity=sum(judged[line.spot].change for line in differing), gain_minor=gain, loss_minor=loss, reason=document.reason,
                cost_basis="LAYER",
            )
        )  # fmt: skip
    different = [line for line in lines if judged[line.spot].kind]
    reported = wrong + [_report(request, line.sku, line.spot, line.quantity, judged[line.spot]) for line in different]
    await work.tx.insert(DISCREPANCIES, reported)
    await _hold(work, request, reported)
    counts = (1, len(request.lines), changed, len(reported), gain, loss)
    row = {**{name: getattr(feed, name) for name in (*FEED, "complete")}, **dict(zip(COUNTED, counts, strict=True))}
    await work.tx.change(FEEDS, FEED, [{**row, "complete": int(request.last)}], add=COUNTED)
    return _shown((await work.tx.find(FEEDS, FEED, [tuple(getattr(request, name) for name in FEED)]))[0])


async def _location(work: Work, location_id: str) -> Any:
    rows = await work.tx.find(LOCATIONS, ("location_id",), [(location_id,)])
    if not rows:
        raise NotFound("NO_SUCH_LOCATION", f"there is no location {location_id}", field="location_id")
    return rows[0]


def _moment(work: Work, request: feeds_service_pb2.ApplyStockFeedRequest) -> int:
    if request.kind == DELTA:
        return 0
    if not request.HasField("as_of"):
        raise InvalidArgument("AS_OF_REQUIRED", "as_of: say of which moment the picture is", field="as_of")
    moment = from_timestamp(request.as_of)
    if moment > work.now:
        raise InvalidArgument("FUTURE", "as_of: lies in the future; check the sender's clock", field="as_of")
    return moment


async def _feed(work: Work, request: feeds_service_pb2.ApplyStockFeedRequest, as_of: int) -> Any:
    """Returns the feed's row, begun with its first page; refuses what is older than what is known, or skips something."""
    key = tuple(getattr(request, name) for name in FEED)
    marks = await work.tx.find(FEED_MARKS, FEED[:2], [key[:2]], lock=True)
    rows = await work.tx.find(FEEDS, FEED, [key], lock=True)
    if rows:
        if request.page > rows[0].pages + 1 and not rows[0].complete:
            text = f"page: page {rows[0].pages + 1} comes first"
            raise FailedPrecondition("FEED_PAGE", text, field="page", expected=rows[0].pages + 1)
        return rows[0]
    if request.page != 1:
        raise FailedPrecondition("FEED_PAGE", "page: page 1 comes first", field="page", expected=1)
    known = marks[0] if marks else None
    if request.kind == SNAPSHOT and known is not None and as_of <= known.as_of:
        text = f"as_of: a later picture was taken in already ({known.feed_id}); send the present one"
        raise FailedPrecondition("STALE_FEED", text, field="as_of")
    expected = known.sequence + 1 if known is not None and known.sequence else request.sequence
    if request.kind == DELTA and request.sequence != expected:
        text = f"sequence: {expected} comes next; send what lies between, or a picture"
        raise FailedPrecondition("FEED_GAP", text, field="sequence", expected=expected)
    mark = {
        "source": request.source, "location_id": request.location_id, "feed_id": request.feed_id,
        "sequence": request.sequence if request.kind == DELTA else known.sequence if known is not None else 0,
        "as_of": as_of if request.kind == SNAPSHOT else known.as_of if known is not None else 0,
    }  # fmt: skip
    await work.tx.merge(FEED_MARKS, FEED[:2], [mark])
    row = {
        **dict(zip(FEED, key, strict=True)), "kind": request.kind, "sequence": request.sequence, "as_of": as_of,
        **dict.fromkeys(COUNTED, 0), "complete": 0, "received_at": work.now,
    }  # fmt: skip
    await work.tx.insert(FEEDS, [row])
    return (await work.tx.find(FEEDS, FEED, [key]))[0]


async def _read(work: Work, request: feeds_service_pb2.ApplyStockFeedRequest) -> tuple[list[_Line], list[dict[str, Any]]]:
    """Returns the lines that name an item of ours, and reports of those that cannot be used."""
    names = sorted({line.sku for line in request.lines})
    items = {row.sku: row for row in await work.tx.find(ITEMS, ("sku",), [(name.upper(),) for name in names], only=MASTER)}
    missing = [name for name in names if name.upper() not in items]
    items.update({row.item_id: row for row in await work.tx.find(ITEMS, ("item_id",), [(name,) for name in missing], only=MASTER)})
    lines, wrong = [], []
    seen: set[Spot] = set()
    for line in request.lines:
        item = items.get(line.sku.upper()) or items.get(line.sku)
        spot = (item.item_id if item is not None else "", line.lot, line.state or int(State.AVAILABLE))
        kind = _flaw(request, line, item, spot, seen)
        seen.add(spot)
        if kind:
            wrong.append(_report(request, line.sku, spot, line.quantity, Verdict(0, kind)))
        else:
            lines.append(_Line(line.sku, spot, line.quantity, _lacks_lot(line, item)))
    return await _with_blocked(work, lines), wrong


async def _with_blocked(work: Work, lines: Sequence[_Line]) -> list[_Line]:
    """Returns the lines, of lots of which nothing may be AVAILABLE with all that is good or blocked together."""
    lots = sorted({line.spot[:2] for line in lines if line.spot[1]})
    rows = await work.tx.find(LOTS, LOT, lots, only=(*LOT, "recalled_at", "expires_at"))
    expired = {(row.item_id, row.lot) for row in rows if row.expires_at is not None and row.expires_at <= work.now}
    blocked = expired | {(row.item_id, row.lot) for row in rows if row.recalled_at is not None}
    if not blocked:
        return list(lines)
    found: dict[Spot, _Line] = {}
    for line in lines:
        is_blocked = line.spot[:2] in blocked
        spot = (*line.spot[:2], _group(line.spot[2], blocked=is_blocked) or line.spot[2])
        already = found[spot].quantity if spot in found else 0
        found[spot] = replace(line, spot=spot, quantity=already + line.quantity, blocked=is_blocked)
    return list(found.values())


def _group(state: int, *, blocked: bool) -> int | None:
    group = GROUP_OF.get(state)
    return int(State.QUARANTINE) if blocked and group == State.AVAILABLE else group


def _flaw(request: Any, line: feeds_service_pb2.FeedLine, item: Any, spot: Spot, seen: set[Spot]) -> str:
    if item is None:
        return "UNKNOWN_ITEM"
    if item.kit:
        return "KIT"
    if spot in seen:
        return "DOUBLE"
    if spot[2] not in GROUPS:
        return "STATE"
    if request.kind == SNAPSHOT and line.quantity < 0:
        return "NEGATIVE"
    return "LOT_REQUIRED" if request.kind == DELTA and _lacks_lot(line, item) else ""


def _lacks_lot(line: feeds_service_pb2.FeedLine, item: Any) -> bool:
    return item.tracking != Tracking.NONE and not line.lot


async def _judge(
    work: Work, request: feeds_service_pb2.ApplyStockFeedRequest, as_of: int, lines: Sequence[_Line], book: StockBook | None = None
) -> dict[Spot, Verdict]:
    """Returns what each line does, by the locked book where there is one, else by a first look."""
    location_id = request.location_id
    keys = sorted({(line.spot[0], location_id) for line in lines})
    in_all = {line.spot[0] for line in lines if line.all_lots}
    blocked = {line.spot[:2] for line in lines if line.blocked}
    coming: defaultdict[str, int] = defaultdict(int)
    if book is None:
        stand: Iterable[tuple[str, str, int, int]] = await work.tx.find(BALANCES, KEY, keys, only=("item_id", "lot", "state", "quantity"))
    else:
        stand = [(item_id, *one) for item_id, _ in keys for one in book.standing(item_id, location_id)]
        if request.kind == SNAPSHOT:
            for row in await work.tx.find(INBOUND, KEY, keys, only=("item_id", "quantity"), where=COMING):
                coming[row.item_id] += row.quantity
    there = _grouped(stand, in_all, blocked)
    since = await _moved_since(work, request, as_of, keys, in_all, blocked) if request.kind == SNAPSHOT else {}
    verdicts = {}
    for line in lines:
        item_id, _, group = line.spot
        now, free, allocated = there.get(line.spot, NOTHING)
        expected = coming[item_id] if coming and group in COME_AS else 0
        books = Books(now, free, allocated, since.get(line.spot, 0), expected, line.all_lots)
        verdicts[line.spot] = judge_picture(line.quantity, books) if request.kind == SNAPSHOT else judge_change(line.quantity, books)
    return verdicts


def _grouped(stand: Iterable[tuple[str, str, int, int]], in_all: set[str], blocked: set[Key]) -> dict[Spot, tuple[int, int, int]]:
    """Returns what there is of each group: in all, in the state that the group is named by, and allocated."""
    there: dict[Spot, tuple[int, int, int]] = {}
    for item_id, lot, state, quantity in stand:
        group = _group(state, blocked=(item_id, lot) in blocked)
        if group is None:
            continue
        for one in ("", lot) if lot and item_id in in_all else (lot,):
            now, free, allocated = there.get((item_id, one, group), NOTHING)
            more = (quantity, quantity * (state == group), quantity * (state == State.ALLOCATED))
            there[item_id, one, group] = (now + more[0], free + more[1], allocated + more[2])
    return there


async def _moved_since(
    work: Work, request: feeds_service_pb2.ApplyStockFeedRequest, as_of: int, keys: Sequence[Key], in_all: set[str], blocked: set[Key]
) -> dict[Spot, int]:
    """Returns by how much each group changed after the picture's moment, by others than this feed. Ids are in the order of
    booking, give or take the clocks, and nothing is booked before it happens.
    """  # fmt: skip
    columns = MOVEMENTS.c
    query = select(columns.item_id, columns.lot, columns.from_state, columns.to_state, columns.quantity).where(
        columns.movement_id >= least_id(as_of - MINUTE), columns.location_id == request.location_id, columns.moved_at > as_of,
        or_(columns.document_type != FED, columns.reason != _reason(request)),
    )  # fmt: skip
    moved: defaultdict[Spot, int] = defaultdict(int)
    item_ids = {item_id for item_id, _ in keys}
    for item_id, lot, from_state, to_state, quantity in await work.tx.read(query):
        before, after = (_group(state, blocked=(item_id, lot) in blocked) for state in (from_state, to_state))
        if item_id not in item_ids or before == after:
            continue
        for one in ("", lot) if lot and item_id in in_all else (lot,):
            if before is not None:
                moved[item_id, one, before] -= quantity
            if after is not None:
                moved[item_id, one, after] += quantity
    return moved


def _reason(request: feeds_service_pb2.ApplyStockFeedRequest) -> str:
    """Returns why stock moves by this feed, the same on all its pages."""
    return f"{request.source} {request.feed_id}"


def _book(book: StockBook, location_id: str, spot: Spot, change: int, document: Document) -> int:
    """Books a difference and returns what it is worth, negative where it is a loss."""
    item_id, lot, group = spot
    key, state = (item_id, location_id), State(group)
    if change > 0:
        value = book.estimate(*key, change)[0] if book.owned(location_id) else 0
        value = book.put(*key, change, value, document, lot=lot)
        if lot:
            book.learn_lot(item_id, lot, None)
        book.move(*key, lot, (State.OUTSIDE, state), change, document, value)
        return value
    value = book.issue(*key, -change, document, lot=lot)
    book.move(*key, lot, (state, State.OUTSIDE), -change, document, value)
    return -value


def _report(request: Any, sku: str, spot: Spot, reported: int, verdict: Verdict) -> dict[str, Any]:
    return {
        **{name: getattr(request, name) for name in FEED}, "sku": sku, "item_id": spot[0], "lot": spot[1], "state": spot[2],
        "reported": reported, "booked": verdict.booked, "applied": verdict.change, "kind": verdict.kind,
    }  # fmt: skip


async def _hold(work: Work, request: feeds_service_pb2.ApplyStockFeedRequest, reported: Sequence[dict[str, Any]]) -> None:
    kinds: defaultdict[str, int] = defaultdict(int)
    for one in reported:
        kinds[one["kind"]] += 1
    waiting = {kind: count for kind, count in kinds.items() if kind not in SETTLED}
    if waiting:
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(waiting.items()))
        # The next picture says the same again: a person is asked once.
        text = f"page {request.page} of feed {request.feed_id} of {request.source}: {told}"
        await work.hold_once(FEED_DIFFERENCE, "location", request.location_id, text)


async def list_stock_feeds(asked: Asked) -> feeds_service_pb2.ListStockFeedsResponse:
    """Lists newest first."""
    query = select(FEEDS)
    if asked.request.location_id:
        query = query.where(FEEDS.c.location_id == asked.request.location_id)
    keys = [FEEDS.c.received_at, FEEDS.c.feed_id, FEEDS.c.source, FEEDS.c.location_id]
    rows, token = await page(asked.tx, query, keys, asked.request, descending=True)
    return feeds_service_pb2.ListStockFeedsResponse(feeds=map(_shown, rows), next_page_token=token)


async def list_discrepancies(asked: Asked) -> feeds_service_pb2.ListDiscrepanciesResponse:
    """Lists in the feed's order."""
    query = select(DISCREPANCIES).where(DISCREPANCIES.c.feed_id == asked.request.feed_id)
    for name in ("location_id", "kind"):
        if wanted := getattr(asked.request, name):
            query = query.where(DISCREPANCIES.c[name] == wanted)
    rows, token = await page(asked.tx, query, [DISCREPANCIES.c.position], asked.request)
    plain = ("feed_id", "sku", "item_id", "lot", "state", "reported", "booked", "applied", "kind")
    found = [feeds_service_pb2.Discrepancy(**{name: getattr(row, name) for name in plain}) for row in rows]
    return feeds_service_pb2.ListDiscrepanciesResponse(discrepancies=found, next_page_token=token)


def _shown(row: Any) -> feeds_service_pb2.StockFeed:
    return feeds_service_pb2.StockFeed(
        **{name: getattr(row, name) for name in (*FEED, "kind", "sequence", *COUNTED)}, complete=bool(row.complete),
        as_of=to_timestamp(row.as_of) if row.as_of else None, received_at=to_timestamp(row.received_at),
    )  # fmt: skip
