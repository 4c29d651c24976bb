"""Looks: what waits is found though nobody was woken for it, what is due once it is, and a database that was away is asked again."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select

from chassis.runtime.database import Database
from chassis.runtime.looks import LOOK_S, Looks
from chassis.runtime.settings import Settings
from chassis.runtime.statements import NOW
from services.inventory.store.tables import LOCATIONS, TOMBSTONES


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    """An inventory's empty database."""
    found = Database(settings.database_for("inventory"))
    yield found
    await found.close()


async def bury(database: Database, owner_id: str, buried_at: int) -> None:
    """Writes a row, as another replica would."""
    async with database.write() as tx:
        await tx.insert(TOMBSTONES, [{"owner_id": owner_id, "buried_at": buried_at}])


async def test_finds_what_others_wrote_and_what_is_due(database: Database) -> None:
    moment = 10
    looks = Looks(database, lambda: moment)
    any_ = looks.add("any", select(TOMBSTONES.c.owner_id))
    due = looks.add("due", select(TOMBSTONES.c.owner_id).where(TOMBSTONES.c.buried_at <= NOW))
    never = looks.add("never", select(LOCATIONS.c.location_id))
    looking = asyncio.ensure_future(looks.serve())
    try:
        await bury(database, "x", 20)
        await asyncio.wait_for(any_.wait(), 10 * LOOK_S)
        assert not due.is_set()
        moment = 20
        await asyncio.wait_for(due.wait(), 10 * LOOK_S)
        assert not never.is_set()
        looks.wake(["never", "nobody waits for this"])
        assert never.is_set()
    finally:
        looking.cancel()


async def test_what_is_looked_for_seldom_is_found_all_the_same(database: Database) -> None:
    looks = Looks(database, lambda: 0)
    await bury(database, "x", 1)
    often, seldom = looks.add("often", select(TOMBSTONES.c.owner_id)), looks.add("seldom", select(TOMBSTONES.c.owner_id), 3 * LOOK_S)
    looking = asyncio.ensure_future(looks.serve())
    try:
        await asyncio.wait_for(seldom.wait(), 10 * LOOK_S)
        seldom.clear()
        often.clear()
        await asyncio.wait_for(often.wait(), 10 * LOOK_S)
        assert not seldom.is_set()
        await asyncio.wait_for(seldom.wait(), 10 * LOOK_S)
    finally:
        looking.cancel()


async def test_a_database_that_was_away_is_asked_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Looks(database, lambda: 0)
    await bury(database, "x", 1)
    found = looks.add("any", select(TOMBSTONES.c.owner_id))
    look, asked = looks._look, []

    async def away(names: tuple[str, ...]) -> list[str]:
        asked.append(names)
        if len(asked) == 1:
            raise ConnectionError("the database is away")
        return await look(names)

    monkeypatch.setattr(looks, "_look", away)
    looking = asyncio.ensure_future(looks.serve())
    try:
        await asyncio.wait_for(found.wait(), 10 * LOOK_S)
        assert len(asked) >= 2
    finally:
        looking.cancel()


async def test_a_look_ends_with_who_waits_for_it(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Looks(database, lambda: 0)
    look, asked = looks._look, []

    async def noted(names: tuple[str, ...]) -> list[str]:
        asked.append(names)
        return await look(names)

    monkeypatch.setattr(looks, "_look", noted)
    always = looks.add("always", select(TOMBSTONES.c.owner_id))
    looking = asyncio.ensure_future(looks.serve())
    try:
        await bury(database, "x", 1)
        for _ in range(2):
            with looks.looking("for a while", select(TOMBSTONES.c.owner_id)) as found:
                await asyncio.wait_for(found.wait(), 10 * LOOK_S)
            looks.wake(["for a while"])
            asked.clear()
            always.clear()
            await asyncio.wait_for(always.wait(), 10 * LOOK_S)
            assert asked == [("always",)]
    finally:
        looking.cancel()


async def test_what_is_looked_for_may_change_while_it_is_looked_for(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    looks, read = Looks(database, lambda: 0), database.read
    await bury(database, "x", 1)
    looks.add("any", select(TOMBSTONES.c.owner_id))

    def read_late() -> Any:
        looks.add("later", select(TOMBSTONES.c.owner_id))
        return read()

    monkeypatch.setattr(database, "read", read_late)
    assert await looks._look(("any",)) == ["any"]
