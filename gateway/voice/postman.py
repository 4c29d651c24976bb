"""Brings notices to customers, by one replica: words them, finds out whom to tell, and hands them over; again by a schedule."""

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import httpx
import msgspec
import structlog
from sqlalchemy import select

from argosy.gateway.v1 import notices_service_pb2
from chassis.kernel.clock import SECOND
from chassis.kernel.errors import InvalidArgument, Refusal
from chassis.runtime.channels import Channels
from chassis.runtime.component import Component
from chassis.runtime.host import wall_clock
from chassis.runtime.statements import NOW
from chassis.runtime.work import Cause, Work
from gateway.app.notice_routes import WEBHOOK, allows, load_routes
from gateway.app.notice_templates import Wordings, name_of
from gateway.app.notices import FAILED_HOLD
from gateway.store.tables import NOTICES
from gateway.voice.egress import Egress
from gateway.voice.facts import Asker, Known, facts_of
from gateway.voice.mail import Letter, Mail, Result
from gateway.voice.sender import next_attempt, signed_headers
from gateway.voice.wording import Words, choices, render

TIMEOUT_S = 15.0
AT_ONCE = 100
PENDING, SENT, SKIPPED, FAILED = (getattr(notices_service_pb2, f"NOTICE_STATE_{one}") for one in ("PENDING", "SENT", "SKIPPED", "FAILED"))
CAUSE = Cause("service:gateway", "notices", "notices")
DUE = select(NOTICES).where(NOTICES.c.due_at.is_not(None), NOTICES.c.due_at <= NOW).order_by(NOTICES.c.due_at).limit(AT_ONCE)
log = structlog.get_logger()


class Told(NamedTuple):
    """What came of a notice."""

    notice_id: str
    result: Result
    language: str = ""
    skipped: bool = False


class Ready(NamedTuple):
    """A notice that is worded."""

    row: Any
    route: Any
    known: Known
    words: Words


class Postman:
    """Sends what is due."""

    def __init__(self, component: Component, channels: Channels, egress: Egress, mail: Mail, link: Callable[[str], str]) -> None:
        self._component = component
        self._link = link
        self._asker = Asker(channels)
        self._egress = egress
        self._mail = mail
        self._dice = random.Random()  # noqa: S311 - it only spreads retries
        self._waiting = component.looks.add("notices", DUE)

    async def serve(self) -> None:
        """Works until cancelled."""
        async with self._egress.client(TIMEOUT_S) as client:
            while True:
                await self._waiting.wait()
                self._waiting.clear()
                try:
                    await self._look(client)
                except Exception as error:
                    log.warning("notices are looked for again", error=repr(error))

    async def _look(self, client: httpx.AsyncClient) -> None:
        async with self._component.database.read() as tx:
            due = await tx.read(DUE, {"now": wall_clock()})
        if not due or not await self._component.leases.hold("notices"):
            return
        if len(due) == AT_ONCE:
            self._waiting.set()
        async with self._component.leases.keeping("notices"):
            told, ready = await self._prepare(due)
            # A notice that was handed over and not recorded is handed over again: under the same Message-ID or webhook-id.
            told += await self._hand_over(client, ready)
            await self._component.writer.run(lambda work: self._record(work, told), CAUSE)

    async def _prepare(self, due: Sequence[Any]) -> tuple[list[Told], list[Ready]]:
        """Words notices. Those of channels that tell nothing any more, or of customers who left no address, are skipped."""
        async with self._component.database.read() as tx:
            routes = await load_routes(tx, {row.channel_id for row in due})
            wordings = await Wordings.load(tx, {row.channel_id for row in due})
        wanted = [row for row in due if allows(routes.get(row.channel_id), row.kind)]
        told = [Told(row.notice_id, Result("its channel tells customers nothing of it"), skipped=True) for row in due if row not in wanted]
        try:
            offered = [item_id for row in wanted if (item_id := json.loads(row.facts).get("item_id"))]
            known, refused = await self._asker.ask([row.order_id for row in wanted], offered)
        except Refusal as refusal:
            known, refused = {}, {row.order_id: refusal for row in wanted}
        ready = []
        for row in wanted:
            if row.order_id in refused:
                why = refused[row.order_id]
                told.append(Told(row.notice_id, Result(f"{why.reason}: {why.message}")))
                continue
            route, about = routes[row.channel_id], known[row.order_id]
            if not about.email and route.via != WEBHOOK:
                told.append(Told(row.notice_id, Result("the customer left no mail address"), skipped=True))
                continue
            chosen = wordings.choose(row.channel_id, row.kind, choices(about.order.language, route.language))
            facts = facts_of(row.kind, json.loads(row.facts), about, route.sender_name or row.channel_id, chosen.language, self._link)
            try:
                ready.append(Ready(row, route, about, render(chosen, facts)))
            except InvalidArgument as invalid:
                told.append(Told(row.notice_id, Result(invalid.message, never=True), chosen.language))
        return told, ready

    async def _hand_over(self, client: httpx.AsyncClient, ready: Sequence[Ready]) -> list[Told]:
        by_hook = [one for one in ready if one.route.via == WEBHOOK]
        by_mail = [one for one in ready if one.route.via != WEBHOOK]
        hooking = asyncio.gather(*(_call(client, one) for one in by_hook))
        mailed = await self._mail.send([_letter(one) for one in by_mail]) if by_mail else []
        results = zip([*by_mail, *by_hook], [*mailed, *await hooking], strict=True)
        return [Told(one.row.notice_id, result, one.words.language) for one, result in results]

    async def _record(self, work: Work, told: Sequence[Told]) -> None:
        keys = [(one.notice_id,) for one in told]
        rows = {row.notice_id: row for row in await work.tx.find(NOTICES, ("notice_id",), keys, order=("notice_id",), lock=True)}
        changes = []
        for one in told:
            if one.notice_id not in rows:
                continue
            row, state, due_at = rows[one.notice_id], PENDING, None
            attempts = row.attempts + 1
            if one.result.taken:
                state = SENT
            elif one.skipped:
                state = SKIPPED
            elif one.result.never or (due_at := next_attempt(attempts, work.now, 0, self._dice.random())) is None:
                state = FAILED
                text = f"the customer of order {row.order_id} could not be told: {one.result.text}; mend it and send it again, or call them"
                work.hold(FAILED_HOLD, "notice", row.notice_id, text)
            changes.append(
                {
                    "notice_id": row.notice_id, "state": state, "attempts": attempts, "due_at": due_at, "last_result": one.result.text,
                    "language": one.language, "sent_at": work.now if state == SENT else row.sent_at,
                }
            )  # fmt: skip
        await work.tx.change(NOTICES, ("notice_id",), changes)


def _letter(one: Ready) -> Letter:
    route = one.route
    return Letter(
        one.row.notice_id, route.sender, route.sender_name, route.reply_to, one.known.email, one.words.subject, one.words.text,
        one.words.html, one.words.language,
    )  # fmt: skip


async def _call(client: httpx.AsyncClient, one: Ready) -> Result:
    """Tells whoever tells customers for the channel, signed by Standard Webhooks."""
    now = wall_clock()
    moment = datetime.fromtimestamp(now // SECOND, UTC)
    body = msgspec.json.encode(
        {
            "type": f"notice.{name_of(one.row.kind)}", "timestamp": moment.isoformat().replace("+00:00", "Z"),
            "data": {
                "notice_id": one.row.notice_id, "order_id": one.row.order_id, "order_number": one.known.order.external_order_id,
                "channel_id": one.row.channel_id, "to": {"name": one.known.name, "email": one.known.email},
                "subject": one.words.subject, "text": one.words.text, "html": one.words.html, "language": one.words.language,
            },
        }
    ).decode()  # fmt: skip
    headers = signed_headers([one.route.secret], one.row.notice_id, body, now)
    try:
        async with asyncio.timeout(TIMEOUT_S), client.stream("POST", one.route.url, content=body.encode(), headers=headers) as answer:
            return Result(f"HTTP {answer.status_code}", taken=200 <= answer.status_code < 300)
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, TimeoutError, OSError) as error:
        return Result((str(error) or type(error).__name__)[:500])
