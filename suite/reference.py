"""Writes docs/generated: the event catalogue and the reasons of refusals, from the contracts and the code.

python -m suite.reference build/contracts.binpb; a test fails where what is committed is not what this writes.
"""

import ast
import sys
from collections import defaultdict
from pathlib import Path

from google.protobuf.message import Message

from argosy.catalog.v1 import catalog_events_pb2
from argosy.fulfillment.v1 import fulfillment_events_pb2
from argosy.inventory.v1 import inventory_events_pb2
from argosy.orders.v1 import orders_events_pb2
from argosy.returns.v1 import returns_events_pb2
from chassis.kernel.errors import CLASSES
from chassis.runtime.contracts import EventType, event_type, events_in
from gateway.http.openapi import Comments
from gateway.http.problem import BY_REASON, STATUSES
from suite.modules import BUILDS, composed

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs/generated"
EVENTS = (catalog_events_pb2, inventory_events_pb2, orders_events_pb2, fulfillment_events_pb2, returns_events_pb2)
KINDS = {cls.__name__: kind for kind, cls in CLASSES.items()}


def events_page(comments: Comments) -> str:
    """Returns the event catalogue."""
    listeners: dict[type[Message], list[str]] = defaultdict(list)
    for name in BUILDS:
        for cls in composed(name).reactions:
            listeners[cls].append(name)
    lines = ["# Events", "", "Every event is past tense, says all that a listener needs, and carries no personal data.", ""]
    for module in EVENTS:
        for kind in events_in(module):
            lines += _event(kind, listeners[kind.cls], comments)
    return "\n".join(lines)


def _event(kind: EventType, listeners: list[str], comments: Comments) -> list[str]:
    descriptor = kind.cls.DESCRIPTOR
    rows = [
        f"| `{field.name}` | {_kind(field)} | {comments.of(f'{kind.name}.{field.name}')} |"
        for field in event_type(kind.cls).cls.DESCRIPTOR.fields
    ]
    return [
        f"## {descriptor.name}", "", comments.of(kind.name), "",
        f"`{kind.subject}`, aggregate `{kind.aggregate}` by `{kind.key}`. Heard by: {', '.join(listeners) or 'nobody yet'}.", "",
        "| field | type | |", "|---|---|---|", *rows, "",
    ]  # fmt: skip


def _kind(field: object) -> str:
    message, enum = getattr(field, "message_type", None), getattr(field, "enum_type", None)
    names = {3: "int64", 5: "int32", 8: "bool", 9: "string", 12: "bytes", 13: "uint32", 4: "uint64"}
    name = message.name if message is not None else enum.name if enum is not None else names[getattr(field, "type", 0)]
    return f"repeated {name}" if getattr(field, "is_repeated", False) else str(name)


def reasons_page() -> str:
    """Returns all reasons that the code refuses with, with their HTTP status and where they come from."""
    found: dict[str, tuple[str, set[str]]] = {}
    for path in sorted(p for folder in ("chassis", "services", "gateway") for p in (ROOT / folder).rglob("*.py")):
        where = "/".join(path.relative_to(ROOT).parts[:2]).removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS and node.args:
                said = node.args[0]
                if isinstance(said, ast.Constant) and isinstance(said.value, str):
                    found.setdefault(said.value, (node.func.id, set()))[1].add(where)
    lines = ["# Reasons of refusals", "", "`reason` in a problem document, and in `google.rpc.ErrorInfo`.", ""]
    lines += ["| reason | kind | HTTP | from |", "|---|---|---|---|"]
    for reason, (cls, places) in sorted(found.items()):
        status = BY_REASON.get(reason, STATUSES[KINDS[cls]])
        lines.append(f"| `{reason}` | {KINDS[cls].name} | {status} | {', '.join(sorted(places))} |")
    return "\n".join(lines) + "\n"


def pages(image: bytes) -> dict[str, str]:
    """Returns the pages by file name."""
    return {"events.md": events_page(Comments(image)), "reasons.md": reasons_page()}


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    for name, text in pages(Path(sys.argv[1]).read_bytes()).items():
        (OUT / name).write_text(text)
