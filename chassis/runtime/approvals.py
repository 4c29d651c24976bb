"""ApprovalsService, the same in every service: what is over a limit waits for another person.

A handler asks `need_approval` before it acts. What comes back is either nothing, and it acts, or the id of a proposal
that keeps the request as it was sent; the other person's yes carries it out in the same transaction, by the same code,
against the state of that moment. Small steps to one subject weigh together for a day, so that splitting helps nobody.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from sqlalchemy import func, select, update

from argosy.ops.v1 import approvals_service_pb2
from chassis.kernel.clock import DAY, to_timestamp
from chassis.kernel.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from chassis.kernel.ids import new_id
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked, Read
from chassis.runtime.tables import ChassisTables
from chassis.runtime.tx import gate
from chassis.runtime.work import Work
from chassis.runtime.writer import Call, SetHandler, each_call

PENDING = approvals_service_pb2.APPROVAL_STATUS_PENDING
OPEN_FOR = 14 * DAY
WEIGHED_FOR = DAY
NEVER_ALONE = -1


@dataclass(frozen=True)
class ApprovalKind:
    """An action that may need a second person: who may be that, and how it is carried out once they agree.

    `limit_minor` holds where no limit was set; -1 says that one person is never enough.
    """

    name: str
    title: str
    permission: str
    request: type[Message]
    carry_out: Callable[[Work, Any], Awaitable[Message]]
    limit_minor: int = NEVER_ALONE
    # True where the request holds personal data: it is kept until it is decided, and shown to nobody.
    personal: bool = False


@dataclass(frozen=True)
class Weight:
    """What an action weighs against its limit, and about what; minor units, or a count where there is no currency."""

    subject_type: str
    subject_id: str
    summary: str
    amount_minor: int = 0
    currency_code: str = ""


async def need_approval(work: Work, kind: ApprovalKind, request: Message, weight: Weight) -> str:
    """Returns the id of a proposal where the action is over its limit; otherwise notes its weight and returns nothing."""
    limit = await _limit(work, kind, weight.currency_code)
    # What another replica lets pass at this moment weighs too.
    await work.tx.close(gate("limit", kind.name, weight.subject_id, weight.currency_code))
    total = weight.amount_minor + await _used(work, kind, weight)
    if limit != NEVER_ALONE and total <= limit:
        if weight.amount_minor:
            use = {
                "kind": kind.name, "subject_id": weight.subject_id, "currency_code": weight.currency_code,
                "amount_minor": weight.amount_minor, "used_at": work.now,
            }  # fmt: skip
            await work.tx.insert(work.tables.limit_uses, [use])
        return ""
    row = {
        "approval_id": new_id(), "kind": kind.name, "subject_type": weight.subject_type, "subject_id": weight.subject_id,
        "summary": weight.summary, "amount_minor": total, "currency_code": weight.currency_code, "status": PENDING,
        "proposed_by": work.cause.actor, "proposed_at": work.now, "expires_at": work.now + OPEN_FOR, "decided_by": "",
        "decided_at": None, "note": "", "result_id": "", "request": request.SerializeToString(),
    }  # fmt: skip
    await work.tx.insert(work.tables.approvals, [row])
    return str(row["approval_id"])


async def _limit(work: Work, kind: ApprovalKind, currency_code: str) -> int:
    limits = work.tables.limits
    query = select(limits).where(limits.c.kind == kind.name, limits.c.currency_code.in_(("", currency_code)))
    rows = {row.currency_code: row.limit_minor for row in await work.tx.read(query)}
    return int(rows.get(currency_code, rows.get("", kind.limit_minor)))


async def _used(work: Work, kind: ApprovalKind, weight: Weight) -> int:
    uses = work.tables.limit_uses
    query = select(func.coalesce(func.sum(uses.c.amount_minor), 0)).where(
        uses.c.kind == kind.name, uses.c.subject_id == weight.subject_id, uses.c.currency_code == weight.currency_code,
        uses.c.used_at > work.now - WEIGHED_FOR,
    )  # fmt: skip
    return int((await work.tx.read(query))[0][0])


class Approvals:
    """Answers for one service's approvals."""

    def __init__(self, tables: ChassisTables, kinds: Sequence[ApprovalKind]) -> None:
        self._tables = tables
        self._kinds = {kind.name: kind for kind in kinds}

    def writes(self) -> dict[str, SetHandler]:
        """The mutating rpcs."""
        return {
            "DecideApproval": each_call(self._decide),
            "WithdrawApproval": each_call(self._withdraw),
            "SetLimit": each_call(self._set_limit),
        }

    def reads(self) -> dict[str, Read]:
        """The queries."""
        return {"ListApprovals": self._list, "ListLimits": self._list_limits}

    async def _decide(self, work: Work, call: Call) -> Message:
        """Refusals: NO_SUCH_APPROVAL, ALREADY_DECIDED, EXPIRED, NOT_PERMITTED, OWN_PROPOSAL, and those of the action itself."""
        request = call.request
        row = await self._open(work, request.approval_id)
        kind = self._kinds[row.kind]
        if not call.principal.may(kind.permission):
            raise PermissionDenied(
                "NOT_PERMITTED", f"to decide this, the permission {kind.permission} is needed", permission=kind.permission
            )
        if row.proposed_by == work.cause.actor:
            raise PermissionDenied("OWN_PROPOSAL", "whoever proposes cannot decide; ask somebody else")
        if row.expires_at < work.now:
            raise FailedPrecondition("EXPIRED", "nobody decided in time; propose it again", field="approval_id")
        decided = {"decided_by": work.cause.actor, "decided_at": work.now, "note": request.note}
        if not request.approve:
            return await self._close(work, row, status=approvals_service_pb2.APPROVAL_STATUS_REJECTED, **decided)
        result = await kind.carry_out(work, kind.request.FromString(row.request))
        result_id = next((str(value) for field, value in result.ListFields() if field.name.endswith("_id")), "")
        return await self._close(work, row, status=approvals_service_pb2.APPROVAL_STATUS_APPROVED, result_id=result_id, **decided)

    async def _withdraw(self, work: Work, call: Call) -> Message:
        """Refusals: NO_SUCH_APPROVAL, ALREADY_DECIDED, NOT_YOURS."""
        row = await self._open(work, call.request.approval_id)
        if row.proposed_by != work.cause.actor:
            raise PermissionDenied("NOT_YOURS", "only who proposed it can take it back; you can reject it")
        return await self._close(work, row, status=approvals_service_pb2.APPROVAL_STATUS_WITHDRAWN, decided_at=work.now)

    async def _open(self, work: Work, approval_id: str) -> Any:
        table = self._tables.approvals
        rows = await work.tx.read(select(table).where(table.c.approval_id == approval_id).with_for_update())
        if not rows:
            raise NotFound("NO_SUCH_APPROVAL", "no approval has this id", field="approval_id")
        if rows[0].status != PENDING:
            raise FailedPrecondition("ALREADY_DECIDED", "this was decided already", field="approval_id")
        return rows[0]

    async def _close(self, work: Work, row: Any, **values: Any) -> Message:
        table = self._tables.approvals
        await work.tx.write(update(table).where(table.c.approval_id == row.approval_id).values(**values))
        return self._message((await work.tx.read(select(table).where(table.c.approval_id == row.approval_id)))[0])

    async def _set_limit(self, work: Work, call: Call) -> Message:
        """Refusals: NO_SUCH_KIND."""
        request = call.request
        if request.kind not in self._kinds:
            raise InvalidArgument("NO_SUCH_KIND", f"kind: choose one of {', '.join(sorted(self._kinds))}", field="kind")
        row = {"kind": request.kind, "currency_code": request.currency_code, "limit_minor": request.limit_minor}
        await work.tx.merge(self._tables.limits, ("kind", "currency_code"), [row])
        return self._limit_message(self._kinds[request.kind], request.currency_code, request.limit_minor)

    async def _list(self, asked: Asked) -> Message:
        table, request = self._tables.approvals, asked.request
        query = select(table)
        for name in ("status", "kind", "subject_id"):
            if wanted := getattr(request, name):
                query = query.where(table.c[name] == wanted)
        rows, token = await page(asked.tx, query, [table.c.approval_id], request, descending=True)
        return approvals_service_pb2.ListApprovalsResponse(approvals=[self._message(row) for row in rows], next_page_token=token)

    async def _list_limits(self, asked: Asked) -> Message:
        rows = {(row.kind, row.currency_code): row.limit_minor for row in await asked.tx.read(select(self._tables.limits))}
        found = {**{(kind.name, ""): kind.limit_minor for kind in self._kinds.values()}, **rows}
        limits = [self._limit_message(self._kinds[name], currency, limit) for (name, currency), limit in sorted(found.items())]
        return approvals_service_pb2.ListLimitsResponse(limits=limits)

    def _limit_message(self, kind: ApprovalKind, currency_code: str, limit_minor: int) -> approvals_service_pb2.Limit:
        return approvals_service_pb2.Limit(
            kind=kind.name, title=kind.title, currency_code=currency_code, limit_minor=limit_minor, permission=kind.permission
        )

    def _message(self, row: Any) -> approvals_service_pb2.Approval:
        plain = (
            "approval_id", "kind", "subject_type", "subject_id", "summary", "amount_minor", "currency_code", "status",
            "proposed_by", "decided_by", "note", "result_id",
        )  # fmt: skip
        kind = self._kinds.get(row.kind)
        return approvals_service_pb2.Approval(
            **{name: getattr(row, name) for name in plain},
            request=row.request if kind is None or not kind.personal else b"",
            request_type=kind.request.DESCRIPTOR.full_name if kind is not None else "",
            proposed_at=to_timestamp(row.proposed_at), expires_at=to_timestamp(row.expires_at),
            decided_at=to_timestamp(row.decided_at) if row.decided_at is not None else None,
        )  # fmt: skip
