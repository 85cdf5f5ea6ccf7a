"""What callers get: references, descriptions, receipts; and what names, values and labels may be."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeGuard, Union

from ..core.canonical import canonical_json
from ..core.clock import aware, from_micros, to_micros
from ..core.errors import SecretTooLarge, TrustError, UsageError
from ..core.secret import Secret
from .rows import Head, SecretRow
from .typed import dumped, is_model

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["SecretInfo", "SecretRef", "Taken", "Value"]

# An instance of a pydantic model goes as well; a union cannot name it without loading pydantic.
Value = Union[str, bytes, Secret[str], Secret[bytes], "BaseModel"]
Kind = Literal["text", "bytes"]

LARGEST: Final = 65_536
LARGEST_VERSION: Final = 2**63 - 1
_LABELS_LARGEST: Final = 4_096
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._/-]{0,127}")
_TENANT_LONGEST: Final = 255


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Which secret, and which version was written."""

    tenant_id: str
    name: str
    version: int


@dataclass(frozen=True, slots=True)
class SecretInfo:
    """Everything about one version but its value, authenticated.

    Args:
        state: ``enabled``, ``disabled`` or ``destroyed``; whether it has expired is `not_after` against your clock.
        kind: ``text`` or ``bytes``.
        current: whether it is the version that `get` returns.
        revision: grows with every change of the secret.
        not_after: not served from then on. rotate_after: due for a new value from then on.
    """

    tenant_id: str
    name: str
    version: int
    state: str
    kind: str
    current: bool
    revision: int
    key_version: int
    created_at: datetime
    not_after: datetime | None
    rotate_after: datetime | None
    labels: Mapping[str, str]


def checked_address(tenant_id: object, name: object) -> None:
    """Refuses, never normalises: two spellings of one name would be two secrets to some and one to others."""
    checked_tenant(tenant_id)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UsageError("not a secret's name", hint="1 to 128 of a-z 0-9 . _ / - and a letter or digit first")


def checked_tenant(tenant_id: object) -> None:
    """A tenant id is opaque: 1 to 255 bytes of UTF-8 without NUL."""
    octets = _utf8(tenant_id) if isinstance(tenant_id, str) else None
    if not octets or len(octets) > _TENANT_LONGEST or b"\0" in octets:
        raise UsageError("not a tenant id", hint="a text of 1 to 255 bytes without NUL")


def storable(text: object) -> TypeGuard[str]:
    """Whether every database can hold a text: PostgreSQL has no NUL, and UTF-8 no lone surrogates."""
    return isinstance(text, str) and "\0" not in text and _utf8(text) is not None


class Taken:
    """A value that was handed in, or why it is none, out of sight: error reporters print the locals of every frame.

    It never raises when it is made, because the frame that makes it still holds the plaintext.
    """

    __slots__ = ("_fault", "_octets", "kind")

    def __init__(self, value: Value | Taken) -> None:
        self._fault: TrustError | None = None
        self._octets: Secret[bytes] = Secret(b"")
        self.kind: Kind = "text"
        if isinstance(value, Taken):
            self._fault, self._octets, self.kind = value._fault, value._octets, value.kind
            return
        try:
            octets, self.kind = _octets_of(value)
            self._octets = Secret(octets)
        except TrustError as error:
            self._fault = error.with_traceback(None)

    def octets(self) -> bytes:
        """The bytes. Raises `UsageError`, `SecretTooLarge`."""
        if self._fault is not None:
            raise self._fault
        return self._octets.reveal()

    def secret(self) -> Secret[str] | Secret[bytes]:
        """The value as readers get it. Raises as `octets`."""
        return Secret(self.octets()) if self.kind == "bytes" else Secret(self.octets().decode())


def _octets_of(value: Value) -> tuple[bytes, Kind]:
    if is_model(value):
        value = dumped(value)  # type: ignore[arg-type]  # asked for on the line above
    plain: object = value.reveal() if isinstance(value, Secret) else value
    octets = _utf8(plain) if isinstance(plain, str) else plain
    if octets is None and plain is not None:  # raised out here: a codec's own error holds the text
        raise UsageError("a secret's text has a lone surrogate", hint="store it as bytes")
    if not isinstance(octets, bytes):
        raise UsageError("a secret is str, bytes, Secret or a pydantic model")
    if len(octets) > LARGEST:
        raise SecretTooLarge(f"a secret is at most {LARGEST} bytes", hint="keep large files elsewhere, their key here")
    return octets, "text" if isinstance(plain, str) else "bytes"


def _utf8(text: str) -> bytes | None:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return None


def labels_text(labels: Mapping[str, str] | None) -> str:
    """Canonical JSON of labels. Raises `UsageError` for anything but short texts."""
    found = {} if labels is None else labels
    if not isinstance(found, Mapping) or not all(isinstance(text, str) for text in found.values()):
        raise UsageError("labels are a mapping of texts", hint='labels={"team": "billing"}')
    octets = canonical_json(dict(found))
    if len(octets) > _LABELS_LARGEST or b"\\u0000" in octets:
        raise UsageError(f"labels are at most {_LABELS_LARGEST} bytes of JSON")
    return octets.decode()


def micros_of(moment: datetime | None, name: str) -> int | None:
    """A time as rows hold it. Raises `UsageError` for a naive one, and for what is no time."""
    if moment is None:
        return None
    if not isinstance(moment, datetime):
        raise UsageError(f"{name} is a datetime", hint="datetime.now(UTC) + timedelta(hours=1)")
    return to_micros(aware(moment, name))


def info(head: Head, row: SecretRow) -> SecretInfo:
    """The description of an authenticated row."""
    labels: dict[str, Any] = json.loads(row.labels)
    return SecretInfo(
        row.tenant_id,
        row.name,
        row.version,
        row.state,
        row.kind,
        row.version == head.current,
        head.revision,
        row.key_version,
        from_micros(row.created_at),
        _moment(row.not_after),
        _moment(row.rotate_after),
        MappingProxyType(labels),
    )


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
