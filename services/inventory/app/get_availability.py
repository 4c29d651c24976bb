"""GetAvailability: what can be promised of items, per location and for a channel. The one function for all who ask.

Those who ask at once share the queries: `domain/promise.py` has the formula.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from sqlalchemy import Executable, literal, select, union_all

from argosy.inventory.v1 import stock_service_pb2
from chassis.kernel.clock import DAY, from_timestamp, to_timestamp
from chassis.runtime.host import wall_clock
from chassis.runtime.statements import ZERO, Kinds, given, parameters
from chassis.runtime.tx import Tx
from services.inventory.domain.promise import ChannelPolicy, Coming, Outlook, available_to_sell
from services.inventory.domain.stock import NEVER, SOURCED_KINDS, Components, Lot, State, kits_of
from services.inventory.store.stock_book import components_of
from services.inventory.store.tables import BALANCES, DEMANDS, INBOUND, ITEMS, LOCATIONS, LOTS, METHOD_SAFETY, POLICIES, RISK_BUFFERS

Request = stock_service_pb2.GetAvailabilityRequest
Key = tuple[str, str]
AVAILABLE = (BALANCES.c.state == int(State.AVAILABLE), BALANCES.c.quantity > 0)
MASTER = ("item_id", "kit", "min_life_days", "sellable_from")
THERE = ("item_id", "location_id", "lot", "quantity")
ITEM: Kinds = (("item_id", str),)


class Promises:
    """Answers for one process, which knows its locations: they are set up and never change."""

    def __init__(self) -> None:
        self._locations: dict[str, Any] = {}

    async def get_availability(self, tx: Tx, requests: Sequence[Request]) -> list[stock_service_pb2.GetAvailabilityResponse]:
        """Answers each request's items with their locations."""
        look = await self._look(tx, requests)
        return [stock_service_pb2.GetAvailabilityResponse(items=look.answer(request)) for request in requests]

    async def of(self, tx: Tx, item_ids: Sequence[str], channel_id: str) -> list[stock_service_pb2.ItemAvailability]:
        """Returns what can be promised of each item now, in the order asked."""
        request = Request(item_ids=item_ids, channel_id=channel_id)
        return (await self._look(tx, [request])).answer(request)

    async def _look(self, tx: Tx, requests: Sequence[Request]) -> "Look":
        look = Look(wall_clock(), self._locations)
        await look.read(tx, requests)
        if any(location_id not in self._locations for places in look.outlooks.values() for location_id in places):
            self._locations.update({row.location_id: row for row in await tx.read(select(LOCATIONS))})
        return look


@dataclass
class Look:
    """All that the answers to several requests need, read together."""

    now: int
    locations: dict[str, Any]
    items: dict[str, Any] = field(default_factory=dict)
    outlooks: defaultdict[str, dict[str, Outlook]] = field(default_factory=lambda: defaultdict(dict))
    policies: dict[Key, ChannelPolicy] = field(default_factory=dict)
    risks: dict[Key, int] = field(default_factory=dict)
    # What is kept back from shipping methods: (item, location) → method → units.
    methods: defaultdict[Key, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))

    async def read(self, tx: Tx, requests: Sequence[Request]) -> None:
        """Reads; a handful of queries however many items and requests."""
        wanted = sorted({item_id for request in requests for item_id in request.item_ids})
        rows = await tx.find(ITEMS, MASTER[:1], _keys(wanted), only=MASTER)
        self.items = {row.item_id: row for row in rows}
        parts = {part for row in rows if row.kit for part, _ in components_of(row.kit)} - set(wanted)
        if parts:
            self.items.update({row.item_id: row for row in await tx.find(ITEMS, MASTER[:1], _keys(parts), only=MASTER)})
        await self._read_stock(tx, sorted({*wanted, *parts}))
        await self._read_policies(tx, wanted, {request.channel_id for request in requests})
        if any(request.shipping_methods for request in requests):
            for row in await tx.find(METHOD_SAFETY, THERE[:1], _keys({*wanted, *parts})):
                self.methods[row.item_id, row.location_id][row.shipping_method] = row.quantity

    async def _read_stock(self, tx: Tx, item_ids: Sequence[str]) -> None:
        keys = _keys(item_ids)
        rows = await tx.find(BALANCES, THERE[:1], keys, only=THERE, where=AVAILABLE)
        lots = await self._lots(tx, rows)
        for item_id, location_id, lot, quantity in rows:
            self._outlook(item_id, location_id).there.append((lots.get((item_id, lot), Lot(lot)), quantity))
        for row in await tx.read(_ahead(tx.dialect), parameters(tx.dialect, "wanted", ITEM, keys)):
            outlook = self._outlook(row.item_id, row.location_id)
            if row.confidence_percent < 0:
                outlook.waiting.append((row.due_at, row.quantity))
            else:
                outlook.coming.append(Coming(row.due_at, row.quantity, row.confidence_percent))

    async def _lots(self, tx: Tx, rows: Sequence[Any]) -> Mapping[Key, Lot]:
        keys = sorted({(row.item_id, row.lot) for row in rows if row.lot})
        found = await tx.find(LOTS, ("item_id", "lot"), keys)
        # What is recalled can be promised no more than what has expired.
        ends = {(r.item_id, r.lot): 0 if r.recalled_at is not None else NEVER if r.expires_at is None else r.expires_at for r in found}
        return {(r.item_id, r.lot): Lot(r.lot, ends[r.item_id, r.lot], r.received_at) for r in found}

    def _outlook(self, item_id: str, location_id: str) -> Outlook:
        return self.outlooks[item_id].setdefault(location_id, Outlook())

    async def _read_policies(self, tx: Tx, item_ids: Sequence[str], channel_ids: Iterable[str]) -> None:
        keys = [(channel, item) for channel in sorted({"", *channel_ids}) for item in (*item_ids, "")]
        risked: set[str] = set()
        for row in await tx.find(POLICIES, ("channel_id", "item_id"), keys):
            if row.channel_id:
                network = frozenset(json.loads(row.network)) if row.network else frozenset()
                self.policies[row.channel_id, row.item_id] = ChannelPolicy(
                    row.quantity, row.share_percent, row.threshold, row.most, network
                )
                if row.risk_ppm:
                    risked.add(row.channel_id)
            elif row.location_id in self.outlooks[row.item_id]:
                self.outlooks[row.item_id][row.location_id].safety = row.quantity

        wanted = [(channel, item) for channel in sorted(risked) for item in item_ids]
        rows = await tx.find(RISK_BUFFERS, ("channel_id", "item_id"), wanted)
        self.risks = {(row.channel_id, row.item_id): row.buffer for row in rows}

    def answer(self, request: Request) -> list[stock_service_pb2.ItemAvailability]:
        """Returns what a request asks, item by item in its order."""
        return [self._item(item_id, request) for item_id in request.item_ids]

    def _item(self, item_id: str, request: Request) -> stock_service_pb2.ItemAvailability:
        answer = stock_service_pb2.ItemAvailability(item_id=item_id, unknown=item_id not in self.items)
        policy = self._policy(request.channel_id, item_id)
        places = set(request.location_ids) or policy.network
        moment = max(self.now, from_timestamp(request.at)) if request.HasField("at") else self.now
        item = self.items.get(item_id)
        if item is not None and item.sellable_from > self.now:
            answer.sellable_from.CopyFrom(to_timestamp(item.sellable_from))
        components = components_of(item.kit) if item is not None else ()
        for part, quantity in components:
            answer.components.add(item_id=part, quantity=quantity)
        # What is not sold yet is ordered for the day from which it is: what comes by then is there for it.
        sold_at = max(moment, item.sellable_from) if item is not None else moment
        promisable, pool = {}, {}
        for location_id in self._places(item_id, components):
            location = self.locations[location_id]
            if location.kind not in SOURCED_KINDS or (places and location_id not in places):
                continue
            promisable[location_id] = self._promise(item_id, components, location_id, moment, request.min_life_days)
            pool[location_id] = promisable[location_id]
            if sold_at > moment:
                pool[location_id] = self._promise(item_id, components, location_id, sold_at, request.min_life_days)
            shown = answer.locations.add(
                location_id=location_id, kind=location.kind, country_code=location.country_code, entity=location.entity,
                postal_prefix=location.postal_prefix, available_to_promise=promisable[location_id],
            )  # fmt: skip
            for method in request.shipping_methods:
                if any(method in self.methods.get((one, location_id), ()) for one in (item_id, *(part for part, _ in components))):
                    by = self._promise(item_id, components, location_id, moment, request.min_life_days, method)
                    shown.available_by_method[method] = by
            if request.horizon_days:
                self._steps(shown, item_id, components, request)
        answer.available_to_sell = available_to_sell(pool, policy)
        return answer

    def _policy(self, channel_id: str, item_id: str) -> ChannelPolicy:
        found = self.policies.get((channel_id, item_id)) or self.policies.get((channel_id, "")) or ChannelPolicy()
        risk = self.risks.get((channel_id, item_id), 0)
        return replace(found, buffer=risk) if risk > found.buffer else found

    def _places(self, item_id: str, components: Components) -> list[str]:
        items = [part for part, _ in components] or [item_id]
        return sorted({location_id for one in items for location_id in self.outlooks[one]})

    def _promise(self, item_id: str, components: Components, location_id: str, moment: int, life_days: int, method: str = "") -> int:
        if not components:
            return self._one(item_id, location_id, moment, life_days, method)
        return kits_of(components, {part: self._one(part, location_id, moment, life_days, method) for part, _ in components})

    def _one(self, item_id: str, location_id: str, moment: int, life_days: int, method: str) -> int:
        outlook, item = self.outlooks[item_id].get(location_id), self.items.get(item_id)
        least = max(life_days, item.min_life_days) if item is not None else life_days
        if outlook is None:
            return 0
        return outlook.promise(self.now, moment, least, self.methods.get((item_id, location_id), {}).get(method) if method else None)

    def _steps(self, shown: stock_service_pb2.LocationAvailability, item_id: str, components: Components, request: Request) -> None:
        until, last = self.now + request.horizon_days * DAY, None
        items = [part for part, _ in components] or [item_id]
        outlooks = [self.outlooks[one][shown.location_id] for one in items if shown.location_id in self.outlooks[one]]
        for moment in sorted({moment for outlook in outlooks for moment in outlook.moments(self.now, until)}):
            quantity = self._promise(item_id, components, shown.location_id, moment, request.min_life_days)
            if quantity != last:
                shown.steps.add(from_at=to_timestamp(moment), available_to_promise=quantity)
                last = quantity


@cache
def _ahead(dialect: str) -> Executable:
    """SELECT what comes and what waits for nothing certain; what is pegged waits for its supply, which counts that much less.

    What waits is told by a confidence below zero: one look at both.
    """
    wanted = given(dialect, "wanted", ITEM)
    free = (INBOUND.c.quantity - INBOUND.c.pegged).label("quantity")
    coming = select(INBOUND.c.item_id, INBOUND.c.location_id, free, INBOUND.c.due_at, INBOUND.c.confidence_percent)
    waiting = select(
        DEMANDS.c.item_id,
        DEMANDS.c.location_id,
        DEMANDS.c.quantity,
        DEMANDS.c.wanted_at.label("due_at"),
        literal(-1).label("confidence_percent"),
    )
    return union_all(
        coming.where(INBOUND.c.item_id == wanted.c.item_id, INBOUND.c.quantity > ZERO),
        waiting.where(DEMANDS.c.item_id == wanted.c.item_id, DEMANDS.c.quantity > ZERO, DEMANDS.c.inbound_id == ""),
    )


def _keys(item_ids: Iterable[str]) -> list[tuple[str]]:
    return [(one,) for one in sorted(item_ids)]
