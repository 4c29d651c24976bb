"""The audit chain: what is written waits, and is sealed once, however much waits; what was changed by hand is named."""

from typing import Any

import pytest
from sqlalchemy import text

from argosy.ops.v1 import ops_service_pb2
from chassis.runtime import audit
from chassis.runtime.work import Cause, Work
from tests.service.stockroom import Stockroom

CAUSE = Cause("service", "audit", "audit")
COLUMNS = "at, actor, action, subject_type, subject_id, reason, detail"
# A row in the middle of a batch of three, and the row that stands for it.
MIDDLE, FIRST = "subject_id = 'b'", "subject_id = 'a'"


async def verified(room: Stockroom) -> ops_service_pb2.VerifyAuditResponse:
    """Walks the chain."""
    async with room.component.database.read() as tx:
        return await audit.verify(tx, room.component.service.tables)


async def sealed(room: Stockroom) -> None:
    """Seals what waits, once."""
    await room.component.writer.run(audit.seal, CAUSE)


async def listed(room: Stockroom) -> list[Any]:
    """Returns the audit rows by position."""
    found = await room.calls.ops("inventory").ListAuditRows(ops_service_pb2.ListAuditRowsRequest(service="inventory"))
    return sorted(found.rows, key=lambda row: int(row.position))


async def batch(room: Stockroom, *subject_ids: str) -> None:
    """Writes audit rows together."""

    async def note(work: Work) -> None:
        for subject_id in subject_ids:
            work.note("thing", subject_id, detail="café")

    await room.component.writer.run(note, CAUSE)


async def by_hand(room: Stockroom, statement: str) -> None:
    """Changes audit rows behind the service's back."""
    async with room.component.database.write() as tx:
        assert await tx.write(text(statement)) == 1, statement


async def test_what_was_written_waits_and_is_sealed_once(room: Stockroom) -> None:
    await room.place("HAM")
    before = await verified(room)
    assert (before.unsealed > 0, before.rows, before.broken) == (True, 0, "")
    assert {row.position for row in await listed(room)} == {0}
    for _ in range(2):
        await sealed(room)
    after = await verified(room)
    assert (after.rows, after.head_position, after.unsealed, after.broken) == (before.unsealed, before.unsealed, 0, "")
    rows = await listed(room)
    assert [row.position for row in rows] == list(range(1, after.rows + 1))
    assert rows[-1].hash == after.head_hash


async def test_more_than_go_at_once_are_sealed_in_turn(room: Stockroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MOST", 2)
    for place in ("HAM", "MUC", "CGN"):
        await room.place(place)
    waiting = (await verified(room)).unsealed
    assert waiting > 2
    while (await verified(room)).unsealed:
        await sealed(room)
    assert (await verified(room)).rows == waiting


async def test_what_was_written_together_is_sealed_by_one_row(room: Stockroom) -> None:
    await batch(room, "a", "b", "c")
    waiting = await verified(room)
    await sealed(room)
    chain = await verified(room)
    assert (chain.rows, chain.unsealed, chain.broken) == (waiting.unsealed, 0, "")
    assert chain.head_position == chain.rows - 2
    three = [row for row in await listed(room) if row.subject_type == "thing"]
    assert {row.subject_id for row in three} == {"a", "b", "c"}
    assert {(row.position, row.hash) for row in three} == {(chain.head_position, chain.head_hash)}


async def test_many_batches_are_walked_in_pages(room: Stockroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MOST", 3)
    monkeypatch.setattr(audit, "MOST_WHOLE", 2)
    for _ in range(7):
        await batch(room, "a", "b", "c")
    waiting = (await verified(room)).unsealed
    assert waiting >= 21
    while (await verified(room)).unsealed:
        await sealed(room)
    chain = await verified(room)
    assert (chain.rows, chain.broken) == (waiting, "")


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (f"UPDATE audit_rows SET actor = 'nobody' WHERE {MIDDLE}", "what was written with row"),
        (f"DELETE FROM audit_rows WHERE {MIDDLE}", "what was written with row"),
        (
            f"INSERT INTO audit_rows (audit_id, batch_id, {COLUMNS}) SELECT 'z', batch_id, {COLUMNS} FROM audit_rows WHERE {MIDDLE}",
            "what was written with row",
        ),
        (f"UPDATE audit_rows SET digest = 'd' WHERE {FIRST}", "is not what was sealed"),
        (f"UPDATE audit_rows SET digest = NULL WHERE {FIRST}", "belongs to no batch"),
        (f"UPDATE audit_rows SET reason = 'none' WHERE {FIRST}", "is not what was sealed"),
        (f"DELETE FROM audit_rows WHERE {FIRST}", "belongs to no batch"),
    ],
)
async def test_what_was_changed_in_a_batch_is_named(room: Stockroom, statement: str, says: str) -> None:
    await batch(room, "a", "b", "c")
    await batch(room, "d")
    await sealed(room)
    assert (await verified(room)).broken == ""
    await by_hand(room, statement)
    assert says in (await verified(room)).broken


async def test_nothing_is_added_to_what_was_sealed_alone(room: Stockroom) -> None:
    await batch(room, "d")
    await sealed(room)
    forged = ("z", 1, "nobody", "", "", "", "", "")
    digest = audit.digest_of([forged])
    columns = f"INSERT INTO audit_rows (audit_id, {COLUMNS}, batch_id) "
    await by_hand(room, f"{columns} SELECT 'z', 1, 'nobody', '', '', '', '', '', audit_id FROM audit_rows WHERE subject_id = 'd'")
    assert "belongs to no batch" in (await verified(room)).broken
    await by_hand(room, f"UPDATE audit_rows SET digest = '{digest}' WHERE subject_id = 'd'")
    assert "is not what was sealed" in (await verified(room)).broken


async def test_a_batch_that_waits_cannot_lose_the_row_that_stands_for_it(room: Stockroom) -> None:
    await batch(room, "a", "b", "c")
    await by_hand(room, f"DELETE FROM audit_rows WHERE {FIRST}")
    assert "belongs to no batch" in (await verified(room)).broken


async def test_an_earlier_version_beside_this_one_may_seal(room: Stockroom) -> None:
    """It knows no batches: each row is sealed for itself, and no digest is."""
    await batch(room, "a", "b", "c")
    table = room.component.service.tables.audit_rows
    async with room.component.database.write() as tx:
        rows = await tx.read(text(f"SELECT audit_id, {COLUMNS} FROM audit_rows WHERE position IS NULL ORDER BY audit_id"))
        changed, previous = [], ""
        for position, row in enumerate(rows, 1):
            previous = audit.row_hash(previous, position, row)
            changed.append({"audit_id": row[0], "position": position, "hash": previous})
        await tx.change(table, ("audit_id",), changed)
    await batch(room, "d", "e")
    await sealed(room)
    chain = await verified(room)
    assert (chain.broken, chain.unsealed, chain.head_position) == ("", 0, len(rows) + 1)
    await by_hand(room, f"UPDATE audit_rows SET actor = 'nobody' WHERE {MIDDLE}")
    assert (await verified(room)).broken
