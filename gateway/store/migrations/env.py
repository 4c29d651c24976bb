"""Alembic's entry for the gateway."""

from chassis.runtime.migrations import run_env
from gateway.store.tables import METADATA

run_env(METADATA)
