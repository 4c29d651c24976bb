"""Sourcing over real stock: policies as versions, replays of past days, dates, capacity, and orders that want the same stock."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from argosy.common.v1 import address_pb2
from argosy.fulfillment.v1 import fulfillment_pb2, fulfillment_service_pb2, promise_service_pb2, sourcing_service_pb2
from argosy.inventory.v1 import reservations_service_pb2, stock_service_pb2
from argosy.ops.v1 import approvals_service_pb2, holds_service_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.ids import new_id
from chassis.runtime.component import Component
from chassis.runtime.host import wall_clock
from chassis.runtime.work import Cause
from gateway.calls import Calls
from services.fulfillment.app import acknowledge, overload
from services.fulfillment.store.tables import FULFILLMENT_ORDERS
from tests.builders import OTHER
from tests.service.conftest import Bench
from tests.service.stockroom import Stockroom, refused

BERLIN = address_pb2.Destination(country_code="DE", postal_prefix="101")
ALWAYS = [holds_service_pb2.WorkingHours(weekday=day, opens="00:00", closes="24:00") for day in range(1, 8)]
Strategy, Exclusion, Weights = sourcing_service_pb2.Strategy, sourcing_service_pb2.Exclusion, sourcing_service_pb2.Weights
EVERYTHING = Strategy(name="everything", most_locations=3)
SECOND = 1_000_000


class Shop(NamedTuple):
    """Inventory and fulfillment, and calls to them."""

    room: Stockroom
    component: Component
    calls: Calls

    async def rate(self, base: int = 300, **values: Any) -> None:
        """Sets a rate."""
        given = {"carrier": "PARCELCO", "service": "standard", "per_kg_minor": 100, "currency_code": "EUR", **values}
        await self.calls.fulfillment.SetRate(fulfillment_service_pb2.SetRateRequest(request_id=new_id(), base_minor=base, **given))

    async def node(self, location_id: str, **values: Any) -> None:
        """Says when a location ships: at all hours."""
        calendar = holds_service_pb2.WorkingCalendar(time_zone="UTC", hours=ALWAYS)
        given = {"calendar": calendar, "cut_off": "24:00", **values}
        await self.calls.promises.SetNode(promise_service_pb2.SetNodeRequest(request_id=new_id(), location_id=location_id, **given))

    async def transit(self, days: int, **values: Any) -> None:
        """Says how long parcels are on their way."""
        request = promise_service_pb2.SetTransitRequest(request_id=new_id(), least_days=days, most_days=days, saturdays=True, **values)
        await self.calls.promises.SetTransit(request)

    def asks(self, order_id: str, *items: tuple[str, int], **values: Any) -> fulfillment_service_pb2.PlanOrderRequest:
        """Returns what an order asks."""
        lines = [
            fulfillment_service_pb2.PlanLine(line_id=f"{order_id}-{index}", item_id=item_id, quantity=quantity, weight_g=500)
            for index, (item_id, quantity) in enumerate(items)
        ]
        given = {"channel_id": "web", "currency_code": "EUR", "destination": BERLIN, **values}
        return fulfillment_service_pb2.PlanOrderRequest(request_id=new_id(), order_id=order_id, lines=lines, **given)

    async def plan(self, order_id: str, *items: tuple[str, int], **values: Any) -> fulfillment_pb2.Decision:
        """Plans an order."""
        return await self.calls.fulfillment.PlanOrder(self.asks(order_id, *items, **values))

    async def draft(
        self, *strategies: sourcing_service_pb2.Strategy, exclusions: Sequence[sourcing_service_pb2.Exclusion] = (), **weights: int
    ) -> sourcing_service_pb2.SourcingPolicy:
        """Drafts a policy."""
        given = {"handling_minor": 80, "split_penalty_minor": 150, **weights}
        request = sourcing_service_pb2.DraftPolicyRequest(
            request_id=new_id(), strategies=strategies, exclusions=exclusions, weights=Weights(**given), reason="to ship better"
        )
        return await self.calls.sourcing.DraftPolicy(request)

    async def replay(self, version: int, **values: Any) -> sourcing_service_pb2.Replay:
        """Replays all past days and returns what was found."""
        request = sourcing_service_pb2.ReplayDaysRequest(request_id=new_id(), version=version, **values)
        job = await self.calls.sourcing.ReplayDays(request)
        while await self.component.jobs.do_one():
            pass
        return await self.calls.sourcing.GetReplay(sourcing_service_pb2.GetReplayRequest(job_id=job.job_id))

    async def put_in_force(self, version: int) -> None:
        """Replays a policy, proposes it and lets another person agree."""
        await self.replay(version)
        request = sourcing_service_pb2.ActivatePolicyRequest(request_id=new_id(), version=version, reason="it is better")
        proposed = await self.calls.sourcing.ActivatePolicy(request)
        assert proposed.status == sourcing_service_pb2.POLICY_STATUS_WAITING
        decide = approvals_service_pb2.DecideApprovalRequest(
            request_id=new_id(), service="fulfillment", approval_id=proposed.approval_id, approve=True, note="seen"
        )
        await self.calls.approvals("fulfillment").DecideApproval(decide, metadata=OTHER)
        found = await self.calls.sourcing.GetPolicy(sourcing_service_pb2.GetPolicyRequest())
        assert (found.version, found.status) == (version, sourcing_service_pb2.POLICY_STATUS_ACTIVE)


@pytest.fixture
async def shop(bench: Bench, room: Stockroom, started: Callable[[str], Awaitable[Component]]) -> Shop:
    """Warehouses in Berlin and Hamburg, a store in Munich, and a rate."""
    found = Shop(room, await started("fulfillment"), Calls(bench.channels))
    await room.place("HAM")
    await room.place("MUC", "STORE")
    await found.rate()
    return found


def where(decision: fulfillment_pb2.Decision) -> dict[str, int]:
    sums: dict[str, int] = {}
    for one in decision.assignments:
        sums[one.location_id] = sums.get(one.location_id, 0) + one.quantity
    return sums


async def test_a_decision_keeps_all_that_was_weighed(shop: Shop) -> None:
    for item_id, place, quantity in (("a", "BER", 5), ("a", "HAM", 9), ("b", "HAM", 2)):
        await shop.room.item(item_id)
        await shop.room.receive(item_id, quantity, location_id=place)
    decision = await shop.plan("O-1", ("a", 2), ("b", 1), excluded_location_ids=["MUC"])
    assert where(decision) == {"HAM": 3}
    assert (decision.method, decision.strategy) == (fulfillment_pb2.SOURCING_METHOD_ALONE, "everything")
    assert list(decision.chosen.location_ids) == ["HAM"]
    assert decision.chosen.shipping_cost_minor == 300 + 2 * 100
    assert decision.chosen.total_cost_minor == 500 + 80
    assert not decision.HasField("ship_by")
    kept = (await shop.calls.fulfillment.ListDecisions(fulfillment_service_pb2.ListDecisionsRequest(order_id="O-1"))).decisions
    assert list(kept) == [decision]


async def test_orders_that_want_the_same_stock_are_decided_together(shop: Shop) -> None:
    for item_id, place in (("a", "BER"), ("a", "HAM"), ("b", "BER")):
        await shop.room.item(item_id)
        await shop.room.receive(item_id, 1, location_id=place)
    batch = fulfillment_service_pb2.BatchPlanOrderRequest(requests=[shop.asks("O-1", ("a", 1)), shop.asks("O-2", ("a", 1), ("b", 1))])
    results = (await shop.calls.fulfillment.BatchPlanOrder(batch)).results
    assert [where(one.response) for one in results] == [{"HAM": 1}, {"BER": 2}]
    assert {one.response.method for one in results} == {fulfillment_pb2.SOURCING_METHOD_TOGETHER}
    assert all(one.response.gap_ppm == 0 for one in results)
    # A third that wants what is left of neither goes short, and says so.
    decision = await shop.plan("O-3", ("a", 3))
    assert [(one.line_id, one.quantity) for one in decision.short] == [("O-3-0", 1)]


async def test_strategies_are_tried_in_turn_and_exclusions_are_the_reason(shop: Shop) -> None:
    await shop.room.item("a")
    for place, quantity in (("BER", 1), ("HAM", 9), ("MUC", 9)):
        await shop.room.receive("a", quantity, location_id=place)
    drafted = await shop.draft(
        Strategy(name="express-from-berlin", condition='method == "express" || "rush" in hints', location_ids=["BER"], most_locations=1),
        EVERYTHING,
        exclusions=[Exclusion(name="no-store-abroad", condition='location_kind == "STORE" && country != location_country')],
    )
    await shop.put_in_force(drafted.version)
    rushed = await shop.plan("O-1", ("a", 1), hints=["rush"])
    assert (where(rushed), rushed.strategy, rushed.policy_version) == ({"BER": 1}, "express-from-berlin", drafted.version)
    assert {(one.location_id, one.reason) for one in rushed.eliminated} == {("HAM", "NETWORK"), ("MUC", "NETWORK")}
    more = await shop.plan("O-2", ("a", 2), method="express")
    assert (sum(where(more).values()), more.strategy) == (2, "everything")
    abroad = await shop.plan("O-3", ("a", 12), destination=address_pb2.Destination(country_code="AT"))
    assert where(abroad) == {"HAM": 9, "BER": 1}
    assert ("MUC", "no-store-abroad") in {(one.location_id, one.reason) for one in abroad.eliminated}
    back = await shop.calls.sourcing.RollBackPolicy(sourcing_service_pb2.RollBackPolicyRequest(request_id=new_id(), reason="too slow"))
    assert (back.version, back.status) == (1, sourcing_service_pb2.POLICY_STATUS_ACTIVE)
    listed = (await shop.calls.sourcing.ListPolicies(sourcing_service_pb2.ListPoliciesRequest())).policies
    assert [one.version for one in listed] == [drafted.version, 1]


@pytest.mark.parametrize(
    ("strategies", "exclusions", "field"),
    [
        ([Strategy(name="a", condition="units > 'x'", most_locations=1)], [], "strategies[0].condition"),
        ([Strategy(name="a", condition="location_id == 'x'", most_locations=1)], [], "strategies[0].condition"),
        ([Strategy(name="a")], [], "strategies[0].most_locations"),
        ([EVERYTHING, EVERYTHING], [], "strategies[1].name"),
        ([EVERYTHING], [Exclusion(name="x", condition="location_id")], "exclusions[0].condition"),
    ],
)
async def test_what_cannot_be_decided_is_found_at_drafting(shop: Shop, strategies: Any, exclusions: Any, field: str) -> None:
    request = sourcing_service_pb2.DraftPolicyRequest(
        request_id=new_id(), strategies=strategies, exclusions=exclusions, weights=Weights(), reason="to see what happens"
    )
    reason = "BAD_RULE" if field.endswith("condition") else "INVALID_FIELD"
    assert (await refused(reason, shop.calls.sourcing.DraftPolicy(request))).field == field


async def test_nothing_is_put_in_force_that_was_not_replayed(shop: Shop) -> None:
    drafted = await shop.draft(EVERYTHING)
    request = sourcing_service_pb2.ActivatePolicyRequest(request_id=new_id(), version=drafted.version, reason="it is better")
    await refused("NOT_TRIED", shop.calls.sourcing.ActivatePolicy(request))
    # What was replayed under other rates says nothing of the policy alone.
    await shop.replay(drafted.version, without_location_ids=["BER"])
    again = sourcing_service_pb2.ActivatePolicyRequest(request_id=new_id(), version=drafted.version, reason="it is better")
    await refused("NOT_TRIED", shop.calls.sourcing.ActivatePolicy(again))
    unknown = sourcing_service_pb2.ReplayDaysRequest(request_id=new_id(), version=99)
    await refused("NO_SUCH_POLICY", shop.calls.sourcing.ReplayDays(unknown))
    await refused("NO_SUCH_REPLAY", shop.calls.sourcing.GetReplay(sourcing_service_pb2.GetReplayRequest(job_id="nothing")))


async def test_a_replay_sources_past_orders_against_stock_as_it_was(shop: Shop) -> None:
    await shop.room.item("a")
    for place in ("BER", "HAM"):
        await shop.room.receive("a", 3, location_id=place)
    # Each of these is planned over the same three in Berlin and three in Hamburg: nothing is reserved here.
    for number in range(4):
        assert where(await shop.plan(f"O-{number}", ("a", 1))) == {"BER": 1}
    same = await shop.replay(1)
    assert (same.orders, same.changed, same.now, same.then) == (4, 0, same.then, same.now)
    assert (same.now.parcels, same.now.shipping_cost_minor, same.now.short_units) == (4, 4 * 400, 0)
    # Without Berlin Hamburg would have had to ship them all, and the replay knows that it had but three.
    found = await shop.replay(1, without_location_ids=["BER"])
    assert (found.orders, found.changed, found.then.parcels, found.then.short_units) == (4, 4, 3, 1)
    loads = {one.location_id: (one.parcels_now, one.parcels_then, one.units_now, one.units_then) for one in found.locations}
    assert loads == {"BER": (4, 0, 4, 0), "HAM": (0, 3, 0, 3)}
    # Another rate card costs something else.
    dear = fulfillment_service_pb2.Rate(carrier="GOLD", service="x", base_minor=1000, currency_code="EUR")
    assert (await shop.replay(1, rates=[dear])).then.shipping_cost_minor == 4000
    # A policy that spares who has little changes nothing here, since both have the same.
    drafted = await shop.draft(EVERYTHING, balance_minor=1000)
    assert (await shop.replay(drafted.version)).changed == 0
    policy = await shop.calls.sourcing.GetPolicy(sourcing_service_pb2.GetPolicyRequest(version=drafted.version))
    assert (policy.dry_run.orders, policy.dry_run.version) == (4, drafted.version)


async def test_a_quote_says_when_and_for_how_much_by_each_method(shop: Shop) -> None:
    await shop.room.item("a")
    await shop.room.receive("a", 3)
    await shop.rate(1500, carrier="FAST", service="air", method="express")
    await shop.node("BER", handling_days=1)
    await shop.transit(3)
    await shop.transit(1, method="express")
    request = promise_service_pb2.QuotePromiseRequest(
        channel_id="web", destination=BERLIN, currency_code="EUR", methods=["standard", "express"],
        lines=[fulfillment_service_pb2.PlanLine(line_id="1", item_id="a", quantity=4, weight_g=500)],
    )  # fmt: skip
    quotes = (await shop.calls.promises.QuotePromise(request)).quotes
    assert [one.method for one in quotes] == ["express", "standard"]
    assert [one.shipping_cost_minor for one in quotes] == [1500 + 200, 300 + 200]
    assert [[(short.line_id, short.quantity) for short in one.short] for one in quotes] == [[("1", 1)], [("1", 1)]]
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date()
    assert {one.ship_by.ToDatetime().date() for one in quotes} <= {tomorrow, tomorrow + timedelta(days=1)}
    assert quotes[0].deliver_by.ToMicroseconds() < quotes[1].deliver_by.ToMicroseconds()
    assert all(one.deliver_from.ToMicroseconds() == one.deliver_by.ToMicroseconds() - 86400 * SECOND for one in quotes)
    assert not (await shop.calls.promises.ListPromises(promise_service_pb2.ListPromisesRequest(order_id="O-1"))).promises


async def test_promises_are_kept_with_the_order_and_measured(shop: Shop) -> None:
    await shop.room.item("a")
    for place in ("BER", "HAM"):
        await shop.room.receive("a", 3, location_id=place)
        await shop.node(place)
    await shop.transit(2)
    decision = await shop.plan("O-1", ("a", 1), method="standard")
    (promise,) = (await shop.calls.promises.ListPromises(promise_service_pb2.ListPromisesRequest(order_id="O-1"))).promises
    assert (promise.location_id, promise.method) == ("BER", "standard")
    assert (promise.ship_by, promise.deliver_by) == (decision.ship_by, decision.deliver_by)
    release = fulfillment_service_pb2.ReleaseOrderRequest(
        request_id=new_id(), order_id="O-1", channel_id="web", entity="DE01", destination=BERLIN, currency_code="EUR",
        lines=[fulfillment_service_pb2.ReleaseLine(line_id="O-1-0", item_id="a", sku="A", location_id="BER", quantity=1, weight_g=500)],
    )  # fmt: skip
    (order,) = (await shop.calls.fulfillment.ReleaseOrder(release)).fulfillment_orders
    assert (order.ship_by, order.deliver_by, order.method) == (decision.ship_by, decision.deliver_by, "standard")
    ship = fulfillment_service_pb2.ConfirmShipmentRequest(request_id=new_id(), fulfillment_order_id=order.fulfillment_order_id)
    shipment = await shop.calls.fulfillment.ConfirmShipment(ship)
    late = to_timestamp(decision.deliver_by.ToMicroseconds() + 3600 * SECOND)
    track = fulfillment_service_pb2.RecordTrackingRequest(
        request_id=new_id(), shipment_id=shipment.shipment_id, status="DELIVERED", occurred_at=late
    )
    assert (await shop.calls.fulfillment.RecordTracking(track)).delivered_at == late
    figures = await shop.calls.promises.GetPromiseFigures(promise_service_pb2.GetPromiseFiguresRequest())
    (kept,) = figures.kept
    assert (kept.location_id, kept.method, kept.parcels, kept.left_late) == ("BER", "standard", 1, 0)
    assert (kept.arrived, kept.arrived_late, kept.late_s, kept.overdue) == (1, 1, 3600, 0)


async def test_full_days_pass_to_the_next_and_lateness_moves_orders_elsewhere(shop: Shop) -> None:
    await shop.room.item("a")
    for place in ("BER", "HAM"):
        await shop.room.receive("a", 9, location_id=place)
        await shop.node(place, capacity_parcels=1)
    lane = promise_service_pb2.SetLaneRequest(request_id=new_id(), location_id="HAM", currency_code="EUR", surcharge_minor=250)
    await shop.calls.promises.SetLane(lane)
    by_tonight = to_timestamp(wall_clock())
    batch = fulfillment_service_pb2.BatchPlanOrderRequest(requests=[shop.asks(f"O-{n}", ("a", 1), ship_by=by_tonight) for n in range(4)])
    results = [one.response for one in (await shop.calls.fulfillment.BatchPlanOrder(batch)).results]
    # Each place ships one a day: the second goes to Hamburg, which is dearer but not late; later ones are late wherever they go.
    assert [sorted(where(one)) for one in results] == [["BER"], ["HAM"], ["BER"], ["HAM"]]
    assert [one.chosen.late_days for one in results] == [0, 0, 1, 1]
    assert [one.chosen.shipping_cost_minor for one in results] == [400, 650, 400, 650]


async def test_a_node_that_nobody_can_work_at_is_refused(shop: Shop) -> None:
    bad = holds_service_pb2.WorkingCalendar(time_zone="Mars/Olympus", hours=ALWAYS)
    request = promise_service_pb2.SetNodeRequest(request_id=new_id(), location_id="BER", calendar=bad, cut_off="14:00")
    assert (await refused("INVALID_FIELD", shop.calls.promises.SetNode(request))).field == "calendar.time_zone"
    way = promise_service_pb2.SetTransitRequest(request_id=new_id(), least_days=3, most_days=2)
    assert (await refused("INVALID_FIELD", shop.calls.promises.SetTransit(way))).field == "least_days"


async def released(shop: Shop, order_id: str, place: str) -> fulfillment_pb2.FulfillmentOrder:
    line = fulfillment_service_pb2.ReleaseLine(line_id=f"{order_id}-0", item_id="a", sku="A", location_id=place, quantity=2, weight_g=500)
    request = fulfillment_service_pb2.ReleaseOrderRequest(
        request_id=new_id(), order_id=order_id, channel_id="web", entity="DE01", destination=BERLIN, currency_code="EUR", lines=[line]
    )
    return (await shop.calls.fulfillment.ReleaseOrder(request)).fulfillment_orders[0]


async def test_locations_accept_reject_or_work_and_silence_is_a_no(shop: Shop) -> None:
    await shop.node("BER", acknowledge_within_s=60)
    calls = shop.calls.fulfillment
    assert (await released(shop, "O-1", "HAM")).handshake == fulfillment_pb2.HANDSHAKE_UNSPECIFIED

    first = await released(shop, "O-2", "BER")
    assert first.handshake == fulfillment_pb2.HANDSHAKE_SUBMITTED
    accept = fulfillment_service_pb2.AcceptFulfillmentOrderRequest(
        request_id=new_id(), fulfillment_order_id=first.fulfillment_order_id, etag=first.etag
    )
    assert (await calls.AcceptFulfillmentOrder(accept)).handshake == fulfillment_pb2.HANDSHAKE_ACCEPTED

    second = await released(shop, "O-3", "BER")
    part = fulfillment_pb2.ParcelLine(line_id="O-3-0", quantity=1)
    ship = fulfillment_service_pb2.ConfirmShipmentRequest(
        request_id=new_id(), fulfillment_order_id=second.fulfillment_order_id, lines=[part]
    )
    await calls.ConfirmShipment(ship)
    reject = fulfillment_service_pb2.RejectFulfillmentOrderRequest(
        request_id=new_id(), fulfillment_order_id=second.fulfillment_order_id, reason="the line is down"
    )
    found = await calls.RejectFulfillmentOrder(reject)
    assert (found.handshake, found.status) == (fulfillment_pb2.HANDSHAKE_REJECTED, fulfillment_pb2.FULFILLMENT_STATUS_SHIPPED)
    assert (found.lines[0].shipped, found.lines[0].cancelled, found.refusal) == (1, 1, "the line is down")
    again = fulfillment_service_pb2.AcceptFulfillmentOrderRequest(request_id=new_id(), fulfillment_order_id=second.fulfillment_order_id)
    await refused("REJECTED_ALREADY", calls.AcceptFulfillmentOrder(again))

    silent, recalled = await released(shop, "O-4", "BER"), await released(shop, "O-5", "BER")
    recall = fulfillment_service_pb2.RecallOrderRequest(request_id=new_id(), order_id="O-5", reason="not wanted")
    await calls.RecallOrder(recall)
    late = [{**_key(one), "acknowledge_by": wall_clock() - 1} for one in (silent, recalled)]
    async with shop.component.database.write() as tx:
        await tx.change(FULFILLMENT_ORDERS, ("fulfillment_order_id",), late)
    await shop.component.writer.run(acknowledge.give_up_on_the_silent, Cause("clock", "give_up_on_the_silent", new_id()))
    read = fulfillment_service_pb2.GetFulfillmentOrderRequest(**_key(silent))
    found = await calls.GetFulfillmentOrder(read)
    assert (found.handshake, found.status) == (fulfillment_pb2.HANDSHAKE_REJECTED, fulfillment_pb2.FULFILLMENT_STATUS_CANCELLED)
    found = await calls.GetFulfillmentOrder(fulfillment_service_pb2.GetFulfillmentOrderRequest(**_key(recalled)))
    assert (found.handshake, found.refusal) == (fulfillment_pb2.HANDSHAKE_UNSPECIFIED, "")


def _key(order: fulfillment_pb2.FulfillmentOrder) -> dict[str, str]:
    return {"fulfillment_order_id": order.fulfillment_order_id}


async def test_a_location_with_more_to_ship_today_than_it_can_is_held_until_it_can(shop: Shop) -> None:
    await shop.node("BER", capacity_parcels=2)
    await shop.node("HAM")
    orders = [await released(shop, f"C-{number}", "BER") for number in range(3)] + [await released(shop, "C-9", "HAM") for _ in range(4)]
    cause, today = Cause("clock", "find_overload", new_id()), datetime.now(UTC).date().toordinal()
    # One is left over from yesterday, and the next is for another day.
    for ordinal, over in ((today + 1, False), (today - 1, True)):
        due = [
            {**_key(one), "ship_day": today if index else ordinal, "ship_by": wall_clock() + (ordinal - today) * 86_400 * SECOND}
            for index, one in enumerate(orders)
        ]
        async with shop.component.database.write() as tx:
            await tx.change(FULFILLMENT_ORDERS, ("fulfillment_order_id",), due)
        for _ in range(2):
            await shop.component.writer.run(overload.find_overload, cause)
        held = (await shop.calls.holds("fulfillment").ListHolds(holds_service_pb2.ListHoldsRequest(service="fulfillment"))).holds
        assert [(one.queue, one.reason, one.subject_id) for one in held] == ([("node", "OVER_CAPACITY", "BER")] if over else [])
    assert held[0].detail.startswith("3 parcels must leave BER today, and it ships 2 a day: 1 parcel leaves late")
    await shop.calls.fulfillment.ConfirmShipment(fulfillment_service_pb2.ConfirmShipmentRequest(request_id=new_id(), **_key(orders[0])))
    await shop.component.writer.run(overload.find_overload, cause)
    assert not (await shop.calls.holds("fulfillment").ListHolds(holds_service_pb2.ListHoldsRequest(service="fulfillment"))).holds


async def test_what_is_reserved_is_stock_of_its_own_order_alone(shop: Shop) -> None:
    await shop.room.item("a")
    await shop.room.receive("a", 2)
    reserve = reservations_service_pb2.ReserveRequest(request_id=new_id(), order_id="O-1")
    reserve.lines.add(line_id="O-1-0", item_id="a", location_id="BER", quantity=2)
    await shop.calls.reservations.Reserve(reserve)
    held = [fulfillment_service_pb2.HeldUnits(line_id="O-1-0", location_id="BER", quantity=2)]
    # Nobody else may have it, not even where both are asked about at once.
    batch = fulfillment_service_pb2.BatchPlanOrderRequest(requests=[shop.asks("O-2", ("a", 1)), shop.asks("O-1", ("a", 2), held=held)])
    other, own = (one.response for one in (await shop.calls.fulfillment.BatchPlanOrder(batch)).results)
    assert (where(other), where(own)) == ({}, {"BER": 2})
    # It stays where another place costs as much, and goes where it costs less.
    await shop.room.receive("a", 5, location_id="HAM")
    assert where(await shop.plan("O-1", ("a", 2), held=held)) == {"BER": 2}
    await shop.calls.promises.SetLane(
        promise_service_pb2.SetLaneRequest(request_id=new_id(), location_id="BER", currency_code="EUR", surcharge_minor=50)
    )
    assert where(await shop.plan("O-1", ("a", 2), held=held)) == {"HAM": 2}
    # What is kept back from its method is kept back from what is not reserved yet.
    safety = stock_service_pb2.SetMethodSafetyRequest(
        request_id=new_id(), item_id="a", location_id="BER", shipping_method="express", quantity=9
    )
    await shop.calls.stock.SetMethodSafety(safety)
    assert where(await shop.plan("O-1", ("a", 2), held=held, method="express", excluded_location_ids=["HAM"])) == {"BER": 2}
    # Nothing is held of what is not asked about.
    for line_id, quantity in (("O-1-9", 1), ("O-1-0", 3)):
        wrong = [fulfillment_service_pb2.HeldUnits(line_id=line_id, location_id="BER", quantity=quantity)]
        assert (await refused("INVALID_FIELD", shop.plan("O-1", ("a", 2), held=wrong))).field == "held[0]"
    # A replay counts an order once: as it was sourced first.
    assert (await shop.replay(1)).orders == 1


async def test_other_safety_stock_is_kept_back_from_a_shipping_method(shop: Shop) -> None:
    await shop.room.item("a")
    await shop.room.item("set", kit='[["a", 2]]')
    for place, quantity in (("BER", 5), ("HAM", 9)):
        await shop.room.receive("a", quantity, location_id=place)
    for method, quantity in (("express", 4), ("pickup", 0)):
        request = stock_service_pb2.SetMethodSafetyRequest(
            request_id=new_id(), item_id="a", location_id="BER", shipping_method=method, quantity=quantity
        )
        await shop.calls.stock.SetMethodSafety(request)
    await shop.calls.stock.SetStockPolicy(
        stock_service_pb2.SetStockPolicyRequest(request_id=new_id(), item_id="a", location_id="BER", quantity=2)
    )
    asked = stock_service_pb2.GetAvailabilityRequest(item_ids=["a", "set"], shipping_methods=["express", "pickup", "standard"])
    item, kit = (await shop.calls.stock.GetAvailability(asked)).items
    berlin, hamburg = item.locations
    assert (berlin.available_to_promise, dict(berlin.available_by_method)) == (3, {"express": 1, "pickup": 5})
    assert not hamburg.available_by_method
    assert (kit.locations[0].available_to_promise, dict(kit.locations[0].available_by_method)) == (1, {"express": 0, "pickup": 2})
    # Three by a method that keeps nothing back come from Berlin; by express only one is there.
    assert where(await shop.plan("O-1", ("a", 5), method="pickup", excluded_location_ids=["HAM"])) == {"BER": 5}
    short = await shop.plan("O-2", ("a", 5), method="express", excluded_location_ids=["HAM"])
    assert (where(short), short.short[0].quantity) == ({"BER": 1}, 4)
    assert where(await shop.plan("O-3", ("a", 5), excluded_location_ids=["HAM"])) == {"BER": 3}
    # Together they take no more than there is, and each keeps its own back.
    batch = fulfillment_service_pb2.BatchPlanOrderRequest(
        requests=[shop.asks("O-4", ("a", 4), method="pickup"), shop.asks("O-5", ("a", 8), method="express"), shop.asks("O-6", ("a", 2))]
    )
    results = [one.response for one in (await shop.calls.fulfillment.BatchPlanOrder(batch)).results]
    taken = [where(one) for one in results]
    assert sum(one.get("BER", 0) for one in taken) <= 5
    assert sum(one.get("HAM", 0) for one in taken) <= 9
    assert taken[1].get("BER", 0) <= 1
    assert taken[2].get("BER", 0) <= 3
    listed = (await shop.calls.stock.ListMethodSafety(stock_service_pb2.ListMethodSafetyRequest(item_id="a"))).method_safety
    assert [(one.shipping_method, one.quantity) for one in listed] == [("express", 4), ("pickup", 0)]


async def test_a_kit_and_its_component_are_planned_over_the_places_that_have_both(shop: Shop) -> None:
    for item_id in ("cup", "pot"):
        await shop.room.item(item_id)
    await shop.room.item("set", kit='[["cup", 2], ["pot", 1]]')
    for item_id, place, quantity in (("cup", "BER", 2), ("pot", "BER", 1), ("cup", "HAM", 1)):
        await shop.room.receive(item_id, quantity, location_id=place)
    await shop.rate()
    decision = await shop.plan("O-1", ("cup", 1), ("set", 1), ship_complete=True)
    assert sorted((one.item_id, one.location_id, one.quantity) for one in decision.assignments) == [("cup", "HAM", 1), ("set", "BER", 1)]
    # A replay knows the kit, and takes what it takes of what is stocked.
    assert (await shop.replay(1)).changed == 0
    # Two orders: whoever comes first, the set gets the cups that stand beside the pot.
    batch = fulfillment_service_pb2.BatchPlanOrderRequest(requests=[shop.asks("O-2", ("cup", 1)), shop.asks("O-3", ("set", 1))])
    cup, whole = (one.response for one in (await shop.calls.fulfillment.BatchPlanOrder(batch)).results)
    assert (where(cup), where(whole)) == ({"HAM": 1}, {"BER": 1})
    assert (await shop.replay(1)).changed == 0
    request = promise_service_pb2.QuotePromiseRequest(channel_id="web", currency_code="EUR", destination=BERLIN)
    request.lines.extend(shop.asks("O-4", ("cup", 2), ("set", 1)).lines)
    (quote,) = (await shop.calls.promises.QuotePromise(request)).quotes
    assert [(one.item_id, one.quantity) for one in quote.short] == [("cup", 1)]
