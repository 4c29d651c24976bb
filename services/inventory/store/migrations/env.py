"""Alembic's entry for inventory."""

from chassis.runtime.migrations import run_env
from services.inventory.store.tables import METADATA

run_env(METADATA)
