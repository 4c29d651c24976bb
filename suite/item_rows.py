"""Items as rows of a CSV file: brought in, whether they are new or known, and written out again.

Columns are the fields of an item. An empty cell says nothing: a known item keeps what it has. Countries and links are
separated by blanks, components and substitutes are SKUs with their quantity or rank (`CUP*2; SAUCER*1`; 1 or their order where
that is not said), units, tax classes and attributes are JSON; an attribute may have a column of its own (`attributes.colour`).
"""

import csv
import json
from collections.abc import Iterator, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message

from argosy.catalog.v1 import item_pb2, items_service_pb2
from chassis.kernel.clock import from_datetime, to_timestamp
from chassis.kernel.ids import request_id
from chassis.runtime.status import from_status
from gateway.calls import Calls
from suite.rows import CHANGED, CREATED, REFUSED, SAME, CsvFile, Progress, Report, Row, RowResult, in_batches, moment, whole

FIELDS = item_pb2.ItemInput.DESCRIPTOR.fields_by_name
# Fields that name other items, with what stands beside the SKU.
NAMED = {"components": "quantity", "substitutes": "rank"}
NUMBERS = (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64)
YES, NO = {"true", "yes", "1"}, {"false", "no", "0"}
ATTRIBUTE = "attributes."
PAGE = 500
LONGEST_SKU = 64


class ItemRows:
    """Brings the rows of one file in."""

    def __init__(self, calls: Calls, digest: str) -> None:
        self._calls = calls
        self._digest = digest
        self._lines: dict[str, int] = {}

    async def send(self, rows: Sequence[Row]) -> list[RowResult]:
        """Sets up what is new, changes what is known and differs; answers row by row."""
        found: dict[int, RowResult] = {}
        wanted: list[tuple[int, str, dict[str, str]]] = []
        for line, row in rows:
            sku = row.get("sku", "").upper()
            first = self._lines.setdefault(sku, line) if sku else line
            if first != line:
                found[line] = RowResult(line, sku, REFUSED, "DOUBLE_ROW", f"line {first} has this SKU already")
            elif not 0 < len(sku) <= LONGEST_SKU:
                wrong = f"has {len(sku)} characters; at most {LONGEST_SKU}" if sku else "is blank"
                found[line] = RowResult(line, sku, REFUSED, "INVALID_FIELD", f"sku: {wrong}")
            else:
                wanted.append((line, sku, row))
        known = await self._known({sku for _, sku, _ in wanted} | {sku for *_, row in wanted for sku in _named(row)})
        creates, updates = items_service_pb2.BatchCreateItemRequest(), items_service_pb2.BatchUpdateItemRequest()
        created, updated = [], []
        for line, sku, row in wanted:
            item = known.get(sku)
            try:
                given = read_item(row, known, item)
            except ValueError as error:
                found[line] = RowResult(line, sku, REFUSED, "INVALID_FIELD", str(error))
                continue
            if item is None:
                creates.requests.add(request_id=request_id("import-items", self._digest, line), item=given)
                created.append((line, sku))
            elif given == _input_of(item):
                found[line] = RowResult(line, sku, SAME)
            else:
                once = request_id("import-items", self._digest, line, item.etag)
                updates.requests.add(request_id=once, item_id=item.item_id, item=given, etag=item.etag)
                updated.append((line, sku))
        if created:
            answers = (await self._calls.items.BatchCreateItem(creates, timeout=60)).results
            found.update({line: _result(line, sku, CREATED, one) for (line, sku), one in zip(created, answers, strict=True)})
        if updated:
            changes = (await self._calls.items.BatchUpdateItem(updates, timeout=60)).results
            found.update({line: _result(line, sku, CHANGED, one) for (line, sku), one in zip(updated, changes, strict=True)})
        return [found[line] for line, _ in rows]

    async def _known(self, skus: set[str]) -> dict[str, item_pb2.Item]:
        known: dict[str, item_pb2.Item] = {}
        names = sorted(skus)
        for start in range(0, len(names), PAGE):
            answer = await self._calls.items.FindItems(items_service_pb2.FindItemsRequest(skus=names[start : start + PAGE]), timeout=60)
            known.update({item.sku: item for item in answer.items})
        return known


async def import_items(calls: Calls, path: Path, progress: Progress, report: Report) -> None:
    """Brings items in; those that others are made of come first, wherever they stand in the file."""
    file = CsvFile(path, ("sku", "name"))
    rows = ItemRows(calls, file.digest)
    made = [row for row in file.rows() if _named(row[1])] if set(NAMED) & set(file.columns) else []
    plain = (row for row in file.rows() if not made or not _named(row[1]))
    count = file.count - len(made)
    await in_batches(plain, rows.send, report, lambda done: progress("items", done, file.count))
    for layer in _layers(made):
        start = count
        await in_batches(layer, rows.send, report, lambda done, start=start: progress("items", start + done, file.count))  # type: ignore[misc]
        count += len(layer)


def _layers(rows: list[Row]) -> Iterator[list[Row]]:
    """Yields rows in such an order that what others name comes before them; a circle comes last, together."""
    while rows:
        left = {row["sku"].upper() for _, row in rows}
        ready = [(line, row) for line, row in rows if not (set(_named(row)) - {row["sku"].upper()}) & left]
        yield ready or rows
        rows = [one for one in rows if one not in ready] if ready else []


def _result(line: int, sku: str, outcome: str, answer: Any) -> RowResult:
    if answer.HasField("error"):
        refusal = from_status(answer.error)
        return RowResult(line, sku, REFUSED, refusal.reason, refusal.message)
    missing = answer.response.missing_attributes
    return RowResult(line, sku, outcome, "", f"lacks {', '.join(missing)}" if missing else "")


def _input_of(item: item_pb2.Item) -> item_pb2.ItemInput:
    """Returns what is said of an item, as it would be said again."""
    given = item_pb2.ItemInput()
    for name in FIELDS:
        value = getattr(item, name)
        if isinstance(value, Message):
            if item.HasField(name):  # type: ignore[arg-type]
                getattr(given, name).CopyFrom(value)
        elif hasattr(value, "MergeFrom"):
            getattr(given, name).MergeFrom(value)
        else:
            setattr(given, name, value)
    return given


def read_item(row: dict[str, str], known: dict[str, item_pb2.Item], item: item_pb2.Item | None) -> item_pb2.ItemInput:
    """Returns what shall be said of an item: what is known of it, with what the row says; raises ValueError naming the column."""
    given = _input_of(item) if item is not None else item_pb2.ItemInput()
    for name, text in row.items():
        if not text:
            continue
        if name.startswith(ATTRIBUTE):
            given.attributes[name.removeprefix(ATTRIBUTE)] = text
        elif name in FIELDS:
            try:
                _set(given, name, text, known)
            except (ValueError, TypeError, AttributeError, ParseError) as error:
                raise ValueError(f"{name}: {str(error).removeprefix(f'{name}: ')}") from error
    given.sku = given.sku.strip().upper()
    return given


def _set(given: item_pb2.ItemInput, name: str, text: str, known: dict[str, item_pb2.Item]) -> None:
    field = FIELDS[name]
    if name in NAMED or field.is_repeated:
        given.ClearField(name)  # type: ignore[arg-type]
    if name in NAMED:
        for place, (sku, number) in enumerate(_parts(text), 1):
            if sku not in known:
                raise ValueError(f"there is no item {sku}")
            unsaid = place if name == "substitutes" else 1
            beside = whole(number, name) if number is not None else unsaid
            getattr(given, name).add(item_id=known[sku].item_id, **{NAMED[name]: beside})
    elif name == "attributes":
        given.attributes.update({key: str(value) for key, value in json.loads(text).items()})
    elif field.message_type is not None and field.is_repeated:
        for one in json.loads(text):
            ParseDict(one, getattr(given, name).add())
    elif field.message_type is not None:
        getattr(given, name).CopyFrom(to_timestamp(from_datetime(moment(text, name))))
    elif field.is_repeated:
        values = text.split()
        getattr(given, name).extend(sorted(set(values)) if name == "restricted_countries" else values)
    else:
        setattr(given, name, _scalar(field, text))


def _scalar(field: FieldDescriptor, text: str) -> Any:
    if field.enum_type is not None:
        prefix = field.enum_type.values[0].name.removesuffix("UNSPECIFIED")
        found = field.enum_type.values_by_name.get(f"{prefix}{text.upper()}")
        if found is None:
            names = ", ".join(one.name.removeprefix(prefix) for one in field.enum_type.values[1:])
            raise ValueError(f"{text!r} is none of {names}")
        return found.number
    if field.cpp_type in NUMBERS:
        return whole(text, field.name)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        if text.lower() not in YES | NO:
            raise ValueError(f"{text!r} is neither true nor false")
        return text.lower() in YES
    return text


def _named(row: dict[str, str]) -> list[str]:
    """Returns the SKUs of other items that a row names."""
    return [sku for name in NAMED for sku, _ in _parts(row.get(name, ""))]


def _parts(text: str) -> Iterator[tuple[str, str | None]]:
    """Yields each SKU with what stands behind its star; None where there is no star."""
    for part in filter(None, (one.strip() for one in text.split(";"))):
        sku, star, number = part.rpartition("*")
        yield (sku if star else part).strip().upper(), number.strip() if star else None


async def export_items(calls: Calls, path: Path, lifecycle: item_pb2.Lifecycle.ValueType, progress: Progress) -> int:
    """Writes all items, page by page, as `import_items` reads them; returns how many."""
    columns = list(FIELDS)
    count, token = 0, ""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        while True:
            request = items_service_pb2.ListItemsRequest(lifecycle=lifecycle, page_size=PAGE, page_token=token)
            answer = await calls.items.ListItems(request, timeout=60)
            skus = await _skus(calls, answer.items)
            writer.writerows([_cell(item, name, skus) for name in columns] for item in answer.items)
            count += len(answer.items)
            token = answer.next_page_token
            progress("items", count, count + (PAGE if token else 0))
            if not token:
                return count


async def _skus(calls: Calls, items: Sequence[item_pb2.Item]) -> dict[str, str]:
    """Returns the SKUs of those that these name, by id."""
    skus = {item.item_id: item.sku for item in items}
    others = sorted({one.item_id for item in items for name in NAMED for one in getattr(item, name)} - set(skus))
    for start in range(0, len(others), PAGE):
        request = items_service_pb2.FindItemsRequest(item_ids=others[start : start + PAGE])
        skus.update({item.item_id: item.sku for item in (await calls.items.FindItems(request, timeout=60)).items})
    return skus


def _cell(item: item_pb2.Item, name: str, skus: dict[str, str]) -> str:
    field, value = FIELDS[name], getattr(item, name)
    if name in NAMED:
        return "; ".join(f"{skus[one.item_id]}*{getattr(one, NAMED[name])}" for one in value)
    if name == "attributes":
        return json.dumps(dict(value), sort_keys=True, ensure_ascii=False) if value else ""
    if field.message_type is not None and field.is_repeated:
        return json.dumps([MessageToDict(one, preserving_proto_field_name=True) for one in value]) if value else ""
    if field.message_type is not None:
        return value.ToDatetime(tzinfo=UTC).isoformat() if item.HasField(name) else ""  # type: ignore[arg-type]
    if field.is_repeated:
        return " ".join(value)
    if field.enum_type is not None:
        prefix = field.enum_type.values[0].name.removesuffix("UNSPECIFIED")
        return field.enum_type.values_by_number[value].name.removeprefix(prefix) if value else ""
    return str(value).lower() if isinstance(value, bool) else str(value or "")
