"""`JobTicket`: what an envelope says, and its one spelling.

::

    envelope = "wsj1." kid "." base64url(content) "." base64url(mac)          no padding, one spelling each
    content  = canonical JSON of v, jti, iat, tenant, company, principal, kind, scopes, actor, membership
    mac      = HMAC-SHA256(key, LP("wellstreak-trust/job/v1", kid, content, task, args))
    kid      = the first 16 hex digits of HMAC-SHA256(key, LP("wellstreak-trust/job-key/v1"))

Beside who asked, it holds what bounds them: the company inside the tenant, the scopes of the credential and the actor
behind an impersonation. A job without these could do more than the request that queued it.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ...core.canonical import canonical_json
from ...core.clock import from_micros, to_micros
from ...core.errors import EnvelopeInvalid, TrustError, UsageError
from ...core.principal import Principal
from ...core.tenant import TenantContext

__all__ = ["JobTicket", "from_base64url", "to_base64url"]

_VERSION: Final = 1
_FIELDS: Final = frozenset("v jti iat tenant company principal kind scopes actor membership".split())


@dataclass(frozen=True, slots=True)
class JobTicket:
    """A verified envelope: who asked for a job, and when.

    Args:
        job_id: ``jti``; the same for every delivery of one envelope, so that hosts can tell repetitions.
        principal: as far as it travels: id, kind, tenant, scopes and actor. Attributes, roles and the strength of the
            sign-in do not.
        membership_version: the membership it rested on.
        issued_at: when it was signed, to the microsecond.
    """

    tenant_id: str
    company_id: str | None
    principal: Principal
    membership_version: int
    issued_at: datetime
    job_id: str

    @classmethod
    def of(cls, ctx: TenantContext, issued_at: datetime, job_id: str) -> JobTicket:
        """The ticket of a context.

        Raises:
            UsageError: it rests on no membership of its own principal. An elevation does not travel: it would outlive
                its minutes.
        """
        membership = ctx.membership if isinstance(ctx, TenantContext) else None
        if membership is None or (membership.tenant_id, membership.principal_id) != (ctx.tenant_id, ctx.principal.id):
            raise UsageError(
                "a job travels with the proved context of a member",
                hint="sign inside a scope that a resolver proved; an elevation does not travel",
            )
        who = ctx.principal.in_tenant(ctx.tenant_id)
        return cls(ctx.tenant_id, ctx.company_id, who, membership.version, issued_at, job_id)

    def content(self) -> bytes:
        """Canonical JSON; raises `UsageError` for ids that are no Unicode text."""
        who = self.principal
        return canonical_json(
            {
                "v": _VERSION,
                "jti": self.job_id,
                "iat": to_micros(self.issued_at),
                "tenant": self.tenant_id,
                "company": self.company_id,
                "principal": who.id,
                "kind": who.kind,
                "scopes": None if who.scopes is None else sorted(who.scopes),
                "actor": None if who.actor is None else [who.actor.kind, who.actor.id],
                "membership": self.membership_version,
            }
        )

    @classmethod
    def read(cls, content: bytes) -> JobTicket:
        """The inverse of `content`, for bytes whose code was verified; raises `EnvelopeInvalid` for any others."""
        try:
            found: dict[str, Any] = json.loads(content)
            if set(found) != _FIELDS or found["v"] != _VERSION:
                raise EnvelopeInvalid("other fields, or another version")
            actor = found["actor"]
            ticket = cls(
                found["tenant"],
                found["company"],
                Principal(
                    found["principal"],
                    found["kind"],
                    tenant_id=found["tenant"],
                    scopes=None if found["scopes"] is None else frozenset(found["scopes"]),
                    actor=None if actor is None else Principal(actor[1], actor[0]),
                ),
                found["membership"],
                from_micros(found["iat"]),
                found["jti"],
            )
            if ticket.content() != content:
                raise EnvelopeInvalid("not the one spelling of its content")
        except EnvelopeInvalid:
            raise
        except (TrustError, ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError):
            raise EnvelopeInvalid("malformed content") from None
        return ticket


def to_base64url(octets: bytes) -> str:
    """Unpadded base64url (RFC 4648, 5)."""
    return urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes:
    """The inverse, for the one spelling of its octets; raises `EnvelopeInvalid`.

    A lenient decoder ignores the last character's spare bits, and one envelope would have several texts.
    """
    try:
        octets = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        octets = b""
    if to_base64url(octets) != text:
        raise EnvelopeInvalid("not canonical base64url")
    return octets
