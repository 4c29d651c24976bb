"""ReplayDays, and the job it starts: sources the orders of past days again, against stock as it was then, and compares.

Every decision kept what was promised when it was made. What the replay took elsewhere until then is put right: a location
has as much less as the replay took more from it than was taken in truth. What was decided at one moment is so again: in turn,
and together where it wants the same stock.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec
from google.protobuf.json_format import MessageToDict, MessageToJson, Parse, ParseDict
from sqlalchemy import func, select

from argosy.fulfillment.v1 import fulfillment_pb2, fulfillment_service_pb2, promise_service_pb2, sourcing_service_pb2
from argosy.ops.v1 import jobs_service_pb2
from chassis.kernel.clock import DAY, to_timestamp
from chassis.kernel.errors import NotFound
from chassis.kernel.ids import least_id
from chassis.runtime.calendars import need_calendar
from chassis.runtime.jobs import Job, JobKind, Reading, Result, Step, start_job
from chassis.runtime.pipeline import Asked
from chassis.runtime.versions import VERSION
from chassis.runtime.work import Work
from services.fulfillment.app.nodes import node_of
from services.fulfillment.app.plan_order import Kept, decide_at_once
from services.fulfillment.app.policies import SETS
from services.fulfillment.app.world import by_destination, load_world, policy_in, to_rate
from services.fulfillment.domain.planning import Batch, Decided, Question, World
from services.fulfillment.domain.policy import Policy
from services.fulfillment.domain.sourcing import Key, Share, taken
from services.fulfillment.store.tables import DECISIONS, POLICY_VERSIONS, REPLAYS

DAYS = 28
CHUNK = 200
SHOWN = 50
OUTCOME = ("parcels", "split_orders", "short_units", "shipping_cost_minor", "late_days")
LOAD = ("parcels_now", "parcels_then", "units_now", "units_then")


async def replay_days(work: Work, request: sourcing_service_pb2.ReplayDaysRequest) -> jobs_service_pb2.Job:
    """Refusals: NO_SUCH_POLICY, INVALID_FIELD."""
    await SETS.load(work.tx, request.version)
    for index, node in enumerate(request.nodes):
        need_calendar(node.calendar, f"nodes[{index}].calendar")
    days = request.days or DAYS
    state = {
        "version": request.version, "days": days, "after": least_id(work.now - days * DAY), "figures": None, "drift": [], "load": {},
        "rates": [MessageToDict(one, preserving_proto_field_name=True) for one in request.rates],
        "nodes": [MessageToDict(one, preserving_proto_field_name=True) for one in request.nodes],
        "without": sorted(set(request.without_location_ids)),
    }  # fmt: skip
    return await start_job(work, REPLAY, state)


async def get_replay(asked: Asked) -> sourcing_service_pb2.Replay:
    """Refusals: NO_SUCH_REPLAY."""
    rows = await asked.tx.find(REPLAYS, ("job_id",), [(asked.request.job_id,)])
    if not rows:
        raise NotFound("NO_SUCH_REPLAY", f"no replay was found under job {asked.request.job_id}", field="job_id")
    return Parse(rows[0].body, sourcing_service_pb2.Replay())


async def _step(read: Reading, job: Job) -> Step:
    """The first step counts, each other one sources some hundreds of orders again."""
    state = job.state
    async with read() as tx:
        if state["figures"] is None:
            total = int((await tx.read(select(func.count()).where(DECISIONS.c.decision_id > state["after"])))[0][0])
            return Step({**state, "figures": _nothing()}, total, 0)
        later = DECISIONS.c.decision_id > state["after"]
        rows = await tx.read(select(DECISIONS).where(later).order_by(DECISIONS.c.decision_id).limit(CHUNK))
        policy, world = await policy_in(tx, state["version"]), await load_world(tx, 0, loads=False)
    _change(world, state)
    ended = len(rows) < CHUNK
    moments = _by_moment(rows, ended=ended)
    following, results = await _source_again(state, moments, policy, world)
    done = job.done + sum(map(len, moments))

    async def write(work: Work) -> None:
        replay = _replay(following, work.now if ended else None)
        body = MessageToJson(replay, preserving_proto_field_name=True, indent=None)
        await work.tx.merge(REPLAYS, ("job_id",), [{"job_id": job.job_id, "body": body}])
        if ended and not (state["rates"] or state["nodes"] or state["without"]):
            await work.tx.change(POLICY_VERSIONS, VERSION, [{"version": state["version"], "dry_run": body}])

    changed = following["figures"]["changed"]
    message = f"{changed} of {following['figures']['orders']} orders would have shipped from elsewhere" if ended else ""
    return Step(following, max(job.total, done), done, write=write, results=results, ended=ended, message=message)


REPLAY = JobKind("fulfillment.replay", "Past orders sourced by another policy", _step)


def _nothing() -> dict[str, Any]:
    zero = dict.fromkeys(OUTCOME, 0)
    return {"orders": 0, "unknown": 0, "changed": 0, "now": zero, "then": dict(zero), "locations": {}, "order_ids": []}


def _change(world: World, state: dict[str, Any]) -> None:
    """Puts other rates and nodes in place, and the load that the replay has made so far."""
    if state["rates"]:
        world.rates = by_destination(to_rate(ParseDict(one, fulfillment_service_pb2.Rate())) for one in state["rates"])
    nodes = [ParseDict(one, promise_service_pb2.Node()) for one in state["nodes"]]
    world.nodes = {**world.nodes, **{one.location_id: node_of(one) for one in nodes}}
    world.take_load(state["load"])


def _by_moment(rows: Sequence[Any], *, ended: bool) -> list[list[Any]]:
    """Returns decisions by the moment at which they were made; the last one is left for the next page, which may have more of it."""
    moments = [list(own) for _, own in groupby(rows, key=lambda row: row.decided_at)]
    return moments if ended or len(moments) == 1 else moments[:-1]


async def _source_again(
    state: dict[str, Any], moments: Sequence[Sequence[Any]], policy: Policy, world: World
) -> tuple[dict[str, Any], list[Result]]:
    figures = json.loads(json.dumps(state["figures"]))
    drift = {(item_id, location_id): units for item_id, location_id, units in state["drift"]}
    results = []
    for rows in moments:
        known = [(row, msgspec.json.decode(row.question, type=Kept)) for row in rows if row.question and row.answer is not None]
        figures["unknown"] += len(rows) - len(known)
        # What was sourced again before it was released counts as it was first.
        first = [(row, kept) for row, kept in known if not kept.question.held]
        batch = _batch([kept for _, kept in first], drift, state["without"], policy, world, rows[0].decided_at)
        decided = await decide_at_once(batch, [kept.question for _, kept in first])
        for (row, kept), then in zip(first, decided, strict=True):
            now = fulfillment_pb2.Decision.FromString(row.answer)
            _let_drift(drift, kept.question, now, then)
            if _add(figures, now, then):
                results.append(Result(row.order_id, f"{_words(now.chosen.location_ids)} → {_words(_where(then))}"))
                figures["order_ids"] = [*figures["order_ids"], row.order_id][:SHOWN]
    after = moments[-1][-1].decision_id if moments else state["after"]
    left = [[*key, units] for key, units in sorted(drift.items()) if units]
    return {**state, "after": after, "figures": figures, "drift": left, "load": world.kept_load()}, results


def _batch(asked: Sequence[Kept], drift: Mapping[Key, int], without: Sequence[str], policy: Policy, world: World, now: int) -> Batch:
    """Returns the picture over which orders were decided; what one of them saw less of was kept back from its shipping method."""
    seen = [
        (kept.question.method, (item_id, location_id), quantity)
        for kept in asked
        for item_id, location_id, quantity in kept.stock
        if location_id not in without
    ]
    most: dict[Key, int] = {}
    for _, key, quantity in seen:
        most[key] = max(most.get(key, quantity), quantity)
    kept_back = {(*key, method): most[key] - quantity for method, key, quantity in seen}
    stock = {key: quantity - drift.get(key, 0) for key, quantity in most.items()}
    locations = {one.location_id: one for kept in asked for one in kept.locations}
    return Batch(policy, world, locations, stock, now, kept_back if any(kept_back.values()) else {})


def _let_drift(drift: dict[Key, int], question: Question, now: fulfillment_pb2.Decision, then: Decided) -> None:
    for key, units in taken(question.wants, then.shares).items():
        drift[key] = drift.get(key, 0) + units
    assigned = [Share(one.line_id, one.item_id, one.location_id, one.quantity) for one in now.assignments]
    for key, units in taken(question.wants, assigned).items():
        drift[key] = drift.get(key, 0) - units


def _add(figures: dict[str, Any], now: fulfillment_pb2.Decision, then: Decided) -> bool:
    """Adds an order to the figures and says whether it would have shipped otherwise."""
    figures["orders"] += 1
    before = [(one.line_id, one.location_id, one.quantity) for one in now.assignments]
    after = [(share.line_id, share.location_id, share.quantity) for share in then.shares]
    plan = then.outcome.chosen
    places = _where(then)
    for name, sums in (
        (
            "now",
            (len(now.chosen.location_ids), sum(one.quantity for one in now.short), now.chosen.shipping_cost_minor, now.chosen.late_days),
        ),
        (
            "then",
            (
                len(places),
                sum(one.quantity for one in then.outcome.short),
                plan.shipping_minor if plan else 0,
                plan.late_days if plan else 0,
            ),
        ),
    ):
        parcels, short, shipping, late = sums
        for key, value in zip(OUTCOME, (parcels, int(parcels > 1), short, shipping, late), strict=True):
            figures[name][key] += value
    for index, shipped in enumerate((before, after)):
        for location_id in {where for _, where, _ in shipped}:
            own = figures["locations"].setdefault(location_id, [0] * len(LOAD))
            own[index] += 1
            own[2 + index] += sum(quantity for _, where, quantity in shipped if where == location_id)
    changed = sorted(before) != sorted(after)
    figures["changed"] += int(changed)
    return changed


def _where(then: Decided) -> Sequence[str]:
    return then.outcome.chosen.location_ids if then.outcome.chosen is not None else ()


def _words(location_ids: Sequence[str]) -> str:
    return ", ".join(sorted(location_ids)) or "nowhere"


def _replay(state: dict[str, Any], ended_at: int | None) -> sourcing_service_pb2.Replay:
    figures = state["figures"]
    return sourcing_service_pb2.Replay(
        version=state["version"], days=state["days"], orders=figures["orders"], unknown=figures["unknown"], changed=figures["changed"],
        now=sourcing_service_pb2.SourcingOutcome(**figures["now"]), then=sourcing_service_pb2.SourcingOutcome(**figures["then"]),
        locations=[
            sourcing_service_pb2.LocationLoad(location_id=location_id, **dict(zip(LOAD, own, strict=True)))
            for location_id, own in sorted(figures["locations"].items())
        ],
        order_ids=figures["order_ids"], ended_at=to_timestamp(ended_at) if ended_at is not None else None,
    )  # fmt: skip
