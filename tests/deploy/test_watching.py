"""Alerts, dashboards and runbooks: each alert goes off when it should, and all of them speak of metrics that are there."""

import json
import re
import subprocess
from pathlib import Path

import httpx
import yaml

from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from chassis.runtime.telemetry import set_up_metrics
from deploy.generate import CHART
from gateway.calls import Calls
from suite.up import free_ports, running_suite
from tests.builders import open_shop, order
from tests.deploy.tools import ROOT, tool

RULES = yaml.safe_load((CHART / "files/rules.yaml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((CHART / "files/argosy.json").read_text())
METRIC = re.compile(r"\bargosy_\w+")


def test_promtool_takes_the_rules_and_each_goes_off() -> None:
    promtool = tool("promtool")
    subprocess.run([promtool, "check", "rules", str(CHART / "files/rules.yaml")], check=True, capture_output=True)
    tests = ROOT / "deploy/helm/rules_test.yaml"
    done = subprocess.run([promtool, "test", "rules", str(tests)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {rule["alert"] for rule in RULES} == set(re.findall(r"alertname: (\w+)", tests.read_text()))


def test_every_alert_leads_to_its_runbook() -> None:
    for rule in RULES:
        name = rule["annotations"]["runbook_url"].removeprefix("https://argosy.example/docs/runbooks/")
        text = (ROOT / "docs/runbooks" / name).read_text()
        assert "**Do.**" in text or "**Look.**" in text, name
        assert f"({name})" in (ROOT / "docs/runbooks/README.md").read_text(), name


def test_links_between_runbooks_lead_somewhere() -> None:
    for path in (ROOT / "docs/runbooks").glob("*.md"):
        for link in re.findall(r"\]\(([\w.-]+\.md)\)", path.read_text()):
            assert (path.parent / link).exists(), f"{path.name}: {link}"


async def test_alerts_and_dashboards_speak_of_what_is_measured(sqlite_settings: Settings) -> None:
    port = free_ports(1)[0]
    set_up_metrics(port)
    settings = sqlite_settings.model_copy(update={"prove_every_s": 0.5})
    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 5})
        await calls.orders.CreateOrder(order(new_id()))
        wanted = {one for rule in RULES for one in METRIC.findall(rule["expr"])}
        wanted |= {one for panel in DASHBOARD["panels"] for target in panel["targets"] for one in METRIC.findall(target["expr"])}
        # Measured only once a channel is told; tests/suite/test_publishing.py tells one.
        wanted.discard("argosy_publication_lag_seconds_bucket")
        missing = set(wanted)
        async with httpx.AsyncClient() as http:
            for _ in range(400):
                text = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
                missing = {name for name in wanted if not re.search(rf"^{name}(\{{| )", text, re.M)}
                if not missing:
                    break
        assert not missing


def test_the_dashboard_stands_on_its_own() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    assert all(panel["targets"] and panel["title"] for panel in DASHBOARD["panels"])
    assert Path(CHART / "files/argosy.json").stat().st_size < 100_000
