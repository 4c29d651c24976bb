"""Brings notifications to subscribers: signed by Standard Webhooks, again by a schedule, given up after the last attempt.

Every subscriber has a few places of their own, so that one who hangs holds up nobody else.
"""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import structlog
from sqlalchemy import select, update
from standardwebhooks import Webhook

from chassis.kernel.clock import DAY, HOUR, MINUTE, SECOND
from chassis.runtime.component import Component
from chassis.runtime.host import wall_clock
from chassis.runtime.statements import NOW
from chassis.runtime.work import Cause, HoldKind, Work
from gateway.app.notifications import DELIVERED, FAILED, PENDING, TELLING, stop_telling
from gateway.store.tables import ATTEMPTS, NOTIFICATIONS, SUBSCRIPTIONS
from gateway.voice.egress import Egress

TIMEOUT_S = 15.0
PLACES = 4
MOST_ANSWER = 500
RETRY_US = (5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
GIVE_UP_US = 5 * DAY
GONE_STATUS = 410
CAUSE = Cause("service:gateway", "notifications", "notifications")
FAILED_HOLD = HoldKind("NOTIFICATION_FAILED", "integration", 3600, "integration")
GONE_HOLD = HoldKind("SUBSCRIBER_GONE", "integration", 3600, "integration")
DUE = (
    select(NOTIFICATIONS.c.subscription_id)
    .where(NOTIFICATIONS.c.due_at.is_not(None), NOTIFICATIONS.c.due_at <= NOW)
    .distinct()
)  # fmt: skip
log = structlog.get_logger()


@dataclass(frozen=True)
class Tried:
    """What came of an attempt. `status` is 0 where there was no answer."""

    notification_id: str
    subscription_id: str
    at: int
    duration_ms: int
    status: int = 0
    error: str = ""
    answer: str = ""
    retry_after_s: int = 0

    @property
    def delivered(self) -> bool:
        """True where they took it."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """In words."""
        return self.error or f"HTTP {self.status}"


def next_attempt(attempts: int, now: int, retry_after_s: int, dice: float) -> int | None:
    """Returns when to try again after so many attempts, a tenth earlier or later by `dice` in 0…1; None after the last."""
    if attempts > len(RETRY_US):
        return None
    pause = RETRY_US[attempts - 1]
    return now + max(int(pause * (0.9 + 0.2 * dice)), min(retry_after_s * SECOND, DAY))


class Sender:
    """Sends what is due, by one replica."""

    def __init__(self, component: Component, egress: Egress) -> None:
        self._component = component
        self._egress = egress
        self._on_its_way: dict[str, set[str]] = defaultdict(set)
        self._tasks: set[asyncio.Task[None]] = set()
        self._dice = random.Random()  # noqa: S311 - it only spreads retries
        self._waiting = component.looks.add(TELLING, DUE)

    async def serve(self) -> None:
        """Works until cancelled."""
        async with self._egress.client(TIMEOUT_S) as client:
            try:
                while True:
                    await self._waiting.wait()
                    self._waiting.clear()
                    try:
                        await self._look(client)
                    except Exception as error:
                        log.warning("notifications are looked for again", error=repr(error))
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _look(self, client: httpx.AsyncClient) -> None:
        now = wall_clock()
        async with self._component.database.read() as tx:
            ids = [row.subscription_id for row in await tx.read(DUE, {"now": now})]
        ids = [one for one in ids if len(self._on_its_way[one]) < PLACES]
        if not ids or not await self._component.leases.hold("notifications"):
            return
        async with self._component.database.read() as tx:
            subscriptions = await tx.read(select(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.subscription_id.in_(ids)))
            for subscription in subscriptions:
                for row in await tx.read(self._due(subscription.subscription_id, now)):
                    self._begin(client, subscription, row)

    def _due(self, subscription_id: str, now: int) -> Any:
        busy = self._on_its_way[subscription_id]
        own = (NOTIFICATIONS.c.subscription_id == subscription_id, NOTIFICATIONS.c.due_at <= now)
        others = NOTIFICATIONS.c.notification_id.not_in(sorted(busy))
        return select(NOTIFICATIONS).where(*own, others).order_by(NOTIFICATIONS.c.due_at).limit(PLACES - len(busy))

    def _begin(self, client: httpx.AsyncClient, subscription: Any, row: Any) -> None:
        self._on_its_way[subscription.subscription_id].add(row.notification_id)
        task = asyncio.ensure_future(self._bring(client, subscription, row))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _bring(self, client: httpx.AsyncClient, subscription: Any, row: Any) -> None:
        try:
            tried = await self._attempt(client, subscription, row)
            await self._component.writer.run(lambda work: self._record(work, tried), CAUSE)
        except Exception as error:
            # What was brought and not recorded is brought again under the same webhook-id.
            log.warning("an attempt could not be recorded", notification=row.notification_id, error=repr(error))
        finally:
            self._on_its_way[subscription.subscription_id].discard(row.notification_id)
            self._waiting.set()

    async def _attempt(self, client: httpx.AsyncClient, subscription: Any, row: Any) -> Tried:
        now, started = wall_clock(), time.perf_counter()
        status, error, answer, retry_after_s = 0, "", "", 0
        try:
            async with asyncio.timeout(TIMEOUT_S):
                request = client.stream("POST", subscription.url, content=row.body.encode(), headers=_headers(subscription, row, now))
                async with request as response:
                    status, retry_after_s = response.status_code, _seconds(response.headers.get("retry-after", ""))
                    answer = await _beginning(response)
                    if 300 <= status < 400:
                        error = f"HTTP {status}: redirects are not followed"
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, TimeoutError, OSError) as failure:
            error = str(failure) or type(failure).__name__
        duration_ms = int((time.perf_counter() - started) * 1000)
        return Tried(
            row.notification_id, subscription.subscription_id, now, duration_ms, status, error[:MOST_ANSWER], answer, retry_after_s
        )

    async def _record(self, work: Work, tried: Tried) -> None:
        rows = await work.tx.read(select(NOTIFICATIONS).where(NOTIFICATIONS.c.notification_id == tried.notification_id).with_for_update())
        if not rows:
            return
        attempts = rows[0].attempts + 1
        log_row = {
            "notification_id": tried.notification_id, "at": tried.at, "status": tried.status, "duration_ms": tried.duration_ms,
            "error": tried.error, "answer": tried.answer,
        }  # fmt: skip
        await work.tx.insert(ATTEMPTS, [log_row], once=True)
        due_at = None if tried.delivered else next_attempt(attempts, work.now, tried.retry_after_s, self._dice.random())
        state = DELIVERED if tried.delivered else FAILED if due_at is None else PENDING
        change = update(NOTIFICATIONS).where(NOTIFICATIONS.c.notification_id == tried.notification_id)
        await work.tx.write(change.values(state=state, attempts=attempts, due_at=due_at, last_result=tried.text))
        await self._judge(work, tried, gave_up=state == FAILED)

    async def _judge(self, work: Work, tried: Tried, *, gave_up: bool) -> None:
        """Keeps how the subscriber does: one who is gone, or fails for days, is told nothing any more."""
        own = SUBSCRIPTIONS.c.subscription_id == tried.subscription_id
        subscription = (await work.tx.read(select(SUBSCRIPTIONS).where(own)))[0]
        if tried.delivered:
            if subscription.failing_since is not None:
                await work.tx.write(update(SUBSCRIPTIONS).where(own).values(failing_since=None))
            return
        since = subscription.failing_since or work.now
        if tried.status == GONE_STATUS or since < work.now - GIVE_UP_US:
            reason = "GONE" if tried.status == GONE_STATUS else "FAILING"
            await work.tx.write(update(SUBSCRIPTIONS).where(own).values(disabled_reason=reason, failing_since=since))
            await stop_telling(work, tried.subscription_id, f"the subscription was disabled: {reason}")
            await work.hold_once(
                GONE_HOLD, "subscription", tried.subscription_id, f"{subscription.url} was disabled: {reason}, {tried.text}"
            )
            return
        if subscription.failing_since is None:
            await work.tx.write(update(SUBSCRIPTIONS).where(own).values(failing_since=since))
        if gave_up:
            text = f"{subscription.url} could not be told, last: {tried.text}; replay what failed when they answer"
            await work.hold_once(FAILED_HOLD, "subscription", tried.subscription_id, text)


def _headers(subscription: Any, row: Any, now: int) -> dict[str, str]:
    secrets = [subscription.secret, *([subscription.previous_secret] if subscription.previous_until > now else [])]
    return signed_headers(secrets, row.notification_id, row.body, now)


def signed_headers(secrets: Sequence[str], identity: str, body: str, now: int) -> dict[str, str]:
    """Returns what a webhook is sent with: its id, and a signature by each secret (Standard Webhooks)."""
    moment = datetime.fromtimestamp(now // SECOND, UTC)
    signatures = [Webhook(secret).sign(identity, moment, body) for secret in secrets]
    return {
        "content-type": "application/json", "user-agent": "Argosy-Webhooks/1", "webhook-id": identity,
        "webhook-timestamp": str(now // SECOND), "webhook-signature": " ".join(signatures),
    }  # fmt: skip


async def _beginning(response: httpx.Response) -> str:
    """Returns the beginning of an answer, whatever it is; the rest is not read."""
    async for chunk in response.aiter_raw(MOST_ANSWER):
        return chunk[:MOST_ANSWER].decode("utf-8", errors="replace").replace("\x00", "�")
    return ""


def _seconds(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else 0
