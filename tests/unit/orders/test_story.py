"""An order's story: every sentence stands on entries of the timeline, and says nothing that they do not."""

from datetime import UTC, datetime

from services.orders.domain.story import Moment, Sentence, Told, tell

NOON = round(datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp()) * 1_000_000
MINUTE = 60_000_000
PARCEL = {"units": 2, "location_id": "BER", "carrier": "PARCELCO", "tracking_number": "T1"}


def moment(name: str, kind: str, after: int, detail: str = "", *, actor: str = "", subject: str = "", **facts: object) -> Moment:
    return Moment(name, NOON + after * MINUTE, "orders", kind, "", actor, "order", subject, {"detail": detail, **facts})


def test_each_sentence_names_the_entries_that_it_tells_of() -> None:
    moments = [
        moment("1", "CAPTURED", 0), moment("2", "HOLD_AWAITING_PAYMENT", 1, "nothing was paid"), moment("3", "JUDGED", 1),
        moment("4", "HOLD_HIGH_RISK", 2), moment("5", "LIFTED_AWAITING_PAYMENT", 5),
        moment("6", "LET_GO_HIGH_RISK", 6, "known", actor="ann"),
        moment("7", "RESERVED", 7, "2 units at BER"), moment("8", "PARCEL", 60, subject="s", **PARCEL),
        moment("9", "ARRIVED", 900, subject="s"), moment("10", "HOLD_OVERDUE", 950),
    ]  # fmt: skip
    told = Told("W-1", "web", "€23.80", 2, 1, "DELIVERED")
    assert tell(told, moments) == [
        Sentence("Order W-1 of web was taken on 2026-11-26 12:00: 2 units in 1 line, €23.80.", ["1"]),
        Sentence(
            "On 2026-11-26 12:01 it was held for AWAITING_PAYMENT, nothing was paid, until the reason was gone on 2026-11-26 12:05.",
            ["2", "5"],
        ),
        Sentence("On 2026-11-26 12:02 it was held for HIGH_RISK, until ann let it go on 2026-11-26 12:06: known.", ["4", "6"]),
        Sentence("On 2026-11-26 12:07 stock was reserved: 2 units at BER.", ["7"]),
        Sentence(
            "A parcel with 2 units left BER on 2026-11-26 13:00 with PARCELCO (T1) and arrived on 2026-11-27 03:00.", ["8", "9"]
        ),
        Sentence("On 2026-11-27 03:50 it was held for OVERDUE; it is held still.", ["10"]),
        Sentence("It is DELIVERED.", ["10"]),
    ]  # fmt: skip


def test_it_ends_with_what_is_open_and_until_when() -> None:
    told = Told("W-1", "web", "€23.80", 5, 1, "OPEN", {"waiting": 2, "reserved": 0, "with a location": 3}, NOON)
    parcel = moment("2", "PARCEL", 1, subject="s", **{**PARCEL, "carrier": "", "tracking_number": ""})
    sentences = tell(told, [moment("1", "CAPTURED", 0), parcel])
    assert sentences[1].text == "A parcel with 2 units left BER on 2026-11-26 12:01; it has not arrived yet."
    assert sentences[-1] == Sentence("It is OPEN: 2 waiting, 3 with a location; all is expected by 2026-11-26 12:00.", ["2"])
    assert tell(told, []) == []
