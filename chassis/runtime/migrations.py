"""Brings a service's database to the schema that its code knows. Each service has its own Alembic history."""

import importlib
from pathlib import Path
from typing import Any

from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, MetaData, text

from chassis.runtime.database import Database

LOCK = 7_102_026


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
