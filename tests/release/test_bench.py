"""The benches report alike: rows with a verdict, one table and one chart; a failing bench fails the whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[2] / "bench"
RESULTS: dict[str, Any] = json.loads((BENCH / "results.json").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def _bench_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCH)
    for name in ("report", "table", "chart"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def row(**given: Any) -> Any:
    import report

    default = {"group": "authz", "what": "check", "value": 2.0, "unit": "x", "against": "a closure", "kind": "limit"}
    return report.Row(**{**default, "better": "lower", "target": None, **given})


@pytest.mark.parametrize(
    ("better", "value", "target", "met", "speed"),
    [
        ("lower", 2.0, 2.0, True, 0.5),
        ("lower", 2.1, 2.0, False, 1 / 2.1),
        ("higher", 2.0, 2.0, True, 2.0),
        ("higher", 1.9, 2.0, False, 1.9),
        ("higher", 1.9, None, None, 1.9),
    ],
)
def test_a_verdict(better: str, value: float, target: float | None, met: bool | None, speed: float) -> None:
    found = row(better=better, value=value, target=target)
    assert (found.met, found.speed) == (met, pytest.approx(speed))
    assert ("MISSED" in found.line()) is (met is False)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0512, "0.05"), (1.888, "1.89"), (17.25, "17.2"), (531.4, "531"), (27_341.2, "27,341"), (3, "3")],
)
def test_three_digits(value: float, shown: str) -> None:
    import report

    assert report.figure(value) == shown


def test_a_figure_that_is_none_is_refused() -> None:
    import report

    with pytest.raises(ValueError, match="is nan"):
        report.measured("authz", "check", float("nan"), "µs")


def test_the_page_s_table_is_of_the_results() -> None:
    import table

    assert (BENCH / "table.md").read_text(encoding="utf-8") == table.markdown(RESULTS), "python bench/table.py"


def test_the_results_hold_every_primitive_that_is_measured() -> None:
    groups = {each["group"] for each in RESULTS["rows"]}
    assert groups >= {
        "audit",
        "authz",
        "connections",
        "guard",
        "identity",
        "ratelimit",
        "secrets",
        "tenancy",
        "webhooks",
    }
    assert {each["against"] for each in RESULTS["rows"] if each["kind"] == "peer"} >= {
        "PyJWT", "joserfc", "cedarpy", "pycasbin", "Fernet", "AWS Encryption SDK", "a django-auditlog row",
    }  # fmt: skip
    assert RESULTS["machine"].keys() == {"python", "system", "processor", "cores", "load"}


def test_the_chart_is_of_the_results_and_tells_no_time() -> None:
    drawn = unescape((BENCH.parent / "docs/_static/bench.svg").read_text(encoding="utf-8"))
    assert "<dc:date>" not in drawn
    compared = [each for each in RESULTS["rows"] if each["against"]]
    assert len(compared) > 60
    for each in compared:
        assert f">{each['what']} / {each['against']}<" in drawn, "python bench/chart.py"


@pytest.fixture
def benches(tmp_path: Path) -> Path:
    """A folder of benches of which one fails and one tells nothing."""
    for name in ("all.py", "report.py", "table.py", "chart.py"):
        (tmp_path / name).write_text((BENCH / name).read_text(encoding="utf-8"), encoding="utf-8")
    told = "import report\nreport.against('authz', 'check', 2.5, 'a closure', target=2)\n"
    (tmp_path / "good.py").write_text(told)
    (tmp_path / "bad.py").write_text(told + "raise SystemExit(3)\n")
    (tmp_path / "quiet.py").write_text("")
    return tmp_path


def ran(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, folder / "all.py", "--quick", *names]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"WT_BENCH_ROWS": ""})


def test_a_failing_bench_does_not_stop_the_others(benches: Path) -> None:
    done = ran(benches)
    assert done.returncode == 1, done.stderr
    assert "FAILED bad: ended with 3" in done.stdout
    assert "FAILED quiet: told nothing" in done.stdout
    assert "2 figures; 0 of 2 targets met" in done.stdout
    assert not (benches / "results.json").exists()


def test_a_missed_target_is_no_failure(benches: Path) -> None:
    done = ran(benches, "good")
    assert (done.returncode, done.stderr) == (0, "")
    assert "MISSED" in done.stdout
