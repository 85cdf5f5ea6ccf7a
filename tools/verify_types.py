"""The public types are complete: ``pyright --verifytypes`` at 100 %, and it really looked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def causes(symbols: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """(name, message) of where types get lost; what is unknown only because something else is would hide them."""
    unknown = [symbol for symbol in symbols if symbol["isExported"] and not symbol["isTypeKnown"]]
    found = [
        (symbol["name"], entry["message"].splitlines()[0]) for symbol in unknown for entry in symbol["diagnostics"]
    ]
    own = [(name, text) for name, text in found if "partially unknown" not in text and "docstring" not in text]
    yield from own or found


def main() -> int:
    # In a virtual environment pyright finds nothing by itself, and nothing would count as complete.
    paths = os.pathsep.join((str(ROOT / "src"), sysconfig.get_paths()["purelib"]))
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--ignoreexternal", "--outputjson"]
    run = subprocess.run(
        [*command, "--verifytypes", "wellstreak_trust"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    try:
        found = json.loads(run.stdout)["typeCompleteness"]
    except (ValueError, KeyError):
        print(run.stdout[-2000:], run.stderr[-2000:])
        return 1
    counts = found["exportedSymbolCounts"]
    known, total = counts["withKnownType"], sum(counts.values())
    print(f"verifytypes: {known} of {total} exported symbols have complete types")
    for name, message in causes(found["symbols"]):
        print(f"  {name}: {message}")
    if not found.get("pyTypedPath") or total < 100:
        print("py.typed or the package was not found")
        return 1
    return 0 if known == total else 1


if __name__ == "__main__":
    sys.exit(main())
