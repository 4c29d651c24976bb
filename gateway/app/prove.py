"""The proof: what must always be true of a running suite, checked through its own contracts; see ARCHITECTURE.md.

Each check reads the consumer's facts before the producer's. A difference is reported only where it is still there on a
second look, and called *in flight* while the suite still has events, effects or parked events that may explain it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from argosy.ops.v1 import ops_service_pb2
from argosy.ops.v1.ops_service_pb2_grpc import OpsServiceStub
from chassis.kernel.errors import Refusal
from chassis.runtime.channels import Channels
from chassis.runtime.settings import SERVICES

CHECKS = {
    "P1": "balances are the sums of their movements, none negative",
    "P2": "every reservation has one live demand, every line adds up",
    "P3": "every journal entry balances",
    "P4": "the inventory accounts are the value of the stock",
    "P5": "every event was applied once, in order",
    "P6": "nothing is forgotten past its deadline",
    "P7": "refunds stay within what was captured and shipped",
    "P8": "the audit chain is whole",
    "P9": "nothing waits longer than it may",
}
SETTLE_S = 30.0
LOOK_S = 0.25
TIMEOUT_S = 60.0
# (check, the name of the consumer's numbers, the service, the name of the producer's, the service)
AGREE = (
    ("P1", "bins", "fulfillment", "on_hand", "inventory"),
    ("P2", "reserved", "inventory", "demand", "orders"),
    ("P4", "booked", "finance", "inventory", "inventory"),
    ("P7", "booked_deposits", "finance", "deposits", "orders"),
    ("P7", "booked_receivable", "finance", "receivable", "orders"),
)


@dataclass(frozen=True)
class Break:
    """Something that is not as it must be."""

    check: str
    service: str
    subject: str
    detail: str


@dataclass
class Proof:
    """What a look at the suite found."""

    breaks: list[Break] = field(default_factory=list)
    in_flight: dict[str, int] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Nothing is broken."""
        return not self.breaks

    @property
    def settled(self) -> bool:
        """Nothing is broken and nothing is on its way."""
        return self.clean and not any(self.in_flight.values())

    def of(self, check: str) -> list[Break]:
        """Returns the breaks of one check."""
        return [one for one in self.breaks if one.check == check]

    def to_json(self) -> dict[str, Any]:
        """Returns it for machines."""
        return {
            "clean": self.clean,
            "settled": self.settled,
            "in_flight": self.in_flight,
            "checks": {check: {"says": text, "breaks": [vars(one) for one in self.of(check)]} for check, text in CHECKS.items()},
        }


Numbers = Mapping[str, Mapping[str, int]]


async def prove(channels: Channels, *, settled: bool = False) -> Proof:
    """Looks until nothing is suspect or two looks agree; with `settled`, until nothing is on its way (≤ 30 s)."""
    loop = asyncio.get_running_loop()
    end = loop.time() + (SETTLE_S if settled else 2.0)
    proof = await _look(channels)
    while not (proof.settled if settled else proof.clean) and loop.time() < end:
        await asyncio.sleep(LOOK_S)
        following = await _look(channels)
        if not settled:
            again = set(following.breaks)
            following.breaks = [one for one in proof.breaks if one in again]
            if following.clean or proof.in_flight == following.in_flight:
                return following
        proof = following
    if settled and proof.clean and not proof.settled:
        waiting = ", ".join(f"{count} {name}" for name, count in proof.in_flight.items() if count)
        proof.breaks.append(Break("P9", "suite", "settling", f"still on its way after {SETTLE_S:.0f} s: {waiting}"))
    return proof


async def _look(channels: Channels) -> Proof:
    proof = Proof()
    numbers: dict[str, dict[str, dict[str, int]]] = {}
    consumers_first = ("finance", "inventory", "returns", "orders", "fulfillment", "catalog", "gateway")
    for check in ("P9", *(check for check in CHECKS if check != "P9")):
        for service in consumers_first:
            found, facts = await _facts(channels, service, check)
            proof.breaks += found
            numbers.setdefault(f"{check}/{service}", facts)
    for service in SERVICES:
        for name, values in numbers[f"P9/{service}"].items():
            proof.in_flight[name] = proof.in_flight.get(name, 0) + sum(values.values())
        proof.in_flight["unsealed"] = proof.in_flight.get("unsealed", 0) + sum(numbers[f"P8/{service}"].get("unsealed", {}).values())
    for check, left, consumer, right, producer in AGREE:
        proof.breaks += _compare(
            check, consumer, numbers[f"{check}/{consumer}"].get(left, {}), numbers[f"{check}/{producer}"].get(right, {})
        )
    proof.breaks += _sequences({service: numbers[f"P5/{service}"] for service in SERVICES}, proof)
    return proof


async def _facts(channels: Channels, service: str, check: str) -> tuple[list[Break], dict[str, dict[str, int]]]:
    stub = OpsServiceStub(channels.to(service))
    breaks: list[Break] = []
    facts: dict[str, dict[str, int]] = defaultdict(dict)
    token = ""
    try:
        while True:
            request = ops_service_pb2.GetFactsRequest(service=service, check=check, page_token=token)
            answer = await stub.GetFacts(request, timeout=TIMEOUT_S)
            breaks += [Break(one.check, service, one.subject, one.detail) for one in answer.breaks]
            for fact in answer.facts:
                facts[fact.name][fact.key] = fact.value
            token = answer.next_page_token
            if not token:
                return breaks, facts
    except Refusal as refusal:
        return [Break(check, service, service, f"does not answer: {refusal.reason}")], {}


def _compare(check: str, service: str, left: Mapping[str, int], right: Mapping[str, int]) -> list[Break]:
    return [
        Break(check, service, key, f"{left.get(key, 0)} here, {right.get(key, 0)} at its owner")
        for key in sorted(set(left) | set(right))
        if left.get(key, 0) != right.get(key, 0)
    ]


def _sequences(numbers: Mapping[str, Numbers], proof: Proof) -> list[Break]:
    """P5: what a consumer took of an aggregate never exceeds what was said; what it has not taken yet is in flight."""
    breaks = []
    behind_all = 0
    for consumer, facts in numbers.items():
        for name in facts:
            kind, _, rest = name.partition("/")
            if kind != "listens":
                continue
            producer, _, aggregate = rest.partition("/")
            said = numbers[producer].get(f"said/{producer}/{aggregate}", {})
            taken = facts.get(f"taken/{rest}", {})
            for key in taken.keys() | said.keys():
                behind = said.get(key, 0) - taken.get(key, 0)
                behind_all += max(behind, 0)
                if behind < 0:
                    detail = f"{consumer} took {taken.get(key, 0)} events, {producer} said {said.get(key, 0)}"
                    breaks.append(Break("P5", consumer, f"{aggregate} {key}", detail))
    proof.in_flight["events"] = behind_all
    return breaks
