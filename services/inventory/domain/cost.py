"""FIFO cost layers in minor units: what leaves takes its share of the layer, the last unit takes the rest."""

from collections.abc import Sequence
from dataclasses import dataclass

from chassis.kernel.money import proportion


@dataclass
class Layer:
    """Stock that came in at one cost. `quantity` and `value_minor` are what is left."""

    layer_id: str
    quantity: int
    value_minor: int
    return_id: str = ""
    line_id: str = ""


@dataclass(frozen=True)
class Taken:
    """What was taken from a layer."""

    layer_id: str
    quantity: int
    value_minor: int


def take(layers: Sequence[Layer], quantity: int) -> list[Taken]:
    """Takes up to `quantity` from the layers in order, changing them; returns what was taken from each."""
    taken = []
    for layer in layers:
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
