"""The fixtures of the plugin, in a pytest of their own; none is loaded before it is asked for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from test_policy_kit import play

from wellstreak_trust.core.event import AuditEvent
from wellstreak_trust.testing import EventRecorder

HOST = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent / "attacker")!r})
from datetime import timedelta
from notes import Notes, flask_app
from wellstreak_trust.tenancy import current_tenant, require_tenant
from wellstreak_trust.testing import Target


def test_clock(trust_clock):
    before = trust_clock.now()
    trust_clock.advance(timedelta(hours=1))
    assert trust_clock.now() - before == timedelta(hours=1)


def test_tenant(trust_tenant):
    assert current_tenant() is None
    ada = trust_tenant("acme", ["owner"], id="ada")
    assert require_tenant() is ada
    assert trust_tenant("evil").tenant_id == require_tenant().tenant_id == "evil"


def test_no_tenant_is_left():
    assert current_tenant() is None


def test_events(trust_events):
    from wellstreak_trust import Principal
    from wellstreak_trust.tenancy import Memberships, MemoryMembershipStore

    Memberships(MemoryMembershipStore(), audit=trust_events).create_workspace(Principal("ada"), tenant_id="acme")
    assert [outcome for _, outcome in trust_events.told] == ["success"]


def test_op(trust_op):
    assert trust_op.issuer.startswith("http://127.0.0.1:")


def test_attack(trust_attack):
    host = Notes()
    app = flask_app(host)
    report = trust_attack(Target.wsgi(app), host.people(), only=["anonymous"])
    assert report.seed == 7
    report.raise_if_any()
"""


def test_the_fixtures_work(tmp_path: Path) -> None:
    (tmp_path / "test_host.py").write_text(HOST)
    found = play(tmp_path, "--trust-seed=7", "--trust-report=reports", "-p", "no:randomly")
    assert found.returncode == 0, found.stdout
    assert "6 passed" in found.stdout
    (report,) = (tmp_path / "reports").iterdir()
    assert report.name == "test_host.py_test_attack.md"
    assert "# Attack on a WSGI application" in report.read_text()


def test_fixtures_that_nobody_asks_for_load_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import sys\n"
        "def test_it():\n"
        "    names = {name for name in sys.modules if name.startswith('wellstreak_trust.')}\n"
        "    assert names == {'wellstreak_trust.testing', 'wellstreak_trust.testing.plugin'}\n"
    )
    found = play(tmp_path)
    assert found.returncode == 0, found.stdout


def test_fixtures_hide_nobody_elses(tmp_path: Path) -> None:
    found = play(tmp_path, "--fixtures")
    ours = found.stdout.partition("fixtures defined from wellstreak_trust.testing.plugin")[2]
    names = {line.split(" -- ")[0] for line in ours.splitlines() if " -- " in line}
    assert names == {"policy_matrix", "trust_attack", "trust_clock", "trust_events", "trust_op", "trust_tenant"}


def test_a_recorder_tells_what_it_did_not_find() -> None:
    kept = EventRecorder()
    first = AuditEvent("notes.read", "success", "acme", {"kind": "user", "id": "ada"})
    kept.emit(first)
    assert kept.one("notes.read") is first
    with pytest.raises(AssertionError, match=r"0 events 'notes.written' among \['notes.read'\]"):
        kept.one("notes.written")
    kept.emit(first)
    with pytest.raises(AssertionError, match=r"2 events 'notes\.read'"):
        kept.one("notes.read")


def test_everything_public_is_there() -> None:
    from wellstreak_trust import testing

    assert [name for name in testing.__all__ if getattr(testing, name, None) is None] == []
    with pytest.raises(AttributeError, match="no attribute 'Attackers'"):
        testing.Attackers  # noqa: B018 - the access is what is tested
    assert "pytest" in sys.modules
