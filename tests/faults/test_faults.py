"""A day of trade with something ended in the middle of it: afterwards the proof settles, and nothing is lost or doubled."""

import asyncio
import random
import shutil

import pytest

from argosy.orders.v1 import orders_service_pb2
from chassis.runtime.settings import SERVICES, Settings
from gateway.app.prove import prove
from gateway.calls import Calls
from suite.demo import DemoDay
from suite.trade import make_day
from suite.up import Suite, running_suite

SALES = 60


async def trade_through(suite: Suite, hurt: list[str]) -> DemoDay:
    """Trades a day; a call that met a fault is sent again under the same request id, as a channel would."""
    day = DemoDay(Calls(suite.channels), make_day(7, SALES, 40), lambda label, done, total: None)
    steps = (
        day.set_up,
        lambda: day.take_orders(day.day.sales[: SALES // 2], "morning"),
        lambda: day.work_warehouses("morning"),
        lambda: day.take_orders(day.day.sales[SALES // 2 :], "afternoon"),
        lambda: day.work_warehouses("afternoon"),
        day.take_returns,
    )
    for step in steps:
        await repeated(step, hurt)
    return day


async def repeated(step, hurt: list[str]) -> None:  # type: ignore[no-untyped-def]
    for attempt in range(60):
        try:
            await step()
            return
        except Exception as error:
            if not getattr(error, "transient", False) or attempt == 59:
                raise
            hurt.append(repr(error))
            await asyncio.sleep(0.25)


async def shipped(day: DemoDay) -> int:
    figures = await day.calls.orders.GetFigures(orders_service_pb2.GetFiguresRequest())
    return figures.by_status["SHIPPED"]


async def test_every_service_killed_and_restarted_in_the_middle(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings, processes=True) as suite:
        hurt: list[str] = []
        trading = asyncio.ensure_future(trade_through(suite, hurt))
        dice = random.Random(1)
        await asyncio.sleep(1.5)
        for service in dice.sample(SERVICES, len(SERVICES)):
            await asyncio.sleep(dice.uniform(0.2, 0.8))
            await suite.kill_process(service)
            await suite.start_process(service)
        day = await trading
        proof = await prove(suite.channels, settled=True)
        assert proof.breaks == []
        assert len(day.orders) == SALES
        assert await shipped(day) > SALES // 3


@pytest.mark.parametrize("lose_the_store", [False, True], ids=["killed", "store deleted"])
async def test_the_bus_ended_in_the_middle(sqlite_settings: Settings, lose_the_store: bool) -> None:
    async with running_suite(sqlite_settings) as suite:
        assert suite.nats is not None
        hurt: list[str] = []
        trading = asyncio.ensure_future(trade_through(suite, hurt))
        for _ in range(2):
            await asyncio.sleep(1.2)
            await suite.nats.stop(kill=True)
            if lose_the_store:
                shutil.rmtree(suite.nats.store / "jetstream")
            await asyncio.sleep(0.5)
            await suite.nats.start()
        day = await trading
        proof = await prove(suite.channels, settled=True)
        assert proof.breaks == []
        assert await shipped(day) > SALES // 3
