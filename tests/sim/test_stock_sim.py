"""Stock under fire, in virtual time: buyers, carts that expire, cancellations that race, receipts, corrections, feeds, counts,
transfers, and services that end in the middle, by seeds. Afterwards no order has more or less than it was told, no piece of
stock is lost or made up, and the proof settles.
"""  # fmt: skip

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from argosy.inventory.v1 import (
    counts_service_pb2,
    feeds_service_pb2,
    reservations_service_pb2,
    stock_pb2,
    stock_service_pb2,
    transfers_service_pb2,
)
from chassis.kernel.clock import day_of, to_timestamp
from chassis.kernel.errors import Refusal
from chassis.kernel.ids import new_id
from gateway.app.prove import prove
from gateway.calls import Calls
from tests.builders import eventually, publish_item
from tests.sim.world import BEGIN, PatientChannels, VirtualLoop, World, seeds, world

ITEMS = 5
# Berlin is moved by what is said here alone, so that its stock can be told; Munich is also counted and told by its warehouse.
PLACES = {"BER": stock_pb2.LOCATION_KIND_WAREHOUSE, "MUC": stock_pb2.LOCATION_KIND_WAREHOUSE, "SHOP": stock_pb2.LOCATION_KIND_STORE}
TOLD = "BER"
MOST_STEPS = 1000


class Floor:
    """Everybody who moves stock, and what they were told about it."""

    def __init__(self, of: World, calls: Calls, seed: int) -> None:
        self.of = of
        self.calls = calls
        self.dice = random.Random(seed)
        self.items: list[str] = []
        # What each order must have reserved; what was on hand in Berlin by what was answered.
        self.orders: dict[str, int] = {}
        self.on_hand: defaultdict[str, int] = defaultdict(int)
        self.done: defaultdict[str, int] = defaultdict(int)

    async def attempt(self, what: str, call: Awaitable[Any]) -> Any:
        """Waits for a call; a refusal is an answer too."""
        try:
            answer = await call
        except Refusal as refusal:
            assert not refusal.transient, refusal
            self.done[f"{what}: {refusal.reason}"] += 1
            return None
        self.done[what] += 1
        return answer

    async def pause(self) -> None:
        await asyncio.sleep(self.dice.uniform(0.0, 1.0))

    async def open(self) -> None:
        """Sets places and items up, with something to sell."""
        for place, kind in PLACES.items():
            await self.calls.stock.CreateLocation(
                stock_service_pb2.CreateLocationRequest(
                    request_id=new_id(), location_id=place, name=place, kind=kind, entity="DE01", country_code="DE", currency_code="EUR"
                )
            )
        self.items = [await publish_item(self.calls, f"S-{number}") for number in range(ITEMS)]
        await eventually(self.known, 120)
        for item_id in self.items:
            for place in PLACES:
                await self.receive(item_id, place, 30)

    async def known(self) -> bool:
        try:
            for item_id in self.items:
                await self.receive(item_id, TOLD, 1)
        except Refusal:
            return False
        return True

    async def receive(self, item_id: str, place: str, quantity: int) -> None:
        line = stock_service_pb2.ReceiptLine(item_id=item_id, quantity=quantity, value_minor=quantity * self.dice.randint(90, 110))
        request = stock_service_pb2.ReceiveStockRequest(
            request_id=new_id(), location_id=place, kind=stock_service_pb2.RECEIPT_KIND_PURCHASE, lines=[line]
        )
        await self.calls.stock.ReceiveStock(request)
        self.note(item_id, place, quantity)

    def note(self, item_id: str, place: str, quantity: int) -> None:
        if place == TOLD:
            self.on_hand[item_id] += quantity

    def lines(self) -> list[reservations_service_pb2.ReservationLine]:
        return [
            reservations_service_pb2.ReservationLine(
                line_id=str(index), item_id=self.dice.choice(self.items), location_id=self.dice.choice(["BER", "MUC"]),
                quantity=self.dice.randint(1, 6),
            )
            for index in range(self.dice.randint(1, 3))
        ]  # fmt: skip

    # -- who moves it

    async def buyer(self) -> None:
        """Orders, often from a cart that may have expired; sometimes thinks better of it, sometimes too early."""
        for _ in range(4):
            await self.pause()
            order_id, lines, cart_id = new_id(), self.lines(), ""
            if self.dice.random() < 0.5:
                cart_id = new_id()
                hold = reservations_service_pb2.HoldCartRequest(request_id=new_id(), cart_id=cart_id, lines=lines, ttl_s=1)
                await self.attempt("cart", self.calls.reservations.HoldCart(hold))
                await self.pause()
                if self.dice.random() < 0.3:
                    continue
            reserve = reservations_service_pb2.ReserveRequest(request_id=new_id(), order_id=order_id, lines=lines, cart_id=cart_id)
            cancel = reservations_service_pb2.CancelReservationRequest(request_id=new_id(), owner_id=order_id, reason="changed my mind")
            reserving = self.attempt("reserve", self.calls.reservations.Reserve(reserve))
            if self.dice.random() < 0.2:
                await asyncio.gather(reserving, self.attempt("race", self.calls.reservations.CancelReservation(cancel)))
                self.orders[order_id] = 0
                continue
            answer = await reserving
            self.orders[order_id] = sum(one.quantity for one in lines) if answer is not None else 0
            if answer is not None and self.dice.random() < 0.4:
                await self.pause()
                await self.attempt("cancel", self.calls.reservations.CancelReservation(cancel))
                self.orders[order_id] = 0

    async def supplier(self) -> None:
        for _ in range(6):
            await self.pause()
            await self.receive(self.dice.choice(self.items), self.dice.choice(list(PLACES)), self.dice.randint(1, 20))

    async def clerk(self) -> None:
        """Finds some, misses some."""
        for _ in range(6):
            await self.pause()
            item_id, place, quantity = self.dice.choice(self.items), self.dice.choice(["BER", "MUC"]), self.dice.choice([-4, -1, 2, 5])
            request = stock_service_pb2.AdjustStockRequest(
                request_id=new_id(), location_id=place, item_id=item_id, state=stock_pb2.STOCK_STATE_AVAILABLE, quantity=quantity,
                reason="found or missed",
            )  # fmt: skip
            if await self.attempt("adjust", self.calls.stock.AdjustStock(request)) is not None:
                self.note(item_id, place, quantity)

    async def till(self) -> None:
        for _ in range(6):
            await self.pause()
            line = stock_service_pb2.SaleLine(item_id=self.dice.choice(self.items), quantity=self.dice.randint(1, 4))
            request = stock_service_pb2.RecordSaleRequest(
                request_id=new_id(), location_id="SHOP", channel_id="till", reference=new_id(), lines=[line]
            )
            await self.attempt("sale", self.calls.stock.RecordSale(request))

    async def warehouse(self) -> None:
        """Tells what it has, some of it by now untrue; and what came and went."""
        for number in range(4):
            await self.pause()
            snapshot = self.dice.random() < 0.6
            lines = [
                feeds_service_pb2.FeedLine(sku=f"S-{index}", quantity=self.dice.randint(20, 60) if snapshot else self.dice.choice([-2, 3]))
                for index in range(ITEMS)
            ]
            request = feeds_service_pb2.ApplyStockFeedRequest(
                request_id=new_id(), source="wms", location_id="MUC", feed_id=new_id(), lines=lines,
                kind=feeds_service_pb2.FEED_KIND_SNAPSHOT if snapshot else feeds_service_pb2.FEED_KIND_DELTA,
                sequence=0 if snapshot else number + 1, as_of=to_timestamp(self.of.clock()) if snapshot else None, page=1, last=True,
            )  # fmt: skip
            await self.attempt("feed", self.calls.feeds.ApplyStockFeed(request))

    async def counter(self) -> None:
        for _ in range(4):
            await self.pause()
            request = counts_service_pb2.CreateCountRequest(
                request_id=new_id(), item_id=self.dice.choice(self.items), location_id="MUC", reason="looks wrong"
            )
            count = await self.attempt("count", self.calls.counts.CreateCount(request))
            for _ in range(2):
                if count is None:
                    break
                await self.pause()
                lots = [counts_service_pb2.CountedLot(quantity=self.dice.randint(20, 50))]
                submit = counts_service_pb2.SubmitCountRequest(request_id=new_id(), count_id=count.count_id, lots=lots)
                await self.attempt("counted", self.calls.counts.SubmitCount(submit))

    async def driver(self) -> None:
        """Carries stock from Berlin to the shop."""
        for _ in range(3):
            await self.pause()
            item_id, quantity = self.dice.choice(self.items), self.dice.randint(1, 5)
            create = transfers_service_pb2.CreateTransferRequest(
                request_id=new_id(), from_location_id="BER", to_location_id="SHOP", expected_on=day_of(BEGIN), reason="the shop runs low",
                lines=[transfers_service_pb2.TransferLineInput(item_id=item_id, quantity=quantity)],
            )  # fmt: skip
            made = await self.attempt("transfer", self.calls.transfers.CreateTransfer(create))
            if made is None:
                continue
            ship = transfers_service_pb2.ShipTransferRequest(request_id=new_id(), transfer_id=made.transfer_id)
            await self.attempt("transfer leaves", self.calls.transfers.ShipTransfer(ship))
            self.note(item_id, "BER", -quantity)
            await self.pause()
            arrive = transfers_service_pb2.ReceiveTransferRequest(request_id=new_id(), transfer_id=made.transfer_id)
            await self.attempt("transfer arrives", self.calls.transfers.ReceiveTransfer(arrive))

    # -- what must be true then

    async def check(self, seed: int) -> None:
        """Compares what was answered with what is kept."""
        for order_id, wanted in self.orders.items():
            request = reservations_service_pb2.ListReservationsRequest(owner_id=order_id)
            found = sum(one.reserved for one in (await self.calls.reservations.ListReservations(request)).reservations)
            assert found == wanted, f"seed {seed}: order {order_id} was told {wanted} and has {found}"
        for item_id in self.items:
            request = stock_service_pb2.ListBalancesRequest(item_id=item_id, location_id=TOLD)
            there = sum(one.quantity for one in (await self.calls.stock.ListBalances(request)).balances)
            assert there == self.on_hand[item_id], f"seed {seed}: {there} of {item_id} are in Berlin, {self.on_hand[item_id]} must be"

    async def close(self) -> None:
        """Cancels every order, as no process behind it ever will."""
        for order_id in [order_id for order_id, wanted in self.orders.items() if wanted]:
            cancel = reservations_service_pb2.CancelReservationRequest(request_id=new_id(), owner_id=order_id, reason="the day is over")
            await self.calls.reservations.CancelReservation(cancel)


async def live(template: Path, folder: Path, seed: int, faults: float, endings: int, buyers: int) -> dict[str, int]:
    """Lives the floor's day and returns how often what was answered."""
    async with world(template, folder, seed, faults) as of:
        floor = Floor(of, Calls(PatientChannels(of.channels)), seed)
        await floor.open()
        people: list[Callable[[], Awaitable[None]]] = [
            *[floor.buyer] * buyers, floor.supplier, floor.clerk, floor.till, floor.warehouse, floor.counter, floor.driver,
        ]  # fmt: skip
        trouble = asyncio.ensure_future(of.trouble(endings, 2.0, ("inventory", "inventory", "catalog", "finance")))
        await asyncio.gather(*(work() for work in people), trouble)
        of.calm()
        await asyncio.sleep(5)
        await floor.check(seed)
        await floor.close()
        for _ in range(20):
            proof = await prove(of.channels, settled=True)
            if proof.settled:
                break
        assert not proof.breaks, f"seed {seed}: {proof.breaks[:5]}"
        assert proof.settled, f"seed {seed}: {proof.in_flight}"
        return dict(floor.done)


def run(template: Path, folder: Path, seed: int, faults: float, endings: int, buyers: int = 10) -> dict[str, int]:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(live(template, folder, seed, faults, endings, buyers))


def test_everybody_gets_something_done_on_a_quiet_day(template: Path, tmp_path: Path) -> None:
    done = run(template, tmp_path, 1, 0.0, 0, 20)
    for what in ("cart", "reserve", "cancel", "race", "adjust", "sale", "feed", "count", "counted", "transfer", "transfer arrives"):
        assert done.get(what), f"nobody did {what}: {done}"
    assert done.get("reserve: INSUFFICIENT_STOCK") or done.get("cart: INSUFFICIENT_STOCK"), "stock was never scarce"


@pytest.mark.parametrize("seed", seeds(5))
def test_no_piece_is_lost_or_made_up(template: Path, tmp_path: Path, seed: int) -> None:
    run(template, tmp_path, seed, 0.03, 6)


@pytest.mark.soak
@pytest.mark.parametrize("seed", seeds(200))
def test_no_piece_is_lost_or_made_up_on_many_days(template: Path, tmp_path: Path, seed: int) -> None:
    run(template, tmp_path, 2000 + seed, 0.05, 12, 20)
