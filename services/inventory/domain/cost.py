"""What stock costs, in minor units: what leaves takes its share of a layer, the last unit takes the rest.

FIFO keeps a layer for each receipt and takes the oldest first. Moving average keeps one layer, so that what leaves keeps the
rate and the last unit flushes what rounding left. Standard cost keeps layers at the standard; what was paid beside it is a
variance of the period.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from chassis.kernel.money import proportion


class Method(IntEnum):
    """How an item is valued; numbered as in the contract."""

    FIFO = 1
    AVERAGE = 2
    STANDARD = 3


@dataclass
class Layer:
    """Stock that came in at one cost. `quantity` and `value_minor` are what is left.

    `held_for` names the return or transfer whose end the layer waits for; only that document takes it.
    """

    layer_id: str
    quantity: int
    value_minor: int
    held_for: str = ""
    line_id: str = ""
    lot: str = ""
    quantity_in: int = 0
    value_in_minor: int = 0
    document_id: str = ""
    effective_at: int = 0

    def add(self, quantity: int, value_minor: int, effective_at: int) -> None:
        """Takes more in at its own cost and age, which changes the rate and the mean age."""
        self.effective_at = (self.quantity * self.effective_at + quantity * effective_at) // (self.quantity + quantity)
        self.quantity += quantity
        self.value_minor += value_minor
        self.quantity_in += quantity
        self.value_in_minor += value_minor


@dataclass(frozen=True)
class Taken:
    """What was taken from a layer."""

    layer_id: str
    quantity: int
    value_minor: int


def take(layers: Sequence[Layer], quantity: int, lot: str = "") -> list[Taken]:
    """Takes up to `quantity` from the layers in order, those of the lot first, changing them; returns what was taken from each."""
    taken = []
    for layer in sorted(layers, key=lambda one: one.lot != lot) if lot else layers:
        part = min(quantity, layer.quantity)
        if part <= 0:
            continue
        value = proportion(layer.value_minor, part, layer.quantity)
        layer.quantity -= part
        layer.value_minor -= value
        quantity -= part
        taken.append(Taken(layer.layer_id, part, value))
    return taken


def unit_cost(value_minor: int, quantity: int) -> str:
    """Returns a unit cost in minor units at six decimals, for display."""
    if quantity <= 0:
        return "0.000000"
    millionths = proportion(value_minor * 1_000_000, 1, quantity)
    return f"{millionths // 1_000_000}.{millionths % 1_000_000:06d}"
