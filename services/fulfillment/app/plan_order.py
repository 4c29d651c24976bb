"""PlanOrder: decides which locations ship orders, over what inventory can promise, and keeps every decision.

All is decided before the transaction, so that nobody waits for it: the writer only keeps what was decided.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import msgspec
import structlog

from argosy.fulfillment.v1 import fulfillment_pb2, fulfillment_service_pb2
from chassis.kernel.clock import from_timestamp, to_timestamp
from chassis.kernel.errors import InvalidArgument, Refusal
from chassis.kernel.ids import new_id
from chassis.runtime.channels import Channels
from chassis.runtime.database import Database
from chassis.runtime.host import wall_clock
from chassis.runtime.work import Work
from chassis.runtime.writer import Call, Outcome
from services.fulfillment.app.world import load_world, policy_in
from services.fulfillment.clients.availability import Availability
from services.fulfillment.domain.optimise import Answer, optimise
from services.fulfillment.domain.planning import Batch, Contest, Decided, Location, Question, together
from services.fulfillment.domain.policy import Policy
from services.fulfillment.domain.sourcing import Plan, Share, Want
from services.fulfillment.store.tables import DECISIONS, PROMISES

# Nobody waits longer than this for a better plan; a few orders are solved where they are, in some milliseconds.
LIMIT_S = Fraction(1, 5)
A_FEW = 16
SOLVING = ThreadPoolExecutor(1, "sourcing")
log = structlog.get_logger()


class Kept(msgspec.Struct, frozen=True):
    """What was asked and what was known of stock: enough to decide again."""

    question: Question
    stock: list[tuple[str, str, int]]
    locations: list[Location]


class Planner:
    """Decides for the orders of a batch."""

    def __init__(self, channels: Channels) -> None:
        self._availability = Availability(channels)

    async def prepare(self, requests: Sequence[Any], database: Database) -> Sequence["tuple[Decided, Policy, str] | Refusal"]:
        """Returns for each request the decision, its policy, and what was asked as it is kept."""
        flaws = {index: flaw for index, request in enumerate(requests) if (flaw := _flaw(request)) is not None}
        questions = {index: to_question(request) for index, request in enumerate(requests) if index not in flaws}
        decided = await self._decide(questions, database)
        return [flaws[index] if index in flaws else decided[index] for index in range(len(requests))]

    async def _decide(self, asked: Mapping[int, Question], database: Database) -> Mapping[int, "tuple[Decided, Policy, str] | Refusal"]:
        questions = list(asked.values())
        items = {want.item_id for question in questions for want in question.wants}
        holding = {share.location_id for question in questions for share in question.held}
        picture = await self._availability.of(items, {question.method for question in questions}, holding)
        asked = {index: question.with_kits(picture.kits) for index, question in asked.items()}
        now = wall_clock()
        try:
            async with database.read() as tx:
                policy, world = await policy_in(tx), await load_world(tx, now)
        except Refusal as refusal:
            return dict.fromkeys(asked, refusal)
        decided: dict[int, tuple[Decided, Policy, str]] = {}
        # What is reserved for some is no stock of the others.
        for held in (False, True):
            own = [index for index, question in asked.items() if bool(question.held) is held]
            batch = Batch(policy, world, picture.locations, dict(picture.stock), now, picture.kept_back)
            batch.add_held([asked[index] for index in own])
            kept = [_kept(asked[index], batch) for index in own]
            found = await decide_at_once(batch, [asked[index] for index in own])
            decided.update({index: (one, policy, text) for index, one, text in zip(own, found, kept, strict=True)})
        return decided


async def decide_at_once(batch: Batch, questions: Sequence[Question]) -> list[Decided]:
    """Returns for each order the decision: in turn, and together for those that want the same stock."""
    decided, contested = batch.in_turn(questions)
    contest = batch.contest(decided, contested) if len(contested) > 1 else None
    if contest is not None and (answer := await _solve(contest)) is not None:
        together(decided, contested, contest, answer)
    return decided


async def _solve(contest: Contest) -> Answer | None:
    """Returns what is found in time; None where the solver fails: what was planned in turn holds then."""
    asked = (contest.asks, contest.known, contest.stock, LIMIT_S, contest.kept_back)
    try:
        if len(contest.asks) <= A_FEW:
            return optimise(*asked)
        return await asyncio.get_running_loop().run_in_executor(SOLVING, optimise, *asked)
    except ArithmeticError as error:
        log.warning("orders are sourced in turn", orders=len(contest.asks), error=str(error))
        return None


def _flaw(request: fulfillment_service_pb2.PlanOrderRequest) -> Refusal | None:
    """Nothing can be held for a line that is not asked about, nor more of it than is."""
    left = Counter[str]()
    for line in request.lines:
        left[line.line_id] += line.quantity
    for index, held in enumerate(request.held):
        left[held.line_id] -= held.quantity
        if left[held.line_id] < 0:
            text = f"held[{index}]: more is held of line {held.line_id} than is asked about"
            return InvalidArgument("INVALID_FIELD", text, field=f"held[{index}]")
    return None


def to_question(request: fulfillment_service_pb2.PlanOrderRequest) -> Question:
    """Returns an order as decisions see it."""
    to = request.destination
    items = {line.line_id: line.item_id for line in request.lines}
    return Question(
        request.order_id, request.channel_id, request.entity, to.country_code, to.region, to.postal_prefix, request.method,
        request.currency_code, [Want(line.line_id, line.item_id, line.quantity, line.weight_g) for line in request.lines],
        request.ship_complete, list(request.hints), list(request.excluded_location_ids),
        from_timestamp(request.ship_by) if request.HasField("ship_by") else None,
        from_timestamp(request.deliver_by) if request.HasField("deliver_by") else None, request.pickup_location_id,
        [Share(one.line_id, items[one.line_id], one.location_id, one.quantity) for one in request.held],
    )  # fmt: skip


def _kept(question: Question, batch: Batch) -> str:
    items = sorted(question.stocked)
    keys = [(item_id, location_id) for item_id in items for location_id in batch.locations if (item_id, location_id) in batch.stock]
    stock = [(*key, batch.open_to(question, *key, batch.stock)) for key in keys]
    used = sorted({location_id for _, location_id in keys})
    return msgspec.json.encode(Kept(question, stock, [batch.locations[one] for one in used])).decode()


async def plan_orders(work: Work, calls: Sequence[Call]) -> list[Outcome]:
    """Answers each with its decision; what nothing can fill is `short`. Refusals: INVALID_FIELD, NO_POLICY."""
    outcomes: list[Outcome] = []
    rows, promises = [], {}
    for call in calls:
        if isinstance(call.context, Refusal):
            outcomes.append(call.context)
            continue
        decided, policy, question = call.context
        decision = _to_decision(decided, policy, work.now)
        rows.append(
            {
                "decision_id": decision.decision_id, "order_id": decision.order_id, "policy_version": policy.version, "body": "{}",
                "decided_at": work.now, "answer": decision.SerializeToString(), "question": question,
            }
        )  # fmt: skip
        for location_id, own in decided.own_dates.items():
            if own.ship_day is None and not decided.question.method:
                continue
            promises[decision.order_id, location_id] = {
                "order_id": decision.order_id, "location_id": location_id, "method": decided.question.method,
                "ship_day": own.ship_day.toordinal() if own.ship_day is not None else None, "ship_by": own.ship_by,
                "deliver_by": own.deliver_by, "promised_at": work.now,
            }  # fmt: skip
        outcomes.append(decision)
    await work.tx.insert(DECISIONS, rows)
    await work.tx.merge(PROMISES, ("order_id", "location_id"), list(promises.values()))
    return outcomes


def _to_decision(decided: Decided, policy: Policy, now: int) -> fulfillment_pb2.Decision:
    outcome = decided.outcome
    decision = fulfillment_pb2.Decision(
        decision_id=new_id(), order_id=decided.question.order_id, policy_version=policy.version, decided_at=to_timestamp(now),
        method=fulfillment_pb2.SourcingMethod.Value(f"SOURCING_METHOD_{decided.how}"), gap_ppm=decided.gap_ppm,
        strategy=decided.strategy, candidates=map(to_candidate, outcome.candidates),
        eliminated=[fulfillment_pb2.Elimination(location_id=where, reason=why) for where, why in decided.eliminated],
    )  # fmt: skip
    for share in decided.shares:
        decision.assignments.add(line_id=share.line_id, item_id=share.item_id, location_id=share.location_id, quantity=share.quantity)
    for want in outcome.short:
        decision.short.add(line_id=want.line_id, item_id=want.item_id, quantity=want.quantity)
    if outcome.chosen is not None:
        decision.chosen.CopyFrom(to_candidate(outcome.chosen))
    ship_by, deliver_by = last_dates(decided)
    if ship_by is not None:
        decision.ship_by.CopyFrom(to_timestamp(ship_by))
    if deliver_by is not None:
        decision.deliver_by.CopyFrom(to_timestamp(deliver_by))
    return decision


def last_dates(decided: Decided) -> tuple[int | None, int | None]:
    """Returns when the last parcel leaves and has arrived; None where that is not known of one of them."""
    own = decided.own_dates.values()
    return _last([one.ship_by for one in own]), _last([one.deliver_by for one in own])


def _last(moments: Sequence[int | None]) -> int | None:
    known = [moment for moment in moments if moment is not None]
    return max(known) if known and len(known) == len(moments) else None


def to_candidate(plan: Plan) -> fulfillment_pb2.Candidate:
    """Returns a plan with its parts."""
    return fulfillment_pb2.Candidate(
        location_ids=plan.location_ids, filled=plan.filled, shipping_cost_minor=plan.shipping_minor,
        handling_cost_minor=plan.handling_minor, split_penalty_minor=plan.split_minor, total_cost_minor=plan.total_minor,
        late_penalty_minor=plan.late_minor, balance_penalty_minor=plan.balance_minor, capacity_penalty_minor=plan.capacity_minor,
        late_days=plan.late_days,
    )  # fmt: skip
