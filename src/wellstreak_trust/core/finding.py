"""What an examination finds: kinds of faults, findings of them, and the forms in which findings are handed on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, Final, Literal

__all__ = ["Code", "Finding", "Severity", "to_json", "to_sarif", "to_text"]

Severity = Literal["error", "warning"]

_ORDER: Final[Mapping[Severity, int]] = {"error": 0, "warning": 1}
_SARIF: Final = "https://json.schemastore.org/sarif-2.1.0.json"


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of fault.

    Args:
        title: what is wrong.
        why: what it lets happen.
        hint: the line that fixes it, where one line fixes every case.
        id: the short id that the checks of a framework know it by, such as ``trust.E001``.
    """

    severity: Severity
    title: str
    why: str
    hint: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Args:
        code: a key of the catalogue that it was found by.
        object: where it is: the part of a composition, the file, the table.
        title: what is wrong, in a sentence.
        hint: what fixes it; several lines where several are needed.
        why: what it lets happen.
        id: see `Code`.
        came_from: where the value was given: a variable of the environment, an argument, a default.
    """

    code: str
    severity: Severity
    object: str
    title: str
    hint: str
    why: str = ""
    id: str = ""
    came_from: str = ""

    @property
    def rank(self) -> tuple[int, str, str, str]:
        """Errors first, then by object and code."""
        return _ORDER[self.severity], self.object, self.code, self.hint


def to_json(findings: Iterable[Finding]) -> str:
    """A list of objects with the fields of `Finding`."""
    return json.dumps([asdict(each) for each in findings], indent=2, ensure_ascii=False)


def to_text(findings: Iterable[Finding]) -> str:
    """For people: one finding a paragraph, its fix below it; empty where there are none."""
    return "\n".join("".join(f"{line}\n" for line in _lines(each)) for each in findings)


def _lines(finding: Finding) -> Iterable[str]:
    yield "  ".join(filter(None, (f"{finding.severity:7}", finding.code, finding.object, finding.id)))
    yield f"  {_sentence(finding.title)}"
    if finding.why:
        yield f"  Risk: {_sentence(finding.why)}"
    if finding.came_from:
        yield f"  From: {finding.came_from}"
    yield from (f"    {line}" for line in finding.hint.splitlines())


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?")) else f"{text}."


def to_sarif(
    findings: Iterable[Finding], codes: Mapping[str, Code], *, tool: str, artifact: str, manual: str = ""
) -> str:
    """A SARIF 2.1.0 log (OASIS), for code scanning.

    Args:
        codes: the catalogue of the tool; every finding's code is one of its keys.
        tool: the name of the examination.
        artifact: the file that results are shown at; scanners ask for one, and a live system has none.
        manual: address of the page that explains the codes, each at an anchor of its own.
    """
    rules = {code: place for place, code in enumerate(codes)}
    driver = {"name": tool, "rules": [_rule(code, what, manual) for code, what in codes.items()]}
    results = [_result(each, rules[each.code], artifact) for each in findings]
    log = {"$schema": _SARIF, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    return json.dumps(log, indent=2, ensure_ascii=False)


def _rule(code: str, what: Code, manual: str) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "id": code,
        "shortDescription": {"text": _sentence(what.title)},
        "fullDescription": {"text": _sentence(f"{what.title}: {what.why}")},
        "defaultConfiguration": {"level": what.severity},
    }
    if what.hint:
        rule["help"] = {"text": what.hint}
    if manual:
        rule["helpUri"] = f"{manual}#{code}"
    return rule


def _result(finding: Finding, rule: int, artifact: str) -> dict[str, Any]:
    place = {
        "physicalLocation": {"artifactLocation": {"uri": artifact}, "region": {"startLine": 1}},
        "logicalLocations": [{"fullyQualifiedName": finding.object}],
    }
    same = sha256(f"{finding.code}\0{finding.object}".encode()).hexdigest()
    source = f"\nFrom: {finding.came_from}." if finding.came_from else ""
    return {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": finding.severity,
        "message": {"text": f"{finding.object}: {_sentence(finding.title)}{source}\n{finding.hint}"},
        "locations": [place],
        "partialFingerprints": {"object/v1": same},
    }
