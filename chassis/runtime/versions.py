"""Rules that change as whole sets: drafted, tried, put in force by a second person, rolled back at once. One set is in force."""

from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.message import Message
from sqlalchemy import BigInteger, Column, Integer, String, Table, Text, func, select

from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import FailedPrecondition, NotFound
from chassis.runtime.approvals import PENDING, ApprovalKind, Weight, need_approval
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work

DRAFT, WAITING, ACTIVE, RETIRED = range(1, 5)
VERSION = ("version",)


def version_columns() -> list[Column[Any]]:
    """Returns the columns of a table of sets."""
    return [
        Column("version", Integer, primary_key=True, autoincrement=False),
        Column("status", Integer, nullable=False),
        Column("reason", Text, nullable=False),
        Column("drafted_by", String(120), nullable=False),
        Column("drafted_at", BigInteger, nullable=False),
        Column("activated_by", String(120), nullable=False),
        Column("activated_at", BigInteger),
        # The set that was in force before this one; 0 for none.
        Column("replaced", Integer, nullable=False),
        # The contract's message of its last dry run as JSON; empty where nobody tried it.
        Column("dry_run", Text, nullable=False),
        Column("approval_id", String(40), nullable=False),
    ]


class Versions:
    """The sets of one table; `missing` says that there is no such one, `try_it` where to try one."""

    def __init__(self, table: Table, approvals: Table, missing: Callable[[int], NotFound], try_it: str) -> None:
        self._table = table
        self._approvals = approvals
        self._missing = missing
        self._try_it = try_it

    async def draft(self, work: Work, reason: str, **more: Any) -> int:
        """Keeps a new set under the next number and returns that."""
        version = int((await work.tx.read(select(func.max(self._table.c.version))))[0][0] or 0) + 1
        drafted = {
            "version": version, "status": DRAFT, "reason": reason, "drafted_by": work.cause.actor, "drafted_at": work.now,
            "activated_by": "", "activated_at": None, "replaced": 0, "dry_run": "", "approval_id": "", **more,
        }  # fmt: skip
        await work.tx.insert(self._table, [drafted])
        return version

    async def ready(self, work: Work, version: int) -> Any:
        """Returns a set that may be proposed now, locked. Refusals: IN_FORCE, WAITS_ALREADY, NOT_TRIED."""
        row = await self.load(work.tx, version, lock=True)
        if row.status == ACTIVE:
            raise FailedPrecondition("IN_FORCE", f"set {row.version} is in force already", field="version")
        if row.approval_id in await self.pending(work.tx, [row]):
            raise FailedPrecondition("WAITS_ALREADY", f"approval {row.approval_id} decides about it", field="version")
        if not row.dry_run:
            raise FailedPrecondition("NOT_TRIED", f"try it first: POST {self._try_it.format(version=row.version)}", field="version")
        return row

    async def propose(self, work: Work, kind: ApprovalKind, request: Message, weight: Weight) -> None:
        """Puts a set in force, or lets it wait for a second person."""
        version = int(weight.subject_id)
        approval_id = await need_approval(work, kind, request, weight)
        if approval_id:
            await work.tx.change(self._table, VERSION, [{"version": version, "approval_id": approval_id}])
        else:
            await self.put_in_force(work, version)

    async def put_in_force(self, work: Work, version: int) -> None:
        """Puts a set in force instead of the one that is."""
        await self.load(work.tx, version, lock=True)
        before = await self.active(work.tx, lock=True)
        await self._swap(work, version, before)
        await work.tx.change(self._table, VERSION, [{"version": version, "replaced": before}])

    async def roll_back(self, work: Work, subject_type: str, reason: str) -> int:
        """Puts the set before in force, by one person, and returns it. Refusals: NOTHING_BEFORE."""
        active = await self.active(work.tx, lock=True)
        before = int((await self.load(work.tx, active, lock=True)).replaced)
        if not before:
            raise FailedPrecondition("NOTHING_BEFORE", f"set {active} replaced none; draft another and activate it")
        await self._swap(work, before, active)
        work.note(subject_type, str(active), reason=reason, detail=f"set {before} is in force again")
        return before

    async def _swap(self, work: Work, version: int, instead_of: int) -> None:
        if instead_of:
            await work.tx.change(self._table, VERSION, [{"version": instead_of, "status": RETIRED}])
        row = {"version": version, "status": ACTIVE, "activated_by": work.cause.actor, "activated_at": work.now, "approval_id": ""}
        await work.tx.change(self._table, VERSION, [row])

    async def active(self, tx: Tx, *, lock: bool = False) -> int:
        """Returns the set in force; 0 where none is."""
        query = select(self._table.c.version).where(self._table.c.status == ACTIVE)
        rows = await tx.read(query.with_for_update() if lock else query)
        return int(rows[0].version) if rows else 0

    async def load(self, tx: Tx, version: int, *, lock: bool = False) -> Any:
        """Returns a set's row; raises NotFound."""
        rows = await tx.find(self._table, VERSION, [(version,)], lock=lock)
        if not rows:
            raise self._missing(version)
        return rows[0]

    async def pending(self, tx: Tx, rows: Sequence[Any]) -> set[str]:
        """Returns which approvals of sets nobody has decided yet."""
        ids = [(row.approval_id,) for row in rows if row.approval_id]
        found = await tx.find(self._approvals, ("approval_id",), ids, only=("approval_id", "status")) if ids else ()
        return {one.approval_id for one in found if one.status == PENDING}


def shown(row: Any, pending: set[str]) -> dict[str, Any]:
    """Returns what messages of all sets show of one."""
    waits = row.approval_id in pending
    return {
        "version": row.version, "status": WAITING if waits else row.status, "reason": row.reason, "drafted_by": row.drafted_by,
        "drafted_at": to_timestamp(row.drafted_at), "activated_by": row.activated_by,
        "activated_at": to_timestamp(row.activated_at) if row.activated_at is not None else None,
        "approval_id": row.approval_id if waits else "",
    }  # fmt: skip
