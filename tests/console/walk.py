"""A person at a browser: walks pages, and takes down whatever they must not do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe

from tests.console.conftest import House

# Every page, or how to find one of its kind: a list, and the link to follow there.
PAGES: dict[str, tuple[str, str]] = {
    "overview": ("/console/", ""),
    "orders": ("/console/orders", ""),
    "order": ("/console/orders?status=5", "tbody td a"),
    "order on hold": ("/console/orders?status=3", "tbody td a"),
    "new order": ("/console/orders/new", ""),
    "holds": ("/console/holds", ""),
    "approvals": ("/console/approvals?all=1", ""),
    "planning": ("/console/planning?all=1", ""),
    "stock": ("/console/stock", ""),
    "value": ("/console/stock/value", ""),
    "item": ("/console/stock", "tbody td a"),
    "fulfilment": ("/console/fulfilment", ""),
    "fulfilment order": ("/console/fulfilment", "tbody td a"),
    "warehouse": ("/console/warehouse?location=BER", ""),
    "pick list": ("/console/warehouse?location=BER", "section:has(#h-lists) tbody td a"),
    "returns": ("/console/returns", ""),
    "return": ("/console/returns", "tbody td a"),
    "ledger": ("/console/ledger", ""),
    "account": ("/console/ledger", "tbody td a"),
    "entry": ("/console/ledger/accounts/4000", "tbody td a"),
    "rules": ("/console/rules", ""),
    "sourcing": ("/console/rules/sourcing", ""),
    "notices": ("/console/notices", ""),
    "integrations": ("/console/integrations", ""),
    "delivery": ("/console/integrations", "section:has(#h-deliveries) tbody td a"),
    "subscriber": ("/console/integrations", "section:has(#h-subs) tbody td a"),
    "notification": ("/console/integrations", "section:has(#h-subs) tbody td a >> tbody td a"),
}
LISTS = (
    "overview",
    "orders",
    "new order",
    "holds",
    "approvals",
    "planning",
    "stock",
    "value",
    "fulfilment",
    "warehouse",
    "returns",
    "ledger",
    "rules",
    "sourcing",
    "notices",
    "integrations",
)


class Person:
    """Somebody who is signed in, in a browser of their own."""

    def __init__(self, page: Any, house: House) -> None:
        self.page = page
        self.house = house
        self.wrong: list[str] = []
        own = urlsplit(house.door.url).netloc
        page.on("console", lambda message: self.wrong.append(f"console: {message.text}") if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (self.wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda asked: self.wrong.append(f"outside: {asked.url}") if urlsplit(asked.url).netloc != own else None)

    def go(self, path: str) -> int:
        """Opens a page and returns its status."""
        answer = self.page.goto(self.house.door.url + path)
        return int(answer.status)

    def open(self, name: str) -> int:
        """Opens a page by its name, following links where it has no address of its own."""
        path, links = PAGES[name]
        status = self.go(path)
        for link in links.split(" >> ") if links else ():
            status = self.go(str(self.page.locator(link).first.get_attribute("href")))
        return status

    def press(self, name: str, within: str = "body") -> int:
        """Presses a button and returns the status of the page that follows."""
        with self.page.expect_navigation():
            self.page.locator(within).get_by_role("button", name=name, exact=True).first.click()
        return int(self.page.evaluate("performance.getEntriesByType('navigation')[0].responseStatus"))

    def told(self) -> str:
        """Returns what the page says on top."""
        return str(self.page.locator(".notice").first.inner_text())

    def violations(self, rule: str = "") -> list[str]:
        """Returns what axe finds on this page, by one rule where it is named."""
        found = Axe().run(self.page, options={"runOnly": [rule]} if rule else None)
        return [f"{one['id']}: {node['html'][:120]}" for one in found.response["violations"] for node in one["nodes"][:2]]


@contextmanager
def person(browser: Any, house: House, user_id: str, *, dark: bool = False, width: int = 1380) -> Iterator[Person]:
    """Signs somebody in; nothing they must not do may have happened when they leave."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light")
    try:
        session = {"name": "argosy_session", "value": house.session(user_id), "domain": "127.0.0.1", "path": "/console"}
        context.add_cookies([session])
        found = Person(context.new_page(), house)
        found.go("/console/")
        yield found
        assert found.wrong == [], found.wrong
    finally:
        context.close()
