"""Alembic's entry for returns."""

from chassis.runtime.migrations import run_env
from services.returns.store.tables import METADATA

run_env(METADATA)
