"""HoldsService, the same in every service: what waits for a person, how urgent it is, and how people work through it.

A hold is raised in the transaction that fails (`Work.hold`). Its queue may be set: who owns it, how soon it is due, in which
working time, and who owns it next where nobody resolves it. Holds are worked on by rank; many are released by a job. Whoever may
work on holds works on those of the roles that they have: `ops.holds.of.<role>`, of who owns a hold or did before it escalated.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from sqlalchemy import Select, and_, func, not_, or_, select, update

from argosy.ops.v1 import holds_service_pb2, jobs_service_pb2
from chassis.kernel.clock import DAY, HOUR, SECOND, from_timestamp, to_timestamp
from chassis.kernel.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from chassis.runtime.calendars import need_calendar
from chassis.runtime.jobs import Job, JobKind, Reading, Result, Step, start_job
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked, Read
from chassis.runtime.queues import from_row, load, moment_after, steps_of
from chassis.runtime.statements import NOW
from chassis.runtime.tables import ChassisTables
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from chassis.runtime.writer import Call, Principal, SetHandler, each, each_call

Hold = holds_service_pb2.Hold
OnReleased = Callable[[Work, Any], Awaitable[None]]
LONGEST_SNOOZE = 30 * DAY
TOGETHER = 100
EXAMPLES = 20
PLAIN = (
    "hold_id", "queue", "reason", "subject_type", "subject_id", "blocks", "detail", "owner_role", "owner", "resolution", "escalated",
    "value_minor", "currency_code", "rank", "raised_for",
)  # fmt: skip
MOMENTS = {
    "raised_at": "raised_at", "due_at": "due_at", "released_at": "released_at", "snoozed_until": "snoozed_until",
    "escalate_at": "escalates_at", "must_leave_by": "must_leave_by",
}  # fmt: skip


class Holds:
    """Answers for one service's holds."""

    def __init__(self, service: str, tables: ChassisTables, on_released: OnReleased | None, clock: Callable[[], int]) -> None:
        self._service = service
        self._tables = tables
        self._on_released = on_released
        self._clock = clock
        self.release_job = JobKind(f"{service}.release_holds", "Holds released together", self._release_some)

    def writes(self) -> dict[str, SetHandler]:
        """The mutating rpcs."""
        return {
            "ClaimHold": each_call(self._claim), "ReleaseHold": each_call(self._release), "SnoozeHold": each_call(self._snooze),
            "ReleaseHolds": each_call(self._release_together), "SetQueue": each(self._set_queue),
        }  # fmt: skip

    def reads(self) -> dict[str, Read]:
        """The queries."""
        return {
            "ListHolds": self._list, "GetHoldFigures": self._figures, "PreviewRelease": self._preview, "ListQueues": self._list_queues,
        }  # fmt: skip

    async def _list(self, asked: Asked) -> Message:
        table, request = self._tables.holds, asked.request
        query = select(table)
        if not request.include_released:
            query = query.where(*self._tables.open_holds)
        if not request.include_snoozed:
            query = query.where(self._awake())
        for name in ("queue", "reason", "subject_id", "owner_role", "owner"):
            if wanted := getattr(request, name):
                query = query.where(table.c[name] == wanted)
        rows, token = await page(asked.tx, query, [table.c.rank, table.c.hold_id], request)
        return holds_service_pb2.ListHoldsResponse(holds=map(_message, rows), next_page_token=token)

    def _awake(self) -> Any:
        snoozed = self._tables.holds.c.snoozed_until
        return or_(snoozed.is_(None), snoozed <= self._clock())

    async def _figures(self, asked: Asked) -> Message:
        holds, now = self._tables.holds, self._clock()
        bands = {
            "overdue": holds.c.due_at <= now,
            "within_hour": and_(holds.c.due_at > now, holds.c.due_at <= now + HOUR),
            "within_four_hours": and_(holds.c.due_at > now + HOUR, holds.c.due_at <= now + 4 * HOUR),
            "later": holds.c.due_at > now + 4 * HOUR,
            "snoozed": holds.c.snoozed_until > now,
        }
        # What was raised in a day is open, or was let go in it.
        in_day = {"raised": holds.c.raised_at > now - DAY}
        figures: dict[str, dict[str, Any]] = {}
        still_open = select(holds.c.queue, func.min(holds.c.raised_at).label("oldest"), *_counts(bands | in_day))
        for row in await asked.tx.read(still_open.where(*self._tables.open_holds).group_by(holds.c.queue)):
            figures[row.queue] = {name: int(getattr(row, name)) for name in bands}
            figures[row.queue].update(oldest_raised_at=to_timestamp(row.oldest), raised_in_day=int(row.raised))
        age = func.sum(holds.c.released_at - holds.c.raised_at).label("age")
        late = {"late": holds.c.released_at > holds.c.due_at}
        released = select(holds.c.queue, func.count().label("count"), age, *_counts(late | in_day)).where(holds.c.released_at > now - DAY)
        for row in await asked.tx.read(released.group_by(holds.c.queue)):
            mean = int(row.age) // int(row.count) // SECOND
            own = figures.setdefault(row.queue, {"raised_in_day": 0})
            own["raised_in_day"] += int(row.raised)
            own.update(released_in_day=row.count, late_in_day=int(row.late), mean_age_s=mean)
        queues = [holds_service_pb2.QueueFigures(queue=queue, **values) for queue, values in sorted(figures.items())]
        return holds_service_pb2.GetHoldFiguresResponse(queues=queues)

    async def _claim(self, work: Work, call: Call) -> Message:
        """Refusals: NO_SUCH_HOLD, NOT_YOURS, ALREADY_RELEASED, CLAIMED."""
        row = await self._open(work, call)
        if row.owner and row.owner != work.cause.actor:
            raise FailedPrecondition("CLAIMED", f"{row.owner} has claimed this hold; ask them to release it", owner=row.owner)
        return await self._change(work, row, owner=work.cause.actor)

    async def _snooze(self, work: Work, call: Call) -> Message:
        """Refusals: NO_SUCH_HOLD, NOT_YOURS, ALREADY_RELEASED, INVALID_FIELD."""
        request, row = call.request, await self._open(work, call)
        until = from_timestamp(request.until)
        if not work.now < until <= work.now + LONGEST_SNOOZE:
            raise InvalidArgument("INVALID_FIELD", "until: must be from now on, and at most 30 days away", field="until")
        work.note("hold", row.hold_id, reason=request.reason, detail=f"put aside until {request.until.ToJsonString()}")
        return await self._change(work, row, snoozed_until=until)

    async def _release(self, work: Work, call: Call) -> Message:
        """Refusals: NO_SUCH_HOLD, NOT_YOURS, ALREADY_RELEASED."""
        return await self._let_go(work, await self._open(work, call), call.request.resolution)

    async def _let_go(self, work: Work, row: Any, resolution: str) -> Hold:
        released = await self._change(work, row, released_at=work.now, resolution=resolution, owner=work.cause.actor)
        if self._on_released is not None:
            await self._on_released(work, await self._row(work, row.hold_id))
        return released

    async def _change(self, work: Work, row: Any, **values: Any) -> Hold:
        table = self._tables.holds
        await work.tx.write(update(table).where(table.c.hold_id == row.hold_id).values(**values))
        return _message(await self._row(work, row.hold_id))

    async def _open(self, work: Work, call: Call) -> Any:
        row = await self._row(work, call.request.hold_id)
        if not any(map(_of(call.principal), _owners(row))):
            text = f"it is for {' or '.join(_owners(row))}: ask them, or somebody who may work on all holds"
            raise PermissionDenied("NOT_YOURS", text, role=row.owner_role)
        if row.released_at is not None:
            raise FailedPrecondition("ALREADY_RELEASED", "this hold was released already", field="hold_id")
        return row

    async def _row(self, work: Work, hold_id: str) -> Any:
        rows = await work.tx.find(self._tables.holds, ("hold_id",), [(hold_id,)], lock=True)
        if not rows:
            raise NotFound("NO_SUCH_HOLD", "no hold has this id", field="hold_id")
        return rows[0]

    def _matching(self, asked: Any) -> Select[Any]:
        """SELECT the open holds that a request to release many names."""
        table = self._tables.holds
        query = select(table).where(*self._tables.open_holds)
        for name in ("queue", "reason"):
            if wanted := asked[name]:
                query = query.where(table.c[name] == wanted)
        return query.where(table.c.hold_id.in_(asked["hold_ids"])) if asked["hold_ids"] else query

    def _why_not(self, row: Any, actor: str, roles: Sequence[str], now: int) -> str:
        """Returns why a hold is not released with others; empty where it is."""
        if not any(role in roles for role in _owners(row)):
            return f"it is for {' or '.join(_owners(row))}"
        if row.owner and row.owner != actor:
            return f"{row.owner} has claimed it"
        if row.snoozed_until is not None and row.snoozed_until > now:
            return "it is put aside"
        return ""

    async def _preview(self, asked: Asked) -> Message:
        """Judges all that match, as the job will; counted where they lie, and only examples are read."""
        table, now, actor = self._tables.holds, self._clock(), asked.principal.account
        roles = await self._roles(asked.tx, asked.principal)
        claimed = and_(table.c.owner != "", table.c.owner != actor)
        others = and_(table.c.owner_role.not_in(roles), table.c.raised_for.not_in(roles))
        barred = or_(others, claimed, and_(table.c.snoozed_until.is_not(None), table.c.snoozed_until > now))
        matching = self._matching(_asked(asked.request))
        (counts,) = await asked.tx.read(matching.with_only_columns(func.count().label("found"), *_counts({"barred": barred})))
        examples = matching.order_by(table.c.rank, table.c.hold_id).limit(EXAMPLES)
        ineligible = int(counts.barred or 0)
        response = holds_service_pb2.PreviewReleaseResponse(releasable=counts.found - ineligible, ineligible=ineligible)
        response.examples.extend(map(_message, await asked.tx.read(examples.where(not_(barred)))))
        for row in await asked.tx.read(examples.where(barred)) if ineligible else ():
            response.ineligible_examples.add(hold=_message(row), why=self._why_not(row, actor, roles, now))
        return response

    async def _roles(self, tx: Tx, principal: Principal) -> list[str]:
        """Returns the roles whose holds somebody may work on, of those that have any."""
        table = self._tables.holds
        known: set[str] = set()
        for name in (table.c.owner_role, table.c.raised_for):
            known |= {row[0] for row in await tx.read(select(name).where(*self._tables.open_holds).distinct())}
        return sorted(filter(_of(principal), known))

    async def _release_together(self, work: Work, call: Call) -> jobs_service_pb2.Job:
        """Refusals: INVALID_FIELD."""
        request = call.request
        asked = _asked(request)
        if not any(asked.values()):
            raise InvalidArgument("INVALID_FIELD", "queue: name a queue, a reason or the holds; not all at once", field="queue")
        roles = await self._roles(work.tx, call.principal)
        return await start_job(work, self.release_job, {**asked, "resolution": request.resolution, "after": "", "roles": roles})

    async def _release_some(self, read: Reading, job: Job) -> Step:
        """Each step looks at some holds by id, and releases those that still wait and may be."""
        table, state = self._tables.holds, job.state
        matching = self._matching(state)
        async with read() as tx:
            total = job.total
            if not total:
                total = int((await tx.read(select(func.count()).select_from(matching.subquery())))[0][0])
            rows = await tx.read(matching.where(table.c.hold_id > state["after"]).order_by(table.c.hold_id).limit(TOGETHER))

        async def write(work: Work) -> Sequence[Result]:
            return [await self._release_one(work, row.hold_id, state) for row in rows]

        done, ended = job.done + len(rows), len(rows) < TOGETHER
        after = rows[-1].hold_id if rows else state["after"]
        message = f"{done} holds were looked at" if ended else ""
        return Step({**state, "after": after}, max(total, done), done, job.failed, write, ended=ended, message=message)

    async def _release_one(self, work: Work, hold_id: str, asked: Mapping[str, Any]) -> Result:
        row = await self._row(work, hold_id)
        about = f"{row.reason} of {row.subject_type} {row.subject_id}"
        if row.released_at is not None:
            return Result(hold_id, f"{about}: was released already", failed=True)
        # Jobs that were begun before roles were looked at name none.
        if why := self._why_not(row, work.cause.actor, asked.get("roles", _owners(row)), work.now):
            return Result(hold_id, f"{about}: {why}", failed=True)
        await self._let_go(work, row, asked["resolution"])
        return Result(hold_id, f"{about}: released")

    async def _set_queue(self, work: Work, request: holds_service_pb2.SetQueueRequest) -> Message:
        """Refusals: INVALID_FIELD."""
        if request.HasField("calendar"):
            need_calendar(request.calendar)
        late = [step.after_due_s for step in request.escalation]
        if late != sorted(late):
            raise InvalidArgument("INVALID_FIELD", "escalation: name the steps by time", field="escalation")
        queue = holds_service_pb2.Queue(
            service=self._service, queue=request.queue, owner_role=request.owner_role, due_s=request.due_s,
            calendar=request.calendar if request.HasField("calendar") else None, escalation=request.escalation,
        )  # fmt: skip
        body = MessageToJson(queue, preserving_proto_field_name=True, indent=None)
        await work.tx.merge(self._tables.queues, ("queue",), [{"queue": request.queue, "body": body}])
        return queue

    async def _list_queues(self, asked: Asked) -> Message:
        rows, token = await page(asked.tx, select(self._tables.queues), [self._tables.queues.c.queue], asked.request)
        return holds_service_pb2.ListQueuesResponse(queues=map(from_row, rows), next_page_token=token)

    def due_escalations(self) -> Select[Any]:
        """SELECT the holds that nobody resolved in time."""
        holds = self._tables.holds
        return select(holds.c.hold_id).where(*self._tables.open_holds, holds.c.escalate_at <= NOW)

    async def escalate(self, work: Work) -> None:
        """Gives holds that nobody resolved in time to whoever their queue says, step by step."""
        holds = self._tables.holds
        late = select(holds).where(*self._tables.open_holds, holds.c.escalate_at <= work.now)
        rows = await work.tx.read(late.order_by(holds.c.escalate_at, holds.c.hold_id).limit(TOGETHER).with_for_update())
        queues = await load(work.tx, self._tables, sorted({row.queue for row in rows}))
        changed = []
        for row in rows:
            queue = queues.get(row.queue, holds_service_pb2.Queue())
            steps = steps_of(queue)
            taken = row.escalated + 1
            following = moment_after(queue, row.due_at, steps[taken][0]) if taken < len(steps) else None
            owner_role = steps[min(row.escalated, len(steps) - 1)][1]
            changed.append({"hold_id": row.hold_id, "owner_role": owner_role, "escalated": taken, "escalate_at": following})
            work.note("hold", row.hold_id, reason="nobody resolved it in time", detail=f"step {taken}: {owner_role} owns it")
        await work.tx.change(holds, ("hold_id",), changed)


def _owners(row: Any) -> list[str]:
    """Returns the roles that may work on a hold: the one that owns it, and the one that did before it escalated."""
    return list(dict.fromkeys(role for role in (row.owner_role, row.raised_for) if role))


def _of(principal: Principal) -> Callable[[str], bool]:
    return lambda role: principal.may(f"ops.holds.of.{role}")


def _counts(conditions: dict[str, Any]) -> list[Any]:
    return [func.count().filter(condition).label(name) for name, condition in conditions.items()]


def _asked(request: Any) -> dict[str, Any]:
    return {"queue": request.queue, "reason": request.reason, "hold_ids": list(request.hold_ids)}


def _message(row: Any) -> Hold:
    values: dict[str, Any] = {name: getattr(row, name) for name in PLAIN}
    moments = {shown: getattr(row, name) for name, shown in MOMENTS.items()}
    values |= {name: to_timestamp(moment) for name, moment in moments.items() if moment is not None}
    return Hold(**values, rank_parts=_rank_parts(row))


def _rank_parts(row: Any) -> list[str]:
    leaves = row.must_leave_by is not None and row.must_leave_by < row.due_at
    moment = to_timestamp(row.must_leave_by if leaves else row.due_at).ToDatetime()
    parts = [f"{'must leave' if leaves else 'due'} by {moment:%Y-%m-%d %H:%M} UTC"]
    return [*parts, f"{row.value_minor} {row.currency_code} at stake, in minor units"] if row.value_minor else parts
