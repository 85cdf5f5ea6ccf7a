"""The testing kit: tables, coverage, mutation, snapshots, and the plugin in a pytest of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from wellstreak_trust.authz import Policy, PolicyError, UsageError
from wellstreak_trust.core import Principal
from wellstreak_trust.testing import PolicyTable, assert_matrix, assert_no_escalation, mutate, rule_coverage
from wellstreak_trust.testing.policy_mutation import mutants

OWN = "resource.owner_id == principal.id"
NOW = datetime(2030, 1, 1, tzinfo=UTC)
POLICY = Policy.build(
    permissions={"notes:read": {}, "notes:update": {}, "notes:purge": {"step_up": {"aal": 2, "max_age": 60}}},
    resources={"note": {"attributes": {"owner_id": "string", "frozen": "bool?", "size": "int?"}}},
    roles={
        "member": {
            "rank": 1,
            "allow": ["notes:read", {"permission": "notes:update", "when": f"{OWN} && resource.size < 9"}],
        },
        "owner": {"rank": 9, "inherits": ["member"], "allow": ["notes:purge"]},
    },
    forbid=[{"id": "frozen", "permissions": ["notes:update"], "when": "has(resource.frozen) && resource.frozen"}],
)
ADA = Principal("ada", tenant_id="t", roles=frozenset({"member"}))
BO = Principal("bo", tenant_id="t", roles=frozenset({"owner"}), aal=2, auth_time=NOW - timedelta(seconds=30))
SUBJECTS = {"ada": ADA, "bo": BO, "tired bo": replace(BO, auth_time=NOW - timedelta(hours=1))}
NOTE = {"tenant_id": "t", "owner_id": "ada", "size": 1}
RESOURCES = {
    "own": NOTE, "big": {**NOTE, "size": 9}, "frozen": {**NOTE, "frozen": True}, "bo's": {**NOTE, "owner_id": "bo"},
}  # fmt: skip
READ, CHANGE, PURGE = ["notes:read"], ["notes:read", "notes:update"], ["notes:read", "notes:purge"]
CELLS = ("own", "big", "frozen", "none")
EXPECT = {
    "ada": {"own": CHANGE, "big": READ, "frozen": READ, "bo's": READ, "none": READ},
    "bo": {**dict.fromkeys(CELLS, PURGE), "bo's": [*CHANGE, "notes:purge"]},
    "tired bo": {**dict.fromkeys(CELLS, READ), "bo's": CHANGE},
}
TABLE = PolicyTable(subjects=SUBJECTS, resources=RESOURCES, expect=EXPECT, now=NOW)


def changed(**cells) -> PolicyTable:
    return PolicyTable(subjects=SUBJECTS, resources=RESOURCES, expect={**EXPECT, **cells}, now=NOW)


# --- tables ----------------------------------------------------------------------------------------------------------


def test_a_table_holds():
    report = TABLE.check(POLICY)
    assert report
    assert len(report.outcomes) == 4 * 5 * 3


def test_unlisted_is_denied():
    with pytest.raises(
        AssertionError, match=r"ada / own / notes:read: expected denied, is allowed by member.allow\[0\]"
    ):
        changed(ada={}).check(POLICY)
    with pytest.raises(AssertionError, match="nobody / none / notes:read: expected allowed, is unauthenticated"):
        changed(nobody={"none": READ}).check(POLICY)


def test_codes_may_be_asked_for():
    assert changed(nobody={"own": {"notes:read": "unauthenticated"}}).run(POLICY)
    assert changed(ada={**EXPECT["ada"], "frozen": {"notes:read": "allowed", "notes:update": "forbidden_by_rule"}}).run(
        POLICY
    )
    assert not changed(ada={**EXPECT["ada"], "frozen": {"notes:read": "allowed", "notes:update": "no_grant"}}).run(
        POLICY
    )


def test_the_clock_stands_still():
    late = PolicyTable(subjects=TABLE.subjects, resources=RESOURCES, expect=EXPECT, now=NOW + timedelta(hours=1))
    assert {str(found) for found in late.run(POLICY).mismatches} >= {
        "bo / own / notes:purge: expected allowed, is step_up_required"
    }


@pytest.mark.parametrize(
    ("expect", "hint"),
    [
        ({"ade": {}}, "ada"), ({"ada": {"onw": []}}, "own"), ({"ada": {"own": ["notes:raed"]}}, "notes:read"),
        ({"ada": {"own": "notes:read"}}, "list"),
    ],
)  # fmt: skip
def test_misspelt_names_never_pass_as_denials(expect, hint):
    with pytest.raises(UsageError) as caught:
        PolicyTable(subjects={"ada": ADA}, resources={"own": NOTE}, expect=expect).run(POLICY)
    assert hint in caught.value.hint


# --- coverage and mutation -------------------------------------------------------------------------------------------


def test_coverage_is_complete():
    coverage = rule_coverage(POLICY, [TABLE])
    assert (coverage.missing, coverage.percent, bool(coverage)) == ((), 100, True)
    assert coverage.fired == {"frozen"}


def test_coverage_names_what_was_never_seen():
    table = PolicyTable(subjects={"ada": ADA}, resources={"own": NOTE}, expect={"ada": {"own": CHANGE, "none": READ}})
    coverage = rule_coverage(POLICY, [table])
    assert coverage.missing == (
        "roles.member.allow[1]: member.allow[1] was never FALSE",
        "roles.owner.allow[0]: owner.allow[0] was never TRUE",
        "forbid[0]: frozen was never TRUE",
        "forbid[0]: frozen never denied anything",
    )
    assert not coverage
    assert 0 < coverage.percent < 100


def test_a_forbid_behind_the_tenant_gate_has_not_fired():
    table = PolicyTable(subjects={"ada": ADA}, resources={"foreign": {"tenant_id": "x", "frozen": True}}, expect={})
    assert "forbid[0]: frozen never denied anything" in rule_coverage(POLICY, [table]).missing


def test_every_fault_is_noticed():
    report = mutate(POLICY, [TABLE])
    assert report.survivors == ()
    assert report.percent == 100
    assert set(report.killed) == {
        "dropped roles.owner.inherits[0]",
        "dropped step_up of notes:purge",
        "dropped roles.member.allow[0]",
        "dropped roles.member.allow[1]",
        "loosened roles.member.allow[1]: no condition",
        "loosened roles.member.allow[1]: without principal.id == resource.owner_id",
        "loosened roles.member.allow[1]: without resource.size < 9",
        "dropped roles.owner.allow[0]",
        "dropped forbid[0]",
        "flipped forbid[0]",
    }


def test_survivors_are_listed():
    weak = {name: note for name, note in RESOURCES.items() if name not in ("frozen", "big")}
    expect = {name: {key: cell for key, cell in row.items() if key in (*weak, "none")} for name, row in EXPECT.items()}
    report = mutate(POLICY, [PolicyTable(subjects=TABLE.subjects, resources=weak, expect=expect, now=NOW)])
    assert "dropped forbid[0]" in report.survivors
    assert "loosened roles.member.allow[1]: without resource.size < 9" in report.survivors
    assert not report
    assert report.percent < 100


def test_a_mutant_always_means_something_else():
    redundant = Policy.build(permissions=["a:b"], roles={"r": ["a:b", "*"]})
    assert [mutant.fault for mutant in mutants(redundant)] == []


# --- escalation and snapshot -----------------------------------------------------------------------------------------


def test_no_escalation():
    assert_no_escalation(POLICY)
    assert_no_escalation(Policy.preset(), to="owner")
    document = Policy.preset().document
    document["roles"]["admin"]["inherits"] = ["owner"]
    document["roles"]["owner"]["inherits"] = []
    with pytest.raises(AssertionError, match="admin already holds all that owner holds"):
        assert_no_escalation(Policy.from_dict(document))
    assert_no_escalation(Policy.from_dict(document), trusted=["admin"])
    with pytest.raises(PolicyError):
        assert_no_escalation(POLICY, to="ownr")


@pytest.mark.parametrize("suffix", ["md", "csv", "html"])
def test_snapshots(tmp_path, suffix):
    file = tmp_path / f"matrix.{suffix}"
    with pytest.raises(AssertionError, match="not there yet"):
        assert_matrix(POLICY, file)
    assert_matrix(POLICY, file, update=True)
    assert_matrix(POLICY, file)
    with pytest.raises(AssertionError, match="differs"):
        assert_matrix(Policy.preset(), file)
    with pytest.raises(UsageError):
        assert_matrix(POLICY, tmp_path / "matrix.pdf")


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("subject = {}", "subjects"), ("[subjects.a]\nrole = []", "roles"), ("[subjects.a]\nroles = 'x'", "collection"),
        ("now = 2030-01-01T00:00:00", "zone"), ("now = 1", "zone"), ("[expect]\na = 1", "no table"),
        ("resources = 1", "no table"), ("[subjects.a]\nactor = 1", "no table"), ("a = [", "cannot be read"),
        ("[subjects.a]\nauth_time = 'soon'", "zone"),
        ("[subjects.a]\nroles = 5", "no principal"), ("\udc80", "cannot be read"), ("[expect.a]\nb = 5", "unknown"),
    ],
)  # fmt: skip
def test_files_that_are_none(tmp_path, text, said):
    file = tmp_path / "x.policytest.toml"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError) as caught:
        PolicyTable.load(file)
    assert said in f"{caught.value.detail} {caught.value.hint}"


def test_files_in_json(tmp_path):
    file = tmp_path / "x.policytest.json"
    ada = {"tenant_id": "t", "auth_time": "2030-01-01T00:00:00Z", "actor": {"id": "ops"}}
    expect = {"ada": {"none": ["workspace:read"]}}
    document = {"preset": "wellstreak", "now": "2030-01-01T00:00:00Z", "subjects": {"ada": ada}, "expect": expect}
    file.write_text(json.dumps(document))
    table = PolicyTable.load(file)
    assert (table.now, table.subjects["ada"].actor.id) == (NOW, "ops")


# --- the plugin ------------------------------------------------------------------------------------------------------

TEXT = """preset = "wellstreak"
[subjects.ada]
tenant_id = "t"
roles = ["super_admin"]
[resources.workspace]
tenant_id = "t"
[expect.ada]
"""


def play(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "pytest", "-p", "wellstreak_trust.testing.plugin", "-p", "no:cacheprovider", "-q"]
    return subprocess.run([*command, *options], cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


def test_tables_are_collected(tmp_path):
    rows = "".join(f'{cell} = ["platform:workspaces_list"]\n' for cell in ("none", "workspace"))
    (tmp_path / "good.policytest.toml").write_text(TEXT + rows)
    found = play(tmp_path, "--policy-coverage", "--policy-mutation")
    assert found.returncode == 1
    assert "2 failed, 4 passed" in found.stdout
    assert "was never TRUE" in found.stdout
    assert "survived: dropped" in found.stdout


def test_files_and_matrices_that_fail(tmp_path):
    (tmp_path / "bad.policytest.toml").write_text(TEXT.replace("roles", "rolls"))
    (tmp_path / "test_it.py").write_text(
        "from wellstreak_trust.authz import Policy\n"
        "def test_it(policy_matrix):\n    policy_matrix(Policy.preset(), 'matrix.md')\n"
    )
    found = play(tmp_path, "--continue-on-collection-errors")
    assert found.returncode == 1
    assert "did you mean 'roles'?" in found.stdout
    assert "matrix.md is not there yet" in found.stdout
    assert play(tmp_path, "test_it.py", "--policy-update").returncode == 0
    assert_matrix(Policy.preset(), tmp_path / "matrix.md")


def test_the_plugin_loads_nothing(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import sys\ndef test_it():\n"
        "    heavy = {'wellstreak_trust.authz', 'wellstreak_trust.core', 'pydantic', 'sqlalchemy'}\n"
        "    assert not heavy & set(sys.modules)\n"
    )
    assert play(tmp_path).returncode == 0


def test_faults_beyond_the_language_are_left_out():
    """Equality of booleans doubles when it is spelt out; a policy that loads must not break its own test."""
    policy = Policy.build(
        permissions=["d:x"],
        resources={"d": {"attributes": {"b": "bool", "f": "bool"}}},
        roles={"m": ["d:x"]},
        forbid=[{"id": "f", "permissions": ["d:x"], "when": "resource.b" + " == resource.f" * 8}],
    )
    assert [mutant.fault for mutant in mutants(policy)] == ["dropped roles.m.allow[0]", "dropped forbid[0]"]
