"""Schemathesis sends what the OpenAPI document allows, and what it does not, to every operation: none may fail."""

import json

import schemathesis
from hypothesis import HealthCheck, Phase, settings

from gateway.http.server import OPENAPI
from tests.background import Door

# What is answered without end has tests of its own (tests/suite/test_streams.py).
STREAMS = ("/v1/availability:watch",)
SCHEMA = schemathesis.openapi.from_dict(json.loads(OPENAPI.read_text())).exclude(path=list(STREAMS))


@SCHEMA.parametrize()
@settings(max_examples=3, phases=[Phase.explicit, Phase.generate], deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_no_operation_fails(case: schemathesis.Case, door: Door) -> None:
    case.call_and_validate(
        base_url=door.url,
        headers=door.headers,
        checks=[schemathesis.checks.not_a_server_error, schemathesis.checks.response_schema_conformance],
    )
