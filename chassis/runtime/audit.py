"""The audit chain: rows get a position and a hash over the row and the hash before it, so that a changed one shows."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select

from argosy.ops.v1 import ops_service_pb2
from chassis.runtime.tables import ChassisTables
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work

MOST = 1000
SEALING = "audit"
FIELDS = ("audit_id", "at", "actor", "action", "subject_type", "subject_id", "reason", "detail")
ENCODE = json.JSONEncoder(ensure_ascii=False).encode


def row_hash(previous: str, position: int, cells: Sequence[Any]) -> str:
    """Returns the hash of the row at a position, given its FIELDS, chained to the one before."""
    return hashlib.sha256(ENCODE([previous, position, *cells]).encode()).hexdigest()


async def seal(work: Work) -> None:
    """Gives the next unsealed rows their positions and hashes."""
    table = work.tables.audit_rows
    fields = select(*(table.c[name] for name in FIELDS))
    rows = await work.tx.read(fields.where(table.c.position.is_(None)).order_by(table.c.audit_id).limit(MOST))
    if not rows:
        return
    head = await work.tx.read(
        select(table.c.position, table.c.hash).where(table.c.position.is_not(None)).order_by(table.c.position.desc()).limit(1)
    )
    position, previous = (head[0].position, head[0].hash) if head else (0, "")
    sealed = []
    for row in rows:
        position += 1
        previous = row_hash(previous, position, row)
        sealed.append({"audit_id": row[0], "position": position, "hash": previous})
    await work.tx.change(table, ("audit_id",), sealed)
    if len(rows) == MOST:
        work.wake(SEALING)


async def verify(tx: Tx, tables: ChassisTables) -> ops_service_pb2.VerifyAuditResponse:
    """Walks the chain from the start and names the first row that is not what was sealed."""
    table = tables.audit_rows
    unsealed = await tx.read(select(func.count()).where(table.c.position.is_(None)))
    answer = ops_service_pb2.VerifyAuditResponse(unsealed=unsealed[0][0])
    previous, position = "", 0
    while True:
        fields = select(*(table.c[name] for name in FIELDS), table.c.position, table.c.hash)
        page = fields.where(table.c.position > position).order_by(table.c.position).limit(MOST)
        rows: Sequence[Any] = await tx.read(page)
        for row in rows:
            if row.position != position + 1:
                answer.broken = f"row {position + 1} is missing"
                return answer
            if row.hash != row_hash(previous, row.position, row[: len(FIELDS)]):
                answer.broken = f"row {row.position} ({row.audit_id}) is not what was sealed"
                return answer
            previous, position = row.hash, row.position
        answer.rows, answer.head_position, answer.head_hash = position, position, previous
        if len(rows) < MOST:
            return answer
