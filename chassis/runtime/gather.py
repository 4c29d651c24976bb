"""Queries that are answered for all who ask at once: those that wait share one look at the database.

A lone one is answered at once; where several came together, there is a rest twice as long as the last look took, so that more do.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from chassis.kernel.errors import Refusal
from chassis.runtime.database import Database
from chassis.runtime.tx import Tx

MOST = 128
CROWD = 2
REST = 2.0
LONGEST_REST_S = 0.02
Answers = Callable[[Tx, Sequence[Any]], Awaitable[Sequence[Message | Refusal]]]


@dataclass(frozen=True)
class Gathered:
    """A query's answer for many requests, in their order."""

    answers: Answers


class Gatherer:
    """Takes the requests that wait together; the first one waits for nobody."""

    def __init__(self, database: Database, gathered: Gathered) -> None:
        self._database = database
        self._answers = gathered.answers
        self._waiting: list[tuple[Any, asyncio.Future[Message]]] = []
        self._serving: asyncio.Task[None] | None = None

    async def ask(self, request: Any) -> Message:
        """Answers one; raises its Refusal."""
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, answer))
        if self._serving is None:
            self._serving = asyncio.ensure_future(self._serve())
        return await answer

    async def _serve(self) -> None:
        try:
            clock, rest = asyncio.get_running_loop().time, 0.0
            while self._waiting:
                await asyncio.sleep(rest)
                batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                started = clock()
                await self._answer(batch)
                rest = min(REST * (clock() - started), LONGEST_REST_S) if len(batch) >= CROWD else 0.0
        finally:
            self._serving = None

    async def _answer(self, batch: Sequence[tuple[Any, asyncio.Future[Message]]]) -> None:
        try:
            async with self._database.read() as tx:
                found = await self._answers(tx, [request for request, _ in batch])
        except BaseException as error:
            if len(batch) > 1 and isinstance(error, Exception):
                for one in batch:
                    await self._answer([one])
                return
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
            if not isinstance(error, Exception):
                raise
            return
        for (_, answer), message in zip(batch, found, strict=True):
            if answer.done():
                continue
            if isinstance(message, Refusal):
                answer.set_exception(message)
            else:
                answer.set_result(message)
