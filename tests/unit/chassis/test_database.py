"""An embedded database whose callers go away: what runs is stopped, and nothing is left that waits."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text

from chassis.runtime.database import Database

# Hours of work.
LONG = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n WHERE x > 9000000000"


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("writes", [False, True], ids=["read", "write"])
@pytest.mark.parametrize("driven", [False, True], ids=["by SQLAlchemy", "by the driver"])
async def test_who_waits_no_more_leaves_nothing_that_runs(tmp_path: Path, times: int, writes: bool, driven: bool) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/own.db")
    async with database.write() as tx:
        await tx.write(text("CREATE TABLE kept (number INTEGER)"))

    async def look() -> None:
        async with database.write() if writes else database.read() as tx:
            if writes:
                await tx.write(text("INSERT INTO kept VALUES (1)"))
            if driven:
                await tx._run(LONG, lambda connection: connection.execute(LONG).fetchall())  # type: ignore[attr-defined]
            await tx.read(text(LONG))

    looking = asyncio.create_task(look())
    await asyncio.sleep(0.1)
    for _ in range(times):
        looking.cancel()
        await asyncio.sleep(0)
    await asyncio.wait([looking], timeout=10)
    assert looking.cancelled()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    async with database.write() as tx:
        await tx.write(text("INSERT INTO kept VALUES (2)"))
    async with database.read() as tx:
        assert [row.number for row in await tx.read(text("SELECT number FROM kept"))] == [2]
    await database.close()
