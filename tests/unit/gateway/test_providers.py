"""What providers of labels and of payments send, as real files have it."""

import json
from pathlib import Path

import pytest

from gateway.channels import carriers, payments
from gateway.channels.commands import RecordPayment, RecordTracking, Unreadable
from tests.samples import need_samples, samples


def test_a_real_tracker_is_understood_whole() -> None:
    files = samples("carriers/easypost_event_tracker_updated.json")
    need_samples(files)
    content = files[0].read_bytes()
    assert carriers.name_of(content) == ("evt_1", "tracker.updated")
    understood = carriers.understand(content)
    ((step,),) = [one.steps for one in understood.orders]
    assert isinstance(step.command, RecordTracking)
    said, given = json.loads(step.command.event), json.loads(content)["result"]
    assert (said["tracking_number"], said["carrier"]) == (given["tracking_code"], "FedEx")
    assert len(said["events"]) == sum(one["status"] in carriers.STATUSES for one in given["tracking_details"])
    assert said["events"][1]["place"] == "ORLANDO, FL, US"


@pytest.mark.parametrize("name", ["payment_intent", "charge", "dispute", "refund", "event", "payout", "transfer"])
def test_real_objects_of_a_provider_are_understood_or_not_ours(name: str) -> None:
    files = samples(f"payments/stripe_obj_{name}.json")
    need_samples(files)
    given = json.loads(Path(files[0]).read_bytes())
    for kind in payments.TYPES:
        content = json.dumps({"id": "evt_1", "type": kind, "data": {"object": given}}).encode()
        try:
            understood = payments.understand(content)
        except Unreadable:
            # Its amounts are another kind's.
            assert not kind.startswith(name)
            continue
        for one in understood.orders:
            assert isinstance(one.steps[0].command, RecordPayment)
            assert json.loads(one.steps[0].command.event)["reference"] == given["id"]
    assert payments.name_of(b"\xff") == (payments.name_of(b"\xff")[0], "unknown")
