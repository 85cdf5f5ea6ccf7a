"""Bridges load what they bridge to when they are imported, and say which extra brings it."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from wellstreak_trust.core.errors import MissingExtra


@pytest.mark.parametrize("name", ["celery", "rq", "arq"])
def test_without_its_library_a_bridge_names_the_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [module for module in sys.modules if module == name or module.startswith(f"{name}.")]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, f"wellstreak_trust.tenancy.{name}", raising=False)
    with pytest.raises(MissingExtra) as refused:
        import_module(f"wellstreak_trust.tenancy.{name}")
    assert refused.value.hint == f"pip install 'wellstreak-trust[{name}]'"


def test_jobs_and_keys_alone_load_no_queue() -> None:
    code = "import sys, wellstreak_trust.tenancy.jobs, wellstreak_trust.tenancy.keys; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    assert not {"celery", "kombu", "rq", "arq", "redis"} & set(ran.stdout.split())
