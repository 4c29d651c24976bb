"""The moment by the database's clock."""

import asyncio
from typing import Any, cast

from chassis.kernel.clock import SECOND
from chassis.runtime.host import wall_clock
from chassis.runtime.moments import Moments
from chassis.runtime.tx import Tx

SLOW = 0.05


class Slow:
    """A PostgreSQL whose clock is ahead by so much, and which takes its time to say so."""

    dialect = "postgresql"

    def __init__(self, ahead: int) -> None:
        self.ahead = ahead

    async def read(self, _query: Any) -> list[tuple[int]]:
        await asyncio.sleep(SLOW)
        told = wall_clock() + self.ahead
        await asyncio.sleep(SLOW)
        return [(told,)]


async def test_a_slow_answer_does_not_set_the_moment_back() -> None:
    before = wall_clock()
    assert await Moments(wall_clock).now(cast("Tx", Slow(0))) >= before + round(2 * SLOW * SECOND)


async def test_the_moment_is_the_databases() -> None:
    for ahead in (-3600 * SECOND, 3600 * SECOND):
        moment = await Moments(wall_clock).now(cast("Tx", Slow(ahead)))
        assert abs(moment - wall_clock() - ahead) < SECOND, ahead
