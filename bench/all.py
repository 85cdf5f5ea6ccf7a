"""Every bench, one after another, each in a process of its own; then one table, results, and the chart.

    python bench/all.py [--quick] [NAME...]

`--quick` only looks whether everything runs: few rounds, small sizes, and nothing is written. Names run those alone,
and nothing is written either. A bench that fails does not stop the others; the exit status is then 1. A target that is
missed is no failure: it stands in the table as missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import table
from report import Row

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
CHART = HERE.parent / "docs" / "_static" / "bench.svg"
NOT_BENCHES = {"all", "report", "chart", "table", "capacity"}  # the last tells sizes, and no figure with a target
LONGEST = 1_800  # seconds for one bench
COMPARED = (
    "argon2-cffi", "aws-encryption-sdk", "casbin", "cedarpy", "cryptography", "django", "django-auditlog", "joserfc",
    "limits", "pyjwt", "redis", "sqlalchemy", "standardwebhooks", "starlette", "stripe", "structlog", "svix",
    "throttled-py",
)  # fmt: skip


def benches() -> list[str]:
    """The names of all benches."""
    return sorted(path.stem for path in HERE.glob("[a-z]*.py") if path.stem not in NOT_BENCHES)


def run(name: str, quick: bool) -> tuple[list[Row], str]:
    """Its rows, and why it failed or nothing."""
    with tempfile.TemporaryDirectory(prefix="wt-bench-") as folder:
        kept = Path(folder, "rows.jsonl")
        told = os.environ | {"WT_BENCH_ROWS": str(kept), "WT_BENCH_QUICK": "1" if quick else ""}
        try:
            status = subprocess.run([sys.executable, HERE / f"{name}.py"], env=told, timeout=LONGEST).returncode
            fault = f"ended with {status}" if status else ""
        except subprocess.TimeoutExpired:
            fault = f"took more than {LONGEST} seconds"
        lines = kept.read_text(encoding="utf-8").splitlines() if kept.exists() else []
    if not fault and not lines:
        fault = "told nothing"
    return [Row(**json.loads(line)) for line in lines], fault


def machine() -> dict[str, str | int]:
    """What the figures were taken on. No name of it, no path."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def processor() -> str:
    """The model's name, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def versions() -> dict[str, str]:
    """The releases that were compared."""
    found = {}
    for name in COMPARED:
        try:
            found[name] = version(name)
        except ModuleNotFoundError:
            continue
    return found


def write(rows: list[Row], before: float) -> None:
    """results.json, and the table and the chart of it."""
    held = {
        "machine": machine() | {"load": f"{before:.1f}"},
        "measured": f"{datetime.now(UTC):%Y-%m-%d}",
        "versions": versions(),
        "rows": [asdict(row) for row in rows],
    }
    RESULTS.write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")
    from chart import draw

    draw(RESULTS, CHART)
    drawn = CHART.read_bytes()
    draw(RESULTS, CHART)
    if CHART.read_bytes() != drawn:
        raise SystemExit("the chart of the same results has other bytes")
    table.write()
    print(f"written: {RESULTS.name}, table.md, {CHART.name}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*benches(), []])
    asked = parser.parse_args()
    writes = not (asked.quick or asked.names)
    if writes and find_spec("matplotlib") is None:
        parser.error("the chart needs matplotlib; make bench installs it")
    before, rows, failed = os.getloadavg()[0], [], []
    for name in asked.names or benches():
        print(f"\n== {name}", flush=True)
        begun = time.monotonic()
        found, fault = run(name, asked.quick)
        rows += found
        if fault:
            failed.append(f"{name}: {fault}")
        print(f"   {time.monotonic() - begun:.0f} s", flush=True)
    print(table.text(rows))
    if writes and not failed:
        write(rows, before)
    print("\n".join(f"FAILED {each}" for each in failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
