"""Order files: rows become orders, what comes back finds what was sold, what is wrong is reported by line and column."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.channels.commands import FindOrder, GiveBack, PlaceOrder, Unreadable
from gateway.channels.order_file import FileRead, Mapping, Sold, match, placing, read_file, steps

MAPPING = Mapping(
    columns={
        "order_number": "No", "sku": "Code", "quantity": "Qty", "unit_price": "Price", "placed_at": "Date", "customer": "Customer",
        "country": "Country",
    },
    currency_code="GBP", cancellation_prefix="C", charges={"POST": "shipping", "D": "discount", "BANK": "report"},
    countries={"EIRE": "IE"}, paid_by="invoice",
)  # fmt: skip
HEADER = "No,Code,Qty,Price,Date,Customer,Country\n"


def read(*rows: str, mapping: Mapping = MAPPING) -> FileRead:
    return read_file((HEADER + "\n".join(rows)).encode(mapping.encoding), mapping)


def reasons(found: FileRead) -> list[tuple[int, str]]:
    return [(one.row, one.field) for one in found.reported]


def body(found: FileRead, index: int = 0, mapping: Mapping = MAPPING) -> dict[str, Any]:
    order: dict[str, Any] = json.loads(placing(found.orders[index], mapping, "shop", "GB01").order)
    return order


def test_rows_with_a_number_are_an_order_and_charges_are_no_lines() -> None:
    found = read(
        "1,A-1,6,2.55,2010-12-01 08:26:00,17850.0,United Kingdom", "1,B-2,1,0.125,2010-12-01 08:26:00,17850.0,United Kingdom",
        "1,POST,1,18.00,2010-12-01 08:26:00,17850.0,United Kingdom", "1,D,-1,1.30,2010-12-01 08:26:00,17850.0,United Kingdom",
        "2,A-1,1,2.55,2010-12-01 09:00:00,,EIRE",
    )  # fmt: skip
    assert (found.rows, found.left_out, len(found.orders)) == (5, 0, 2)
    order = body(found)
    assert [(line["channel_sku"], line["quantity"], line["amount_minor"]) for line in order["lines"]] == [("A-1", 6, 1530), ("B-2", 1, 13)]
    assert (order["shipping_minor"], order["discount_minor"], order["tenders"][0]["amount_minor"]) == (1800, 130, 1530 + 13 + 1800 - 130)
    assert (order["placed_at"], order["ship_to"]["country_code"]) == ("2010-12-01T08:26:00+00:00", "GB")
    assert body(found, 1)["ship_to"]["country_code"] == "IE"
    assert found.orders[0].customer == "17850"


def test_exact_duplicates_are_dropped_and_counted() -> None:
    row = "1,A-1,6,2.55,2010-12-01 08:26:00,17850,United Kingdom"
    found = read(row, row, row.replace("6,", "7,"))
    assert (found.rows, found.duplicates, [line.quantity for line in found.orders[0].lines]) == (3, 1, [6, 7])


@pytest.mark.parametrize(
    ("row", "column"),
    [
        (",A-1,1,1.00,2010-12-01,1,France", "No"),
        ("1,,1,1.00,2010-12-01,1,France", "Code"),
        ("1,A-1,x,1.00,2010-12-01,1,France", "Qty"),
        ("1,A-1,1.5,1.00,2010-12-01,1,France", "Qty"),
        ("1,A-1,0,1.00,2010-12-01,1,France", "Qty"),
        ("1,A-1,-1,1.00,2010-12-01,1,France", "Qty"),
        ("C1,A-1,1,1.00,2010-12-01,1,France", "Qty"),
        ("1,A-1,1,0.0,2010-12-01,1,France", "Price"),
        ("1,A-1,1,-5,2010-12-01,1,France", "Price"),
        ("1,A-1,1,NaN,2010-12-01,1,France", "Price"),
        ("1,A-1,1,1e400,2010-12-01,1,France", "Price"),
        ("1,A-1,1,1.00,soon,1,France", "Date"),
        ("1,A-1,1,1.00,2010-12-01,1,Atlantis", "Country"),
        ("1,A-1,1,1.00,2010-12-01,1,", "Country"),
        ("1,BANK,1,9.00,2010-12-01,1,France", "Code"),
        ("C1,POST,-1,18.00,2010-12-01,1,France", "Code"),
        ("1,A-1", "Qty"),
        ("1,A-1,99999999999,1,2010-12-01,1,France", "Qty"),
    ],
)
def test_a_bad_row_is_reported_by_line_and_column_and_the_rest_goes_on(row: str, column: str) -> None:
    found = read("7,A-1,1,1.00,2010-12-01,1,France", row, "8,A-1,1,1.00,2010-12-01,1,France")
    assert reasons(found) == [(3, column)]
    assert [order.number for order in found.orders] == ["7", "8"]


def test_a_file_of_another_shape_is_refused_as_a_whole() -> None:
    with pytest.raises(Unreadable, match="no column Qty"):
        read_file(b"No,Code\n1,A\n", MAPPING)
    with pytest.raises(Unreadable, match="not utf-8"):
        read_file(b"\xff\xfe", MAPPING)
    with pytest.raises(Unreadable, match="no column"):
        read_file(b"", MAPPING)


def test_other_countries_write_otherwise() -> None:
    other = replace(
        MAPPING, encoding="iso-8859-1", delimiter=";", decimal_mark=",", date_format="%d.%m.%Y %H:%M", default_country_code="AT"
    )
    text = "No;Code;Qty;Price;Date;Customer;Country\n1;Ä-1;1;1.234,50;01.02.2026 09:30;7;\n".encode("iso-8859-1")
    order = body(read_file(text, other), 0, other)
    assert (order["lines"][0]["channel_sku"], order["lines"][0]["amount_minor"]) == ("Ä-1", 123450)
    assert (order["placed_at"], order["ship_to"]["country_code"]) == ("2026-02-01T09:30:00+00:00", "AT")
    with_mark = b"\xef\xbb\xbf" + (HEADER + '1,"A,1",1,"1,234.50",2026-01-01,1,DE\n').encode()
    assert body(read_file(with_mark, MAPPING))["lines"][0]["amount_minor"] == 123450


def test_tax_as_charged_is_taken_where_the_file_has_it() -> None:
    taxed = replace(MAPPING, columns={**MAPPING.columns, "line_tax": "Tax"})
    found = read_file((HEADER.strip() + ",Tax\n1,A-1,2,10.00,2026-01-01,1,GB,4.00\n").encode(), taxed)
    order = body(found, 0, taxed)
    assert (order["tax_charged"], order["lines"][0]["tax_minor"], order["tenders"][0]["amount_minor"]) == (True, 400, 2400)


def sold(order: str, line: str, left: int, placed_at: int, customer: str = "1", sku: str = "A-1") -> Sold:
    return Sold(order, line, customer, sku, left, placed_at)


def test_what_comes_back_takes_from_the_newest_that_the_customer_bought_before() -> None:
    found = read("C9,A-1,-5,1.00,2026-01-03,1,GB", "C9,B-2,-1,1.00,2026-01-03,1,GB", "C8,A-1,-1,1.00,2026-01-03,2,GB")
    day = 86_400_000_000
    first = 1_767_225_600_000_000
    lines = [sold("1", "1", 3, first), sold("2", "4", 4, first + day), sold("3", "1", 9, first + 9 * day), sold("4", "1", 9, first, "7")]
    back, touched = match(found, lines, "BER", 0)
    assert back == {
        "2": [GiveBack("back/C9", "taken back by C9", {"4": 4}, -1, "BER")],
        "1": [GiveBack("back/C9", "taken back by C9", {"1": 1}, -1, "BER")],
    }
    assert {(one.external_order_id, one.left) for one in touched} == {("2", 0), ("1", 2)}
    assert [(one.row, one.order_number) for one in found.reported] == [(3, "C9"), (4, "C8")]


def test_what_comes_back_follows_its_order_in_the_same_file() -> None:
    found = read("1,A-1,2,1.00,2026-01-01,1,GB")
    back = {"1": [GiveBack("back/C2", "x", {"1": 1})], "0": [GiveBack("back/C2", "x", {"1": 1})]}
    own, other = steps(found.orders, back, MAPPING, "shop", "GB01")
    assert [type(step.command).__name__ for step in own.steps] == ["PlaceOrder", "CompareLines", "GiveBack"]
    assert isinstance(own.steps[0].command, PlaceOrder)
    assert isinstance(other.steps[0].command, FindOrder)
