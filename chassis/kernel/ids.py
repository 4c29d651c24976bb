"""Ids: time-ordered for rows and events, name-based for requests that must never change."""

from collections.abc import Callable
from uuid import UUID, uuid5

import uuid_utils

NAMESPACE = UUID("6f1f0c52-6d0f-5f0a-9d1c-6a2b3f6c9a11")


def uuid7() -> str:
    """Returns a new time-ordered id (RFC 9562, version 7)."""
    return str(uuid_utils.uuid7())


def least_id(moment_us: int) -> str:
    """Returns what every time-ordered id of a moment (microseconds) and later is at least: ids are told apart by milliseconds."""
    milliseconds = max(0, moment_us // 1000)
    return str(UUID(int=milliseconds << 80))


def request_id(*parts: object) -> str:
    """Returns the one request id that belongs to these parts (RFC 9562, version 5)."""
    return str(uuid5(NAMESPACE, "/".join(str(part) for part in parts)))


class Ids:
    """Where new ids come from; a simulation puts a seeded source here."""

    source: Callable[[], str] = staticmethod(uuid7)


def new_id() -> str:
    """Returns a new id from the process' source."""
    return Ids.source()
