"""Rows of CSV files, read as a stream; and a report of what became of each."""

import asyncio
import csv
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice, zip_longest
from pathlib import Path
from types import TracebackType
from typing import Any, Self

Progress = Callable[[str, int, int], None]
Row = tuple[int, dict[str, str]]
BATCH = 128
IN_FLIGHT = 4
SHOWN = 20
MOST = 10**15
CREATED, CHANGED, SAME, REFUSED = "created", "changed", "unchanged", "refused"


@dataclass(frozen=True)
class RowResult:
    """What became of a row: its line in the file, what it names, the outcome, and why it was refused (empty where it was taken)."""

    row: int
    subject: str
    outcome: str
    refusal: str = ""
    detail: str = ""


class Report:
    """What became of rows: counted, the first refusals kept to be shown, all of them written to a CSV file where one is named."""

    def __init__(self, path: Path | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self.refused: list[RowResult] = []
        self._file = path.open("w", newline="") if path is not None else None
        self._writer = csv.writer(self._file) if self._file is not None else None
        if self._writer is not None:
            self._writer.writerow(("row", "subject", "outcome", "refusal", "detail"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, results: Iterable[RowResult]) -> None:
        """Takes what became of some rows."""
        for one in results:
            self.counts[one.outcome] += 1
            if one.refusal and len(self.refused) < SHOWN:
                self.refused.append(one)
            if self._writer is not None:
                self._writer.writerow((one.row, one.subject, one.outcome, one.refusal, one.detail))


class CsvFile:
    """A CSV file in UTF-8 with a header. `digest` names its content, so that the same one again sends the same request ids."""

    def __init__(self, path: Path, needed: Iterable[str]) -> None:
        """Reads it once; raises ValueError where its header lacks a column, or a row is no row of it: nothing is brought in then."""
        self.path = path
        with path.open("rb") as file:
            self.digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            try:
                self.columns = [name.strip() for name in next(reader, [])]
                missing = sorted(set(needed) - set(self.columns))
                if missing:
                    raise ValueError(f"{path}: the header lacks {', '.join(missing)}")
                self.count = sum(self._is_row(reader.line_num, cells) for cells in reader)
            except csv.Error as error:
                raise ValueError(f"{path}, line {reader.line_num}: {error}") from error

    def _is_row(self, line: int, cells: Sequence[str]) -> bool:
        """A comma that is no separator must be quoted: what follows it would be taken for another column's."""
        if any(cells[len(self.columns) :]):
            text = f"has {len(cells)} cells, the header {len(self.columns)} columns: quote what holds a comma"
            raise ValueError(f"{self.path}, line {line}: {text}")
        return any(cells)

    def rows(self) -> Iterator[Row]:
        """Yields each row with the line on which it ends; a cell that is not there is empty."""
        with self.path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            next(reader, None)
            for cells in reader:
                if any(cells):
                    padded = zip_longest(self.columns, cells[: len(self.columns)], fillvalue="")
                    yield reader.line_num, {name: cell.strip() for name, cell in padded}


def whole(text: str, column: str) -> int:
    """Returns a cell as a whole number; raises ValueError that names the column."""
    try:
        found = int(text)
    except ValueError as error:
        raise ValueError(f"{column}: {text!r} is no whole number") from error
    if abs(found) > MOST:
        raise ValueError(f"{column}: {text} is too large")
    return found


def moment(text: str, column: str) -> datetime:
    """Returns a cell as a moment, UTC where it names no offset; raises ValueError that names the column."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{column}: {text!r} is no day or moment as in 2026-12-31 or 2026-12-31T08:00:00Z") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


async def in_batches(
    rows: Iterable[Any], send: Callable[[Sequence[Any]], Awaitable[Sequence[RowResult]]], report: Report, step: Callable[[int], None]
) -> None:
    """Sends rows in batches, some of them at a time, and reports in their order; memory stays the same however many there are."""
    source = iter(rows)
    done = 0
    while window := [batch for _ in range(IN_FLIGHT) if (batch := list(islice(source, BATCH)))]:
        for batch, results in zip(window, await asyncio.gather(*(send(batch) for batch in window)), strict=True):
            report.add(results)
            done += len(batch)
        step(done)
