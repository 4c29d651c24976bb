"""Runs process managers: loads their states, lets them decide, keeps what follows, in the caller's transaction.

Effects are rows; `effects.py` performs them after commit. A state is JSON with a schema number.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import Struct

from chassis.kernel.ids import request_id
from chassis.kernel.process import Do, Next, Timer
from chassis.runtime.database import Database
from chassis.runtime.tables import ChassisTables
from chassis.runtime.tx import Tx
from chassis.runtime.work import Cause, NotYet, Work

Decide = Callable[[Any, Any, int], Next[Any]]
Apply = Callable[[Work, Sequence[tuple[str, Struct]]], Awaitable[None]]
# Performs effects of one kind; answers each with the message for its process, or None to try again later.
Perform = Callable[[Sequence[Any], Database], Awaitable[Sequence[Struct | None]]]


@dataclass(frozen=True)
class ProcessType:
    """A process manager: its pure decision, what applies its changes, what performs its effects."""

    name: str
    state: type[Struct]
    schema: int
    decide: Decide
    apply: Apply
    effects: Mapping[type[Struct], Perform]
    upgrades: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = field(default_factory=dict)

    def load(self, text: str, schema: int) -> Struct:
        """Returns a state as it is now, whatever schema it was written under."""
        if schema == self.schema:
            return msgspec.json.decode(text, type=self.state)
        raw = msgspec.json.decode(text)
        for version in range(schema, self.schema):
            raw = self.upgrades[version](raw)
        return msgspec.convert(raw, self.state)


@dataclass
class _Instance:
    process_id: str
    state: Struct
    version: int
    cause: Cause
    ended: bool = False
    do: list[Do] = field(default_factory=list)
    timers: list[Timer] = field(default_factory=list)
    changes: list[Struct] = field(default_factory=list)


class Runner:
    """Advances the processes of one service."""

    def __init__(self, tables: ChassisTables, types: Sequence[ProcessType]) -> None:
        self._tables = tables
        self._types = {kind.name: kind for kind in types}

    async def advance(self, work: Work) -> None:
        """Lets every process that was started or has a message decide, and keeps what follows."""
        starts, work.starts = work.starts, []
        deliveries, work.deliveries = work.deliveries, []
        messages: dict[str, dict[str, list[Struct]]] = defaultdict(lambda: defaultdict(list))
        fresh: dict[str, dict[str, _Instance]] = defaultdict(dict)
        for process, process_id, state, first, cause in starts:
            fresh[process][process_id] = _Instance(process_id, state, 0, cause)
            messages[process][process_id].append(first)
        for process, process_id, message in deliveries:
            messages[process][process_id].append(message)
        for process, by_id in messages.items():
            await self._advance_kind(work, self._types[process], by_id, fresh[process])

    async def _advance_kind(self, work: Work, kind: ProcessType, messages: dict[str, list[Struct]], fresh: dict[str, _Instance]) -> None:
        instances = await self._load(work.tx, kind, sorted(set(messages) - set(fresh))) | fresh
        for process_id, instance in instances.items():
            for message in messages[process_id]:
                following = kind.decide(instance.state, message, work.now)
                instance.state, instance.ended = following.state, following.ended
                instance.do += following.do
                instance.timers += following.timers
                instance.changes += following.changes
        await self._save(work, kind, instances, fresh)
        await self._keep_effects(work, kind, instances)
        await self._keep_timers(work, kind, instances)
        await self._apply(work, kind, instances)

    async def _load(self, tx: Tx, kind: ProcessType, ids: list[str]) -> dict[str, _Instance]:
        if not ids:
            return {}
        # The kind is part of each key, so that SQLite looks each one up by the whole of it.
        keys = [(kind.name, one) for one in ids]
        rows = await tx.find(self._tables.processes, ("process", "process_id"), keys, order=("process_id",), lock=True)
        if len(rows) < len(ids):
            missing = set(ids) - {row.process_id for row in rows}
            raise NotYet(f"no {kind.name} for {', '.join(sorted(missing))}")
        return {
            row.process_id: _Instance(
                row.process_id, kind.load(row.state, row.schema), row.version,
                Cause(f"process:{kind.name}", kind.name, row.process_id, row.traceparent, row.correlation_id),
                bool(row.ended),
            )
            for row in rows
        }  # fmt: skip

    async def _save(self, work: Work, kind: ProcessType, instances: dict[str, _Instance], fresh: dict[str, _Instance]) -> None:
        table = self._tables.processes
        inserts, updates = [], []
        for process_id, instance in instances.items():
            state = msgspec.json.encode(instance.state).decode()
            if process_id in fresh:
                inserts.append(
                    {
                        "process": kind.name, "process_id": process_id, "state": state, "schema": kind.schema,
                        "version": 1, "ended": int(instance.ended), "updated_at": work.now,
                        "traceparent": instance.cause.traceparent, "correlation_id": instance.cause.correlation_id,
                    }
                )  # fmt: skip
            else:
                updates.append(
                    {
                        "process": kind.name, "process_id": process_id, "state": state, "schema": kind.schema,
                        "version": 1, "ended": int(instance.ended), "updated_at": work.now,
                    }
                )  # fmt: skip
        await work.tx.insert(table, inserts)
        await work.tx.change(table, ("process", "process_id"), updates, add=("version",))

    async def _keep_effects(self, work: Work, kind: ProcessType, instances: dict[str, _Instance]) -> None:
        rows = [
            {
                "process": kind.name, "process_id": instance.process_id, "kind": type(do.effect).__name__,
                "request_id": request_id(kind.name, instance.process_id, do.step), "attempts": 0, "error": "",
                "payload": msgspec.json.encode(do.effect).decode(), "due_at": work.now, "created_at": work.now,
            }
            for instance in instances.values()
            for do in instance.do
        ]  # fmt: skip
        work.effects_written.update(str(row["kind"]) for row in rows)
        await work.tx.insert(self._tables.effects, rows)

    async def _keep_timers(self, work: Work, kind: ProcessType, instances: dict[str, _Instance]) -> None:
        timers = {(i.process_id, timer.name): timer.due_at for i in instances.values() for timer in i.timers}
        if not timers:
            return
        table = self._tables.timers
        await work.tx.remove(table, ("process", "process_id", "name"), [(kind.name, *one) for one in sorted(timers)])
        rows = [
            {"process": kind.name, "process_id": process_id, "name": name, "due_at": due_at}
            for (process_id, name), due_at in timers.items()
            if due_at is not None
        ]
        await work.tx.insert(table, rows)

    async def _apply(self, work: Work, kind: ProcessType, instances: dict[str, _Instance]) -> None:
        changes = [(i.process_id, change) for i in instances.values() for change in i.changes]
        if not changes:
            return
        before = work.cause
        work.causes = {i.process_id: i.cause for i in instances.values()}
        await kind.apply(work, changes)
        work.cause = before
