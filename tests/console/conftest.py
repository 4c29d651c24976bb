"""Two houses for all pages, one with a day behind it and one empty, and a real browser where there is one."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from argosy.gateway.v1 import access_service_pb2
from chassis.kernel.ids import new_id
from gateway.app.prove import prove
from suite.tour import PEOPLE, Tour
from tests.background import Door, open_house
from tests.conftest import suite_settings
from tests.console.house import exhume, live_a_day

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PASSWORD = "a password of the tests"


@dataclass(frozen=True)
class House:
    """A suite, and the password of everybody in it."""

    door: Door
    password: str
    tour: Tour | None = None
    sessions: dict[str, str] = field(default_factory=dict)

    def session(self, user_id: str) -> str:
        """Returns somebody's session; they sign in once."""
        if user_id not in self.sessions:
            with httpx.Client(base_url=self.door.url, timeout=20) as client:
                answer = client.post("/console/sign-in", data={"user_id": user_id, "password": self.password})
                assert answer.status_code == 303, answer.text
                self.sessions[user_id] = client.cookies["argosy_session"]
        return self.sessions[user_id]

    @contextmanager
    def client(self, user_id: str) -> Iterator[httpx.Client]:
        """Gives a client that is signed in as somebody."""
        with httpx.Client(base_url=self.door.url, timeout=20, follow_redirects=True) as client:
            client.cookies.set("argosy_session", self.session(user_id), path="/console")
            yield client


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(suite_settings(tmp_path_factory.mktemp("house"), "")) as door:
        tour = door.run(live_a_day(door.suite))
        yield House(door, tour.password, tour)
        # Whatever was done on its pages, the books are what they must be.
        door.run(exhume(door.suite))
        assert door.run(prove(door.suite.channels, settled=True)).breaks == []


@pytest.fixture(scope="session")
def empty_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(suite_settings(tmp_path_factory.mktemp("empty"), "")) as door:
        for user_id, role in PEOPLE.items():
            request = access_service_pb2.SetUserRequest(request_id=new_id(), user_id=user_id, role=role, password=PASSWORD)
            door.run(door.calls.access.SetUser(request))
        yield House(door, PASSWORD)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """A browser for a module: its driver keeps an event loop going in this thread, which other tests could not live beside."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on the PATH")
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=[*arguments, "--disable-component-update"])
        yield found
        found.close()
