"""Files to bring in, and the reports of what became of them."""

import csv
from collections.abc import Awaitable, Callable
from pathlib import Path

from suite.rows import Progress, Report

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"


def silent(label: str, done: int, total: int) -> None:
    """Shows no progress."""
    del label, done, total


def write(folder: Path, name: str, *rows: str, header: str = HEADER) -> Path:
    """Writes a CSV file."""
    path = folder / name
    path.write_text(header + "".join(f"{row}\n" for row in rows))
    return path


async def reported(folder: Path, bring: Callable[[Progress, Report], Awaitable[None]]) -> list[dict[str, str]]:
    """Brings a file in and returns its report."""
    with Report(folder / "report.csv") as report:
        await bring(silent, report)
    with (folder / "report.csv").open() as file:
        return list(csv.DictReader(file))
