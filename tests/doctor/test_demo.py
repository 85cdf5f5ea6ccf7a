"""The demo host has nothing that the doctor would find, on any of the three frameworks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import pathlib, sys
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine
from wellstreak_trust.demo.host import Host, Outside, Paths, prepare
from wellstreak_trust.demo.operations import GOVERNED
from wellstreak_trust.doctor import run
from wellstreak_trust.storage.sql import AsyncDatabase, Database

framework, url = sys.argv[1:]
paths = Paths(pathlib.Path.cwd())
prepare(paths)
if framework == "fastapi":
    port = AsyncDatabase(create_async_engine(f"sqlite+aiosqlite:///{paths.database}"))
    from wellstreak_trust.demo.fastapi_app import make_app
else:
    port = Database(create_engine(f"sqlite:///{paths.database}"))
    if framework == "flask":
        from wellstreak_trust.demo.flask_app import make_app
    else:
        from wellstreak_trust.demo.django_app import make_app
where = url.replace("demo", "op")
host = Host(paths, port, Outside(url.replace("demo", "messenger"), where, "s" * 32, url))
app = make_app(host)
if framework == "django":
    from django.conf import settings as app
report = run(host, operations=GOVERNED, app=app, reach=True)
print(host.trust.profile)
print(report.to_text())
sys.exit(1 if report.fails("warning") else 0)
"""


@pytest.mark.parametrize("framework", ["fastapi", "flask", "django"])
@pytest.mark.parametrize(
    ("url", "profile"), [("https://demo.example", "production"), ("http://127.0.0.1:8000", "development")]
)
def test_nothing_is_found(framework: str, url: str, profile: str, tmp_path: Path) -> None:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, framework, url],
        env={**kept, "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.splitlines()[0] == profile
    assert "0 errors, 0 warnings" in ended.stdout
    assert "operations" in ended.stdout
