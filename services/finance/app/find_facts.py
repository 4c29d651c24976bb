"""Finance's share of the proof: P3 by itself, and the balances that inventory and orders must agree with."""

from sqlalchemy import func, literal, select, union_all

from argosy.ops.v1 import ops_pb2
from chassis.runtime.service import FoundFacts
from chassis.runtime.tx import Tx
from services.finance.domain.chart import INVENTORY
from services.finance.store.tables import ACCOUNT_DAYS, ENTRIES, ENTRY_LINES

NET = ACCOUNT_DAYS.c.debit_minor - ACCOUNT_DAYS.c.credit_minor


async def entries(tx: Tx, now: int) -> FoundFacts:
    """P3: every entry balances, and the sums of days are those of the journal."""
    off = func.sum(ENTRY_LINES.c.debit_minor) - func.sum(ENTRY_LINES.c.credit_minor)
    query = select(ENTRY_LINES.c.entry_id, off.label("off")).group_by(ENTRY_LINES.c.entry_id).having(off != 0)
    breaks = [_break("P3", f"entry {r.entry_id}", f"debit and credit differ by {r.off}") for r in await tx.read(query.limit(100))]
    net = (ENTRY_LINES.c.debit_minor - ENTRY_LINES.c.credit_minor).label("net")
    owner = ENTRIES.c.entry_id == ENTRY_LINES.c.entry_id
    sides = [
        select(ENTRIES.c.entity, ENTRIES.c.currency_code, ENTRY_LINES.c.account, net).join(ENTRIES, owner),
        select(ACCOUNT_DAYS.c.entity, ACCOUNT_DAYS.c.currency_code, ACCOUNT_DAYS.c.account, (NET * literal(-1)).label("net")),
    ]
    both = union_all(*sides).subquery("both")
    keys = (both.c.entity, both.c.currency_code, both.c.account)
    total = func.sum(both.c.net)
    for row in await tx.read(select(*keys, total.label("off")).group_by(*keys).having(total != 0).limit(100)):
        breaks.append(
            _break("P3", f"account {row.account} of {row.entity}", f"journal and balances differ by {row.off} {row.currency_code}")
        )
    return breaks, []


async def inventory(tx: Tx, now: int) -> FoundFacts:
    """P4: the inventory accounts by location."""
    keys = (ACCOUNT_DAYS.c.location_id, ACCOUNT_DAYS.c.currency_code)
    query = select(*keys, func.sum(NET)).where(ACCOUNT_DAYS.c.account.in_(INVENTORY)).group_by(*keys)
    return [], [ops_pb2.Fact(name="booked", key=f"{place}/{currency}", value=int(net)) for place, currency, net in await tx.read(query)]


async def money(tx: Tx, now: int) -> FoundFacts:
    """P7: customer deposits and receivables by entity."""
    facts = []
    for name, account, sign in (("booked_deposits", "2100", -1), ("booked_receivable", "1200", 1)):
        keys = (ACCOUNT_DAYS.c.entity, ACCOUNT_DAYS.c.currency_code)
        query = select(*keys, func.sum(NET)).where(ACCOUNT_DAYS.c.account == account).group_by(*keys)
        facts += [
            ops_pb2.Fact(name=name, key=f"{entity}/{currency}", value=sign * int(net)) for entity, currency, net in await tx.read(query)
        ]
    return [], facts


def _break(check: str, subject: str, detail: str) -> ops_pb2.Break:
    return ops_pb2.Break(check=check, subject=subject, detail=detail)
