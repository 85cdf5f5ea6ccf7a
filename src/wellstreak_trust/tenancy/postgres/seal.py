"""`Seal`: a tenant setting that injected SQL cannot forge.

A plain setting is text that whoever can run SQL can set. Sealed, it holds the tenant, the company and a MAC over both
and over the number of the server process, by a key that the application knows and its database role cannot read:

    value = hex(HMAC-SHA256(key, lp(tenant) lp(company) lp(pid))) "." company-length "." company tenant

`lp` is the length in octets as four bytes, then the octets (UTF-8), so that no byte moves between the parts. The
policies call a ``SECURITY DEFINER`` function that checks the MAC (`ddl`); nothing but plain PostgreSQL is needed.

What stays possible: *replay on the same server process*. Whoever reads the setting inside a tenant's own transaction
may set it again later on the same pooled connection, and so be that tenant again. He cannot make a value for a tenant
whose transactions he never ran code in. Injected SQL that leaves something behind in a session (a temporary table, a
prepared statement) is out of a seal's reach; ``DISCARD ALL`` when a connection returns to the pool is the cure.
"""

from __future__ import annotations

import hmac
from typing import Final

from ...core.errors import ConfigurationError
from ...core.secret import Secret

__all__ = ["Seal"]

_BLOCK: Final = 64  # of SHA-256, in octets
_LEAST: Final = 32


class Seal:
    """Makes the sealed value of the tenant setting.

    Args:
        key: at least 32 random bytes, the same as installed by `key_statement`.

    Raises:
        ConfigurationError: the key is short.
    """

    __slots__ = ("_key",)

    def __init__(self, key: bytes | Secret[bytes]) -> None:
        octets = key.reveal() if isinstance(key, Secret) else key
        if not isinstance(octets, bytes) or len(octets) < _LEAST:
            raise ConfigurationError(
                "a seal's key has at least 32 bytes", hint="random bytes from your secret store", reason="seal_key"
            )
        self._key: Secret[bytes] = Secret(octets)

    def value(self, tenant: str, company: str, pid: int) -> str:
        """The setting's value on the server process `pid`; empty, which no policy takes, for no tenant."""
        if not tenant:
            return ""
        parts = [text.encode() for text in (tenant, company, str(pid))]
        message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        mac = hmac.new(self._key.reveal(), message, "sha256").hexdigest()
        return f"{mac}.{len(company)}.{company}{tenant}"
