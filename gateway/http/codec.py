"""JSON to messages and back, by codecs that are compiled from a descriptor once.

Fields have their contract names; camelCase is understood too. 64-bit integers are JSON numbers (all of ours lie within
2^53) and may come as strings. Timestamps are RFC 3339 in UTC, enums their names, bytes base64. What is unknown, of the
wrong type or out of range is refused by its path.
"""

import base64
import binascii
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from chassis.kernel.errors import InvalidArgument

Encode = Callable[[Any], Any]
Decode = Callable[[Any, str], Any]
INT_TYPES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
TIMESTAMP = "google.protobuf.Timestamp"
STATUS = "google.rpc.Status"
DEEPEST = 16
EARLIEST, LATEST = -62_135_596_800, 253_402_300_799


def wrong(path: str, expected: str) -> InvalidArgument:
    """Returns the refusal of a value."""
    return InvalidArgument("INVALID_FIELD", f"{path}: must be {expected}", field=path)


class Codec:
    """Encodes and decodes one kind of message."""

    def __init__(self, cls: type[Message], codecs: "Codecs") -> None:
        self._cls = cls
        self._fields: list[tuple[str, Any, Encode]] = []
        self._by_name: dict[str, tuple[Any, Decode]] = {}
        for field in cls.DESCRIPTOR.fields:
            encode, decode = _value(field, codecs)
            self._fields.append((field.name, field, encode))
            self._by_name[field.name] = self._by_name[field.json_name] = (field, decode)

    def encode(self, message: Any) -> dict[str, Any]:
        """Returns a message as JSON data; fields of message type that are not set are left out."""
        out: dict[str, Any] = {}
        for name, field, encode in self._fields:
            if field.has_presence:
                if message.HasField(name):
                    out[name] = encode(getattr(message, name))
            elif field.is_repeated:
                value = getattr(message, name)
                if _is_map(field):
                    out[name] = {str(key): encode(item) for key, item in value.items()}
                else:
                    out[name] = [encode(item) for item in value]
            else:
                out[name] = encode(getattr(message, name))
        return out

    def decode(self, data: Any, path: str = "", depth: int = 0) -> Any:
        """Returns JSON data as a message; raises InvalidArgument that names the field."""
        if not isinstance(data, dict):
            raise wrong(path or "body", "an object")
        if depth > DEEPEST:
            raise wrong(path, f"nested at most {DEEPEST} deep")
        message = self._cls()
        for name, value in data.items():
            where = f"{path}.{name}" if path else str(name)
            known = self._by_name.get(name)
            if known is None:
                raise InvalidArgument("UNKNOWN_FIELD", f"{where}: is not a field", field=where)
            if value is not None:
                _set(message, *known, value, where)
        return message


class Codecs:
    """All codecs, each compiled when it is first needed."""

    def __init__(self) -> None:
        self._codecs: dict[str, Codec] = {}

    def of(self, cls: type[Message]) -> Codec:
        """Returns the codec of a message class."""
        name = cls.DESCRIPTOR.full_name
        if name not in self._codecs:
            self._codecs[name] = Codec(cls, self)
        return self._codecs[name]


def _is_map(field: Any) -> bool:
    return bool(field.message_type is not None and field.message_type.GetOptions().map_entry)


def _set(message: Any, field: Any, decode: Decode, value: Any, path: str) -> None:
    if _is_map(field):
        if not isinstance(value, dict):
            raise wrong(path, "an object")
        getattr(message, field.name).update({key: decode(item, f"{path}.{key}") for key, item in value.items()})
        return
    if not field.is_repeated:
        decoded = decode(value, path)
        if isinstance(decoded, Message):
            getattr(message, field.name).CopyFrom(decoded)
        else:
            setattr(message, field.name, decoded)
        return
    if not isinstance(value, list):
        raise wrong(path, "a list")
    getattr(message, field.name).extend(decode(item, f"{path}[{index}]") for index, item in enumerate(value))


def _value(field: Any, codecs: Codecs) -> tuple[Encode, Decode]:
    kind = field.cpp_type
    if kind == FieldDescriptor.CPPTYPE_MESSAGE:
        return _message(field, codecs)
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        return _enum(field)
    if kind in INT_TYPES:
        return int, _int(*INT_TYPES[kind])
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return bool, _bool
    if field.type == FieldDescriptor.TYPE_BYTES:
        return lambda value: base64.b64encode(value).decode(), _bytes
    if kind == FieldDescriptor.CPPTYPE_STRING:
        return str, _text
    raise TypeError(f"{field.full_name}: no contract of ours has such a field")


def _message(field: Any, codecs: Codecs) -> tuple[Encode, Decode]:
    kind = field.message_type
    if _is_map(field):
        return _value(kind.fields_by_name["value"], codecs)
    if kind.full_name == TIMESTAMP:
        return _show_time, _time
    if kind.full_name == STATUS:
        return lambda status: {"code": status.code, "message": status.message}, _only_answered
    cls = kind._concrete_class

    def encode(value: Any) -> Any:
        return codecs.of(cls).encode(value)

    def decode(value: Any, path: str) -> Any:
        return codecs.of(cls).decode(value, path, path.count(".") + 1)

    return encode, decode


def _enum(field: Any) -> tuple[Encode, Decode]:
    names = {value.number: value.name for value in field.enum_type.values}
    numbers: dict[str, int] = {value.name: value.number for value in field.enum_type.values}

    def decode(value: Any, path: str) -> int:
        if isinstance(value, str) and value in numbers:
            return numbers[value]
        raise wrong(path, f"one of {', '.join(sorted(numbers))}")

    return lambda value: names.get(value, value), decode


def _int(least: int, most: int) -> Decode:
    def decode(value: Any, path: str) -> int:
        if isinstance(value, str) and value.removeprefix("-").isdecimal() and value.isascii() and len(value) < 21:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise wrong(path, f"a whole number from {least} to {most}")
        return value

    return decode


def _bool(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise wrong(path, "true or false")
    return value


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str) or not _encodable(value):
        raise wrong(path, "a text")
    return value


def _encodable(value: str) -> bool:
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in value) if not value.isascii() else True


def _bytes(value: Any, path: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise wrong(path, "base64") from error


def _only_answered(value: Any, path: str) -> Any:
    del value
    raise wrong(path, "left out; it is only answered")


def _show_time(stamp: Any) -> str:
    moment = datetime.fromtimestamp(stamp.seconds, UTC).replace(microsecond=stamp.nanos // 1000, tzinfo=None)
    return moment.isoformat(timespec="microseconds") + "Z"


def _time(value: Any, path: str) -> Timestamp:
    try:
        moment = datetime.fromisoformat(value)
        seconds = int(moment.astimezone(UTC).timestamp()) if moment.tzinfo else None
    except (TypeError, ValueError, OverflowError) as error:
        raise wrong(path, "a moment as RFC 3339, e.g. 2026-01-31T12:00:00Z") from error
    if seconds is None or not EARLIEST <= seconds <= LATEST:
        raise wrong(path, "a moment with its zone, e.g. 2026-01-31T12:00:00Z")
    return Timestamp(seconds=seconds, nanos=moment.microsecond * 1000)
