"""Every connection that is told something is served by one replica, for as long as it stays as it is."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from sqlalchemy import Select

from chassis.runtime.component import Component, cancelled

LOOK_S = 1.0
Voice = Callable[[Any], Coroutine[Any, Any, None]]
log = structlog.get_logger()


async def serve_each(component: Component, query: Select[Any], voice: Voice) -> None:
    """Runs `voice` for every connection that `query` finds; ends it where the connection goes or changes. Works until cancelled."""
    served: dict[tuple[str, int], asyncio.Task[None]] = {}
    try:
        while True:
            try:
                await _look(component, query, voice, served)
            except Exception as error:
                log.warning("connections are looked for again", error=repr(error))
            await asyncio.sleep(LOOK_S)
    finally:
        await cancelled(list(served.values()))


async def _look(component: Component, query: Select[Any], voice: Voice, served: dict[tuple[str, int], asyncio.Task[None]]) -> None:
    async with component.database.read() as tx:
        rows = await tx.read(query)
    wanted = {(row.channel_id, row.updated_at): row for row in rows if await component.leases.hold(f"voice:{row.channel_id}")}
    await cancelled([served.pop(key) for key in list(served) if key not in wanted])
    for key, row in wanted.items():
        if key not in served or served[key].done():
            served[key] = asyncio.create_task(voice(row))
