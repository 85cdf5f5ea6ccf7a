"""A trail in a parcel: what a tenant or an auditor is given, and can verify without us.

::

    README.md         what this is and how to verify it
    verify_trail.py   the verifier; needs Python and nothing else
    events.jsonl      every event, one leaf a line, for reading and searching
    trail/            the tree: checkpoint and tiles, and nothing that they do not cover
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from ..core.clock import rfc3339
from ..core.errors import ConfigurationError, UsageError
from .checkpoint import Checkpoint
from .export import Progress, export_tree
from .standalone import SCRIPT, standalone_verifier
from .store import AuditStore, leaves_of
from .tiles import TileStore

__all__ = ["Bundle", "keep_bundle", "require_nothing_at"]

_README: Final = """# An audit trail that you can verify

Made {made} UTC. Tree `{origin}`, {size} events{pruned}.

`trail/` holds the tree as static files (c2sp.org/tlog-tiles) under a signed checkpoint. `events.jsonl` holds the same
events, one a line, for reading and searching; it proves nothing by itself. Where an event reads `{{"_sd": ...}}`, a
personal value stood, which is not part of this parcel.

## Verify

Get the verifier key from the operator over another way than this parcel: a contract, a web page, a phone call. Then:

    python3 {script} trail --key '<verifier key>'{minimum}

If you kept a checkpoint from an earlier parcel, add `--pinned old-checkpoint`: then nothing that it covers can have
been changed, removed or reordered since. Keep `trail/checkpoint` of this parcel for the next time.

You need not trust `{script}`: it is short enough to read, and any tool for C2SP tiles and signed notes does the same.
"""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What `AuditLog.bundle` answers.

    Args:
        path: the folder or file.
        checkpoint: the signed note of what is inside.
        events: how many events it holds.
    """

    path: Path
    checkpoint: str
    events: int


def require_nothing_at(target: Path) -> None:
    """Raises `UsageError` where something stands: a parcel is made once and not added to."""
    if target.exists():
        raise UsageError("something stands there already", hint="a path of its own")


async def keep_bundle(
    store: AuditStore, tenant_id: str, note: str, target: Path, *, made_at: datetime, progress: Progress | None
) -> Bundle:
    """Writes a bundle; a folder or zip file that is there is whole.

    Raises:
        ConfigurationError: it cannot be written.
        AuditForkDetected: the store lacks a part of the signed tree.
    """
    from tempfile import TemporaryDirectory  # here, because few processes ever make a parcel

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as draft:
            folder = Path(draft, "bundle")
            count = await _fill(store, tenant_id, note, folder, made_at=made_at, progress=progress)
            _place(folder, target)
    except OSError as error:
        raise ConfigurationError(
            f"the bundle cannot be written ({type(error).__name__})", hint="a writable folder", reason="audit_export"
        ) from None
    return Bundle(target, note, count)


async def _fill(
    store: AuditStore, tenant_id: str, note: str, folder: Path, *, made_at: datetime, progress: Progress | None
) -> int:
    tree, first = Checkpoint.unverified(note), (await store.head(tenant_id)).first
    await export_tree(store, tenant_id, note, TileStore(folder / "trail"), progress)
    (folder / SCRIPT).write_text(standalone_verifier(), encoding="utf-8")
    text = _README.format(
        made=rfc3339(made_at)[:16].replace("T", " "),
        origin=tree.origin,
        size=tree.size,
        pruned=f", of which the first {first} are archived and known by their hashes" if first else "",
        minimum=f" --minimum-index {first}" if first else "",
        script=SCRIPT,
    )
    (folder / "README.md").write_text(text, encoding="utf-8")
    count = 0
    with (folder / "events.jsonl").open("wb") as lines:
        async for leaf in leaves_of(store, tenant_id, stop=tree.size):
            lines.write(leaf.leaf + b"\n")
            count += 1
    return count


def _place(folder: Path, target: Path) -> None:
    if target.suffix != ".zip":
        folder.replace(target)
        return
    from zipfile import ZIP_DEFLATED, ZipFile

    draft = folder.with_suffix(".zip")
    with ZipFile(draft, "w", ZIP_DEFLATED) as packed:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                packed.write(file, file.relative_to(folder).as_posix())
    draft.replace(target)
