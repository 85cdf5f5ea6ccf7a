"""Policy tables as files, so that they are reviewed beside the policy.

::

    policy = "policy.toml"                    # relative to this file; or preset = "wellstreak"
    now = 2030-01-01T00:00:00Z
    [subjects.ada]                            # a Principal; id is the name unless given
    tenant_id = "acme"
    roles = ["member"]
    [resources."own note"]
    tenant_id = "acme"
    owner_id = "ada"
    [expect.ada]
    "own note" = ["notes:read", "notes:update"]
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ..authz import Policy
from ..authz.schema import resembling
from ..core.errors import UsageError
from ..core.principal import GIVEN, Principal
from .policy import NOW, PolicyTable

__all__ = ["policy_of", "read_table"]

_KEYS: Final = frozenset(("policy", "preset", "now", "subjects", "resources", "context", "expect"))


def read_table(path: Path) -> PolicyTable:
    """The table in a file.

    Raises:
        UsageError: unreadable, malformed, or with an unknown key.
    """
    found = _document(path)
    subjects = {name: _principal(path, name, given) for name, given in _tables(path, found, "subjects").items()}
    expect = {name: _table(path, row, f"expect.{name}") for name, row in _tables(path, found, "expect").items()}
    return PolicyTable(
        subjects=subjects,
        resources=_tables(path, found, "resources"),
        expect=expect,
        context=found.get("context"),
        now=_time(path, found["now"]) if "now" in found else NOW,
        name=path.name,
    )


def policy_of(path: Path) -> Policy:
    """The policy that a table's file names.

    Raises:
        UsageError: it names none, or two.
        PolicyError: it does not load.
    """
    found = _document(path)
    if ("policy" in found) is ("preset" in found):
        raise UsageError(f"{path.name} names no policy, or two", hint='policy = "policy.toml"')
    if "preset" in found:
        return Policy.preset(found["preset"])
    if not isinstance(found["policy"], str):
        raise UsageError(f"{path.name}: policy is no path", hint='policy = "policy.toml"')
    return Policy.load(path.parent / found["policy"])


def _document(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path.name} cannot be read: {type(error).__name__}") from error
    _refuse_unknown(path, _table(path, found, "the file"), _KEYS)
    return dict(found)


def _tables(path: Path, found: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return {name: _table(path, each, f"{key}.{name}") for name, each in _table(path, found.get(key, {}), key).items()}


def _table(path: Path, value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{path.name}: {place} is no table")
    return value


def _principal(path: Path, name: str, given: Mapping[str, Any]) -> Principal:
    _refuse_unknown(path, given, frozenset(GIVEN))
    values = {"id": name, **given}
    if "auth_time" in values:
        values["auth_time"] = _time(path, values["auth_time"])
    if "actor" in values:
        values["actor"] = _principal(path, "actor", _table(path, values["actor"], f"subjects.{name}.actor"))
    try:
        return Principal(**values)
    except TypeError as error:
        raise UsageError(f"{path.name}: subjects.{name} is no principal") from error


def _time(path: Path, value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise UsageError(f"{path.name}: a time without its zone, or none", hint="2030-01-01T00:00:00Z")
    return moment


def _refuse_unknown(path: Path, given: Mapping[str, Any], known: frozenset[str]) -> None:
    for key in given:
        if key not in known:
            raise UsageError(f"{path.name}: unknown key {key!r}", hint=resembling(key, known))
