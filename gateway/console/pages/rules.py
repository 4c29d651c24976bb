"""Rules: the sets by which orders are held, scored and hinted at; one is changed, tried on past orders, proposed, and put back."""

import asyncio

from starlette.responses import Response

from argosy.ops.v1 import jobs_service_pb2
from argosy.orders.v1 import rules_service_pb2
from chassis.kernel.errors import InvalidArgument
from gateway.console import show
from gateway.console.visit import ROWS, Notice, Visit, action

KIND = "orders.try_rules"
HERE = "/console/rules"
DAYS = 28


async def page(visit: Visit, notice: Notice | None = None, status: int = 200) -> Response:
    """Shows a set, the one in force where none is named, what came of trying it, and all sets."""
    calls, wanted = visit.calls.rules, show.choice(visit.given("version"), "version")
    jobs = jobs_service_pb2.ListJobsRequest(service="orders", kind=KIND, page_size=1)
    sets, one, names, last = await asyncio.gather(
        visit.ask(calls.ListRuleSets, rules_service_pb2.ListRuleSetsRequest(page_size=ROWS, page_token=visit.query("page"))),
        visit.ask(calls.GetRuleSet, rules_service_pb2.GetRuleSetRequest(version=wanted)),
        visit.ask(calls.GetVocabulary, rules_service_pb2.GetVocabularyRequest()),
        visit.ask_if("ops.jobs.read", visit.calls.jobs("orders").ListJobs, jobs),
    )
    chosen = next((rule for rule in one.rules if rule.rule_id == visit.query("rule")), rules_service_pb2.Rule())
    return visit.render(
        "rules.html", notice, status, sets=sets.rule_sets, following=visit.following(sets.next_page_token), rule_set=one, chosen=chosen,
        facts=names.facts, job=last.jobs[0] if last is not None and last.jobs else None, running=jobs_service_pb2.JOB_STATUS_RUNNING,
        days=DAYS, Status=rules_service_pb2.RuleSetStatus, Action=rules_service_pb2.RuleAction, Job=jobs_service_pb2.JobStatus,
        actions=show.choices(rules_service_pb2.RuleAction),
    )  # fmt: skip


async def _draft(visit: Visit) -> Response:
    """Drafts a set that is the one shown but for one rule: changed, added or left out."""
    wanted = rules_service_pb2.GetRuleSetRequest(version=show.choice(visit.field("version"), "version"))
    base = await visit.ask(visit.calls.rules.GetRuleSet, wanted)
    rules = {rule.rule_id: rule for rule in base.rules}
    name = visit.field("rule_id")
    if visit.field("step") == "remove":
        if rules.pop(name, None) is None:
            raise InvalidArgument("INVALID_FIELD", f"set {base.version} has no rule {name!r} to leave out", field="rule_id")
    else:
        rules[name] = rules_service_pb2.Rule(
            rule_id=name, action=show.choice(visit.field("action"), "action"), reason=visit.field("reason").upper(),
            condition=visit.field("condition"), detail=visit.field("detail"), points=show.choice(visit.field("points"), "points"),
            hint=visit.field("hint"),
        )  # fmt: skip
    request = rules_service_pb2.DraftRuleSetRequest(request_id=visit.request_id(), rules=rules.values(), reason=visit.field("why"))
    made = await visit.ask(visit.calls.rules.DraftRuleSet, request)
    return visit.go(f"{HERE}?version={made.version}", "drafted")


async def _try(visit: Visit) -> Response:
    version = show.choice(visit.field("version"), "version")
    request = rules_service_pb2.DryRunRuleSetRequest(
        request_id=visit.request_id(), version=version, days=show.choice(visit.field("days"), "days")
    )
    await visit.ask(visit.calls.rules.DryRunRuleSet, request)
    return visit.go(f"{HERE}?version={version}", "trying")


async def _propose(visit: Visit) -> Response:
    version = show.choice(visit.field("version"), "version")
    request = rules_service_pb2.ActivateRuleSetRequest(request_id=visit.request_id(), version=version, reason=visit.field("why"))
    await visit.ask(visit.calls.rules.ActivateRuleSet, request)
    return visit.go(f"{HERE}?version={version}", "proposed")


async def _put_back(visit: Visit) -> Response:
    request = rules_service_pb2.RollBackRuleSetRequest(request_id=visit.request_id(), reason=visit.field("why"))
    made = await visit.ask(visit.calls.rules.RollBackRuleSet, request)
    return visit.go(f"{HERE}?version={made.version}", "put-back")


draft = action(_draft, page)
try_it = action(_try, page)
propose = action(_propose, page)
put_back = action(_put_back, page)
