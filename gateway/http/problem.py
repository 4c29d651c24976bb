"""Refusals as RFC 9457 problem documents. This table is the only place where kinds meet HTTP statuses."""

from http import HTTPStatus
from typing import Any

import msgspec
from starlette.responses import Response

from chassis.kernel.errors import Kind, Refusal

STATUSES = {
    Kind.INVALID_ARGUMENT: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.PERMISSION_DENIED: 403,
    Kind.NOT_FOUND: 404,
    Kind.ALREADY_EXISTS: 409,
    Kind.ABORTED: 409,
    Kind.FAILED_PRECONDITION: 422,
    Kind.RESOURCE_EXHAUSTED: 429,
    Kind.INTERNAL: 500,
    Kind.UNIMPLEMENTED: 501,
    Kind.UNAVAILABLE: 503,
    Kind.DEADLINE_EXCEEDED: 504,
}
BY_REASON = {"ETAG_MISMATCH": 412, "BODY_TOO_LARGE": 413, "NOT_JSON": 415, "NOT_A_FORM": 415, "NO_SUCH_METHOD": 405}
VIOLATION = "violation."
REPLAYED_HEADER = {"Idempotent-Replayed": "true"}


def status_of(refusal: Refusal) -> int:
    """Returns the HTTP status of a refusal."""
    return BY_REASON.get(refusal.reason, STATUSES[refusal.kind])


def problem(refusal: Refusal, instance: str) -> Response:
    """Returns the problem document of a refusal."""
    status = status_of(refusal)
    body: dict[str, Any] = {
        "type": f"urn:argosy:reason:{refusal.reason}", "title": HTTPStatus(status).phrase, "status": status,
        "detail": refusal.message, "instance": instance, "reason": refusal.reason,
    }  # fmt: skip
    errors = [{"field": k[len(VIOLATION) :], "detail": v} for k, v in refusal.metadata.items() if k.startswith(VIOLATION)]
    if not errors and refusal.field:
        errors = [{"field": refusal.field, "detail": refusal.message}]
    if errors:
        body["errors"] = errors
    metadata = {k: v for k, v in refusal.metadata.items() if not k.startswith(VIOLATION)}
    if metadata:
        body["metadata"] = metadata
    headers = dict(REPLAYED_HEADER) if refusal.replayed else {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = refusal.metadata.get("allow", "")
    if refusal.retry_after_s:
        headers["Retry-After"] = str(max(1, round(refusal.retry_after_s)))
    return Response(msgspec.json.encode(body), status, headers, "application/problem+json")
