"""The image, the compose file, and what is packed into the wheel that both run."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from chassis.runtime.settings import PORTS, SERVICES
from tests.deploy.tools import ROOT

DOCKERFILE = ROOT / "deploy/docker/Dockerfile"


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("no hadolint beside this Python")
    found = subprocess.run([str(hadolint), str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert found.stdout + found.stderr == ""


def test_the_image_runs_as_nobody_and_its_base_can_be_pinned() -> None:
    text = DOCKERFILE.read_text()
    assert re.search(r"^ARG BASE=", text, re.M) and "FROM ${BASE} AS build" in text
    assert re.search(r"^USER 10001:10001$", text, re.M)
    assert "# syntax=" not in text
    assert "--require-hashes" in text
    copied = set(re.findall(r"^COPY (\S+)", text, re.M)) - {"--from=build"}
    for name in copied:
        assert (ROOT / name).exists(), name
        assert f"!{name.split('/')[0]}" in (ROOT / ".dockerignore").read_text() or name.startswith("protos/gen")


def test_the_wheel_has_all_that_runs(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=ROOT, check=True, capture_output=True
    )
    names = set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist())
    for needed in (
        "argosy/orders/v1/order_pb2.py", "buf/validate/validate_pb2.py", "gateway/console/templates/base.html",
        "gateway/console/static/console.css", "gateway/http/openapi.json", "suite/mappings/online_retail.json",
        *(f"services/{service}/store/migrations/versions/0001_first.py" for service in SERVICES if service != "gateway"),
        "gateway/store/migrations/versions/0002_console_and_voice.py", "gateway/store/migrations/env.py",
    ):  # fmt: skip
        assert needed in names, needed
    assert not [name for name in names if name.startswith("tests/")]


def test_compose_runs_every_component_once_its_schema_is_there() -> None:
    compose = yaml.safe_load((ROOT / "deploy/compose/compose.yaml").read_text())
    services = compose["services"]
    assert set(services) == {*SERVICES, "postgres", "nats", "traces", "migrate"}
    for service in SERVICES:
        one = services[service]
        assert one["command"] == ["serve", service]
        assert one["read_only"] is True and one["cap_drop"] == ["ALL"]
        assert one["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert f'"{service}":"{service}:{PORTS[service]}"' in one["environment"]["ARGOSY_ADDRESSES"]
        assert f"CREATE DATABASE argosy_{service} TEMPLATE template0 LC_COLLATE 'C';" in (ROOT / "deploy/compose/databases.sql").read_text()
    secrets = (ROOT / "deploy/compose/example.env").read_text()
    assert re.findall(r"^\w+=(.+)$", secrets, re.M) == [], "an example has no secrets"


def test_the_image_builds_and_answers() -> None:
    docker = pytest.importorskip("docker", reason="the docker SDK is not installed")
    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException as error:
        pytest.skip(f"no Docker daemon: {error}")
    image, _ = client.images.build(path=str(ROOT), dockerfile="deploy/docker/Dockerfile", rm=True)
    assert image.attrs["Config"]["User"] == "10001:10001"
    said = client.containers.run(image.id, ["--help"], read_only=True, tmpfs={"/tmp": ""}, cap_drop=["ALL"], remove=True)
    assert b"Argosy" in said
