"""Alembic's entry for fulfillment."""

from chassis.runtime.migrations import run_env
from services.fulfillment.store.tables import METADATA

run_env(METADATA)
