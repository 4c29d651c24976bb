"""Books events: one entry for each event and rule, many events in one set of statements."""

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from chassis.kernel.clock import day_of
from chassis.kernel.ids import new_id
from chassis.runtime.inbox import Received
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from services.finance.app.issue_invoices import issue_invoices
from services.finance.app.watch_shipments import note_parts
from services.finance.domain.posting import Rule, RuleLine, applies, post, rules_for
from services.finance.store.tables import ACCOUNT_DAYS, ENTRIES, ENTRY_LINES, POSTING_RULES

DOCUMENTS = ("document_id", "shipment_id", "refund_id", "tender_id", "order_id")


async def post_events(work: Work, events: Sequence[Received]) -> None:
    """Posts; raises PostingError or RuleError for an event that cannot be booked, which parks it."""
    rules = await load_rules(work.tx)
    entries: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    for event in events:
        facts = facts_of(event.message)
        for rule in rules_for(rules, event.message.DESCRIPTOR.name):
            if applies(rule, facts):
                _entry(work, event, rule, facts, entries, lines)
    await work.tx.insert(ENTRIES, entries)
    await work.tx.insert(ENTRY_LINES, lines)
    await _add_to_days(work, entries, lines)
    await note_parts(work, events)
    await issue_invoices(work, events)


async def load_rules(tx: Tx) -> list[Rule]:
    """Returns the active rules."""
    rows = await tx.read(select(POSTING_RULES).where(POSTING_RULES.c.active == 1).order_by(POSTING_RULES.c.rule_id))
    return [
        Rule(
            row.rule_id,
            row.version,
            row.event_type,
            row.condition,
            tuple(RuleLine(*line) for line in json.loads(row.lines)),
            row.entity or "entity",
        )
        for row in rows
    ]


def facts_of(message: Any) -> dict[str, int | str]:
    """Returns an event's plain fields, as rules see them."""
    return {
        field.name: getattr(message, field.name)
        for field in message.DESCRIPTOR.fields
        if not field.is_repeated and field.message_type is None
    }


def _entry(
    work: Work, event: Received, rule: Rule, facts: dict[str, Any], entries: list[dict[str, Any]], lines: list[dict[str, Any]]
) -> None:
    posted = post(rule, facts)
    if not posted:
        return
    entry_id = new_id()
    entries.append(
        {
            "entry_id": entry_id, "entity": facts[rule.entity], "currency_code": facts["currency_code"], "rule_id": rule.rule_id,
            "rule_version": rule.version, "event_id": event.id, "event_type": rule.event_type,
            "order_id": facts.get("order_id", ""), "posted_at": work.now,
            "document_id": next(str(facts[name]) for name in DOCUMENTS if facts.get(name)),
        }
    )  # fmt: skip
    for position, line in enumerate(posted):
        lines.append(
            {
                "entry_id": entry_id, "position": position, "account": line.account, "debit_minor": line.debit_minor,
                "credit_minor": line.credit_minor, "channel_id": facts.get("channel_id", ""),
                "location_id": line.location_id,
            }
        )  # fmt: skip


async def _add_to_days(work: Work, entries: Sequence[dict[str, Any]], lines: Sequence[dict[str, Any]]) -> None:
    owners = {entry["entry_id"]: entry for entry in entries}
    sums: defaultdict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0])
    for line in lines:
        entry = owners[line["entry_id"]]
        key = (entry["entity"], entry["currency_code"], line["account"], line["channel_id"], line["location_id"], day_of(work.now))
        sums[key][0] += line["debit_minor"]
        sums[key][1] += line["credit_minor"]
    names = ("entity", "currency_code", "account", "channel_id", "location_id", "day")
    rows = [{**dict(zip(names, key, strict=True)), "debit_minor": d, "credit_minor": c} for key, (d, c) in sorted(sums.items())]
    await work.tx.merge(ACCOUNT_DAYS, names, rows, add=("debit_minor", "credit_minor"))
