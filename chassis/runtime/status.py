"""Refusals on the wire: google.rpc.Status with ErrorInfo, BadRequest and RetryInfo, there and back."""

from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from chassis.kernel.errors import Kind, Refusal, refusal_of

DOMAIN = "argosy"
VIOLATION = "violation."
ERROR_INFO, BAD_REQUEST, RETRY_INFO = (
    kind.DESCRIPTOR.full_name for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo)
)
# Trailing metadata of an answer that an earlier call with the same request_id got.
REPLAYED = ("idempotent-replayed", "true")


def to_status(refusal: Refusal) -> status_pb2.Status:
    """Returns a refusal as a status."""
    metadata = {k: v for k, v in refusal.metadata.items() if not k.startswith(VIOLATION)}
    status = status_pb2.Status(code=refusal.kind.value, message=refusal.message)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=refusal.reason, domain=DOMAIN, metadata=metadata))
    fields = [(k[len(VIOLATION) :], v) for k, v in refusal.metadata.items() if k.startswith(VIOLATION)]
    if not fields and refusal.field:
        fields = [(refusal.field, refusal.message)]
    if fields:
        violations = [error_details_pb2.BadRequest.FieldViolation(field=f, description=d) for f, d in fields]
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=violations))
    if refusal.retry_after_s:
        delay = Duration(seconds=int(refusal.retry_after_s), nanos=int(refusal.retry_after_s % 1 * 1e9))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return status


def from_status(status: status_pb2.Status) -> Refusal:
    """Returns a status as the refusal it was."""
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    known = {ERROR_INFO: info, BAD_REQUEST: bad, RETRY_INFO: retry}
    for detail in status.details:
        if (message := known.get(detail.type_url.rpartition("/")[2])) is not None:
            message.ParseFromString(detail.value)
    metadata = dict(info.metadata)
    metadata.update({VIOLATION + v.field: v.description for v in bad.field_violations})
    kind = Kind(status.code) if status.code in Kind._value2member_map_ else Kind.INTERNAL
    return refusal_of(
        kind, info.reason or kind.name, status.message, metadata=metadata,
        field=bad.field_violations[0].field if bad.field_violations else "",
        retry_after_s=retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9,
    )  # fmt: skip
