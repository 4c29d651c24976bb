"""A visit: one request of a person, with the calls that are made as them, and the page that answers it."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from argosy.ops.v1.holds_service_pb2 import Hold
from chassis.kernel.errors import DeadlineExceeded, Kind, Refusal, Unavailable
from chassis.kernel.ids import new_id
from chassis.kernel.money import shown
from chassis.kernel.words import counted, share
from chassis.runtime.host import wall_clock
from chassis.runtime.writer import Principal
from gateway.calls import Calls
from gateway.console import show
from gateway.console.session import form_token
from gateway.console.ways_out import ways_out
from gateway.http.problem import status_of

ROWS = 50
CSV_ROWS = 500
NAV = (
    ("Overview", "/console/", ("orders.orders.read", "ops.proof.read")),
    ("Orders", "/console/orders", ("orders.orders.read",)),
    ("Holds", "/console/holds", ("ops.holds.read",)),
    ("Approvals", "/console/approvals", ("ops.approvals.read",)),
    ("Stock", "/console/stock", ("inventory.stock.read",)),
    ("Planning", "/console/planning", ("inventory.planning.read",)),
    ("Fulfilment", "/console/fulfilment", ("fulfillment.orders.read",)),
    ("Warehouse", "/console/warehouse", ("fulfillment.orders.read",)),
    ("Returns", "/console/returns", ("returns.returns.read",)),
    ("Ledger", "/console/ledger", ("finance.journal.read",)),
    ("Rules", "/console/rules", ("orders.rules.read",)),
    ("Notices", "/console/notices", ("gateway.notices.read",)),
    ("Integrations", "/console/integrations", ("gateway.deliveries.read", "gateway.connections.read", "ops.events.read")),
    ("People", "/console/people", ("gateway.users.read",)),
)
DONE = {
    "cancelled": "The cancellation is on its way; what is with a warehouse is asked back first.",
    "created": "The order was taken.",
    "paid": "The payment is added.",
    "offered": "The customer is asked, where the channel tells its customers.",
    "offer-withdrawn": "The offer is taken back.",
    "reached": "The customer is reached there from now on.",
    "changing": "The change is on its way; what is under way is had back first, and the story below says what became of it.",
    "claimed": "The hold is yours.",
    "released": "The hold is released; what it blocked goes on.",
    "snoozed": "The hold is put aside; it comes back by itself.",
    "releasing": "They are being released, one after the other; what cannot be stays here.",
    "received": "The goods are in.",
    "adjusted": "The balance was corrected.",
    "planning": "Planning has begun; look again in a moment.",
    "ordered": "The purchase orders are drafted; they are approved like any other.",
    "dismissed": "The proposal was dismissed; the next planning may propose again.",
    "drafted": "It is drafted; try it on past orders before you propose it.",
    "trying": "Past orders are being gone through again; look again in a moment.",
    "put-back": "What was in force before is in force again.",
    "answered": "The answer was recorded.",
    "picked": "The pick was recorded.",
    "shipped": "The parcel is on its way.",
    "packed": "The parcel is packed.",
    "label-asked": "The carrier is being asked; look again in a moment.",
    "unpacked": "The parcel is open again.",
    "wave-made": "The wave is made; its lists can be taken.",
    "wave-off": "The wave is called off; what it was for can be in another.",
    "put-away": "The goods are put away.",
    "list-taken": "The list is yours.",
    "authorised": "The return was opened.",
    "inspected": "The judgement was recorded; the refund follows by itself.",
    "called-off": "The return was called off.",
    "replayed": "It stands in front of its consumer again.",
    "discarded": "The event was given up.",
    "read-again": "The delivery will be read again.",
    "proved": "The suite was proved.",
    "reconciling": "The channel will be read back in a moment.",
    "telling": "The channel's customers are told from now on.",
    "worded": "These words are in force from now on.",
    "again": "It will be sent again in a moment.",
    "proposed": "It is not done yet: another person must approve it; it waits under Approvals.",
    "approved": "It was approved, and is done.",
    "rejected": "It was rejected; nothing was done.",
    "withdrawn": "The proposal was taken back.",
    "saved": "The person was saved; their sessions have ended.",
}


@dataclass(frozen=True)
class Notice:
    """What a person is told on top of a page."""

    tone: str
    title: str
    text: str
    field: str = ""


def templates() -> Environment:
    """Returns the templates; every value is escaped, and one that is missing is a defect."""
    loader = PackageLoader("gateway.console")
    environment = Environment(
        loader=loader, autoescape=select_autoescape(default=True), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(
        money=shown, moment=show.moment, machine_moment=show.machine_moment, name_of=show.name_of, words=show.words, tone=show.tone,
        brief=show.brief, span=show.span, share=share, counted=counted, until=show.until, new_id=new_id, ways_out=ways_out,
    )  # fmt: skip
    environment.filters.update(
        named=lambda options: [(value, show.words(name)) for value, name in options], pairs=lambda options: [(one, one) for one in options]
    )
    return environment


class Visit:
    """A request of a person who is signed in."""

    def __init__(
        self, request: Request, place: str, form: FormData, person: Principal, secret: str, calls: Calls, pages: Environment
    ) -> None:
        self.request = request
        # The path of the page that is shown, also where a form was sent elsewhere and is shown again.
        self.place = place
        # Whether what was sent was refused because somebody was faster.
        self.overtaken = False
        self.form = form
        self.person = person
        self.calls = calls
        self.now = wall_clock()
        self._secret = secret
        self._pages = pages
        self._silent: set[str] = set()

    @property
    def path(self) -> Mapping[str, str]:
        """What the path names."""
        return self.request.path_params

    def query(self, name: str) -> str:
        """Returns a filter out of the address; empty where it is not there."""
        return self.request.query_params.get(name, "").strip()

    def field(self, name: str) -> str:
        """Returns what was typed into a field; empty where nothing was."""
        value = self.form.get(name, "")
        return value.strip() if isinstance(value, str) else ""

    def again(self, form: str, **own: object) -> bool:
        """Says whether the form that goes to a step of the page, or to the page itself, is shown again as it was sent.

        Of many forms that go there, it is the one whose hidden fields are its `own`. Where somebody was faster, what stands now is
        shown instead.
        """
        sent = self.form and not self.overtaken and self.request.url.path == f"{self.place}/{form}".rstrip("/")
        return bool(sent) and all(self.field(key) == str(value) for key, value in own.items())

    def typed(self, form: str, name: str, otherwise: object = "", **own: object) -> str:
        """Returns what was typed into a field of a form that is shown again, else what stands."""
        return self.field(name) if self.again(form, **own) else str(otherwise)

    def given(self, name: str) -> str:
        """Returns what was typed, else what the address says."""
        return self.field(name) or self.query(name)

    def may(self, permission: str) -> bool:
        """Says whether a button is worth showing; the service judges when it is pressed."""
        return self.person.may(permission)

    def works_on(self, hold: Hold) -> bool:
        """Says whether a hold is for a role that the person has, or was before it escalated."""
        roles = [role for role in (hold.owner_role, hold.raised_for) if role]
        return self.may("ops.holds.release") and any(self.may(f"ops.holds.of.{role}") for role in roles)

    async def ask(self, rpc: Callable[..., Awaitable[Any]], message: Any) -> Any:
        """Calls a service as the person; raises a Refusal."""
        return await rpc(message, metadata=[("authorization", f"Bearer {self._secret}")])

    async def ask_if(self, permission: str, rpc: Callable[..., Awaitable[Any]], message: Any) -> Any:
        """Calls a service where the person may; None where they may not, and where it does not answer, which the page says."""
        return await self._heard(rpc, message) if self.may(permission) else None

    async def ask_each(self, asked: Mapping[str, tuple[Callable[..., Awaitable[Any]], Any]]) -> list[tuple[str, Any]]:
        """Calls several services; returns (service, answer) of those that answer, and the page says which do not."""
        answers = await asyncio.gather(*(self._heard(rpc, message) for rpc, message in asked.values()))
        return [(service, answer) for service, answer in zip(asked, answers, strict=True) if answer is not None]

    async def _heard(self, rpc: Callable[..., Awaitable[Any]], message: Any) -> Any:
        try:
            return await self.ask(rpc, message)
        except (Unavailable, DeadlineExceeded):
            # What every service can be asked names the one that it is for.
            self._silent.add(getattr(message, "service", "") or message.DESCRIPTOR.file.package.split(".")[1])
            return None

    def request_id(self) -> str:
        """Returns the name of the form that was sent: sent twice, it counts once."""
        return self.field("request_id") or new_id()

    def render(self, template: str, notice: Notice | None = None, status: int = 200, **context: Any) -> Response:
        """Returns a page."""
        nav = [(title, path) for title, path, permissions in NAV if any(self.may(one) for one in permissions)]
        here = next((path for _, path, _ in reversed(NAV) if self.request.url.path.startswith(path)), "")
        done = DONE.get(self.query("done"))
        given = {
            "visit": self, "nav": nav, "here": here, "csrf": form_token(self._secret), "now": self.now,
            "notice": notice or (Notice("good", "Done", done) if done else None), "silent": sorted(self._silent),
        }  # fmt: skip
        return HTMLResponse(self._pages.get_template(template).render({**given, **context}), status)

    def go(self, path: str, done: str) -> Response:
        """Returns the way to a page, which says what was done."""
        return RedirectResponse(f"{path}{'&' if '?' in path else '?'}{urlencode({'done': done})}", 303)

    def at(self, **changed: str) -> str:
        """Returns the address of the page with its filters, something of which is changed; what is changed to nothing is left out."""
        kept = [(k, v) for k, v in self.request.query_params.multi_items() if k not in ("done", *changed) and v]
        asked = [*kept, *((k, v) for k, v in changed.items() if v)]
        return f"{self.place}?{urlencode(asked)}" if asked else self.place

    def following(self, token: str) -> str:
        """Returns the address of the next page of a list; empty on the last."""
        return self.at(page=token) if token else ""

    def as_csv(self) -> str:
        """Returns the address of this list as CSV, with the same filters."""
        place, _, filters = self.at(page="").partition("?")
        return f"{place}.csv?{filters}"


Show = Callable[..., Awaitable[Response]]
Act = Callable[[Visit], Awaitable[Response]]


def refused(refusal: Refusal) -> tuple[Notice, int]:
    """Returns what a person is told of a refusal, and its HTTP status."""
    title = {"ABORTED": "Somebody was faster", "PERMISSION_DENIED": "You may not do this"}.get(refusal.kind.name, "That did not work")
    return Notice("bad", title, f"{refusal.message}", refusal.field), status_of(refusal)


def action(act: Act, page: Show) -> Act:
    """Makes a form's answer: where it is refused, the page is shown as it is by now, and says why."""

    async def answer(visit: Visit) -> Response:
        try:
            return await act(visit)
        except Refusal as refusal:
            notice, status = refused(refusal)
            visit.overtaken = refusal.kind is Kind.ABORTED
            return await page(visit, notice, status)

    return answer


async def pages_of(
    visit: Visit, rpc: Callable[..., Awaitable[Any]], message: Any, rows: Callable[[Any], Iterable[Any]]
) -> AsyncIterator[Any]:
    """Yields all rows of a list, page by page."""
    message.page_size = CSV_ROWS
    while True:
        answer = await visit.ask(rpc, message)
        for row in rows(answer):
            yield row
        if not answer.next_page_token:
            return
        message.page_token = answer.next_page_token


async def download(name: str, header: Sequence[str], rows: AsyncIterator[Sequence[Any]]) -> Response:
    """Returns rows as a CSV file while they are read; what goes wrong before the first is an answer of its own."""
    first = await anext(rows, None)

    async def lines() -> AsyncIterator[str]:
        yield _line(header)
        if first is not None:
            yield _line(first)
            async for row in rows:
                yield _line(row)

    disposition = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return StreamingResponse(lines(), headers=disposition, media_type="text/csv; charset=utf-8")


def _line(cells: Sequence[Any]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow([_cell(cell) for cell in cells])
    return out.getvalue()


def _cell(cell: Any) -> Any:
    """A text that a spreadsheet would take for a formula is marked as text."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
