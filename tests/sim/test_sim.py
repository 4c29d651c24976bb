"""Days of trade in virtual time under faults, by seeds: whatever happens, afterwards the proof settles and nothing is doubled."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from argosy.fulfillment.v1 import fulfillment_service_pb2
from argosy.orders.v1 import order_pb2, orders_service_pb2
from chassis.kernel.ids import new_id
from gateway.app.prove import prove
from gateway.calls import Calls
from suite.demo import DemoDay
from suite.trade import make_day
from tests.sim.world import PatientChannels, VirtualLoop, World, seeds, world

SALES = 24


class HastyDay(DemoDay):
    """A day whose carriers bring parcels the moment they have them: what shipped and what arrived is told in one breath."""

    async def _ship(self, ids: Sequence[str]) -> None:
        await super()._ship(ids)
        await self.deliver("parcels")

    async def arrived(self) -> int:
        """Counts the orders that are delivered; fails where the parcels of one say otherwise than its status."""
        count = 0
        for order_id in self.orders.values():
            order = await self.calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=order_id))
            asked = fulfillment_service_pb2.ListShipmentsRequest(order_id=order_id)
            brought = {one.tracking_status == "DELIVERED" for one in (await self.calls.fulfillment.ListShipments(asked)).shipments}
            if order.status in (order_pb2.ORDER_STATUS_SHIPPED, order_pb2.ORDER_STATUS_DELIVERED):
                assert (order.status == order_pb2.ORDER_STATUS_DELIVERED) is (brought == {True}), order_id
                count += order.status == order_pb2.ORDER_STATUS_DELIVERED
        return count


async def trade(of: World, seed: int) -> HastyDay:
    day = HastyDay(Calls(PatientChannels(of.channels)), make_day(seed, SALES, 20), lambda label, done, total: None)
    day.dice = of.dice.random
    half = SALES // 2
    steps: list[Callable[[], Awaitable[None]]] = [
        day.set_up,
        lambda: day.take_orders(day.day.sales[:half], "morning"),
        lambda: day.work_warehouses("morning"),
        lambda: day.take_orders(day.day.sales[half:], "afternoon"),
        lambda: day.work_warehouses("afternoon"),
        day.take_returns,
    ]
    for step in steps:
        await step()
    return day


async def live(template: Path, folder: Path, seed: int, faults: float, endings: int) -> tuple[int, dict[str, int]]:
    """Lives a day and returns how many events were said and what became of the orders; fails where the proof does."""
    async with world(template, folder, seed, faults) as of:
        trading = asyncio.ensure_future(trade(of, seed))
        trouble = asyncio.ensure_future(of.trouble(endings, 2.0))
        await asyncio.gather(trading, trouble)
        of.calm()
        # What failed often is tried again only minutes later.
        for _ in range(20):
            proof = await prove(of.channels, settled=True)
            if proof.settled:
                break
        assert not proof.breaks, f"seed {seed}: {proof.breaks[:5]}"
        assert proof.settled
        day = trading.result()
        figures = await day.calls.orders.GetFigures(orders_service_pb2.GetFiguresRequest())
        assert sum(figures.by_status.values()) == len({sale.number for sale in day.day.sales}), f"seed {seed}: orders are lost or doubled"
        assert await day.arrived() == figures.by_status["DELIVERED"], f"seed {seed}"
        return sum(len(stream) for stream in of.bus.streams.values()), dict(figures.by_status)


def run(template: Path, folder: Path, seed: int, faults: float, endings: int) -> tuple[int, dict[str, int]]:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(live(template, folder, seed, faults, endings))


def test_a_quiet_day(template: Path, tmp_path: Path) -> None:
    said, by_status = run(template, tmp_path, 1, 0.0, 0)
    assert said > SALES * 4
    assert by_status["SHIPPED"] + by_status["DELIVERED"] > SALES // 2
    assert by_status["DELIVERED"] > SALES // 3


def test_the_same_seed_lives_the_same_day(template: Path, tmp_path: Path) -> None:
    alone = run(template, tmp_path / "a", 5, 0.02, 4)
    # Suites of other tests live on in threads of their own: what they do must not be a matter of this day's dice.
    ending = threading.Event()
    other = threading.Thread(target=lambda: [new_id() for _ in iter(lambda: ending.wait(0.001), True)])
    other.start()
    try:
        assert run(template, tmp_path / "b", 5, 0.02, 4) == alone
    finally:
        ending.set()
        other.join()


@pytest.mark.parametrize("seed", seeds(7))
def test_a_day_with_faults(template: Path, tmp_path: Path, seed: int) -> None:
    run(template, tmp_path, seed, 0.02, 6)


@pytest.mark.soak
@pytest.mark.parametrize("seed", seeds(300))
def test_many_days_with_faults(template: Path, tmp_path: Path, seed: int) -> None:
    run(template, tmp_path, 1000 + seed, 0.05, 10)
