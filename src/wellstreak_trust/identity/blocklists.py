"""Passwords that are known to others: a list in memory, and a corpus of breaches asked without telling the password."""

from __future__ import annotations

import gzip
import unicodedata
from collections.abc import Awaitable, Callable, Iterable
from hashlib import sha1
from inspect import isawaitable, iscoroutinefunction
from pathlib import Path
from typing import Final, Protocol

from ..core.errors import ConfigurationError, ProviderUnavailable, TrustError

__all__ = ["Blocklist", "RangeBlocklist", "WordBlocklist"]

_PREFIX: Final = 5
_DIGEST: Final = 40
_ANSWER_LIMIT: Final = 1_048_576

RangeFetch = Callable[[str], str | Awaitable[str]]


class Blocklist(Protocol):
    """Passwords that nobody may choose."""

    @property
    def suspends(self) -> bool:
        """Whether `holds` suspends."""
        ...

    async def holds(self, password: str, /) -> bool:
        """Whether this password, in NFC, is on the list.

        Raises:
            Unavailable: the list is out of reach.
        """
        ...


class WordBlocklist:
    """A list in memory; compared without regard to case.

    Args:
        words: whole passwords, such as the most common ones.
    """

    suspends: bool = False

    def __init__(self, words: Iterable[str]) -> None:
        self._words: frozenset[str] = frozenset(map(_folded, words))

    @classmethod
    def from_file(cls, path: str | Path) -> WordBlocklist:
        """One password a line, UTF-8, gzipped if the name ends in ``.gz``: Django brings a list of 20,000.

        Raises:
            ConfigurationError: no such file, or none that can be read.
        """
        try:
            octets = Path(path).read_bytes()
            text = (gzip.decompress(octets) if str(path).endswith(".gz") else octets).decode("utf-8")
        except (OSError, ValueError, EOFError):
            raise ConfigurationError("the list of passwords cannot be read", reason="blocklist") from None
        return cls(line for line in text.splitlines() if line)

    async def holds(self, password: str, /) -> bool:
        """See `Blocklist`."""
        return _folded(password) in self._words


class RangeBlocklist:
    """A corpus of breached passwords asked by k-anonymity, in the form of Have I Been Pwned's range search.

    Asked is for the first five hex digits of the password's SHA-1; the answer holds some hundred suffixes, each with a
    count, and the comparison is made here. Ask the service to pad its answers (``Add-Padding: true``), so that not even
    their length tells the prefix; padding has the count 0 and is ignored.

    Args:
        fetch: gives the answer's text for a prefix, ``SUFFIX:COUNT`` a line; may be a coroutine function. Give it a
            time-out.
        at_least: how often a password must have been seen to count.

    Raises:
        ConfigurationError: `at_least` below 1, which would count the padding.
    """

    def __init__(self, fetch: RangeFetch, *, at_least: int = 1) -> None:
        if at_least < 1:
            raise ConfigurationError("a breached password was seen at least once", reason="blocklist")
        self.suspends: bool = iscoroutinefunction(fetch)
        self._fetch: RangeFetch = fetch
        self._at_least: int = at_least

    async def holds(self, password: str, /) -> bool:
        """See `Blocklist`; whatever goes wrong on the way is `ProviderUnavailable`."""
        # SHA-1 is what the service speaks; it protects nothing here.
        found = sha1(password.encode("utf-8"), usedforsecurity=False).hexdigest().upper()
        try:
            given = self._fetch(found[:_PREFIX])
            answer = await given if isawaitable(given) else given
            return _count(answer, found[_PREFIX:]) >= self._at_least
        except TrustError:
            raise
        except Exception as error:
            kind = type(error).__name__  # the text of an HTTP error may hold the address with the prefix
            raise ProviderUnavailable(f"the list of breached passwords: {kind}") from None


def _count(answer: str, suffix: str) -> int:
    """How often the suffix was seen; an answer of another shape is no answer."""
    if len(answer) > _ANSWER_LIMIT:
        raise ValueError("too long")
    lines = answer.split()
    if not lines:
        raise ValueError("empty")
    seen = 0
    for line in lines:
        digest, _, count = line.partition(":")
        if len(digest) != _DIGEST - _PREFIX or not (count.isascii() and count.isdigit()):
            raise ValueError("not a range")
        seen = max(seen, int(count)) if digest.upper() == suffix else seen
    return seen


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()
