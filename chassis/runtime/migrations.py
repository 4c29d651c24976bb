"""Brings a service's database to the schema that its code knows. Each service has its own Alembic history."""

import asyncio
import importlib
from pathlib import Path
from typing import Any

import structlog
from alembic import command, context
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.exc import SQLAlchemyError

from chassis.runtime.database import Database

LOCK = 7_102_026
log = structlog.get_logger()


def folder_of(service: str) -> Path:
    """Returns where a service's migrations lie."""
    package = "gateway" if service == "gateway" else f"services.{service}"
    module = importlib.import_module(f"{package}.store")
    return Path(str(module.__file__)).parent / "migrations"


def config_for(service: str) -> Config:
    """Returns Alembic's configuration for a service."""
    config = Config()
    config.set_main_option("script_location", str(folder_of(service)))
    return config


async def migrate(service: str, database: Database) -> None:
    """Upgrades a service's database; several at once wait for each other."""
    async with database.connection() as connection:
        if database.dialect == "postgresql":
            await connection.execute(text(f"SELECT pg_advisory_lock({LOCK})"))
            await connection.commit()
        try:
            await connection.run_sync(_upgrade, service)
            await connection.commit()
        finally:
            if database.dialect == "postgresql":
                await connection.execute(text(f"SELECT pg_advisory_unlock({LOCK})"))
                await connection.commit()


def newest(service: str) -> str:
    """Returns the revision that this version's code knows."""
    return str(ScriptDirectory.from_config(config_for(service)).get_current_head())


async def revision(database: Database) -> str:
    """Returns the revision that a database has; empty where it has no schema yet."""
    async with database.connection() as connection:
        found = await connection.run_sync(lambda one: MigrationContext.configure(one).get_current_revision())
        await connection.rollback()
    return found or ""


async def wait_until_current(service: str, database: Database, every_s: float = 1.0) -> None:
    """Waits until somebody else has brought a database to the schema of this version, or of a later one."""
    known = {script.revision for script in ScriptDirectory.from_config(config_for(service)).walk_revisions()}
    while True:
        try:
            there = await revision(database)
        except (OSError, SQLAlchemyError) as error:
            log.info("the database does not answer yet", service=service, error=repr(error))
        else:
            if there == newest(service) or (there and there not in known):
                return
            log.info("the schema is not current yet; run `argosy migrate`", service=service, there=there, wanted=newest(service))
        await asyncio.sleep(every_s)


def _upgrade(connection: Connection, service: str) -> None:
    config = config_for(service)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def run_env(metadata: MetaData) -> None:
    """What every service's env.py calls."""
    connection: Any = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite")
    with context.begin_transaction():
        context.run_migrations()
