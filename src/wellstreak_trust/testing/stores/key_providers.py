"""What every holder of a key-encryption key must do; run it against your own.

Each check is a plain function over a provider that is up and whose key is enabled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ...core.errors import EnvelopeUnsupported, SecretTampered
from ...secrets.keyring import KeyContext, KeyProvider

__all__ = [
    "CHECKS",
    "a_wrapped_key_is_bound_to_its_context",
    "a_wrapped_key_tells_nothing",
    "bytes_that_were_changed_are_tampering",
    "its_name_is_stable_and_shows_no_key",
    "junk_is_tampering",
    "keys_come_back",
]

_CONTEXT: Final = KeyContext("5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c", "tenant-é", 1)
_KEY: Final = bytes(range(64))


def keys_come_back(provider: KeyProvider) -> None:
    """Under the context that they were wrapped with, whatever characters a tenant's id has."""
    for context in (_CONTEXT, KeyContext("s", "t/%2f\n\U0001f511", 2**32 - 1), KeyContext("s", "t" * 255, 7)):
        assert provider.unwrap(provider.wrap(_KEY, context), context) == _KEY
    other = bytes(64)
    blob = provider.wrap(other, _CONTEXT)
    assert type(blob) is bytes
    assert provider.unwrap(blob, _CONTEXT) == other


def a_wrapped_key_is_bound_to_its_context(provider: KeyProvider) -> None:
    """Another store, tenant, version or purpose, and boundaries that move, do not open it."""
    blob = provider.wrap(_KEY, KeyContext("store", "ab", 12))
    others = (
        *(KeyContext("other", "ab", 12), KeyContext("store", "AB", 12), KeyContext("store", "ab", 13)),
        *(KeyContext("store", "ab", 12, "value/text"), KeyContext("storea", "b", 12), KeyContext("store", "a", 12)),
    )
    assert [context for context in others if not _refuses(provider, blob, context)] == []


def bytes_that_were_changed_are_tampering(provider: KeyProvider) -> None:
    """A flipped bit in each part of the blob, a byte less, a byte more."""
    blob = provider.wrap(_KEY, _CONTEXT)
    step = max(1, len(blob) // 16)
    spoilt = [blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :] for at in range(0, len(blob), step)]
    spoilt += [blob[:-1], blob[: len(blob) // 2], blob + b"\0", blob + blob]
    assert [octets for octets in spoilt if not _refuses(provider, octets, _CONTEXT)] == []


def junk_is_tampering(provider: KeyProvider) -> None:
    """Nothing, text, another format, more bytes than any key service takes."""
    for junk in (b"", b"\0", b"vault:v1:", "é".encode(), b"WS\x01\x01\x00" + bytes(180), bytes(20_000)):
        assert _refuses(provider, junk, _CONTEXT), f"{len(junk)} bytes were unwrapped"


def a_wrapped_key_tells_nothing(provider: KeyProvider) -> None:
    """Two wrappings of one key differ, and neither holds it."""
    first, second = provider.wrap(_KEY, _CONTEXT), provider.wrap(_KEY, _CONTEXT)
    assert first != second
    assert _KEY[:16] not in first + second


def its_name_is_stable_and_shows_no_key(provider: KeyProvider) -> None:
    """Rows carry the uri; logs carry the repr; an operator reads the status."""
    scheme, _, rest = provider.uri.partition(":")
    assert scheme
    assert rest
    status = provider.status()
    assert (status.uri, status.state) == (provider.uri, "ready")
    assert type(provider.blocking) is bool
    assert repr(provider) == f"{type(provider).__name__}({provider.uri!r})"


def _refuses(provider: KeyProvider, blob: bytes, context: KeyContext) -> bool:
    try:
        provider.unwrap(blob, context)
    except (SecretTampered, EnvelopeUnsupported):
        return True
    return False


CHECKS: Final[tuple[Callable[[KeyProvider], None], ...]] = (
    keys_come_back,
    a_wrapped_key_is_bound_to_its_context,
    bytes_that_were_changed_are_tampering,
    junk_is_tampering,
    a_wrapped_key_tells_nothing,
    its_name_is_stable_and_shows_no_key,
)
