"""What an invitation is to its recipient: a token of 256 bits, bound to one verified address.

Only the token's SHA-256 is stored, so a stolen table invites nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Final

from ..core.errors import InvalidRequest, InvitationInvalid
from ..core.principal import Principal

__all__ = ["Invitation", "canonical_email", "digest_of", "verified_email"]

_LONGEST: Final = 254  # RFC 5321, 4.5.3.1.3, less the angle brackets
_TOKEN_LONGEST: Final = 128
# ASCII only: Unicode lower-casing maps the Kelvin sign to "k" and would let a look-alike address accept.
_LOWER: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


@dataclass(frozen=True, slots=True)
class Invitation:
    """A new invitation. `token` exists here and in the message to the recipient, nowhere else."""

    id: str
    token: str = field(repr=False)
    email: str = field(repr=False)
    roles: frozenset[str]
    expires_at: datetime


def canonical_email(address: object) -> str | None:
    """The address in its canonical case, or None for text that is no single address."""
    if not isinstance(address, str):
        return None
    found = address.strip(" ").translate(_LOWER)
    local, mark, domain = found.rpartition("@")
    if not (mark and local and domain) or len(found) > _LONGEST or not found.isprintable() or " " in found:
        return None
    if any(0xD800 <= ord(character) <= 0xDFFF for character in found) or "@" in local or "," in found:
        return None
    return found


def required_email(address: object) -> str:
    """As `canonical_email`; raises `InvalidRequest`."""
    found = canonical_email(address)
    if found is None:
        raise InvalidRequest("not an e-mail address")
    return found


def verified_email(principal: Principal) -> str | None:
    """The principal's canonical address, if its provider verified it: exactly True, not "true" or 1."""
    if principal.attributes.get("email_verified") is not True:
        return None
    return canonical_email(principal.attributes.get("email"))


def digest_of(token: object) -> str:
    """Hex SHA-256 of a token; raises `InvitationInvalid` for what cannot be one."""
    if not isinstance(token, str) or not token.isascii() or not 0 < len(token) <= _TOKEN_LONGEST:
        raise InvitationInvalid("malformed")
    return sha256(token.encode("ascii")).hexdigest()
