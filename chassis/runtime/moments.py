"""The moment by the database's clock, which all replicas share."""

import time
from collections.abc import Callable

from sqlalchemy import text

from chassis.runtime.tx import Tx

GOOD_FOR_S = 1.0
CLOCK = text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")


class Moments:
    """Tells the moment; how far the database's clock is from ours is asked now and then."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._ahead = 0
        self._asked_at = -GOOD_FOR_S

    async def now(self, tx: Tx) -> int:
        """Returns the moment in microseconds."""
        if tx.dialect == "postgresql" and time.monotonic() - self._asked_at > GOOD_FOR_S:
            asked = self._clock()
            told = int((await tx.read(CLOCK))[0][0])
            # The database looked somewhere on the way: what we took to be so stays where it can be so.
            self._ahead = min(max(self._ahead, told - self._clock()), told - asked)
            self._asked_at = time.monotonic()
        return self._clock() + self._ahead
