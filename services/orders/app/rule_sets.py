"""DraftRuleSet, ActivateRuleSet, RollBackRuleSet, and what is read of rule sets and of judgements."""

import json
from collections.abc import Sequence
from typing import Any

from google.protobuf.json_format import Parse
from sqlalchemy import select

from argosy.orders.v1 import rules_service_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import InvalidArgument, NotFound
from chassis.kernel.rules import RuleError
from chassis.runtime.approvals import ApprovalKind, Weight
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx
from chassis.runtime.versions import VERSION, Versions, shown
from chassis.runtime.work import Work
from services.orders.app.views import load, visible
from services.orders.domain.holds import REASONS
from services.orders.domain.rules import FACTS, Action, Found, Judgement, compiled
from services.orders.store.tables import CHASSIS, JUDGEMENTS, RULE_SETS, RULES

RuleSet = rules_service_pb2.RuleSet
CELLS = ("rule_id", "action", "reason", "condition", "detail", "points", "hint")


def _missing(version: int) -> NotFound:
    return NotFound("NO_SUCH_RULE_SET", f"there is no set {version}", field="version")


SETS = Versions(RULE_SETS, CHASSIS.approvals, _missing, "/v1/ruleSets/{version}:dryRun")


async def draft_rule_set(work: Work, request: rules_service_pb2.DraftRuleSetRequest) -> RuleSet:
    """Refusals: INVALID_FIELD, BAD_RULE."""
    rows = [_rule(index, rule) for index, rule in enumerate(request.rules)]
    names = [row["rule_id"] for row in rows]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise InvalidArgument("INVALID_FIELD", f"rules[{index}].rule_id: {name} is named twice", field=f"rules[{index}].rule_id")
    version = await SETS.draft(work, request.reason)
    await work.tx.insert(RULES, [{**row, "version": version, "active": 0} for row in rows])
    return await _shown(work.tx, version)


def _rule(index: int, rule: rules_service_pb2.Rule) -> dict[str, Any]:
    """Returns a rule's row; raises InvalidArgument for one that says too much, too little, or nothing that can be judged."""
    action = rule.action or rules_service_pb2.RULE_ACTION_HOLD

    def bad(name: str, text: str, reason: str = "INVALID_FIELD") -> InvalidArgument:
        field = f"rules[{index}].{name}"
        return InvalidArgument(reason, f"{field}: {text}", field=field)

    wanted = {Action.HOLD: "reason", Action.SCORE: "points", Action.HINT: "hint"}[Action(action)]
    for name in ("reason", "points", "hint"):
        if name == wanted and not getattr(rule, name):
            raise bad(name, f"say it, since the rule is a {Action(action).name.lower()}")
        if name != wanted and getattr(rule, name):
            raise bad(name, f"leave it out, since the rule is a {Action(action).name.lower()}")
    if rule.reason and rule.reason not in REASONS:
        raise bad("reason", f"{rule.reason} is no reason to hold an order; choose one of {', '.join(sorted(REASONS))}")
    try:
        compiled(rule.condition).needs_bool()
    except RuleError as error:
        raise bad("condition", str(error), "BAD_RULE") from error
    return {**{name: getattr(rule, name) for name in CELLS}, "action": int(action)}


async def activate_rule_set(work: Work, request: rules_service_pb2.ActivateRuleSetRequest) -> RuleSet:
    """One person is never enough. Refusals: NO_SUCH_RULE_SET, IN_FORCE, WAITS_ALREADY, NOT_TRIED."""
    row = await SETS.ready(work, request.version)
    run = Parse(row.dry_run, rules_service_pb2.DryRun())
    summary = (
        f"rules {row.version} ({row.reason}): of {run.judged} orders of {run.days} days, {run.newly_held} more would have been held, "
        f"{run.newly_free} fewer, {run.changed} judged otherwise. {request.reason}"
    )
    await SETS.propose(work, ACTIVATION, request, Weight("rules", str(row.version), summary, run.changed))
    return await _shown(work.tx, row.version)


async def carry_out(work: Work, request: rules_service_pb2.ActivateRuleSetRequest) -> RuleSet:
    """Puts a set in force instead of the one that is. Refusals: NO_SUCH_RULE_SET."""
    await SETS.put_in_force(work, request.version)
    return await _shown(work.tx, request.version)


ACTIVATION = ApprovalKind(
    "orders.rules", "Rules of orders, by how many orders of the dry run they judge otherwise", "orders.rules.activate",
    rules_service_pb2.ActivateRuleSetRequest, carry_out,
)  # fmt: skip


async def roll_back_rule_set(work: Work, request: rules_service_pb2.RollBackRuleSetRequest) -> RuleSet:
    """What is in force must be able to go at once, by one person. Refusals: NOTHING_BEFORE."""
    return await _shown(work.tx, await SETS.roll_back(work, "rules", request.reason))


async def get_rule_set(asked: Asked) -> RuleSet:
    """Refusals: NO_SUCH_RULE_SET."""
    return await _shown(asked.tx, asked.request.version or await SETS.active(asked.tx))


async def list_rule_sets(asked: Asked) -> rules_service_pb2.ListRuleSetsResponse:
    """Lists newest first."""
    rows, token = await page(asked.tx, select(RULE_SETS), [RULE_SETS.c.version], asked.request, descending=True)
    pending = await SETS.pending(asked.tx, rows)
    return rules_service_pb2.ListRuleSetsResponse(rule_sets=[_message(row, (), pending) for row in rows], next_page_token=token)


async def get_vocabulary(asked: Asked) -> rules_service_pb2.Vocabulary:
    """Returns all names, by what they are about."""
    del asked
    facts = [rules_service_pb2.FactName(name=fact.name, type=fact.kind, meaning=fact.meaning) for fact in FACTS]
    return rules_service_pb2.Vocabulary(facts=facts)


async def list_judgements(asked: Asked) -> rules_service_pb2.ListJudgementsResponse:
    """Lists newest first. Refusals: NO_SUCH_ORDER."""
    visible(asked, (await load(asked.tx, asked.request.order_id)).channel_id)
    query = select(JUDGEMENTS).where(JUDGEMENTS.c.order_id == asked.request.order_id)
    rows, token = await page(asked.tx, query, [JUDGEMENTS.c.judgement_id], asked.request, descending=True)
    return rules_service_pb2.ListJudgementsResponse(judgements=map(_judgement, rows), next_page_token=token)


async def _shown(tx: Tx, version: int) -> RuleSet:
    row = await SETS.load(tx, version)
    return _message(row, await tx.find(RULES, VERSION, [(version,)], order=("rule_id",)), await SETS.pending(tx, [row]))


def _message(row: Any, rules: Sequence[Any], pending: set[str]) -> RuleSet:
    dry_run = Parse(row.dry_run, rules_service_pb2.DryRun()) if row.dry_run else None
    own = [rules_service_pb2.Rule(**{name: getattr(rule, name) for name in CELLS}) for rule in rules]
    return RuleSet(**shown(row, pending), dry_run=dry_run, rules=own)


def found_of(row: Any) -> Judgement:
    """Returns a judgement as it was."""
    return Judgement([Found(*one) for one in json.loads(row.found)])


def _judgement(row: Any) -> rules_service_pb2.Judgement:
    judgement = found_of(row)
    return rules_service_pb2.Judgement(
        judgement_id=row.judgement_id, order_id=row.order_id, version=row.version, judged_at=to_timestamp(row.judged_at),
        facts={name: json.dumps(value) for name, value in json.loads(row.facts).items()}, fraud_score=judgement.fraud_score,
        rules=[rules_service_pb2.JudgedRule(**one._asdict()) for one in judgement.found],
    )  # fmt: skip
