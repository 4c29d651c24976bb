"""DraftPolicy, ActivatePolicy, RollBackPolicy, and what is read of sourcing policies."""

import json
from collections.abc import Callable
from typing import Any

from google.protobuf.json_format import Parse
from sqlalchemy import select

from argosy.fulfillment.v1 import sourcing_service_pb2
from chassis.kernel.errors import InvalidArgument, NotFound
from chassis.kernel.rules import RuleError
from chassis.runtime.approvals import ApprovalKind, Weight
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx
from chassis.runtime.versions import Versions, shown
from chassis.runtime.work import Work
from services.fulfillment.app.world import WEIGHTS
from services.fulfillment.domain.policy import FACTS, compiled
from services.fulfillment.store.tables import CHASSIS, POLICY_VERSIONS

SourcingPolicy = sourcing_service_pb2.SourcingPolicy


def _missing(version: int) -> NotFound:
    return NotFound("NO_SUCH_POLICY", f"there is no policy {version}", field="version")


SETS = Versions(POLICY_VERSIONS, CHASSIS.approvals, _missing, "/v1/sourcingPolicies/{version}:replay")


async def draft_policy(work: Work, request: sourcing_service_pb2.DraftPolicyRequest) -> SourcingPolicy:
    """Refusals: INVALID_FIELD, BAD_RULE."""
    _need_names("strategies", request.strategies)
    _need_names("exclusions", request.exclusions)
    for index, strategy in enumerate(request.strategies):
        if strategy.most_locations < 1:
            field = f"strategies[{index}].most_locations"
            raise InvalidArgument("INVALID_FIELD", f"{field}: at least one location must ship", field=field)
        if strategy.condition:
            _need_condition(f"strategies[{index}].condition", strategy.condition, of_location=False)
    for index, exclusion in enumerate(request.exclusions):
        _need_condition(f"exclusions[{index}].condition", exclusion.condition, of_location=True)
    body = {
        "strategies": [
            {
                "name": one.name, "condition": one.condition, "location_ids": sorted(set(one.location_ids)),
                "most_locations": one.most_locations, "ship_complete": one.ship_complete,
            }
            for one in request.strategies
        ],
        "exclusions": [{"name": one.name, "condition": one.condition} for one in request.exclusions],
        "weights": {name: getattr(request.weights, name) for name in WEIGHTS},
    }  # fmt: skip
    return await _shown(work.tx, await SETS.draft(work, request.reason, body=json.dumps(body)))


def _need_names(name: str, given: Any) -> None:
    names = [one.name for one in given]
    for index, one in enumerate(names):
        if one in names[:index]:
            field = f"{name}[{index}].name"
            raise InvalidArgument("INVALID_FIELD", f"{field}: {one} is named twice", field=field)


def _need_condition(field: str, text: str, *, of_location: bool) -> None:
    try:
        compiled(text, of_location=of_location).needs_bool()
    except RuleError as error:
        raise InvalidArgument("BAD_RULE", f"{field}: {error}", field=field) from error


async def activate_policy(work: Work, request: sourcing_service_pb2.ActivatePolicyRequest) -> SourcingPolicy:
    """One person is never enough. Refusals: NO_SUCH_POLICY, IN_FORCE, WAITS_ALREADY, NOT_TRIED."""
    row = await SETS.ready(work, request.version)
    run = Parse(row.dry_run, sourcing_service_pb2.Replay())
    summary = (
        f"sourcing policy {row.version} ({row.reason}): of {run.orders} orders of {run.days} days, {run.changed} would have shipped from "
        f"elsewhere, parcels {run.now.parcels} → {run.then.parcels}, short units {run.now.short_units} → {run.then.short_units}, "
        f"late days {run.now.late_days} → {run.then.late_days}. {request.reason}"
    )
    await SETS.propose(work, ACTIVATION, request, Weight("sourcing_policy", str(row.version), summary, run.changed))
    return await _shown(work.tx, row.version)


async def carry_out(work: Work, request: sourcing_service_pb2.ActivatePolicyRequest) -> SourcingPolicy:
    """Puts a policy in force instead of the one that is. Refusals: NO_SUCH_POLICY."""
    await SETS.put_in_force(work, request.version)
    return await _shown(work.tx, request.version)


ACTIVATION = ApprovalKind(
    "fulfillment.policy", "Sourcing policies, by how many orders of the replay they ship from elsewhere",
    "fulfillment.policies.activate", sourcing_service_pb2.ActivatePolicyRequest, carry_out,
)  # fmt: skip


async def roll_back_policy(work: Work, request: sourcing_service_pb2.RollBackPolicyRequest) -> SourcingPolicy:
    """What is in force must be able to go at once, by one person. Refusals: NOTHING_BEFORE."""
    return await _shown(work.tx, await SETS.roll_back(work, "sourcing_policy", request.reason))


async def get_policy(asked: Asked) -> SourcingPolicy:
    """Refusals: NO_SUCH_POLICY."""
    return await _shown(asked.tx, asked.request.version or await SETS.active(asked.tx))


async def list_policies(asked: Asked) -> sourcing_service_pb2.ListPoliciesResponse:
    """Lists newest first."""
    rows, token = await page(asked.tx, select(POLICY_VERSIONS), [POLICY_VERSIONS.c.version], asked.request, descending=True)
    pending = await SETS.pending(asked.tx, rows)
    return sourcing_service_pb2.ListPoliciesResponse(policies=[_message(row, pending) for row in rows], next_page_token=token)


async def get_vocabulary(asked: Asked) -> sourcing_service_pb2.SourcingVocabulary:
    """Returns all names, by what they are about."""
    del asked
    made: Callable[..., Any] = sourcing_service_pb2.SourcingFact
    facts = [made(name=fact.name, type=fact.kind, meaning=fact.meaning, of_location=fact.of_location) for fact in FACTS]
    return sourcing_service_pb2.SourcingVocabulary(facts=facts)


async def _shown(tx: Tx, version: int) -> SourcingPolicy:
    row = await SETS.load(tx, version)
    return _message(row, await SETS.pending(tx, [row]))


def _message(row: Any, pending: set[str]) -> SourcingPolicy:
    body = json.loads(row.body)
    return SourcingPolicy(
        **shown(row, pending), dry_run=Parse(row.dry_run, sourcing_service_pb2.Replay()) if row.dry_run else None,
        strategies=[sourcing_service_pb2.Strategy(**one) for one in body["strategies"]],
        exclusions=[sourcing_service_pb2.Exclusion(**one) for one in body["exclusions"]],
        weights=sourcing_service_pb2.Weights(**body["weights"]),
    )  # fmt: skip
