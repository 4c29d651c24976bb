"""The life of an order: known roads by hand, and thousands of random ones in which nothing may be lost or stuck."""

import random
from collections import defaultdict
from typing import Any

import pytest
from msgspec import Struct

from chassis.kernel.clock import DAY
from chassis.kernel.process import Fired, HoldReleased, Next, Timer
from services.orders.process import fulfil_order as f
from services.orders.process import messages as m
from services.orders.process import order_state as o
from services.orders.process.take_back import CHANGED

POLICIES = (o.SHIP_AVAILABLE, o.SHIP_COMPLETE, o.CANCEL_SHORT, o.HOLD_SHORT, o.BACKORDER)


class World:
    """The other services, as simple as they can be; answers come in any order, and people and customers interfere."""

    def __init__(self, seed: int, lines: dict[str, int], policy: int) -> None:
        self.dice = random.Random(seed)
        self.state = o.State("o", policy, {line: o.Line(0, quantity) for line, quantity in lines.items()})
        self.ordered = lines
        self.units = dict.fromkeys(lines, self.dice.choice((1, 1, 1, 6)))
        self.stock = {(line, place): self.dice.randrange(0, 30) for line in lines for place in "XYZ"}
        self.known = self.dice.random() < 0.9
        self.early = {line: 1000 for line in lines if self.dice.random() < 0.15}
        self.reserved: dict[tuple[str, str], int] = defaultdict(int)
        self.released: dict[tuple[str, str], int] = defaultdict(int)
        self.pending: list[Any] = []
        self.demands: dict[str, int] = {}
        self.later: list[Struct] = []
        self.holds: set[str] = set()
        self.shipped: dict[str, int] = defaultdict(int)
        self.booked: dict[str, int] = defaultdict(int)
        self.asked_back: list[m.Part] = []
        self.given_up: list[m.Part] = []
        self.cancelled: dict[str, int] = defaultdict(int)
        self.steps: set[str] = set()
        self.ended = False
        self.unasked = False
        self.tell(m.Placed())

    def tell(self, message: Struct) -> None:
        following: Next[o.State] = f.decide(self.state, message, 0)
        self.state = following.state
        self.ended = following.ended
        for do in following.do:
            assert do.step not in self.steps, "a step's name is used twice"
            self.steps.add(do.step)
            self.pending.append(do.effect)
        for change in following.changes:
            self._apply(change)
        self.check()

    def _apply(self, change: Struct) -> None:
        match change:
            case m.RaiseHold(reason):
                self.holds.add(reason)
                self.unasked |= reason == "SHIPPED_UNASKED"
            case m.LiftHold(reason):
                self.holds.discard(reason)
            case m.BookCancellation(lines):
                for one in lines:
                    self.cancelled[one.line_id] += one.quantity
            case m.BookShipment(_, lines):
                for one in lines:
                    self.booked[one.line_id] += one.quantity
            case m.KeepTax():
                reasons = [r for r in ("AWAITING_PAYMENT", "HIGH_RISK") if self.dice.random() < 0.2]
                self.holds |= set(reasons)
                self.later.append(m.Validated(reasons))
            case _:
                pass

    def check(self) -> None:
        """ordered = waiting + reserved + released + shipped + cancelled, none of them negative."""
        for key, line in self.state.lines.items():
            parts = [line.waiting, *line.reserved.values(), *line.released.values(), line.shipped, line.cancelled]
            assert min(parts) >= 0
            assert sum(parts) == self.ordered[key] * (line.units or 1)
            assert line.cancelled == self.cancelled[key]
            assert line.shipped == self.booked[key]

    def answer(self, effect: Any) -> Struct:
        match effect:
            case m.ResolveItems():
                found = {
                    k: m.Item(k, k, u, "standard", 1, [], -1, False, sellable_from=self.early.get(k, 0))
                    for k, u in self.units.items() if self.known or k == "a"
                }  # fmt: skip
                return m.ItemsResolved(found)
            case m.AskSale():
                # The day comes, or is moved.
                self.early = {k: moment + 1000 for k, moment in self.early.items() if self.dice.random() < 0.3}
                return m.SaleDated(dict(self.early))
            case m.CalculateTax():
                return m.TaxCalculated({}, 0, False)
            case m.PlanOrder(_, lines, excluded, complete):
                return self.plan(lines, excluded, complete)
            case m.ReserveStock(_, parts):
                return self.reserve(parts)
            case m.ReleaseOrder(_, parts):
                for part in parts:
                    assert part.line_id not in self.early, "it is not sold yet"
                    self.reserved[part.line_id, part.location_id] -= part.quantity
                    self.released[part.line_id, part.location_id] += part.quantity
                return m.Released()
            case m.CancelReservation(_, lines):
                for one in lines:
                    self.take(self.reserved, one)
                return m.ReservationCancelled()
            case m.RecallOrder(_, lines):
                return self.recall(lines)
            case m.GiveBack(_, parts):
                for part in parts:
                    self.reserved[part.line_id, part.location_id] -= part.quantity
                    self.stock[part.line_id, part.location_id] += part.quantity
                return m.ReservationCancelled()
            case m.PlaceDemand(_, line_id, quantity):
                return self.demand(line_id, quantity)
            case m.CancelDemand(_, line_id):
                self.demands.pop(line_id, None)
                return m.DemandCancelled(line_id)
            case _:
                raise TypeError(effect)

    def recall(self, lines: list[m.LineCount]) -> Struct:
        """Some locations give back at once, some have to agree and answer later."""
        back, pending = [], 0
        for part in (part for one in lines for part in self.take(self.released, one)):
            if self.dice.random() < 0.4:
                self.stock[part.line_id, part.location_id] -= part.quantity
                self.asked_back.append(part)
                pending += part.quantity
            else:
                back.append(part)
                self.given_up.append(part)
        return m.Recalled(back, pending)

    def agree(self) -> None:
        """A location answers what it was asked: it gives back, ships, or goes on as if nothing was."""
        part = self.asked_back.pop(self.dice.randrange(len(self.asked_back)))
        chance = self.dice.random()
        if chance < 0.5:
            self.stock[part.line_id, part.location_id] += part.quantity
            self.tell(m.RecallAnswered([part], 0, ""))
        elif chance < 0.8:
            self.shipped[part.line_id] += part.quantity
            self.tell(m.Shipped(f"s{len(self.steps)}", [part]))
            self.tell(m.RecallAnswered([], part.quantity, "it has shipped"))
        else:
            self.released[part.line_id, part.location_id] += part.quantity
            self.tell(m.RecallAnswered([], part.quantity, "too late"))

    def ship_astray(self) -> None:
        """A location ships what it gave up."""
        part = self.given_up.pop()
        key, left = (part.line_id, part.location_id), part.quantity
        # What it has to ship of the line anew is taken to be what has left.
        again = min(left, self.released[key])
        self.released[key] -= again
        answers, left = [], left - again
        for one in [one for one in self.asked_back if (one.line_id, one.location_id) == key]:
            self.asked_back.remove(one)
            gone = min(left, one.quantity)
            left -= gone
            answers.append(gone)
            if gone < one.quantity:
                self.asked_back.append(m.Part(*key, one.quantity - gone))
        self.stock[key] -= left
        self.shipped[part.line_id] += part.quantity
        self.tell(m.Shipped(f"s{len(self.steps)}", [part]))
        for gone in filter(None, answers):
            self.tell(m.RecallAnswered([], gone, "it has shipped"))

    def demand(self, line_id: str, quantity: int) -> Struct:
        """Inventory lets a line wait, at X; sometimes it has come meanwhile, sometimes it cannot wait."""
        chance = self.dice.random()
        if chance < 0.1:
            return m.DemandRefused(line_id, "KIT")
        self.demands[line_id] = self.demands.get(line_id, 0) + quantity
        if chance < 0.3:
            self.supply(line_id)
        return m.Demanded(line_id, quantity, line_id in self.demands, None if chance > 0.8 else 1000)

    def supply(self, line_id: str) -> None:
        """Some of what a line waits for comes, and is reserved for it at once."""
        quantity = self.dice.randrange(1, self.demands[line_id] + 1)
        self.demands[line_id] -= quantity
        if not self.demands[line_id]:
            del self.demands[line_id]
        self.reserved[line_id, "X"] += quantity
        self.later.append(m.SupplyCame([m.Part(line_id, "X", quantity)]))

    def plan(self, lines: list[m.LineCount], excluded: list[str], complete: bool) -> Struct:
        parts, short = [], []
        for one in lines:
            left = one.quantity
            for place in "XYZ":
                part = min(left, self.stock[one.line_id, place]) if place not in excluded else 0
                if part:
                    parts.append(m.Part(one.line_id, place, part))
                    left -= part
            if left:
                short.append(m.LineCount(one.line_id, left))
        return m.Planned([] if complete and short else parts, short)

    def reserve(self, parts: list[m.Part]) -> Struct:
        if self.dice.random() < 0.2 or any(self.stock[p.line_id, p.location_id] < p.quantity for p in parts):
            return m.ReserveRefused("INSUFFICIENT_STOCK")
        for part in parts:
            self.stock[part.line_id, part.location_id] -= part.quantity
            self.reserved[part.line_id, part.location_id] += part.quantity
        return m.Reserved()

    def take(self, where: dict[tuple[str, str], int], one: m.LineCount) -> list[m.Part]:
        left, taken = one.quantity, []
        for place in "XYZ":
            part = min(left, where[one.line_id, place])
            if part:
                where[one.line_id, place] -= part
                self.stock[one.line_id, place] += part
                taken.append(m.Part(one.line_id, place, part))
                left -= part
        return taken

    def happen(self) -> bool:
        """Lets one thing happen; False where nothing is left to happen by itself."""
        roll = self.dice.random()
        if self.later:
            self.tell(self.later.pop(0))
        elif self.demands and roll < 0.15:
            line_id = self.dice.choice(sorted(self.demands))
            if roll < 0.05:
                self.tell(m.SupplyDated(line_id, self.dice.choice((None, 2000))))
            else:
                self.supply(line_id)
        elif roll < 0.05 and self.dice.random() < 0.5:
            some = self.dice.choice([[], [m.LineCount(self.dice.choice(list(self.ordered)), self.dice.randrange(1, 4))]])
            self.tell(m.CancelRequested(self.whole(some), "changed my mind"))
        elif roll < 0.06 and not self.state.change:
            self.tell(m.ChangeRequested(f"c{len(self.steps)}"))
        elif roll < 0.07 and self.given_up:
            self.ship_astray()
        elif roll < 0.12 and self.asked_back:
            self.agree()
        elif roll < 0.25 and any(self.released.values()):
            self.work()
        elif self.pending:
            effect = self.pending.pop(self.dice.randrange(len(self.pending)))
            self.tell(self.answer(effect) if self.dice.random() > 0.03 else m.StepFailed("x", "no"))
        elif any(self.released.values()):
            self.work()
        elif self.asked_back:
            self.agree()
        elif any(line in self.early and self.state.lines[line].reserved for line in self.state.unsold) or (
            self.early and not self.demands and not self.holds
        ):
            self.tell(Fired("sale"))
        elif self.demands:
            self.supply(self.dice.choice(sorted(self.demands)))
        else:
            return self.let_go()
        return True

    def whole(self, some: list[m.LineCount]) -> list[m.LineCount]:
        return [m.LineCount(one.line_id, one.quantity * (self.state.lines[one.line_id].units or 1)) for one in some]

    def work(self) -> None:
        """A location ships some of what it has, or does not find it."""
        line_id, place = self.dice.choice([key for key, count in self.released.items() if count])
        quantity = self.dice.randrange(1, self.released[line_id, place] + 1)
        self.released[line_id, place] -= quantity
        part = m.Part(line_id, place, quantity)
        chance = self.dice.random()
        if chance < 0.1:
            self.stock[line_id, place] = 0
            self.tell(m.Shorted([part]))
        elif chance < 0.2:
            self.stock[line_id, place] += quantity
            self.given_up.append(part)
            self.tell(m.Rejected([part], "REJECTED: the line is down"))
        else:
            self.shipped[line_id] += quantity
            self.tell(m.Shipped(f"s{len(self.steps)}", [part]))

    def let_go(self) -> bool:
        """A person settles a hold; stock comes in where it was missing."""
        if not self.holds:
            return False
        reason = self.dice.choice(sorted(self.holds))
        self.holds.discard(reason)
        if reason == "UNKNOWN_SKU":
            self.known = True
        if reason == "OUT_OF_STOCK":
            for key in self.stock:
                self.stock[key] += 50
        self.tell(m.Paid() if reason == "AWAITING_PAYMENT" and self.dice.random() < 0.5 else HoldReleased(reason, "p", "done"))
        return True


@pytest.mark.parametrize("policy", POLICIES)
def test_no_road_loses_a_unit_or_gets_stuck(policy: int) -> None:
    for seed in range(400):
        lines = dict.fromkeys("abc"[: 1 + seed % 3], 1 + seed % 5)
        world = World(seed, lines, policy)
        for _ in range(2000):
            if world.ended and not world.pending and not world.later:
                break
            assert world.happen(), f"seed {seed}: nothing will wake it: {world.state}"
        assert world.ended, f"seed {seed} is still under way: {world.state}"
        beyond = {key: world.shipped[key] - line.shipped for key, line in world.state.lines.items()}
        assert min(beyond.values()) >= 0
        # What left beyond the order was held.
        assert any(beyond.values()) == world.unasked, f"seed {seed}: {beyond}"
        assert not any(world.reserved.values())


def walk(*messages: Struct, policy: int = o.SHIP_AVAILABLE, lines: dict[str, int] | None = None) -> Next[o.State]:
    following = Next(o.State("o", policy, {key: o.Line(0, quantity) for key, quantity in (lines or {"a": 2}).items()}))
    for message in messages:
        following = f.decide(following.state, message, 0)
    return following


def item(units: int = 1) -> m.Item:
    return m.Item("i", "S", units, "standard", 1, [], -1, False)


READY = (m.Placed(), m.ItemsResolved({"a": item()}), m.TaxCalculated({}, 0, False), m.Validated([]))
PLANNED = (*READY, m.Planned([m.Part("a", "X", 2)], []))


def asked(following: Next[o.State]) -> list[Any]:
    return [do.effect for do in following.do]


def test_the_straight_road() -> None:
    assert asked(walk(*READY)) == [m.PlanOrder("o", [m.LineCount("a", 2)], [], False)]
    assert asked(walk(*PLANNED)) == [m.ReserveStock("o", [m.Part("a", "X", 2)])]
    assert asked(walk(*PLANNED, m.Reserved())) == [m.ReleaseOrder("o", [m.Part("a", "X", 2)])]
    end = walk(*PLANNED, m.Reserved(), m.Released(), m.Shipped("s", [m.Part("a", "X", 2)]))
    assert end.ended
    assert m.Complete() in end.changes


def test_a_unit_of_the_channel_may_be_many_of_stock() -> None:
    following = walk(m.Placed(), m.ItemsResolved({"a": item(6)}), m.TaxCalculated({}, 0, False), m.Validated([]))
    assert asked(following) == [m.PlanOrder("o", [m.LineCount("a", 12)], [], False)]
    # Eleven of twelve are one whole unit of the channel.
    following = f.decide(following.state, m.Planned([m.Part("a", "X", 11)], [m.LineCount("a", 1)]), 0)
    assert asked(following) == [m.ReserveStock("o", [m.Part("a", "X", 6)])]


def test_three_refused_reservations_are_out_of_stock() -> None:
    messages: list[Struct] = list(READY)
    for _ in range(3):
        messages += [m.Planned([m.Part("a", "X", 2)], []), m.ReserveRefused("INSUFFICIENT_STOCK")]
    end = walk(*messages)
    assert "OUT_OF_STOCK" in end.state.holds
    assert asked(walk(*messages, Fired("restock"))) == [m.PlanOrder("o", [m.LineCount("a", 2)], [], False)]


def test_a_hold_reserves_but_does_not_release_and_a_data_hold_reserves_nothing() -> None:
    unpaid = (*READY[:3], m.Validated(["AWAITING_PAYMENT"]), m.Planned([m.Part("a", "X", 2)], []))
    assert asked(walk(*unpaid)) == [m.ReserveStock("o", [m.Part("a", "X", 2)])]
    assert asked(walk(*unpaid, m.Reserved())) == []
    assert asked(walk(*unpaid, m.Reserved(), m.Paid())) == [m.ReleaseOrder("o", [m.Part("a", "X", 2)])]
    unknown = walk(m.Placed(), m.ItemsResolved({}))
    assert unknown.state.holds == ["UNKNOWN_SKU"]
    assert not unknown.do


def test_a_partial_cancellation_before_validation_skips_nothing() -> None:
    following = walk(m.Placed(), m.CancelRequested([m.LineCount("a", 1)], "x"), m.ItemsResolved({"a": item()}))
    assert asked(following) == [m.CalculateTax("o")]
    following = f.decide(following.state, m.TaxCalculated({}, 0, False), 0)
    assert not following.state.validated
    following = f.decide(following.state, m.Validated([]), 0)
    assert asked(following) == [m.PlanOrder("o", [m.LineCount("a", 1)], [], False)]
    assert following.state.lines["a"].cancelled == 1


def test_what_is_cancelled_while_it_is_planned_is_not_reserved() -> None:
    following = walk(*READY, m.CancelRequested([m.LineCount("a", 1)], "x"), m.Planned([m.Part("a", "X", 2)], []))
    assert asked(following) == [m.ReserveStock("o", [m.Part("a", "X", 1)])]


def test_what_a_location_does_not_find_is_sourced_elsewhere() -> None:
    following = walk(*PLANNED, m.Reserved(), m.Released(), m.Shorted([m.Part("a", "X", 1)]))
    assert asked(following) == [m.PlanOrder("o", [m.LineCount("a", 1)], ["X"], False)]


def test_a_shipment_that_overtakes_the_answer_to_the_release_counts() -> None:
    end = walk(*PLANNED, m.Reserved(), m.Shipped("s", [m.Part("a", "X", 2)]))
    assert end.state.lines["a"].shipped == 2
    assert not end.ended
    assert f.decide(end.state, m.Released(), 0).ended


def test_a_failed_step_waits_for_a_person_and_is_asked_again() -> None:
    failed = walk(*PLANNED, m.StepFailed("reserve", "NOT_FOUND: no item"))
    assert failed.state.holds == ["INTEGRATION_FAILED"]
    assert asked(f.decide(failed.state, HoldReleased("INTEGRATION_FAILED", "p", "fixed"), 0))
    cancelled = f.decide(failed.state, m.CancelRequested([], "give up"), 0)
    assert cancelled.ended


def short(waiting: int = 3, **reserved: int) -> o.State:
    """Returns an order that waits for stock and has some reserved already."""
    line = o.Line(1, waiting, reserved=dict(reserved))
    return o.State("o", o.SHIP_COMPLETE, {"1": line}, validated=True, short=True, holds=["OUT_OF_STOCK"])


def test_what_waited_is_reserved_when_supply_came_and_goes_out() -> None:
    following = f.decide(short(3, X=1), m.SupplyCame([m.Part("1", "X", 3)]), 0)
    assert following.state.lines["1"] == o.Line(1, 0, reserved={"X": 4})
    assert m.LiftHold("OUT_OF_STOCK") in following.changes
    assert [type(one.effect) for one in following.do] == [m.ReleaseOrder]


def test_what_comes_too_late_is_given_back_where_it_came() -> None:
    following = f.decide(short(1), m.SupplyCame([m.Part("1", "X", 3), m.Part("9", "X", 1)]), 0)
    assert asked(following) == [m.GiveBack("o", [m.Part("1", "X", 2), m.Part("9", "X", 1)])]
    following = f.decide(following.state, m.ReservationCancelled(), 0)
    assert following.state.surplus == []
    assert asked(following) == [m.ReleaseOrder("o", [m.Part("1", "X", 1)])]


def test_what_a_more_urgent_order_took_is_planned_again() -> None:
    state = o.State("o", o.SHIP_AVAILABLE, {"1": o.Line(1, 0, reserved={"X": 4})}, validated=True, holds=["AWAITING_PAYMENT"])
    following = f.decide(state, m.StockTaken([m.Part("1", "X", 3)], "vip"), 0)
    assert following.state.lines["1"] == o.Line(1, 3, reserved={"X": 1})
    assert [type(one.effect) for one in following.do] == [m.PlanOrder]


def test_what_was_released_meanwhile_is_held() -> None:
    state = o.State("o", o.SHIP_AVAILABLE, {"1": o.Line(1, 0, released={"X": 4})}, validated=True)
    following = f.decide(state, m.StockTaken([m.Part("1", "X", 3)], "vip"), 0)
    assert following.state.holds == ["STOCK_TAKEN"]
    assert following.state.lines["1"] == o.Line(1, 0, released={"X": 4})


def test_what_inventory_does_by_itself_waits_for_the_answer_that_is_asked() -> None:
    asking = o.State("o", o.SHIP_AVAILABLE, {"1": o.Line(1, 2, reserved={"X": 1})}, validated=True, asking="plan", asked=1)
    told = f.decide(asking, m.StockTaken([m.Part("1", "X", 1)], "vip"), 0).state
    assert (told.asking, told.lines["1"].waiting) == ("plan", 2)
    after = f.decide(told, m.Planned([], []), 0).state
    assert (after.later, after.lines["1"].waiting, after.lines["1"].reserved) == ([], 3, {})


def test_what_a_location_rejects_is_sourced_elsewhere_and_its_promise_is_kept() -> None:
    following = walk(*PLANNED[:-1], m.Planned([m.Part("a", "X", 2)], [], 500), m.Reserved(), m.Released())
    assert m.KeepPromise(500, partial=False) in walk(*PLANNED[:-1], m.Planned([m.Part("a", "X", 2)], [], 500)).changes
    following = f.decide(following.state, m.Rejected([m.Part("a", "X", 2)], "NO_ACK: silent"), 0)
    assert following.changes[0] == m.Record("REJECTED", "X: NO_ACK: silent")
    (do,) = following.do
    assert isinstance(do.effect, m.PlanOrder)
    assert do.effect.excluded_location_ids == ["X"]


SHORT = (*READY, m.Planned([], [m.LineCount("a", 2)]))


def test_what_is_short_waits_for_supply_and_is_told_until_when() -> None:
    following = walk(*SHORT, policy=o.BACKORDER)
    assert asked(following) == [m.PlaceDemand("o", "a", 2)]
    following = f.decide(following.state, m.Demanded("a", 2, True, 500), 0)
    assert m.KeepPromise(500, True) in following.changes
    assert following.timers == (Timer("supply", 500 + DAY),)
    assert not following.do
    later = f.decide(following.state, m.SupplyDated("a", 900), 0)
    assert (later.changes, later.timers) == ((m.KeepPromise(900, True),), (Timer("supply", 900 + DAY),))
    came = f.decide(later.state, m.SupplyCame([m.Part("a", "X", 2)]), 0)
    assert asked(came) == [m.ReleaseOrder("o", [m.Part("a", "X", 2)])]


def test_supply_that_is_not_in_sight_or_late_is_a_hold_until_it_is_dated() -> None:
    following = walk(*SHORT, m.Demanded("a", 2, True, None), policy=o.BACKORDER)
    assert following.state.holds == ["UNKNOWN_DATE"]
    dated = f.decide(following.state, m.SupplyDated("a", 500), 0)
    assert m.LiftHold("UNKNOWN_DATE") in dated.changes
    late = f.decide(dated.state, Fired("supply"), 500 + DAY)
    assert late.state.holds == ["UNKNOWN_DATE"]
    # Now and then, and when somebody lets the hold go, it is looked for everywhere again.
    assert following.timers == (Timer("restock", f.RESTOCK_EVERY),)
    for message in (Fired("restock"), HoldReleased("UNKNOWN_DATE", "p", "look again")):
        again = f.decide(following.state, message, 0)
        assert asked(again) == [m.CancelDemand("o", "a")]
        assert asked(f.decide(again.state, m.DemandCancelled("a"), 0)) == [m.PlanOrder("o", [m.LineCount("a", 2)], [], False)]


def test_what_cannot_wait_for_supply_is_out_of_stock() -> None:
    following = walk(*SHORT, m.DemandRefused("a", "KIT"), policy=o.BACKORDER)
    assert following.state.holds == ["OUT_OF_STOCK"]
    assert not following.do


def test_a_line_that_waits_is_cancelled_after_it_waits_no_more() -> None:
    waiting = walk(*SHORT, m.Demanded("a", 2, True, 500), policy=o.BACKORDER)
    following = f.decide(waiting.state, m.CancelRequested([m.LineCount("a", 1)], "one is enough"), 0)
    assert asked(following) == [m.CancelDemand("o", "a")]
    following = f.decide(following.state, m.DemandCancelled("a"), 0)
    assert m.BookCancellation([m.LineCount("a", 1)], "one is enough") in following.changes
    # The other one is looked for again, and waits again where it is not found.
    assert asked(following) == [m.PlanOrder("o", [m.LineCount("a", 1)], [], False)]


def test_a_change_gives_back_what_is_under_way_and_the_order_is_looked_at_again() -> None:
    released = walk(*PLANNED, m.Reserved(), m.Released())
    following = f.decide(released.state, m.ChangeRequested("c"), 0)
    assert asked(following) == [m.RecallOrder("o", [m.LineCount("a", 2)], CHANGED)]
    following = f.decide(following.state, m.Recalled([m.Part("a", "X", 2)]), 0)
    assert m.SettleChange("c") in following.changes
    assert asked(following) == [m.ResolveItems("o")]
    # It is planned again once it is taxed and judged; what the rules do not hold it for any more is let go.
    held = o.State("o", o.SHIP_AVAILABLE, {"a": o.Line(1, 2)}, asking="tax", holds=["HIGH_RISK", "OUT_OF_STOCK"], judged=["HIGH_RISK"])
    following = f.decide(held, m.Validated(["OVERDUE"]), 0)
    assert m.LiftHold("HIGH_RISK") in following.changes
    assert following.state.holds == ["OUT_OF_STOCK", "OVERDUE"]


def test_a_change_comes_too_late_for_what_is_on_its_way() -> None:
    released = walk(*PLANNED, m.Reserved(), m.Released())
    following = f.decide(released.state, m.ChangeRequested("c"), 0)
    following = f.decide(following.state, m.Recalled([m.Part("a", "X", 1)]), 0)
    assert m.SettleChange("c", "1 units are on their way already") in following.changes
    assert asked(following) == [m.PlanOrder("o", [m.LineCount("a", 1)], [], False)]
    shipped = walk(*PLANNED, m.Reserved(), m.Released(), m.Shipped("s", [m.Part("a", "X", 1)]))
    following = f.decide(shipped.state, m.ChangeRequested("c"), 0)
    assert m.SettleChange("c", "1 units have shipped or are cancelled") in following.changes


def test_a_change_of_what_is_reserved_reserves_again() -> None:
    held = walk(*READY[:3], m.Validated(["HIGH_RISK"]), m.Planned([m.Part("a", "X", 2)], []), m.Reserved())
    following = f.decide(held.state, m.ChangeRequested("c"), 0)
    assert asked(following) == [m.CancelReservation("o", [m.LineCount("a", 2)], CHANGED)]
    following = f.decide(following.state, m.ReservationCancelled(), 0)
    assert (following.state.lines["a"].waiting, following.state.lines["a"].reserved) == (2, {})
    assert asked(following) == [m.ResolveItems("o")]


def test_what_nobody_collects_is_cancelled_and_nothing_else_changes() -> None:
    released = walk(*PLANNED, m.Reserved(), m.Released())
    one = f.decide(released.state, m.Shipped("s", [m.Part("a", "X", 1)]), 0)
    following = f.decide(one.state, m.NotCollected([m.Part("a", "X", 1)]), 0)
    assert m.BookCancellation([m.LineCount("a", 1)], "it was not collected in time") in following.changes
    assert following.ended
    # What was called back meanwhile is not cancelled twice.
    again = f.decide(following.state, m.NotCollected([m.Part("a", "X", 1)]), 0)
    assert again.state == following.state


def early(units: int = 1) -> m.Item:
    return m.Item("i", "S", units, "standard", 1, [], -1, False, sellable_from=50 * DAY)


EARLY = (m.Placed(), m.ItemsResolved({"a": early()}), m.TaxCalculated({}, 0, False), m.Validated([]))


def test_what_is_not_sold_yet_is_reserved_promised_for_its_day_and_stays_until_then() -> None:
    following = walk(*EARLY, m.Planned([m.Part("a", "X", 2)], [], 3 * DAY))
    assert m.KeepPromise(50 * DAY, partial=False) in following.changes
    following = f.decide(following.state, m.Reserved(), 0)
    assert not following.do
    # The day is looked at again every day: it may be moved.
    assert Timer("sale", DAY) in walk(*EARLY[:2]).timers
    asking = f.decide(following.state, Fired("sale"), DAY)
    assert asked(asking) == [m.AskSale("o")]
    moved = f.decide(asking.state, m.SaleDated({"a": 60 * DAY}), DAY)
    assert m.KeepPromise(60 * DAY, partial=True) in moved.changes
    assert moved.timers == (Timer("sale", 2 * DAY),)
    asking = f.decide(moved.state, Fired("sale"), 60 * DAY)
    sold = f.decide(asking.state, m.SaleDated({"a": 60 * DAY}), 60 * DAY)
    assert m.KeepSale({"a": 0}) in sold.changes
    assert asked(sold) == [m.ReleaseOrder("o", [m.Part("a", "X", 2)])]


@pytest.mark.parametrize("policy", POLICIES)
def test_what_is_not_sold_yet_and_not_there_waits_for_supply_whatever_happens_to_what_is_short(policy: int) -> None:
    following = walk(*EARLY, m.Planned([], [m.LineCount("a", 2)]), policy=policy)
    assert asked(following) == [m.PlaceDemand("o", "a", 2, preorder=True)]
    following = f.decide(following.state, m.Demanded("a", 2, True, 3 * DAY), 0)
    assert m.KeepPromise(50 * DAY, partial=True) in following.changes
    assert not following.state.holds
    came = f.decide(following.state, m.SupplyCame([m.Part("a", "X", 2)]), 4 * DAY)
    assert not came.do


def test_what_is_sold_leaves_before_what_is_not_unless_all_shall_go_together() -> None:
    lines = {"a": 1, "b": 1}
    known = m.ItemsResolved({"a": early(), "b": item()})
    planned = (m.Placed(), known, *EARLY[2:], m.Planned([m.Part("a", "X", 1), m.Part("b", "X", 1)], []), m.Reserved())
    assert asked(walk(*planned, lines=lines)) == [m.ReleaseOrder("o", [m.Part("b", "X", 1)])]
    assert asked(walk(*planned, lines=lines, policy=o.SHIP_COMPLETE)) == []
    cancelled = walk(*planned, m.CancelRequested([m.LineCount("a", 1)], "x"), m.ReservationCancelled(), lines=lines, policy=o.SHIP_COMPLETE)
    assert asked(cancelled) == [m.ReleaseOrder("o", [m.Part("b", "X", 1)])]


def test_a_preordered_kit_that_may_not_wait_is_a_persons_matter_once() -> None:
    following = walk(*EARLY, m.Planned([], [m.LineCount("a", 2)]), m.DemandRefused("a", "KIT"))
    assert following.state.holds == ["OUT_OF_STOCK"]
    assert not following.do
