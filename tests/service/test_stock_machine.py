"""A machine that does everything to stock in any order, against a model of it; the proof holds after each step, on both databases."""

import asyncio
import json
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as pace
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from argosy.fulfillment.v1 import fulfillment_events_pb2
from argosy.inventory.v1 import (
    feeds_service_pb2,
    reservations_service_pb2,
    stock_pb2,
    stock_service_pb2,
    transfers_service_pb2,
)
from argosy.returns.v1 import returns_events_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import Refusal
from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from gateway.calls import Calls
from tests.service.conftest import Bench
from tests.service.stockroom import Stockroom

PLACES = ("BER", "HAM")
ITEMS = ("fifo", "avg", "std")
KIT = {"fifo": 2, "avg": 1}
QUANTITIES = st.integers(1, 9)
AVAILABLE, DAMAGED = stock_pb2.STOCK_STATE_AVAILABLE, stock_pb2.STOCK_STATE_DAMAGED
Spot = tuple[str, str]


class House:
    """An inventory whose loop turns only while the machine asks something of it."""

    def __init__(self, runner: asyncio.Runner, found: Settings) -> None:
        self._runner = runner
        self.bench = Bench(found)
        self.examples = 0
        self.room: Stockroom = self.run(self._open())

    async def _open(self) -> Stockroom:
        component = await self.bench.component("inventory")
        component._tasks = [asyncio.ensure_future(component.writer.serve())]
        room = Stockroom(component, Calls(self.bench.channels))
        for place in PLACES:
            await room.place(place)
        return room

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Runs something to its end."""
        return self._runner.run(coroutine)


class StockMachine(RuleBasedStateMachine):
    """What may happen to stock. `free` is what can be promised, `held` what each order has, by item and place."""

    house: House

    def __init__(self) -> None:
        super().__init__()
        self.room = self.house.room
        self.run = self.house.run
        self.free: Counter[Spot] = Counter()
        self.rest: Counter[Spot] = Counter()
        self.orders: dict[str, Counter[Spot]] = {}
        self.released: dict[str, tuple[str, Counter[str]]] = {}
        self.shipped: list[tuple[str, str, str, int]] = []
        self.moving: list[transfers_service_pb2.Transfer] = []

    @initialize()
    def set_up(self) -> None:
        """New items for each example, on shelves that others have used before."""
        self.house.examples += 1
        self.name = {item: f"{item}-{self.house.examples}" for item in (*ITEMS, "kit")}
        for number, item in enumerate(ITEMS):
            self.run(self.room.item(self.name[item], valuation=number + 1, standard_cost_minor=70))
        kit = json.dumps([[self.name[item], quantity] for item, quantity in KIT.items()])
        self.run(self.room.item(self.name["kit"], kit=kit))

    def done(self, call: Coroutine[Any, Any, Any], *reasons: str) -> Any:
        """Returns the answer, or None where it was refused for one of the reasons."""
        try:
            return self.run(call)
        except Refusal as refusal:
            assert refusal.reason in reasons, refusal
            return None

    @rule(item=st.sampled_from(ITEMS), place=st.sampled_from(PLACES), quantity=QUANTITIES, value=st.integers(0, 999))
    def receive(self, item: str, place: str, quantity: int, value: int) -> None:
        self.run(self.room.receive(self.name[item], quantity, value, place))
        self.free[item, place] += quantity

    @rule(item=st.sampled_from((*ITEMS, "kit")), place=st.sampled_from(PLACES), quantity=QUANTITIES, other=st.sampled_from(ITEMS))
    def reserve(self, item: str, place: str, quantity: int, other: str) -> None:
        """Two lines that may share an item: together they get all or nothing."""
        wanted = Counter({part: each * quantity for part, each in (KIT if item == "kit" else {item: 1}).items()})
        wanted[other] += 1
        order_id = new_id()
        lines = [
            reservations_service_pb2.ReservationLine(line_id=one, item_id=self.name[one], location_id=place, quantity=count)
            for one, count in ((item, quantity), (other, 1))
        ]
        if item == other:
            lines = [
                reservations_service_pb2.ReservationLine(line_id=item, item_id=self.name[item], location_id=place, quantity=quantity + 1)
            ]
        request = reservations_service_pb2.ReserveRequest(request_id=new_id(), order_id=order_id, lines=lines)
        fits = all(self.free[part, place] >= count for part, count in wanted.items())
        answer = self.done(self.room.calls.reservations.Reserve(request), "INSUFFICIENT_STOCK")
        assert (answer is not None) == fits
        if fits:
            self.orders[order_id] = Counter({(part, place): count for part, count in wanted.items()})
            self.released[order_id] = (place, Counter({line.line_id: line.quantity for line in lines}))
            for spot, count in self.orders[order_id].items():
                self.free[spot] -= count

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        order_id = data.draw(st.sampled_from(sorted(self.orders)))
        self.run(
            self.room.calls.reservations.CancelReservation(
                reservations_service_pb2.CancelReservationRequest(request_id=new_id(), owner_id=order_id)
            )
        )
        self.free.update(self.orders.pop(order_id))

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), quantity=QUANTITIES)
    def cancel_some(self, data: st.DataObject, quantity: int) -> None:
        """A part of a line, a kit's as whole kits."""
        order_id = data.draw(st.sampled_from(sorted(self.orders)))
        place, lines = self.released[order_id]
        line_id = data.draw(st.sampled_from(sorted(lines)))
        part = reservations_service_pb2.CancelLine(line_id=line_id, quantity=quantity)
        request = reservations_service_pb2.CancelReservationRequest(request_id=new_id(), owner_id=order_id, lines=[part])
        self.run(self.room.calls.reservations.CancelReservation(request))
        gone = min(quantity, lines[line_id])
        for item, each in (KIT if line_id == "kit" else {line_id: 1}).items():
            self.orders[order_id][item, place] -= each * gone
            self.free[item, place] += each * gone
        lines[line_id] -= gone
        self.released[order_id] = (place, +lines)
        if not +lines:
            del self.orders[order_id]

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), short=st.booleans())
    def release_and_ship(self, data: st.DataObject, short: bool) -> None:
        """Released, then shipped or not found."""
        order_id = data.draw(st.sampled_from(sorted(self.orders)))
        place, lines = self.released[order_id]
        about = {"fulfillment_order_id": f"fo-{order_id}", "order_id": order_id, "location_id": place}
        released = fulfillment_events_pb2.FulfillmentOrderReleased(**about)
        following = (
            fulfillment_events_pb2.PickShorted(**about)
            if short
            else fulfillment_events_pb2.ShipmentShipped(**about, shipment_id=new_id(), channel_id="web")
        )
        for message in (released, following):
            for line_id, count in sorted(lines.items()):
                message.lines.add(line_id=line_id, item_id=self.name[line_id], quantity=count)
            self.run(self.room.hear(message))
        for spot, count in self.orders.pop(order_id).items():
            self.rest[spot] += count if short else 0
        if not short:
            self.shipped += [(order_id, place, line_id, count) for line_id, count in lines.items()]

    @precondition(lambda self: self.shipped)
    @rule(data=st.data(), disposition=st.sampled_from(("RESTOCK", "QUARANTINE", "SCRAP")))
    def take_back(self, data: st.DataObject, disposition: str) -> None:
        order_id, place, line_id, count = data.draw(st.sampled_from(self.shipped))
        self.shipped.remove((order_id, place, line_id, count))
        about = {"return_id": new_id(), "order_id": order_id, "channel_id": "web", "location_id": place}
        received = returns_events_pb2.ReturnReceived(receipt_id=new_id(), **about)
        received.lines.add(line_id=line_id, item_id=self.name[line_id], stock_quantity=count)
        inspected = returns_events_pb2.ReturnInspected(inspection_id=new_id(), **about)
        inspected.lines.add(line_id=line_id, item_id=self.name[line_id], stock_quantity=count, disposition=disposition)
        self.run(self.room.hear(received))
        self.run(self.room.hear(inspected))
        for part, each in (KIT if line_id == "kit" else {line_id: 1}).items():
            target = {"RESTOCK": self.free, "QUARANTINE": self.rest, "SCRAP": Counter[Spot]()}[disposition]
            target[part, place] += each * count

    @rule(item=st.sampled_from(ITEMS), place=st.sampled_from(PLACES), quantity=st.integers(-9, 9).filter(bool))
    def adjust(self, item: str, place: str, quantity: int) -> None:
        request = stock_service_pb2.AdjustStockRequest(
            request_id=new_id(), location_id=place, item_id=self.name[item], state=AVAILABLE, quantity=quantity, reason="found or lost"
        )
        fits = self.free[item, place] + quantity >= 0
        answer = self.done(self.room.calls.stock.AdjustStock(request), "INSUFFICIENT_STOCK")
        assert (answer is not None) == fits
        self.free[item, place] += quantity if fits else 0

    @rule(item=st.sampled_from(ITEMS), place=st.sampled_from(PLACES), quantity=QUANTITIES)
    def break_some(self, item: str, place: str, quantity: int) -> None:
        request = stock_service_pb2.ChangeStateRequest(
            request_id=new_id(), location_id=place, item_id=self.name[item], from_state=AVAILABLE, to_state=DAMAGED, quantity=quantity,
            reason="broken",
        )  # fmt: skip
        fits = self.free[item, place] >= quantity
        assert (self.done(self.room.calls.stock.ChangeState(request), "INSUFFICIENT_STOCK") is not None) == fits
        if fits:
            self.free[item, place] -= quantity
            self.rest[item, place] += quantity

    @rule(item=st.sampled_from(ITEMS), quantity=QUANTITIES)
    def send(self, item: str, quantity: int) -> None:
        line = transfers_service_pb2.TransferLineInput(item_id=self.name[item], quantity=quantity)
        request = transfers_service_pb2.CreateTransferRequest(
            request_id=new_id(), from_location_id="BER", to_location_id="HAM", lines=[line], expected_on="2030-01-01", reason="balance"
        )
        fits = self.free[item, "BER"] >= quantity
        made = self.done(self.room.calls.transfers.CreateTransfer(request), "INSUFFICIENT_STOCK")
        assert (made is not None) == fits
        if fits:
            self.free[item, "BER"] -= quantity
            ship = transfers_service_pb2.ShipTransferRequest(request_id=new_id(), transfer_id=made.transfer_id)
            self.moving.append(self.run(self.room.calls.transfers.ShipTransfer(ship)))

    @precondition(lambda self: self.moving)
    @rule(lost=st.integers(0, 3))
    def arrive(self, lost: int) -> None:
        moving = self.moving.pop(0)
        item = next(one for one in ITEMS if self.name[one] == moving.lines[0].item_id)
        arrived = max(0, moving.lines[0].shipped - lost)
        if arrived:
            lines = [transfers_service_pb2.TransferArrival(line_id="1", quantity=arrived)]
            receive = transfers_service_pb2.ReceiveTransferRequest(request_id=new_id(), transfer_id=moving.transfer_id, lines=lines)
            self.run(self.room.calls.transfers.ReceiveTransfer(receive))
        if arrived < moving.lines[0].shipped:
            close = transfers_service_pb2.CloseTransferRequest(request_id=new_id(), transfer_id=moving.transfer_id, reason="lost")
            self.run(self.room.calls.transfers.CloseTransfer(close))
        self.free[item, "HAM"] += arrived

    @rule(item=st.sampled_from(ITEMS), place=st.sampled_from(PLACES), said=st.integers(0, 30))
    def see(self, item: str, place: str, said: int) -> None:
        """A picture: what is promised is not taken from its orders, and what is more may be what is on its way there."""
        spot, name = (item, place), self.name[item]
        booked = self.free[spot] + sum(order[spot] for order in self.orders.values())
        coming = sum(one.lines[0].shipped for one in self.moving if one.lines[0].item_id == name) if place == "HAM" else 0
        request = feeds_service_pb2.ApplyStockFeedRequest(
            request_id=new_id(), source=new_id(), location_id=place, feed_id=new_id(), kind=feeds_service_pb2.FEED_KIND_SNAPSHOT, page=1,
            last=True, lines=[feeds_service_pb2.FeedLine(sku=name, quantity=said)],
        )  # fmt: skip
        if not self.run(self.room.balances(name)):
            return
        request.as_of.CopyFrom(to_timestamp(self.run(self.room.moment())))
        self.run(self.room.calls.feeds.ApplyStockFeed(request))
        self.free[spot] += max(0, said - booked - coming) if said > booked else -min(booked - said, self.free[spot])

    @invariant()
    def the_proof_holds_and_the_model_agrees(self) -> None:
        if not hasattr(self, "name"):
            return
        breaks = self.run(self.room.breaks())
        assert not breaks, breaks[:3]
        for item in ITEMS:
            for place in PLACES:
                found = self.run(self.room.balances(self.name[item], place))
                held = sum(order[item, place] for order in self.orders.values())
                states = {state: quantity for (_, state), quantity in found.items()}
                assert states.get("AVAILABLE", 0) == self.free[item, place]
                assert states.get("RESERVED", 0) == held
                assert states.get("QUARANTINE", 0) + states.get("DAMAGED", 0) == self.rest[item, place]


def live(found: Settings, examples: int, steps: int) -> None:
    with asyncio.Runner() as runner:
        house = House(runner, found)
        machine = type("Machine", (StockMachine,), {"house": house})
        try:
            run_state_machine_as_test(
                machine,
                settings=pace(
                    max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck),
                    phases=(Phase.explicit, Phase.generate, Phase.shrink), derandomize=True, print_blob=True,
                ),
            )  # fmt: skip
        finally:
            runner.run(house.bench.close())


def test_anything_may_happen_to_stock(settings: Settings) -> None:
    live(settings, 8, 50)


@pytest.mark.soak
def test_anything_may_happen_to_stock_thousands_of_times(settings: Settings) -> None:
    live(settings, 60, 120)
