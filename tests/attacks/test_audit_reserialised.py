"""Verification that encodes an entry again verifies what it wrote, not what is stored (toy 6)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from audit_trails import behind, events, opened
from wellstreak_trust.audit import verify

SAME_MEANING: dict[str, Callable[[bytes], bytes]] = {
    "spaces": lambda leaf: leaf.replace(b'","', b'", "'),
    "order of keys": lambda leaf: json.dumps(dict(reversed(json.loads(leaf).items())), separators=(",", ":")).encode(),
    "escapes": lambda leaf: leaf.replace(b"success", b"succes\\u0073"),
    "a newline behind": lambda leaf: leaf + b"\n",
    "a key twice": lambda leaf: leaf.replace(b'"v":1}', b'"v":1,"v":1}'),
    "1 as 1.0": lambda leaf: leaf.replace(b'"v":1}', b'"v":1.0}'),
}


@pytest.mark.parametrize("name", SAME_MEANING)
def test_the_bytes_are_what_counts(name: str, sqlite_path: Path, tmp_path: Path) -> None:
    change = SAME_MEANING[name]

    def spell(connection: object) -> None:
        (leaf,) = connection.execute("SELECT leaf FROM wst_audit_leaf WHERE seq = 2").fetchone()  # type: ignore[attr-defined]  # a connection of sqlite3
        assert change(leaf) != leaf
        assert json.loads(change(leaf)) == json.loads(leaf)
        connection.execute("UPDATE wst_audit_leaf SET leaf = ? WHERE seq = 2", (change(leaf),))  # type: ignore[attr-defined]  # as above

    with opened(sqlite_path) as log:
        log.emit_many(events(4))
        log.export("t1", tmp_path / "export")
        behind(sqlite_path, spell)
        report = verify(log.store, tenant_id="t1")
        assert (report.integrity, report.first_bad_seq) == ("failed", 2)
    bundle = tmp_path / "export/tile/entries/000.p/4"
    octets = bundle.read_bytes()
    (tmp_path / "export/tile/entries/000.p/4").write_bytes(octets.replace(b'"n":2', b'"n": 2'))
    assert verify(tmp_path / "export").integrity == "failed"
