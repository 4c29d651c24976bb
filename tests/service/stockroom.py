"""Inventory alone, with what a test does to it: items, places, every rpc through the whole pipeline, events, and the proof."""

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from google.protobuf.message import Message
from sqlalchemy import func, select

from argosy.fulfillment.v1 import fulfillment_events_pb2
from argosy.inventory.v1 import stock_pb2, stock_service_pb2
from argosy.ops.v1 import ops_pb2
from chassis.kernel.errors import Refusal
from chassis.kernel.ids import new_id
from chassis.runtime.component import Component
from chassis.runtime.contracts import event_type
from chassis.runtime.host import wall_clock
from chassis.runtime.inbox import Received
from chassis.runtime.work import Cause
from gateway.calls import Calls
from services.inventory.app import find_facts
from services.inventory.store.tables import ITEMS, MOVEMENTS
from tests.builders import OTHER

M = TypeVar("M", bound=Message)
KINDS = {"WAREHOUSE": 1, "STORE": 2, "THIRD_PARTY": 3, "MARKETPLACE": 4, "SUPPLIER": 5, "RETURNS": 6}


def day(after: int) -> str:
    """Returns the day after so many days."""
    return (datetime.now(UTC) + timedelta(days=after)).date().isoformat()


async def refused(reason: str, call: Any) -> Refusal:
    """Waits for a call that must be refused for this reason; returns the refusal."""
    with pytest.raises(Refusal) as caught:
        await call
    assert caught.value.reason == reason, caught.value
    return caught.value


class Stockroom:
    """One inventory and short ways to use it."""

    def __init__(self, component: Component, calls: Calls) -> None:
        self.component = component
        self.calls = calls
        self.other = OTHER

    async def item(self, item_id: str, **values: Any) -> str:
        """Makes an item known, as catalog's event would; `kit` is a text of JSON."""
        row = {"item_id": item_id, "sku": item_id.upper(), "standard_cost_minor": 0, "retired": 0, "cost_currency_code": "EUR", **values}
        async with self.component.database.write() as tx:
            await tx.merge(ITEMS, ("item_id",), [row])
        return item_id

    async def place(self, location_id: str = "BER", kind: str = "WAREHOUSE", **values: Any) -> str:
        """Sets a location up."""
        given = {"entity": "DE01", "country_code": "DE", "currency_code": "EUR", "name": location_id, **values}
        await self.calls.stock.CreateLocation(
            stock_service_pb2.CreateLocationRequest(request_id=new_id(), location_id=location_id, kind=KINDS[kind], **given)  # type: ignore[arg-type]
        )
        return location_id

    async def receive(self, item_id: str, quantity: int, value_minor: int = 0, location_id: str = "BER", **line: Any) -> str:
        """Takes stock in and returns the receipt's id."""
        answer = await self.calls.stock.ReceiveStock(
            stock_service_pb2.ReceiveStockRequest(
                request_id=new_id(), location_id=location_id, kind=stock_service_pb2.RECEIPT_KIND_PURCHASE,
                lines=[stock_service_pb2.ReceiptLine(item_id=item_id, quantity=quantity, value_minor=value_minor, **line)],
            )
        )  # fmt: skip
        return str(answer.document_id)

    async def balances(self, item_id: str, location_id: str = "") -> dict[tuple[str, str], int]:
        """Returns what is there by (lot, state)."""
        request = stock_service_pb2.ListBalancesRequest(item_id=item_id, location_id=location_id)
        found = (await self.calls.stock.ListBalances(request)).balances
        sums: dict[tuple[str, str], int] = {}
        for one in found:
            key = (one.lot, stock_pb2.StockState.Name(one.state).removeprefix("STOCK_STATE_"))
            sums[key] = sums.get(key, 0) + one.quantity
        return sums

    async def hear(self, *messages: Message) -> list[Message]:
        """Takes events in, as the inbox would, and returns what was said about them."""
        said: list[Message] = []
        reaction = self.component.service.reactions[type(messages[0])]
        cause = Cause("somebody", "test", new_id())

        async def react(work: Any) -> None:
            await reaction(work, [Received(new_id(), message, wall_clock(), cause) for message in messages])
            said.extend(one.message for one in work.emissions)

        await self.component.writer.run(react, cause)
        return said

    async def release(self, order_id: str, item_id: str, quantity: int, location_id: str = "BER", line_id: str = "1") -> None:
        """Releases what an order has reserved to its location."""
        message = fulfillment_events_pb2.FulfillmentOrderReleased(
            fulfillment_order_id=f"fo-{order_id}", order_id=order_id, location_id=location_id
        )
        message.lines.add(line_id=line_id, item_id=item_id, quantity=quantity)
        await self.hear(message)

    async def ship(self, order_id: str, item_id: str, quantity: int, location_id: str = "BER", line_id: str = "1") -> list[Message]:
        """Ships a line of an order and returns what inventory says about it."""
        message = fulfillment_events_pb2.ShipmentShipped(
            shipment_id=new_id(), fulfillment_order_id=f"fo-{order_id}", order_id=order_id, channel_id="web", location_id=location_id
        )
        message.lines.add(line_id=line_id, item_id=item_id, quantity=quantity)
        return await self.hear(message)

    async def said(self, kind: type[M]) -> list[M]:
        """Returns the events of a kind that stand in the outbox."""
        outbox = self.component.service.tables.outbox
        async with self.component.database.read() as tx:
            rows = await tx.read(select(outbox).where(outbox.c.type == event_type(kind).name).order_by(outbox.c.position))
        return [kind.FromString(row.payload) for row in rows]

    async def moment(self) -> int:
        """Returns the moment of the last movement, by the database's own clock."""
        async with self.component.database.read() as tx:
            return int((await tx.read(select(func.max(MOVEMENTS.c.moved_at))))[0][0])

    async def breaks(self) -> list[ops_pb2.Break]:
        """Returns what the proof finds wrong."""
        found: list[ops_pb2.Break] = []
        async with self.component.database.read() as tx:
            for check in (find_facts.balances, find_facts.reservations, find_facts.value):
                found += (await check(tx, wall_clock()))[0]
        return found
