"""Empty databases to begin every run from."""

import asyncio
from pathlib import Path

import pytest

from chassis.runtime.settings import Settings
from suite.up import migrate_all
from tests.sim.world import SECRET


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Empty databases of all services."""
    folder = tmp_path_factory.mktemp("template")
    asyncio.run(migrate_all(Settings(data_dir=folder, service_secret=SECRET)))
    return folder
