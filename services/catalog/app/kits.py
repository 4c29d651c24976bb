"""What kits and substitutes name must be there: components that are no kits themselves, items that are not the item itself."""

from collections.abc import Sequence
from typing import Any

from argosy.catalog.v1 import item_pb2
from chassis.kernel.errors import FailedPrecondition, InvalidArgument, NotFound
from chassis.kernel.rules import RuleError
from chassis.runtime.tx import Tx
from services.catalog.app.item_view import listed
from services.catalog.domain.item import Lifecycle
from services.catalog.domain.substitutes import compiled
from services.catalog.store.tables import ITEMS

NAMED = ("item_id", "sku", "components", "lifecycle")


async def others_of(tx: Tx, given: Sequence[item_pb2.ItemInput]) -> dict[str, Any]:
    """Returns the items that kits and substitutes name, one query for many."""
    wanted = {one.item_id for item in given for one in item.components} | {one.item_id for item in given for one in item.substitutes}
    return {row.item_id: row for row in await tx.find(ITEMS, NAMED[:1], [(one,) for one in sorted(wanted)], only=NAMED)}


def need_others(given: item_pb2.ItemInput, others: dict[str, Any], item_id: str = "") -> None:
    """Raises NO_SUCH_ITEM, NESTED_KIT, DOUBLE_COMPONENT, SELF_REFERENCE or INVALID_FIELD for what an item names."""
    for index, one in enumerate(given.substitutes):
        try:
            compiled(one.condition or "true")
        except RuleError as error:
            field = f"item.substitutes[{index}].condition"
            raise InvalidArgument("INVALID_FIELD", f"{field}: {error}; it may speak of channel and country", field=field) from error
    components = [one.item_id for one in given.components]
    for name, named in (("components", components), ("substitutes", [one.item_id for one in given.substitutes])):
        for index, other in enumerate(named):
            field = f"item.{name}[{index}].item_id"
            if other not in others:
                raise NotFound("NO_SUCH_ITEM", f"{field}: there is no item {other}", field=field)
            if other == item_id:
                raise FailedPrecondition("SELF_REFERENCE", f"{field}: an item cannot name itself", field=field)
            if other in named[:index]:
                raise FailedPrecondition("DOUBLE_COMPONENT", f"{field}: {other} is named twice; say it once", field=field)
            if name == "components" and others[other].components != "[]":
                raise FailedPrecondition("NESTED_KIT", f"{field}: a kit is made of items that are stocked themselves", field=field)


async def need_published(tx: Tx, row: Any) -> None:
    """Raises COMPONENT_NOT_PUBLISHED for a kit with a component that cannot be stocked."""
    components = [one.item_id for one in listed(row, "components")]
    for one in await tx.find(ITEMS, NAMED[:1], [(item_id,) for item_id in components], only=NAMED):
        if one.lifecycle != Lifecycle.PUBLISHED:
            raise FailedPrecondition("COMPONENT_NOT_PUBLISHED", f"publish its component {one.sku} first", field="item_id")
