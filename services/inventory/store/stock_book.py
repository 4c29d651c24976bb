"""The stock book: balances and cost layers of the keys at hand, locked in one order, changed in memory, written at once.

Open it for every (item, location) that a batch touches; take and put; then `write`. A balance below zero cannot be
written: changes of what is there are guarded updates, and CHECK constraints stand beneath.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from chassis.kernel.ids import new_id
from chassis.runtime.work import Work
from services.inventory.domain.cost import Layer, Taken, take
from services.inventory.domain.stock import State
from services.inventory.store.tables import BALANCES, CONSUMPTIONS, ITEMS, LAYERS, LOCATIONS, MOVEMENTS

Key = tuple[str, str]
KEY = ("item_id", "location_id")
BALANCE = (*KEY, "lot", "state")
OPEN_LAYERS = (LAYERS.c.quantity_left > 0,)


@dataclass(frozen=True)
class Document:
    """The document behind movements."""

    kind: str
    id: str
    reason: str = ""


class StockBook:
    """Balances and layers, open for change."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._balances: dict[Key, dict[tuple[str, int], int]] = defaultdict(dict)
        self._known: set[tuple[str, str, str, int]] = set()
        self._changes: defaultdict[tuple[str, str, str, int], int] = defaultdict(int)
        self._movements: list[dict[str, Any]] = []
        self._layers: dict[Key, list[Layer]] = {}
        self._touched: dict[str, Layer] = {}
        self._new_layers: list[dict[str, Any]] = []
        self._consumptions: list[dict[str, Any]] = []
        self._last_costs: dict[Key, tuple[int, int]] = {}
        self.locations: dict[str, Any] = {}
        self.items: dict[str, Any] = {}

    @classmethod
    async def open(cls, work: Work, keys: Iterable[Key], *, costs: bool = False, masters: bool = False) -> "StockBook":
        """Locks and reads the balances of the keys, and their open layers where `costs` is set.

        Items and locations are read where there is no balance yet, all of them where `masters` or `costs` is set.
        """
        book = cls(work)
        ordered = sorted(set(keys))
        if not ordered:
            return book
        for row in await work.tx.find(BALANCES, KEY, ordered, order=BALANCE, lock=True):
            book._balances[row.item_id, row.location_id][row.lot, row.state] = row.quantity
            book._known.add((row.item_id, row.location_id, row.lot, row.state))
        asked = ordered if masters or costs else [key for key in ordered if not book.has(*key)]
        book.items = {row.item_id: row for row in await work.tx.find(ITEMS, KEY[:1], {key[:1] for key in asked})}
        book.locations = {row.location_id: row for row in await work.tx.find(LOCATIONS, KEY[1:], {key[1:] for key in asked})}
        if costs:
            await book._read_layers(ordered)
        return book

    async def _read_layers(self, keys: Sequence[Key]) -> None:
        tx = self._work.tx
        self._layers = {key: [] for key in keys}
        for row in await tx.find(LAYERS, KEY, keys, where=OPEN_LAYERS, order=("position",), lock=True):
            layer = Layer(row.layer_id, row.quantity_left, row.value_left_minor, row.return_id, row.line_id)
            self._layers[row.item_id, row.location_id].append(layer)
        empty = [key for key, layers in self._layers.items() if not layers]
        for row in await tx.find(LAYERS, KEY, empty, order=("position",)):
            self._last_costs[row.item_id, row.location_id] = (row.value_in_minor, row.quantity_in)

    def has(self, item_id: str, location_id: str) -> bool:
        """Says whether the item was ever at the location; then both are known."""
        return (item_id, location_id) in self._balances

    def quantity(self, item_id: str, location_id: str, state: State) -> int:
        """Returns how much is there in a state, over all lots."""
        return sum(q for (_, s), q in self._balances.get((item_id, location_id), {}).items() if s == state)

    def lots(self, item_id: str, location_id: str, state: State, quantity: int) -> list[tuple[str, int]]:
        """Returns from which lots a quantity would come, in lot order; less than asked where there is less."""
        found = []
        for (lot, lot_state), there in sorted(self._balances.get((item_id, location_id), {}).items()):
            part = min(there, quantity)
            if lot_state == state and part > 0:
                found.append((lot, part))
                quantity -= part
        return found

    def lot_quantity(self, item_id: str, location_id: str, lot: str, state: State) -> int:
        """Returns how much of a lot is there in a state."""
        return self._balances.get((item_id, location_id), {}).get((lot, state), 0)

    def move(
        self, item_id: str, location_id: str, lot: str, change: tuple[State, State], quantity: int, document: Document, value_minor: int = 0
    ) -> dict[str, Any]:
        """Moves a quantity of a lot from a state to a state and returns the movement's row.

        OUTSIDE has no balance. Raises ValueError below zero.
        """
        source, target = change
        balances = self._balances[item_id, location_id]
        if source is not State.OUTSIDE:
            left = balances.get((lot, source), 0) - quantity
            if left < 0:
                raise ValueError(f"{item_id} at {location_id}: {source.name} would be {left}")
            balances[lot, source] = left
            self._changes[item_id, location_id, lot, source] -= quantity
        if target is not State.OUTSIDE:
            balances[lot, target] = balances.get((lot, target), 0) + quantity
            self._changes[item_id, location_id, lot, target] += quantity
        movement = {
            "movement_id": new_id(), "item_id": item_id, "location_id": location_id, "lot": lot,
            "from_state": int(source), "to_state": int(target), "quantity": quantity, "value_minor": value_minor,
            "reason": document.reason, "document_type": document.kind, "document_id": document.id,
            "actor": self._work.cause.actor, "moved_at": self._work.now,
        }  # fmt: skip
        self._movements.append(movement)
        return movement

    def add_layer(
        self, item_id: str, location_id: str, quantity: int, value_minor: int, document_id: str, *, return_id: str = "", line_id: str = ""
    ) -> None:
        """Keeps what came in and what it cost."""
        layer = Layer(new_id(), quantity, value_minor, return_id, line_id)
        self._layers.setdefault((item_id, location_id), []).append(layer)
        self._new_layers.append(
            {
                "layer_id": layer.layer_id, "item_id": item_id, "location_id": location_id, "return_id": return_id,
                "line_id": line_id, "quantity_in": quantity, "value_in_minor": value_minor, "quantity_left": quantity,
                "value_left_minor": value_minor, "document_id": document_id, "effective_at": self._work.now,
            }
        )  # fmt: skip

    def issue(self, item_id: str, location_id: str, quantity: int, document_id: str, *, return_id: str = "", line_id: str = "") -> int:
        """Takes cost layers, oldest first (a return's own where given), and returns the value that left."""
        layers = [
            layer for layer in self._layers.get((item_id, location_id), [])
            if layer.return_id == return_id and (not return_id or layer.line_id == line_id)
        ]  # fmt: skip
        taken = take(layers, quantity)
        if sum(part.quantity for part in taken) != quantity:
            raise ValueError(f"{item_id} at {location_id}: layers hold less than {quantity}")
        changed = {part.layer_id for part in taken}
        self._touched.update({layer.layer_id: layer for layer in layers if layer.layer_id in changed})
        self._consumptions += [_consumption(part, document_id) for part in taken]
        return sum(part.value_minor for part in taken)

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
        item = self.items.get(item_id)
        if item is not None and item.standard_cost_minor:
            return item.standard_cost_minor * quantity, "STANDARD"
        return 0, "NONE"

    def owned(self, location_id: str) -> bool:
        """Says whether stock at a location is ours and has value."""
        return bool(self.locations[location_id].owned)

    async def write(self) -> None:
        """Writes what changed, a few statements however many rows."""
        work = self._work
        rows = {key: {**dict(zip(BALANCE, key, strict=True)), "quantity": delta} for key, delta in sorted(self._changes.items()) if delta}
        old = [row for key, row in rows.items() if key in self._known]
        if await work.tx.change(BALANCES, BALANCE, old, add=("quantity",)) != len(old):
            raise RuntimeError("a balance was not what it was when it was locked")
        fresh = [row for key, row in rows.items() if key not in self._known]
        await work.tx.merge(BALANCES, BALANCE, fresh, add=("quantity",))
        await work.tx.insert(MOVEMENTS, self._movements)
        await self._write_layers()

    async def _write_layers(self) -> None:
        work = self._work
        fresh = {row["layer_id"]: row for row in self._new_layers}
        for layer_id, layer in self._touched.items():
            if layer_id in fresh:
                fresh[layer_id].update(quantity_left=layer.quantity, value_left_minor=layer.value_minor)
        await work.tx.insert(LAYERS, self._new_layers)
        old = [
            {"layer_id": layer_id, "quantity_left": layer.quantity, "value_left_minor": layer.value_minor}
            for layer_id, layer in sorted(self._touched.items())
            if layer_id not in fresh
        ]
        await work.tx.change(LAYERS, ("layer_id",), old)
        await work.tx.insert(CONSUMPTIONS, self._consumptions)


def _consumption(part: Taken, document_id: str) -> dict[str, Any]:
    return {
        "consumption_id": new_id(), "layer_id": part.layer_id, "document_id": document_id,
        "quantity": part.quantity, "value_minor": part.value_minor,
    }  # fmt: skip
