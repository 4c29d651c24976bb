"""Ending a component's loops."""

import asyncio

from chassis.runtime.component import cancelled


async def test_a_loop_that_loses_a_cancellation_is_ended_all_the_same() -> None:
    lost = []

    async def loop() -> None:
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                # As asyncio.wait_for does where what it waits for ends in the same moment.
                if lost:
                    raise
                lost.append(True)

    task = asyncio.ensure_future(loop())
    await asyncio.sleep(0)
    await asyncio.wait_for(cancelled([task]), 10)
    assert (task.done(), lost) == (True, [True])
