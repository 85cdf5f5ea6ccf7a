"""c2sp.org/tlog-tiles: names, shapes and bundles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellstreak_trust.audit import TileStore
from wellstreak_trust.audit.tiles import TILE_WIDTH, Tile, bundle, tiles_of, unbundle
from wellstreak_trust.core import UsageError
from wellstreak_trust.core.errors import ConfigurationError

Read = Callable[[str], Any]


def test_published_paths_and_shapes(published_vectors: Read) -> None:
    facts = published_vectors("audit/merkle_vectors.json")
    for fact in facts["tile_path"]:
        assert Tile(0, fact["n"]).path == "tile/0/" + fact["path"]
    for fact in facts["tile_shape"]:
        tiles = list(tiles_of(fact.pop("tree_size")))
        found = Counter(f"full_l{tile.level}" for tile in tiles if tile.width == TILE_WIDTH)
        found.update({f"partial_l{tile.level}": tile.width for tile in tiles if tile.width < TILE_WIDTH})
        assert {name: found[name] for name in fact} == fact


@given(st.one_of(st.none(), st.integers(0, 6)), st.integers(0, 2**40), st.integers(1, 256))
def test_a_tile_has_one_path(level: int | None, index: int, width: int) -> None:
    tile = Tile(level, index, width)
    assert Tile.parse(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/5",
        "tile/0/0005",
        "tile/0/x000/005",
        "tile/00/005",
        "tile/0/005.p/256",
        "tile/0/005.p/0",
        "tile/0/005.p/01",
    ]
    + [
        "tile/8/0/005",
        "../tile/0/005",
        "tile/entries/",
        "tile/0/x001",
        "tile/0/٠٠٥",
        "checkpoint",
        "tile/0/" + "x000/" * 99 + "000",
    ],
)
def test_other_paths_name_no_tile(path: str) -> None:
    assert Tile.parse(path) is None


@given(st.lists(st.binary(max_size=300), max_size=12), st.integers(1, 5))
def test_bundles_come_apart_as_they_were(entries: list[bytes], cut: int) -> None:
    packed = bundle(entries)
    assert unbundle(packed) == entries
    torn = unbundle(packed[:-cut])
    assert torn == entries[: len(torn)]
    assert not entries or len(torn) < len(entries)


def test_an_entry_is_at_most_65535_bytes() -> None:
    assert unbundle(bundle([bytes(65_535)])) == [bytes(65_535)]
    with pytest.raises(UsageError):
        bundle([bytes(65_536)])


def test_a_directory_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    store = TileStore(tmp_path / "file")
    assert store.read("checkpoint") is None
    with pytest.raises(ConfigurationError):
        store.write("tile/0/000", b"x")
    assert TileStore(tmp_path / "absent").files() == []
    assert TileStore(tmp_path).read(".") is None


@pytest.fixture
def nested(tmp_path: Path) -> Iterator[Path]:
    """More folders inside one another than a stack holds calls, and one file in the last."""
    import os
    from subprocess import run

    deepest = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1_200):
        os.mkdir("d", dir_fd=deepest)
        inner = os.open("d", os.O_RDONLY, dir_fd=deepest)
        os.close(deepest)
        deepest = inner
    os.close(os.open("hidden", os.O_CREAT, dir_fd=deepest))
    os.close(deepest)
    yield tmp_path
    run(["rm", "-rf", tmp_path / "d"], check=True)  # what clears up after tests goes down by calls


def test_folders_nested_deeper_than_the_stack_hide_nothing(nested: Path) -> None:
    """Somebody who can write the export must not be able to make its verification raise."""
    assert TileStore(nested).files() == ["d/" * 1_200 + "hidden"]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "checkpoint")
    assert TileStore(tmp_path).read("checkpoint") is None
    assert TileStore(tmp_path).files() == ["checkpoint"]
