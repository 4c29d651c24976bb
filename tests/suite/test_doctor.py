"""The doctor finds a healthy suite well, and says of each thing that is wrong what it is and what to do."""

import pytest
from sqlalchemy import text

from chassis.runtime.database import Database
from chassis.runtime.settings import SERVICES, Settings
from suite import doctor
from suite.doctor import Finding, examine
from suite.up import free_ports, running_suite


def wrong(findings: list[Finding]) -> dict[str, Finding]:
    return {one.what: one for one in findings if not one.well}


async def test_a_suite_that_runs_is_well(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    # What shares a slow machine with others is well all the same.
    monkeypatch.setattr(doctor, "TIMEOUT_S", 60)
    async with running_suite(settings):
        found = await examine(settings)
        assert wrong(found) == {}
        assert {f"service {service}" for service in SERVICES} | {"bus", "HTTP", "audit", "dead letters"} <= {one.what for one in found}


async def test_what_does_not_run_is_named_with_what_to_do(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings, services=("catalog", "gateway")) as suite:
        found = wrong(await examine(sqlite_settings))
        assert {f"service {one}" for one in SERVICES if one not in ("catalog", "gateway")} == {
            one for one in found if one.startswith("service")
        }
        assert all(one.advice for one in found.values())
        assert suite.nats is not None
        await suite.nats.stop()
        assert "ARGOSY_NATS_URL" in wrong(await examine(sqlite_settings))["bus"].advice


async def test_an_old_schema_and_a_wrong_address_are_found(sqlite_settings: Settings) -> None:
    database = Database(sqlite_settings.database_for("orders"))
    async with database.write() as tx:
        await tx.write(text("UPDATE alembic_version SET version_num = '0001'"))
    await database.close()
    found = wrong(await examine(sqlite_settings))
    assert "argosy migrate" in found["database of orders"].advice
    assert "HTTP" in found
    bad = sqlite_settings.model_copy(
        update={"database_url": f"postgresql+asyncpg://nobody@127.0.0.1:{free_ports(1)[0]}/argosy", "service_secret": "short"}
    )
    found = wrong(await examine(bad))
    assert {"ARGOSY_DATABASE_URL", "ARGOSY_SERVICE_SECRET", "database of orders"} <= set(found)


async def test_a_server_that_is_too_old_is_found(postgres_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST_POSTGRES", 99)
    found = wrong(await examine(postgres_settings))["server of orders's database"]
    assert (found.text.startswith("PostgreSQL 1"), found.advice) == (True, "run PostgreSQL 99 or later")
