"""Every hold is for a role that somebody can have, and that may work on it."""

import ast
from pathlib import Path

from argosy.gateway.v1 import access_service_pb2
from chassis.runtime.writer import Principal
from gateway.app.roles import GRANTS
from services.orders.domain.holds import REASONS

ROOT = Path(__file__).resolve().parents[2]
QUEUES = {"payment", "fraud", "address", "stock", "trade", "credit", "data", "node", "returns", "integration", "approval"}


def kinds() -> dict[str, tuple[str, str]]:
    """Returns (queue, owner role) of each reason that the code names."""
    found = {reason: (queue, role) for reason, (queue, _, role, _) in REASONS.items()}
    for folder in ("chassis", "services", "gateway"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "HoldKind":
                    said = [one.value if isinstance(one, ast.Constant) else "" for one in node.args]
                    if said[0]:
                        assert said[1] and said[3], f"{path}: {said[0]} names no queue or role"
                        found[str(said[0])] = (str(said[1]), str(said[3]))
    return found


def test_each_hold_has_a_queue_and_somebody_who_may_let_it_go() -> None:
    found = kinds()
    assert len(found) > 50
    assert {queue for queue, _ in found.values()} <= QUEUES
    roles = {name.removeprefix("ROLE_").lower(): GRANTS.get(number, ()) for name, number in access_service_pb2.Role.items()}
    for reason, (_, role) in sorted(found.items()):
        somebody = Principal("somebody", roles[role])
        for permission in ("ops.holds.read", "ops.holds.release", f"ops.holds.of.{role}"):
            assert somebody.may(permission), f"{reason} is for {role}, who may not {permission}"
