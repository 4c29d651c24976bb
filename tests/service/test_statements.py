"""Statements about many rows, on both databases: found by key, added never below zero, merged, left out once there, removed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from chassis.runtime import statements
from chassis.runtime.database import Database
from chassis.runtime.settings import Settings
from chassis.runtime.statements import END, NONE
from chassis.runtime.tx import Mistaken, Tx
from services.inventory.store.tables import BALANCES, LOTS, RESERVATIONS, TOMBSTONES

KEY = ("item_id", "location_id", "lot", "state")
LOT = {
    "item_id": "i", "lot": "l", "batch": "", "expires_at": None, "recalled_at": None, "received_at": 1, "recall_reason": "", "expired": 0,
}  # fmt: skip


def balance(item_id: str, quantity: int, location_id: str = "BER") -> dict[str, str | int]:
    """Returns a row."""
    return {"item_id": item_id, "location_id": location_id, "lot": "", "state": 1, "quantity": quantity}


async def quantities(database: Database) -> dict[str, int]:
    """Returns what lies at BER, by item."""
    async with database.read() as tx:
        rows = await tx.read(select(BALANCES).where(BALANCES.c.location_id == "BER"))
    return {row.item_id: row.quantity for row in rows}


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    """An inventory's database with two balances."""
    found = Database(settings.database_for("inventory"))
    async with found.write() as tx:
        assert await tx.insert(BALANCES, [balance("a", 5), balance("b", 7), balance("a", 9, "HAM")]) == 3
    yield found
    await found.close()


async def test_finds_by_the_whole_key_in_order(database: Database) -> None:
    wanted = [("b", "BER"), ("a", "BER"), ("a", "NOWHERE")]
    async with database.write() as tx:
        rows = await tx.find(BALANCES, KEY[:2], wanted, only=("item_id", "quantity"), order=("item_id",), lock=True)
        some = await tx.find(BALANCES, KEY[:2], wanted, where=(BALANCES.c.quantity > 5,))
        assert await tx.find(BALANCES, KEY[:2], []) == []
    assert [tuple(row) for row in rows] == [("a", 5), ("b", 7)]
    assert [row.item_id for row in some] == ["b"]


async def test_adds_but_never_below_zero(database: Database) -> None:
    async with database.write() as tx:
        await tx.change(BALANCES, KEY, [balance("a", -5), balance("b", -8), balance("c", 1)], add=("quantity",))
        await tx.change(BALANCES, KEY, [])
    assert await quantities(database) == {"a": 0, "b": 7}
    async with database.write() as tx:
        await tx.change(BALANCES, KEY, [balance("a", 3), balance("b", 4)])
    assert await quantities(database) == {"a": 3, "b": 4}


async def test_merges_new_rows_and_known_ones(database: Database) -> None:
    async with database.write() as tx:
        rows = await tx.merge(BALANCES, KEY, [balance("a", 1), balance("c", 2)], add=("quantity",), returning=("item_id", "quantity"))
        assert {tuple(row) for row in rows} == {("a", 6), ("c", 2)}
        assert await tx.merge(BALANCES, KEY, [balance("b", 1)]) == []
    assert await quantities(database) == {"a": 6, "b": 1, "c": 2}


async def test_leaves_out_once_what_is_there_and_removes(database: Database) -> None:
    rows = [{"owner_id": owner, "buried_at": 1} for owner in ("x", "y")]
    async with database.write() as tx:
        assert await tx.insert(TOMBSTONES, rows[:1], once=True) == 1
        assert await tx.insert(TOMBSTONES, rows, once=True) == 1
        await tx.remove(BALANCES, KEY[:2], [("a", "BER"), ("c", "BER")])
        await tx.remove(BALANCES, KEY[:2], [])
    assert await quantities(database) == {"b": 7}


async def test_what_was_inserted_is_there_for_what_follows(database: Database) -> None:
    async with database.write() as tx:
        await tx.insert(TOMBSTONES, [{"owner_id": "x", "buried_at": 1}])
        await tx.insert(BALANCES, [balance("c", 1)])
        await tx.insert(TOMBSTONES, [{"owner_id": "y", "buried_at": 2}])
        await tx.change(BALANCES, KEY, [balance("c", 2)], add=("quantity",), must=True)
        assert [row.owner_id for row in await tx.find(TOMBSTONES, ("owner_id",), [("x",), ("y",)], order=("owner_id",))] == ["x", "y"]
        await tx.insert(BALANCES, [balance("d", 4)])
        assert len(await tx.read(select(BALANCES))) == 5
        await tx.insert(TOMBSTONES, [{"owner_id": "z", "buried_at": 3}])
    assert await quantities(database) == {"a": 5, "b": 7, "c": 3, "d": 4}
    async with database.read() as tx:
        assert len(await tx.read(select(TOMBSTONES))) == 3


async def test_a_wrong_insert_fails_its_transaction(database: Database) -> None:
    with pytest.raises(DBAPIError):
        async with database.write() as tx:
            assert await tx.insert(BALANCES, [balance("c", 1), balance("a", 1)]) == 2
    assert await quantities(database) == {"a": 5, "b": 7}
    async with database.write() as tx:
        await tx.insert(BALANCES, [balance("c", 1)])
    assert await quantities(database) == {"a": 5, "b": 7, "c": 1}


async def test_changes_of_one_table_follow_each_other(database: Database) -> None:
    async with database.write() as tx:
        await tx.change(BALANCES, KEY, [balance("a", 1), balance("b", 1)], add=("quantity",))
        await tx.change(BALANCES, KEY, [balance("a", -6)], add=("quantity",), must=True)
        await tx.remove(BALANCES, KEY[:2], [("a", "BER")])
        await tx.insert(TOMBSTONES, [{"owner_id": "x", "buried_at": 1}])
        await tx.insert(BALANCES, [balance("a", 50)])
        await tx.merge(BALANCES, KEY, [balance("a", 1), balance("c", 1)], add=("quantity",))
        await tx.insert(BALANCES, [balance("d", 1)])
        await tx.change(TOMBSTONES, ("owner_id",), [{"owner_id": "x", "buried_at": 2}], must=True)
        assert await tx.insert(BALANCES, [balance("d", 1), balance("e", 1)], once=True) == 1
    assert await quantities(database) == {"a": 51, "b": 8, "c": 1, "d": 1, "e": 1}


FOLLOWING: dict[str, Callable[[Tx], Awaitable[Any]]] = {
    "the end": lambda tx: tx.change(BALANCES, KEY, []),
    "what answers a count": lambda tx: tx.insert(TOMBSTONES, [{"owner_id": "x", "buried_at": 1}], once=True),
    "what answers rows": lambda tx: tx.find(TOMBSTONES, ("owner_id",), [("x",)]),
    "another that must": lambda tx: tx.change(LOTS, ("item_id", "lot"), [{"item_id": "i", "lot": "l", "expired": 1}], must=True),
    "SQLAlchemy's": lambda tx: tx.read(select(TOMBSTONES)),
}


@pytest.mark.parametrize("following", FOLLOWING)
@pytest.mark.parametrize("quantity", [-5, -6])
async def test_what_must_be_changed_and_is_not_fails_its_transaction(database: Database, following: str, quantity: int) -> None:

    async def change() -> None:
        async with database.write() as tx:
            await tx.insert(LOTS, [LOT])
            await tx.insert(BALANCES, [balance("c", 1)])
            await tx.change(BALANCES, KEY, [balance("a", quantity), balance("b", 1)], add=("quantity",), must=True)
            await FOLLOWING[following](tx)

    if quantity == -5:
        await change()
        assert await quantities(database) == {"a": 0, "b": 8, "c": 1}
        return
    with pytest.raises(Mistaken, match="stock_balances: 1 rows, not 2"):
        await change()
    assert await quantities(database) == {"a": 5, "b": 7}
    async with database.read() as tx:
        assert not await tx.read(select(LOTS)) and not await tx.read(select(TOMBSTONES))


async def test_rows_are_read_by_name_and_as_a_mapping(database: Database) -> None:
    async with database.read() as tx:
        row = (await tx.find(BALANCES, KEY[:2], [("b", "BER")]))[0]
    assert (row.item_id, row.quantity) == ("b", 7)
    assert dict(row._mapping) == balance("b", 7)


@pytest.mark.parametrize(
    "texts",
    [
        [""],
        ["", ""],
        ["a"],
        ["a", "a", "a"],
        ["a", "b", "a"],
        [END],
        [END, END],
        [f"a{END}b", NONE, ""],
        [NONE],
        [NONE, NONE, NONE],
        ["NULL", "null", '"', "{a,b}", "\\", "'", " a ", "ä€🙂", "\n\t"],
    ],
    ids=repr,
)
@pytest.mark.parametrize("missing", [False, True])
async def test_every_text_arrives_as_it_was(database: Database, texts: list[str], missing: bool) -> None:
    """Cells go to PostgreSQL as one text a column; what ends them, or stands for none, may be in one, and all may be the same."""
    rows = [
        {
            "item_id": f"i{index}", "lot": one, "batch": one, "expires_at": None if missing and index % 2 == 0 else -index,
            "recalled_at": None, "received_at": 2**62, "recall_reason": one * 3, "expired": True,
        }
        for index, one in enumerate(texts)
    ]  # fmt: skip
    async with database.write() as tx:
        await tx.insert(LOTS, rows)
        found = await tx.find(LOTS, ("item_id", "lot"), [(f"i{index}", one) for index, one in enumerate(texts)], order=("item_id",))
        assert [dict(row._mapping) for row in found] == rows
        await tx.change(LOTS, ("item_id", "lot"), [{"item_id": "i0", "lot": texts[0], "recalled_at": 5, "batch": NONE}], must=True)
        await tx.remove(LOTS, ("item_id", "lot"), [(f"i{index}", one) for index, one in enumerate(texts[1:], 1)])
        assert [(row.recalled_at, row.batch) for row in await tx.read(select(LOTS))] == [(5, NONE)]


def reservation(number: int) -> dict[str, Any]:
    """Returns a row, of which most columns are like those of others."""
    return {
        "reservation_id": f"r{number}", "kind": 2, "owner_id": "o", "line_id": f"{number}", "item_id": "i", "location_id": "BER",
        "lot": "", "reserved": number, "allocated": 0, "shipped": 0, "cancelled": 0, "expires_at": None, "created_at": 5, "priority": 0,
        "each": 1, "kit_item_id": "",
    }  # fmt: skip


DIFFERENT: dict[str, dict[str, Any]] = {
    "none": {},
    "a text": {"kit_item_id": "kit"},
    "a number": {"priority": 3},
    "one that is missing": {"expires_at": 7},
}


@pytest.mark.parametrize("different", DIFFERENT)
@pytest.mark.parametrize("alike", [{}, {"lot": END, "kit_item_id": NONE, "expires_at": 2**62, "kind": True}])
async def test_rows_that_say_the_same_arrive_as_they_were(database: Database, different: str, alike: dict[str, Any]) -> None:
    """Of columns that mostly say the same, PostgreSQL is given one cell where all of them do."""
    rows = [{**reservation(number), **alike} for number in range(3)]
    rows[1].update(DIFFERENT[different])
    async with database.write() as tx:
        await tx.insert(RESERVATIONS, rows)
    async with database.read() as tx:
        found = await tx.read(select(RESERVATIONS).order_by(RESERVATIONS.c.reservation_id))
    assert [dict(row._mapping) for row in found] == rows


def test_of_columns_that_say_the_same_one_cell_is_sent() -> None:
    rows = [reservation(number) for number in range(3)]
    names = tuple(rows[0])
    alike = statements.alike(RESERVATIONS, names, rows)
    assert {"lot", "expires_at", "created_at"} <= set(alike)
    assert "reserved" not in alike
    assert statements.fresh(RESERVATIONS, names, rows, alike)["fresh_created_at"] == 5
    assert not statements.alike(RESERVATIONS, names, [*rows, {**reservation(3), "kit_item_id": "kit"}])
    assert not statements.alike(RESERVATIONS, names, rows[:1])


async def test_connections_that_were_ended_are_replaced(postgres_settings: Settings) -> None:
    url = postgres_settings.database_for("inventory")
    database = Database(url)
    other = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        async with database.write() as tx, database.read() as reading:
            await tx.insert(BALANCES, [balance("a", 5)])
            await reading.find(BALANCES, KEY[:1], [("a",)])
        others = "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        await other.execute(f"SELECT pg_terminate_backend(pid) FROM {others}")
        await asyncio.sleep(0.2)
        async with database.write() as tx:
            await tx.change(BALANCES, KEY, [balance("a", 1)], add=("quantity",))
        assert await quantities(database) == {"a": 6}
    finally:
        await other.close()
        await database.close()


MISTAKES: dict[str, Callable[[Tx], Awaitable[Any]]] = {
    "a row that is there": lambda tx: tx.insert(TOMBSTONES, [{"owner_id": one, "buried_at": 2} for one in ("x", "y")], must=True),
    "a key that is there": lambda tx: tx.need_none(TOMBSTONES, ("owner_id",), [("x",), ("y",)]),
    "too little": lambda tx: tx.change(BALANCES, KEY, [balance("a", -6), balance("b", 1)], add=("quantity",), must=True),
    "nothing": lambda tx: tx.remove(BALANCES, KEY[:1], [("none",)]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("others", [True, False])
@pytest.mark.parametrize("locks", [True, False])
async def test_a_transaction_is_written_whole_or_not_at_all(database: Database, mistake: str, others: bool, locks: bool) -> None:
    async with database.write() as tx:
        await tx.insert(TOMBSTONES, [{"owner_id": "y", "buried_at": 1}])

    async def write() -> None:
        async with database.write() as tx:
            assert await tx.find(TOMBSTONES, ("owner_id",), [("y",)], lock=locks)
            if others:
                await tx.insert(LOTS, [LOT])
            await MISTAKES[mistake](tx)

    if mistake == "nothing":
        await write()
    else:
        with pytest.raises(Mistaken):
            await write()
    async with database.read() as tx:
        assert len(await tx.read(select(LOTS))) == (mistake == "nothing" and others)
        assert [row.owner_id for row in await tx.read(select(TOMBSTONES))] == ["y"]
    assert await quantities(database) == {"a": 5, "b": 7}


async def test_what_locks_nothing_takes_a_look_and_a_statement(postgres_settings: Settings, sent: list[str]) -> None:
    database = Database(postgres_settings.database_for("inventory"))
    for locks, expected in ((False, ["SELECT", "WITH"]), (True, ["BEGIN", "SELECT", "WITH", "COMMIT"])):
        sent.clear()
        async with database.write() as tx:
            await tx.find(BALANCES, KEY[:2], [("a", "BER")], lock=locks)
            await tx.insert(BALANCES, [balance(f"new {locks}", 1)])
            await tx.need_none(TOMBSTONES, ("owner_id",), [("x",)])
            await tx.insert(TOMBSTONES, [{"owner_id": f"{locks}", "buried_at": 1}], must=True)
        assert sent == expected
    await database.close()


@pytest.mark.parametrize("following", FOLLOWING)
@pytest.mark.parametrize("owners", [["x", "y"], ["y"]])
@pytest.mark.parametrize("there", [False, True])
async def test_what_must_not_be_there_and_is_fails_its_transaction(
    database: Database, following: str, owners: list[str], there: bool
) -> None:
    async with database.write() as tx:
        await tx.insert(LOTS, [LOT])
        await tx.insert(TOMBSTONES, [{"owner_id": "y" if there else "z", "buried_at": 1}])

    async def write() -> None:
        async with database.write() as tx:
            await tx.insert(BALANCES, [balance("c", 1)])
            await tx.change(BALANCES, KEY, [balance("a", -5), balance("b", 1)], add=("quantity",), must=True)
            await tx.need_none(TOMBSTONES, ("owner_id",), [(owner,) for owner in owners])
            await tx.need_none(TOMBSTONES, ("owner_id",), [])
            await FOLLOWING[following](tx)

    if not there:
        await write()
        assert await quantities(database) == {"a": 0, "b": 8, "c": 1}
        return
    with pytest.raises(Mistaken):
        await write()
    assert await quantities(database) == {"a": 5, "b": 7}
