"""Listings: what channels' SKUs mean. Every change is a version; what a SKU means is changed by two persons."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict
from sqlalchemy import select

from argosy.catalog.v1 import catalog_events_pb2, channels_service_pb2, item_pb2, listing_pb2
from argosy.orders.v1 import orders_service_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import Aborted, AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, Refusal
from chassis.runtime.approvals import ApprovalKind, Weight, need_approval
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from chassis.runtime.writer import Call, Outcome
from services.catalog.app.completeness import Wanted
from services.catalog.app.item_view import load, shown
from services.catalog.clients.sku_use import DAYS, SkuUse
from services.catalog.store.tables import CHANNELS, ITEMS, LISTING_VERSIONS, LISTINGS

Key = tuple[str, str]
KEY = ("channel_id", "channel_sku")
ACTIVE = listing_pb2.LISTING_STATUS_ACTIVE
STEPS = listing_pb2.SYNC_MODE_STEPS
INTERVAL = listing_pb2.SYNC_MODE_INTERVAL
Meaning = channels_service_pb2.ListingMeaning
Listing = listing_pb2.Listing


@dataclass(frozen=True)
class _Version:
    """A listing as it is to be written."""

    channel_id: str
    channel_sku: str
    version: int
    item_id: str
    units: int
    unit: str
    quantity: int
    status: int
    sync: str
    created_at: int
    changed_by: str
    changed_at: int
    reason: str


async def create_listings(work: Work, calls: Sequence[Call]) -> list[Outcome]:
    """Answers each call with its listing or a Refusal: NO_SUCH_CHANNEL, NO_SUCH_ITEM, LISTING_EXISTS, WRONG_UNIT, NOT_WHOLE,
    WRONG_SYNC, INCOMPLETE.
    """  # fmt: skip
    requests = [call.request for call in calls]
    channels = {
        row.channel_id for row in await work.tx.find(CHANNELS, KEY[:1], [(one,) for one in sorted({r.channel_id for r in requests})])
    }
    taken = {(row.channel_id, row.channel_sku) for row in await work.tx.find(LISTINGS, KEY, sorted({_key(r) for r in requests}))}
    items = await _items(work.tx, [request.item_id for request in requests])
    wanted = await Wanted.of(work.tx, channels, {item.category_id for item in items.values()})
    outcomes: list[Outcome] = []
    versions: list[_Version] = []
    for call in calls:
        request = call.request
        try:
            if request.channel_id not in channels:
                raise NotFound("NO_SUCH_CHANNEL", f"there is no channel {request.channel_id}", field="channel_id")
            if _key(request) in taken:
                text = f"the channel's SKU {request.channel_sku} has a meaning already; change it"
                raise AlreadyExists("LISTING_EXISTS", text, field="channel_sku")
            meaning = Meaning(item_id=request.item_id, quantity=request.units, unit=request.unit, sync=request.sync)
            item = items.get(request.item_id)
            made = _read(meaning, item, wanted, request.channel_id, "")
        except Refusal as refusal:
            outcomes.append(refusal)
            continue
        taken.add(_key(request))
        version = _Version(
            *_key(request), 1, created_at=work.now, changed_by=call.cause.actor, changed_at=work.now, reason="listed", **made
        )
        versions.append(version)
        outcomes.append(_message(version))
    await work.tx.insert(LISTINGS, [vars(one) for one in versions])
    await _keep(work, versions)
    return outcomes


async def change_listing(work: Work, call: Call) -> Listing:
    """Refusals: NO_SUCH_LISTING, LISTING_CHANGED, NO_CHANGE, and those of `create_listings`."""
    request = call.request
    return await _change(work, request, call.context)


async def roll_back_listing(work: Work, call: Call) -> Listing:
    """Refusals: NO_SUCH_LISTING, NO_SUCH_VERSION, and those of `change_listing`."""
    request = call.request
    rows = await work.tx.find(LISTING_VERSIONS, (*KEY, "version"), [(*_key(request), request.version)])
    if not rows:
        raise NotFound("NO_SUCH_VERSION", f"the listing has no version {request.version}", field="version")
    row = rows[0]
    meaning = Meaning(item_id=row.item_id, quantity=row.quantity, unit=row.unit, status=row.status, sync=_sync(row.sync))
    change = channels_service_pb2.ChangeListingRequest(
        request_id=request.request_id, channel_id=row.channel_id, channel_sku=row.channel_sku, meaning=meaning,
        reason=f"back to version {row.version}: {request.reason}"[:500],
    )  # fmt: skip
    return await _change(work, change, call.context)


async def _change(work: Work, request: channels_service_pb2.ChangeListingRequest, use: orders_service_pb2.SkuUse | str) -> Listing:
    row = await _locked(work, request)
    after = await _after(work, row, request)
    if (after.item_id, after.units) == (row.item_id, row.units):
        return await _write(work, after)
    proposed = channels_service_pb2.ChangeListingRequest()
    proposed.CopyFrom(request)
    proposed.version = row.version
    summary, units = await _summary(work.tx, row, after, use)
    weight = Weight("listing", f"{row.channel_id}/{row.channel_sku}", f"{summary}: {request.reason}", units)
    if approval_id := await need_approval(work, CHANGE, proposed, weight):
        listing = _message(row)
        listing.approval_id = approval_id
        return listing
    return await _write(work, after)


async def carry_out(work: Work, request: channels_service_pb2.ChangeListingRequest) -> Listing:
    """Refusals: NO_SUCH_LISTING, LISTING_CHANGED, and those of `create_listings`."""
    return await _write(work, await _after(work, await _locked(work, request), request))


CHANGE = ApprovalKind(
    "catalog.listing", "What a channel's SKU means, by the stock units that it would have moved in 28 days", "catalog.listings.approve",
    channels_service_pb2.ChangeListingRequest, carry_out,
)  # fmt: skip


async def relist(work: Work, item_id: str, into_id: str, reason: str) -> None:
    """Makes what channels list of one item mean another, as a new version of each listing."""
    rows = await work.tx.find(LISTINGS, ("item_id",), [(item_id,)], order=KEY, lock=True)
    changed = [
        replace(_version(row), item_id=into_id, version=row.version + 1, changed_by=work.cause.actor, changed_at=work.now, reason=reason)
        for row in rows
    ]
    await work.tx.change(LISTINGS, KEY, [vars(one) for one in changed])
    await _keep(work, changed)


async def _keep(work: Work, versions: Sequence[_Version]) -> None:
    """Keeps versions, and tells of them."""
    await work.tx.insert(LISTING_VERSIONS, [vars(one) for one in versions])
    for one in versions:
        event = catalog_events_pb2.ListingChanged(
            listing_id=f"{one.channel_id}/{one.channel_sku}", channel_id=one.channel_id, channel_sku=one.channel_sku, item_id=one.item_id,
            units=one.units, status=listing_pb2.ListingStatus.ValueType(one.status), version=one.version,
            sync=_sync(one.sync) if one.sync else None,
        )  # fmt: skip
        work.emit(event)


async def list_listing_versions(asked: Asked) -> channels_service_pb2.ListListingVersionsResponse:
    """Lists newest first."""
    own = (LISTING_VERSIONS.c.channel_id == asked.request.channel_id, LISTING_VERSIONS.c.channel_sku == asked.request.channel_sku)
    rows, token = await page(asked.tx, select(LISTING_VERSIONS).where(*own), [LISTING_VERSIONS.c.version], asked.request, descending=True)
    return channels_service_pb2.ListListingVersionsResponse(versions=map(_message, rows), next_page_token=token)


async def list_listings(asked: Asked) -> channels_service_pb2.ListListingsResponse:
    """Lists by the channel's SKU."""
    query = select(LISTINGS).where(LISTINGS.c.channel_id == asked.request.channel_id)
    rows, token = await page(asked.tx, query, [LISTINGS.c.channel_sku], asked.request)
    return channels_service_pb2.ListListingsResponse(listings=map(_message, rows), next_page_token=token)


class Preview:
    """Says what a change would have done."""

    def __init__(self, use: SkuUse) -> None:
        self._use = use

    async def preview_listing(self, asked: Asked) -> channels_service_pb2.ListingPreview:
        """Refusals: NO_SUCH_CHANNEL, and those of `create_listings`."""
        request = asked.request
        days = request.days or DAYS
        rows = await asked.tx.find(LISTINGS, KEY, [_key(request)])
        channels = await asked.tx.find(CHANNELS, KEY[:1], [(request.channel_id,)])
        if not channels:
            raise NotFound("NO_SUCH_CHANNEL", f"there is no channel {request.channel_id}", field="channel_id")
        items = await _items(asked.tx, [request.meaning.item_id])
        wanted = await Wanted.of(asked.tx, [request.channel_id], {item.category_id for item in items.values()})
        then = _read(request.meaning, items.get(request.meaning.item_id), wanted, request.channel_id, "meaning.")
        use = await self._use.of(request.channel_id, request.channel_sku, days)
        now = rows[0] if rows else None
        shares = {name: getattr(use, name) for name in ("orders", "lines", "quantity", "amount_minor", "open_orders")}
        names = await _skus(asked.tx, [then["item_id"], *([now.item_id] if now is not None else [])])
        units_now = use.quantity * now.units if now is not None else 0
        return channels_service_pb2.ListingPreview(
            now=_message(now) if now is not None else None, days=days, currency_code=channels[0].currency_code, **shares,
            units_now=units_now, units_then=use.quantity * then["units"], order_ids=use.order_ids,
            summary=_sentence(request, now, then, names, use, days),
        )  # fmt: skip


def _sentence(request: Any, now: Any, then: dict[str, Any], names: dict[str, str], use: orders_service_pb2.SkuUse | str, days: int) -> str:
    before = f"{now.units} of {names[now.item_id]}" if now is not None else "nothing"
    change = f"{request.channel_sku} at {request.channel_id} would mean {then['units']} of {names[then['item_id']]} instead of {before}"
    if isinstance(use, str):
        return f"{change}; what that would have changed is not known ({use})"
    if not use.orders:
        return f"{change}; nobody ordered it in the last {days} days"
    return f"{change}; in the last {days} days that is {use.quantity} ordered in {use.orders} orders, {use.open_orders} of them still open"


async def _summary(tx: Tx, row: Any, after: _Version, use: orders_service_pb2.SkuUse | str) -> tuple[str, int]:
    names = await _skus(tx, [row.item_id, after.item_id])
    units = 0 if isinstance(use, str) else use.quantity * max(row.units, after.units)
    return _sentence(row, row, vars(after), names, use, DAYS), units


async def _skus(tx: Tx, item_ids: Sequence[str]) -> dict[str, str]:
    rows = await tx.find(ITEMS, ("item_id",), [(one,) for one in sorted(set(item_ids))], only=("item_id", "sku"))
    return {row.item_id: row.sku for row in rows}


async def _locked(work: Work, request: channels_service_pb2.ChangeListingRequest) -> Any:
    rows = await work.tx.find(LISTINGS, KEY, [_key(request)], lock=True)
    if not rows:
        raise NotFound("NO_SUCH_LISTING", f"the channel {request.channel_id} lists no {request.channel_sku}", field="channel_sku")
    if request.version and rows[0].version != request.version:
        raise Aborted("LISTING_CHANGED", "somebody changed the listing since; look at it again and propose it anew", field="version")
    return rows[0]


async def _after(work: Work, row: Any, request: channels_service_pb2.ChangeListingRequest) -> _Version:
    item = await load(work.tx, request.meaning.item_id)
    items = await _items(work.tx, [item.item_id])
    wanted = await Wanted.of(work.tx, [row.channel_id], [item.category_id])
    values = _read(request.meaning, items[item.item_id], wanted, row.channel_id, "meaning.")
    changed = replace(
        _version(row), version=row.version + 1, changed_by=work.cause.actor, changed_at=work.now, reason=request.reason, **values
    )
    if all(getattr(row, name) == value for name, value in values.items()):
        raise FailedPrecondition("NO_CHANGE", "the listing is like that already", field="meaning")
    return changed


async def _write(work: Work, version: _Version) -> Listing:
    await work.tx.change(LISTINGS, KEY, [vars(version)])
    await _keep(work, [version])
    return _message(version)


async def _items(tx: Tx, item_ids: Sequence[str]) -> dict[str, item_pb2.Item]:
    """Returns items by id or SKU, as they were named."""
    names = sorted(set(item_ids))
    rows = [*await tx.find(ITEMS, ("item_id",), [(one,) for one in names])]
    known = {row.item_id for row in rows}
    rows += await tx.find(ITEMS, ("sku",), [(one.upper(),) for one in names if one not in known])
    items = await shown(tx, rows)
    by_sku = {item.sku: item for item in items}
    by_id = {item.item_id: item for item in items}
    return {one: item for one in names if (item := by_id.get(one) or by_sku.get(one.upper())) is not None}


def _read(meaning: Meaning, item: item_pb2.Item | None, wanted: Wanted, channel_id: str, prefix: str) -> dict[str, Any]:
    """Returns what a listing shall say as column values."""
    if item is None:
        raise NotFound("NO_SUCH_ITEM", f"{prefix}item_id: there is no item {meaning.item_id}", field=f"{prefix}item_id")
    status = meaning.status or ACTIVE
    missing = wanted.completeness(channel_id, item).missing if status == ACTIVE else []
    if missing:
        text = f"{prefix}item_id: {channel_id} wants to know {', '.join(missing)} of {item.sku} before it is on sale there"
        raise FailedPrecondition("INCOMPLETE", text, field=f"{prefix}item_id", missing=",".join(missing))
    units = _units(meaning, item, prefix)
    return {
        "item_id": item.item_id, "units": units, "unit": meaning.unit if meaning.unit != item.stock_unit else "",
        "quantity": meaning.quantity, "status": int(status), "sync": _sync_text(meaning, f"{prefix}sync"),
    }  # fmt: skip


def _units(meaning: Meaning, item: item_pb2.Item, prefix: str) -> int:
    if meaning.unit in ("", item.stock_unit):
        return meaning.quantity
    unit = next((one for one in item.units if one.unit == meaning.unit), None)
    if unit is None:
        known = ", ".join([item.stock_unit, *(one.unit for one in item.units)])
        raise InvalidArgument(
            "WRONG_UNIT", f"{prefix}unit: {item.sku} has no unit {meaning.unit}; choose one of {known}", field=f"{prefix}unit"
        )
    units, rest = divmod(meaning.quantity * unit.numerator, unit.denominator or 1)
    if rest:
        text = f"{prefix}quantity: {meaning.quantity} {meaning.unit} are no whole number of {item.stock_unit}"
        raise InvalidArgument("NOT_WHOLE", text, field=f"{prefix}quantity")
    return units


def _sync_text(meaning: Meaning, field: str) -> str:
    sync = meaning.sync
    if not sync.mode:
        return ""
    if sync.mode == INTERVAL and not sync.interval_s:
        raise InvalidArgument("WRONG_SYNC", f"{field}.interval_s: say how long an interval is", field=f"{field}.interval_s")
    if sync.mode == STEPS and (not sync.steps or list(sync.steps) != sorted(set(sync.steps))):
        raise InvalidArgument("WRONG_SYNC", f"{field}.steps: name the steps in ascending order", field=f"{field}.steps")
    return json.dumps(MessageToDict(sync, preserving_proto_field_name=True), sort_keys=True)


def _sync(text: str) -> listing_pb2.SyncPolicy:
    return ParseDict(json.loads(text), listing_pb2.SyncPolicy()) if text else listing_pb2.SyncPolicy()


def _key(request: Any) -> Key:
    return (request.channel_id, request.channel_sku)


def _version(row: Any) -> _Version:
    return _Version(**{name: getattr(row, name) for name in _Version.__dataclass_fields__})


def _message(row: Any) -> Listing:
    return Listing(
        channel_id=row.channel_id, channel_sku=row.channel_sku, item_id=row.item_id, units=row.units, unit=row.unit, quantity=row.quantity,
        status=row.status, sync=_sync(row.sync) if row.sync else None, version=row.version, changed_by=row.changed_by, reason=row.reason,
        created_at=to_timestamp(row.created_at), changed_at=to_timestamp(row.changed_at),
    )  # fmt: skip
