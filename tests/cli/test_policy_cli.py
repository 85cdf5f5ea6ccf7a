"""``wellstreak-trust policy``: what it prints, and the status it ends with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from wellstreak_trust.cli.__main__ import app

RUN = CliRunner()
POLICY = """schema = 1
[permissions."notes:read"]
[permissions."notes:update"]
[resources.note.attributes]
owner_id = "string"
[roles."[red]member"]
rank = 1
allow = ["notes:read", { permission = "notes:update", when = "resource.owner_id == principal.id" }]
[roles.owner]
rank = 9
allow = ["*"]
"""
TABLE = """policy = "policy.toml"
[subjects.ada]
tenant_id = "acme"
roles = ["[red]member"]
[subjects.bo]
tenant_id = "acme"
roles = ["owner"]
[resources.own]
tenant_id = "acme"
owner_id = "ada"
[resources.other]
tenant_id = "acme"
owner_id = "bo"
[expect.ada]
own = ["notes:read", "notes:update"]
other = ["notes:read"]
none = ["notes:read"]
[expect.bo]
own = ["notes:read", "notes:update"]
other = ["notes:read", "notes:update"]
none = ["notes:read", "notes:update"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policy.toml").write_text(POLICY)
    (tmp_path / "notes.policytest.toml").write_text(TABLE)
    return tmp_path


def run(*arguments: object) -> tuple[int, str]:
    result = RUN.invoke(app, ["policy", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def test_tables(folder):
    table = folder / "notes.policytest.toml"
    status, output = run("test", table, "--coverage", "--mutation")
    assert (status, "18 questions, 0 answered otherwise" in output) == (0, True)
    table.write_text(TABLE.replace('other = ["notes:read"]\n', 'other = ["notes:update"]\n', 1))
    status, output = run("test", table)
    assert status == 1
    assert "FAILED ada / other / notes:update: expected allowed, is condition_failed" in output
    assert "FAILED ada / other / notes:read: expected denied, is allowed by [red]member.allow[0]" in output


def test_gaps_of_tables(folder):
    table = folder / "notes.policytest.toml"
    lines = TABLE.replace('[resources.other]\ntenant_id = "acme"\nowner_id = "bo"\n', "").splitlines()
    table.write_text("\n".join(line for line in lines if not line.startswith("other")))
    status, output = run("test", table, "--coverage", "--mutation")
    assert status == 1
    assert "was never FALSE" in output
    assert "UNSEEN" in output
    assert "SURVIVED" not in output  # the question without a resource tells a loosened grant


def test_another_policy(folder):
    other = folder / "other.toml"
    other.write_text(POLICY.replace('["*"]', '["notes:read"]'))
    assert run("test", folder / "notes.policytest.toml", "--policy", other)[0] == 1
    assert run("test", folder / "notes.policytest.toml", "--policy", folder / "none.toml")[0] == 2


@pytest.mark.parametrize("text", ["[", 'polcy = "policy.toml"', "subjects = 1", 'policy = "nope.toml"', ""])
def test_tables_that_cannot_be_run(folder, text):
    table = folder / "bad.policytest.toml"
    table.write_text(text)
    status, output = run("test", table)
    assert (status, "fix:" in output or "cannot be read" in output or "is no table" in output) == (2, True)


def test_matrix(folder):
    policy = folder / "policy.toml"
    status, output = run("matrix", policy)
    assert (status, "[red]member" in output) == (0, True)
    reviewed = folder / "matrix.csv"
    reviewed.write_bytes(run("matrix", policy, "--format", "csv")[1].encode())
    assert "permission,[red]member,owner" in reviewed.read_text()
    assert run("matrix", policy, "--check", reviewed)[0] == 0
    reviewed.write_text(reviewed.read_text().replace("yes", "no", 1))
    status, output = run("matrix", policy, "--check", reviewed)
    assert (status, "differs" in output) == (1, True)
    assert run("matrix", policy, "--check", folder / "matrix.pdf")[0] == 2
    assert "<table>" in run("matrix", policy, "--format", "html")[1]
    assert "| --- |" in run("matrix", policy, "--format", "md")[1]
    assert run("matrix", folder / "none.toml")[0] == 2


def test_diff(folder):
    policy, other = folder / "policy.toml", folder / "other.toml"
    other.write_text(POLICY.replace("resource.owner_id == principal.id", "principal.id == resource.owner_id"))
    assert run("diff", policy, other) == (0, "")
    other.write_text(POLICY.replace('["*"]', '["notes:read"]'))
    assert run("diff", policy, other) == (1, "- owner lost notes:update (by *)\n")
    assert run("diff", policy, folder / "none.toml")[0] == 2


def test_lint(folder):
    policy = folder / "policy.toml"
    assert run("lint", policy, "--to", "owner") == (0, "")
    assert run("lint", policy, "--to", "ownr")[0] == 2
    policy.write_text(POLICY + '[roles.ghost]\ninherits = ["owner"]\nrank = 9\n[permissions."notes:none"]\n')
    status, output = run("lint", policy, "--to", "owner")
    assert status == 1
    assert "escalation: ghost already holds all that owner holds" in output


@pytest.mark.asvs("1.3.3")
def test_names_do_not_steer_the_terminal(folder):
    policy, other = folder / "policy.toml", folder / "other.toml"
    other.write_text(
        POLICY + '[[forbid]]\nid = "\\u001b[2J"\npermissions = ["*"]\nwhen = "resource.owner_id == \'\\u001b[31m\'"\n'
    )
    for arguments in (["diff", policy, other], ["lint", other], ["matrix", other], ["explain", other, "notes:read"]):
        status, output = run(*arguments)
        assert status in (0, 1)
        assert "\x1b" not in output


def test_explain(folder):
    asked = ["explain", folder / "policy.toml", "notes:update", "--role", "[red]member"]
    own = json.dumps({"owner_id": "u1"})
    status, output = run(*asked, "--resource", own)
    assert (status, "(allowed)" in output, "TRUE" in output) == (0, True, True)
    status, output = run(*asked, "--resource", own, "--subject", '{"id": "bo"}')
    assert (status, "(condition_failed)" in output, "resource.owner_id is 'u1'" in output) == (1, True, True)
    status, output = run(*asked)
    assert (status, "resource.owner_id is absent" in output, "[red]member.allow[1]: UNKNOWN" in output) == (
        1,
        True,
        True,
    )
    assert run(*asked, "--resource", "[]")[0] == 2
    assert run(*asked, "--context", "{")[0] == 2
    assert run(*asked, "--subject", '{"nope": 1}')[0] == 2
    assert run("explain", folder / "policy.toml", "notes:nope")[0] == 1
