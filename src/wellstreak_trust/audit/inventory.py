"""What this log may hold, from the registry that decides it (OWASP ASVS 5, 16.1.1).

An inventory that is written by hand is out of date; this one is compared with a reviewed copy in the host's own
pipeline, so that a new action is a change that somebody sees.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from .registry import ActionRegistry
from .spec import ActionSpec

__all__ = ["inventory_json", "inventory_markdown"]

_FAILS = {
    "critical": "refuse the action",
    "standard": "refuse the action",
    "protective": "go on, record later",
    "sampled": "go on, count",
}


def inventory_markdown(registry: ActionRegistry) -> str:
    """A table of all actions, by name."""
    header = ("action", "meaning", "criticality", "if it cannot be recorded", "reason", "data", "ASVS 5", "NIST 800-53")
    rows = (_row(spec) for spec in _sorted(registry))
    lines = (header, ("---",) * len(header), *rows)
    table = "".join(f"| {' | '.join(_plain(cell) for cell in line)} |\n" for line in lines)
    undeclared = "refused" if registry.strict else "recorded as `standard`"
    return f"# Actions on the audit trail\n\nActions that are not declared are {undeclared}.\n\n{table}"


def inventory_json(registry: ActionRegistry) -> str:
    """The same as JSON, for tools."""
    actions = [
        {
            "name": spec.name,
            "about": spec.about,
            "criticality": spec.criticality,
            "needs_reason": spec.needs_reason,
            "fields": None if spec.fields is None else sorted(spec.fields),
            "asvs": list(spec.asvs),
            "nist": list(spec.nist),
        }
        for spec in _sorted(registry)
    ]
    return json.dumps({"strict": registry.strict, "actions": actions}, indent=2) + "\n"


def _sorted(registry: ActionRegistry) -> Iterator[ActionSpec]:
    return iter(sorted(registry, key=lambda spec: spec.name))


def _row(spec: ActionSpec) -> tuple[str, ...]:
    return (
        f"`{spec.name}`",
        spec.about,
        spec.criticality,
        _FAILS[spec.criticality],
        "needed" if spec.needs_reason else "",
        "any" if spec.fields is None else ", ".join(f"`{name}`" for name in sorted(spec.fields)),
        ", ".join(spec.asvs),
        ", ".join(spec.nist),
    )


def _plain(cell: str) -> str:
    """Text of a host must not end the cell, the line, or the table."""
    return " ".join(cell.split()).replace("|", "\\|")
