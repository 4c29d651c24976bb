"""OpenAPI 3.1 from the contracts: python -m gateway.http.openapi build/contracts.binpb writes openapi.json.

The descriptor set carries the comments; rules of the validator become bounds, so that the document says what is refused.
"""

import json
import sys
from pathlib import Path
from typing import Any

from buf.validate import validate_pb2
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FieldDescriptor

from gateway.http.codec import STATUS, TIMESTAMP
from gateway.http.routes import Route, Routes, contracts

PROBLEM = {
    "type": "object",
    "description": "RFC 9457 problem document.",
    "required": ["type", "title", "status", "detail", "reason"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong and what to do."},
        "instance": {"type": "string"},
        "reason": {"type": "string", "description": "UPPER_SNAKE, for machines."},
        "errors": {
            "type": "array",
            "items": {"type": "object", "properties": {"field": {"type": "string"}, "detail": {"type": "string"}}},
        },
        "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
IDEMPOTENCY = {
    "name": "Idempotency-Key", "in": "header", "required": True,
    "description": "Names this request for ever; it fills request_id. Sent again, the first answer comes with Idempotent-Replayed: true.",
    "schema": {"type": "string", "minLength": 16, "maxLength": 255, "pattern": "^[!-~]+$"},
}  # fmt: skip


class Comments:
    """What the contracts say in words, by full name."""

    def __init__(self, image: bytes) -> None:
        self._texts: dict[str, str] = {}
        for file in descriptor_pb2.FileDescriptorSet.FromString(image).file:
            for location in file.source_code_info.location:
                name = _name_at(file, list(location.path))
                if name and location.leading_comments:
                    self._texts[name] = " ".join(location.leading_comments.split())

    def of(self, name: str) -> str:
        """Returns the comment of a message, field, rpc or enum value."""
        return self._texts.get(name, "")


def _name_at(file: Any, path: list[int]) -> str:
    """Returns the full name of what stands at a path of a file's source info; empty for what we do not show."""
    parts, node = [file.package], file
    names = {4: "message_type", 5: "enum_type", 6: "service"} if len(path) >= 2 else {}
    while len(path) >= 2:
        attribute = names.get(path[0])
        if attribute is None:
            return ""
        node = getattr(node, attribute)[path[1]]
        parts.append(node.name)
        kind = node.DESCRIPTOR.name
        names = {"DescriptorProto": {2: "field", 3: "nested_type"}, "ServiceDescriptorProto": {2: "method"}}.get(kind, {})
        path = path[2:]
    return ".".join(parts) if not path and len(parts) > 1 else ""


class Document:
    """The document while it grows."""

    def __init__(self, comments: Comments) -> None:
        self._comments = comments
        self._schemas: dict[str, Any] = {"Problem": PROBLEM}

    def build(self, routes: Routes) -> dict[str, Any]:
        """Returns the document."""
        paths: dict[str, dict[str, Any]] = {}
        for route in routes.all:
            paths.setdefault(route.template, {})[route.verb.lower()] = self._operation(route)
        return {
            "openapi": "3.1.0",
            "info": {"title": "Argosy", "version": "v1", "description": "E-commerce orders from every channel to the ledger."},
            "security": [{"key": []}],
            "paths": dict(sorted(paths.items())),
            "components": {
                "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key."}},
                "schemas": dict(sorted(self._schemas.items())),
            },
        }

    def _operation(self, route: Route) -> dict[str, Any]:
        method = route.method
        fields = method.request.DESCRIPTOR.fields
        parameters = [self._parameter(field, "path") for field in fields if field.name in route.variables]
        operation: dict[str, Any] = {
            "operationId": f"{method.service.split('.')[1]}.{method.name}" if method.component != "ops" else f"ops.{method.name}",
            "tags": [method.service.rsplit(".", 1)[1]],
            "summary": self._comments.of(f"{method.service}.{method.name}"),
            "description": f"Needs the permission `{method.permission}`.",
        }
        if route.has_body:
            if any(field.name == "request_id" for field in fields):
                parameters.append(IDEMPOTENCY)
            left = {*route.variables, "request_id"}
            schema = self._object(method.request.DESCRIPTOR, left)
            operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
        else:
            parameters += [self._parameter(field, "query") for field in fields if field.name not in route.variables]
        if parameters:
            operation["parameters"] = parameters
        answer = {"$ref": self._reference(method.response.DESCRIPTOR)}
        problem = {"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
        operation["responses"] = {
            "200": _success(route, answer),
            "default": {"description": "Refused.", **problem},
        }
        return operation

    def _parameter(self, field: Any, where: str) -> dict[str, Any]:
        schema = self._field(field)
        if where == "path":
            schema = {**schema, "pattern": schema.get("pattern", "^[^/:]+$")}
        return {
            "name": field.name, "in": where, "required": where == "path",
            "description": self._comments.of(field.full_name), "schema": schema,
        }  # fmt: skip

    def _reference(self, descriptor: Any) -> str:
        name = descriptor.full_name.removeprefix("argosy.")
        if name not in self._schemas:
            self._schemas[name] = {}
            self._schemas[name] = self._object(descriptor, set())
        return f"#/components/schemas/{name}"

    def _object(self, descriptor: Any, left_out: set[str]) -> dict[str, Any]:
        properties = {field.name: self._described(field) for field in descriptor.fields if field.name not in left_out}
        schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
        required = [f.name for f in descriptor.fields if f.name not in left_out and _needed(f)]
        if required:
            schema["required"] = required
        comment = self._comments.of(descriptor.full_name)
        return {"description": comment, **schema} if comment else schema

    def _described(self, field: Any) -> dict[str, Any]:
        comment = self._comments.of(field.full_name)
        schema = self._field(field)
        return {**schema, "description": comment} if comment else schema

    def _field(self, field: Any) -> dict[str, Any]:
        rules = field.GetOptions().Extensions[validate_pb2.field]
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            return {"type": "object", "additionalProperties": self._single(field.message_type.fields_by_name["value"], None)}
        if not field.is_repeated:
            return self._single(field, rules)
        schema: dict[str, Any] = {"type": "array", "items": self._single(field, rules.repeated.items)}
        for name, bound in (("minItems", rules.repeated.min_items), ("maxItems", rules.repeated.max_items)):
            if bound:
                schema[name] = bound
        return schema

    def _single(self, field: Any, rules: Any) -> dict[str, Any]:
        if field.message_type is not None:
            if field.message_type.full_name == TIMESTAMP:
                return {"type": "string", "format": "date-time"}
            if field.message_type.full_name == STATUS:
                return {"type": "object", "properties": {"code": {"type": "integer"}, "message": {"type": "string"}}}
            return {"$ref": self._reference(field.message_type)}
        if field.enum_type is not None:
            not_in = set(rules.enum.not_in) if rules is not None else set()
            return {"type": "string", "enum": [value.name for value in field.enum_type.values if value.number not in not_in]}
        if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            return {"type": "boolean"}
        if field.type == FieldDescriptor.TYPE_BYTES:
            return {"type": "string", "contentEncoding": "base64"}
        if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            return _string(rules)
        return _integer(field, rules)


def _success(route: Route, answer: dict[str, Any]) -> dict[str, Any]:
    if route.method.streams:
        text = "Server-sent events; the data of each is one answer as JSON."
        return {"description": text, "content": {"text/event-stream": {"schema": {"type": "string"}, "x-event-schema": answer}}}
    return {"description": "Done.", "content": {"application/json": {"schema": answer}}}


def _needed(field: Any) -> bool:
    rules = field.GetOptions().Extensions[validate_pb2.field]
    return not rules.ignore and bool(
        rules.required or rules.string.min_len or rules.repeated.min_items or list(rules.enum.not_in)
        or (rules.int64.HasField("gt")) or _string_must_match(rules)
    )  # fmt: skip


def _string_must_match(rules: Any) -> bool:
    return bool(rules.string.pattern.startswith("^[") or getattr(rules.string, "in"))


def _string(rules: Any) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if rules is None:
        return schema
    text = rules.string
    for name, value in (
        ("minLength", text.min_len),
        ("maxLength", text.max_len),
        ("pattern", text.pattern),
        ("enum", list(getattr(text, "in"))),
    ):
        if value:
            schema[name] = value
    return schema


def _integer(field: Any, rules: Any) -> dict[str, Any]:
    wide = field.cpp_type in (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64)
    schema: dict[str, Any] = {"type": "integer", "format": "int64" if wide else "int32"}
    if rules is None:
        return schema
    bounds = rules.int64 if wide else rules.int32
    for name, key in (("exclusiveMinimum", "gt"), ("minimum", "gte"), ("maximum", "lte")):
        if bounds.HasField(key):
            schema[name] = getattr(bounds, key)
    return schema


def document(image: bytes) -> str:
    """Returns the document as text, always the same for the same contracts."""
    return json.dumps(Document(Comments(image)).build(Routes(contracts())), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("openapi.json").write_text(document(Path(sys.argv[1]).read_bytes()))
