"""One suite for all tests of the contract over HTTP."""

from collections.abc import Iterator

import httpx
import pytest

from tests.background import Door, open_door
from tests.conftest import suite_settings


@pytest.fixture(scope="session")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with open_door(suite_settings(tmp_path_factory.mktemp("door"), "")) as found:
        yield found


@pytest.fixture
def http(door: Door) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=door.url, headers=door.headers, timeout=20) as client:
        yield client
