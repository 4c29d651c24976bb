"""The audit chain, so that a changed row shows.

Rows that are written together are a batch: the first stands for it, with a digest of the others. Those get a position and a hash
over themselves and the hash before them. A batch of one is only its row.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Table, func, select

from argosy.ops.v1 import ops_service_pb2
from chassis.runtime.tables import ChassisTables
from chassis.runtime.tx import Tx

if TYPE_CHECKING:
    from chassis.runtime.work import Work

MOST = 1000
SEALING = "audit"
# So many batches are read whole at once, of at most some hundred rows each.
MOST_WHOLE = 50
FIELDS = ("audit_id", "at", "actor", "action", "subject_type", "subject_id", "reason", "detail")
CELLS = itemgetter(*FIELDS)
ENCODE = json.JSONEncoder(ensure_ascii=False).encode


def batched(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns rows that are to be written together as one batch."""
    if not rows:
        return []
    first, *others = sorted(rows, key=itemgetter("audit_id"))
    digest = digest_of([CELLS(row) for row in others]) if others else None
    return [
        {**first, "batch_id": None, "digest": digest},
        *({**row, "batch_id": first["audit_id"], "digest": None} for row in others),
    ]


def digest_of(others: Sequence[Sequence[Any]]) -> str:
    """Returns the digest of all rows of a batch but the first, given their FIELDS in the order of their ids."""
    return hashlib.sha256(msgspec.json.encode(others)).hexdigest()


def row_hash(previous: str, position: int, cells: Sequence[Any]) -> str:
    """Returns the hash of the batch at a position, given its first row's FIELDS and its digest, chained to the one before."""
    said = [cell for cell in cells if cell is not None]
    return hashlib.sha256(ENCODE([previous, position, *said]).encode()).hexdigest()


async def seal(work: "Work") -> None:
    """Gives the next unsealed batches their positions and hashes."""
    table = work.tables.audit_rows
    rows = await work.tx.read(_firsts(table).where(*work.tables.unsealed).order_by(table.c.audit_id).limit(MOST))
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
    """Walks the chain from the start and names the first row that is not what was sealed, or stands for those that are not."""
    table = tables.audit_rows
    answer = ops_service_pb2.VerifyAuditResponse(unsealed=await _count_unsealed(tx, tables), broken=await _without_first(tx, table))
    while not answer.broken:
        columns = _firsts(table).add_columns(table.c.position, table.c.hash)
        page = columns.where(table.c.position > answer.head_position).order_by(table.c.position).limit(MOST)
        rows: Sequence[Any] = await tx.read(page)
        for start in range(0, len(rows), MOST_WHOLE):
            await _walk(tx, table, rows[start : start + MOST_WHOLE], answer)
        if len(rows) < MOST:
            break
    return answer


async def _walk(tx: Tx, table: Table, rows: Sequence[Any], answer: ops_service_pb2.VerifyAuditResponse) -> None:
    """Walks along the next rows of the chain, as far as it is whole."""
    others = await _others(tx, table, [row.audit_id for row in rows if row.digest is not None])
    for row in rows:
        if answer.broken:
            return
        whole = others[row.audit_id]
        if row.position != answer.head_position + 1:
            answer.broken = f"row {answer.head_position + 1} is missing"
        elif not _is_sealed(row, answer.head_hash, whole):
            answer.broken = f"row {row.position} ({row.audit_id}) is not what was sealed"
        elif row.digest != (digest_of([one[1:] for one in whole]) if whole else None):
            answer.broken = f"what was written with row {row.position} ({row.audit_id}) is not what was sealed"
        else:
            answer.rows += 1 + len(whole)
            answer.head_position, answer.head_hash = row.position, row.hash


def _is_sealed(row: Any, previous: str, others: Sequence[Sequence[Any]]) -> bool:
    """Says whether a row is what was sealed; an earlier version beside this one seals no digest, but each of the others."""
    cells = row[: len(FIELDS)]
    if row.hash == row_hash(previous, row.position, (*cells, row.digest)):
        return True
    return row.hash == row_hash(previous, row.position, cells) and all(position is not None for position, *_ in others)


def _firsts(table: Table) -> Any:
    return select(*(table.c[name] for name in FIELDS), table.c.digest)


async def _count_unsealed(tx: Tx, tables: ChassisTables) -> int:
    """Counts the rows of batches that wait to be sealed."""
    table, others = tables.audit_rows, tables.audit_rows.alias()
    together = select(func.count()).join_from(table, others, others.c.batch_id == table.c.audit_id)
    counts = [await tx.read(query.where(*tables.unsealed)) for query in (select(func.count()).select_from(table), together)]
    return sum(rows[0][0] for rows in counts)


async def _without_first(tx: Tx, table: Table) -> str:
    """Names a row whose batch has no row that stands for others; empty where there is none."""
    first = table.alias()
    standing = select(first).where(first.c.audit_id == table.c.batch_id, first.c.digest.is_not(None)).exists()
    rows = await tx.read(select(table.c.audit_id).where(table.c.batch_id.is_not(None), ~standing).limit(1))
    return f"row {rows[0].audit_id} belongs to no batch" if rows else ""


async def _others(tx: Tx, table: Table, batch_ids: Sequence[str]) -> dict[str, list[Sequence[Any]]]:
    """Returns the other rows of batches, the position that they should not have and FIELDS of each, in the order of their ids."""
    found: dict[str, list[Sequence[Any]]] = defaultdict(list)
    if batch_ids:
        columns = select(table.c.batch_id, table.c.position, *(table.c[name] for name in FIELDS))
        for row in sorted(await tx.read(columns.where(table.c.batch_id.in_(batch_ids))), key=itemgetter(2)):
            found[row[0]].append(tuple(row[1:]))
    return found
