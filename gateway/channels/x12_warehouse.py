"""A warehouse that speaks X12: the 940 that tells it what to ship, the 945 that says what it shipped, 997s both ways."""

from collections.abc import Iterator, Sequence

from gateway.channels import x12
from gateway.channels.commands import Unreadable
from gateway.channels.warehouses import SHIPPED, Handed, Heard, Parcel, Receipt, Said, ShippedLine
from gateway.channels.x12 import Elements, Group, Transaction, at, number

ORDER_GROUP, ORDER, ACKNOWLEDGEMENT_GROUP, ACKNOWLEDGEMENT, ADVICE = "OW", "940", "FA", "997", "945"
NEW, REPLACED, CANCELLED = "N", "R", "F"
TAKEN = {"A", "E"}
# What a line's status says of what is missing: it follows. Any other says that it does not.
FOLLOWS = {"BO", "BP", "PS"}
# Qualifiers of names that we give articles: stock keeping unit, vendor's, vendor's catalogue, buyer's part number.
OURS = ("SK", "VN", "VC", "BP")
TRACKING, CARTON = "2I", "CP"


def order_segments(order: Handed, purpose: str, warehouse: str, depositor: str) -> list[Elements]:
    """Returns a 940 without its envelope: all of an order, what is left of it, or that nothing is."""
    to = order.address
    lines = order.left if purpose != CANCELLED else order.whole
    street = [line[:55] for line in to.lines]
    segments = [
        ["W05", purpose, order.reference, order.order_number[:22]],
        ["N1", "WH", "", "91", warehouse],
        ["N1", "DE", depositor],
        ["N1", "ST", (to.name or to.company)[:60]],
        *([["N2", to.company[:60]]] if to.company and to.name else []),
        *(["N3", *street[start : start + 2]] for start in range(0, len(street), 2)),
        ["N4", to.locality[:30], *_state(to.region), to.postal_code[:15], to.country_code, *_province(to.region)],
        *_contact(order),
        *([["G62", "10", order.ship_by.replace("-", "")]] if order.ship_by else []),
        *([["G62", "02", order.deliver_by.replace("-", "")]] if order.deliver_by else []),
        ["W66", "PP", "ZZ", "", "", order.method[:35]],
    ]
    for position, line in enumerate(lines, start=1):
        quantity = 0 if purpose == CANCELLED else line.quantity
        segments += [["LX", str(position)], ["W01", str(quantity), "EA", "", "SK", line.sku], ["N9", "LI", str(line.number)]]
    return [*segments, ["W76", str(0 if purpose == CANCELLED else sum(line.quantity for line in lines))]]


def _state(region: str) -> list[str]:
    return [region if len(region) == 2 else ""]


def _province(region: str) -> list[str]:
    return [] if len(region) <= 2 else ["SP", region[:30]]


def _contact(order: Handed) -> list[Elements]:
    ways = [*(("TE", order.address.phone) if order.address.phone else ()), *(("EM", order.email) if order.email else ())]
    return [["PER", "IC", "", *ways]] if ways else []


def understand(content: bytes, own: str, partner: str) -> Heard:
    """Returns what an interchange means; raises Unreadable where none of it is for us. What of it cannot be read is said to both."""
    found = x12.read(content)
    if (found.sender, found.receiver) != (partner, own):
        raise Unreadable(f"{found.sender} wrote to {found.receiver}, not {partner} to {own}")
    heard = Heard()
    wrong: list[str] = []
    for group in found.groups:
        if group.kind == ACKNOWLEDGEMENT_GROUP or all(one.kind == ACKNOWLEDGEMENT for one in group.transactions):
            heard.receipts.extend(receipt for one in group.transactions for receipt in _receipts(one))
        else:
            heard.acknowledgement.extend(_advices(group, heard.said, wrong))
    if wrong:
        return Heard(heard.said, heard.receipts, [], heard.acknowledgement, unreadable="; ".join(wrong))
    if not (heard.said or heard.receipts):
        raise Unreadable("the interchange holds no 945 and no 997")
    return heard


def _advices(group: Group, said: list[Said], wrong: list[str]) -> list[Elements]:
    """Reads the advices of a group, the good ones among bad ones; returns what is answered to it."""
    verdicts = []
    for one in group.transactions:
        try:
            said.append(_advice(one, group.control))
            verdicts.append("A")
        except Unreadable as error:
            wrong.append(f"{one.kind} {one.control}: {error}")
            verdicts.append("R")
    return x12.acknowledge(group, verdicts)


def _advice(one: Transaction, group: str) -> Said:
    if one.kind != ADVICE:
        raise Unreadable("nothing but 945 is understood")
    head, carrier = one.first("W06"), one.first("W27")
    reference = at(head, 2)
    if not reference:
        raise Unreadable("W0602 names no order")
    lines: list[ShippedLine] = []
    short, total = False, 0
    for loop in _loops(one.segments):
        item = next(segment for segment in loop if segment[0] == "W12")
        shipped = number(at(item, 3) or "0", f"of line {len(lines) + 1}, W1203")
        total += shipped
        if number(at(item, 2) or str(shipped), "W1202") > shipped and at(item, 1) not in FOLLOWS:
            short = True
        if shipped:
            lines.append(ShippedLine(shipped, number=_line_number(loop), sku=_article(item)))
    footing = at(one.first("W03"), 1)
    if footing and number(footing, "W0301") != total:
        raise Unreadable(f"W0301 says {footing} units, the lines come to {total}")
    tracking = next((at(s, 2) for s in one.segments if s[0] == "N9" and at(s, 1) == TRACKING), "") or next(
        (at(s, 2) for s in one.segments if s[0] == "MAN" and at(s, 1) == CARTON), ""
    )
    shipment = at(head, 4) or at(head, 5) or tracking or f"{group}.{one.control}"
    parcel = Parcel(shipment, at(carrier, 2), at(carrier, 3), tracking, lines)
    return Said(SHIPPED, reference, parcels=[parcel] if lines else [], short=short, reason="the warehouse was short", foreign=False)


def _loops(segments: Sequence[Elements]) -> Iterator[list[Elements]]:
    """Returns the segments of each line."""
    loop: list[Elements] = []
    for segment in segments:
        if segment[0] in ("W12", "LX", "W03"):
            if any(one[0] == "W12" for one in loop):
                yield loop
            loop = []
        loop.append(segment)
    if any(one[0] == "W12" for one in loop):
        yield loop


def _line_number(loop: Sequence[Elements]) -> int:
    said = next((at(s, 2) for s in loop if s[0] == "N9" and at(s, 1) == "LI"), "")
    return int(said) if said.isascii() and said.isdecimal() else 0


def _article(item: Elements) -> str:
    """Returns our SKU, whichever pair of qualifier and id names it; empty where only others' names stand there."""
    pairs = {at(item, position): at(item, position + 1) for position in (7, 17, 21) if at(item, position)}
    return next((pairs[name] for name in OURS if name in pairs), "")


def _receipts(one: Transaction) -> Iterator[Receipt]:
    """Returns what a 997 says of the one set that each of our groups holds."""
    if one.kind != ACKNOWLEDGEMENT or at(one.first("AK1"), 1) != ORDER_GROUP:
        return
    control, verdict = at(one.first("AK1"), 2), at(one.first("AK5"), 1) or at(one.first("AK9"), 1)
    if not control.isdecimal():
        raise Unreadable(f"AK102 is no control number: {control or '(empty)'}")
    where = [f"{at(s, 1)} at {at(s, 2)}" for s in one.segments if s[0] == "AK3"]
    yield Receipt(int(control), verdict in TAKEN, f"997: {verdict or 'no verdict'}; {', '.join(where)}".rstrip("; "))
