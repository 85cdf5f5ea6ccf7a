"""One catalogue: what start-up refuses, what the doctor finds, what Django shows, what the manual explains."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import wellstreak_trust
from wellstreak_trust.core import errors
from wellstreak_trust.core.errors import ConfigurationError, MissingExtra, NotFilterable, PolicyError
from wellstreak_trust.doctor import FAULTS, refusal
from wellstreak_trust.doctor.checks import CHECKS
from wellstreak_trust.doctor.faults_found import FOUND
from wellstreak_trust.doctor.faults_refused import REFUSED

SOURCE = Path(wellstreak_trust.__file__).parent
KINDS: dict[str, type[ConfigurationError]] = {
    name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, ConfigurationError)
}


def refusals() -> Iterator[tuple[str, ast.Call, ast.Module]]:
    """Where each refusal is constructed."""
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) in KINDS:
                yield f"{path.relative_to(SOURCE)}:{node.lineno}", node, tree


def reason_of(call: ast.Call, tree: ast.Module) -> str | None:
    """The code that a refusal has, constants of its module resolved; None where it is made up while running."""
    given = next((each.value for each in call.keywords if each.arg == "reason"), None)
    if given is None:
        return KINDS[call.func.id].fault  # type: ignore[attr-defined]  # `refusals` gives names alone
    if isinstance(given, ast.Name):
        constants = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign | ast.AnnAssign)
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        }
        given = constants.get(given.id, given)
    return given.value if isinstance(given, ast.Constant) else None


def test_every_refusal_is_in_the_catalogue() -> None:
    found = {place: reason_of(call, tree) for place, call, tree in refusals()}
    assert len(found) > 200
    assert {place: reason for place, reason in found.items() if reason not in FAULTS} == {}


def test_nothing_is_in_the_catalogue_that_nothing_gives() -> None:
    given = {reason_of(call, tree) for _, call, tree in refusals()} | {check.code for check in CHECKS}
    assert set(FAULTS) - given == set()


def test_ids_are_given_once_and_say_how_severe_it_is() -> None:
    ids = [row[0] for row in (*FOUND.values(), *REFUSED.values())]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[EW][0-9]{3}", each) for each in ids)
    assert all(row[0].startswith("E") for row in REFUSED.values())
    assert (FAULTS["undeclared_route"].id, FAULTS["no_trust"].id) == ("trust.E001", "trust.E002")


@pytest.mark.parametrize("code", FAULTS)
def test_every_fault_says_what_why_and_how(code: str) -> None:
    fault = FAULTS[code]
    assert re.fullmatch(r"[a-z0-9_]+", code)
    for text in (fault.title, fault.why, fault.hint):
        assert text == text.strip()
        assert not text.endswith(".") or text.endswith("...")
        assert len(text) > 8


def test_each_fault_has_one_check() -> None:
    codes = [check.code for check in CHECKS]
    assert len(set(codes)) == len(codes)
    assert set(FOUND) <= set(codes)


def test_a_refusal_shows_its_code() -> None:
    error = ConfigurationError("two rules are named 'a'", hint="rename one", reason="limits")
    assert str(error) == "two rules are named 'a'. rename one [limits]"
    assert str(PolicyError("roles: empty")) == "roles: empty [policy]"
    assert (MissingExtra().reason, NotFilterable().reason) == ("extra", "not_filterable")
    found = refusal(error, "limiter")
    assert (found.code, found.title, found.hint) == ("limits", error.detail, error.hint)


def test_a_reason_of_the_hosts_own_is_found_as_a_fault_of_configuration() -> None:
    found = refusal(ConfigurationError("the moon is full", reason="moon"), "start-up")
    assert (found.code, found.title) == ("configuration", "the moon is full")
    assert found.hint
