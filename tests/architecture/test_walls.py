"""The walls of the code that import-linter cannot see."""

import re
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from chassis.runtime.database import Database
from chassis.runtime.settings import SERVICES, Settings
from suite.modules import BUILDS, composed
from suite.up import migrate_all

ROOT = Path(__file__).resolve().parents[2]


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")) if "migrations" not in path.parts]


def test_no_status_code_of_a_transport_stands_in_a_service() -> None:
    for path in sources("services"):
        assert not re.search(r"StatusCode|HTTPStatus|\bgrpc\.", path.read_text()), path


def test_no_other_clock_is_read_than_the_transactions() -> None:
    for path in sources("services"):
        assert not re.search(r"time\.time|datetime\.now|utcnow|monotonic", path.read_text()), path


# Probabilities, which hold no amount.
PROBABILITIES = {"services/inventory/domain/risk.py", "services/inventory/domain/forecast.py"}


def test_amounts_are_integers() -> None:
    for path in sources("services"):
        if str(path.relative_to(ROOT)) in PROBABILITIES:
            assert "minor" not in path.read_text(), f"{path} computes probabilities, never amounts"
            continue
        assert not re.search(r"\bfloat\b|\bround\(", path.read_text()), f"{path}: money knows no floats"


@pytest.mark.parametrize("service", [name for name in SERVICES if name != "gateway"])
def test_the_rooms_of_a_service_are_alike(service: str) -> None:
    folder = ROOT / "services" / service
    rooms = {path.name for path in folder.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert {"app", "domain", "store"} <= rooms <= {"app", "domain", "store", "process", "clients"}
    assert (folder / "module.py").exists()
    assert len((folder / "README.md").read_text()) > 500


async def test_migrations_make_the_tables_that_the_code_knows(bare_settings: Settings) -> None:
    await migrate_all(bare_settings)
    for name in BUILDS:
        metadata = composed(name).metadata
        database = Database(bare_settings.database_for(name))

        def compare(connection: Connection, metadata: object = metadata) -> list[object]:
            return list(compare_metadata(MigrationContext.configure(connection), metadata))  # type: ignore[arg-type]

        try:
            async with database.connection() as connection:
                assert await connection.run_sync(compare) == [], name
        finally:
            await database.close()


def test_the_project_speaks_of_itself_alone() -> None:
    for path in ROOT.rglob("*"):
        if path.suffix not in {".py", ".md", ".proto", ".toml", ".txt", ".in", ".json", ".yaml"} or {
            ".venv",
            "build",
            "data",
            ".git",
        } & set(path.parts):
            continue
        text = path.read_text()
        assert not re.search(r"/(work|root)/|pypi\.|index-url|files\.pythonhosted", text) or path == Path(__file__), path
