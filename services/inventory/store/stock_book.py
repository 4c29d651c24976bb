"""The stock book: balances and cost layers of the keys at hand, locked in one order, changed in memory, written at once.

Open it for every (item, location) that a batch touches, and with the lots that are named there; take and put; then `write`. A
kit is opened by its components. A balance below zero cannot be written: changes of what is there are guarded updates, and CHECK
constraints stand beneath. Nothing of a lot that is recalled or has expired becomes AVAILABLE, by whatever document: it is blocked.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Executable, select

from argosy.inventory.v1 import inventory_events_pb2
from chassis.kernel.clock import SECOND
from chassis.kernel.ids import new_id
from chassis.runtime.statements import ZERO, Kinds, given, parameters
from chassis.runtime.tx import Tx, gate
from chassis.runtime.work import Cause, Work
from services.inventory.domain.cost import Layer, Method, Taken, take
from services.inventory.domain.stock import NEVER, ON_HAND, Components, Lot, State, picking_order
from services.inventory.store.tables import BALANCES, CONSUMPTIONS, ITEMS, LAYERS, LOCATIONS, LOTS, MOVEMENTS, VALUATIONS, VALUE_ENTRIES

Key = tuple[str, str]
KEY = ("item_id", "location_id")
KEYS: Kinds = tuple((name, str) for name in KEY)
BALANCE = (*KEY, "lot", "state")
TOTALS = ("quantity", "value_minor")
OPEN_LAYERS = (LAYERS.c.quantity_left > ZERO,)
RECALLED = (LOTS.c.recalled_at.is_not(None),)
# Whoever brings a lot where it was not goes through it; whoever recalls one closes it, so that no place of it is missed.
LOT_GATE = gate("places of lots")
# Whoever begins to keep something of an item at a location closes it: what is not there yet cannot be locked.
FRESH_GATE = gate("fresh balances")
# For how long what was read may serve who only hopes, and of how many balances at most.
REMEMBERED_FOR = SECOND
MOST_REMEMBERED = 10_000
FORGOTTEN: tuple[int, dict[tuple[str, int], int]] = (0, {})
FREE = ("", int(State.AVAILABLE))


class Document(NamedTuple):
    """The document behind movements."""

    kind: str
    id: str
    reason: str = ""


@lru_cache(4096)
def components_of(kit: str) -> Components:
    """Returns what a kit is made of, as its item's row keeps it; nothing where it is no kit."""
    return tuple((str(item_id), int(quantity)) for item_id, quantity in json.loads(kit)) if kit else ()


async def kits(tx: Tx) -> dict[str, Components]:
    """Returns what every kit is made of."""
    return {row.item_id: components_of(row.kit) for row in await tx.read(select(ITEMS.c.item_id, ITEMS.c.kit).where(ITEMS.c.kit != ""))}


class StockBook:
    """Balances and layers, open for change."""

    def __init__(self, work: Work, *, locks: bool) -> None:
        self._work = work
        self._locks = locks
        # When balances were read, which may be some transactions ago where nobody locks.
        self._read_at: dict[Key, int] = {}
        # By lot and state; as they were read, and as they are.
        self._before: defaultdict[Key, dict[tuple[str, int], int]] = defaultdict(dict)
        self._balances: defaultdict[Key, dict[tuple[str, int], int]] = defaultdict(dict)
        # Where something of a lot is, or was moved to.
        self._lotted: set[Key] = set()
        self._movements: list[dict[str, Any]] = []
        self._layers: dict[Key, list[Layer]] = {}
        self._touched: dict[str, Layer] = {}
        self._new_layers: dict[str, dict[str, Any]] = {}
        self._consumptions: list[dict[str, Any]] = []
        self._values: list[dict[str, Any]] = []
        self._last_costs: dict[Key, tuple[int, int]] = {}
        self._new_lots: dict[Key, dict[str, Any]] = {}
        # When and why lots were recalled that serial numbers belong to.
        self._batches: dict[Key, tuple[int, str]] = {}
        # What came in and left, by location and document, by item and lot.
        self._on_hand: defaultdict[Key, Counter[Key]] = defaultdict(Counter)
        self._causes: dict[str, Cause] = {}
        # How much a document took of an item, and the sum of when it came: what it puts again is as old.
        self._ages: defaultdict[Key, list[int]] = defaultdict(lambda: [0, 0])
        # When what is moved happened, where that was before it is booked.
        self.moment: int | None = None
        self.lots: dict[Key, Any] = {}
        self.locations: dict[str, Any] = {}
        self.items: dict[str, Any] = {}
        # Whether one of the items is a kit.
        self.kits = False

    @classmethod
    async def open(
        cls, work: Work, keys: Iterable[Key], *, costs: bool = False, masters: bool = False, lots: Iterable[Key] = (),
        lock: bool = True, wanted: Mapping[Key, int] | None = None,
    ) -> "StockBook":  # fmt: skip
        """Locks and reads the balances of the keys, and their open layers where `costs` is set.

        Without `lock`, others may change them until they are written: nothing falls below zero, but Mistaken is raised where it would.

        Of which at least as much as is `wanted` was there a moment ago is not read again then.

        Items and locations are read where there is no balance yet, all of them where `masters` or `costs` is set. `lots` are the
        (item, lot) that a caller names and that need not be there yet.
        """
        book = cls(work, locks=lock)
        ordered = sorted(set(keys))
        if not ordered:
            return book
        if named := sorted({one for one in lots if one[1]}):
            await book._read_lots(named)
        if unknown := book._recall(ordered, wanted or {}):
            await book._read(unknown, everything=masters or costs)
        # A kit has no stock of its own. Its components are locked after what was asked for; the writer repeats a deadlock.
        parts = {(part, place) for item_id, place in ordered for part, _ in book.components(item_id)}
        book.kits = bool(parts)
        if missing := sorted(parts - set(ordered)):
            await book._read(missing, everything=masters or costs)
        if costs:
            await book._read_layers([*ordered, *missing])
        elif masters:
            averaged = [key for key in ordered if key[0] in book.items and book.items[key[0]].valuation == Method.AVERAGE]
            await book._read_layers(averaged)
        return book

    def _recall(self, keys: Sequence[Key], wanted: Mapping[Key, int]) -> Sequence[Key]:
        """Recalls balances that need not be read again; returns the keys of those that must. Who locks makes them forgotten."""
        memory = self._work.memory
        if self._locks or not wanted:
            for key in keys:
                memory.pop(key, None)
            return keys
        unknown = []
        for key in keys:
            read_at, cells = memory.get(key, FORGOTTEN)
            if read_at + REMEMBERED_FOR < self._work.now or cells.get(FREE, 0) < wanted.get(key, 1):
                unknown.append(key)
                continue
            self._read_at[key], self._before[key], self._balances[key] = read_at, cells, dict(cells)
        return unknown

    def _remember(self) -> None:
        """Remembers what balances will be, of stock without lots that nobody locked."""
        memory = self._work.memory
        if len(memory) > MOST_REMEMBERED:
            memory.clear()
        for key, balances in self._balances.items():
            if key in self._read_at and key not in self._lotted:
                memory[key] = (self._read_at[key], balances)

    async def _read_lots(self, named: Sequence[Key]) -> None:
        tx = self._work.tx
        await tx.join(LOT_GATE)
        self.lots.update({(row.item_id, row.lot): row for row in await tx.find(LOTS, ("item_id", "lot"), named)})
        only = ("item_id", "batch", "recalled_at", "recall_reason")
        for row in await tx.find(LOTS, only[:2], named, only=only, where=RECALLED):
            self._batches[row.item_id, row.batch] = (row.recalled_at, row.recall_reason)

    async def _read(self, keys: Sequence[Key], *, everything: bool) -> None:
        tx = self._work.tx
        tracked = set()
        rows = await tx.find(BALANCES, KEY, keys, order=BALANCE, lock=self._locks)
        there = {(row.item_id, row.location_id) for row in rows}
        if (fresh := [key for key in keys if key not in there]) and await tx.close(FRESH_GATE):
            rows = [*rows, *await tx.find(BALANCES, KEY, fresh, order=BALANCE, lock=True)]
        for row in rows:
            key, cell = (row.item_id, row.location_id), (row.lot, row.state)
            self._before[key][cell] = self._balances[key][cell] = row.quantity
            self._read_at[key] = self._work.now
            if row.lot:
                self._lotted.add(key)
                tracked.add((row.item_id, row.lot))
        if tracked:
            self.lots.update({(row.item_id, row.lot): row for row in await tx.find(LOTS, ("item_id", "lot"), sorted(tracked))})
        asked = keys if everything else [key for key in keys if not self.has(*key)]
        items = {key[:1] for key in asked} | {key[:1] for key in tracked}
        self.items.update({row.item_id: row for row in await tx.find(ITEMS, KEY[:1], sorted(items))})
        places = sorted({key[1:] for key in asked})
        # What may be booked is told to whoever keeps a location's bins: nobody begins to before it is.
        located = await tx.find(LOCATIONS, KEY[1:], places, order=KEY[1:], share=everything)
        self.locations.update({row.location_id: row for row in located})

    async def _read_layers(self, keys: Sequence[Key]) -> None:
        tx = self._work.tx
        self._layers.update({key: [] for key in keys})
        for row in await tx.find(LAYERS, KEY, keys, where=OPEN_LAYERS, order=("position",), lock=True):
            layer = Layer(
                row.layer_id,
                row.quantity_left,
                row.value_left_minor,
                row.held_for,
                row.line_id,
                row.lot,
                row.quantity_in,
                row.value_in_minor,
                row.document_id,
                row.effective_at,
            )
            self._layers[row.item_id, row.location_id].append(layer)
        empty = [key for key in keys if not self._layers[key]]
        if empty:
            for row in await tx.read(last_costs(tx.dialect), parameters(tx.dialect, "wanted", KEYS, empty)):
                self._last_costs[row.item_id, row.location_id] = (row.value_minor, row.quantity)

    def has(self, item_id: str, location_id: str) -> bool:
        """Says whether the item was ever at the location; then both are known."""
        return (item_id, location_id) in self._balances

    def components(self, item_id: str) -> Components:
        """Returns what a kit is made of; nothing for an item that is stocked itself."""
        item = self.items.get(item_id)
        return components_of(item.kit) if item is not None and item.kit else ()

    def parts(self, item_id: str, quantity: int) -> Components:
        """Returns what a quantity of an item is in stock: of a kit its components, of another item itself."""
        components = self.components(item_id)
        return [(part, each * quantity) for part, each in components] if components else ((item_id, quantity),)

    def quantity(self, item_id: str, location_id: str, state: State) -> int:
        """Returns how much is there in a state, over all lots."""
        return sum(q for (_, s), q in self._balances.get((item_id, location_id), {}).items() if s == state)

    def on_hand(self, item_id: str, location_id: str, states: Iterable[State]) -> dict[str, int]:
        """Returns how much of each lot is there, over several states."""
        wanted, found = set(states), defaultdict[str, int](int)
        for (lot, state), quantity in self._balances.get((item_id, location_id), {}).items():
            if state in wanted:
                found[lot] += quantity
        return found

    def sellable(self, item_id: str, location_id: str, life_days: int = 0) -> int:
        """Returns how much is AVAILABLE in lots that live long enough for the item and for whom it is for."""
        key = (item_id, location_id)
        if key not in self._lotted:
            return self.lot_quantity(item_id, location_id, "", State.AVAILABLE)
        return sum(self._in_lots(key, State.AVAILABLE, life_days).values())

    def from_lots(self, item_id: str, location_id: str, state: State, quantity: int, life_days: int = -1) -> list[tuple[str, int]]:
        """Returns from which lots a quantity would come, FEFO, then FIFO; less than asked where there is less.

        `life_days` is the least remaining life of what is taken, beside the item's own; lots of any age are taken where it is -1.
        """
        key = (item_id, location_id)
        if key not in self._lotted:
            part = min(self.lot_quantity(item_id, location_id, "", state), quantity)
            return [("", part)] if part > 0 else []
        found = []
        for lot, there in self._in_lots(key, state, life_days).items():
            part = min(there, quantity)
            if part > 0:
                found.append((lot, part))
                quantity -= part
        return found

    def _in_lots(self, key: Key, state: State, life_days: int) -> dict[str, int]:
        item_id = key[0]
        there = {lot: q for (lot, s), q in self._balances[key].items() if s == state and q > 0}
        ordered = picking_order(self._lot(item_id, lot) for lot in there)
        return {one.lot: there[one.lot] for one in ordered if life_days < 0 or self.lives(item_id, one.lot, life_days)}

    def lives(self, item_id: str, lot: str, life_days: int) -> bool:
        """Says whether a lot could be promised to somebody who wants so many days of remaining life."""
        item = self.items.get(item_id)
        least = max(life_days, item.min_life_days if item is not None else 0)
        return not lot or (not self.recalled(item_id, lot) and self._lot(item_id, lot).sellable(self._work.now, least))

    def _lot(self, item_id: str, lot: str) -> Lot:
        row = self.lots.get((item_id, lot))
        return Lot(lot) if row is None else Lot(lot, NEVER if row.expires_at is None else row.expires_at, row.received_at)

    def lot_quantity(self, item_id: str, location_id: str, lot: str, state: State) -> int:
        """Returns how much of a lot is there in a state."""
        return self._balances.get((item_id, location_id), {}).get((lot, state), 0)

    def standing(self, item_id: str, location_id: str) -> Iterator[tuple[str, int, int]]:
        """Returns what is there as (lot, state, quantity)."""
        return ((lot, state, quantity) for (lot, state), quantity in self._balances.get((item_id, location_id), {}).items())

    def holds(self, item_id: str, lot: str) -> bool:
        """Says whether some of a lot is at one of the keys at hand, what was moved here included."""
        own = [balances for (item, _), balances in self._balances.items() if item == item_id]
        return any(quantity for balances in own for (one, _), quantity in balances.items() if one == lot)

    def learn_lot(self, item_id: str, lot: str, expires_at: int | None, batch: str = "") -> None:
        """Notes a lot that was not known; a serial number of a lot that is recalled is recalled too."""
        if (item_id, lot) not in self.lots:
            recalled_at, reason = self._batches.get((item_id, batch), (None, "")) if batch else (None, "")
            self._new_lots[item_id, lot] = {
                "item_id": item_id, "lot": lot, "batch": batch, "expires_at": expires_at, "received_at": self._work.now,
                "recalled_at": recalled_at, "recall_reason": reason, "expired": 0,
            }  # fmt: skip

    def recalled(self, item_id: str, lot: str) -> bool:
        """Says whether a lot is recalled."""
        row, new = self.lots.get((item_id, lot)), self._new_lots.get((item_id, lot))
        return bool((row is not None and row.recalled_at is not None) or (new is not None and new["recalled_at"] is not None))

    def expired(self, item_id: str, lot: str) -> bool:
        """Says whether a lot has expired."""
        return not self._lot(item_id, lot).sellable(self._work.now, 0)

    def move(
        self, item_id: str, location_id: str, lot: str, change: tuple[State, State], quantity: int, document: Document, value_minor: int = 0
    ) -> dict[str, Any]:
        """Moves a quantity of a lot from a state to a state and returns the movement's row.

        OUTSIDE has no balance. What would be AVAILABLE of a lot that nobody may have is in QUARANTINE. Raises ValueError below zero.
        """
        source, target = change
        if target is State.AVAILABLE and lot and (self.recalled(item_id, lot) or self.expired(item_id, lot)):
            target = State.QUARANTINE
        key = (item_id, location_id)
        balances = self._balances[key]
        if lot:
            self._lotted.add(key)
        if source is not State.OUTSIDE:
            cell = (lot, source)
            left = balances.get(cell, 0) - quantity
            if left < 0:
                raise ValueError(f"{item_id} at {location_id}: {source.name} would be {left}")
            balances[cell] = left
        if target is not State.OUTSIDE:
            cell = (lot, target)
            balances[cell] = balances.get(cell, 0) + quantity
        if came := (target in ON_HAND) - (source in ON_HAND):
            self._on_hand[location_id, document.id][item_id, lot] += came * quantity
            self._causes[document.id] = self._work.cause
        movement = {
            "movement_id": new_id(), "item_id": item_id, "location_id": location_id, "lot": lot,
            "from_state": int(source), "to_state": int(target), "quantity": quantity, "value_minor": value_minor,
            "reason": document.reason, "document_type": document.kind, "document_id": document.id,
            "actor": self._work.cause.actor, "moved_at": self._work.now if self.moment is None else min(self.moment, self._work.now),
        }  # fmt: skip
        self._movements.append(movement)
        return movement

    def put(
        self, item_id: str, location_id: str, quantity: int, value_minor: int, document: Document, *,
        held_for: str = "", line_id: str = "", lot: str = "",
    ) -> int:  # fmt: skip
        """Keeps what came in and what it cost; returns its value in the books, which for an item at standard cost is that.

        What the same document took elsewhere keeps its age: a transfer makes nothing younger.
        """
        standard = self.standard_minor(item_id, location_id)
        value = value_minor if standard is None else standard * quantity
        self._note(item_id, location_id, quantity, value, document)
        took, moments = self._ages[item_id, document.id]
        effective_at = moments // took if took else self._work.now
        layers = self._layers.setdefault((item_id, location_id), [])
        pool = next((one for one in layers if not one.held_for and one.quantity), None)
        if pool is not None and not held_for and self.items[item_id].valuation == Method.AVERAGE:
            pool.add(quantity, value, effective_at)
            self._touched[pool.layer_id] = pool
            return value
        layer = Layer(new_id(), quantity, value, held_for, line_id, lot, quantity, value, document.id, effective_at)
        layers.append(layer)
        self._new_layers[layer.layer_id] = {
            "layer_id": layer.layer_id, "item_id": item_id, "location_id": location_id, "lot": lot, "held_for": held_for,
            "line_id": line_id, "document_id": document.id,
        }  # fmt: skip
        self._touched[layer.layer_id] = layer
        return value

    def issue(
        self, item_id: str, location_id: str, quantity: int, document: Document, *, held_for: str = "", line_id: str = "", lot: str = ""
    ) -> int:
        """Takes cost layers, oldest first (those of a return or transfer where one is named), and returns the value that left."""
        layers = [
            layer for layer in self._layers.get((item_id, location_id), [])
            if layer.held_for == held_for and (not line_id or layer.line_id == line_id)
        ]  # fmt: skip
        taken = take(layers, quantity, lot)
        if sum(part.quantity for part in taken) != quantity:
            raise ValueError(f"{item_id} at {location_id}: layers hold less than {quantity}")
        parts, ages = {part.layer_id: part.quantity for part in taken}, self._ages[item_id, document.id]
        for layer in layers:
            if part := parts.get(layer.layer_id):
                self._touched[layer.layer_id] = layer
                ages[0], ages[1] = ages[0] + part, ages[1] + part * layer.effective_at
        self._consumptions += [_consumption(part, document.id) for part in taken]
        value = sum(part.value_minor for part in taken)
        self._note(item_id, location_id, -quantity, -value, document)
        return value

    def layers(self, item_id: str, location_id: str) -> Sequence[Layer]:
        """Returns the open layers, oldest first."""
        return [layer for layer in self._layers.get((item_id, location_id), []) if layer.quantity]

    def revalue(self, item_id: str, location_id: str, layer: Layer, value_minor: int, document: Document) -> None:
        """Changes what a layer is worth, by what it is worth more (or less); no stock moves. Raises ValueError below zero."""
        if layer.value_minor + value_minor < 0:
            raise ValueError(f"{item_id} at {location_id}: a layer would be worth {layer.value_minor + value_minor}")
        layer.value_minor += value_minor
        self._touched[layer.layer_id] = layer
        self._note(item_id, location_id, 0, value_minor, document)

    def merge_layers(self, item_id: str, location_id: str) -> None:
        """Makes one layer of all that can be issued, as moving average wants it; nothing is worth more or less."""
        layers = [layer for layer in self.layers(item_id, location_id) if not layer.held_for]
        for layer in layers[1:]:
            pool = layers[0]
            pool.add(layer.quantity, layer.value_minor, layer.effective_at)
            layer.quantity = layer.value_minor = 0
            self._touched.update({pool.layer_id: pool, layer.layer_id: layer})

    def _note(self, item_id: str, location_id: str, quantity: int, value_minor: int, document: Document) -> None:
        last = self._values[-1] if self._values else None
        if last is not None and (last["item_id"], last["location_id"], last["document_id"]) == (item_id, location_id, document.id):
            last["quantity"] += quantity
            last["value_minor"] += value_minor
            return
        self._values.append(
            {
                "item_id": item_id, "location_id": location_id, "document_type": document.kind, "document_id": document.id,
                "quantity": quantity, "value_minor": value_minor,
            }
        )  # fmt: skip

    def standard_minor(self, item_id: str, location_id: str) -> int | None:
        """Returns what one costs by its standard, where the item is valued so and the standard is in the location's currency."""
        item, location = self.items.get(item_id), self.locations.get(location_id)
        if item is None or location is None or not location.owned or item.valuation != Method.STANDARD:
            return None
        return int(item.standard_cost_minor) if item.cost_currency_code == location.currency_code else None

    def estimate(self, item_id: str, location_id: str, quantity: int) -> tuple[int, str]:
        """Returns what a quantity of unknown cost is worth, and by which basis: LAST, STANDARD or NONE."""
        layers = self._layers.get((item_id, location_id), [])
        last = (
            (layers[-1].value_minor, layers[-1].quantity)
            if layers and layers[-1].quantity
            else self._last_costs.get((item_id, location_id))
        )
        if last is not None and last[1]:
            return last[0] * quantity // last[1], "LAST"
        item, location = self.items.get(item_id), self.locations.get(location_id)
        if item is not None and item.standard_cost_minor and (location is None or item.cost_currency_code in ("", location.currency_code)):
            return item.standard_cost_minor * quantity, "STANDARD"
        return 0, "NONE"

    def owned(self, location_id: str) -> bool:
        """Says whether stock at a location is ours and has value."""
        return bool(self.locations[location_id].owned)

    async def write(self) -> None:
        """Writes what changed, a few statements however many rows."""
        work = self._work
        await work.tx.insert(LOTS, list(self._new_lots.values()), once=True)
        old: list[Mapping[str, Any]] = []
        fresh: list[Mapping[str, Any]] = []
        for key, balances in sorted(self._balances.items()):
            before = self._before[key]
            for cell, quantity in sorted(balances.items()):
                if delta := quantity - before.get(cell, 0):
                    row = {**dict(zip(BALANCE, (*key, *cell), strict=True)), "quantity": delta}
                    (old if cell in before else fresh).append(row)
        await work.tx.change(BALANCES, BALANCE, old, add=("quantity",), must=True)
        await work.tx.merge(BALANCES, BALANCE, fresh, add=("quantity",))
        await work.tx.insert(MOVEMENTS, self._movements)
        if not self._locks:
            self._remember()
        if self._values:
            await self._write_layers()
            await self._write_values()
        self._tell_on_hand()

    def _tell_on_hand(self) -> None:
        """Whoever keeps the bins of a location is told what came in and what left."""
        for (location_id, document_id), lines in self._on_hand.items():
            location = self.locations.get(location_id)
            if location is not None and location.bins and any(lines.values()):
                self._work.emit(on_hand_changed(location_id, document_id, lines), self._causes[document_id])

    async def _write_layers(self) -> None:
        tx = self._work.tx
        rows = {layer_id: _left(layer) for layer_id, layer in self._touched.items()}
        await tx.insert(LAYERS, [{**row, **rows[layer_id]} for layer_id, row in self._new_layers.items()])
        old = [{"layer_id": layer_id, **row} for layer_id, row in sorted(rows.items()) if layer_id not in self._new_layers]
        await tx.change(LAYERS, ("layer_id",), old)
        await tx.insert(CONSUMPTIONS, self._consumptions)

    async def _write_values(self) -> None:
        """Writes the totals, and the journal with what there was after each entry."""
        work = self._work
        sums: dict[Key, dict[str, Any]] = {}
        for entry in self._values:
            key = (entry["item_id"], entry["location_id"])
            total = sums.setdefault(key, {**dict(zip(KEY, key, strict=True)), "quantity": 0, "value_minor": 0})
            for name in TOTALS:
                total[name] += entry[name]
        found = await work.tx.merge(VALUATIONS, KEY, [sums[key] for key in sorted(sums)], add=TOTALS, returning=(*KEY, *TOTALS))
        after = {(row.item_id, row.location_id): [row.quantity, row.value_minor] for row in found}
        for entry in reversed(self._values):
            left = after[entry["item_id"], entry["location_id"]]
            entry.update(quantity_after=left[0], value_after_minor=left[1], booked_at=work.now)
            left[0], left[1] = left[0] - entry["quantity"], left[1] - entry["value_minor"]
        await work.tx.insert(VALUE_ENTRIES, self._values)


def on_hand_changed(location_id: str, document_id: str, lines: Mapping[Key, int]) -> inventory_events_pb2.OnHandChanged:
    """Returns the event of what came in (above zero) and left, by item and lot."""
    event = inventory_events_pb2.OnHandChanged(change_id=f"{document_id}@{location_id}", document_id=document_id, location_id=location_id)
    for (item_id, lot), quantity in sorted(lines.items()):
        if quantity:
            event.lines.add(item_id=item_id, lot=lot, quantity=quantity)
    return event


def _left(layer: Layer) -> Mapping[str, int]:
    return {
        "quantity_in": layer.quantity_in, "value_in_minor": layer.value_in_minor, "quantity_left": layer.quantity,
        "value_left_minor": layer.value_minor, "effective_at": layer.effective_at,
    }  # fmt: skip


def _consumption(part: Taken, document_id: str) -> dict[str, Any]:
    return {
        "consumption_id": new_id(), "layer_id": part.layer_id, "document_id": document_id,
        "quantity": part.quantity, "value_minor": part.value_minor,
    }  # fmt: skip


@cache
def last_costs(dialect: str) -> Executable:
    """SELECT what came last at each key, and what it cost: the next one whose cost is not known is taken to cost the same."""
    wanted = given(dialect, "wanted", KEYS)
    before = VALUE_ENTRIES.alias("before")
    came = (before.c.item_id == wanted.c.item_id, before.c.location_id == wanted.c.location_id, before.c.quantity > ZERO)
    last = select(before.c.position).where(*came).order_by(before.c.booked_at.desc(), before.c.position.desc()).limit(1)
    positions = select(last.correlate(wanted).scalar_subquery()).select_from(wanted)
    return select(VALUE_ENTRIES).where(VALUE_ENTRIES.c.position.in_(positions))
