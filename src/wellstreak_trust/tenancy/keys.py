"""`TenantKey`: names in stores that all tenants share (caches, buckets, locks, topics), bound to the tenant of the
running code when they are made.

Gluing a tenant and a name together collides: ``a`` + ``b:c`` is ``a:b`` + ``c``. Here every part is escaped, and parts
are joined by a separator that no escaped part contains, so that a text stands for one list of parts::

    ("t", tenant, name, *parts)              of a tenant
    ("c", tenant, company, name, *parts)     of a company inside it

An escaped part keeps ``A-Z a-z 0-9 -`` and dots that do not lead; ``_`` is ``__``, every other octet of its UTF-8 is
``_`` and two upper-case hex digits, and the empty part is ``_``. That is safe in every target:

============  =========  ======  ==========================================================================
target        separator  octets  for
============  =========  ======  ==========================================================================
``cache``     ``:``      250     Redis, memcached (no spaces, no controls)
``object``    ``/``      1024    S3 and its likes; no part is ``.``, ``..`` or empty
``topic``     ``.``      249     Kafka, NATS, channels; dots inside parts are escaped too
``lock``                         a signed 64-bit number, for ``pg_advisory_lock``
============  =========  ======  ==========================================================================

A cache key or topic that would be too long keeps tenant and name and stands for its parts by ``_-`` and their SHA-256;
it can be told from every other, but not read back.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from hashlib import sha256
from typing import Any, Final, Literal

from ..core.canonical import length_prefixed
from ..core.errors import NotFound, UsageError
from .context import require_tenant

__all__ = ["TenantKey", "django_cache_key", "memo_key"]

Target = Literal["cache", "object", "topic"]

_SEPARATORS: Final[dict[str, str]] = {"cache": ":", "object": "/", "topic": "."}
_LONGEST: Final[dict[str, int]] = {"cache": 250, "object": 1024, "topic": 249}
_DIGEST: Final = "_-"  # never part of an escaped text: after "_" comes "_", a hex digit or the end
_DIGESTED: Final = re.compile(_DIGEST + "[0-9a-f]{64}")
_UNSAFE: Final = re.compile(rb"^\.|[^A-Za-z0-9.-]")
_UNSAFE_IN_TOPICS: Final = re.compile(rb"[^A-Za-z0-9-]")
_ESCAPED: Final = re.compile(r"_(_|[0-9A-F]{2})")


class TenantKey:
    """A name that every tenant has for itself, such as ``TenantKey("report")``; made once, at import.

    Each method binds it to `require_tenant()` when it is called.

    Args:
        name: what it names; not empty.
        company: bind it to the company inside the tenant as well, and refuse to work outside one.

    Raises:
        UsageError: a name that is no text, or empty. From the methods: parts that are no text, a context without
            company, or a key that is too long for its target.
        NoTenant: from the methods, outside every scope.
    """

    __slots__ = ("_company", "_name")

    def __init__(self, name: str, *, company: bool = False) -> None:
        if not isinstance(name, str) or not name:
            raise UsageError("a tenant key has a name", hint="TenantKey('report')")
        self._name: str = name
        self._company: bool = company

    def cache(self, *parts: str) -> str:
        """A cache key of at most 250 octets."""
        return self._text("cache", parts)

    def object(self, *parts: str) -> str:
        """The name of an object in a bucket, at most 1,024 octets. Its first two segments are the tenant's prefix."""
        return self._text("object", parts)

    def topic(self, *parts: str) -> str:
        """The name of a topic, queue or channel, at most 249 octets."""
        return self._text("topic", parts)

    def lock(self, *parts: str) -> int:
        """A signed 64-bit number: SHA-256 over all parts, cut.

        Among 2^32 locks two are the same by chance; then one waits for the other, nothing else.
        """
        digest = sha256(length_prefixed("wellstreak-trust/tenant-lock/v1", *self._bound(), *_texts(parts))).digest()
        return int.from_bytes(digest[:8], "big", signed=True)

    def belongs(self, text: str, target: Target = "cache") -> bool:
        """Whether `text` is a key of this name in the running code's tenant. Any other text is not; nothing raises."""
        return self._tail(text, target) is not None

    def parts(self, text: str, target: Target = "cache") -> tuple[str, ...]:
        """The parts that `text` was made of.

        Raises:
            NotFound: it is not of this name and this tenant, or it holds a digest of its parts.
        """
        tail = self._tail(text, target)
        if tail is None or None in tail:
            raise NotFound("not a key of this name in this tenant")
        return tuple(part for part in tail if part is not None)

    def _bound(self) -> tuple[str, ...]:
        tenant = require_tenant()
        if not self._company:
            return "t", tenant.tenant_id, self._name
        if tenant.company_id is None:
            raise UsageError("this key belongs to a company, and the context has none")
        return "c", tenant.tenant_id, tenant.company_id, self._name

    def _text(self, target: Target, parts: tuple[str, ...]) -> str:
        separator, longest = _SEPARATORS[target], _LONGEST[target]
        head = [_escape(part, target) for part in self._bound()]
        text = separator.join([*head, *(_escape(part, target) for part in _texts(parts))])
        if len(text) > longest and target != "object":
            text = separator.join([*head, _DIGEST + sha256(length_prefixed(*parts)).hexdigest()])
        if len(text) > longest:
            raise UsageError(f"longer than the {longest} octets of a {target}", hint="use shorter ids and names")
        return text

    def _tail(self, text: Any, target: Target) -> list[str | None] | None:
        """The parts behind tenant and name, None for their digest; None for a text that this key does not make."""
        head = [_escape(part, target) for part in self._bound()]
        if not isinstance(text, str) or len(text) > _LONGEST[target]:
            return None
        found = text.split(_SEPARATORS[target])
        if found[: len(head)] != head:
            return None
        tail = found[len(head) :]
        if len(tail) == 1 and target != "object" and _DIGESTED.fullmatch(tail[0]):
            return [None]
        parts = [_unescape(part) for part in tail]
        spelt = [None if part is None else _escape(part, target) for part in parts]
        return list(parts) if spelt == tail else None


def django_cache_key(key: str, key_prefix: str, version: int) -> str:
    """A ``KEY_FUNCTION`` for one of Django's ``CACHES``: every key in it belongs to the tenant that uses it.

    Not for the alias that sessions and other code without tenant use: there it raises `NoTenant`.
    """
    return TenantKey("django").cache(str(key_prefix), str(version), str(key))


def memo_key(*args: Hashable, **kwargs: Hashable) -> Hashable:
    """A ``key=`` for `cachetools.cached` and its likes: results are remembered for each tenant and company.

    Raises `NoTenant` outside every scope.
    """
    tenant = require_tenant()
    return tenant.tenant_id, tenant.company_id, args, tuple(sorted(kwargs.items()))


def _texts(parts: tuple[Any, ...]) -> tuple[str, ...]:
    if not all(isinstance(part, str) for part in parts):
        raise UsageError("parts are text: 7 and '7' would be one key", hint="key.cache(str(number))")
    return parts


def _escape(part: str, target: Target) -> str:
    try:
        octets = part.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError("text with a lone surrogate has no canonical bytes") from None
    unsafe = _UNSAFE_IN_TOPICS if target == "topic" else _UNSAFE
    return unsafe.sub(lambda found: b"__" if found[0] == b"_" else b"_%02X" % ord(found[0]), octets).decode() or "_"


def _unescape(part: str) -> str | None:
    """The text, or None for what no text escapes to; callers compare spellings."""
    if part == "_":
        return ""
    try:
        octets = _ESCAPED.sub(lambda found: "_" if found[1] == "_" else chr(int(found[1], 16)), part).encode("latin-1")
        return octets.decode("utf-8")
    except ValueError:
        return None
