"""``wellstreak-trust connections`` over a host's own object."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from wellstreak_trust.cli.__main__ import app

HOST = """
import asyncio
from datetime import timedelta
from wellstreak_trust.connections import Connections, MemoryConnectionStore, ProbeResult

class Secrets:
    suspends = %s

class WhoAmI:
    name, kind, required, timeout = "whoami", "auth", True, timedelta(seconds=1)

    async def run(self, context):
        good = context.config["good"]
        return ProbeResult("ok") if good else ProbeResult("fail", "unauthorized", "said [red]no[/red] \\x1b[2J")

loops = []

class Store(MemoryConnectionStore):
    async def list(self, tenant_id):
        if Secrets.suspends:
            loops.append(asyncio.get_running_loop())
        return await super().list(tenant_id)

connections = Connections(Store(), Secrets(), {"chat": [WhoAmI()], "mail": [WhoAmI()]})

async def define():
    await connections.adefine("acme", "chat", config={"good": True})
    await connections.adefine("acme", "mail", config={"good": False})
    await connections.adefine("evil", "chat", config={"good": True})

asyncio.run(define())

def made():
    return connections

number = 5
"""


@pytest.fixture(params=["False", "True"], ids=["blocking", "asynchronous"])
def host(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "host_of_connections.py").write_text(HOST % request.param)
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    yield
    sys.path[:] = before
    sys.modules.pop("host_of_connections", None)


def run(*arguments: str, source: str = "host_of_connections:connections") -> Result:
    return CliRunner().invoke(app, ["connections", *arguments, "--app", source], env={"COLUMNS": "200"})


def document(result: Result) -> Any:
    return json.loads(result.output)


@pytest.mark.usefixtures("host")
def test_a_test_says_what_came_of_it_and_what_to_do() -> None:
    good = run("test", "chat", "--tenant", "acme")
    assert (good.exit_code, good.output) == (0, "active (ok)\n")
    bad = run("test", "mail", "--tenant", "acme", source="host_of_connections:made")
    assert bad.exit_code == 1
    assert bad.output.splitlines() == [
        "failing (unauthorized)",
        "  the provider refused the credential; enter a new one",
    ]
    assert document(run("test", "mail", "--tenant", "acme", "--json"))["state"] == "failing"
    assert run("test", "fax", "--tenant", "acme").exit_code == 2


@pytest.mark.usefixtures("host")
def test_status_of_one_of_a_tenant_and_of_all() -> None:
    run("test", "chat", "--tenant", "acme")
    run("test", "mail", "--tenant", "acme")
    everything = document(run("status", "--json"))
    assert [(row["tenant"], row["provider"], row["state"]) for row in everything] == [
        ("acme", "chat", "active"),
        ("acme", "mail", "failing"),
        ("evil", "chat", "testing"),
    ]
    theirs = run("status", "--tenant", "acme")
    assert theirs.exit_code == 1
    assert "evil" not in theirs.output
    one = run("status", "mail", "--tenant", "acme")
    assert one.exit_code == 1
    assert "test: rejected unauthorized" in one.output
    assert "said [red]no[/red]" in one.output
    assert "\x1b[2J" not in one.output
    assert "0.0% of 1 checks in 1 days" in one.output
    assert document(run("status", "mail", "--tenant", "acme", "--json"))["checks"][0][2] == "rejected"
    assert run("status", "chat", "--tenant", "acme").exit_code == 0
    assert run("status", "chat").exit_code == 2


@pytest.mark.usefixtures("host")
def test_all_looks_share_the_loop_that_connections_belong_to() -> None:
    run("watch", "--every", "0.1", "--looks", "3", "--probe")
    assert len(set(map(id, sys.modules["host_of_connections"].loops))) <= 1


@pytest.mark.usefixtures("host")
def test_watch_follows_and_works_as_a_worker() -> None:
    seen = run("watch", "--every", "0.1", "--looks", "2", "--probe")
    assert seen.exit_code == 0
    assert "testing" in seen.output
    assert "evil" not in run("watch", "--looks", "1", "--tenant", "acme").output


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize(
    "source", ["host_of_connections:number", "host_of_connections:nothing", "no_such_module:x", ":"]
)
def test_what_is_no_connections_is_said_so(source: str) -> None:
    result = run("status", source=source)
    assert result.exit_code == 2
    assert "--app" in result.stderr
