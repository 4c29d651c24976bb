"""The walls of the contracts: every rpc is bound, permitted, reachable and documented; generated files are current."""

import filecmp
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from chassis.runtime.contracts import Method, methods_of
from chassis.runtime.ops import CONTRACTS
from chassis.runtime.service import Service
from gateway.http.openapi import document
from gateway.http.routes import Routes, contracts
from suite.modules import BUILDS, composed
from suite.reference import OUT, pages

ROOT = Path(__file__).resolve().parents[2]
METHODS = [method for contract in contracts() for method in methods_of(contract)]
SERVICES: list[Service] = [composed(name) for name in BUILDS]
SMALL = {"ListAccounts", "ListRoles"}  # a chart of accounts is given whole, and so are the roles
DOCUMENT = json.loads((ROOT / "gateway/http/openapi.json").read_text())


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_rpc_of_a_service_is_bound_and_nothing_else_is(service: Service) -> None:
    methods = {method.name: method for contract in service.contracts for method in methods_of(contract)}
    singles = {name for name, method in methods.items() if not method.element}
    assert {*service.writes, *service.reads, *service.watches} == singles
    assert set(service.prepares) <= set(service.writes)
    for name in service.reads:
        assert methods[name].read_only, f"{name} reads, so its contract must say read_only"
    for name in service.watches:
        assert methods[name].streams, f"{name} has many answers, so its contract must say stream"
    for name in service.writes:
        assert not methods[name].read_only, f"{name} writes"


def test_every_contract_is_served_and_routed() -> None:
    served = {contract.full_name for service in SERVICES for contract in (*service.contracts, *CONTRACTS)}
    assert served == {contract.full_name for contract in contracts()}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.path)
def test_an_rpc_says_who_may_where_and_how(method: Method) -> None:
    fields = method.request.DESCRIPTOR.fields_by_name
    assert re.fullmatch(r"[a-z]+(\.[a-z]+){2}", method.permission), method.permission
    assert method.http.WhichOneof("pattern")
    if method.element:
        assert list(fields) == ["requests"]
        assert method.element in {one.path for one in METHODS}
    else:
        assert ("request_id" in fields) != method.read_only, "what changes something is idempotent by its request_id"
    if method.name.startswith("List") and method.name not in SMALL:
        assert {"page_size", "page_token"} <= set(fields)


def test_every_route_is_its_own_and_documented() -> None:
    routes = Routes(contracts()).all
    assert len({(route.verb, re.sub(r"\{\w+\}", "{}", route.template)) for route in routes}) == len(routes)
    for route in routes:
        operation = DOCUMENT["paths"][route.template][route.verb.lower()]
        assert len(operation["summary"]) > 10, route.template
    for name, schema in DOCUMENT["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            assert described.get("description") or name == "Problem", f"{name}.{field} is not documented"


def test_generated_code_and_documents_are_what_the_contracts_make(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    image = tmp_path / "contracts.binpb"
    command = [sys.executable, str(ROOT / "protos/generate.py"), str(ROOT / "protos"), str(tmp_path / "gen"), str(image)]
    subprocess.run(command, check=True, env=environment)
    assert different(ROOT / "protos/gen", tmp_path / "gen") == []
    assert (ROOT / "gateway/http/openapi.json").read_text() == document(image.read_bytes())
    for name, text in pages(image.read_bytes()).items():
        assert (OUT / name).read_text() == text, f"{name} is old; run make gen"


def different(left: Path, right: Path) -> list[str]:
    """Returns the files of two folders that are not the same."""
    files = {str(p.relative_to(folder)) for folder in (left, right) for p in folder.rglob("*") if p.suffix in {".py", ".pyi", ".typed"}}
    _, mismatch, errors = filecmp.cmpfiles(left, right, sorted(files), shallow=False)
    return mismatch + errors
