"""The promise under faults, by seeds: scarce stock, locations that reject or are silent, customers who move, cancel or send back, lots
that are recalled, late supply.

Whatever happens, every order ends shipped or cancelled, or a person holds it, and the proof settles.
"""

import asyncio
import random
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

import pytest

from argosy.catalog.v1 import item_pb2
from argosy.fulfillment.v1 import fulfillment_pb2, fulfillment_service_pb2, promise_service_pb2
from argosy.inventory.v1 import lots_service_pb2, purchasing_service_pb2
from argosy.ops.v1 import holds_service_pb2
from argosy.orders.v1 import changes_service_pb2, order_pb2, orders_service_pb2
from argosy.returns.v1 import returns_service_pb2
from chassis.kernel.errors import Refusal
from chassis.kernel.ids import new_id
from gateway.app.prove import prove
from gateway.calls import Calls
from services.orders.domain import holds
from services.orders.process import fulfil_order
from tests.builders import address, open_shop, order, publish_item, receive
from tests.sim.world import PatientChannels, VirtualLoop, World, seeds, world

PLACES = {"BER": 9, "HAM": 6}
ORDERS = 18
POLICIES = [1, 2, 3, 5, 5]
RELEASED = fulfillment_pb2.FULFILLMENT_STATUS_RELEASED
TRACKED_BY_LOT = 2
LOTS = ("L-1", "L-2", "L-3")
DONE = (order_pb2.ORDER_STATUS_SHIPPED, order_pb2.ORDER_STATUS_CANCELLED, order_pb2.ORDER_STATUS_ON_HOLD)
ALWAYS = [holds_service_pb2.WorkingHours(weekday=day, opens="00:00", closes="24:00") for day in range(1, 8)]


class Day:
    """What people do in a day, by the dice of the world."""

    def __init__(self, of: World) -> None:
        self.calls = Calls(PatientChannels(of.channels))
        self.dice: random.Random = of.dice.random
        self.orders: list[str] = []
        self.purchases: list[purchasing_service_pb2.PurchaseOrder] = []
        self.skus = ["MUG-1", "MUG-2", "SET-1"]
        self.items: list[str] = []

    async def set_up(self) -> None:
        """A shop with little stock, in two places that must answer; supply is on its way to one."""
        first = await open_shop(self.calls, PLACES)
        second = await publish_item(self.calls, "MUG-2", tracking=TRACKED_BY_LOT)
        self.items = [first, second]
        await receive(self.calls, second, "HAM", 5, 2000, lot=LOTS[0])
        parts = [item_pb2.Component(item_id=first, quantity=2), item_pb2.Component(item_id=second, quantity=1)]
        await publish_item(self.calls, "SET-1", components=parts)
        calendar = holds_service_pb2.WorkingCalendar(time_zone="UTC", hours=ALWAYS)
        for place in PLACES:
            node = promise_service_pb2.SetNodeRequest(
                request_id=new_id(), location_id=place, calendar=calendar, cut_off="24:00", acknowledge_within_s=30, capacity_parcels=5
            )
            await self.calls.promises.SetNode(node)
        transit = promise_service_pb2.SetTransitRequest(request_id=new_id(), least_days=1, most_days=2)
        await self.calls.promises.SetTransit(transit)
        supplier = purchasing_service_pb2.SetSupplierRequest(
            request_id=new_id(), supplier_id="KILN", name="Kiln", currency_code="EUR", lead_time_days=3
        )
        await self.calls.purchasing.SetSupplier(supplier)
        for item_id in (first, second):
            line = purchasing_service_pb2.PurchaseLineInput(item_id=item_id, quantity=40, unit_cost_millionths=400_000_000)
            request = purchasing_service_pb2.CreatePurchaseOrderRequest(
                request_id=new_id(), supplier_id="KILN", location_id="BER", lines=[line]
            )
            made = await self.calls.purchasing.CreatePurchaseOrder(request)
            named: dict[str, Any] = {"purchase_order_id": made.purchase_order_id}
            await self.calls.purchasing.ApprovePurchaseOrder(
                purchasing_service_pb2.ApprovePurchaseOrderRequest(request_id=new_id(), **named)
            )
            sent = purchasing_service_pb2.SendPurchaseOrderRequest(request_id=new_id(), **named)
            self.purchases.append(await self.calls.purchasing.SendPurchaseOrder(sent))

    async def shop(self) -> None:
        """Customers order one or two things, some pay later, cancel or move."""
        for number in range(ORDERS):
            sku, quantity = self.dice.choice(self.skus), self.dice.choice((1, 1, 2, 4))
            paid = self.dice.random() < 0.7
            placed = order(f"S-{number}", quantity, paid=paid, sku=sku, shortage_policy=self.dice.choice(POLICIES))
            if paid and self.dice.random() < 0.4:
                # Some of it is paid in another way.
                part = self.dice.randrange(1, placed.tenders[0].amount_minor)
                placed.tenders[0].amount_minor -= part
                placed.tenders.add(method="giftcard", state=order_pb2.TENDER_STATE_CAPTURED, amount_minor=part)
            self.orders.append((await self.calls.orders.CreateOrder(placed)).order_id)
            await asyncio.sleep(self.dice.uniform(0.0, 2.0))
            if number % 5 == 4:
                await self.reprice()
            if self.dice.random() < 0.5:
                await self.interfere(self.dice.choice(self.orders))

    async def reprice(self) -> None:
        """Parcels from one place cost more than from the others by now, which have more: what waits may ship better from there."""
        dear = self.dice.choice(sorted(PLACES))
        for place in PLACES:
            lane = promise_service_pb2.SetLaneRequest(
                request_id=new_id(), location_id=place, currency_code="EUR", surcharge_minor=400 * (place == dear)
            )
            await self.calls.promises.SetLane(lane)
            if place != dear:
                await receive(self.calls, self.items[0], place, 2, 800)
                await receive(self.calls, self.items[1], place, 2, 800, lot=self.dice.choice(LOTS))

    async def recall(self) -> None:
        """Lots are recalled, whoever has reserved of them and wherever they are."""
        for lot in self.dice.sample(LOTS, 2):
            await asyncio.sleep(self.dice.uniform(2.0, 25.0))
            request = lots_service_pb2.RecallLotRequest(request_id=new_id(), item_id=self.items[1], lot=lot, reason="a handle came off")
            await self.or_refused(self.calls.lots.RecallLot(request))

    async def send_back(self, rounds: int) -> None:
        """Customers want to send back what they have, some of it twice at once; what comes is judged one way or another."""
        for _ in range(rounds):
            await asyncio.sleep(self.dice.uniform(2.0, 15.0))
            if not self.orders:
                continue
            found = await self.calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=self.dice.choice(self.orders)))
            line = self.dice.choice(found.lines)
            if line.shipped:
                wanted = self.dice.randrange(1, line.shipped + 1)
                await asyncio.gather(*(self.give_back(found.order_id, line.line_id, wanted) for _ in range(2)))

    async def give_back(self, order_id: str, line_id: str, quantity: int) -> None:
        returns = returns_service_pb2
        wish = returns.AuthorizeReturnRequest(
            request_id=new_id(), order_id=order_id, location_id=self.dice.choice(sorted(PLACES)),
            lines=[returns.ReturnLineInput(line_id=line_id, quantity=quantity, reason="NOT_AS_EXPECTED")],
        )  # fmt: skip
        found = await self.calls.returns.AuthorizeReturn(wish)
        if found.status != returns.RETURN_STATUS_AUTHORIZED:
            return
        await asyncio.sleep(self.dice.uniform(0.0, 5.0))
        came = [returns.ReceivedLine(line_id=line_id, quantity=self.dice.randrange(1, quantity + 1))]
        named: dict[str, Any] = {"return_id": found.return_id}
        await self.or_refused(self.calls.returns.ReceiveReturn(returns.ReceiveReturnRequest(request_id=new_id(), lines=came, **named)))
        for one in range(came[0].quantity):
            judged = returns.InspectedLine(line_id=line_id, quantity=1, disposition=self.dice.choice(range(1, 5)))
            await asyncio.sleep(self.dice.uniform(0.0, 1.0) * one)
            await self.or_refused(
                self.calls.returns.InspectReturn(returns.InspectReturnRequest(request_id=new_id(), lines=[judged], **named))
            )

    async def interfere(self, order_id: str) -> None:
        """Cancels one, all, wants something else, or sends it elsewhere; what comes too late is told."""
        chance = self.dice.random()
        if chance < 0.3:
            house = address(f"new-{self.dice.randrange(1000)}")
            change = changes_service_pb2.ChangeOrderRequest(request_id=new_id(), order_id=order_id, ship_to=house, reason="moved")
            await self.or_refused(self.calls.changes.ChangeOrder(change))
            return
        found = await self.calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=order_id))
        if chance < 0.5:
            # One more or less, or the other article; who pays too little is held, and let go.
            line = changes_service_pb2.LineChange(line_id=found.lines[-1].line_id, quantity=self.dice.randrange(1, 4))
            line.channel_sku = self.dice.choice(("", *self.skus))
            change = changes_service_pb2.ChangeOrderRequest(request_id=new_id(), order_id=order_id, lines=[line], reason="other taste")
            await self.or_refused(self.calls.changes.ChangeOrder(change))
        else:
            part = [orders_service_pb2.LineQuantity(line_id=found.lines[0].line_id, quantity=1)] if self.dice.random() < 0.5 else []
            cancel = orders_service_pb2.CancelOrderRequest(request_id=new_id(), order_id=order_id, lines=part, reason="not wanted")
            await self.or_refused(self.calls.orders.CancelOrder(cancel))

    async def work(self, rounds: int) -> None:
        """Locations ship, accept, reject, find less than they should, or say nothing for so long that it is taken from them."""
        for _ in range(rounds):
            for one in await self.released():
                await self.handle(one, self.dice.random())
            await asyncio.sleep(self.dice.uniform(1.0, 12.0))

    async def handle(self, one: fulfillment_pb2.FulfillmentOrder, chance: float) -> None:
        named: dict[str, Any] = {"request_id": new_id(), "fulfillment_order_id": one.fulfillment_order_id}
        calls = self.calls.fulfillment
        if one.handshake == fulfillment_pb2.HANDSHAKE_CANCELLATION_REQUESTED and chance < 0.6:
            await self.answer(one, named, chance)
        elif chance < 0.35:
            await self.or_refused(calls.ConfirmShipment(fulfillment_service_pb2.ConfirmShipmentRequest(**named)))
        elif chance < 0.5:
            await self.or_refused(calls.AcceptFulfillmentOrder(fulfillment_service_pb2.AcceptFulfillmentOrderRequest(**named)))
        elif chance < 0.6:
            reject = fulfillment_service_pb2.RejectFulfillmentOrderRequest(**named, reason="no hands")
            await self.or_refused(calls.RejectFulfillmentOrder(reject))
            if self.dice.random() < 0.3:
                await self.ship_nevertheless(one)
        elif chance < 0.68:
            short = [fulfillment_service_pb2.PickedLine(line_id=one.lines[0].line_id, shorted=1)]
            await self.or_refused(calls.ConfirmPick(fulfillment_service_pb2.ConfirmPickRequest(**named, lines=short)))

    async def answer(self, one: fulfillment_pb2.FulfillmentOrder, named: dict[str, Any], chance: float) -> None:
        """A location that is asked for goods gives some back, keeps them, or ships them first."""
        calls = self.calls.fulfillment
        if chance < 0.2:
            await self.or_refused(calls.ConfirmShipment(fulfillment_service_pb2.ConfirmShipmentRequest(**named)))
        elif chance < 0.3:
            no = fulfillment_service_pb2.RejectCancellationRequest(**named, reason="it is packed")
            await self.or_refused(calls.RejectCancellation(no))
        else:
            lines = [fulfillment_pb2.ParcelLine(line_id=one.lines[0].line_id, quantity=1)] if chance < 0.4 else []
            yes = fulfillment_service_pb2.AcceptCancellationRequest(**named, lines=lines)
            await self.or_refused(calls.AcceptCancellation(yes))

    async def ship_nevertheless(self, one: fulfillment_pb2.FulfillmentOrder) -> None:
        """A location ships what it said it would not."""
        await asyncio.sleep(self.dice.uniform(0.0, 20.0))
        lines = [fulfillment_pb2.ParcelLine(line_id=line.line_id, quantity=1) for line in one.lines]
        request = fulfillment_service_pb2.ConfirmShipmentRequest(
            request_id=new_id(), fulfillment_order_id=one.fulfillment_order_id, lines=lines
        )
        await self.or_refused(self.calls.fulfillment.ConfirmShipment(request))

    async def supply(self) -> None:
        """What was bought comes."""
        for purchase in self.purchases:
            lines = [
                purchasing_service_pb2.ReceivedLine(line_id=line.line_id, quantity=40, lot="NEW" if line.item_id == self.items[1] else "")
                for line in purchase.lines
            ]
            box = purchasing_service_pb2.ReceivedBox(lines=lines)
            request = purchasing_service_pb2.ReceivePurchaseOrderRequest(
                request_id=new_id(), purchase_order_id=purchase.purchase_order_id, boxes=[box]
            )
            await self.calls.purchasing.ReceivePurchaseOrder(request)

    async def finish(self) -> list[int]:
        """Lets people let go of holds and ship, until every order is done or held; returns their statuses."""
        statuses: list[int] = []
        for _ in range(120):
            for hold in (await self.calls.holds("orders").ListHolds(holds_service_pb2.ListHoldsRequest(service="orders"))).holds:
                release = holds_service_pb2.ReleaseHoldRequest(
                    request_id=new_id(), service="orders", hold_id=hold.hold_id, resolution="looked at"
                )
                await self.or_refused(self.calls.holds("orders").ReleaseHold(release))
            for one in await self.released():
                await self.handle(one, 0.0)
            await asyncio.sleep(20)
            statuses = [await self.status(order_id) for order_id in self.orders]
            if all(status in DONE[:2] for status in statuses):
                break
        return statuses

    async def status(self, order_id: str) -> int:
        return (await self.calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=order_id))).status

    async def released(self) -> Sequence[fulfillment_pb2.FulfillmentOrder]:
        request = fulfillment_service_pb2.ListFulfillmentOrdersRequest(status=RELEASED, page_size=200)
        return (await self.calls.fulfillment.ListFulfillmentOrders(request)).fulfillment_orders

    @staticmethod
    async def or_refused(call: Awaitable[Any]) -> None:
        """Others are faster now and then; a refusal says so, and changes nothing."""
        try:
            await call
        except Refusal as refusal:
            assert not refusal.transient, refusal


async def live(template: Path, folder: Path, seed: int, faults: float, endings: int) -> dict[str, int]:
    """Lives a day and returns what became of the orders; fails where one is lost, or the proof does not settle."""
    async with world(template, folder, seed, faults) as of:
        day = Day(of)
        await day.set_up()
        trouble = asyncio.ensure_future(of.trouble(endings, 4.0))
        await asyncio.gather(day.shop(), day.work(12), day.send_back(8), day.recall(), trouble)
        await day.supply()
        of.calm()
        statuses = await day.finish()
        assert all(status in DONE for status in statuses), f"seed {seed}: {statuses}"
        proof = await prove(of.channels, settled=True)
        for _ in range(20):
            if proof.settled:
                break
            proof = await prove(of.channels, settled=True)
        assert not proof.breaks, f"seed {seed}: {proof.breaks[:5]}"
        assert proof.settled, f"seed {seed}"
        return {name: statuses.count(status) for name, status in order_pb2.OrderStatus.items() if status in statuses}


def run(template: Path, folder: Path, seed: int, faults: float, endings: int) -> dict[str, int]:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner, pytest.MonkeyPatch.context() as patch:
        if seed % 2:
            # Whatever is reserved is sourced again before it is released.
            patch.setattr(fulfil_order, "SOURCE_AGAIN_AFTER", 0)
        if seed % 3:
            # Stock is not kept for long for what waits for a person.
            patch.setattr(holds, "KEPT_S", dict.fromkeys(holds.KEPT_S, 10 * (seed % 3)))
        return runner.run(live(template, folder, seed, faults, endings))


def test_a_hard_day_without_faults(template: Path, tmp_path: Path) -> None:
    ended = run(template, tmp_path, 1, 0.0, 0)
    assert ended["ORDER_STATUS_SHIPPED"] > ORDERS // 3


@pytest.mark.parametrize("seed", seeds(4))
def test_hard_days_with_faults(template: Path, tmp_path: Path, seed: int) -> None:
    run(template, tmp_path, seed, 0.02, 5)


@pytest.mark.soak
@pytest.mark.parametrize("seed", seeds(200))
def test_many_hard_days_with_faults(template: Path, tmp_path: Path, seed: int) -> None:
    run(template, tmp_path, 2000 + seed, 0.04, 8)
