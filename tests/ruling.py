"""Short ways to draft, propose and approve rules, and to read how an order was judged."""

from argosy.ops.v1 import approvals_service_pb2
from argosy.orders.v1 import rules_service_pb2
from chassis.kernel.ids import new_id
from gateway.calls import Calls
from tests.builders import OTHER, eventually

HOLD, SCORE, HINT = rules_service_pb2.RULE_ACTION_HOLD, rules_service_pb2.RULE_ACTION_SCORE, rules_service_pb2.RULE_ACTION_HINT
Rule = rules_service_pb2.Rule


async def draft(calls: Calls, *rules: rules_service_pb2.Rule) -> rules_service_pb2.RuleSet:
    request = rules_service_pb2.DraftRuleSetRequest(request_id=new_id(), rules=rules, reason="to see what happens")
    return await calls.rules.DraftRuleSet(request)


async def activate(calls: Calls, version: int) -> rules_service_pb2.RuleSet:
    request = rules_service_pb2.ActivateRuleSetRequest(request_id=new_id(), version=version, reason="it is better")
    return await calls.rules.ActivateRuleSet(request)


async def decide(calls: Calls, approval_id: str, *, approve: bool = True) -> None:
    request = approvals_service_pb2.DecideApprovalRequest(
        request_id=new_id(), service="orders", approval_id=approval_id, approve=approve, note="seen"
    )
    await calls.approvals("orders").DecideApproval(request, metadata=OTHER)


async def judged(calls: Calls, order_id: str) -> rules_service_pb2.Judgement:
    async def look() -> rules_service_pb2.Judgement | None:
        found = await calls.rules.ListJudgements(rules_service_pb2.ListJudgementsRequest(order_id=order_id))
        return found.judgements[0] if found.judgements else None

    return await eventually(look)  # type: ignore[no-any-return]


def reasons(judgement: rules_service_pb2.Judgement) -> set[str]:
    return {one.reason for one in judgement.rules if one.action == HOLD}
