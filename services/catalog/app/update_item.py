"""UpdateItem: replaces what is said of items, many at once; a published one tells the others."""

from collections.abc import Sequence
from typing import Any

from argosy.catalog.v1 import items_service_pb2
from chassis.kernel.errors import AlreadyExists, FailedPrecondition, NotFound, Refusal, need_unchanged
from chassis.runtime.work import Work
from chassis.runtime.writer import Call, Outcome, Rerun
from services.catalog.app.categories import rules_of
from services.catalog.app.item_view import Row, missing_for_publication, published_event, to_message, to_values
from services.catalog.app.kits import need_others, others_of
from services.catalog.domain.category import Rules
from services.catalog.domain.item import Lifecycle
from services.catalog.store.tables import ITEMS

FROZEN = ("stock_unit", "components", "tracking", "expires")
UNIQUE = ("sku", "gtin")


async def update_items(work: Work, calls: Sequence[Call]) -> list[Outcome]:
    """Answers each call with its item or a Refusal: NO_SUCH_ITEM, ETAG_MISMATCH, WRONG_LIFECYCLE, FROZEN, INCOMPLETE,
    DUPLICATE_SKU, DUPLICATE_GTIN, and those of `to_values` and `need_others`.
    """  # fmt: skip
    rows = await _rows(work, [call.request.item_id for call in calls])
    others = await others_of(work.tx, [call.request.item for call in calls])
    categories = await rules_of(work.tx, {call.request.item.category_id for call in calls})
    if _named_twice(rows, calls):
        raise Rerun
    wanted: list[Row | Refusal] = []
    for call in calls:
        try:
            row = _row(rows, call.request)
            need_others(call.request.item, others, row.item_id)
            wanted.append(_changed(row, to_values(call.request.item, categories), categories, work.now))
        except Refusal as refusal:
            wanted.append(refusal)
    taken = {name: await _owners(work, name, [one for one in wanted if isinstance(one, Row)]) for name in UNIQUE}
    outcomes: list[Outcome] = []
    changed: list[Row] = []
    for call, one in zip(calls, wanted, strict=True):
        if isinstance(one, Refusal):
            outcomes.append(one)
            continue
        double = next(
            (name for name in UNIQUE if taken[name].setdefault(getattr(one, name) or one.item_id, one.item_id) != one.item_id), ""
        )
        if double:
            text = f"item.{double}: {getattr(one, double)} belongs to another item"
            outcomes.append(AlreadyExists(f"DUPLICATE_{double.upper()}", text, field=f"item.{double}"))
            continue
        changed.append(one)
        outcomes.append(to_message(one, categories))
        if one.lifecycle == Lifecycle.PUBLISHED:
            work.emit(published_event(one), call.cause)
    await work.tx.change(ITEMS, ("item_id",), [vars(one) for one in changed])
    return outcomes


async def _rows(work: Work, names: Sequence[str]) -> dict[str, Any]:
    """Locks items and returns them by what they were named with: their id or their SKU."""
    found: dict[str, Any] = {}
    skus = await work.tx.find(ITEMS, ("sku",), [(name.upper(),) for name in sorted(set(names))], only=("sku", "item_id"))
    ids = {row.sku: row.item_id for row in skus}
    wanted = {name: ids.get(name.upper(), name) for name in names}
    rows = await work.tx.find(ITEMS, ("item_id",), [(one,) for one in sorted(set(wanted.values()))], order=("item_id",), lock=True)
    by_id = {row.item_id: row for row in rows}
    found.update({name: by_id[item_id] for name, item_id in wanted.items() if item_id in by_id})
    return found


def _named_twice(rows: dict[str, Any], calls: Sequence[Call]) -> bool:
    named = [rows[call.request.item_id].item_id for call in calls if call.request.item_id in rows]
    return len(set(named)) < len(named)


def _row(rows: dict[str, Any], request: items_service_pb2.UpdateItemRequest) -> Any:
    row = rows.get(request.item_id)
    if row is None:
        raise NotFound("NO_SUCH_ITEM", f"there is no item {request.item_id}", field="item_id")
    need_unchanged(request.etag, row.version)
    if row.lifecycle == Lifecycle.RETIRED:
        raise FailedPrecondition("WRONG_LIFECYCLE", "a retired item is not changed any more")
    return row


def _changed(row: Any, values: dict[str, Any], categories: dict[str, Rules], now: int) -> Row:
    """Returns a row with what is now said of it; what stock was counted by does not change under it."""
    for name in FROZEN:
        if row.published and getattr(row, name) != values[name]:
            text = f"item.{name}: stock of a published item is counted by it; set up another item and convert the stock"
            raise FailedPrecondition("FROZEN", text, field=f"item.{name}")
    changed = Row({**row._mapping, **values, "version": row.version + 1, "updated_at": now})
    missing = missing_for_publication(changed, categories)
    if row.lifecycle == Lifecycle.PUBLISHED and missing:
        raise FailedPrecondition("INCOMPLETE", f"a published item needs {', '.join(missing)}", field=f"item.{missing[0]}")
    return changed


async def _owners(work: Work, name: str, rows: Sequence[Row]) -> dict[str, str]:
    """Returns to which item each SKU or GTIN belongs that these rows shall have."""
    keys = sorted({(str(getattr(row, name)),) for row in rows if getattr(row, name)})
    return {str(getattr(row, name)): row.item_id for row in await work.tx.find(ITEMS, (name,), keys, only=(name, "item_id"))}
