"""Ledger: the trial balance, an account's entries, and an entry with what it came from."""

import asyncio

from starlette.responses import Response

from argosy.finance.v1 import finance_service_pb2
from chassis.kernel.errors import InvalidArgument
from gateway.console.visit import ROWS, Notice, Visit, refused


async def page(visit: Visit, notice: Notice | None = None, status: int = 200) -> Response:
    """Shows the trial balance at the end of a day, and the margin by channel."""
    rows, margins = [], []
    try:
        request = finance_service_pb2.GetTrialBalanceRequest(entity=visit.query("entity"), at_day=visit.query("day"))
        balance, margin = await asyncio.gather(
            visit.ask(visit.calls.finance.GetTrialBalance, request),
            visit.ask(visit.calls.finance.GetMargin, finance_service_pb2.GetMarginRequest(entity=visit.query("entity"))),
        )
        rows, margins = list(balance.rows), list(margin.channels)
    except InvalidArgument as refusal:
        notice, status = refused(refusal)
    sums: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        own = sums.setdefault((row.entity, row.currency_code), [0, 0])
        own[0] += row.debit_minor
        own[1] += row.credit_minor
    return visit.render("ledger.html", notice, status, rows=rows, margins=margins, sums=sums)


async def account(visit: Visit, notice: Notice | None = None, status: int = 200) -> Response:
    """Shows a page of the entries that touch an account, newest first."""
    code = visit.path["account"]
    request = finance_service_pb2.ListEntriesRequest(account=code, page_size=ROWS, page_token=visit.query("page"))
    entries, accounts = await asyncio.gather(
        visit.ask(visit.calls.finance.ListEntries, request),
        visit.ask(visit.calls.finance.ListAccounts, finance_service_pb2.ListAccountsRequest()),
    )
    found = next((one for one in accounts.accounts if one.code == code), None)
    return visit.render(
        "account.html", notice, status, account=found, code=code, entries=entries.entries,
        following=visit.following(entries.next_page_token),
    )  # fmt: skip


async def entry(visit: Visit, notice: Notice | None = None, status: int = 200) -> Response:
    """Shows an entry, the event and the document that it came from, and what else they made."""
    request = finance_service_pb2.GetEntryRequest(entry_id=visit.path["entry_id"])
    found = await visit.ask(visit.calls.finance.GetEntry, request)
    beside = []
    if found.document_id:
        asked = finance_service_pb2.ListEntriesRequest(document_id=found.document_id)
        answer = await visit.ask(visit.calls.finance.ListEntries, asked)
        beside = [one for one in answer.entries if one.entry_id != found.entry_id]
    return visit.render("entry.html", notice, status, entry=found, beside=beside)
