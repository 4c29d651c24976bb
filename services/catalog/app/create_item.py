"""CreateItem: sets items up as drafts, many at once; a SKU or GTIN that is taken refuses its row only."""

from collections.abc import Sequence
from typing import Any

from chassis.kernel.errors import AlreadyExists, Refusal
from chassis.kernel.ids import new_id
from chassis.runtime.work import Work
from chassis.runtime.writer import Call, Outcome
from services.catalog.app.categories import rules_of
from services.catalog.app.item_view import Row, to_message, to_values
from services.catalog.app.kits import need_others, others_of
from services.catalog.domain.item import Lifecycle
from services.catalog.store.tables import ITEMS


async def create_items(work: Work, calls: Sequence[Call]) -> list[Outcome]:
    """Answers each call with its item or a Refusal: DUPLICATE_SKU, DUPLICATE_GTIN, and those of `to_values` and `need_others`.
    """  # fmt: skip
    wanted: list[dict[str, Any] | Refusal] = []
    others = await others_of(work.tx, [call.request.item for call in calls])
    categories = await rules_of(work.tx, {call.request.item.category_id for call in calls})
    for call in calls:
        try:
            need_others(call.request.item, others)
            wanted.append(to_values(call.request.item, categories))
        except Refusal as refusal:
            wanted.append(refusal)
    values = [value for value in wanted if isinstance(value, dict)]
    taken = {
        "sku": await _taken(work, "sku", [value["sku"] for value in values]),
        "gtin": await _taken(work, "gtin", [value["gtin"] for value in values if value["gtin"]]),
    }
    outcomes: list[Outcome] = []
    rows = []
    for value in wanted:
        if isinstance(value, Refusal):
            outcomes.append(value)
            continue
        double = next((name for name in ("sku", "gtin") if value[name] in taken[name]), "")
        if double:
            text = f"item.{double}: {value[double]} belongs to another item"
            outcomes.append(AlreadyExists(f"DUPLICATE_{double.upper()}", text, field=f"item.{double}"))
            continue
        for name, values_taken in taken.items():
            if value[name]:
                values_taken.add(value[name])
        row = {
            **value, "item_id": new_id(), "lifecycle": int(Lifecycle.DRAFT), "submitted_by": "", "version": 1, "published": 0,
            "created_at": work.now, "updated_at": work.now,
        }  # fmt: skip
        rows.append(row)
        outcomes.append(to_message(Row(row), categories))
    await work.tx.insert(ITEMS, rows)
    return outcomes


async def _taken(work: Work, column: str, values: Sequence[str]) -> set[str]:
    return {row[0] for row in await work.tx.find(ITEMS, (column,), [(value,) for value in values], only=(column,))}
