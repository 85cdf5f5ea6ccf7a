"""What the doctor hands on: the configuration with its origins, and findings that scanners read; never a secret."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from jsonschema import Draft7Validator

from doctor_bench import PREFIX, Bench
from wellstreak_trust.doctor import FAULTS, Report, run
from wellstreak_trust.settings import TrustSettings

# The part of the published schema (OASIS SARIF 2.1.0, sarif-schema-2.1.0.json) that this log uses, closed.
TEXT: dict[str, Any] = {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string", "minLength": 1}},
    "additionalProperties": False,
}
LEVEL: dict[str, Any] = {"enum": ["none", "note", "warning", "error"]}
RULE: dict[str, Any] = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string"},
        "shortDescription": TEXT,
        "fullDescription": TEXT,
        "help": TEXT,
        "helpUri": {"type": "string", "format": "uri", "pattern": "^https://"},
        "defaultConfiguration": {"properties": {"level": LEVEL}, "additionalProperties": False},
    },
    "additionalProperties": False,
}
LOCATION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "physicalLocation": {
            "type": "object",
            "anyOf": [{"required": ["address"]}, {"required": ["artifactLocation"]}],
            "properties": {
                "artifactLocation": {
                    "properties": {"uri": {"type": "string", "pattern": "^[^ ]+$"}},
                    "additionalProperties": False,
                },
                "region": {"properties": {"startLine": {"type": "integer", "minimum": 1}}},
            },
            "additionalProperties": False,
        },
        "logicalLocations": {
            "type": "array",
            "uniqueItems": True,
            "items": {"properties": {"fullyQualifiedName": {"type": "string"}}, "additionalProperties": False},
        },
    },
    "additionalProperties": False,
}
RESULT: dict[str, Any] = {
    "type": "object",
    "required": ["message"],
    "properties": {
        "ruleId": {"type": "string"},
        "ruleIndex": {"type": "integer", "minimum": -1},
        "level": LEVEL,
        "message": TEXT,
        "locations": {"type": "array", "items": LOCATION},
        "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "additionalProperties": False,
}
DRIVER: dict[str, Any] = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "rules": {"type": "array", "items": RULE, "uniqueItems": True}},
    "additionalProperties": False,
}
SARIF: dict[str, Any] = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool"],
                "properties": {
                    "tool": {"type": "object", "required": ["driver"], "properties": {"driver": DRIVER}},
                    "results": {"type": "array", "items": RESULT},
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}
PASSWORD = "s3cret-word"


@pytest.fixture
def report(bench: Bench) -> Report:
    kek = (bench.keys / "kek.json").read_text(encoding="utf-8")
    url = f"postgresql+psycopg://app:{PASSWORD}@db.acme.com/trust"
    told = bench.settings(
        kek_file=None, kek=kek, database_url=url, redis_url=f"redis://:{PASSWORD}@cache.acme.com", allow_memory=None
    )
    for name, value in told.items():
        bench.monkeypatch.setenv(name, value)
    return run(reach=False)


def test_the_configuration_tells_where_each_value_came_from(report: Report) -> None:
    rows = {row.name: row for row in report.rows}
    assert rows["settings.base_domain"].origin == f"environment: {PREFIX}BASE_DOMAIN"
    assert rows["settings.origin_mode"].origin == "default"
    assert (rows["limiter"].origin, "RedisLimitStore" in rows["limiter"].value) == ("composition", True)
    given = run(settings=TrustSettings(profile="test", base_domain="acme.com"), reach=False)
    assert {row.name: row.origin for row in given.rows}["settings.profile"] == "argument"


def test_no_form_holds_a_secret(report: Report, bench: Bench) -> None:
    key = json.loads((bench.keys / "kek.json").read_text(encoding="utf-8"))["key"]
    for text in (report.to_text(), report.to_json(), report.to_sarif()):
        assert PASSWORD not in text
        assert key not in text
    assert {each.code for each in report.findings} >= {"database_plaintext", "redis_plaintext", "kek_in_environment"}


def test_sarif_keeps_to_the_published_structure(report: Report) -> None:
    Draft7Validator.check_schema(SARIF)
    log = json.loads(report.to_sarif(artifact="host/security.py"))
    assert list(Draft7Validator(SARIF).iter_errors(log)) == []
    (inside,) = log["runs"]
    rules = inside["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(FAULTS)
    for finding, result in zip(report.findings, inside["results"], strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == finding.code
    prints = [result["partialFingerprints"]["object/v1"] for result in inside["results"]]
    assert len(set(prints)) == len(prints)
    broken = {**log, "runs": [{**inside, "results": [{"ruleId": "x"}]}]}
    assert list(Draft7Validator(SARIF).iter_errors(broken))


def test_json_has_both_halves(report: Report) -> None:
    log = json.loads(report.to_json())
    assert log["configuration"][0].keys() == {"name", "value", "from"}
    (found,) = (each for each in log["findings"] if each["code"] == "redis_plaintext")
    assert found["came_from"] == f"environment: {PREFIX}REDIS_URL"
    assert found["severity"] == "error"
    assert found["why"]
    assert found["hint"]
    assert found["id"] == "trust.E157"


def test_the_threshold(report: Report) -> None:
    assert report.fails()
    mild = Report((), [each for each in report.findings if each.severity == "warning"])
    assert (mild.fails("error"), mild.fails("warning"), Report((), []).fails("warning")) == (False, True, False)
    assert "0 errors, 1 warning\n" in mild.to_text()


BARE = """
import sys
for name in ("redis", "sqlalchemy", "flask", "fastapi", "starlette", "django", "pydantic_settings", "httpx", "psycopg"):
    sys.modules[name] = None
from wellstreak_trust import Trust
from wellstreak_trust.audit import AuditLog, MemoryAuditStore
from wellstreak_trust.authz import Policy
from wellstreak_trust.doctor import run
from wellstreak_trust.identity import Authenticator, MemorySessionStore, SessionManager
from wellstreak_trust.origin import OriginPolicy
from wellstreak_trust.tenancy import Memberships, MemoryMembershipStore, PathSource, TenantResolver

trust = Trust(
    profile="development",
    authenticator=Authenticator([SessionManager(MemorySessionStore())]),
    tenants=TenantResolver([PathSource("/w/{tenant}/")], Memberships(MemoryMembershipStore())),
    policy=Policy.preset("wellstreak"),
    origin=OriginPolicy(),
    audit=AuditLog(MemoryAuditStore()),
)
print(sorted({finding.code for finding in run(trust, deploying=True).findings}))
"""


def test_it_needs_none_of_what_the_host_does_not_use():
    done = subprocess.run([sys.executable, "-c", BARE], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "'memory_store'" in done.stdout
    assert "'no_limiter'" in done.stdout
