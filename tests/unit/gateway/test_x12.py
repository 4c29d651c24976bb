"""X12: envelopes of every kind, what a warehouse is told and says, and what is answered to it."""

from datetime import UTC, datetime

import pytest

from argosy.common.v1 import address_pb2
from gateway.channels import x12, x12_warehouse
from gateway.channels.commands import Unreadable
from gateway.channels.warehouses import SHIPPED, Handed, HandedLine, Parcel, Receipt, ShippedLine
from tests.samples import need_samples, samples

MOMENT = datetime(2026, 11, 26, 14, 5, tzinfo=UTC)
OWN, PARTNER = "ZZ:ARGOSY", "01:123456789"
ADDRESS = address_pb2.Address(
    name="Ada * Example~", company="Example & Sons", lines=["Long Street 1", "2nd floor", "left"], locality="Erfurt", region="Thüringen",
    postal_code="99084", country_code="DE", phone="+49 361 1",
)  # fmt: skip
ORDER = Handed(
    "A1B2C3D4E5F6A7B8C9D0", "", "W-1001", "2026-11-26T13:00:00Z", ADDRESS, "ada@example.com", "standard", "2026-11-27", "",
    [HandedLine(1, "l1", "MUG-1", 3), HandedLine(2, "l2", "POT-3", 0), HandedLine(3, "l3", "CUP-2", 2)],
)  # fmt: skip
ADVICE = """ISA*00*          *00*          *01*123456789      *ZZ*ARGOSY         *261126*1405*U*00401*000000077*0*P*>~
GS*SW*123456789*ARGOSY*20261126*1405*77*X*004010~
ST*945*0001~
W06*F*A1B2C3D4E5F6A7B8C9D0*20261126*SHP-9~
N9*2I*1Z999~
W27*M*UPSN*UPS GROUND~
LX*1~
W12*CC*3*3**EA**SK*MUG-1~
N9*LI*1~
LX*2~
W12*{status}*2*{shipped}**EA**VN*CUP-2~
N9*LI*3~
W03*{total}~
SE*12*0001~
GE*1*77~
IEA*1*000000077~
"""


def advice(status: str = "CC", shipped: int = 2, total: int = 5, **changed: str) -> bytes:
    text = ADVICE.format(status=status, shipped=shipped, total=total)
    for before, after in changed.items():
        text = text.replace(before, after)
    return text.encode()


def test_an_order_is_written_as_it_is_read() -> None:
    written = x12.write(OWN, PARTNER, 42, "OW", "940", x12_warehouse.order_segments(ORDER, "N", "WH7", "DE01"), MOMENT)
    assert written.startswith(b"ISA*00*          *00*          *ZZ*ARGOSY         *01*123456789      *261126*1405*U*00401*000000042*0*P*>~")
    found = x12.read(written)
    assert (found.sender, found.receiver, found.control) == (OWN, PARTNER, "000000042")
    (group,) = found.groups
    (one,) = group.transactions
    assert (group.kind, group.control, one.kind, one.control) == ("OW", "42", "940", "0042")
    # What separates does not stand in what is written, and what is empty at the end is left out.
    assert one.segments == [
        ["W05", "N", "A1B2C3D4E5F6A7B8C9D0", "W-1001"], ["N1", "WH", "", "91", "WH7"], ["N1", "DE", "DE01"], ["N1", "ST", "Ada Example"],
        ["N2", "Example & Sons"], ["N3", "Long Street 1", "2nd floor"], ["N3", "left"],
        ["N4", "Erfurt", "", "99084", "DE", "SP", "Thüringen"], ["PER", "IC", "", "TE", "+49 361 1", "EM", "ada@example.com"],
        ["G62", "10", "20261127"], ["W66", "PP", "ZZ", "", "", "standard"],
        ["LX", "1"], ["W01", "3", "EA", "", "SK", "MUG-1"], ["N9", "LI", "1"],
        ["LX", "2"], ["W01", "2", "EA", "", "SK", "CUP-2"], ["N9", "LI", "3"], ["W76", "5"],
    ]  # fmt: skip
    assert b"SE*20*0042~" in written
    assert written.endswith(b"GE*1*42~\nIEA*1*000000042~\n")


def test_an_order_that_is_taken_back_names_all_of_it() -> None:
    segments = x12_warehouse.order_segments(ORDER, "F", "WH7", "DE01")
    assert segments[0][:2] == ["W05", "F"]
    assert [one[1] for one in segments if one[0] == "W01"] == ["0", "0", "0"]
    assert segments[-1] == ["W76", "0"]


def test_a_line_is_believed_by_our_number_where_only_others_name_the_article() -> None:
    heard = x12_warehouse.understand(advice(**{"EA**SK*MUG-1": "EA*400732310031*UK*10071179016458"}), OWN, PARTNER)
    assert heard.said[0].parcels[0].lines[0] == ShippedLine(3, number=1)


def test_what_was_shipped_is_understood_and_acknowledged() -> None:
    heard = x12_warehouse.understand(advice(), OWN, PARTNER)
    (said,) = heard.said
    assert (said.kind, said.reference, said.short, said.foreign) == (SHIPPED, "A1B2C3D4E5F6A7B8C9D0", False, False)
    lines = [ShippedLine(3, number=1, sku="MUG-1"), ShippedLine(2, number=3, sku="CUP-2")]
    assert said.parcels == [Parcel("SHP-9", "UPSN", "UPS GROUND", "1Z999", lines)]
    assert heard.acknowledgement == [["AK1", "SW", "77"], ["AK2", "945", "0001"], ["AK5", "A"], ["AK9", "A", "1", "1", "1"]]


@pytest.mark.parametrize(("status", "short"), [("CC", True), ("CP", True), ("BP", False), ("BO", False)])
def test_what_is_missing_comes_later_only_where_it_says_so(status: str, short: bool) -> None:
    (said,) = x12_warehouse.understand(advice(status, 0, 3), OWN, PARTNER).said
    assert said.short is short
    assert [line.sku for line in said.parcels[0].lines] == ["MUG-1"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (advice(total=6), "W0301 says 6 units, the lines come to 5"),
        (advice(**{"*3*3*": "*3*x*"}), "W1203 is no whole number: x"),
        (advice(A1B2C3D4E5F6A7B8C9D0=""), "W0602 names no order"),
    ],
)
def test_what_does_not_foot_is_refused_by_name(content: bytes, why: str) -> None:
    heard = x12_warehouse.understand(content, OWN, PARTNER)
    assert why in heard.unreadable
    assert not heard.said
    assert ["AK5", "R"] in heard.acknowledgement


def test_the_good_is_taken_where_the_bad_is_not() -> None:
    text = advice().decode()
    start, end = text.index("ST*945"), text.index("GE*1")
    bad = text[start:end].replace("0001~", "0002~").replace("W03*5", "W03*9")
    heard = x12_warehouse.understand((text[:end] + bad + text[end:].replace("GE*1", "GE*2")).encode(), OWN, PARTNER)
    assert len(heard.said) == 1
    assert "945 0002" in heard.unreadable
    assert heard.acknowledgement[-1] == ["AK9", "P", "2", "2", "1"]


def test_who_writes_and_what_is_read_is_looked_at() -> None:
    for content, why in (
        (advice(**{"*01*123456789 ": "*01*987654321 "}), "01:987654321 wrote to ZZ:ARGOSY"),
        (advice()[:-40], "cut off after"), (b"\xef\xbb\xbfST*945*1~", "does not begin with ISA"), (b"ISA*00*x~", "lacks elements"),
        (b"", "does not begin"),
    ):  # fmt: skip
        with pytest.raises(Unreadable, match=why):
            x12_warehouse.understand(content, OWN, PARTNER)


@pytest.mark.parametrize(("verdict", "taken"), [("A", True), ("E", True), ("R", False), ("M", False)])
def test_a_receipt_says_which_document_was_read(verdict: str, taken: bool) -> None:
    segments = [["AK1", "OW", "42"], ["AK2", "940", "0042"], ["AK3", "N4", "8"], ["AK5", verdict], ["AK9", verdict, "1", "1", "1"]]
    content = x12.write(PARTNER, OWN, 5, "FA", "997", segments, MOMENT)
    heard = x12_warehouse.understand(content, OWN, PARTNER)
    assert heard.receipts == [Receipt(42, taken, f"997: {verdict}; N4 at 8")]
    # Nobody acknowledges an acknowledgement.
    assert not heard.acknowledgement


def test_separators_widths_and_versions_are_the_partners_own() -> None:
    text = advice().decode()
    odd = text.replace("~\n", "\x15").replace("*", "|").replace("|>", "||").replace("          ", "").replace("00401", "00204")
    (said,) = x12_warehouse.understand(b"\xef\xbb\xbf" + odd.encode(), OWN, PARTNER).said
    assert said.parcels[0].lines[0] == ShippedLine(3, number=1, sku="MUG-1")
    assert x12.name_of(odd.encode()) == x12.name_of(text.encode()) == "123456789/ARGOSY/000000077"


def test_real_files_are_read_or_refused_with_a_reason() -> None:
    files = samples("edi_x12/*")
    need_samples(files)
    refused = {}
    for file in files:
        try:
            assert x12.read(file.read_bytes()).control
        except Unreadable as error:
            refused[file.name] = str(error)
    assert len(refused) <= 4, refused
    for file in samples("edi_x12/*940*"):
        (group,) = x12.read(file.read_bytes()).groups
        (one,) = group.transactions
        units = sum(int(x12.at(s, 1)) for s in one.segments if s[0] == "W01")
        assert x12.at(one.first("W76"), 1) == str(units)


def test_a_real_advice_that_does_not_foot_is_not_believed() -> None:
    files = samples("edi_x12/ef_945*")
    need_samples(files)
    heard = x12_warehouse.understand(files[0].read_bytes(), "14:RECEIVER1", "16:SENDER1")
    assert "W0301 says 240 units, the lines come to 144" in heard.unreadable
