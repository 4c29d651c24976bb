"""A payment provider's events (https://docs.stripe.com/api/events): signature, types, and what a payment is said to have done.

Each event carries the whole object, so its amounts are totals: said twice, or after a newer one, it changes nothing.
"""

import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from chassis.kernel.clock import SECOND
from gateway.channels.commands import OrderSteps, RecordPayment, Step, Understood, Unreadable

# Who replays what was signed longer ago is not the provider.
TOLERANCE_S = 300
# type → what happened, and which of the object's amounts says how much.
TYPES = {
    "payment_intent.amount_capturable_updated": ("AUTHORISED", "amount_capturable"),
    "payment_intent.succeeded": ("CAPTURED", "amount_received"),
    "payment_intent.payment_failed": ("FAILED", "amount"),
    "payment_intent.canceled": ("CANCELLED", "amount"),
    "charge.refunded": ("REFUNDED", "amount_refunded"),
    "charge.dispute.created": ("DISPUTED", "amount"),
    "charge.dispute.closed": ("", "amount"),
}
DISPUTES = {"won": "DISPUTE_WON", "warning_closed": "DISPUTE_WON", "lost": "DISPUTE_LOST"}


def is_signed(content: bytes, signature: str, secrets: Sequence[str], now: int) -> bool:
    """Says whether one of the secrets signed the body, within the last minutes: t=…,v1=hex of HMAC-SHA256 over time and body."""
    parts = [part.partition("=") for part in signature.split(",")]
    moment = next((value for name, _, value in parts if name.strip() == "t"), "")
    if not (moment.isascii() and moment.isdecimal()) or abs(now // SECOND - int(moment)) > TOLERANCE_S:
        return False
    given = [value for name, _, value in parts if name.strip() == "v1"]
    made = [hmac.new(one.encode(), moment.encode() + b"." + content, hashlib.sha256).hexdigest() for one in secrets if one]
    return any(hmac.compare_digest(one.encode(), other.encode()) for one in made for other in given)


def name_of(content: bytes) -> tuple[str, str]:
    """Returns an event's id and type; the content's own hash, and nothing, where it has none."""
    try:
        event = json.loads(content)
        return str(event["id"])[:200], str(event["type"])[:100]
    except (ValueError, RecursionError, KeyError, TypeError):
        return hashlib.sha256(content).hexdigest(), "unknown"


def understand(content: bytes) -> Understood:
    """Returns what an event means; raises Unreadable."""
    try:
        event = json.loads(content)
        if event["type"] not in TYPES:
            return Understood(ignored=f"nothing is done for {event['type']}")
        kind, amount = TYPES[event["type"]]
        given = event["data"]["object"]
        kind = kind or DISPUTES.get(given["status"], "")
        if not kind:
            return Understood(ignored=f"a dispute that is {given['status']} changes nothing")
        # A charge and a dispute name the payment that they are of.
        reference = given["id"] if given.get("object") == "payment_intent" else given.get("payment_intent")
        if not reference:
            return Understood(ignored="it is of no payment that orders are paid by")
        return Understood([OrderSteps(str(reference)[:100], [Step(RecordPayment(json.dumps(_said(kind, str(reference), given, amount))))])])
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"the body is no event of a payment: {error!r}") from error


def _said(kind: str, reference: str, given: dict[str, Any], amount: str) -> dict[str, Any]:
    why = given.get("reason") or given.get("cancellation_reason") or (given.get("last_payment_error") or {}).get("message")
    said = {
        "reference": reference, "kind": f"PAYMENT_EVENT_KIND_{kind}", "amount_minor": int(given[amount]),
        "currency_code": str(given["currency"]).upper(), "detail": str(why or "")[:500],
    }  # fmt: skip
    ends = given.get("capture_before") or given.get("expires_at")
    if kind == "AUTHORISED" and ends:
        said["expires_at"] = datetime.fromtimestamp(int(ends), UTC).isoformat()
    return said
