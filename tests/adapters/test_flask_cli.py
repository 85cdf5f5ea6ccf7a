"""``flask trust``: what an operator sees of an app, in this process and in one of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import flask
import pytest
from small import READ, WRITE, Small

from wellstreak_trust.adapters.flask import TrustExtension, assert_all_routes_declared, guarded, public

APP = """
from flask import Flask
from small import READ, Small
from wellstreak_trust.adapters.flask import TrustExtension, guarded, public

app = Flask(__name__, static_folder=None)
TrustExtension(Small().trust).init_app(app)
app.add_url_rule("/w/<t>/notes", "notes", guarded(READ)(lambda t: "x"))
app.add_url_rule("/open", "open", public("a test")(lambda: "x"), methods=["GET", "PUT"])
"""


@pytest.fixture
def app() -> flask.Flask:
    made = flask.Flask("cli", static_folder=None)
    TrustExtension(Small().trust).init_app(made)
    made.add_url_rule("/w/<t>/notes", "notes", guarded(READ)(lambda t: "x"))
    made.add_url_rule("/w/<t>/notes", "write", guarded(WRITE)(lambda t: "x"), methods=["POST"])
    made.add_url_rule("/open", "open", public("a test")(lambda: "x"))
    return made


def test_routes_are_listed_with_what_they_declare(app: flask.Flask) -> None:
    found = app.test_cli_runner().invoke(args=["trust", "routes"])
    assert found.exit_code == 0, found.output
    assert [" ".join(line.split()) for line in found.output.splitlines()] == [
        "/open GET open: a test",
        "/w/<t>/notes GET notes.read (notes:read), audited as notes.read",
        "/w/<t>/notes POST notes.write (notes:write), audited as notes.written",
    ]
    rows = json.loads(app.test_cli_runner().invoke(args=["trust", "routes", "--json"]).output)
    assert rows[0] == {
        "path": "/open", "methods": "GET", "operation": "", "permission": "", "audit": "", "public": "a test",
    }  # fmt: skip


def test_a_route_that_says_nothing_is_status_1_until_the_host_opens_it(app: flask.Flask) -> None:
    app.add_url_rule("/silent", "silent", lambda: "x")
    found = app.test_cli_runner().invoke(args=["trust", "routes"])
    assert (found.exit_code, "UNDECLARED" in found.output) == (1, True)
    assert_all_routes_declared(app, public={"/silent": "because"})
    found = app.test_cli_runner().invoke(args=["trust", "routes"])
    assert (found.exit_code, "open: because" in found.output) == (0, True)


def test_the_doctor(app: flask.Flask) -> None:
    found = app.test_cli_runner().invoke(args=["trust", "doctor"])
    if importlib.util.find_spec("wellstreak_trust.doctor") is None:
        assert (found.exit_code, "no doctor" in found.output) == (2, True)
    else:
        assert found.exit_code in (0, 1)
        assert (
            json.loads(app.test_cli_runner().invoke(args=["trust", "doctor", "--json"]).output)["findings"] is not None
        )


def test_in_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "served.py").write_text(APP, encoding="utf-8")
    paths = os.pathsep.join((str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")))
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "served", "trust", "routes"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [["/open", "GET,PUT"], ["/w/<t>/notes", "GET"]]
