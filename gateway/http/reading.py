"""The page to read the OpenAPI document on: plain HTML, no scripts, nothing from elsewhere."""

import re
from html import escape
from typing import Any

import msgspec

STYLE = (
    "body{font:16px/1.5 system-ui;margin:2rem auto;max-width:60rem;padding:0 1rem;color-scheme:light dark}"
    "code{font-size:.9em}section{border-top:1px solid #8884;padding:.5rem 0}h3{margin:.2rem 0}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.15rem .6rem;vertical-align:top;border-bottom:1px solid #8882}"
)


def reading_page(openapi: bytes) -> str:
    """Returns the page."""
    document = msgspec.json.decode(openapi)
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for verb, operation in operations.items():
            by_tag.setdefault(operation["tags"][0], []).append(_operation(document, path, verb, operation))
    index = " · ".join(f'<a href="#{tag}">{tag}</a>' for tag in sorted(by_tag))
    body = "".join(f'<h2 id="{tag}">{tag}</h2>{"".join(found)}' for tag, found in sorted(by_tag.items()))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Argosy v1</title><style>{STYLE}</style>'
        f'<main><h1>Argosy v1</h1><p>{index}</p><p>As a document: <a href="/openapi.json">openapi.json</a></p>{body}</main></html>'
    )


def _operation(document: dict[str, Any], path: str, verb: str, operation: dict[str, Any]) -> str:
    rows = [(p["name"], p["in"], p["schema"].get("type", ""), p.get("description", "")) for p in operation.get("parameters", [])]
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    for name, one in schema.get("properties", {}).items():
        rows.append((name, "body", _kind(one), one.get("description", "")))
    [(media, content)] = operation["responses"]["200"]["content"].items()
    one = content["schema"] if media == "application/json" else content["x-event-schema"]
    answer = one["$ref"].rsplit("/", 1)[1]
    said = "Answers" if media == "application/json" else "Answers, again and again as server-sent events,"
    fields = document["components"]["schemas"][answer].get("properties", {})
    cells = "".join(f"<tr>{''.join(f'<td>{_prose(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    table = f"<table><tr><th>field</th><th>in</th><th>type</th><th></th></tr>{cells}</table>" if rows else ""
    return (
        f"<section><h3><code>{verb.upper()} {escape(path)}</code></h3><p>{escape(operation['summary'])} "
        f"{_prose(operation['description'])}</p>{table}<p>{said} <code>{escape(answer)}</code>: "
        f"{', '.join(escape(name) for name in fields)}</p></section>"
    )


def _prose(text: str) -> str:
    """Returns text as HTML, what stands between backticks as code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[1]
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    return str(schema.get("type", ""))
