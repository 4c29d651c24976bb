"""Refusals: what a service says no with. One class for each kind, a reason for machines, a sentence for people."""

from enum import Enum


class Kind(Enum):
    """The kinds of refusal, as gRPC knows them (google.rpc.Code)."""

    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


LASTING = frozenset({Kind.INVALID_ARGUMENT, Kind.NOT_FOUND, Kind.ALREADY_EXISTS, Kind.FAILED_PRECONDITION})
TRANSIENT = frozenset({Kind.UNAVAILABLE, Kind.ABORTED, Kind.DEADLINE_EXCEEDED, Kind.INTERNAL, Kind.RESOURCE_EXHAUSTED})


class Refusal(Exception):
    """A no with its reason. `reason` is UPPER_SNAKE, `message` says what to do next, `field` names the culprit.

    `replayed` is set by a client where the answer is that of an earlier call.
    """

    kind = Kind.INTERNAL
    replayed = False

    def __init__(self, reason: str, message: str, *, field: str = "", retry_after_s: float = 0, **metadata: object) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.field = field
        self.retry_after_s = retry_after_s
        self.metadata = {key: str(value) for key, value in metadata.items()}

    @property
    def lasting(self) -> bool:
        """True where the same request would be refused again: such an answer is kept."""
        return self.kind in LASTING

    @property
    def transient(self) -> bool:
        """True where the same request may succeed later."""
        return self.kind in TRANSIENT


class InvalidArgument(Refusal):
    """The request itself is wrong, whatever the state of the system."""

    kind = Kind.INVALID_ARGUMENT


class NotFound(Refusal):
    """What was named does not exist, or not for this caller."""

    kind = Kind.NOT_FOUND


class AlreadyExists(Refusal):
    """What should be made is there already, and differs."""

    kind = Kind.ALREADY_EXISTS


class FailedPrecondition(Refusal):
    """The state of the system forbids it."""

    kind = Kind.FAILED_PRECONDITION


class Aborted(Refusal):
    """Somebody was faster; read again and retry."""

    kind = Kind.ABORTED


class PermissionDenied(Refusal):
    """The caller is known and may not."""

    kind = Kind.PERMISSION_DENIED


class Unauthenticated(Refusal):
    """The caller is not known."""

    kind = Kind.UNAUTHENTICATED


class ResourceExhausted(Refusal):
    """Too much at once."""

    kind = Kind.RESOURCE_EXHAUSTED


class Unavailable(Refusal):
    """Not now."""

    kind = Kind.UNAVAILABLE


class DeadlineExceeded(Refusal):
    """The caller's time is up."""

    kind = Kind.DEADLINE_EXCEEDED


class Internal(Refusal):
    """A defect; the details are in the log, never in the answer."""

    kind = Kind.INTERNAL


CLASSES: dict[Kind, type[Refusal]] = {
    cls.kind: cls
    for cls in (
        InvalidArgument, NotFound, AlreadyExists, FailedPrecondition, Aborted, PermissionDenied,
        Unauthenticated, ResourceExhausted, Unavailable, DeadlineExceeded, Internal,
    )
}  # fmt: skip


def refusal_of(
    kind: Kind, reason: str, message: str, *, field: str = "", retry_after_s: float = 0, metadata: dict[str, str] | None = None
) -> Refusal:
    """Rebuilds a refusal that crossed a wire or was stored."""
    refusal = CLASSES.get(kind, Internal)(reason, message, field=field, retry_after_s=retry_after_s)
    refusal.metadata = dict(metadata or {})
    return refusal


def need_unchanged(etag: str, version: int) -> None:
    """Raises Aborted ETAG_MISMATCH where a caller decided on another version than the present one; any will do where it names none."""
    if etag and etag != str(version):
        raise Aborted("ETAG_MISMATCH", "somebody changed it since you read it; read it again", field="etag")
