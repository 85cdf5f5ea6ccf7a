"""The governance matrix: role x operation x plan, as data, Markdown and HTML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from wellstreak_trust.authz import Policy
from wellstreak_trust.cli.__main__ import app
from wellstreak_trust.core import ConfigurationError
from wellstreak_trust.core.principal import StepUp
from wellstreak_trust.guard import WORKSPACE_OPERATIONS, Operation, Operations, governance
from wellstreak_trust.tenancy import Feature, Memberships, Plan

PRESET = Policy.preset("wellstreak")
DOCUMENT: dict[str, Any] = {
    "schema": 1,
    "name": "<acme>",
    "permissions": {"docs:read": {}, "docs:write": {"resource": "doc"}, "ai:run": {}},
    "resources": {"doc": {"attributes": {"owner_id": "string"}}},
    "roles": {
        "member": {
            "rank": 10,
            "allow": ["docs:read", {"permission": "docs:write", "when": "resource.owner_id == principal.id"}],
        },
        "owner": {"rank": 100, "allow": ["*"]},
    },
}
POLICY = Policy.from_dict(DOCUMENT)
OPERATIONS = (
    Operation("docs.read", "docs:read"),
    Operation("docs.write", "docs:write", feature="editor", step_up=StepUp(aal=2), limits=("writes",)),
    Operation("ai.run", "ai:run", feature="runs", connection="llm"),
)
PLANS = (
    Plan("free", {"editor": Feature()}),
    Plan("a|b", {"editor": Feature(), "runs": Feature(limit=100, overage=20)}),
)
FOUND = governance(OPERATIONS, POLICY, PLANS)


@pytest.mark.parametrize(
    ("operation", "role", "plan", "cell"),
    [
        ("docs.read", "member", "free", "yes"),
        ("docs.write", "member", "free", "if"),
        ("docs.write", "owner", "free", "yes"),
        ("ai.run", "member", "free", "no"),
        ("ai.run", "member", "a|b", "no"),
        ("ai.run", "owner", "free", "plan"),
        ("ai.run", "owner", "a|b", "yes"),
        ("ai.run", "owner", None, "yes"),
        ("ai.run", "nobody", "a|b", "no"),
        ("other", "owner", "a|b", "no"),
        ("ai.run", "owner", "gold", "no"),
    ],
)
def test_a_cell_is_role_and_plan_together(operation: str, role: str, plan: str | None, cell: str) -> None:
    assert FOUND.cell(operation, role, plan) == cell


@pytest.mark.asvs("8.1.1")
def test_markdown() -> None:
    assert FOUND.to_markdown() == (
        "## \\<acme\\>: free\n\n"
        "| operation | permission | member | owner | feature | asks besides |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
        "| docs.read | docs:read | yes | yes |  |  |\n"
        "| docs.write | docs:write | if | yes | editor | sign-in aal2, limit writes |\n"
        "| ai.run | ai:run | no | plan | runs | connection llm |\n"
        "\n"
        "## \\<acme\\>: a\\|b\n\n"
        "| operation | permission | member | owner | feature | asks besides |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
        "| docs.read | docs:read | yes | yes |  |  |\n"
        "| docs.write | docs:write | if | yes | editor | sign-in aal2, limit writes |\n"
        "| ai.run | ai:run | no | yes | runs ≤ 100 + 20 | connection llm |\n"
    )


def test_html_is_escaped_and_classed() -> None:
    page = FOUND.to_html()
    assert page.count("<table>") == 2
    assert "<caption>&lt;acme&gt;: free</caption>" in page
    assert '<td class="plan">plan</td>' in page
    assert '<td class="if">if</td>' in page


def test_without_plans_there_is_one_table() -> None:
    assert governance(OPERATIONS, POLICY).to_html().count("<table>") == 1
    assert governance(OPERATIONS, POLICY).cell("ai.run", "owner") == "yes"


@pytest.mark.parametrize(
    ("operations", "plans", "reason"),
    [
        ((*OPERATIONS, OPERATIONS[0]), PLANS, "governance"),
        (OPERATIONS, (*PLANS, PLANS[0]), "governance"),
        ((Operation("x", "docs:raed"),), PLANS, "unknown_permission"),
        ((Operation("x", "docs:read", feature="edtior"),), PLANS, "unsold_feature"),
    ],
    ids=["operation twice", "plan twice", "unknown permission", "feature in no plan"],
)
def test_what_nobody_could_run_is_refused(operations: Any, plans: Any, reason: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        governance(operations, POLICY, plans)
    assert refused.value.reason == reason


def test_a_registry_gives_the_same_matrix_and_all_faults_are_told_at_once() -> None:
    assert governance(Operations(OPERATIONS), POLICY, PLANS) == FOUND
    wrong = Operations((Operation("x", "docs:raed", feature="edtior"), Operation("y", "docs:wirte")))
    with pytest.raises(ConfigurationError) as refused:
        governance(wrong, POLICY, PLANS)
    assert [fault.reason for fault in refused.value.faults] == [
        "unknown_permission", "unsold_feature", "unknown_permission",
    ]  # fmt: skip


def test_every_operation_of_a_workspace_is_one_of_the_preset_and_a_verb() -> None:
    found = governance(WORKSPACE_OPERATIONS, PRESET)
    for operation in WORKSPACE_OPERATIONS:
        assert PRESET.scope_of(operation.permission) == "tenant"
        assert callable(getattr(Memberships, operation.name.partition(".")[2]))
        assert found.cell(operation.name, "owner") == "yes"
    assert found.cell("workspace.transfer_ownership", "admin") == "no"
    assert found.cell("members.change_roles", "admin") == "yes"
    assert found.cell("members.change_roles", "member") == "no"
    assert {found.cell(operation.name, "super_admin") for operation in WORKSPACE_OPERATIONS} == {"no"}


# --- the command -----------------------------------------------------------------------------------------------------

HOST = """
from wellstreak_trust.guard import Operation, Operations
from wellstreak_trust.tenancy import Feature, Plan
OPERATIONS = (Operation("docs.read", "docs:read", feature="editor"),)
REGISTRY = Operations(OPERATIONS)
PLANS = (Plan("free"), Plan("pro", {"editor": Feature()}))
WRONG = 7
"""
TOML = 'schema = 1\n[permissions."docs:read"]\n[roles.owner]\nallow = ["docs:read"]\n'


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"host_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{name}.py").write_text(HOST)
    (tmp_path / "policy.toml").write_text(TOML)
    monkeypatch.chdir(tmp_path)
    return name


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["governance", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def test_the_command_shows_and_compares(host: str, tmp_path: Path) -> None:
    asked = (f"{host}:OPERATIONS", "policy.toml", "--plans", f"{host}:PLANS")
    status, text = run(*asked)
    assert status == 0
    assert "| docs.read | docs:read | plan | editor |  |" in text
    (tmp_path / "reviewed.md").write_text(text)
    assert run(*asked, "--check", "reviewed.md")[0] == 0
    assert run(f"{host}:REGISTRY", *asked[1:], "--check", "reviewed.md")[0] == 0
    assert run(*asked, "--check", "reviewed.md", "--format", "html")[0] == 1
    assert run(*asked, "--check", "missing.md")[0] == 1
    assert run(*asked, "--format", "html")[1].startswith("<table>")


@pytest.mark.parametrize(
    "place", ["nowhere:OPERATIONS", "{host}:NOTHING", "{host}", "{host}:WRONG", "{host}:PLANS", ""]
)
def test_the_command_could_not_look(host: str, place: str) -> None:
    assert run(place.format(host=host), "policy.toml")[0] == 2
