"""Real files of channels, where they are: ARGOSY_SAMPLES, else ../shared/samples beside the project."""

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("ARGOSY_SAMPLES") or Path(__file__).resolve().parents[2] / "shared/samples")


def samples(pattern: str) -> list[Path]:
    """Returns the files of a pattern, by name."""
    return sorted(FOLDER.glob(pattern))


def need_samples(found: object) -> None:
    """Skips a test that needs samples which are not there."""
    if not found:
        pytest.skip(f"no samples in {FOLDER}; set ARGOSY_SAMPLES")
