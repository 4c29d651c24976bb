"""Alembic's entry for orders."""

from chassis.runtime.migrations import run_env
from services.orders.store.tables import METADATA

run_env(METADATA)
