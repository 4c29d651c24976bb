"""The contracts as the pipeline sees them: every rpc with its access option, every event with its aggregate.

Nothing is written down twice: it is all read from the generated descriptors.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from types import ModuleType
from typing import Any

from google.api import annotations_pb2
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message

from argosy.common.v1 import options_pb2


@dataclass(frozen=True)
class Method:
    """An rpc: its path, its messages and how the pipeline treats it.

    `secrets` and `asked_secrets` are fields of the response and the request marked debug_redact; `streams` says that many
    answers follow one request.
    """

    service: str
    name: str
    request: type[Message]
    response: type[Message]
    permission: str
    read_only: bool
    admission: int
    http: Any
    secrets: tuple[str, ...]
    asked_secrets: tuple[str, ...]
    streams: bool

    @cached_property
    def path(self) -> str:
        """The rpc's path on the wire."""
        return f"/{self.service}/{self.name}"

    @cached_property
    def element(self) -> str:
        """For BatchX the path of X, under whose name each element runs; else empty."""
        return f"/{self.service}/{self.name[5:]}" if self.name.startswith("Batch") else ""

    @property
    def component(self) -> str:
        """The service whose contract it is, e.g. orders; ops for what all serve."""
        return self.service.split(".")[1]


@dataclass(frozen=True)
class EventType:
    """An event: its message and the aggregate it belongs to."""

    cls: type[Message]
    producer: str
    aggregate: str
    key: str

    @property
    def name(self) -> str:
        """The full message name."""
        return str(self.cls.DESCRIPTOR.full_name)

    @property
    def subject(self) -> str:
        """The subject that it is published under."""
        return f"argosy.{self.producer}.v1.{self.aggregate}.{self.cls.DESCRIPTOR.name}"


def methods_of(descriptor: ServiceDescriptor) -> list[Method]:
    """Returns the rpcs of a service in the order of the contract."""
    return [_method(descriptor.full_name, method) for method in descriptor.methods]


def _method(service: str, descriptor: MethodDescriptor) -> Method:
    options = descriptor.GetOptions()
    access = options.Extensions[options_pb2.access]
    return Method(
        service=service,
        name=descriptor.name,
        request=message_factory.GetMessageClass(descriptor.input_type),
        response=message_factory.GetMessageClass(descriptor.output_type),
        permission=access.permission,
        read_only=access.read_only,
        admission=access.admission,
        http=options.Extensions[annotations_pb2.http],
        secrets=_redacted(descriptor.output_type),
        asked_secrets=_redacted(descriptor.input_type),
        streams=descriptor.server_streaming,
    )


def _redacted(descriptor: Descriptor) -> tuple[str, ...]:
    return tuple(field.name for field in descriptor.fields if field.GetOptions().debug_redact)


_EVENT_TYPES: dict[type[Message], EventType] = {}


def event_type(cls: type[Message]) -> EventType:
    """Returns what the contract says of an event; raises ValueError for a message that is none."""
    known = _EVENT_TYPES.get(cls)
    if known is None:
        known = _EVENT_TYPES[cls] = _read_event_type(cls)
    return known


def _read_event_type(cls: type[Message]) -> EventType:
    option = cls.DESCRIPTOR.GetOptions().Extensions[options_pb2.event]
    if not option.aggregate:
        raise ValueError(f"{cls.DESCRIPTOR.full_name} is not an event")
    return EventType(cls, cls.DESCRIPTOR.full_name.split(".")[1], option.aggregate, option.key)


def events_in(module: ModuleType) -> Iterator[EventType]:
    """Yields the events that a generated module declares."""
    for descriptor in module.DESCRIPTOR.message_types_by_name.values():
        if descriptor.GetOptions().Extensions[options_pb2.event].aggregate:
            yield event_type(message_factory.GetMessageClass(descriptor))


@cache
def message_class(full_name: str) -> type[Message]:
    """Returns the class of a message that was imported before."""
    return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(full_name))
