"""Days of trade in virtual time under faults, by seeds: whatever happens, afterwards the proof settles and nothing is doubled."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from argosy.orders.v1 import orders_service_pb2
from chassis.kernel.ids import new_id
from gateway.app.prove import prove
from gateway.calls import Calls
from suite.demo import DemoDay
from suite.trade import make_day
from tests.sim.world import PatientChannels, VirtualLoop, World, seeds, world

SALES = 24


async def trade(of: World, seed: int) -> DemoDay:
    day = DemoDay(Calls(PatientChannels(of.channels)), make_day(seed, SALES, 20), lambda label, done, total: None)
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
        return sum(len(stream) for stream in of.bus.streams.values()), dict(figures.by_status)


def run(template: Path, folder: Path, seed: int, faults: float, endings: int) -> tuple[int, dict[str, int]]:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(live(template, folder, seed, faults, endings))


def test_a_quiet_day(template: Path, tmp_path: Path) -> None:
    said, by_status = run(template, tmp_path, 1, 0.0, 0)
    assert said > SALES * 4
    assert by_status["SHIPPED"] > SALES // 2


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
