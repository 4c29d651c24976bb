"""Tells channels how much they may sell, and what has shipped.

Each channel that has an API is served by one replica, in three lines: one watches availability and writes down what the
channel should show, one tells the channel what is due, one reads the channel back and repairs what was lost. What is
written down is all that counts: whoever takes over goes on from there.
"""

import asyncio
import json
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import structlog
from opentelemetry import metrics
from sqlalchemy import Select, exists, func, or_, select

from argosy.catalog.v1 import channels_service_pb2
from argosy.catalog.v1.channels_service_pb2_grpc import ChannelsServiceStub
from argosy.fulfillment.v1 import fulfillment_pb2, fulfillment_service_pb2
from argosy.fulfillment.v1.fulfillment_service_pb2_grpc import FulfillmentServiceStub
from argosy.inventory.v1 import stock_service_pb2
from argosy.inventory.v1.stock_service_pb2_grpc import StockServiceStub
from argosy.orders.v1 import orders_service_pb2
from argosy.orders.v1.orders_service_pb2_grpc import OrdersServiceStub
from chassis.kernel.clock import MINUTE, SECOND, from_timestamp
from chassis.kernel.errors import Refusal
from chassis.kernel.ids import new_id
from chassis.kernel.spread import at_most
from chassis.runtime.channels import Channels
from chassis.runtime.component import Component, cancelled
from chassis.runtime.host import wall_clock
from chassis.runtime.statements import NOW
from chassis.runtime.work import Cause, Work
from gateway.app import publications as book
from gateway.channels.api import ApiFailure, ApiRefusal
from gateway.channels.shopify_api import QUANTITIES_AT_ONCE, SKUS_AT_ONCE, STALE, ShopifyApi
from gateway.store.tables import CHANNEL_STATES, CONNECTIONS, DISPATCHES, PUBLICATIONS
from gateway.voice.each import serve_each
from gateway.voice.egress import Egress

GATHER_S = 0.1
TIMEOUT_S = 10.0
AGAIN_S = 1.0
PAGE = 500
PARCELS_AT_ONCE = 10
LAGS_KEPT, REPORT_EVERY = 200, MINUTE
BREAK_AFTER = 5
OPEN_US, LONGEST_OPEN_US = 5 * SECOND, 5 * MINUTE
CAUSE = Cause("service:gateway", "publications", "publications")
log = structlog.get_logger()


def _to_tell(channel_id: str) -> Select[Any]:
    """Finds a channel that is to be told something, unless it is left alone for failing."""
    publications, dispatches = PUBLICATIONS.c, DISPATCHES.c
    waits = or_(
        exists().where(publications.channel_id == channel_id, publications.due_at <= NOW),
        exists().where(publications.channel_id == channel_id, publications.changed_at > publications.found_at),
        exists().where(dispatches.channel_id == channel_id, dispatches.due_at <= NOW),
    )
    return select(CHANNEL_STATES.c.channel_id).where(CHANNEL_STATES.c.channel_id == channel_id, CHANNEL_STATES.c.open_until <= NOW, waits)


def _to_read_back(channel_id: str) -> Select[Any]:
    """Finds a channel that is to be read back, unless it is left alone for failing."""
    own = CHANNEL_STATES.c
    return select(own.channel_id).where(own.channel_id == channel_id, own.open_until <= NOW, own.reconcile_due_at <= NOW)


class Publisher:
    """Serves every channel that has an API, and stops where its connection goes or changes."""

    def __init__(self, component: Component, channels: Channels, egress: Egress) -> None:
        self._component = component
        self._channels = channels
        self._egress = egress
        self._lag = metrics.get_meter("argosy").create_histogram(
            "argosy.publication.lag", unit="s", description="From a movement of stock to the quantity that a channel took."
        )

    async def serve(self) -> None:
        """Works until cancelled."""
        async with self._egress.client(TIMEOUT_S) as client:

            def voice(row: Any) -> Coroutine[Any, Any, None]:
                api = ShopifyApi(client, row.api_url, row.api_token, row.external_location_id)
                return ChannelVoice(self._component, self._channels, api, row, self._lag).serve()

            await serve_each(self._component, select(CONNECTIONS).where(*book.TOLD), voice)


class ChannelVoice:
    """One channel's three lines."""

    _due: asyncio.Event
    _unread: asyncio.Event

    def __init__(self, component: Component, channels: Channels, api: ShopifyApi, connection: Any, lag: metrics.Histogram) -> None:
        self._component = component
        self._channel_id = connection.channel_id
        self._coalesce_us = (connection.coalesce_ms or 1000) * 1000
        self._api = api
        self._lag = lag
        self._failures = 0
        self._lags: deque[int] = deque(maxlen=LAGS_KEPT)
        self._reported_at = 0
        # Whoever asks what should be shown writes it before anybody else does: what is told of a later change must come after it.
        self._wanting = asyncio.Lock()
        self._listings = ChannelsServiceStub(channels.to("catalog"))
        self._stock = StockServiceStub(channels.to("inventory"))
        self._orders = OrdersServiceStub(channels.to("orders"))
        self._fulfillment = FulfillmentServiceStub(channels.to("fulfillment"))

    async def serve(self) -> None:
        """Works until cancelled."""
        await self._write(partial(book.save_state, channel_id=self._channel_id, values={}))
        self._failures = (await self._state()).failures
        looks, own = self._component.looks, self._channel_id
        with (
            looks.looking(book.telling(own), _to_tell(own)) as self._due,
            looks.looking(book.reading_back(own), _to_read_back(own)) as self._unread,
        ):
            lines = [asyncio.create_task(self._forever(line)) for line in (self._watch, self._tell, self._read_back)]
            try:
                await asyncio.gather(*lines)
            finally:
                await cancelled(lines)

    async def _forever(self, line: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await line()
            except Refusal as refusal:
                log.info("a channel's line is taken up again", channel=self._channel_id, line=line.__name__, reason=refusal.reason)
                await asyncio.sleep(AGAIN_S)
            except Exception as error:
                log.warning("a channel's line failed", channel=self._channel_id, line=line.__name__, error=repr(error))
                await asyncio.sleep(AGAIN_S)

    async def _write(self, do: Callable[[Work], Awaitable[Any]]) -> Any:
        return await self._component.writer.run(do, CAUSE)

    # -- what the channel should show

    async def _watch(self) -> None:
        """Once the line is open, finds out how all listings stand, then follows what changes."""
        request = stock_service_pb2.WatchAvailabilityRequest(channel_id=self._channel_id)
        async for told in self._stock.WatchAvailability(request):
            now = wall_clock()
            moved_at = from_timestamp(told.moved_at) if told.HasField("moved_at") else now
            if told.items:
                async with self._wanting:
                    await self._want(told.items, moved_at)
            if told.all_changed:
                await self._want_all()

    async def _want_all(self) -> None:
        # What is listed while this goes on is heard of by itself.
        async with self._component.database.read() as tx:
            gone = await book.known_skus(tx, self._channel_id)
        token = ""
        while True:
            request = channels_service_pb2.ListListingsRequest(channel_id=self._channel_id, page_size=PAGE, page_token=token)
            answer = await self._listings.ListListings(request)
            listings = list(answer.listings)
            gone -= {one.channel_sku for one in listings}
            await self._write(partial(book.take_listings, channel_id=self._channel_id, listings=listings))
            if listings:
                await self._ask_for(one.item_id for one in listings)
            token = answer.next_page_token
            if not token:
                break
        await self._write(partial(book.drop, channel_id=self._channel_id, skus=gone))

    async def _ask_for(self, item_ids: Iterable[str]) -> None:
        """Asks how items stand, and notes what the channel should show of them."""
        request = stock_service_pb2.GetAvailabilityRequest(item_ids=sorted(set(item_ids)), channel_id=self._channel_id)
        async with self._wanting:
            await self._want((await self._stock.GetAvailability(request)).items, wall_clock())

    async def _want(self, items: Sequence[stock_service_pb2.ItemAvailability], moved_at: int) -> None:
        available = {item.item_id: item.available_to_sell for item in items}

        async def write(work: Work) -> None:
            rows = await work.tx.find(PUBLICATIONS, ("item_id",), [(one,) for one in available])
            wanted = {row.channel_sku: available[row.item_id] // row.units for row in rows if row.channel_id == self._channel_id}
            how = partial(book.want, moved_at=moved_at, now=work.now, coalesce_us=self._coalesce_us)
            await book.change(work, self._channel_id, {sku: partial(how, quantity=quantity) for sku, quantity in wanted.items()})

        await self._write(write)

    async def _find_out(self) -> None:
        """Finds out what the channel should show of listings that changed."""
        own = (PUBLICATIONS.c.channel_id == self._channel_id, PUBLICATIONS.c.changed_at > PUBLICATIONS.c.found_at)
        query = select(PUBLICATIONS.c.channel_sku, PUBLICATIONS.c.item_id, PUBLICATIONS.c.changed_at).where(*own).limit(PAGE)
        async with self._component.database.read() as tx:
            rows = await tx.read(query)
        if not rows:
            return
        await self._ask_for(row.item_id for row in rows)
        await self._write(partial(book.found_out, channel_id=self._channel_id, rows=rows))

    # -- telling it

    async def _tell(self) -> None:
        while True:
            await self._until_due()
            if not await self._closed():
                continue
            await self._find_out()
            try:
                await self._tell_quantities()
                await self._tell_parcels()
            except ApiFailure as failure:
                await self._failed(failure)

    async def _until_due(self) -> None:
        """Rests until the look finds something, or for what is due later; what comes within a moment is told together."""
        await asyncio.sleep(GATHER_S)
        due = (PUBLICATIONS.c.channel_id == self._channel_id, PUBLICATIONS.c.due_at.is_not(None))
        soonest = select(func.min(PUBLICATIONS.c.due_at)).where(*due).scalar_subquery()
        query = select(CHANNEL_STATES.c.open_until, soonest.label("due_at")).where(CHANNEL_STATES.c.channel_id == self._channel_id)
        async with self._component.database.read() as tx:
            row = (await tx.read(query))[0]
        rest_s = (max(row.due_at, row.open_until) - wall_clock()) / SECOND if row.due_at is not None else None
        with suppress(TimeoutError):
            async with asyncio.timeout(rest_s):
                await self._due.wait()
        self._due.clear()

    async def _closed(self) -> bool:
        """Says whether the channel may be called: not while it is left alone for failing."""
        return bool((await self._state()).open_until <= wall_clock())

    async def _state(self) -> Any:
        async with self._component.database.read() as tx:
            return (await tx.read(select(CHANNEL_STATES).where(CHANNEL_STATES.c.channel_id == self._channel_id)))[0]

    async def _failed(self, failure: ApiFailure) -> None:
        self._failures += 1
        values: dict[str, Any] = {"failures": self._failures}
        if self._failures >= BREAK_AFTER:
            values["open_until"] = wall_clock() + min(OPEN_US << min(self._failures - BREAK_AFTER, 10), LONGEST_OPEN_US)
        log.info("a channel did not answer", channel=self._channel_id, failures=self._failures, error=str(failure))
        await self._write(partial(book.save_state, channel_id=self._channel_id, values=values))

    async def _answered(self) -> None:
        if self._failures:
            self._failures = 0
            await self._write(partial(book.save_state, channel_id=self._channel_id, values={"failures": 0, "open_until": 0}))

    async def _tell_quantities(self) -> None:
        due = (PUBLICATIONS.c.channel_id == self._channel_id, PUBLICATIONS.c.due_at <= wall_clock())
        query = select(PUBLICATIONS).where(*due).order_by(PUBLICATIONS.c.due_at).limit(QUANTITIES_AT_ONCE)
        async with self._component.database.read() as tx:
            rows = [row._mapping for row in await tx.read(query)]
        if not rows:
            return
        rows = await self._known(rows)
        unseen = [row["external_id"] for row in rows if row["acknowledged"] is None]
        if unseen:
            await self._look_at(unseen)
            return
        if not rows:
            return
        sent = await self._change(rows, lambda _: partial(book.send, now=wall_clock()))
        wanted = {row["external_id"]: (row["sent"], row["acknowledged"]) for row in sent}
        try:
            refused = await self._api.set_quantities(wanted, f"argosy://publications/{self._channel_id}")
        except (ApiFailure, ApiRefusal) as failure:
            vain = partial(book.fail, why=str(failure), now=wall_clock())
            await self._change(sent, lambda _: vain)
            if isinstance(failure, ApiFailure):
                # Nobody knows what it took: what it shows decides.
                raise
            return
        await self._answered()
        await self._settle(sent, refused)

    async def _settle(self, sent: Sequence[Any], refused: dict[str, str]) -> None:
        now = wall_clock()

        def outcome(row: Any) -> book.Change:
            if row["external_id"] in refused:
                return partial(book.fail, why=refused[row["external_id"]], now=now)
            return partial(book.acknowledge, quantity=row["sent"], now=now, coalesce_us=self._coalesce_us)

        await self._change(sent, outcome)
        for row in sent:
            if row["external_id"] not in refused and row["wanted_since"] is not None:
                self._lag.record((now - row["wanted_since"]) / SECOND, {"channel": self._channel_id})
                self._lags.append(now - row["wanted_since"])
        await self._report_lag(now)
        stale = [external_id for external_id, why in refused.items() if why == STALE]
        if stale:
            await self._look_at(stale)

    async def _report_lag(self, now: int) -> None:
        """Tells inventory how late the channel hears of changes, so that its buffers can follow."""
        if not self._lags or now < self._reported_at + REPORT_EVERY:
            return
        self._reported_at = now
        p95 = at_most(Counter(self._lags), 95)
        await self._stock.ReportSyncLatency(
            stock_service_pb2.ReportSyncLatencyRequest(request_id=new_id(), channel_id=self._channel_id, p95_ms=p95 * 1000 // SECOND)
        )

    async def _known(self, rows: Sequence[Any]) -> list[Any]:
        """Returns the rows whose external id is known, finding those that are not."""
        unknown = [row["channel_sku"] for row in rows if not row["external_id"]][:SKUS_AT_ONCE]
        if not unknown:
            return list(rows)
        found = await self._api.find(unknown)
        now = wall_clock()

        def note(row: Any) -> book.Change:
            external_id = found.get(row["channel_sku"], "")
            if external_id:
                return lambda one: one.update(external_id=external_id)
            return partial(book.fail, why=f"the channel has no SKU {row['channel_sku']}", now=now)

        await self._change([row for row in rows if row["channel_sku"] in unknown], note)
        return [row for row in rows if row["external_id"]]

    async def _look_at(self, external_ids: Sequence[str]) -> None:
        """Reads what the channel shows of some, before it is told of them."""
        shown = await self._api.read(external_ids)
        now = wall_clock()
        async with self._component.database.read() as tx:
            own = (PUBLICATIONS.c.channel_id == self._channel_id, PUBLICATIONS.c.external_id.in_(sorted(external_ids)))
            rows = [row._mapping for row in await tx.read(select(PUBLICATIONS).where(*own))]

        def note(row: Any) -> book.Change:
            if row["external_id"] in shown:
                return partial(book.observe, quantity=shown[row["external_id"]], now=now, repair=False)
            return partial(book.fail, why="the channel does not stock it at our location", now=now)

        await self._change(rows, note)

    async def _change(self, rows: Sequence[Any], how: Callable[[Any], book.Change]) -> list[dict[str, Any]]:
        changes = {row["channel_sku"]: how(row) for row in rows}
        return await self._write(partial(book.change, channel_id=self._channel_id, changes=changes))  # type: ignore[no-any-return]

    async def _tell_parcels(self) -> None:
        due = (DISPATCHES.c.channel_id == self._channel_id, DISPATCHES.c.due_at <= wall_clock())
        query = select(DISPATCHES).where(*due).order_by(DISPATCHES.c.due_at).limit(PARCELS_AT_ONCE)
        async with self._component.database.read() as tx:
            rows = await tx.read(query)
        for row in rows:
            external_id, error, final, failure = "", "", False, None
            try:
                external_id = await self._tell_parcel(row)
                await self._answered()
            except ApiRefusal as refusal:
                error, final = str(refusal), True
            except ApiFailure as one:
                error, failure = str(one), one
            keep = partial(book.record_dispatch, shipment_id=row.shipment_id, external_id=external_id, error=error, final=final)
            await self._write(keep)
            if failure is not None:
                raise failure

    async def _tell_parcel(self, row: Any) -> str:
        order = await self._orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=row.order_id))
        by_id = {line.line_id: line for line in order.lines}
        body = json.loads(row.body)
        split = any(quantity % by_id[line_id].units for line_id, quantity in body["lines"])
        left = await self._left_before(row) if split else Counter[str]()
        lines = Counter[str]()
        for line_id, quantity in body["lines"]:
            line, before = by_id[line_id], left[line_id]
            # A unit of the channel's that came apart is told with the parcel that completes it.
            lines[line.external_line_id] += (before + quantity) // line.units - before // line.units
        if "" in lines:
            raise ApiRefusal("the order did not come from this channel's API: its lines have no numbers there")
        whole = +lines
        return await self._api.tell_parcel(order.external_order_id, whole, body["carrier"], body["number"]) if whole else ""

    async def _left_before(self, row: Any) -> Counter[str]:
        """Returns what of each line, in stock units, left with earlier parcels of a parcel's order."""
        request = fulfillment_service_pb2.ListShipmentsRequest(order_id=row.order_id, page_size=PAGE)
        shipments: list[fulfillment_pb2.Shipment] = []
        while True:
            answer = await self._fulfillment.ListShipments(request)
            shipments += answer.shipments
            if not answer.next_page_token:
                break
            request.page_token = answer.next_page_token
        moments = {one.shipment_id: (one.shipped_at.ToMicroseconds(), one.shipment_id) for one in shipments}
        left = Counter[str]()
        for one in shipments:
            for line in one.lines if moments[one.shipment_id] < moments[row.shipment_id] else ():
                left[line.line_id] += line.quantity
        return left

    # -- reading it back

    async def _read_back(self) -> None:
        while True:
            await self._unread.wait()
            self._unread.clear()
            state = await self._state()
            if state.reconcile_due_at > wall_clock() or state.open_until > wall_clock():
                continue
            try:
                await self._reconcile()
            except (ApiFailure, ApiRefusal) as failure:
                log.info("a channel could not be read back", channel=self._channel_id, error=str(failure))
                await asyncio.sleep(AGAIN_S)
                continue
            await self._write(partial(book.was_read_back, channel_id=self._channel_id, asked_at=state.reconcile_due_at))

    async def _reconcile(self) -> None:
        """Finds listings that came or went, then reads every quantity back, a page at a time."""
        await self._want_all()
        last = ""
        while True:
            own = (PUBLICATIONS.c.channel_id == self._channel_id, PUBLICATIONS.c.external_id != "", PUBLICATIONS.c.channel_sku > last)
            query = select(PUBLICATIONS).where(*own).order_by(PUBLICATIONS.c.channel_sku).limit(QUANTITIES_AT_ONCE)
            async with self._component.database.read() as tx:
                rows = [row._mapping for row in await tx.read(query)]
            if not rows:
                return
            last = rows[-1]["channel_sku"]
            await self._judge(rows)

    async def _judge(self, rows: Sequence[Any]) -> None:
        """Reads what the channel shows of these; one that is being told at this moment is judged the next time."""
        shown = await self._api.read([row["external_id"] for row in rows])
        now = wall_clock()
        settled = [row for row in rows if row["external_id"] in shown and row["due_at"] is None]
        await self._change(settled, lambda row: partial(_observe_settled, quantity=shown[row["external_id"]], now=now))


def _observe_settled(row: dict[str, Any], quantity: int, now: int) -> None:
    """What began to be told while the channel was read is left to its answer."""
    if row["due_at"] is None:
        book.observe(row, quantity, now)
