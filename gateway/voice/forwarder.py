"""Gives warehouses of others their fulfilment orders, takes back what they shall not ship, and asks what became of the rest.

A fulfilment order is told as it stands at that moment: what was called back before it was told is never told.
"""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import structlog
from sqlalchemy import Select, exists, or_, select, update

from argosy.fulfillment.v1 import fulfillment_pb2
from argosy.gateway.v1 import connections_service_pb2
from chassis.kernel.clock import SECOND
from chassis.kernel.errors import Refusal
from chassis.runtime.channels import Channels
from chassis.runtime.component import Component
from chassis.runtime.host import wall_clock
from chassis.runtime.statements import NOW
from chassis.runtime.work import Cause, Work
from gateway.app import warehouses as book
from gateway.app.deliveries import keep
from gateway.channels import x12, x12_warehouse
from gateway.channels.api import ApiFailure, ApiRefusal, call
from gateway.channels.commands import Unreadable
from gateway.channels.shipbob import ShipBob
from gateway.channels.shiphero import ShipHero
from gateway.channels.shipstation import ShipStation
from gateway.channels.warehouses import Handed, SaysStock, SendsBills, WarehouseApi
from gateway.store.tables import CONNECTIONS, WAREHOUSE_MESSAGES, WAREHOUSE_ORDERS
from gateway.voice.each import serve_each
from gateway.voice.egress import Egress
from gateway.voice.standing import Standing

AGAIN_S = 1.0
TIMEOUT_S = 15.0
AT_ONCE = 50
BILLED_DAYS = 35
CAUSE = Cause("service:gateway", "warehouses", "warehouses")
GIVEN = select(CONNECTIONS).where(CONNECTIONS.c.location_id != "")
APIS: dict[int, Callable[[httpx.AsyncClient, str, str, str], WarehouseApi]] = {
    connections_service_pb2.DIALECT_SHIPHERO: ShipHero,
    connections_service_pb2.DIALECT_SHIPBOB: ShipBob,
    connections_service_pb2.DIALECT_SHIPSTATION: ShipStation,
}
ENDED = (
    fulfillment_pb2.FULFILLMENT_STATUS_SHIPPED, fulfillment_pb2.FULFILLMENT_STATUS_CANCELLED, fulfillment_pb2.FULFILLMENT_STATUS_COLLECTED,
)  # fmt: skip
# What an answer of another shape than was agreed ends in.
NOT_UNDERSTOOD = (KeyError, TypeError, ValueError, AttributeError, IndexError)
log = structlog.get_logger()


class Forwarder:
    """Serves every warehouse of others."""

    def __init__(self, component: Component, channels: Channels, egress: Egress) -> None:
        self._component = component
        self._channels = channels
        self._egress = egress

    async def serve(self) -> None:
        """Works until cancelled."""
        async with self._egress.client(TIMEOUT_S) as client:
            await serve_each(self._component, GIVEN, lambda row: self._voice(client, row).serve())

    def _voice(self, client: httpx.AsyncClient, row: Any) -> "WarehouseVoice":
        asker = Standing(self._channels)
        if row.dialect in APIS:
            api = APIS[row.dialect](client, row.api_url, row.api_token, row.external_location_id)
            return CalledWarehouse(self._component, asker, row, api)
        return WrittenWarehouse(self._component, asker, row, client)


def _to_tell(channel_id: str) -> Select[Any]:
    """Finds a warehouse that is to be told something, or asked what became of an order."""
    messages, orders = WAREHOUSE_MESSAGES.c, WAREHOUSE_ORDERS.c
    waits = or_(
        exists().where(messages.channel_id == channel_id, messages.due_at <= NOW),
        exists().where(orders.channel_id == channel_id, orders.look_at <= NOW),
    )
    return select(CONNECTIONS.c.channel_id).where(CONNECTIONS.c.channel_id == channel_id, waits)


def _why(failure: Exception) -> str:
    if isinstance(failure, Refusal):
        return f"{failure.reason}: {failure.message}"
    return f"its answer is not understood: {failure!r}" if isinstance(failure, NOT_UNDERSTOOD) else str(failure)


class WarehouseVoice(ABC):
    """One warehouse: what is due is told in the order in which it came up."""

    _due: asyncio.Event

    def __init__(self, component: Component, asker: Standing, connection: Any) -> None:
        self._component = component
        self._asker = asker
        self._connection = connection
        self._channel_id = connection.channel_id

    async def serve(self) -> None:
        """Works until cancelled."""
        with self._component.looks.looking(book.telling(self._channel_id), _to_tell(self._channel_id)) as self._due:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._rest_s()):
                        await self._due.wait()
                self._due.clear()
                try:
                    await self._look()
                except Exception as error:
                    log.warning("a warehouse is looked after again", channel=self._channel_id, error=repr(error))
                    await asyncio.sleep(AGAIN_S)

    def _rest_s(self) -> float | None:
        """Returns for how long nothing but what is found due need be done."""
        return None

    async def _look(self) -> None:
        due = (WAREHOUSE_MESSAGES.c.channel_id == self._channel_id, WAREHOUSE_MESSAGES.c.due_at <= wall_clock())
        query = select(WAREHOUSE_MESSAGES).where(*due).order_by(WAREHOUSE_MESSAGES.c.message_id).limit(AT_ONCE)
        async with self._component.database.read() as tx:
            messages = await tx.read(query)
        if len(messages) == AT_ONCE:
            self._due.set()
        for message in messages:
            try:
                await self._tell(message)
            except ApiRefusal as refusal:
                await self._write(partial(book.record_failure, message=message, why=str(refusal), final=True))
            except (ApiFailure, Refusal, *NOT_UNDERSTOOD) as failure:
                # One that fails never keeps the others waiting.
                await self._write(partial(book.record_failure, message=message, why=_why(failure), final=False))

    @abstractmethod
    async def _tell(self, message: Any) -> None:
        """Tells what is due and writes down what came of it; raises ApiFailure, ApiRefusal or a Refusal where nothing did."""

    async def _write(self, do: Callable[[Work], Awaitable[Any]]) -> Any:
        return await self._component.writer.run(do, CAUSE)

    async def _known(self, fulfillment_order_id: str) -> Any:
        """Returns the order as it was given; None where it was not."""
        query = select(WAREHOUSE_ORDERS).where(WAREHOUSE_ORDERS.c.fulfillment_order_id == fulfillment_order_id)
        async with self._component.database.read() as tx:
            rows = await tx.read(query)
        return rows[0] if rows else None

    async def _to_tell(self, message: Any) -> Handed | None:
        """Returns what is to be told of a message's order; None where nothing is any more, which is written down."""
        known = await self._known(message.fulfillment_order_id)
        if message.kind == book.CHANGE and await self._is_early(message, given=known is not None):
            return None
        order, own = await self._asker.handed(message.fulfillment_order_id, known.external_id if known is not None else "")
        if message.kind == book.ORDER:
            if not order.left:
                await self._write(partial(book.change_message, message_id=message.message_id, state=book.NEEDLESS))
                return None
            await self._write(partial(book.begin_order, message=message, order=order, order_id=own.order_id))
        elif known.told == book.told_of(order) and not message.asks:
            await self._write(partial(book.change_message, message_id=message.message_id, state=book.NEEDLESS))
            return None
        return order

    async def _is_early(self, message: Any, *, given: bool) -> bool:
        """Says whether there is nothing to take back yet: what is about to be given is waited for, what was never given is dropped."""
        first = (
            WAREHOUSE_MESSAGES.c.fulfillment_order_id == message.fulfillment_order_id, WAREHOUSE_MESSAGES.c.kind == book.ORDER,
            WAREHOUSE_MESSAGES.c.state == book.PENDING,
        )  # fmt: skip
        async with self._component.database.read() as tx:
            waits = await tx.read(select(WAREHOUSE_MESSAGES.c.message_id).where(*first))
        if given and not waits:
            return False
        values: dict[str, Any] = {"due_at": wall_clock() + SECOND} if waits else {"state": book.NEEDLESS}
        await self._write(partial(book.change_message, message_id=message.message_id, **values))
        return True


class CalledWarehouse(WarehouseVoice):
    """A warehouse that has an interface of its own."""

    def __init__(self, component: Component, asker: Standing, connection: Any, api: WarehouseApi) -> None:
        super().__init__(component, asker, connection)
        self._api = api
        self._ask_at = wall_clock()

    def _rest_s(self) -> float:
        return (self._ask_at - wall_clock()) / SECOND

    async def _look(self) -> None:
        await super()._look()
        if self._ask_at <= wall_clock():
            self._ask_at = wall_clock() + book.LOOK_AGAIN_US
            await self._ask_for_goods()
            if self._connection.takes_stock and isinstance(self._api, SaysStock):
                await self._ask_for("what it has", partial(self._follow_stock, self._api))
            if self._connection.takes_bills and isinstance(self._api, SendsBills):
                await self._ask_for("what it billed", partial(self._book_bills, self._api))
        due = (WAREHOUSE_ORDERS.c.channel_id == self._channel_id, WAREHOUSE_ORDERS.c.look_at <= wall_clock())
        query = select(WAREHOUSE_ORDERS).where(*due).order_by(WAREHOUSE_ORDERS.c.look_at).limit(AT_ONCE)
        async with self._component.database.read() as tx:
            rows = await tx.read(query)
        for row in rows:
            await self._ask(row)

    async def _ask_for_goods(self) -> None:
        """Asks what came of the purchase orders that it shall take in: nobody tells it again what its webhook was not heard with."""
        try:
            numbers = await self._asker.expected(self._connection.location_id)
            found = await self._api.arrived(numbers) if numbers else ()
        except (ApiFailure, ApiRefusal, Refusal, *NOT_UNDERSTOOD) as error:
            log.info("a warehouse did not say what came in", channel=self._channel_id, error=_why(error))
            return

        async def write(work: Work) -> None:
            for content in found:
                await keep(work, self._channel_id, "looked-at", content)

        if found:
            await self._write(write)

    async def _ask_for(self, what: str, ask: Callable[[], Awaitable[None]]) -> None:
        """Asks for something; what cannot be used waits for a person, who is away is asked in an hour."""
        try:
            await ask()
        except ApiFailure as failure:
            log.info("a warehouse did not answer", channel=self._channel_id, asked=what, error=str(failure))
        except (ApiRefusal, Refusal, Unreadable, *NOT_UNDERSTOOD) as error:
            if isinstance(error, Refusal) and error.transient:
                log.info("what a warehouse says waits", channel=self._channel_id, asked=what, error=_why(error))
                return
            text = f"{self._channel_id} was asked {what}: {_why(error)}"
            await self._write(partial(book.record_silence, channel_id=self._channel_id, why=text))

    async def _follow_stock(self, api: SaysStock) -> None:
        """What leaves or comes while it answers is booked later than the picture's moment, and so not undone."""
        as_of = wall_clock()
        units = await api.stock()
        await self._asker.follow(self._connection.location_id, self._channel_id, as_of, units)

    async def _book_bills(self, api: SendsBills) -> None:
        """Books the bills of the last weeks that were not booked yet; one that cannot be booked keeps no other waiting."""
        since = datetime.fromtimestamp(wall_clock() // SECOND, UTC) - timedelta(days=BILLED_DAYS)
        numbers = await api.bills(since.date().isoformat())
        async with self._component.database.read() as tx:
            fresh = await book.bills_unbooked(tx, self._channel_id, numbers)
        for number in fresh:
            await self._ask_for(f"for its bill {number}", partial(self._book_bill, api, number))

    async def _book_bill(self, api: SendsBills, number: str) -> None:
        await self._asker.book_bill(self._connection.location_id, self._channel_id, await api.bill(number))
        await self._write(partial(book.record_bill, channel_id=self._channel_id, number=number))

    async def _ask(self, row: Any) -> None:
        """Asks what became of an order that has not ended; one that cannot be asked for is asked for later."""
        found, look_at = [], None
        try:
            order, own = await self._asker.handed(row.fulfillment_order_id, row.external_id)
            if own.status not in ENDED:
                look_at = wall_clock() + book.LOOK_AGAIN_US
                found = list(await self._api.look(order))
        except (ApiFailure, ApiRefusal, Refusal, *NOT_UNDERSTOOD) as error:
            look_at = wall_clock() + book.LOOK_AGAIN_US
            log.info("a warehouse did not say what became of an order", channel=self._channel_id, order=row.reference, error=_why(error))

        async def write(work: Work) -> None:
            for content in found:
                await keep(work, self._channel_id, "looked-at", content)
            own = WAREHOUSE_ORDERS.c.fulfillment_order_id == row.fulfillment_order_id
            await work.tx.write(update(WAREHOUSE_ORDERS).where(own).values(look_at=look_at))

        await self._write(write)

    async def _tell(self, message: Any) -> None:
        if message.kind == book.FETCH:
            await self._fetch(message)
            return
        order = await self._to_tell(message)
        if order is None:
            return
        if message.kind == book.ORDER:
            external_id = await self._api.give(order)
            given = partial(book.record_given, message=message, external_id=external_id, accepted=self._api.accepts_by_taking)
            await self._write(given)
        else:
            agreed = await self._api.change(order)
            await self._write(partial(book.record_change, message=message, told=book.told_of(order), agreed=agreed))

    async def _fetch(self, message: Any) -> None:
        content = await self._api.fetch(message.content.decode())

        async def write(work: Work) -> None:
            await keep(work, self._channel_id, "fetched", content)
            await book.change_message(work, message.message_id, state=book.TAKEN)

        await self._write(write)


class WrittenWarehouse(WarehouseVoice):
    """A warehouse that is told by documents: they are posted where it reads, or wait to be fetched."""

    def __init__(self, component: Component, asker: Standing, connection: Any, client: httpx.AsyncClient) -> None:
        super().__init__(component, asker, connection)
        self._client = client

    async def _tell(self, message: Any) -> None:
        content = message.content if message.control_number else await self._document(message)
        if content is None:
            return
        if not self._connection.api_url:
            await self._write(partial(book.change_message, message_id=message.message_id, state=book.READY))
            return
        token = self._connection.api_token
        headers = {"Content-Type": "application/edi-x12", **({"Authorization": f"Bearer {token}"} if token else {})}
        await call(self._client, "POST", self._connection.api_url, content=content, headers=headers)
        # Nobody acknowledges an acknowledgement.
        state = book.TAKEN if message.kind == book.ACKNOWLEDGEMENT else book.SENT
        await self._write(partial(book.change_message, message_id=message.message_id, state=state))

    async def _document(self, message: Any) -> bytes | None:
        """Makes a message's document and keeps it, so that told again it is the same."""
        own = self._connection
        order, group, kind = None, x12_warehouse.ACKNOWLEDGEMENT_GROUP, x12_warehouse.ACKNOWLEDGEMENT
        if message.kind == book.ACKNOWLEDGEMENT:
            segments = json.loads(message.content)
        else:
            order = await self._to_tell(message)
            if order is None:
                return None
            group, kind = x12_warehouse.ORDER_GROUP, x12_warehouse.ORDER
            purpose = x12_warehouse.NEW if message.kind == book.ORDER else x12_warehouse.REPLACED if order.left else x12_warehouse.CANCELLED
            segments = x12_warehouse.order_segments(order, purpose, own.external_location_id, own.entity)

        async def write(work: Work) -> bytes:
            number = await book.take_control_number(work, self._channel_id)
            content = x12.write(
                own.edi_own_id, own.edi_partner_id, number, group, kind, segments, datetime.fromtimestamp(work.now // SECOND, UTC)
            )
            await book.change_message(work, message.message_id, content=content, control_number=number)
            if order is not None:
                told = update(WAREHOUSE_ORDERS).where(WAREHOUSE_ORDERS.c.fulfillment_order_id == message.fulfillment_order_id)
                await work.tx.write(told.values(told=book.told_of(order)))
            return content

        return await self._write(write)  # type: ignore[no-any-return]
