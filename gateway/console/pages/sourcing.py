"""Sourcing: the policies by which orders are shipped from somewhere; one is changed, tried on past days, proposed, and put back."""

import asyncio

from starlette.responses import Response

from argosy.fulfillment.v1 import sourcing_service_pb2
from argosy.ops.v1 import jobs_service_pb2
from chassis.kernel.errors import InvalidArgument
from gateway.console import show
from gateway.console.visit import ROWS, Notice, Visit, action

KIND = "fulfillment.replay"
HERE = "/console/rules/sourcing"
DAYS = 28
WEIGHTS = ("handling_minor", "split_penalty_minor", "late_day_minor", "balance_minor", "capacity_minor")


async def page(visit: Visit, notice: Notice | None = None, status: int = 200) -> Response:
    """Shows a policy, the one in force where none is named, what came of replaying it, and all policies."""
    calls, wanted = visit.calls.sourcing, show.choice(visit.given("version"), "version")
    jobs = jobs_service_pb2.ListJobsRequest(service="fulfillment", kind=KIND, page_size=1)
    policies, one, names, last = await asyncio.gather(
        visit.ask(calls.ListPolicies, sourcing_service_pb2.ListPoliciesRequest(page_size=ROWS, page_token=visit.query("page"))),
        visit.ask(calls.GetPolicy, sourcing_service_pb2.GetPolicyRequest(version=wanted)),
        visit.ask(calls.GetSourcingVocabulary, sourcing_service_pb2.GetSourcingVocabularyRequest()),
        visit.ask_if("ops.jobs.read", visit.calls.jobs("fulfillment").ListJobs, jobs),
    )
    ways = list(one.strategies)
    place = next((index for index, way in enumerate(ways) if way.name == visit.query("strategy")), len(ways))
    empty = sourcing_service_pb2.Strategy(most_locations=1)
    without = next((rule for rule in one.exclusions if rule.name == visit.query("exclusion")), sourcing_service_pb2.Exclusion())
    return visit.render(
        "sourcing.html", notice, status, policies=policies.policies, following=visit.following(policies.next_page_token), policy=one,
        chosen=ways[place] if place < len(ways) else empty, place=place + 1, without=without, facts=names.facts, days=DAYS,
        weights=WEIGHTS, job=last.jobs[0] if last is not None and last.jobs else None, running=jobs_service_pb2.JOB_STATUS_RUNNING,
        Status=sourcing_service_pb2.PolicyStatus, Job=jobs_service_pb2.JobStatus,
    )  # fmt: skip


async def _draft(visit: Visit) -> Response:
    """Drafts a policy that is the one shown but for one thing: a strategy, an exclusion, or what counts against a plan."""
    wanted = sourcing_service_pb2.GetPolicyRequest(version=show.choice(visit.field("version"), "version"))
    base = await visit.ask(visit.calls.sourcing.GetPolicy, wanted)
    strategies, exclusions = list(base.strategies), {rule.name: rule for rule in base.exclusions}
    weights = sourcing_service_pb2.Weights()
    weights.CopyFrom(base.weights)
    match visit.field("what"):
        case "strategy":
            _change_strategies(visit, strategies)
        case "exclusion":
            _change_exclusions(visit, exclusions)
        case _:
            for name in WEIGHTS:
                setattr(weights, name, show.whole(visit.field(name), name))
    request = sourcing_service_pb2.DraftPolicyRequest(
        request_id=visit.request_id(), strategies=strategies, exclusions=exclusions.values(), weights=weights, reason=visit.field("why")
    )
    made = await visit.ask(visit.calls.sourcing.DraftPolicy, request)
    return visit.go(f"{HERE}?version={made.version}", "drafted")


def _change_strategies(visit: Visit, strategies: list[sourcing_service_pb2.Strategy]) -> None:
    name = visit.field("name")
    others = [one for one in strategies if one.name != name]
    if visit.field("step") == "remove":
        if len(others) == len(strategies):
            raise InvalidArgument("INVALID_FIELD", f"there is no strategy {name!r} to leave out", field="name")
    else:
        made = sourcing_service_pb2.Strategy(
            name=name, condition=visit.field("condition"), most_locations=show.choice(visit.field("most"), "most"),
            location_ids=[one.strip() for one in visit.field("locations").split(",") if one.strip()],
            ship_complete=visit.field("complete") == "1",
        )  # fmt: skip
        others.insert(max(0, show.choice(visit.field("place"), "place") - 1), made)
    strategies[:] = others


def _change_exclusions(visit: Visit, exclusions: dict[str, sourcing_service_pb2.Exclusion]) -> None:
    name = visit.field("name")
    if visit.field("step") != "remove":
        exclusions[name] = sourcing_service_pb2.Exclusion(name=name, condition=visit.field("condition"))
    elif exclusions.pop(name, None) is None:
        raise InvalidArgument("INVALID_FIELD", f"there is no exclusion {name!r} to leave out", field="name")


async def _replay(visit: Visit) -> Response:
    version = show.choice(visit.field("version"), "version")
    request = sourcing_service_pb2.ReplayDaysRequest(
        request_id=visit.request_id(), version=version, days=show.choice(visit.field("days"), "days"),
        without_location_ids=[one.strip() for one in visit.field("without").split(",") if one.strip()],
    )  # fmt: skip
    await visit.ask(visit.calls.sourcing.ReplayDays, request)
    return visit.go(f"{HERE}?version={version}", "trying")


async def replay(visit: Visit) -> Response:
    """Shows what a replay has found."""
    found = await visit.ask(visit.calls.sourcing.GetReplay, sourcing_service_pb2.GetReplayRequest(job_id=visit.path["job_id"]))
    return visit.render("replay.html", replay=found)


async def _propose(visit: Visit) -> Response:
    version = show.choice(visit.field("version"), "version")
    request = sourcing_service_pb2.ActivatePolicyRequest(request_id=visit.request_id(), version=version, reason=visit.field("why"))
    await visit.ask(visit.calls.sourcing.ActivatePolicy, request)
    return visit.go(f"{HERE}?version={version}", "proposed")


async def _put_back(visit: Visit) -> Response:
    request = sourcing_service_pb2.RollBackPolicyRequest(request_id=visit.request_id(), reason=visit.field("why"))
    made = await visit.ask(visit.calls.sourcing.RollBackPolicy, request)
    return visit.go(f"{HERE}?version={made.version}", "put-back")


draft = action(_draft, page)
try_it = action(_replay, page)
propose = action(_propose, page)
put_back = action(_put_back, page)
