"""``wellstreak-trust policy``: a policy checked, tested, shown, compared and explained, in a pipeline or by hand.

Exit status 0 is good, 1 is found bad (or different), 2 is could not look.
"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from wellstreak_trust.authz import Policy
from wellstreak_trust.core.errors import PolicyError, TrustError, UsageError
from wellstreak_trust.core.principal import Principal

from .console import OUT, say, stop, visible
from .policy_casbin import translate

__all__ = ["app"]

app: Final = typer.Typer(no_args_is_help=True, help="Policies as data.")
app.command("from-casbin")(translate)

_STYLES: Final = {"yes": "green", "if": "yellow", "no": "dim"}
_FOUND: Final = 1


class Form(StrEnum):
    """How a matrix is written."""

    TABLE = "table"
    MARKDOWN = "md"
    CSV = "csv"
    HTML = "html"


def _load(path: Path, status: int = 2) -> Policy:
    try:
        return Policy.load(path)
    except TrustError as error:
        stop(error, status)


@app.command("check")
def check(path: Path) -> None:
    """Load a policy document; say where it is wrong and what was meant."""
    say(f"{path}: good, version {_load(path, _FOUND if path.is_file() else 2).version}")


@app.command("test")
def run_tables(
    tables: list[Path],
    *,
    policy: Annotated[Path | None, typer.Option(help="test this policy instead of the one each table names")] = None,
    coverage: Annotated[bool, typer.Option("--coverage", help="ask for every rule to be seen at work")] = False,
    mutation: Annotated[bool, typer.Option("--mutation", help="ask for every faulty policy to be noticed")] = False,
) -> None:
    """Run policy tables: whatever they do not list must be denied."""
    try:
        faults = [line for path in tables for line in _run(path, policy, coverage=coverage, mutation=mutation)]
    except TrustError as error:
        stop(error)
    for line in faults:
        say(line)
    raise typer.Exit(_FOUND if faults else 0)


def _run(path: Path, override: Path | None, *, coverage: bool, mutation: bool) -> list[str]:
    from wellstreak_trust.testing.policy import PolicyTable
    from wellstreak_trust.testing.policy_coverage import rule_coverage
    from wellstreak_trust.testing.policy_file import policy_of
    from wellstreak_trust.testing.policy_mutation import mutate

    table = PolicyTable.load(path)
    policy = Policy.load(override) if override is not None else policy_of(path)
    report = table.run(policy)
    faults = [f"FAILED {mismatch}" for mismatch in report.mismatches]
    say(f"{path}: {len(report.outcomes)} questions, {len(faults)} answered otherwise")
    if coverage:
        seen = rule_coverage(policy, [table])
        say(f"{path}: {seen.percent} % of what rules can be was seen")
        faults += (f"UNSEEN {line}" for line in seen.missing)
    if mutation:
        mutated = mutate(policy, [table])
        say(f"{path}: {mutated.percent} % of {len(mutated.killed) + len(mutated.survivors)} faulty policies noticed")
        faults += (f"SURVIVED {fault}" for fault in mutated.survivors)
    return faults


@app.command("matrix")
def matrix(
    path: Path,
    form: Annotated[Form, typer.Option("--format", help="how it is written")] = Form.TABLE,
    reviewed: Annotated[Path | None, typer.Option("--check", help="compare with this file (md, csv or html)")] = None,
) -> None:
    """Show permissions by roles: yes, if (under a condition) or no."""
    policy = _load(path)
    if reviewed is not None:
        _compare(policy, reviewed)
        return
    found = policy.matrix()
    if form is Form.TABLE:
        header, *rows = found.rows()
        table = Table(*map(escape, header))
        for row in rows:
            table.add_row(*(Text(visible(cell), style=_STYLES.get(cell, "")) for cell in row))
        OUT.print(table)
        return
    written = {Form.MARKDOWN: found.to_markdown, Form.CSV: found.to_csv, Form.HTML: found.to_html}[form]()
    typer.echo(written, nl=False)


def _compare(policy: Policy, reviewed: Path) -> None:
    from wellstreak_trust.testing.policy import assert_matrix

    try:
        assert_matrix(policy, reviewed)
    except AssertionError as difference:
        say(str(difference))
        raise typer.Exit(_FOUND) from None
    except TrustError as error:
        stop(error)
    say(f"{reviewed}: as reviewed")


@app.command("diff")
def diff(before: Path, after: Path) -> None:
    """Show who gains or loses what, and when; nothing where both mean the same."""
    found = _load(before).diff(_load(after))
    for line in found.lines:
        say(line)
    raise typer.Exit(_FOUND if found else 0)


@app.command("lint")
def lint(
    path: Path,
    to: Annotated[list[str] | None, typer.Option(help="also ask that no other role reaches this one")] = None,
) -> None:
    """Show rules that load and are hardly meant, and roles that can climb."""
    policy = _load(path)
    try:
        paths = [found for role in to or () for found in policy.escalation().paths(role)]
    except PolicyError as error:
        stop(error)
    lines = [*map(str, policy.lint()), *(f"escalation: {'; then '.join(map(str, found))}" for found in paths)]
    for line in lines:
        say(line)
    raise typer.Exit(_FOUND if lines else 0)


@app.command("explain")
def explain(
    path: Path,
    permission: str,
    *,
    role: Annotated[list[str] | None, typer.Option(help="a role of the subject; repeat for more")] = None,
    tenant: Annotated[str, typer.Option(help="tenant of the subject; empty for none")] = "acme",
    subject: Annotated[str, typer.Option(help="further fields of the Principal, as JSON")] = "{}",
    resource: Annotated[str, typer.Option(help="the resource as JSON; its tenant_id is the subject's by default")] = "",
    context: Annotated[str, typer.Option(help="facts about the request, as JSON")] = "{}",
) -> None:
    """Ask one question; show the decision and what every rule said. Status 1 is a denial."""
    policy = _load(path)
    try:
        who = _principal(tenant, role or [], _object(subject, "--subject"))
        what = {"tenant_id": tenant, **_object(resource, "--resource")} if resource else None
        facts = _object(context, "--context")
    except TrustError as error:
        stop(error)
    found = policy.explain(who, permission, what, facts, values=True)
    say(str(found))
    raise typer.Exit(0 if found.decision.allowed else _FOUND)


def _principal(tenant: str, roles: list[str], more: dict[str, Any]) -> Principal:
    values: dict[str, Any] = {"id": "u1", "tenant_id": tenant or None, "roles": roles, **more}
    try:
        return Principal(**values)
    except TypeError:
        raise UsageError("--subject holds what no Principal has", hint='{"id": "ada", "aal": 2}') from None


def _object(text: str, option: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UsageError(f"{option} is no JSON object", hint='{"owner_id": "ada"}')
    return found
