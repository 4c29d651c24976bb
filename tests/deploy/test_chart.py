"""The chart, rendered and linted by real Helms, valid by Kubernetes' own schemas, and true to the code."""

import json
import re
import subprocess
from typing import Any

import kubernetes_validate
import pytest
import yaml

from chassis.runtime.bus import _stream
from chassis.runtime.contracts import event_type
from chassis.runtime.settings import PORTS, Settings
from deploy.generate import CHART, EXAMPLES, readme, render, schema
from suite.modules import BUILDS, composed
from tests.deploy.tools import ROOT, tool

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
HELMS = ("helm3", "helm4")
KUBERNETES = ("1.27", "1.33")
DEVELOPMENT, PRODUCTION = EXAMPLES["development"], EXAMPLES["production"]
WORKLOADS = ("Deployment", "StatefulSet", "Job", "Pod")


def rendered(helm: str, values: dict[str, Any], *arguments: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(render(tool(helm), values, *arguments)) if one]


def refusal(values: dict[str, Any], helm: str = "helm4") -> str:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        render(tool(helm), values)
    return str(refused.value.stderr)


def pods(documents: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Every pod that is made, with its name."""
    found = []
    for one in documents:
        if one["kind"] in WORKLOADS:
            spec = one["spec"] if one["kind"] == "Pod" else one["spec"]["template"]["spec"]
            found.append((f"{one['kind']} {one['metadata']['name']}", spec))
    return found


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_both_helms_lint_and_render_what_kubernetes_takes(helm: str, name: str) -> None:
    command = [tool(helm), "lint", "--strict", str(CHART), "--values", "-"]
    subprocess.run(command, input=yaml.safe_dump(EXAMPLES[name]), text=True, check=True, capture_output=True)
    documents = rendered(helm, EXAMPLES[name])
    assert len({(one["kind"], one["metadata"]["name"]) for one in documents}) == len(documents)
    for one in documents:
        if one["apiVersion"].split("/")[0] not in ("monitoring.coreos.com", "gateway.networking.k8s.io"):
            for version in KUBERNETES:
                kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_are_what_it_renders(name: str) -> None:
    assert (CHART / f"examples/{name}.yaml").read_text() == render(tool("helm4"), EXAMPLES[name]), "run make charts"


def test_what_is_made_from_the_values_is_current() -> None:
    text = (CHART / "values.yaml").read_text()
    assert (CHART / "README.md").read_text() == readme(text), "run make charts"
    assert (CHART / "values.schema.json").read_text() == schema(yaml.safe_load(text)), "run make charts"


def test_the_call_graph_is_that_of_the_code() -> None:
    """Whom a service calls, whose events it may ask again, and the gateway, which knows whose key it is."""
    for name in BUILDS:
        service = composed(name)
        folder = ROOT / ("gateway" if name == "gateway" else f"services/{name}")
        sources = "\n".join(path.read_text() for path in folder.rglob("*.py"))
        asks = set(re.findall(r'channels\.to\("(\w+)"\)', sources)) | {event_type(cls).producer for cls in service.reactions} | {"gateway"}
        assert set(VALUES["components"][name]["calls"]) == asks, name
        assert VALUES["components"][name]["port"] == PORTS[name]
        assert VALUES["components"][name].get("hears", []) == sorted({event_type(cls).producer for cls in service.reactions})


def test_every_variable_is_a_setting() -> None:
    config = next(one for one in rendered("helm4", PRODUCTION) if one["kind"] == "ConfigMap" and "ARGOSY_HOST" in one.get("data", {}))
    for name, value in config["data"].items():
        if name.startswith("ARGOSY_"):
            field = name.removeprefix("ARGOSY_").lower()
            assert field in Settings.model_fields, name
            parsed = json.loads(value) if field in ("addresses", "ports") else value
            Settings.model_validate({field: parsed})
    assert config["data"]["FORWARDED_ALLOW_IPS"] == "*", "behind an ingress the scheme is what it says"
    addresses = json.loads(config["data"]["ARGOSY_ADDRESSES"])
    assert addresses["orders"] == "dns:///argosy-orders.argosy.svc:7103"


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_pod_is_restricted(name: str) -> None:
    found = pods(rendered("helm4", EXAMPLES[name]))
    assert len(found) >= 9
    for pod, spec in found:
        assert spec["automountServiceAccountToken"] is False, pod
        assert spec["securityContext"]["runAsNonRoot"] is True, pod
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, pod
        for container in spec["containers"]:
            own = container["securityContext"]
            assert own["readOnlyRootFilesystem"] is True and own["allowPrivilegeEscalation"] is False, pod
            assert own["capabilities"] == {"drop": ["ALL"]}, pod
            assert container["resources"]["requests"] and container["resources"]["limits"]["memory"], pod


def test_a_component_goes_and_comes_without_losing_a_call() -> None:
    documents = rendered("helm4", PRODUCTION)
    deployments = {one["metadata"]["labels"]["app.kubernetes.io/component"]: one for one in documents if one["kind"] == "Deployment"}
    assert set(deployments) == set(VALUES["components"])
    for name, one in deployments.items():
        spec = one["spec"]["template"]["spec"]
        assert one["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
        assert ("replicas" in one["spec"]) == (name != "gateway"), "under autoscaling the replicas are not ours to say"
        container = spec["containers"][0]
        assert container["image"] == f"registry.example/argosy@sha256:{'0' * 64}"
        assert container["args"] == ["serve", name]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["grpc"]["service"] == ("ready" if probe == "readinessProbe" else "live")
            assert container[probe]["timeoutSeconds"] >= 2
        shutdown = VALUES["shutdown"]
        spent = shutdown["preStopSeconds"] + shutdown["noticeSeconds"] + shutdown["drainSeconds"]
        assert spec["terminationGracePeriodSeconds"] > spent
        assert "checksum/config" in one["spec"]["template"]["metadata"]["annotations"]
    budgets = [one for one in documents if one["kind"] == "PodDisruptionBudget"]
    assert len(budgets) == len(deployments)
    alone = rendered("helm4", {**PRODUCTION, "defaults": {"replicas": 1}, "components": {"orders": {"replicas": 1}}})
    assert not [one for one in alone if one["kind"] == "PodDisruptionBudget"]
    services = [one for one in documents if one["kind"] == "Service"]
    assert sum(one["spec"].get("clusterIP") == "None" for one in services) == len(deployments)


def test_keda_scales_by_what_a_component_hears() -> None:
    scaling = {"enabled": True, "keda": {"enabled": True, "monitoringEndpoint": "nats.messaging.svc:8222"}}
    documents = rendered("helm4", {**PRODUCTION, "components": {"finance": {"autoscaling": scaling}}})
    scaled = next(one for one in documents if one["kind"] == "ScaledObject")
    streams = [one["metadata"]["stream"] for one in scaled["spec"]["triggers"] if one["type"] == "nats-jetstream"]
    assert streams == [_stream(producer) for producer in VALUES["components"]["finance"]["hears"]]
    assert not [one for one in documents if one["kind"] == "HorizontalPodAutoscaler"]


def test_only_the_call_graph_can_be_reached() -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in rendered("helm4", PRODUCTION) if one["kind"] == "NetworkPolicy"}
    assert policies["argosy-default-deny"].get("ingress") is None and policies["argosy-default-deny"].get("egress") is None
    for name, component in VALUES["components"].items():
        spec = policies[f"argosy-{name}"]
        callers = {one["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for one in spec["ingress"][0]["from"]}
        assert callers == {other for other, its in VALUES["components"].items() if name in its["calls"]} | {"doctor"}
        asked = {
            one["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
            for rule in spec["egress"] for one in rule.get("to", []) if "podSelector" in one
        }  # fmt: skip
        assert asked == set(component["calls"])
        outside = [rule for rule in spec["egress"] if {"protocol": "TCP", "port": 443} in rule["ports"]]
        assert bool(outside) == (name == "gateway")


def test_providers_outside_are_known_to_who_asks_them_and_to_nobody_else() -> None:
    given = {"url": "https://pay.example", "existingSecret": "argosy-pay"}
    carrier = {"url": "https://labels.example:8443/v2", "existingSecret": "argosy-labels"}
    providers = {"payment": given, "carrier": carrier, "mail": {"existingSecret": "argosy-mail", "port": 587}}
    documents = rendered("helm4", {**PRODUCTION, "providers": providers})
    known = {}
    for one in documents:
        if one["kind"] == "Deployment":
            container = one["spec"]["template"]["spec"]["containers"][0]
            names = {
                env["name"]: env for env in container["env"] if env["name"].endswith(("PROVIDER_URL", "CARRIER_URL", "SMTP_URL", "_SECRET"))
            }
            names.pop("ARGOSY_SERVICE_SECRET")
            known[container["name"]] = names
            for name in names:
                assert name.removeprefix("ARGOSY_").lower() in Settings.model_fields
    assert {name: sorted(names) for name, names in known.items() if names} == {
        "orders": ["ARGOSY_PAYMENT_PROVIDER_SECRET", "ARGOSY_PAYMENT_PROVIDER_URL"],
        "fulfillment": ["ARGOSY_CARRIER_SECRET", "ARGOSY_CARRIER_URL"],
        "gateway": ["ARGOSY_SMTP_URL"],
    }
    assert known["orders"]["ARGOSY_PAYMENT_PROVIDER_SECRET"]["valueFrom"]["secretKeyRef"] == {"name": "argosy-pay", "key": "secret"}
    outside = {
        one["metadata"]["name"]: [port["port"] for port in rule["ports"]]
        for one in documents if one["kind"] == "NetworkPolicy"
        for rule in one["spec"].get("egress", ()) if {"ipBlock": {"cidr": "0.0.0.0/0"}} in rule.get("to", ())
    }  # fmt: skip
    assert outside == {"argosy-orders": [443], "argosy-fulfillment": [8443], "argosy-gateway": [443, 587]}


def test_no_secret_stands_in_an_installation_that_matters() -> None:
    documents = rendered("helm4", PRODUCTION)
    assert not [one for one in documents if one["kind"] == "Secret"]
    migrate = next(one for one in documents if one["kind"] == "Job")
    assert migrate["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    development = next(one for one in rendered("helm4", DEVELOPMENT) if one["kind"] == "Job")
    assert development["metadata"]["annotations"]["helm.sh/hook"] == "post-install,pre-upgrade"
    plain = next(one for one in rendered("helm4", {**PRODUCTION, "migrations": {"hook": False}}) if one["kind"] == "Job")
    assert "annotations" not in plain["metadata"] and plain["metadata"]["name"] == "argosy-migrate-0-1-0"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "postgres.existingSecret"),
        ({"postgres": {"existingSecret": "x"}}, "serviceSecret.existingSecret"),
        ({"postgres": {"existingSecret": "x"}, "serviceSecret": {"existingSecret": "services"}}, "nats.url"),
        ({"development": {"enabled": True}}, "development.postgresPassword"),
        ({"development": {"enabled": True, "postgresPassword": "x", "serviceSecret": "short"}}, "at least 32 characters"),
        ({**PRODUCTION, "shutdown": {"terminationGracePeriodSeconds": 23}}, "must be more than"),
        ({**PRODUCTION, "components": {"orders": {"calls": ["nobody"]}}}, "there is no component nobody"),
        ({**PRODUCTION, "ingress": {"enabled": True, "hosts": []}}, "ingress.hosts"),
        ({**PRODUCTION, "providers": {"carrier": {"url": "https://labels.example"}}}, "providers.carrier.existingSecret"),
        ({**PRODUCTION, "httpRoute": {"enabled": True}}, "httpRoute.parentRefs"),
        ({**PRODUCTION, "image": {"digest": "latest"}}, "digest"),
        ({**PRODUCTION, "replicas": 3}, "replicas"),
        ({**PRODUCTION, "telemetry": {"traceRatio": 2}}, "traceRatio"),
        ({**PRODUCTION, "components": {"orders": {"replica": 3}}}, "replica"),
        ({**PRODUCTION, "defaults": {"autoscaling": {"enabled": True, "keda": {"enabled": True}}}}, "monitoringEndpoint"),
    ],
)
def test_values_that_cannot_work_are_refused_by_name(values: dict[str, Any], says: str) -> None:
    assert says in refusal(values)


def test_ways_out_are_open() -> None:
    own = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-own"}}
    values = {
        **PRODUCTION,
        "commonLabels": {"team": "ops"},
        "extraObjects": [own],
        "components": {
            "orders": {
                "extraEnv": [{"name": "A", "value": "b"}], "extraVolumes": [{"name": "v", "emptyDir": {}}], "nodeSelector": {"disk": "ssd"},
                "extraVolumeMounts": [{"name": "v", "mountPath": "/v"}], "priorityClassName": "high", "podAnnotations": {"x": "y"},
                "extraInitContainers": [{"name": "first", "image": "busybox"}], "tolerations": [{"key": "only"}],
            }
        },
        "httpRoute": {"enabled": True, "parentRefs": [{"name": "edge"}], "hostnames": ["argosy.example"]},
    }  # fmt: skip
    documents = rendered("helm3", values)
    spec = dict(pods(documents))["Deployment argosy-orders"]
    assert spec["containers"][0]["env"][-1] == {"name": "A", "value": "b"}
    assert spec["nodeSelector"] == {"disk": "ssd"} and spec["priorityClassName"] == "high"
    assert spec["initContainers"][0]["name"] == "first"
    assert all(one["metadata"]["labels"]["team"] == "ops" for one in documents if one["kind"] in ("Deployment", "Service"))
    assert any(one["metadata"]["name"] == "argosy-own" for one in documents)
    assert any(one["kind"] == "HTTPRoute" for one in documents)
