"""The queries of the books."""

from collections import defaultdict
from typing import Any

from sqlalchemy import and_, case, func, select

from argosy.finance.v1 import finance_service_pb2
from chassis.kernel.clock import is_day, to_timestamp
from chassis.kernel.errors import InvalidArgument, NotFound
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx
from services.finance.domain.chart import COST, FREIGHT, REVENUE
from services.finance.store.tables import ACCOUNT_DAYS, ACCOUNTS, ENTRIES, ENTRY_LINES, INVOICES

NET = ACCOUNT_DAYS.c.debit_minor - ACCOUNT_DAYS.c.credit_minor


async def list_accounts(asked: Asked) -> finance_service_pb2.ListAccountsResponse:
    """Lists by number."""
    rows = await asked.tx.read(select(ACCOUNTS).order_by(ACCOUNTS.c.code))
    return finance_service_pb2.ListAccountsResponse(accounts=[finance_service_pb2.Account(**row._mapping) for row in rows])


async def list_entries(asked: Asked) -> finance_service_pb2.ListEntriesResponse:
    """Lists newest first, with lines; entries of an account that another filter leaves out are missing from its pages."""
    query = select(ENTRIES)
    request = asked.request
    for name, wanted in (("order_id", request.order_id), ("document_id", request.document_id), ("event_id", request.event_id)):
        if wanted:
            query = query.where(ENTRIES.c[name] == wanted)
    if request.account:
        # The account's own index gives the page in order; a join would sort all that the account ever had.
        own = select(ENTRY_LINES.c.entry_id).where(ENTRY_LINES.c.account == request.account).distinct()
        ids, token = await page(asked.tx, own, [ENTRY_LINES.c.entry_id], request, descending=True)
        found = query.where(ENTRIES.c.entry_id.in_([row.entry_id for row in ids]))
        rows = await asked.tx.read(found.order_by(ENTRIES.c.entry_id.desc()))
    else:
        rows, token = await page(asked.tx, query, [ENTRIES.c.entry_id], request, descending=True)
    lines = await _lines(asked.tx, [row.entry_id for row in rows])
    entries = [_to_entry(row, lines[row.entry_id]) for row in rows]
    return finance_service_pb2.ListEntriesResponse(entries=entries, next_page_token=token)


async def get_entry(asked: Asked) -> finance_service_pb2.Entry:
    """Refusals: NO_SUCH_ENTRY."""
    rows = await asked.tx.read(select(ENTRIES).where(ENTRIES.c.entry_id == asked.request.entry_id))
    if not rows:
        raise NotFound("NO_SUCH_ENTRY", f"there is no entry {asked.request.entry_id}", field="entry_id")
    return _to_entry(rows[0], (await _lines(asked.tx, [rows[0].entry_id]))[rows[0].entry_id])


async def _lines(tx: Tx, ids: list[str]) -> dict[str, list[Any]]:
    query = select(ENTRY_LINES, ACCOUNTS.c.name).join(ACCOUNTS, ACCOUNTS.c.code == ENTRY_LINES.c.account)
    lines: dict[str, list[Any]] = defaultdict(list)
    for row in await tx.read(query.where(ENTRY_LINES.c.entry_id.in_(ids)).order_by(ENTRY_LINES.c.entry_id, ENTRY_LINES.c.position)):
        lines[row.entry_id].append(row)
    return lines


def _to_entry(row: Any, lines: list[Any]) -> finance_service_pb2.Entry:
    return finance_service_pb2.Entry(
        entry_id=row.entry_id, entity=row.entity, currency_code=row.currency_code, rule=f"{row.rule_id}@{row.rule_version}",
        event_id=row.event_id, event_type=row.event_type, order_id=row.order_id, document_id=row.document_id,
        lines=[
            finance_service_pb2.EntryLine(
                account=line.account, account_name=line.name, debit_minor=line.debit_minor, credit_minor=line.credit_minor,
                channel_id=line.channel_id, location_id=line.location_id,
            )
            for line in lines
        ],
        posted_at=to_timestamp(row.posted_at),
    )  # fmt: skip


async def get_trial_balance(asked: Asked) -> finance_service_pb2.TrialBalance:
    """Sums days, never entries. Refusals: INVALID_FIELD."""
    request, days = asked.request, ACCOUNT_DAYS
    if request.at_day and not is_day(request.at_day):
        raise InvalidArgument("INVALID_FIELD", f"at_day: {request.at_day} is no day", field="at_day")
    keys = (days.c.account, ACCOUNTS.c.name, days.c.entity, days.c.currency_code)
    query = select(*keys, func.sum(days.c.debit_minor).label("debit"), func.sum(days.c.credit_minor).label("credit"))
    query = query.join(ACCOUNTS, ACCOUNTS.c.code == days.c.account).group_by(*keys).order_by(*keys)
    if request.entity:
        query = query.where(days.c.entity == request.entity)
    if request.at_day:
        query = query.where(days.c.day <= request.at_day)
    return finance_service_pb2.TrialBalance(
        rows=[
            finance_service_pb2.TrialBalanceRow(
                account=row.account, account_name=row.name, entity=row.entity, currency_code=row.currency_code,
                debit_minor=int(row.debit), credit_minor=int(row.credit), balance_minor=int(row.debit) - int(row.credit),
            )
            for row in await asked.tx.read(query)
        ]
    )  # fmt: skip


async def get_margin(asked: Asked) -> finance_service_pb2.GetMarginResponse:
    """Sums revenue, cost and freight by channel."""
    days = ACCOUNT_DAYS

    def part(accounts: tuple[str, ...]) -> Any:
        return func.sum(case((days.c.account.in_(accounts), NET), else_=0))

    query = select(
        days.c.channel_id, days.c.currency_code, part(REVENUE).label("revenue"), part(COST).label("cost"), part(FREIGHT).label("freight")
    ).where(days.c.channel_id != "", days.c.account.in_((*REVENUE, *COST, *FREIGHT)))
    if asked.request.entity:
        query = query.where(days.c.entity == asked.request.entity)
    rows = await asked.tx.read(query.group_by(days.c.channel_id, days.c.currency_code).order_by(days.c.channel_id))
    return finance_service_pb2.GetMarginResponse(
        channels=[
            finance_service_pb2.ChannelMargin(
                channel_id=r.channel_id, currency_code=r.currency_code, revenue_minor=-int(r.revenue), cost_minor=int(r.cost),
                freight_minor=int(r.freight), margin_minor=-int(r.revenue) - int(r.cost) - int(r.freight),
            )
            for r in rows
        ]
    )  # fmt: skip


async def list_invoices(asked: Asked) -> finance_service_pb2.ListInvoicesResponse:
    """Lists newest first."""
    query = select(INVOICES)
    if asked.request.order_id:
        query = query.where(and_(INVOICES.c.order_id == asked.request.order_id))
    rows, token = await page(asked.tx, query, [INVOICES.c.invoice_id], asked.request, descending=True)
    invoices = [
        finance_service_pb2.Invoice(**{k: v for k, v in row._mapping.items() if k != "issued_at"}, issued_at=to_timestamp(row.issued_at))
        for row in rows
    ]
    return finance_service_pb2.ListInvoicesResponse(invoices=invoices, next_page_token=token)
