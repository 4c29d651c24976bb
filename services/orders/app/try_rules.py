"""DryRunRuleSet, and the job it starts: judges the orders of the last days again by a set, and says what would have changed.

Each order is judged by what was known of it when it was judged: what customers owed then, what the channel charged then.
"""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from google.protobuf.json_format import MessageToJson
from sqlalchemy import func, select

from argosy.ops.v1 import jobs_service_pb2
from argosy.orders.v1 import rules_service_pb2
from chassis.kernel.clock import DAY, to_timestamp
from chassis.kernel.ids import least_id
from chassis.runtime.jobs import Job, JobKind, Reading, Result, Step, start_job
from chassis.runtime.versions import VERSION
from chassis.runtime.work import Work
from services.orders.app.judge_orders import rules_in
from services.orders.app.rule_sets import SETS, found_of
from services.orders.domain.rules import Comparison, Judgement, Rule, compare, judge, unknown_to
from services.orders.store.tables import JUDGEMENTS, RULE_SETS

DAYS = 28
CHUNK = 500
SHOWN = 50


async def dry_run_rule_set(work: Work, request: rules_service_pb2.DryRunRuleSetRequest) -> jobs_service_pb2.Job:
    """Refusals: NO_SUCH_RULE_SET."""
    await SETS.load(work.tx, request.version)
    days = request.days or DAYS
    since = least_id(work.now - days * DAY)
    state = {
        "version": request.version, "days": days, "after": since, "figures": None, "unknown": 0, "now": {}, "then": {}, "order_ids": [],
    }  # fmt: skip
    return await start_job(work, TRY, state)


async def _step(read: Reading, job: Job) -> Step:
    """The first step counts, each other one judges some hundreds of orders again."""
    state = job.state
    async with read() as tx:
        if state["figures"] is None:
            total = int((await tx.read(select(func.count()).where(JUDGEMENTS.c.judgement_id > state["after"])))[0][0])
            return Step({**state, "figures": [0] * len(Comparison._fields)}, total, 0)
        _, rules = await rules_in(tx, state["version"])
        later = JUDGEMENTS.c.judgement_id > state["after"]
        rows = await tx.read(select(JUDGEMENTS).where(later).order_by(JUDGEMENTS.c.judgement_id).limit(CHUNK))
    following, results = _judge_again(state, rows, rules)
    done, ended = job.done + len(rows), len(rows) < CHUNK

    async def write(work: Work) -> None:
        if ended:
            text = MessageToJson(_dry_run(following, done - following["unknown"], work.now), preserving_proto_field_name=True, indent=None)
            await work.tx.change(RULE_SETS, VERSION, [{"version": state["version"], "dry_run": text}])

    changed = following["figures"][Comparison._fields.index("changed")]
    judged = done - following["unknown"]
    message = f"{changed} of {judged} orders would have been judged otherwise" if ended else ""
    return Step(following, max(job.total, done), done, write=write, results=results, ended=ended, message=message)


TRY = JobKind("orders.try_rules", "Past orders judged by other rules", _step)


def _judge_again(state: dict[str, Any], rows: Sequence[Any], rules: list[Rule]) -> tuple[dict[str, Any], list[Result]]:
    figures, ids, results = list(state["figures"]), list(state["order_ids"]), []
    now_used, then_used = Counter(state["now"]), Counter(state["then"])
    unknown = state.get("unknown", 0)
    for row in rows:
        facts = json.loads(row.facts)
        if unknown_to(rules, facts):
            unknown += 1
            continue
        now, then = found_of(row), judge(rules, facts)
        compared = compare(now, then)
        figures = [total + one for total, one in zip(figures, compared, strict=True)]
        now_used.update({one.rule_id for one in now.found})
        then_used.update({one.rule_id for one in then.found})
        if compared.changed:
            results.append(Result(row.order_id, f"{_words(now)} → {_words(then)}"))
            ids = [*ids, row.order_id][:SHOWN]
    after = rows[-1].judgement_id if rows else state["after"]
    return {**state, "after": after, "figures": figures, "unknown": unknown, "now": now_used, "then": then_used, "order_ids": ids}, results


def _words(judgement: Judgement) -> str:
    reasons = sorted({one.reason for one in judgement.holds}) or ["free"]
    score = [f"score {judgement.fraud_score}"] if judgement.fraud_score else []
    return ", ".join([*reasons, *score, *judgement.hints])


def _dry_run(state: dict[str, Any], judged: int, now: int) -> rules_service_pb2.DryRun:
    names = sorted({*state["now"], *state["then"]})
    uses = [rules_service_pb2.RuleUse(rule_id=name, now=state["now"].get(name, 0), then=state["then"].get(name, 0)) for name in names]
    return rules_service_pb2.DryRun(
        days=state["days"], judged=judged, unknown=state["unknown"], rules=uses, order_ids=state["order_ids"], ended_at=to_timestamp(now),
        **dict(zip(Comparison._fields, state["figures"], strict=True)),
    )  # fmt: skip
