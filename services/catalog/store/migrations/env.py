"""Alembic's entry for catalog."""

from chassis.runtime.migrations import run_env
from services.catalog.store.tables import METADATA

run_env(METADATA)
