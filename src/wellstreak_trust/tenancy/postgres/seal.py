"""`Seal`: a tenant setting that injected SQL cannot forge.

A plain setting is text that whoever can run SQL can set. Sealed, it holds the tenant, the company and a MAC over both
and over the number of the server process, by a key that the application knows and its database role cannot read::

    value = hex(HMAC-SHA256(key, lp(tenant) lp(company) lp(pid))) "." characters of company "." company tenant

`lp` is the length in octets as four bytes, then the octets (UTF-8), so that no byte moves between the parts. Policies
call a ``SECURITY DEFINER`` function that checks the MAC; RFC 2104 is two hashes over a padded key, and the padded
halves are what is stored, so plain PostgreSQL (11 or later) is enough.

What stays possible: *replay on the same server process*. Whoever reads the setting inside a tenant's own transaction
may set it again later on the same pooled connection, and so be that tenant again. He cannot make a value for a tenant
in whose transactions he never ran code. SQL that leaves something behind in a session (a temporary table, a prepared
statement) is out of a seal's reach; ``DISCARD ALL`` when a connection returns to the pool is the cure.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Final

from ...core.errors import ConfigurationError, UsageError
from ...core.secret import Secret
from ..setting import TENANT
from . import names

__all__ = ["SCHEMA", "Seal", "drop_seal_ddl", "seal_ddl"]

SCHEMA: Final = "wst_seal"
"""Where the function and its key live, where no other schema is asked for."""

_BLOCK: Final = 64  # of SHA-256, in octets
_LEAST: Final = 32

_OPENED: Final = """\
CREATE FUNCTION {schema}.opened() RETURNS text[]
LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp AS $seal$
DECLARE
  sealed text := nullif(current_setting({setting}, true), '');
  width text := split_part(sealed, '.', 2);
  company text;
  tenant text;
  message bytea;
BEGIN
  -- No regular expression: it would cost more than everything else here.
  IF sealed IS NULL OR length(width) NOT BETWEEN 1 AND 3 OR translate(width, '0123456789', '') <> '' THEN
    RETURN NULL;
  END IF;
  company := substr(sealed, 67 + length(width), width::int);
  tenant := substr(sealed, 67 + length(width) + width::int);
  message := int4send(octet_length(convert_to(tenant, 'UTF8'))) || convert_to(tenant, 'UTF8')
    || int4send(octet_length(convert_to(company, 'UTF8'))) || convert_to(company, 'UTF8')
    || int4send(length(pg_backend_pid()::text)) || convert_to(pg_backend_pid()::text, 'UTF8');
  -- Compared by their keyed hashes, so that the time of the comparison tells nothing.
  RETURN (SELECT ARRAY[tenant, company] FROM {schema}.key
    WHERE sha256(outer_pad || convert_to(encode(sha256(outer_pad || sha256(inner_pad || message)), 'hex'), 'UTF8'))
      = sha256(outer_pad || convert_to(split_part(sealed, '.', 1), 'UTF8')) LIMIT 1);
END
$seal$"""


def seal_ddl(*roles: str, schema: str = SCHEMA, setting: str = TENANT) -> list[str]:
    """Statements that install the sealed setting; run them as the tables' owner, then `Seal.install_sql`.

    Args:
        roles: the application's roles: they may call the function, and cannot read the key.

    Raises:
        UsageError: no role, or a name that is empty, too long or wants quotes.
    """
    if not roles:
        raise UsageError("nobody could call the seal's function", hint="name the application's role")
    place, granted = names.quoted(schema), ", ".join(map(names.quoted, roles))
    pad = f"bytea NOT NULL CHECK (octet_length({{}}) = {_BLOCK})"
    return [
        f"CREATE SCHEMA {place}",
        f"CREATE TABLE {place}.key (inner_pad {pad.format('inner_pad')}, outer_pad {pad.format('outer_pad')})",
        f"REVOKE ALL ON TABLE {place}.key FROM PUBLIC",
        _OPENED.format(schema=place, setting=names.setting_name(setting)),
        f"REVOKE ALL ON FUNCTION {place}.opened() FROM PUBLIC",
        f"GRANT USAGE ON SCHEMA {place} TO {granted}",
        f"GRANT EXECUTE ON FUNCTION {place}.opened() TO {granted}",
    ]


def drop_seal_ddl(*, schema: str = SCHEMA) -> list[str]:
    """The reverse of `seal_ddl`; refused by the database while a policy asks the function."""
    place = names.quoted(schema)
    return [f"DROP FUNCTION {place}.opened()", f"DROP TABLE {place}.key", f"DROP SCHEMA {place}"]


class Seal:
    """Makes the sealed value of the tenant setting.

    Args:
        key: at least 32 random bytes, from your secret store.

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

    def install_sql(self, *, schema: str = SCHEMA) -> Secret[str]:
        """The statement that stores this key. To rotate: install the new one, restart the hosts, remove the old one.

        It holds the key: keep it out of migrations, and of the server's log (``SET log_statement = 'none'``).
        """
        inner, outer = self._pads()
        return Secret(f"INSERT INTO {names.quoted(schema)}.key (inner_pad, outer_pad) VALUES ('{inner}', '{outer}')")  # noqa: S608  a quoted name, and bytes in hex

    def remove_sql(self, *, schema: str = SCHEMA) -> Secret[str]:
        """The statement that ends this key."""
        inner, _ = self._pads()
        return Secret(f"DELETE FROM {names.quoted(schema)}.key WHERE inner_pad = '{inner}'")  # noqa: S608  as above

    def _pads(self) -> tuple[str, str]:
        """The key's two halves of RFC 2104, as PostgreSQL writes bytes."""
        key = self._key.reveal()
        block = (sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
        inner, outer = (bytes(octet ^ pad for octet in block).hex() for pad in (0x36, 0x5C))
        return f"\\x{inner}", f"\\x{outer}"
