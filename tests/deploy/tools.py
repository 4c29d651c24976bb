"""Where the tools are that some tests need: `make tools` brings them; what is not there is skipped by its name."""

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BROUGHT = ROOT / "build/tools"


def tool(name: str) -> str:
    """Returns a tool's path, or skips the test."""
    brought = BROUGHT / name
    found = str(brought) if brought.exists() else shutil.which(name)
    if not found:
        pytest.skip(f"no {name}: `make tools` brings it")
    return found
