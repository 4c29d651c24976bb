"""What channels are told: the book of publications and dispatches, and the rpcs that show it.

A publication knows four quantities in the channel's units: wanted, sent, acknowledged and, read back, observed. It is
behind while `wanted_since` is set, and told (again) at `due_at`.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import case, delete, func, select, update

from argosy.catalog.v1 import listing_pb2
from argosy.gateway.v1 import publications_service_pb2
from chassis.kernel.clock import MINUTE, SECOND, to_timestamp
from chassis.kernel.errors import NotFound
from chassis.runtime.host import wall_clock
from chassis.runtime.inbox import Received
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx
from chassis.runtime.work import HoldKind, Work
from gateway.store.tables import CHANNEL_STATES, CONNECTIONS, DISPATCHES, PUBLICATIONS

KEY = ("channel_id", "channel_sku")
CHANGING = (
    "wanted", "sent", "acknowledged", "observed", "wanted_since", "due_at", "acknowledged_at", "attempts", "error", "repairs",
    "external_id",
)  # fmt: skip
EVENT, INTERVAL, STEPS = (
    listing_pb2.SYNC_MODE_EVENT, listing_pb2.SYNC_MODE_INTERVAL, listing_pb2.SYNC_MODE_STEPS,
)  # fmt: skip
ENDED_OR_PAUSED = (listing_pb2.LISTING_STATUS_PAUSED, listing_pb2.LISTING_STATUS_ENDED)
OF_LISTING = ("item_id", "units", "sync_mode", "sync_us", "sync_steps", "on_sale", "version")
UNANSWERED_US = MINUTE
PAUSE_US, LONGEST_PAUSE_US = SECOND, 5 * MINUTE
RECONCILE_US = 10 * MINUTE
MOST_DISPATCH_ATTEMPTS = 12
PENDING, ACKNOWLEDGED, FAILED = "PENDING", "ACKNOWLEDGED", "FAILED"
UNTOLD = HoldKind("CHANNEL_NOT_TOLD", "integration", 3600, "integration")
# The connections of channels that are told what we have and what left.
TOLD = (CONNECTIONS.c.api_url != "", CONNECTIONS.c.location_id == "")
Change = Callable[[dict[str, Any]], None]


def telling(channel_id: str) -> str:
    """Names the look for what a channel is to be told."""
    return f"publications:{channel_id}"


def reading_back(channel_id: str) -> str:
    """Names the look for whether a channel is to be read back."""
    return f"read-back:{channel_id}"


def pause(attempts: int) -> int:
    """Returns how long to leave a thing alone after so many attempts in vain, in microseconds: 2, 4, 8 … 300 s."""
    return min(PAUSE_US << min(attempts, 20), LONGEST_PAUSE_US)


def shown_quantity(row: Mapping[str, Any], quantity: int) -> int:
    """Returns what a channel should show of so many: none of what is not on sale, the lower of two steps where it is told in steps."""
    if not row["on_sale"]:
        return 0
    if row["sync_mode"] == STEPS:
        return max((step for step in json.loads(row["sync_steps"]) if step <= quantity), default=quantity)
    return quantity


def _due(row: Mapping[str, Any], now: int, coalesce_us: int) -> int:
    """Returns when a change is told: in its interval, else after a window of gathering. What is sold out is not kept waiting."""
    if row["sync_mode"] == INTERVAL and row["wanted"] and row["acknowledged"] is not None:
        return int((now // row["sync_us"] + 1) * row["sync_us"])
    return int(now + (row["sync_us"] if row["sync_mode"] == EVENT and row["sync_us"] else coalesce_us))


def want(row: dict[str, Any], quantity: int, moved_at: int, now: int, coalesce_us: int) -> None:
    """The stock moved: the channel should show another quantity when its listing's policy says."""
    quantity = shown_quantity(row, quantity)
    if quantity == row["wanted"] and row["acknowledged"] is not None:
        return
    row["wanted"] = quantity
    if quantity == row["acknowledged"] == row["sent"]:
        row["wanted_since"] = row["due_at"] = None
        return
    row["wanted_since"] = moved_at if row["wanted_since"] is None else row["wanted_since"]
    due_at = _due(row, now, coalesce_us)
    if row["due_at"] is None or not (row["wanted"] or row["attempts"]):
        row["due_at"] = min(due_at, row["due_at"] or due_at)


def send(row: dict[str, Any], now: int) -> None:
    """It is told now; where no answer is recorded, again after a while."""
    row["sent"] = row["wanted"]
    row["due_at"] = now + UNANSWERED_US


def acknowledge(row: dict[str, Any], quantity: int, now: int, coalesce_us: int) -> None:
    """The channel took a quantity."""
    row.update(acknowledged=quantity, acknowledged_at=now, attempts=0, error="")
    if row["wanted"] == quantity:
        row["wanted_since"] = row["due_at"] = None
    else:
        row["due_at"] = _due(row, now, coalesce_us)


def fail(row: dict[str, Any], why: str, now: int) -> None:
    """It was told in vain."""
    row["attempts"] += 1
    row["error"] = why[:500]
    row["due_at"] = now + pause(row["attempts"])


def observe(row: dict[str, Any], quantity: int, now: int, *, repair: bool = True) -> None:
    """The channel was read back: what it shows is what counts. A difference that nobody explains is repaired and counted."""
    row["observed"] = quantity
    settled = row["due_at"] is None
    if quantity == row["acknowledged"] and settled:
        return
    row["repairs"] += 1 if repair and settled else 0
    row["acknowledged"] = row["sent"] = quantity
    if quantity == row["wanted"]:
        row.update(wanted_since=None, due_at=None, acknowledged_at=now, attempts=0, error="")
    else:
        row["wanted_since"] = now if row["wanted_since"] is None else row["wanted_since"]
        row["due_at"] = now


async def change(work: Work, channel_id: str, changes: Mapping[str, Change]) -> list[dict[str, Any]]:
    """Changes publications by SKU, two statements however many; returns the rows as they are then. What is gone is left out."""
    found = await work.tx.find(PUBLICATIONS, KEY, [(channel_id, sku) for sku in sorted(changes)], order=KEY, lock=True)
    rows = [dict(row._mapping) for row in found]
    for row in rows:
        due_at = row["due_at"]
        changes[row["channel_sku"]](row)
        if row["due_at"] is not None and (due_at is None or row["due_at"] < due_at):
            work.wake(telling(channel_id))
    await work.tx.change(PUBLICATIONS, KEY, [{name: row[name] for name in (*KEY, *CHANGING)} for row in rows])
    return rows


async def on_listing_changed(work: Work, events: Sequence[Received]) -> None:
    """Keeps what changed listings say, for channels that are told; what these should show is found out soon."""
    channels = {event.message.channel_id for event in events}
    told = await work.tx.find(CONNECTIONS, ("channel_id",), [(one,) for one in sorted(channels)], only=("channel_id", "api_url"))
    for channel_id in sorted(row.channel_id for row in told if row.api_url):
        latest = {event.message.channel_sku: event.message for event in events if event.message.channel_id == channel_id}
        await take_listings(work, channel_id, list(latest.values()))
        marks = [{"channel_id": channel_id, "channel_sku": sku, "changed_at": work.now} for sku in sorted(latest)]
        await work.tx.change(PUBLICATIONS, KEY, marks)
        work.wake(telling(channel_id))


async def found_out(work: Work, channel_id: str, rows: Sequence[Any]) -> None:
    """What these should show was found out, as of the change that was seen."""
    marks = [{"channel_id": channel_id, "channel_sku": row.channel_sku, "found_at": row.changed_at} for row in rows]
    await work.tx.change(PUBLICATIONS, KEY, marks)


async def take_listings(work: Work, channel_id: str, listings: Sequence[Any]) -> None:
    """Keeps a publication for each listing of a channel, as the newest version says: one that was read may be older than what was heard."""
    by_sku = {one.channel_sku: one for one in listings}
    keys = [(channel_id, sku) for sku in sorted(by_sku)]
    known = {row.channel_sku for row in await work.tx.find(PUBLICATIONS, KEY, keys, only=KEY)}
    fresh = [
        {
            "channel_id": channel_id, "channel_sku": sku, **_of_listing(one), "external_id": "", "wanted": 0, "sent": None,
            "acknowledged": None, "observed": None, "wanted_since": None, "due_at": None, "acknowledged_at": None, "attempts": 0,
            "error": "", "repairs": 0,
        }
        for sku, one in sorted(by_sku.items()) if sku not in known
    ]  # fmt: skip
    await work.tx.insert(PUBLICATIONS, fresh, once=True)
    rows = await work.tx.find(PUBLICATIONS, KEY, keys, only=(*KEY, "version"), order=KEY, lock=True)
    changed = [
        {"channel_id": channel_id, "channel_sku": row.channel_sku, **_of_listing(by_sku[row.channel_sku])}
        for row in rows
        if row.version < by_sku[row.channel_sku].version
    ]
    await work.tx.change(PUBLICATIONS, KEY, changed)


def _of_listing(listing: Any) -> dict[str, Any]:
    sync = listing.sync
    after_us = sync.interval_s * SECOND if sync.mode == INTERVAL else sync.window_ms * SECOND // 1000
    on_sale = int(listing.status not in ENDED_OR_PAUSED)
    values = (listing.item_id, listing.units, sync.mode, after_us, json.dumps(list(sync.steps)), on_sale, listing.version)
    return dict(zip(OF_LISTING, values, strict=True))


async def known_skus(tx: Tx, channel_id: str) -> set[str]:
    """Returns what of a channel has a publication."""
    rows = await tx.read(select(PUBLICATIONS.c.channel_sku).where(PUBLICATIONS.c.channel_id == channel_id))
    return {row.channel_sku for row in rows}


async def drop(work: Work, channel_id: str, skus: Collection[str]) -> None:
    """Forgets the publications of listings that are no more."""
    await work.tx.remove(PUBLICATIONS, KEY, [(channel_id, sku) for sku in sorted(skus)])


async def on_shipped(work: Work, events: Sequence[Received]) -> None:
    """Parcels of channels that are told something become dispatches."""
    channels = sorted({event.message.channel_id for event in events})
    told = select(CONNECTIONS.c.channel_id).where(CONNECTIONS.c.channel_id.in_(channels), *TOLD)
    tellable = {row.channel_id for row in await work.tx.read(told)}
    rows = [
        {
            "shipment_id": one.shipment_id, "channel_id": one.channel_id, "order_id": one.order_id, "state": PENDING,
            "body": json.dumps(
                {"carrier": one.carrier, "number": one.tracking_number, "lines": [[line.line_id, line.quantity] for line in one.lines]}
            ),
            "external_id": "", "attempts": 0, "due_at": work.now, "error": "", "created_at": event.occurred_at, "acknowledged_at": None,
        }
        for event in events
        if (one := event.message).channel_id in tellable
    ]  # fmt: skip
    await work.tx.insert(DISPATCHES, rows, once=True)
    for channel_id in sorted(tellable):
        work.wake(telling(channel_id))


async def record_dispatch(work: Work, shipment_id: str, external_id: str, error: str, *, final: bool) -> None:
    """Keeps what came of telling a channel of a parcel; given up, it waits for a person."""
    own = DISPATCHES.c.shipment_id == shipment_id
    row = (await work.tx.read(select(DISPATCHES).where(own).with_for_update()))[0]
    attempts = row.attempts + 1
    values: dict[str, Any] = {"attempts": attempts, "error": error[:500], "due_at": work.now + pause(attempts)}
    if not error:
        values.update(state=ACKNOWLEDGED, external_id=external_id, due_at=None, acknowledged_at=work.now)
    elif final or attempts >= MOST_DISPATCH_ATTEMPTS:
        values.update(state=FAILED, due_at=None)
        work.hold(UNTOLD, "dispatch", shipment_id, f"{row.channel_id} does not know that shipment {shipment_id} left: {error}")
    await work.tx.write(update(DISPATCHES).where(own).values(values))


async def try_dispatch_again(work: Work, shipment_id: str) -> None:
    """A person looked: the channel is told again."""
    change_ = update(DISPATCHES).where(DISPATCHES.c.shipment_id == shipment_id, DISPATCHES.c.state == FAILED)
    await work.tx.write(change_.values(state=PENDING, attempts=0, due_at=work.now))


async def list_publications(asked: Asked) -> publications_service_pb2.ListPublicationsResponse:
    """Lists by channel and SKU."""
    request, query = asked.request, select(PUBLICATIONS)
    for name in ("channel_id", "item_id"):
        if wanted := getattr(request, name):
            query = query.where(PUBLICATIONS.c[name] == wanted)
    if request.behind:
        query = query.where(PUBLICATIONS.c.wanted_since.is_not(None))
    rows, token = await page(asked.tx, query, [PUBLICATIONS.c.channel_id, PUBLICATIONS.c.channel_sku], request)
    return publications_service_pb2.ListPublicationsResponse(publications=map(_to_publication, rows), next_page_token=token)


def _to_publication(row: Any) -> publications_service_pb2.Publication:
    return publications_service_pb2.Publication(
        channel_id=row.channel_id, channel_sku=row.channel_sku, item_id=row.item_id, wanted=row.wanted, sent=row.sent,
        acknowledged=row.acknowledged, observed=row.observed, wanted_since=_moment(row.wanted_since),
        acknowledged_at=_moment(row.acknowledged_at), attempts=row.attempts, error=row.error, repairs=row.repairs,
    )  # fmt: skip


async def list_dispatches(asked: Asked) -> publications_service_pb2.ListDispatchesResponse:
    """Lists newest first."""
    query = select(DISPATCHES)
    if asked.request.channel_id:
        query = query.where(DISPATCHES.c.channel_id == asked.request.channel_id)
    rows, token = await page(asked.tx, query, [DISPATCHES.c.shipment_id], asked.request, descending=True)
    found = [
        publications_service_pb2.Dispatch(
            shipment_id=row.shipment_id, channel_id=row.channel_id, order_id=row.order_id, state=row.state, external_id=row.external_id,
            attempts=row.attempts, error=row.error, created_at=to_timestamp(row.created_at), acknowledged_at=_moment(row.acknowledged_at),
        )
        for row in rows
    ]  # fmt: skip
    return publications_service_pb2.ListDispatchesResponse(dispatches=found, next_page_token=token)


async def reconcile_channel(
    work: Work, request: publications_service_pb2.ReconcileChannelRequest
) -> publications_service_pb2.ReconcileChannelResponse:
    """Refusals: NO_SUCH_CONNECTION."""
    if not await work.tx.read(select(CONNECTIONS.c.channel_id).where(CONNECTIONS.c.channel_id == request.channel_id, *TOLD)):
        raise NotFound("NO_SUCH_CONNECTION", f"the channel {request.channel_id} is not told anything", field="channel_id")
    await save_state(work, request.channel_id, {"reconcile_due_at": work.now})
    work.wake(reading_back(request.channel_id))
    return publications_service_pb2.ReconcileChannelResponse()


async def get_figures(asked: Asked) -> publications_service_pb2.PublicationFigures:
    """Counts listings, and those that are behind."""
    now, table = wall_clock(), PUBLICATIONS
    behind, oldest = func.count(table.c.wanted_since).label("behind"), func.min(table.c.wanted_since).label("oldest")
    counts = select(table.c.channel_id, func.count().label("listings"), behind, oldest)
    listings = {row.channel_id: row for row in await asked.tx.read(counts.group_by(table.c.channel_id))}
    waiting = select(DISPATCHES.c.channel_id, func.count().label("count")).where(DISPATCHES.c.due_at.is_not(None))
    dispatches = {row.channel_id: row.count for row in await asked.tx.read(waiting.group_by(DISPATCHES.c.channel_id))}
    figures = publications_service_pb2.PublicationFigures()
    for state in await asked.tx.read(select(CHANNEL_STATES).order_by(CHANNEL_STATES.c.channel_id)):
        own = listings.get(state.channel_id)
        breaker = "OPEN" if state.open_until > now else "HALF_OPEN" if state.open_until else "CLOSED"
        figures.channels.add(
            channel_id=state.channel_id, listings=own.listings if own else 0, behind=own.behind if own else 0,
            oldest_ms=(now - own.oldest) // 1000 if own and own.oldest else 0, breaker=breaker, reconciled_at=_moment(state.reconciled_at),
            dispatches=dispatches.get(state.channel_id, 0),
        )  # fmt: skip
    return figures


async def save_state(work: Work, channel_id: str, values: Mapping[str, Any]) -> None:
    """Keeps how a channel answers."""
    fresh = {"channel_id": channel_id, "failures": 0, "open_until": 0, "reconciled_at": None, "reconcile_due_at": 0}
    await work.tx.insert(CHANNEL_STATES, [fresh], once=True)
    if values:
        await work.tx.write(update(CHANNEL_STATES).where(CHANNEL_STATES.c.channel_id == channel_id).values(**values))


async def was_read_back(work: Work, channel_id: str, asked_at: int) -> None:
    """The channel was read back; what was asked for since then is still to be done."""
    own = CHANNEL_STATES.c.channel_id == channel_id
    following = case((CHANNEL_STATES.c.reconcile_due_at == asked_at, work.now + RECONCILE_US), else_=CHANNEL_STATES.c.reconcile_due_at)
    await work.tx.write(update(CHANNEL_STATES).where(own).values(reconciled_at=work.now, reconcile_due_at=following))
    work.wake(reading_back(channel_id))


async def forget_channel(work: Work, channel_id: str) -> None:
    """The channel is told nothing any more."""
    for table in (PUBLICATIONS, CHANNEL_STATES):
        await work.tx.write(delete(table).where(table.c.channel_id == channel_id))


def _moment(moment_us: int | None) -> Any:
    return to_timestamp(moment_us) if moment_us is not None else None
