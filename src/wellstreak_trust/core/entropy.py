"""The randomness seam: the only place that asks the operating system for random bytes.

`os.urandom` alone, because a user-space generator would be copied by `fork()` and repeat itself in the child.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64encode
from datetime import datetime
from typing import Final, Protocol

__all__ = ["SYSTEM_ENTROPY", "Entropy", "SystemEntropy", "random_hex", "random_token", "uuid7", "uuid7_of"]

_TOKEN_OCTETS: Final = 32
_48_BITS: Final = (1 << 48) - 1
_VARIANT: Final = {f"{digit:x}": "89ab"[digit % 4] for digit in range(16)}  # the two bits of RFC 9562, 4.1


class Entropy(Protocol):
    """A source of unpredictable bytes."""

    def octets(self, count: int) -> bytes:
        """`count` random bytes."""
        ...


class SystemEntropy:
    """`os.urandom`."""

    __slots__ = ()

    def octets(self, count: int) -> bytes:
        """`count` bytes from the operating system's generator."""
        return os.urandom(count)


SYSTEM_ENTROPY: Final = SystemEntropy()


def random_token(octets: int = _TOKEN_OCTETS, *, entropy: Entropy = SYSTEM_ENTROPY) -> str:
    """Unpadded base64url of `octets` random bytes: 43 characters for the default 256 bits."""
    return urlsafe_b64encode(entropy.octets(octets)).rstrip(b"=").decode("ascii")


def random_hex(octets: int = 16, *, entropy: Entropy = SYSTEM_ENTROPY) -> str:
    """Lower-case hex of `octets` random bytes: an opaque id of 128 bits by default."""
    return entropy.octets(octets).hex()


def uuid7(moment: datetime, *, entropy: Entropy = SYSTEM_ENTROPY) -> str:
    """A version 7 UUID (RFC 9562, 5.7): sorts by time, 74 random bits."""
    return uuid7_of(int(moment.timestamp() * 1000), entropy=entropy)


def uuid7_of(milliseconds: int, *, entropy: Entropy = SYSTEM_ENTROPY) -> str:
    """`uuid7` of milliseconds since 1970-01-01 UTC."""
    millis = f"{milliseconds & _48_BITS:012x}"
    drawn = entropy.octets(10).hex()
    variant = _VARIANT[drawn[3]]
    return f"{millis[:8]}-{millis[8:]}-7{drawn[:3]}-{variant}{drawn[4:7]}-{drawn[7:19]}"
