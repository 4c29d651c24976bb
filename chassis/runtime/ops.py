"""OpsService, the same in every service: dead events, replay, facts, audit.

`holds.py`, `approvals.py` and `jobs.py` have the others.
"""

from typing import Any

from google.protobuf.message import Message
from sqlalchemy import and_, delete, func, select, update

from argosy.ops.v1 import approvals_service_pb2, holds_service_pb2, jobs_service_pb2, ops_pb2, ops_service_pb2
from chassis.kernel.clock import SECOND, to_timestamp
from chassis.kernel.errors import NotFound
from chassis.runtime import audit
from chassis.runtime.contracts import event_type
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked, Read
from chassis.runtime.relay import Relay
from chassis.runtime.service import FindFacts, FoundFacts, Service
from chassis.runtime.tables import ChassisTables
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from chassis.runtime.writer import SetHandler, each

CONTRACTS = (
    ops_service_pb2.DESCRIPTOR.services_by_name["OpsService"],
    holds_service_pb2.DESCRIPTOR.services_by_name["HoldsService"],
    approvals_service_pb2.DESCRIPTOR.services_by_name["ApprovalsService"],
    jobs_service_pb2.DESCRIPTOR.services_by_name["JobsService"],
)
FACTS_PAGE = 20_000
EVENT_LIMIT_S = 60
UNSEALED_LIMIT_S = 10


class Ops:
    """Answers for one service about its own running."""

    def __init__(self, service: Service, relay: Relay, clock: Any) -> None:
        self._service = service
        self._tables: ChassisTables = service.tables
        self._relay = relay
        self._clock = clock
        self._facts: dict[str, list[FindFacts]] = {
            "P5": [self._sequences], "P6": [self._late_timers], "P8": [self._chain], "P9": [self._lags],
        }  # fmt: skip
        for check, find in service.facts.items():
            self._facts.setdefault(check, []).append(find)

    def writes(self) -> dict[str, SetHandler]:
        """The mutating rpcs."""
        return {
            "ReplayDeadEvent": each(self._replay_dead), "DiscardDeadEvent": each(self._discard_dead),
        }  # fmt: skip

    def reads(self) -> dict[str, Read]:
        """The queries."""
        return {
            "ListDeadEvents": self._list_dead, "ReplayEvents": self._replay, "GetFacts": self._get_facts,
            "VerifyAudit": self._verify, "ListAuditRows": self._list_audit,
        }  # fmt: skip

    async def _list_dead(self, asked: Asked) -> Message:
        table = self._tables.parked_events
        query = select(table).where(table.c.dead_at.is_not(None))
        rows, token = await page(asked.tx, query, [table.c.dead_at, table.c.event_id], asked.request)
        events = [
            ops_pb2.DeadEvent(
                consumer=self._service.name, event=ops_pb2.EventRecord.FromString(r.record), attempts=r.attempts, error=r.error
            )
            for r in rows
        ]
        return ops_service_pb2.ListDeadEventsResponse(events=events, next_page_token=token)

    async def _replay_dead(self, work: Work, request: ops_service_pb2.ReplayDeadEventRequest) -> Message:
        table = self._tables.parked_events
        dead = and_(table.c.event_id == request.event_id, table.c.dead_at.is_not(None))
        if not await work.tx.write(update(table).where(dead).values(dead_at=None, attempts=0, due_at=work.now, error="")):
            raise NotFound("NO_SUCH_DEAD_EVENT", "no dead event has this id", field="event_id")
        return ops_service_pb2.ReplayDeadEventResponse()

    async def _discard_dead(self, work: Work, request: ops_service_pb2.DiscardDeadEventRequest) -> Message:
        table, inbox = self._tables.parked_events, self._tables.inbox
        dead = and_(table.c.event_id == request.event_id, table.c.dead_at.is_not(None))
        rows = await work.tx.read(select(table).where(dead))
        if not rows:
            raise NotFound("NO_SUCH_DEAD_EVENT", "no dead event has this id", field="event_id")
        row = rows[0]
        key = {"producer": row.producer, "aggregate": row.aggregate, "aggregate_id": row.aggregate_id}
        known = await work.tx.find(inbox, tuple(key), [tuple(key.values())], lock=True)
        if not known or known[0].sequence < row.sequence:
            await work.tx.merge(inbox, tuple(key), [{**key, "sequence": row.sequence}])
        await work.tx.write(delete(table).where(table.c.event_id == row.event_id))
        return ops_service_pb2.DiscardDeadEventResponse()

    async def _replay(self, asked: Asked) -> Message:
        request = asked.request
        events, oldest = await self._relay.replay(request.aggregate, request.aggregate_id, request.from_sequence)
        return ops_service_pb2.ReplayEventsResponse(events=events, oldest_sequence=oldest)

    async def _get_facts(self, asked: Asked) -> Message:
        breaks: list[ops_pb2.Break] = []
        facts: list[ops_pb2.Fact] = []
        for find in self._facts.get(asked.request.check, ()):
            found_breaks, found_facts = await find(asked.tx, self._clock())
            breaks += found_breaks
            facts += found_facts
        start = int(asked.request.page_token or 0)
        following = str(start + FACTS_PAGE) if start + FACTS_PAGE < len(facts) else ""
        return ops_service_pb2.GetFactsResponse(
            breaks=[] if start else breaks, facts=facts[start : start + FACTS_PAGE], next_page_token=following
        )

    async def _sequences(self, tx: Tx, _: int) -> FoundFacts:
        """P5: what was said last of each aggregate, what was taken last, and what is parked."""
        heads, inbox, parked = self._tables.event_heads, self._tables.inbox, self._tables.parked_events
        facts = [
            ops_pb2.Fact(name=f"taken/{r.producer}/{r.aggregate}", key=r.aggregate_id, value=r.sequence)
            for r in await tx.read(select(inbox))
        ]
        facts += [
            ops_pb2.Fact(name=f"parked/{r.producer}/{r.aggregate}", key=r.aggregate_id, value=r.sequence)
            for r in await tx.read(select(parked).where(parked.c.dead_at.is_(None)))
        ]
        facts += [
            ops_pb2.Fact(name=f"listens/{kind.producer}/{kind.aggregate}", key="", value=1)
            for kind in {event_type(cls) for cls in self._service.reactions}
        ]
        facts += [
            ops_pb2.Fact(name=f"said/{self._service.name}/{r.aggregate}", key=r.aggregate_id, value=r.sequence)
            for r in await tx.read(select(heads))
        ]
        outbox = self._tables.outbox
        doubled = (
            select(heads.c.aggregate, heads.c.aggregate_id, heads.c.sequence, func.max(outbox.c.sequence).label("last"))
            .join(outbox, (outbox.c.aggregate == heads.c.aggregate) & (outbox.c.aggregate_id == heads.c.aggregate_id))
            .group_by(heads.c.aggregate, heads.c.aggregate_id, heads.c.sequence)
            .having(func.max(outbox.c.sequence) != heads.c.sequence)
        )
        breaks = [
            _break("P5", f"{r.aggregate} {r.aggregate_id}", f"its outbox ends at {r.last}, its head at {r.sequence}")
            for r in await tx.read(doubled)
        ]
        dead = await tx.read(select(parked).where(parked.c.dead_at.is_not(None)))
        breaks += [_break("P5", f"{r.aggregate} {r.aggregate_id}", f"event {r.event_id} is dead: {r.error}") for r in dead]
        return breaks, facts

    async def _late_timers(self, tx: Tx, now: int) -> FoundFacts:
        """P6: timers that should have gone off a minute ago."""
        timers = self._tables.timers
        late = await tx.read(select(timers).where(timers.c.due_at < now - EVENT_LIMIT_S * SECOND).limit(100))
        return [_break("P6", f"{r.process} {r.process_id}", f"timer {r.name} did not go off") for r in late], []

    async def _chain(self, tx: Tx, now: int) -> FoundFacts:
        """P8: the audit chain."""
        verified = await audit.verify(tx, self._tables)
        breaks = [_break("P8", "audit chain", verified.broken)] if verified.broken else []
        rows = self._tables.audit_rows
        oldest = (await tx.read(select(func.min(rows.c.at)).where(*self._tables.unsealed)))[0][0]
        if oldest is not None and oldest < now - UNSEALED_LIMIT_S * SECOND:
            breaks.append(_break("P8", "audit chain", f"{verified.unsealed} rows are unsealed for over {UNSEALED_LIMIT_S} s"))
        return breaks, [ops_pb2.Fact(name="unsealed", key=self._service.name, value=verified.unsealed)]

    async def _lags(self, tx: Tx, now: int) -> FoundFacts:
        """P9: what waits in the outbox, among the effects and parked, and for how long."""
        outbox, effects, parked = self._tables.outbox, self._tables.effects, self._tables.parked_events
        breaks, facts = [], []
        for name, moment, condition in (
            ("outbox", outbox.c.occurred_at, outbox.c.published_at.is_(None)),
            ("effects", effects.c.created_at, effects.c.effect_id > 0),
            ("parked", parked.c.parked_at, parked.c.dead_at.is_(None)),
        ):
            count, oldest = (await tx.read(select(func.count(), func.min(moment)).where(condition)))[0]
            facts.append(ops_pb2.Fact(name=name, key=self._service.name, value=count))
            if oldest is not None and oldest < now - EVENT_LIMIT_S * SECOND:
                breaks.append(_break("P9", name, f"{count} wait, the oldest for {(now - oldest) // SECOND} s"))
        return breaks, facts

    async def _verify(self, asked: Asked) -> Message:
        return await audit.verify(asked.tx, self._tables)

    async def _list_audit(self, asked: Asked) -> Message:
        table = self._tables.audit_rows
        batch = table.alias()
        columns = (*(table.c[name] for name in audit.FIELDS), batch.c.position, batch.c.hash)
        query = select(*columns).join_from(table, batch, batch.c.audit_id == func.coalesce(table.c.batch_id, table.c.audit_id))
        if asked.request.subject_id:
            query = query.where(table.c.subject_id == asked.request.subject_id)
        rows, token = await page(asked.tx, query, [table.c.audit_id], asked.request, descending=True)
        found = [
            ops_pb2.AuditRow(
                audit_id=r.audit_id, at=to_timestamp(r.at), actor=r.actor, action=r.action, subject_type=r.subject_type,
                subject_id=r.subject_id, reason=r.reason, detail=r.detail, position=r.position or 0, hash=r.hash or "",
            )
            for r in rows
        ]  # fmt: skip
        return ops_service_pb2.ListAuditRowsResponse(rows=found, next_page_token=token)


def _break(check: str, subject: str, detail: str) -> ops_pb2.Break:
    return ops_pb2.Break(check=check, subject=subject, detail=detail)
