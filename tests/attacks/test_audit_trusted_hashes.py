"""Stored hashes, roots and heads are the attacker's too (toy 7): each is computed anew from the entries."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit_trails import behind, events, opened
from wellstreak_trust.audit import TileStore, verify
from wellstreak_trust.audit.tiles import tiles_of

COUNT = 600


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hashes")
    with opened(folder / "log.db") as log:
        log.emit_many(events(COUNT))
        log.export("t1", folder / "export")
    return folder


def copied(template: Path, tmp_path: Path) -> Path:
    import shutil

    shutil.copytree(template, tmp_path / "copy")
    return tmp_path / "copy"


STATEMENTS = {
    "an entry, its hash as it was": (
        "UPDATE wst_audit_leaf SET leaf = CAST(replace(leaf, 'user_1', 'user_9') AS BLOB), actor = 'user_9' "
        "WHERE seq = 300",
        300,
    ),
    "a leaf hash in a full tile": ("UPDATE wst_audit_leaf SET leaf_hash = randomblob(32) WHERE seq = 300", 300),
    "a tile of leaf hashes": ("UPDATE wst_audit_tile SET hashes = zeroblob(8192) WHERE level = 0 AND idx = 1", 256),
    "a tile of upper hashes": ("UPDATE wst_audit_tile SET hashes = zeroblob(64) WHERE level = 1", None),
    "an upper tile with more": ("UPDATE wst_audit_tile SET hashes = hashes || zeroblob(32) WHERE level = 1", None),
    "the root": ("UPDATE wst_audit_head SET root = zeroblob(32)", None),
    "the edge": ("UPDATE wst_audit_head SET edge = zeroblob(length(edge))", None),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_stored_hash_is_believed(name: str, template: Path, tmp_path: Path) -> None:
    folder, (statement, first_bad) = copied(template, tmp_path), STATEMENTS[name]
    behind(folder / "log.db", lambda connection: connection.execute(statement))
    with opened(folder / "log.db") as log:
        report = verify(log.store, tenant_id="t1")
    assert report.integrity == "failed"
    assert first_bad is None or report.first_bad_seq == first_bad


@pytest.mark.parametrize("path", [tile.path for tile in tiles_of(COUNT)])
def test_no_file_of_an_export_is_believed(path: str, template: Path, tmp_path: Path) -> None:
    folder = copied(template, tmp_path)
    store = TileStore(folder / "export")
    octets = store.read(path) or b""
    for changed in (bytes(len(octets)), octets[:-32], octets[32:] + octets[:32], octets + bytes(32)):
        store.write(path, changed)
        assert verify(store).integrity == "failed"
    store.write(path, octets)
    assert verify(store).integrity == "verified"
    (folder / "export" / path).unlink()
    assert verify(store).integrity == "failed"
