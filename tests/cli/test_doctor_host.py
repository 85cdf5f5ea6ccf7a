"""``wellstreak-trust doctor``: what it examines, what it prints, and the status it ends with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HOST = """
from pathlib import Path
import flask
from fastapi import FastAPI
from sqlalchemy import create_engine
from wellstreak_trust import Operation, Trust
from wellstreak_trust.adapters.fastapi import TrustMiddleware
from wellstreak_trust.adapters.flask import TrustExtension, guarded
from wellstreak_trust.audit import AuditLog, Ed25519Signer
from wellstreak_trust.authz import Policy
from wellstreak_trust.core import Secret
from wellstreak_trust.identity import Authenticator, SessionManager
from wellstreak_trust.origin import OriginPolicy, SecurityHeaders
from wellstreak_trust.ratelimit import LimitRule, MemoryLimitStore, RateLimiter
from wellstreak_trust.storage.sql import Database, SqlAuditStore, SqlMembershipStore, SqlSessionStore
from wellstreak_trust.telemetry import Counters
from wellstreak_trust.tenancy import Memberships, PathSource, TenantResolver

database = Database(create_engine(f"sqlite:///{Path(__file__).with_name('host.db')}"))
database.create_all()
audit = AuditLog(SqlAuditStore(database), Ed25519Signer.generate(), "acme.com/audit", personal_key=Secret(b"p" * 32))
READ = Operation("notes.read", "notes:read")
COPY = Operation("notes.copy", "notes:copy")


def made(**changed):
    rules = [LimitRule.parse(key, "60/minute", by=(key,)) for key in ("client", "tenant")]
    return Trust(**{
        "authenticator": Authenticator([SessionManager(SqlSessionStore(database), audit=audit)]),
        "tenants": TenantResolver([PathSource("/w/{tenant}/")], Memberships(SqlMembershipStore(database), audit=audit)),
        "policy": Policy.from_dict({"schema": 1, "permissions": {"notes:read": {}},
                                    "roles": {"owner": {"rank": 9, "allow": ["notes:read"]}}}),
        "limiter": RateLimiter(rules, store=MemoryLimitStore(allow_memory=True)),
        "origin": OriginPolicy(), "audit": audit, "security_headers": SecurityHeaders.api(), "counters": Counters(),
        **changed,
    })


trust = made()


class Host:
    operations = (READ,)

    def __init__(self):
        self.trust = trust


host = Host()
asgi = FastAPI(openapi_url=None)
asgi.add_middleware(TrustMiddleware, trust=trust)
wsgi = flask.Flask(__name__)
TrustExtension(trust).init_app(wsgi)


def forgetful():
    return made(limiter=RateLimiter([LimitRule.parse("client", "60/minute", by=("client",))]))


def lax():
    return made(counters=None)


def open_app():
    app = flask.Flask(__name__, static_folder=None)
    TrustExtension(trust).init_app(app)
    app.add_url_rule("/open", "open", lambda: "hello")
    return app


opened = open_app()
"""
DJANGO = """
SECRET_KEY = "k" * 20 + "0123456789abcdef" * 2
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop_urls"
INSTALLED_APPS = ["wellstreak_trust.adapters.django"]
MIDDLEWARE = ["wellstreak_trust.adapters.django.TrustMiddleware"]
WELLSTREAK_TRUST = "shop.trust"
"""
URLS = """
from django.http import HttpResponse
from django.urls import path
urlpatterns = [path("open/", lambda request: HttpResponse("hello"))]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in (("shop", HOST), ("shop_settings", DJANGO), ("shop_urls", URLS)):
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    return tmp_path


def doctor(project: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "wellstreak_trust.cli", "doctor", *arguments],
        env={**kept, "HOME": str(project), "COLUMNS": "80", **environment},
        cwd=project,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def codes(project: Path, *arguments: str, status: int, **environment: str) -> set[str]:
    ended = doctor(project, *arguments, "--format", "json", **environment)
    assert ended.returncode == status, ended.stdout + ended.stderr
    return {each["code"] for each in json.loads(ended.stdout)["findings"]}


@pytest.mark.parametrize("target", ["shop:trust", "shop:made", "shop:host", "shop:asgi", "shop:wsgi"])
def test_a_good_host_has_status_0(project: Path, target: str) -> None:
    assert codes(project, "--app", target, "--fail-on", "warning", status=0) == set()


def test_findings_have_status_1(project: Path) -> None:
    assert codes(project, "--app", "shop:forgetful", status=1) == {"memory_store"}
    assert codes(project, "--app", "shop:lax", status=0) == {"no_counters"}
    assert codes(project, "--app", "shop:lax", "--fail-on", "warning", status=1) == {"no_counters"}


def test_the_routes_of_an_application_are_looked_at(project: Path) -> None:
    assert codes(project, "--app", "shop:opened", status=1) == {"undeclared_route"}
    assert codes(project, "--app", "shop:open_app", status=1) == {"undeclared_route"}
    assert codes(project, "--app", "shop:opened", "--public", "/open", status=0) == set()


def test_the_settings_of_django(project: Path) -> None:
    assert codes(project, "--app", "shop_settings", status=1) == {"hosts_any", "undeclared_route"}


def test_operations_are_named_or_known(project: Path) -> None:
    assert codes(project, "--app", "shop:trust", "--operations", "shop:Host.operations", status=0) == set()
    assert "operations" in doctor(project, "--app", "shop:host").stdout


def test_settings_are_read_where_one_is_set(project: Path) -> None:
    variable = {"WELLSTREAK_TRUST_REPLICA": "2"}
    assert codes(project, "--app", "shop:trust", status=1, **variable) == {"unknown_setting"}
    assert codes(project, "--app", "shop:trust", "--no-settings", status=0, **variable) == set()
    assert codes(project, status=1, **variable) == {"unknown_setting"}


def test_what_cannot_be_looked_at_has_status_2(project: Path) -> None:
    for target in ("nowhere:trust", "shop:nothing", "shop:READ.name.x"):
        ended = doctor(project, "--app", target)
        assert ended.returncode == 2, ended.stdout
        assert "names nothing" in ended.stderr
    assert doctor(project, "--no-settings").returncode == 2
    (project / "broken.py").write_text("raise KeyError('s3cret-word')\n", encoding="utf-8")
    ended = doctor(project, "--app", "broken:trust")
    assert ended.returncode == 2
    assert "broken:trust cannot be loaded: KeyError" in ended.stderr
    assert "s3cret-word" not in ended.stdout + ended.stderr


def test_what_holds_no_trust_is_found(project: Path) -> None:
    assert codes(project, "--app", "shop:READ", status=1) == {"no_trust"}


def test_a_module_that_refuses_to_load_is_a_finding(project: Path) -> None:
    refusing = "\n\nOriginPolicy(trusted=('http://app.acme.com',))\n"
    (project / "shop.py").write_text(HOST + refusing, encoding="utf-8")
    assert codes(project, "--app", "shop:trust", status=1) == {"origin_pattern"}


def test_text_is_plain_and_shows_both_halves(project: Path) -> None:
    ended = doctor(project, "--app", "shop:lax")
    assert ended.returncode == 0
    assert "limiter  " in ended.stdout
    assert "\x1b[" not in ended.stdout
    assert "  Risk: an attack shows as a rise of refusals" in ended.stdout
    assert ended.stdout.rstrip().endswith("0 errors, 1 warning")


def test_sarif_is_shown_at_the_file_of_the_host(project: Path) -> None:
    log = json.loads(doctor(project, "--app", "shop:lax", "--format", "sarif").stdout)
    (result,) = log["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "shop.py"
    log = json.loads(doctor(project, "--app", "shop:lax", "--format", "sarif", "--artifact", "x/y.py").stdout)
    assert log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "x/y.py"


def test_deployed_it_is_judged_as_production(project: Path) -> None:
    development = "\n\ndev = made(profile='development', counters=None)\n"
    (project / "shop.py").write_text(HOST + development, encoding="utf-8")
    assert codes(project, "--app", "shop:dev", status=0) == set()
    assert codes(project, "--app", "shop:dev", "--deploy", status=1) == {"no_counters", "profile_not_production"}


def test_djangos_own_checks_show_the_same(project: Path) -> None:
    def checked(*arguments: str) -> str:
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        command = [sys.executable, "-m", "django", "check", "--settings", "shop_settings", *arguments]
        ended = subprocess.run(
            command, env={**kept, "PYTHONPATH": f"{project}:{kept.get('PYTHONPATH', '')}"}, cwd=project,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return ended.stdout + ended.stderr

    plain = checked()
    assert "trust.E001" in plain
    (project / "shop_urls.py").write_text("urlpatterns = []\n", encoding="utf-8")
    assert "no issues" in checked("--tag", "security")
    deployed = checked("--deploy")
    assert "(trust.E231)" in deployed
    assert "[hosts_any]" in deployed
    assert "HINT: ALLOWED_HOSTS = ['app.example.com']" in deployed
    assert "trust.E235" not in deployed, "Django has a check of its own for that"
