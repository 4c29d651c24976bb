"""Checks the contracts: formatted, linted, and compatible with those of the commit before. All offline.

buf reads descriptor sets that protoc made, because the validator's own contract is only published as a descriptor.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINT = {
    "version": "v2",
    # Resources answer for themselves: GetOrder returns Order (AIP-131).
    "lint": {"use": ["STANDARD", "COMMENTS"], "except": ["RPC_RESPONSE_STANDARD_NAME", "RPC_REQUEST_RESPONSE_UNIQUE"]},
    "breaking": {"use": ["WIRE_JSON"]},
}


def main() -> int:
    """Returns the number of failed checks."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "now.binpb"
        generate(ROOT / "protos", Path(folder) / "gen", image)
        failed = formatted() + linted(image)
        before = Path(folder) / "before.binpb"
        if previous(Path(folder) / "before", before):
            failed += compatible(image, before)
        return failed


def generate(protos: Path, out: Path, image: Path) -> None:
    """Makes the descriptor set of a tree of contracts."""
    subprocess.run([sys.executable, str(ROOT / "protos/generate.py"), str(protos), str(out), str(image)], check=True)


def formatted() -> int:
    """Says whether buf would format anything."""
    result = subprocess.run(["buf", "format", "--diff", "--exit-code", "protos"], cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        print(result.stdout + result.stderr)
    return int(result.returncode != 0)


def linted(image: Path) -> int:
    """Lints our own files; the imported ones are others'."""
    command = ["buf", "lint", str(image), "--config", json.dumps(LINT)]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    own = [line for line in lines if line.startswith("argosy/")]
    print("\n".join(own), end="\n" if own else "")
    return int(bool(own))


def previous(folder: Path, image: Path) -> bool:
    """Makes the descriptor set of what landed before; False where nothing did."""
    base = subprocess.run(["git", "rev-list", "-n1", "origin/main"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    base = base or subprocess.run(["git", "rev-parse", "HEAD~1"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    archive = subprocess.run(["git", "archive", base, "protos/argosy"], cwd=ROOT, capture_output=True, check=False) if base else None
    if archive is None or archive.returncode:
        return False
    folder.mkdir(exist_ok=True)
    # An early Python 3.11, as Debian has it, knows no filters for tarfile.
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    generate(folder / "protos", folder / "gen", image)
    return True


def compatible(image: Path, before: Path) -> int:
    """Compares with what landed before."""
    command = ["buf", "breaking", str(image), "--against", str(before), "--config", json.dumps(LINT)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    own = [line for line in result.stdout.splitlines() if line.startswith("argosy/")]
    print("\n".join(own), end="\n" if own else "")
    return int(bool(own))


if __name__ == "__main__":
    sys.exit(main())
