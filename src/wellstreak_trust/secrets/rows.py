"""What a backend stores, and the verbs that a backend must make atomic.

Rows are named tuples of exactly what the database holds (times as microseconds since 1970 UTC, signed 64 bits), because
those are the facts that are authenticated. What comes out of a database is not trusted: `checked_*` compare every type
and range before anything else looks at a row, so that an edited one is `SecretTampered` and never a `TypeError`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Final, Literal, NamedTuple, NoReturn, Protocol

from ..core.errors import SecretTampered

__all__ = [
    "Change",
    "Head",
    "KeyBackend",
    "Listed",
    "Locked",
    "Resealed",
    "Rewrite",
    "Rule",
    "SecretBackend",
    "SecretRow",
    "Stored",
    "TenantKeyRow",
    "Whole",
    "checked_head",
    "checked_key",
    "checked_row",
]


class TenantKeyRow(NamedTuple):
    """``wst_tenant_key``: a tenant key, wrapped under a KEK; `wrapped` is None once it is destroyed."""

    tenant_id: str
    version: int
    kek_uri: str
    wrapped: bytes | None
    check_value: bytes
    state: str
    created_at: int


class Head(NamedTuple):
    """``wst_secret``: which version is current, and how often anything changed (`revision`).

    The lease columns are about availability only and not authenticated.
    """

    tenant_id: str
    name: str
    current: int
    revision: int
    key_version: int
    lease_owner: str | None
    lease_until: int | None
    head_mac: bytes


class SecretRow(NamedTuple):
    """``wst_secret_version``: one version; `envelope` is None once it is destroyed. `labels` is canonical JSON."""

    tenant_id: str
    name: str
    version: int
    envelope: bytes | None
    kind: str
    key_version: int
    state: str
    created_at: int
    not_after: int | None
    rotate_after: int | None
    labels: str
    row_mac: bytes


class Stored(NamedTuple):
    """One secret as read in one statement.

    Args:
        current: the row that the head points at, with `key`, the tenant key of that row.
        wanted: the version that was asked for, with `wanted_key`; the same as `current` where none was named.
    """

    head: Head
    current: SecretRow | None
    key: TenantKeyRow | None
    wanted: SecretRow | None
    wanted_key: TenantKeyRow | None


Listed = tuple[Stored, ...]


class Locked(NamedTuple):
    """What a rule decides over: all keys of the tenant, and the secret if there is one."""

    keys: tuple[TenantKeyRow, ...]
    head: Head | None
    current: SecretRow | None
    wanted: SecretRow | None


class Change(NamedTuple):
    """What a rule decided: the new head, and the rows to write.

    Args:
        row: the version that the change is about. write: whether that row is new, stands already, or only the head is
            written (a lease), or nothing at all.
        also: a second version that stands and changes with it.
    """

    head: Head
    row: SecretRow
    write: Literal["insert", "update", "head", "nothing"]
    also: SecretRow | None = None


class Whole(NamedTuple):
    """One secret with all its versions, as read in one statement; no head where versions are left without one."""

    name: str
    head: Head | None
    rows: tuple[SecretRow, ...]


class Resealed(NamedTuple):
    """One secret under another tenant key: the new head and the rows that changed."""

    head: Head
    rows: tuple[SecretRow, ...]


Rule = Callable[[Locked], Change]
Rewrite = Callable[[Whole], Resealed | None]


class KeyBackend(Protocol):
    """Where tenant keys live. Every verb is one transaction."""

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    async def claim_store(self, candidate: str, created_at: int, /) -> str:
        """The id of this store: `candidate` if there was none, else the one that stands."""
        ...

    async def claim_key(self, row: TenantKeyRow, /) -> TenantKeyRow:
        """Stores a tenant's key unless that version exists; returns the one that stands.

        A tenant whose keys were all destroyed gets none: the newest of those is returned.
        """
        ...

    async def tenants(self, after: str, limit: int, /) -> tuple[str, ...]:
        """Tenants that have keys or secrets, beyond `after`, by code points."""
        ...

    async def keys_of(self, tenant_id: str, /) -> tuple[TenantKeyRow, ...]:
        """All keys of a tenant by version, destroyed ones too."""
        ...

    async def keys_in_use(self, tenant_id: str, /) -> frozenset[int]:
        """The key versions that a tenant's secrets are under."""
        ...

    async def turn_key_if(self, fresh: TenantKeyRow, /) -> bool:
        """Makes `fresh` the one active key if it follows the tenant's newest; live older ones only decrypt from then.

        A tenant whose keys were all destroyed gets none.
        Waits for writes that still seal under an older key.
        """
        ...

    async def keys_outside(self, kek_uri: str, after: tuple[str, int], limit: int, /) -> tuple[TenantKeyRow, ...]:
        """Live keys not wrapped under `kek_uri`, beyond (tenant, version) `after`, in that order."""
        ...

    async def rewrap_if(self, moves: Sequence[tuple[TenantKeyRow, TenantKeyRow]], /) -> int:
        """Puts uri and wrapped bytes of each new row where the old one still stands; how many did."""
        ...

    async def retire_keys(self, tenant_id: str, /) -> tuple[int, ...]:
        """Destroys keys that only decrypt and that no secret is under any more; their versions."""
        ...

    async def shred(self, tenant_id: str, /) -> tuple[tuple[int, ...], int]:
        """Destroys all wrapped keys of a tenant; the versions destroyed now, and how many secrets they held.

        A key that is being added meanwhile is destroyed too, or not added.
        """
        ...


class SecretBackend(KeyBackend, Protocol):
    """Where secrets and their tenants' keys live. Every verb is one transaction."""

    async def read(self, tenant_id: str, name: str, version: int | None, /) -> Stored | None:
        """One secret, in one statement; None where there is no head."""
        ...

    async def whole(self, tenant_id: str, name: str, /) -> Whole:
        """One secret with all its versions in their order, in one statement."""
        ...

    async def names(self, tenant_id: str, after: str, limit: int, /) -> tuple[str, ...]:
        """Names beyond `after` that have a head, a version or both, by code points."""
        ...

    async def list(self, tenant_id: str, after: str, limit: int, /) -> Listed:
        """Secrets with names beyond `after`, by the code points of their names, at their current version."""
        ...

    async def change(self, tenant_id: str, name: str, version: int | None, rule: Rule, /) -> Change:
        """Locks, lets `rule` decide, writes head and rows; the head only where `revision` is still what was seen.

        The rule is pure but for what it raises, may run again after a clash, and its error undoes everything.
        """
        ...

    async def rewrite(self, tenant_id: str, key_version: int, after: str, limit: int, rule: Rewrite, /) -> str | None:
        """Locks the next secrets that are not wholly under a key, lets `rule` decide each, writes what it gives.

        One transaction over at most `limit` secrets with names beyond `after`.

        A rule gives the new head and the rows that changed, or None. What a new tenant key changes is written:
        envelopes, key versions, codes and the revision. Returns the last name locked, None where there was none.
        """
        ...


# --- shape -----------------------------------------------------------------------------------------------------------

_Types = tuple[type, ...]


def _shapes(*columns: _Types) -> frozenset[_Types]:
    """Every combination of the types that the columns may hold: one look-up tells whether a row is one of them."""
    return frozenset(product(*columns))


_TEXT: Final = (str,)
_BYTES: Final = (bytes,)
_INT: Final = (int,)
_NONE: Final = (type(None),)
_KEY_SHAPES: Final = _shapes(_TEXT, _INT, _TEXT, _BYTES + _NONE, _BYTES, _TEXT, _INT)
_HEAD_SHAPES: Final = _shapes(_TEXT, _TEXT, _INT, _INT, _INT, _TEXT + _NONE, _INT + _NONE, _BYTES)
_ROW_SHAPES: Final = _shapes(
    *(_TEXT, _TEXT, _INT, _BYTES + _NONE, _TEXT, _INT),
    *(_TEXT, _INT, _INT + _NONE, _INT + _NONE, _TEXT, _BYTES),
)
_KEY_STATES: Final = frozenset(("active", "decrypt_only", "destroyed"))
_STATES: Final = frozenset(("enabled", "disabled", "destroyed"))
_KINDS: Final = frozenset(("text", "bytes"))


def checked_key(row: TenantKeyRow) -> TenantKeyRow:
    """The row, if it can be one; raises `SecretTampered`."""
    sound = tuple(map(type, row)) in _KEY_SHAPES and row.state in _KEY_STATES and 0 < row.version < 2**32
    return row if sound and (row.wrapped is None) == (row.state == "destroyed") else _refuse("tenant key")


def checked_head(head: Head) -> Head:
    """The head, if it can be one; raises `SecretTampered`."""
    sound = (
        tuple(map(type, head)) in _HEAD_SHAPES
        and head.current > 0
        and head.revision > 0
        and 0 < head.key_version < 2**32
    )
    return head if sound else _refuse("head")


def checked_row(row: SecretRow) -> SecretRow:
    """The row, if it can be one; raises `SecretTampered`."""
    sound = tuple(map(type, row)) in _ROW_SHAPES and row.version > 0 and 0 < row.key_version < 2**32
    sound = sound and row.kind in _KINDS and row.state in _STATES
    return row if sound and (row.envelope is None) == (row.state == "destroyed") else _refuse("version")


def _refuse(what: str) -> NoReturn:
    raise SecretTampered(f"a stored {what} row is not one", hint="compare it with a backup: it was edited")
