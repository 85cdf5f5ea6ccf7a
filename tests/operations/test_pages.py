"""What the pages on adoption and operations name exists: counters, actions, rules, commands and their options."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from wellstreak_trust.audit.actions import SDK_ACTIONS
from wellstreak_trust.cli.__main__ import app
from wellstreak_trust.telemetry import FAMILIES
from wellstreak_trust.telemetry.anomalies.finding import RULES

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("docs/adopt/*.md"), *ROOT.glob("docs/operations/*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
ACTIONS = {spec.name for spec in SDK_ACTIONS}
GROUPS = {name.partition(".")[0] for name in ACTIONS}
COUNTS = ("add", "bind", "gauge", "count", "_count", "spared")
PROMPT = "$ wellstreak-trust "
ENDS = re.compile(r"\s(?:>|<|\||&&)\s?.*")  # the shell's part of a line


@cache
def counted() -> dict[str, set[str]]:
    """Families that the package adds to, with their labels, read from its code: the calls whose first text is one."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "src").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if '"wst.' in text else ():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in COUNTS:
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Constant) and str(first.value).startswith("wst."):
                    found.setdefault(str(first.value), set()).update(word.arg for word in node.keywords if word.arg)
    return found


def test_every_family_is_counted_and_every_counted_family_is_described() -> None:
    assert set(counted()) == set(FAMILIES)


def test_the_table_of_counters_is_the_code() -> None:
    text = (ROOT / "docs/operations/monitoring.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(wst\.[a-z_.]+)` \| ([a-z_, -]+) \|", text, re.MULTILINE)
    assert [name for name, _ in rows] == list(FAMILIES)


def test_labels_of_the_table_are_those_that_the_code_gives() -> None:
    text = (ROOT / "docs/operations/monitoring.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(wst\.[a-z_.]+)` \| ([a-z_, -]+) \|", text, re.MULTILINE))
    said = {name: set() if labels == "-" else set(labels.split(", ")) for name, labels in rows.items()}
    assert said == counted()


@pytest.mark.parametrize("page", NAMES)
def test_names_of_counters_rules_and_actions_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for name in re.findall(r"\bwst\.[a-z_]+(?:\.[a-z_]+)*\b", text):
        known = name in FAMILIES or name in RULES or name in ("wst.tenant", "wst.company") or "tenancy.E" in name
        assert known or name == "wst.tenancy", f"{page} names {name}"
    for name in re.findall(r"`([a-z_]+\.[a-z_]+)`", text):
        if name.partition(".")[0] in GROUPS and name.partition(".")[0] not in _OBJECTS:
            assert name in ACTIONS, f"{page} names the action {name}"
    for name in re.findall(r"action:([a-z_]+\.[a-z_]+)\b(?!\*)", text):
        assert name in ACTIONS, f"{page} queries the action {name}"


_OBJECTS = {"secrets", "audit"}  # names of objects in the examples, too


def commands() -> Iterator[tuple[str, str]]:
    for page in NAMES:
        text = (ROOT / page).read_text(encoding="utf-8").replace("\\\n", " ")
        for line in text.splitlines():
            if line.startswith(PROMPT):
                yield page, line
        for inline in re.findall(r"`(wellstreak-trust [^`]+)`", " ".join(text.split())):
            yield page, inline  # which may be named without what it is given


@cache
def root() -> Any:
    return get_command(app)


@pytest.mark.parametrize(("page", "line"), sorted(set(commands())))
def test_commands_and_options_exist(page: str, line: str) -> None:
    words = shlex.split(ENDS.sub("", line.removeprefix("$ ")))[1:]
    command: Any = root()
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    assert not hasattr(command, "commands") or command.invoke_without_command, f"{page}: {line}"
    takes = {spelled: each for each in command.params for spelled in (*each.opts, *each.secondary_opts)}
    places, at = 0, 0
    while at < len(words):
        if words[at].startswith("--"):
            assert words[at] in takes, f"{page}: {line} has no {words[at]}"
            at += 1 if takes[words[at]].is_flag else 2
        else:
            places, at = places + 1, at + 1
    if line.startswith(PROMPT):
        missing = [each.opts for each in command.params if each.required and each.opts[0].startswith("--")]
        assert all(set(opts) & set(words) for opts in missing), f"{page}: {line} lacks one of {missing}"
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    least = sum(each.required for each in arguments) if line.startswith(PROMPT) else 0
    assert least <= places <= len(arguments), f"{page}: {line}"


def test_there_are_commands_to_judge() -> None:
    assert len(set(commands())) > 40
    assert {page for page, _ in commands()} >= {"docs/operations/leaks.md", "docs/operations/rotate-keys.md"}
