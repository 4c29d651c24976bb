"""One unit of work: a transaction with all that belongs into it — events, holds, audit rows, process messages.

Handlers write their own tables through `work.tx` and say the rest here; `flush` writes it, one statement a table.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from google.protobuf.message import Message
from msgspec import Struct
from sqlalchemy import select

from chassis.kernel.clock import SECOND
from chassis.kernel.ids import new_id
from chassis.runtime.audit import batched
from chassis.runtime.contracts import event_type
from chassis.runtime.queues import settle
from chassis.runtime.tables import ChassisTables
from chassis.runtime.tx import Tx

if TYPE_CHECKING:
    from chassis.runtime.process import Runner
    from chassis.runtime.writer import Principal


class NotYet(Exception):
    """An event that lacks a fact from another service: it is parked and tried again."""


@dataclass(frozen=True)
class Cause:
    """What a change follows from: who asked, by which rpc or event, in which trace."""

    actor: str
    action: str
    id: str
    traceparent: str = ""
    correlation_id: str = ""


@dataclass(frozen=True)
class HoldKind:
    """A reason to wait for a person: its queue, who owns it, how soon it is due, what it blocks."""

    reason: str
    queue: str
    due_s: int
    owner_role: str
    blocks: str = ""


class Stake(NamedTuple):
    """What is at stake where something is held: its value, and by when it must leave."""

    value_minor: int = 0
    currency_code: str = ""
    must_leave_by: int | None = None


@dataclass(frozen=True)
class Emission:
    """An event that waits to be written."""

    message: Message
    cause: Cause


@dataclass
class Work:
    """One transaction. `now` is its only moment; `cause` is what the current change follows from."""

    tx: Tx
    now: int
    tables: ChassisTables
    runner: "Runner"
    cause: Cause
    # Whether what is rare is taken not to be: where it was, all is done again without hope.
    hopeful: bool = False
    # What handlers of this process remember from one transaction to the next; it may be out of date, or have come to nothing.
    memory: dict[Any, Any] = field(default_factory=dict)
    # Who asks; nobody where it follows from an event or a process.
    principal: "Principal | None" = None
    emissions: list[Emission] = field(default_factory=list)
    holds: list[dict[str, Any]] = field(default_factory=list)
    audit: list[dict[str, Any]] = field(default_factory=list)
    deliveries: list[tuple[str, str, Struct]] = field(default_factory=list)
    starts: list[tuple[str, str, Struct, Struct, Cause]] = field(default_factory=list)
    effects_written: set[str] = field(default_factory=set)
    wakes: set[str] = field(default_factory=set)
    causes: dict[str, Cause] = field(default_factory=dict)

    def emit(self, message: Message, cause: Cause | None = None) -> None:
        """Says an event; it gets its aggregate's next sequence when the work is flushed."""
        self.emissions.append(Emission(message, cause or self.cause))

    def wake(self, name: str) -> None:
        """Says that what a loop waits for, by its name among the looks, is there once this is committed."""
        self.wakes.add(name)

    def hold(self, kind: HoldKind, subject_type: str, subject_id: str, detail: str, stake: Stake | None = None) -> None:
        """Raises a hold; its queue settles the rest when the work is flushed."""
        stake = stake or Stake()
        self.holds.append(
            {
                "hold_id": new_id(), "queue": kind.queue, "reason": kind.reason, "subject_type": subject_type,
                "subject_id": subject_id, "blocks": kind.blocks, "detail": detail, "owner_role": kind.owner_role,
                "owner": "", "raised_at": self.now, "due_at": self.now + kind.due_s * SECOND, "released_at": None,
                "resolution": "", "snoozed_until": None, "escalated": 0, "escalate_at": None, "rank": 0, "raised_for": kind.owner_role,
                **stake._asdict(),
            }
        )  # fmt: skip

    async def hold_once(self, kind: HoldKind, subject_type: str, subject_id: str, detail: str, stake: Stake | None = None) -> bool:
        """Raises a hold unless one for the same reason is open; says whether it did."""
        holds = self.tables.holds
        standing = select(holds.c.hold_id).where(holds.c.subject_id == subject_id, holds.c.reason == kind.reason, *self.tables.open_holds)
        if (subject_id, kind.reason) in self.raised() or await self.tx.read(standing):
            return False
        self.hold(kind, subject_type, subject_id, detail, stake)
        return True

    def raised(self) -> set[tuple[str, str]]:
        """Returns (subject id, reason) of the holds that were raised here and not released again."""
        return {(hold["subject_id"], hold["reason"]) for hold in self.holds if hold["released_at"] is None}

    async def release_holds(self, subjects: Sequence[tuple[str, str]], resolution: str) -> None:
        """Releases the open holds of (subject id, reason) pairs."""
        if not subjects:
            return
        for hold in self.holds:
            if hold["released_at"] is None and (hold["subject_id"], hold["reason"]) in subjects:
                hold.update(released_at=self.now, resolution=resolution)
        rows = [
            {"subject_id": subject_id, "reason": reason, "released_at": self.now, "resolution": resolution}
            for subject_id, reason in sorted(set(subjects))
        ]
        await self.tx.change(self.tables.holds, ("subject_id", "reason"), rows, where=self.tables.open_holds)

    def note(self, subject_type: str, subject_id: str, *, reason: str = "", detail: str = "") -> None:
        """Writes an audit row about the current cause."""
        self.audit.append(
            {
                "audit_id": new_id(), "at": self.now, "actor": self.cause.actor, "action": self.cause.action,
                "subject_type": subject_type, "subject_id": subject_id, "reason": reason, "detail": detail,
            }
        )  # fmt: skip

    def start(self, process: str, process_id: str, state: Struct, first: Struct) -> None:
        """Starts a process with its first message."""
        self.starts.append((process, process_id, state, first, self.cause))

    def deliver(self, process: str, process_id: str, message: Struct) -> None:
        """Gives a message to a process; NotYet where there is no such process when the work is flushed.

        What it changes is written then: whoever is called after this in the same work does not find it yet.
        """
        self.deliveries.append((process, process_id, message))

    async def flush(self) -> None:
        """Advances processes, then writes events, holds and audit rows."""
        while self.starts or self.deliveries:
            await self.runner.advance(self)
        await self._write_events()
        if self.holds:
            await settle(self.tx, self.tables, self.holds)
        await self.tx.insert(self.tables.holds, self.holds)
        await self.tx.insert(self.tables.audit_rows, batched(self.audit))

    async def _write_events(self) -> None:
        if not self.emissions:
            return
        keys = [(event_type(type(e.message)), str(getattr(e.message, event_type(type(e.message)).key))) for e in self.emissions]
        counts = Counter((kind.aggregate, key) for kind, key in keys)
        rows = [{"aggregate": a, "aggregate_id": i, "sequence": n} for (a, i), n in sorted(counts.items())]
        named = ("aggregate", "aggregate_id", "sequence")
        taken = await self.tx.merge(self.tables.event_heads, named[:2], rows, add=named[2:], returning=named)
        last = {(row.aggregate, row.aggregate_id): row.sequence for row in taken}
        seen: defaultdict[tuple[str, str], int] = defaultdict(int)
        outbox = []
        for (kind, key), emission in zip(keys, self.emissions, strict=True):
            aggregate = (kind.aggregate, key)
            seen[aggregate] += 1
            outbox.append(
                {
                    "event_id": new_id(), "type": kind.name, "aggregate": kind.aggregate, "aggregate_id": key,
                    "sequence": last[aggregate] - counts[aggregate] + seen[aggregate],
                    "payload": emission.message.SerializeToString(), "traceparent": emission.cause.traceparent,
                    "correlation_id": emission.cause.correlation_id, "causation_id": emission.cause.id,
                    "occurred_at": self.now,
                }
            )  # fmt: skip
        await self.tx.insert(self.tables.outbox, outbox)
        self.wake("outbox")
