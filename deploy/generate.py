"""Makes what follows from the chart: its README's table of values, its values' schema, and renders to look at.

python deploy/generate.py [helm]; the renders need a real helm.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parent / "helm/argosy"
EXAMPLES = {
    "development": {
        "development": {"enabled": True, "postgresPassword": "postgres", "serviceSecret": "a secret for development that is long enough"}
    },
    "production": {
        "image": {"digest": f"sha256:{'0' * 64}"},
        "global": {"imageRegistry": "registry.example", "imagePullSecrets": [{"name": "pull"}]},
        "serviceSecret": {"existingSecret": "argosy-service"},
        "postgres": {"existingSecret": "argosy-postgres", "cidrs": ["10.1.0.0/24"]},
        "nats": {"url": "nats://nats.messaging.svc:4222"},
        "telemetry": {"otlpEndpoint": "http://collector.monitoring.svc:4317"},
        "ingress": {"enabled": True, "className": "nginx", "hosts": ["argosy.example"]},
        "components": {"gateway": {"autoscaling": {"enabled": True, "minReplicas": 3}}, "orders": {"replicas": 3}},
        "metrics": {
            "serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}, "dashboards": {"enabled": True},
        },
    },
}  # fmt: skip
# What may hold anything, because Kubernetes says what it is.
OPEN = {
    "commonLabels", "nodeSelector", "affinity", "podAnnotations", "podLabels", "annotations", "labels", "requests", "limits", "resources",
}  # fmt: skip
HEAD = """# Argosy on Kubernetes

One templated workload over a map of seven components, from one image. Databases and the bus are yours (`postgres.existingSecret`, `nats.url`); `development.enabled` brings throw-away ones to try things out.

```
helm install argosy deploy/helm/argosy --set postgres.existingSecret=argosy-postgres \\
  --set serviceSecret.existingSecret=argosy-service --set nats.url=nats://nats:4222
helm test argosy --logs          # argosy doctor, inside
```

The secret `argosy-postgres` has the key `url`: `postgresql+asyncpg://user:password@host:5432/argosy_{service}` — one database for each component, made by you, on PostgreSQL 14 or later, best with `TEMPLATE template0 LC_COLLATE 'C'`: texts are compared byte by byte then, so that ids are found in less time and no new version of a language's order makes an index wrong. The secret `argosy-service` has the key `secret`: at least 32 random characters.

Migrations run as a hook before pods change and only add (expand, then contract in a later release); pods wait until their schema is current. A pod that goes sleeps for `preStopSeconds`, says NOT_SERVING for `noticeSeconds`, lets calls in flight finish within `drainSeconds`; the chart refuses a grace period that is not longer than their sum. Services are headless and clients balance over all pods. Nothing but the call graph (`components.*.calls`) can be reached. A change that needs more memory than `limits.memory` ends a pod, never the data: everything of worth is in PostgreSQL before it is answered.

`examples/` shows what the chart renders. The table is made from `values.yaml` (`make charts`).

| value | default | |
|---|---|---|
"""  # noqa: E501


def rows(values: dict[str, Any], comments: dict[str, str], prefix: str = "") -> list[str]:
    """Returns a row for each leaf of the values."""
    found = []
    for name, value in values.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict) and value and name not in OPEN and prefix != "components.":
            found += rows(value, comments, f"{path}.")
        else:
            shown = json.dumps(value).replace("|", "\\|")
            found.append(f"| `{path}` | `{shown}` | {comments.get(path, '')} |")
    return found


def comments_of(text: str) -> dict[str, str]:
    """Returns what `# --` says of each value, by its path."""
    found: dict[str, str] = {}
    stack: list[tuple[int, str]] = []
    said = ""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("# -- "):
            said = stripped.removeprefix("# -- ")
        elif stripped and not stripped.startswith("#") and ":" in stripped:
            indent = len(line) - len(line.lstrip())
            stack = [one for one in stack if one[0] < indent]
            stack.append((indent, stripped.split(":")[0]))
            if said:
                found[".".join(name for _, name in stack)] = said
            said = ""
    return found


def schema_of(value: Any, name: str = "") -> dict[str, Any]:
    """Returns what a value may be: what it is by default, strictly, but for what Kubernetes defines."""
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int | float):
        return {"type": "number", "minimum": 0}
    if isinstance(value, str):
        return {"type": "string"}
    if isinstance(value, list):
        return {"type": "array"}
    if name in OPEN:
        return {"type": "object"}
    return {"type": "object", "additionalProperties": False, "properties": {key: schema_of(one, key) for key, one in value.items()}}


def schema(values: dict[str, Any]) -> str:
    """Returns the schema; components may have whatever all have by default."""
    found = schema_of(values)
    own = schema_of(values["defaults"])["properties"] | {
        "port": {"type": "integer", "minimum": 1, "maximum": 65535}, "http": {"type": "integer", "minimum": 1, "maximum": 65535},
        "calls": {"type": "array", "items": {"type": "string"}}, "hears": {"type": "array", "items": {"type": "string"}},
    }  # fmt: skip
    component = {"type": "object", "additionalProperties": False, "properties": own, "required": ["port", "calls"]}
    found["properties"]["components"] = {
        "type": "object", "additionalProperties": False, "properties": dict.fromkeys(values["components"], component),
        "required": list(values["components"]),
    }  # fmt: skip
    found["properties"]["global"]["additionalProperties"] = True
    found["properties"]["image"]["properties"]["digest"]["pattern"] = "^(sha256:[0-9a-f]{64})?$"
    found["properties"]["image"]["properties"]["pullPolicy"]["enum"] = ["Always", "IfNotPresent", "Never"]
    found["properties"]["telemetry"]["properties"]["traceRatio"]["maximum"] = 1
    # As a dependency of another chart it is switched by this.
    found["properties"]["enabled"] = {"type": "boolean"}
    return json.dumps({"$schema": "http://json-schema.org/draft-07/schema#", **found}, indent=2) + "\n"


def readme(text: str) -> str:
    """Returns the chart's README."""
    return HEAD + "\n".join(rows(yaml.safe_load(text), comments_of(text))) + "\n"


def render(helm: str, values: dict[str, Any], *arguments: str) -> str:
    """Returns what a real helm renders; raises subprocess.CalledProcessError with its words."""
    command = [helm, "template", "argosy", str(CHART), "--namespace", "argosy", "--values", "-", *arguments]
    command += ["--api-versions", "monitoring.coreos.com/v1"]
    return subprocess.run(command, input=yaml.safe_dump(values), capture_output=True, text=True, check=True).stdout


def main() -> None:
    """Writes all of it."""
    text = (CHART / "values.yaml").read_text()
    (CHART / "README.md").write_text(readme(text))
    (CHART / "values.schema.json").write_text(schema(yaml.safe_load(text)))
    for name, values in EXAMPLES.items() if len(sys.argv) > 1 else ():
        (CHART / "examples").mkdir(exist_ok=True)
        (CHART / f"examples/{name}.yaml").write_text(render(sys.argv[1], values))


if __name__ == "__main__":
    main()
