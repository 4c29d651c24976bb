"""What a provider of carriers' labels says of parcels (https://docs.easypost.com/docs/webhooks): signature and trackers.

A tracker carries the whole history, so that what is told again, or late, changes nothing.
"""

import hashlib
import hmac
import json
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from gateway.channels.commands import OrderSteps, RecordTracking, Step, Understood, Unreadable

SCHEME = "hmac-sha256-hex="
STATUSES = {
    "pre_transit": "PRE_TRANSIT", "in_transit": "IN_TRANSIT", "out_for_delivery": "OUT_FOR_DELIVERY", "delivered": "DELIVERED",
    "available_for_pickup": "AVAILABLE_FOR_PICKUP", "return_to_sender": "RETURNED", "failure": "FAILURE",
}  # fmt: skip
MOST_EVENTS = 200


def is_signed(content: bytes, signature: str, secrets: Sequence[str]) -> bool:
    """Says whether one of the secrets signed the raw body: hex of HMAC-SHA256."""
    keys = [unicodedata.normalize("NFKD", one).encode() for one in secrets if one]
    made = [SCHEME + hmac.new(key, content, hashlib.sha256).hexdigest() for key in keys]
    return any(hmac.compare_digest(one.encode(), signature.encode()) for one in made)


def name_of(content: bytes) -> tuple[str, str]:
    """Returns an event's id and kind; the content's own hash, and nothing, where it has none."""
    try:
        event = json.loads(content)
        return str(event["id"])[:200], str(event["description"])[:100]
    except (ValueError, RecursionError, KeyError, TypeError):
        return hashlib.sha256(content).hexdigest(), "unknown"


def understand(content: bytes) -> Understood:
    """Returns what an event means; raises Unreadable."""
    try:
        event = json.loads(content)
        tracker = event["result"]
        if tracker.get("object") != "Tracker":
            return Understood(ignored=f"nothing is done for {event['description']}")
        told = [_told(one) for one in tracker["tracking_details"] if one["status"] in STATUSES]
        if all(one["status"] == "PRE_TRANSIT" for one in told):
            # A label was printed: the parcel may not have left us, and nothing is known that we do not know.
            return Understood(ignored="the carrier does not have the parcel yet")
        number = str(tracker["tracking_code"])
        said = {"tracking_number": number, "carrier": str(tracker.get("carrier") or "")[:60], "events": told[-MOST_EVENTS:]}
        return Understood([OrderSteps(number[:100], [Step(RecordTracking(json.dumps(said)))])])
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"the body is no event of a parcel: {error!r}") from error


def _told(one: dict[str, Any]) -> dict[str, str]:
    place = one.get("tracking_location") or {}
    where = ", ".join(str(place[name]) for name in ("city", "state", "country") if place.get(name))
    moment = datetime.fromisoformat(one["datetime"])
    return {
        "status": STATUSES[one["status"]], "occurred_at": moment.isoformat(), "detail": str(one.get("message") or "")[:500],
        "place": where[:200],
    }  # fmt: skip
