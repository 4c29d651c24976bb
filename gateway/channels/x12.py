"""X12's envelopes: interchanges read with whatever separators they use, and written; and the 997 that says what could be read.

pyx12 takes them apart. It insists on versions that it knows and on fixed widths in the first segment, neither of which partners
keep to, so the first segment is put in order before.
"""

import io
import re
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from pyx12.errors import X12Error
from pyx12.segment import Segment
from pyx12.x12file import X12Reader, X12Writer

from gateway.channels.commands import Unreadable

ELEMENT, COMPONENT, END = "*", ">", "~"
VERSION = "00401"
NO_COMPONENTS = "\x1f"
# The widths of the first segment's elements, up to the one that separates components.
WIDTHS = (2, 10, 2, 10, 2, 15, 2, 15, 6, 4, 1, 5, 9, 1, 1)
FIRST = re.compile(r"ISA(?P<element>[^\sA-Za-z0-9])")
ENVELOPE = {"ISA", "TA1", "GS", "GE", "IEA", "ST", "SE"}
Elements = list[str]


class Transaction(NamedTuple):
    """A transaction set: its kind, e.g. 945, its control number, and its segments without the envelope."""

    kind: str
    control: str
    segments: list[Elements]

    def first(self, name: str) -> Elements:
        """Returns the first segment of a name; an empty one where there is none."""
        return next((one for one in self.segments if one[0] == name), [name])


class Group(NamedTuple):
    """A functional group."""

    kind: str
    control: str
    transactions: list[Transaction]


class Interchange(NamedTuple):
    """An interchange: who wrote to whom, qualifier and id, under which number."""

    sender: str
    receiver: str
    control: str
    groups: list[Group]


def at(segment: Elements, position: int) -> str:
    """Returns an element by its position from 1; empty where it is left out."""
    return segment[position].strip() if position < len(segment) else ""


def number(text: str, what: str) -> int:
    """Returns a quantity of whole units; raises Unreadable."""
    if not re.fullmatch(r"-?\d{1,12}(\.0+)?", text):
        raise Unreadable(f"{what} is no whole number: {text or '(empty)'}")
    return int(text.partition(".")[0])


def name_of(content: bytes) -> str:
    """Returns what tells an interchange from others: who wrote to whom, and its control number; raises Unreadable."""
    text = _ordered(content)
    parts = text[: sum(WIDTHS) + len(WIDTHS) + 4].split(text[3])
    return f"{parts[6].strip()}/{parts[8].strip()}/{parts[13].strip()}"


def read(content: bytes) -> Interchange:
    """Takes an interchange apart; raises Unreadable where it is none, or is cut off."""
    try:
        reader = X12Reader(io.StringIO(_ordered(content)))
        segments = [_elements(one, reader.subele_term or "") for one in reader]
    except X12Error as error:
        raise Unreadable(f"the document is no X12 interchange: {error}") from error
    if segments[-1][0] != "IEA":
        raise Unreadable(f"the interchange is cut off after {segments[-1][0]}")
    first = segments[0]
    found = Interchange(f"{at(first, 5)}:{at(first, 6)}", f"{at(first, 7)}:{at(first, 8)}", at(first, 13), [])
    for segment in segments:
        match segment[0]:
            case "GS":
                found.groups.append(Group(at(segment, 1), at(segment, 6), []))
            case "ST" if found.groups:
                found.groups[-1].transactions.append(Transaction(at(segment, 1), at(segment, 2), []))
            case name if name not in ENVELOPE:
                if not (found.groups and found.groups[-1].transactions):
                    raise Unreadable(f"{name} stands outside of a transaction set")
                found.groups[-1].transactions[-1].segments.append(segment)
            case _:
                pass
    return found


def write(sender: str, receiver: str, control: int, group: str, kind: str, segments: Sequence[Elements], moment: datetime) -> bytes:
    """Returns an interchange of one transaction set; who writes to whom as qualifier:id."""
    out = io.StringIO()
    own, partner = sender.partition(":"), receiver.partition(":")
    stamp = f"{moment:%H%M}"
    envelope = [
        ["ISA", "00", " " * 10, "00", " " * 10, own[0], f"{own[2]:15}", partner[0], f"{partner[2]:15}", f"{moment:%y%m%d}", stamp, "U",
         VERSION, f"{control:09}", "0", "P", COMPONENT],
        ["GS", group, own[2], partner[2], f"{moment:%Y%m%d}", stamp, str(control), "X", "004010"],
        ["ST", kind, f"{control:04}"],
    ]  # fmt: skip
    with X12Writer(out, END, ELEMENT, COMPONENT, "\n") as writer:
        for one in [*envelope, *([part if part == COMPONENT else _clean(part) for part in each] for each in segments)]:
            writer.Write(Segment(ELEMENT.join(_bare(one)) + END, END, ELEMENT, COMPONENT))
    return out.getvalue().encode()


def acknowledge(group: Group, verdicts: Sequence[str]) -> list[Elements]:
    """Returns the segments of a 997: what of a group could be read, as A or R for each of its sets."""
    taken = verdicts.count("A")
    all_of_it = "A" if taken == len(verdicts) else "P" if taken else "R"
    count = str(len(verdicts))
    answers = [
        segment
        for one, verdict in zip(group.transactions, verdicts, strict=True)
        for segment in (["AK2", one.kind, one.control], ["AK5", verdict])
    ]
    return [["AK1", group.kind, group.control], *answers, ["AK9", all_of_it, count, count, str(taken)]]


def _ordered(content: bytes) -> str:
    """Returns an interchange's text with a first segment as it must be; raises Unreadable."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("iso-8859-1")
    text = text.replace("\r\n", "\n").lstrip()
    found = FIRST.match(text)
    if found is None:
        raise Unreadable("the document does not begin with ISA")
    element = found["element"]
    parts = text.split(element, len(WIDTHS) + 1)
    # The element that separates components is one character, and what follows it ends segments.
    if len(parts) != len(WIDTHS) + 2 or len(parts[-1]) < 3:
        raise Unreadable("the first segment, ISA, lacks elements")
    component, end, rest = parts[-1][0], parts[-1][1], parts[-1][2:]
    fixed = [f"{one.strip():{width}}"[:width] for one, width in zip(parts[1:-1], WIDTHS, strict=True)]
    fixed[11] = VERSION
    if component == element:
        # Nothing in it has components.
        component = NO_COMPONENTS
    lines = (line.strip() for line in rest.split(end))
    return element.join(["ISA", *fixed, component]) + end + "".join(f"{line}{end}" for line in lines if line)


def _elements(segment: Segment, component: str) -> Elements:
    return [segment.get_seg_id() or "", *(one.format(component) for one in segment.elements)]


def _clean(part: str) -> str:
    """Returns a text without what separates."""
    return re.sub(r"[*>~\s]+", " ", part).strip()


def _bare(segment: Elements) -> Elements:
    """Returns a segment without the empty elements at its end."""
    last = max(index for index, part in enumerate(segment) if part)
    return segment[: last + 1]
