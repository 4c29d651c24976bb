"""SetCategory, GetCategory, ListCategories; and the rules that hold for items of a category."""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import select

from argosy.catalog.v1 import categories_service_pb2
from chassis.kernel.errors import FailedPrecondition, NotFound
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from services.catalog.domain.category import Kind, Rule, Rules, need_rules
from services.catalog.store.tables import CATEGORIES

FIELDS = ("name", "kind", "required", "choices", "unit", "least", "most", "max_length")


async def set_category(work: Work, request: categories_service_pb2.SetCategoryRequest) -> categories_service_pb2.Category:
    """Refusals: NO_SUCH_CATEGORY, CATEGORY_CIRCLE, DOUBLE_ATTRIBUTE, INVALID_FIELD."""
    parents = await _line(work.tx, {request.parent_id} - {""})
    if request.parent_id and request.parent_id not in parents:
        raise NotFound("NO_SUCH_CATEGORY", f"parent_id: there is no category {request.parent_id}", field="parent_id")
    if request.category_id in parents:
        raise FailedPrecondition("CATEGORY_CIRCLE", "parent_id: a category cannot be a part of itself", field="parent_id")
    rules = [_rule(one) for one in request.attributes]
    need_rules(rules, _rules(parents, request.parent_id))
    row = {
        "category_id": request.category_id, "name": request.name, "parent_id": request.parent_id,
        "attributes": json.dumps([{name: getattr(rule, name) for name in FIELDS} for rule in rules]),
    }  # fmt: skip
    await work.tx.merge(CATEGORIES, ("category_id",), [row])
    return await _shown(work.tx, request.category_id)


async def get_category(asked: Asked) -> categories_service_pb2.Category:
    """Refusals: NO_SUCH_CATEGORY."""
    return await _shown(asked.tx, asked.request.category_id)


async def list_categories(asked: Asked) -> categories_service_pb2.ListCategoriesResponse:
    """Lists by id."""
    rows, token = await page(asked.tx, select(CATEGORIES), [CATEGORIES.c.category_id], asked.request)
    known = await _line(asked.tx, {row.category_id for row in rows})
    return categories_service_pb2.ListCategoriesResponse(categories=[_message(row, known) for row in rows], next_page_token=token)


async def rules_of(tx: Tx, category_ids: Iterable[str]) -> dict[str, Rules]:
    """Returns the rules that hold in categories, their own and those of what they are a part of; unknown ones are left out."""
    wanted = {one for one in category_ids if one}
    known = await _line(tx, wanted)
    return {"": {}, **{one: _rules(known, one) for one in wanted if one in known}}


async def families_of(tx: Tx, category_ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Returns each category with all that it is a part of, and the empty one, which is everything."""
    wanted = {one for one in category_ids if one}
    known = await _line(tx, wanted)
    return {"": ("",), **{one: ("", *_ancestry(known, one)) for one in wanted}}


async def _line(tx: Tx, category_ids: Iterable[str]) -> dict[str, Any]:
    """Returns categories and all that they are a part of: a query for each generation."""
    known: dict[str, Any] = {}
    wanted = set(category_ids)
    while wanted:
        rows = await tx.find(CATEGORIES, ("category_id",), [(one,) for one in sorted(wanted)])
        known |= {row.category_id: row for row in rows}
        wanted = {row.parent_id for row in rows} - set(known) - {""}
    return known


def _ancestry(known: dict[str, Any], category_id: str) -> list[str]:
    """Returns a category and what it is a part of, nearest first."""
    line: list[str] = []
    while category_id and category_id in known and category_id not in line:
        line.append(category_id)
        category_id = known[category_id].parent_id
    return line


def _rules(known: dict[str, Any], category_id: str) -> Rules:
    return {rule.name: rule for one in reversed(_ancestry(known, category_id)) for rule in _own(known[one])}


def _own(row: Any) -> list[Rule]:
    return [Rule(**{**one, "kind": Kind(one["kind"]), "choices": tuple(one["choices"])}) for one in json.loads(row.attributes)]


def _rule(given: categories_service_pb2.AttributeRule) -> Rule:
    values = {name: getattr(given, name) for name in FIELDS}
    return Rule(**{**values, "kind": Kind(given.kind or Kind.TEXT), "choices": tuple(given.choices)})


async def _shown(tx: Tx, category_id: str) -> categories_service_pb2.Category:
    known = await _line(tx, {category_id})
    if category_id not in known:
        raise NotFound("NO_SUCH_CATEGORY", f"there is no category {category_id}", field="category_id")
    return _message(known[category_id], known)


def _message(row: Any, known: dict[str, Any]) -> categories_service_pb2.Category:
    return categories_service_pb2.Category(
        category_id=row.category_id, name=row.name, parent_id=row.parent_id, attributes=[_shown_rule(rule) for rule in _own(row)],
        inherited=[_shown_rule(rule) for rule in _rules(known, row.parent_id).values()],
    )  # fmt: skip


def _shown_rule(rule: Rule) -> categories_service_pb2.AttributeRule:
    return categories_service_pb2.AttributeRule(**{name: getattr(rule, name) for name in FIELDS})
