"""An audit store in a directory: for one machine, without a database.

::

    journal                       every append, of all trees, in order: see `journal`
    lock                          who reads or writes holds it (flock); not empty once there is a journal
    signed/<hash of origin>       size, root and note of the last checkpoint
    subjects/<tenant>/<subject>   a key (``.key``) and what is sealed under it (``.sealed``); tenants hashed
    cursors/<sink>/<tenant>       how far a sink has come, both names hashed

A payload of the journal is ``A`` and a bundle of leaves (one append, all trees of it or none), or ``P``, which a
pruning writes in place of the leaves that went: their tenant and their hashes.

The index is in memory, about 200 bytes a leaf, and is read from the journal when a process first asks. Processes
take turns by the lock and read what others have written before they write. A torn end is cut and told as
``audit.tail_cut`` on the trail of ``system``; it is never the reason to start from nothing.
"""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from threading import Lock
from time import sleep
from typing import Any, ClassVar, Final

from ..core.canonical import canonical_json
from ..core.clock import SystemClock, to_micros
from ..core.errors import AuditForkDetected, ConfigurationError, StoreUnavailable
from ..core.event import AuditEvent
from ..core.processes import PerProcess
from .directory_people import DirectoryPeople
from .event import Draft, content_digest, draft
from .grove import Tree
from .journal import Journal, store_file, sync_directory, unavailable
from .sealed import SealedFiles
from .store import SPINE, Batch, Head, Leaf, Signed, by_tenant, prunable, require_free, sequence, split_known
from .tiles import bundle, unbundle
from .tree import HASH_OCTETS, leaf_hash

__all__ = ["DirectoryAuditStore"]

_PATIENCE: Final = timedelta(seconds=5)
_POLL: Final = 0.001
_SECOND: Final = timedelta(seconds=1)
_CLOCK: Final = SystemClock()
_LENGTH_BITS: Final = 17
_APPENDED, _PRUNED = b"A", b"P"
Rows = Tree[int]


class _State:
    """What one process knows of the directory."""

    def __init__(self, directory: Path) -> None:
        self.turn: Lock = Lock()
        self.lock: int = -1
        self.journal: Journal = Journal(directory / "journal")
        self.trees: dict[str, Rows] = {}


class DirectoryAuditStore(DirectoryPeople):
    """`AuditStore` and `SubjectStore` in a directory of its own, on a local file system.

    Raises:
        StoreUnavailable: on every verb, where the directory cannot be read or written.
    """

    suspends: ClassVar[bool] = False

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory: Path = Path(directory)
        self._sealed: SealedFiles = SealedFiles(self.directory / "subjects")
        self._states: PerProcess[_State] = PerProcess(lambda: _State(self.directory))

    async def append_batch(
        self, drafts: Sequence[Draft], *, now: Callable[[], datetime], deadline: timedelta
    ) -> list[Leaf]:
        """As `AuditStore.append_batch`."""
        with self._held(deadline, now) as state:
            found: dict[tuple[str, str], Leaf] = {}
            fresh, batches = [], []
            recorded_at = now()
            for tenant_id, group in by_tenant(drafts):
                tree = state.trees.get(tenant_id) or _tree()
                known = {one.id: self._leaf(state, tree, tree.places[one.id]) for one in group if one.id in tree.places}
                new, standing = split_known(group, known)
                found.update(((tenant_id, leaf.id), leaf) for leaf in standing)
                if new:
                    batch = sequence(tree.size, tree.edge, new, recorded_at)
                    batches.append((tenant_id, tree, batch))
                    fresh += list(zip(new, batch.leaves, strict=True))
            if batches:
                self._sealed.add(fresh)  # first: without its leaf a sealed value is nothing, and is never shown
                self._commit(state, batches)
            found.update(((leaf.tenant_id, leaf.id), leaf) for _, leaf in fresh)
            return [found[one.tenant_id, one.id] for one in drafts]

    def _commit(self, state: _State, batches: Sequence[tuple[str, Rows, Batch]]) -> None:
        leaves = [leaf for _, _, batch in batches for leaf in batch.leaves]
        at = state.journal.append(_APPENDED + bundle(leaf.leaf for leaf in leaves))
        rows = iter(_rows(at + len(_APPENDED), [leaf.leaf for leaf in leaves]))
        for tenant_id, tree, batch in batches:
            state.trees[tenant_id] = tree
            tree.grow(batch, [next(rows) for _ in batch.leaves])

    # --- reading -----------------------------------------------------------------------------------------------------

    async def head(self, tenant_id: str) -> Head:
        """As `AuditStore.head`."""
        with self._held() as state:
            tree = state.trees.get(tenant_id)
            return tree.head() if tree else Head()

    async def heads(self, after: str, limit: int, *, unnoted: bool = False) -> list[tuple[str, Head]]:
        """As `AuditStore.heads`; what was noted is known to this process alone, and noting twice does no harm."""
        with self._held() as state:
            wanted = [
                tenant_id
                for tenant_id, tree in state.trees.items()
                if tenant_id > after and tenant_id != SPINE and (tree.grown or not unnoted)
            ]
            return [(tenant_id, state.trees[tenant_id].head()) for tenant_id in sorted(wanted)[:limit]]

    async def noted(self, sizes: Mapping[str, int]) -> None:
        """As `AuditStore.noted`."""
        with self._held() as state:
            for tenant_id, size in sizes.items():
                tree = state.trees.get(tenant_id)
                if tree is not None and tree.size == size:
                    tree.grown = False

    async def leaves(self, tenant_id: str, start: int, stop: int) -> list[Leaf]:
        """As `AuditStore.leaves`."""
        with self._held() as state:
            tree = state.trees.get(tenant_id)
            if tree is None:
                return []
            places = range(max(start, tree.first), min(stop, tree.size))
            return [self._leaf(state, tree, seq) for seq in places]

    async def latest(self, tenant_id: str, actor: str) -> Leaf | None:
        """As `AuditStore.latest`."""
        with self._held() as state:
            tree = state.trees.get(tenant_id)
            seq = tree.lasts.get(actor) if tree else None
            return None if tree is None or seq is None else self._leaf(state, tree, seq)

    async def tile(self, tenant_id: str, level: int, index: int) -> bytes:
        """As `AuditStore.tile`."""
        with self._held() as state:
            tree = state.trees.get(tenant_id)
            return tree.tile(level, index) if tree else b""

    # --- what was signed ---------------------------------------------------------------------------------------------

    async def signed(self, origin: str) -> Signed | None:
        """As `AuditStore.signed`."""
        with self._held():
            return self._read_signed(origin)

    async def swap_signed_if(self, origin: str, old: Signed | None, new: Signed) -> bool:
        """As `AuditStore.swap_signed_if`."""
        with self._held():
            if self._read_signed(origin) != old:
                return False
            row = canonical_json({"size": new.size, "root": new.root.hex(), "note": new.note})
            store_file(self._signed_path(origin), row)
            return True

    def _read_signed(self, origin: str) -> Signed | None:
        try:
            row = json.loads(self._signed_path(origin).read_bytes())
            return Signed(row["size"], bytes.fromhex(row["root"]), row["note"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise AuditForkDetected("what was signed cannot be read", hint="restore it from a copy") from None

    def _signed_path(self, origin: str) -> Path:
        return self.directory / "signed" / sha256(origin.encode()).hexdigest()

    # --- retention --------------------------------------------------------------------------------------

    async def prune(self, tenant_id: str, below: int) -> int:
        """As `AuditStore.prune`: the journal is written anew without the leaves, which takes its whole length."""
        with self._held() as state:
            tree = state.trees.get(tenant_id)
            if tree is None:
                return 0
            require_free(self._sealed.holds(tenant_id))
            first = prunable(tree.head(), below)
            if first > tree.first:
                tree.prune(first)
                try:
                    self._rewrite(state)
                finally:
                    state.journal.close()  # the index is read anew, whatever stands now
                self._sealed.prune(tenant_id, first)
            return first

    def _rewrite(self, state: _State) -> None:
        path = self.directory / "journal"
        beside = path.with_name("journal.new")
        beside.unlink(missing_ok=True)
        fresh = Journal(beside)
        fresh.opened()
        for tenant_id, tree in state.trees.items():
            if tree.first:
                name = tenant_id.encode()
                hashes = bytes(tree.hashes[: tree.first * HASH_OCTETS])
                fresh.append(_PRUNED + len(name).to_bytes(2, "big") + name + hashes)
        for tree in state.trees.values():
            for start in range(tree.first, tree.size, 1_000):
                page = [self._octets(state, row) for row in tree.range(start, start + 1_000)]
                fresh.append(_APPENDED + bundle(page))
        fresh.close()
        beside.replace(path)
        sync_directory(self.directory)

    # --- the lock and the index --------------------------------------------------------------------------------------

    @contextmanager
    def _held(self, deadline: timedelta = _PATIENCE, now: Callable[[], datetime] | None = None) -> Iterator[_State]:
        """The state of this process, up to date, while nobody else writes."""
        state, begun = self._states.here, _CLOCK.monotonic_ns()
        if not state.turn.acquire(timeout=deadline / _SECOND):
            raise StoreUnavailable("audit directory: another thread holds it", hint="it hangs, or is written too fast")
        try:
            with self._alone(state, begun + int(deadline / _SECOND * 1e9)):
                self._load(state, anew=self._opened(state), now=now)
                yield state
        except OSError as error:
            raise unavailable(error) from None
        finally:
            state.turn.release()

    @contextmanager
    def _alone(self, state: _State, ends: int) -> Iterator[None]:
        """No other process is in here."""
        try:
            import fcntl
        except ImportError:
            raise ConfigurationError("a directory store needs flock", hint="use SqlAuditStore on this system") from None
        if state.lock < 0:
            self.directory.mkdir(parents=True, exist_ok=True)
            state.lock = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        while True:
            try:
                fcntl.flock(state.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if _CLOCK.monotonic_ns() >= ends:
                    raise StoreUnavailable("audit directory: another process holds it", hint="it hangs") from None
                sleep(_POLL)
        try:
            yield
        finally:
            fcntl.flock(state.lock, fcntl.LOCK_UN)

    def _opened(self, state: _State) -> bool:
        """Opens the journal; only a directory that never had one gets a new one."""
        begun = os.pread(state.lock, 1, 0) != b""
        anew = state.journal.opened(begun=begun)
        if not begun:
            os.pwrite(state.lock, b"begun\n", 0)
            os.fsync(state.lock)
        return anew

    def _load(self, state: _State, *, anew: bool, now: Callable[[], datetime] | None = None) -> None:
        """Reads what is new; who may write cuts a torn end and records that it did."""
        if anew:
            state.trees = {}
        try:
            for at, payload in state.journal.records():
                if payload.startswith(_PRUNED):
                    _take_pruned(state, payload)
                else:
                    _take_appended(state, at, payload)
        except BaseException:
            state.journal.close()  # what is half read is read again, and refused again
            raise
        if now is not None and (octets := state.journal.cut()):
            told = AuditEvent(
                "audit.tail_cut",
                "error",
                "system",
                {"id": "audit", "kind": "system"},
                data={"octets": octets},
                occurred_at=now(),
            )
            tree = state.trees.get("system") or _tree()
            self._commit(state, [("system", tree, sequence(tree.size, tree.edge, [draft(told)], now()))])

    def _octets(self, state: _State, row: int) -> bytes:
        return state.journal.read(row >> _LENGTH_BITS, row & (1 << _LENGTH_BITS) - 1)

    def _leaf(self, state: _State, tree: Rows, seq: int) -> Leaf:
        octets = self._octets(state, tree.row(seq))
        hashed = bytes(tree.hashes[seq * HASH_OCTETS : (seq + 1) * HASH_OCTETS])
        try:
            return _parsed(octets, seq, hashed)
        except (ValueError, TypeError, KeyError):
            raise AuditForkDetected(f"leaf {seq} cannot be read", hint="run verify on this log") from None


def _tree() -> Rows:
    return Tree[int](array("Q"))


def _at(tree: Rows, id: str) -> int | None:
    return tree.places.get(id)


def _rows(at: int, entries: Sequence[bytes]) -> Iterator[int]:
    """Where each entry of a bundle lies, and how long it is, in one number."""
    for entry in entries:
        at += 2
        yield at << _LENGTH_BITS | len(entry)
        at += len(entry)


def _take_appended(state: _State, at: int, payload: bytes) -> None:
    entries = unbundle(payload[len(_APPENDED) :])
    for row, octets in zip(_rows(at + len(_APPENDED), entries), entries, strict=True):
        try:
            fields = json.loads(octets)
            tree = state.trees.setdefault(fields["tenant_id"], _tree())
            seq, id, actor = fields["seq"], fields["id"], fields["actor"]["id"]
            recorded_at = to_micros(datetime.fromisoformat(fields["recorded_at"]))
        except (ValueError, TypeError, KeyError):
            raise AuditForkDetected("an entry of the journal is no event", hint="run verify on this log") from None
        if seq != tree.size:
            raise AuditForkDetected("a leaf stands elsewhere than where the tree ends", hint="run verify on this log")
        tree.places[id] = tree.lasts[actor] = seq
        tree.rows.append(row)
        tree.add(leaf_hash(octets), recorded_at)


def _take_pruned(state: _State, payload: bytes) -> None:
    length = int.from_bytes(payload[1:3], "big")
    tree = state.trees.setdefault(payload[3 : 3 + length].decode(), _tree())
    hashes = payload[3 + length :]
    for at in range(0, len(hashes), HASH_OCTETS):
        tree.add(hashes[at : at + HASH_OCTETS], 0)
    tree.first = tree.size


def _parsed(octets: bytes, seq: int, hashed: bytes) -> Leaf:
    fields: dict[str, Any] = json.loads(octets)
    occurred_at = to_micros(datetime.fromisoformat(fields["occurred_at"]))
    return Leaf(
        fields["tenant_id"],
        seq,
        fields["id"],
        fields["action"],
        fields["actor"]["id"],
        fields["outcome"],
        occurred_at,
        content_digest(octets) or b"",
        octets,
        hashed,
    )
