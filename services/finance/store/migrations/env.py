"""Alembic's entry for finance."""

from chassis.runtime.migrations import run_env
from services.finance.store.tables import METADATA

run_env(METADATA)
