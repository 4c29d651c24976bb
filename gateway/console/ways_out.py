"""What a person can do about an order that waits: the form on its page, and what it answers."""

Way = tuple[str, str]

ADDRESS: Way = ("change", "put the address right")
LINES: Way = ("change", "change or split it")
OTHER: Way = ("change", "replace the article")
PRICE: Way = ("change", "say what its lines cost")
PAYMENT: Way = ("pay", "add a payment")
OFFER: Way = ("offer", "offer the customer something else")
CANCEL: Way = ("cancel", "cancel it")
LOCATIONS: Way = ("work", "see who has it")

WAYS: dict[str, tuple[Way, ...]] = {
    "UNKNOWN_SKU": (OTHER, CANCEL),
    "OUT_OF_STOCK": (OFFER, LINES, CANCEL),
    "PAID_NO_STOCK": (OFFER, LINES, CANCEL),
    "UNKNOWN_DATE": (OFFER, LINES, CANCEL),
    "STOCK_TAKEN": (OFFER, LINES, CANCEL),
    "PRICE_OVERRIDE": (PRICE, CANCEL),
    "AWAITING_PAYMENT": (PAYMENT, CANCEL),
    "AMOUNT_MISMATCH": (PAYMENT, PRICE),
    "AUTH_EXPIRED": (PAYMENT, CANCEL),
    "CAPTURE_FAILED": (PAYMENT,),
    "INCORRECT_ADDRESS": (ADDRESS, CANCEL),
    "UNDELIVERABLE": (ADDRESS, CANCEL),
    "RESTRICTED_DESTINATION": (ADDRESS, OTHER, CANCEL),
    "EXPORT_RESTRICTED": (ADDRESS, OTHER, CANCEL),
    "DOCUMENTS_MISSING": (OTHER, ADDRESS, CANCEL),
    "HAZMAT": (("change", "send it another way"), CANCEL),
    "DUPLICATE_SUSPECT": (CANCEL,),
    "HIGH_RISK": (CANCEL,),
    "VELOCITY": (CANCEL,),
    "NO_ACK": (LOCATIONS, CANCEL),
    "SHIPPED_UNASKED": (LOCATIONS,),
}


def ways_out(reason: str) -> tuple[Way, ...]:
    """Returns the ways out of a hold, by where they are on the order's page; releasing it is always one more."""
    return WAYS.get(reason, ())
