"""Rules as data: how a set of them is drafted, tried, approved, and taken back."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import pytest

from argosy.ops.v1 import approvals_service_pb2
from argosy.orders.v1 import rules_service_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.component import Component
from gateway.calls import Calls
from tests.ruling import HINT, SCORE, Rule, activate, decide, draft
from tests.service.conftest import Bench
from tests.service.stockroom import refused


class Alone(NamedTuple):
    """Orders, and calls to them."""

    component: Component
    calls: Calls


@pytest.fixture
async def alone(bench: Bench, started: Callable[[str], Awaitable[Component]]) -> Alone:
    """Orders alone."""
    return Alone(await started("orders"), Calls(bench.channels))


async def tried(alone: "Alone", version: int) -> rules_service_pb2.RuleSet:
    await alone.calls.rules.DryRunRuleSet(rules_service_pb2.DryRunRuleSetRequest(request_id=new_id(), version=version))
    while await alone.component.jobs.do_one():
        pass
    return await alone.calls.rules.GetRuleSet(rules_service_pb2.GetRuleSetRequest(version=version))


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (Rule(rule_id="a", reason="HIGH_RISK", condition="total_minor > 'x'"), "rules[0].condition"),
        (Rule(rule_id="a", reason="HIGH_RISK", condition="no_such_fact > 1"), "rules[0].condition"),
        (Rule(rule_id="a", reason="HIGH_RISK", condition="total_minor + 1"), "rules[0].condition"),
        (Rule(rule_id="a", reason="BAD_MOOD", condition="guest"), "rules[0].reason"),
        (Rule(rule_id="a", condition="guest"), "rules[0].reason"),
        (Rule(rule_id="a", reason="HIGH_RISK", points=3, condition="guest"), "rules[0].points"),
        (Rule(rule_id="a", action=SCORE, condition="guest"), "rules[0].points"),
        (Rule(rule_id="a", action=HINT, condition="guest"), "rules[0].hint"),
    ],
)
async def test_what_cannot_be_judged_is_found_at_drafting(alone: Alone, rule: rules_service_pb2.Rule, field: str) -> None:
    calls = alone.calls
    request = rules_service_pb2.DraftRuleSetRequest(request_id=new_id(), rules=[rule], reason="to see what happens")
    reason = "BAD_RULE" if field.endswith("condition") else "INVALID_FIELD"
    refusal = await refused(reason, calls.rules.DraftRuleSet(request))
    assert refusal.field == field
    assert len((await calls.rules.ListRuleSets(rules_service_pb2.ListRuleSetsRequest())).rule_sets) == 2


async def test_a_set_is_tried_then_approved_by_another_and_taken_back_at_once(alone: Alone) -> None:
    calls = alone.calls
    drafted = await draft(calls, Rule(rule_id="none", reason="HIGH_RISK", condition="false"))
    assert (drafted.version, drafted.status) == (3, rules_service_pb2.RULE_SET_STATUS_DRAFT)
    await refused("NOT_TRIED", activate(calls, 3))
    assert (await tried(alone, 3)).dry_run.judged == 0
    waiting = await activate(calls, 3)
    assert waiting.status == rules_service_pb2.RULE_SET_STATUS_WAITING
    await refused("WAITS_ALREADY", activate(calls, 3))
    await decide(calls, waiting.approval_id, approve=False)
    again = await activate(calls, 3)
    decision = approvals_service_pb2.DecideApprovalRequest(
        request_id=new_id(), service="orders", approval_id=again.approval_id, approve=True, note="my own"
    )
    await refused("OWN_PROPOSAL", calls.approvals("orders").DecideApproval(decision))
    await decide(calls, again.approval_id)
    active = await calls.rules.GetRuleSet(rules_service_pb2.GetRuleSetRequest())
    assert (active.version, active.status) == (3, rules_service_pb2.RULE_SET_STATUS_ACTIVE)
    await refused("IN_FORCE", activate(calls, 3))
    back = await calls.rules.RollBackRuleSet(rules_service_pb2.RollBackRuleSetRequest(request_id=new_id(), reason="too many holds"))
    assert back.version == 2
    assert (
        await calls.rules.GetRuleSet(rules_service_pb2.GetRuleSetRequest(version=3))
    ).status == rules_service_pb2.RULE_SET_STATUS_RETIRED
