"""`JobEnvelopes`: who asked for a job, signed when it is queued and proved again when it runs.

Everybody who can write to the queue can write jobs, and a job may wait longer than its author stays a member. So an
envelope is opened in this order: its spelling, its key, its code, its age; then, against the stores as they are *now*,
the membership and the subscription. The code covers the task's name and its arguments, so that an envelope is worth
nothing on another job. Whatever is wrong before the stores are asked is one error, `EnvelopeInvalid`.

The same envelope opens as often as the queue delivers it until `max_age` is over: queues deliver at least once, and a
retry is such a repetition. A host tells repetitions by the ticket's `job_id`, which is also the `request_id` of the
context; where a task must not run twice, `open_once` claims it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from hmac import compare_digest
from hmac import digest as hmac_digest
from types import MappingProxyType
from typing import Any, Final

from ...core.canonical import length_prefixed
from ...core.clock import Clock, SystemClock
from ...core.entropy import random_hex
from ...core.errors import ConfigurationError, EnvelopeInvalid, TenantNotFound, UsageError
from ...core.sansio import suspends, synced
from ...core.tenant import Membership, TenantContext
from ..entitlements import Entitlements
from ..resolve import Prover
from .claims import JobClaims
from .ticket import JobTicket, from_base64url, to_base64url

__all__ = ["JobEnvelopes"]

_CONTENT: Final = "wellstreak-trust/job/v1"
_KEY_ID: Final = "wellstreak-trust/job-key/v1"
_SHAPE: Final = re.compile(r"wsj1\.([0-9a-f]{16})\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{43})")
_LONGEST: Final = 8192  # characters; queues carry it in a header
_SHORTEST_KEY: Final = 32
_SKEW: Final = timedelta(minutes=1)  # between the clocks of two machines


class JobEnvelopes:
    """Signs and opens envelopes.

    Args:
        key: signs; at least 32 random bytes, the same in every process.
        memberships: proves on opening; `Memberships`, or `CachedMemberships` with its bound.
        accepted: older keys that still open, so that keys can be changed while jobs wait.
        entitlements: judged on opening and put into the context; without it subscriptions are not asked.
        features: task to the feature it needs; a task that is not listed needs a subscription in good standing.
        max_age: how long an envelope opens; longer than the longest wait, retries included.
        claims: for `open_once`.
    """

    def __init__(
        self,
        key: bytes,
        memberships: Prover,
        *,
        accepted: Sequence[bytes] = (),
        entitlements: Entitlements | None = None,
        features: Mapping[str, str] = MappingProxyType({}),
        max_age: timedelta = timedelta(days=1),
        clock: Clock | None = None,
        claims: JobClaims | None = None,
    ) -> None:
        if max_age <= timedelta():
            raise ConfigurationError("max_age is positive", reason="job_envelopes")
        if features and entitlements is None:
            raise ConfigurationError(
                "features without entitlements", hint="entitlements=Entitlements(source)", reason="job_envelopes"
            )
        self.suspends: bool = suspends(memberships, entitlements, claims)
        self._keys: dict[str, bytes] = {_key_id(secret): secret for secret in (key, *accepted)}
        self._active: str = _key_id(key)
        self._memberships: Prover = memberships
        self._entitlements: Entitlements | None = entitlements
        self._features: dict[str, str] = dict(features)
        self._max_age: timedelta = max_age
        self._clock: Clock = clock or SystemClock()
        self._claims: JobClaims | None = claims

    def sign(self, ctx: TenantContext, task: str, args: bytes) -> str:
        """The envelope of one job: ASCII, at most 8,192 characters.

        Args:
            task: the name under which the worker knows it.
            args: its arguments, in bytes that the worker sees again; `argument_bytes` makes them of values.

        Raises:
            UsageError: a context that does not travel (see `JobTicket.of`), a task or arguments of another type, too
                many scopes.
        """
        content = JobTicket.of(ctx, self._clock.now(), random_hex()).content()
        mac = self._mac(self._active, content, task, args)
        envelope = f"wsj1.{self._active}.{to_base64url(content)}.{to_base64url(mac)}"
        if len(envelope) > _LONGEST:
            raise UsageError(f"an envelope is at most {_LONGEST} characters", hint="the principal has too many scopes")
        return envelope

    def verify(self, envelope: str, task: str, args: bytes) -> JobTicket:
        """What the envelope says, its code and age verified. It proves no membership: to do the job, `open` it.

        Raises:
            EnvelopeInvalid: for anything else.
        """
        try:
            found = _SHAPE.fullmatch(envelope) if isinstance(envelope, str) and len(envelope) <= _LONGEST else None
            if found is None or found[1] not in self._keys:
                raise EnvelopeInvalid("no envelope, or of an unknown key")
            content, mac = from_base64url(found[2]), from_base64url(found[3])
            if not compare_digest(mac, self._mac(found[1], content, task, args)):
                raise EnvelopeInvalid("the code does not verify: another key, task or arguments")
        except UsageError:
            raise EnvelopeInvalid("the task or its arguments are not what was signed") from None
        ticket = JobTicket.read(content)
        if not -_SKEW <= self._clock.now() - ticket.issued_at < self._max_age:
            raise EnvelopeInvalid("too old, or from the future")
        return ticket

    async def aopen(self, envelope: str, task: str, args: bytes) -> TenantContext:
        """The context to run the job in, proved now; its `request_id` is the ticket's `job_id`.

        Raises:
            EnvelopeInvalid: forged, stale, malformed, or of another task or arguments.
            TenantNotFound: no longer a member.
            EntitlementDenied: the subscription no longer includes it.
        """
        return await self._aproved(self.verify(envelope, task, args), task)

    open: Final = synced(aopen)

    async def aopen_once(self, envelope: str, task: str, args: bytes) -> TenantContext:
        """As `open`, and only the first time: at most once, so a job that fails after this is not repeated.

        Raises:
            EnvelopeInvalid: also one that was opened before. ConfigurationError: there are no ``claims=``.
        """
        if self._claims is None:
            raise ConfigurationError(
                "single use needs claims", hint="JobEnvelopes(..., claims=RedisJobClaims(port))", reason="job_claims"
            )
        ticket = self.verify(envelope, task, args)
        ctx = await self._aproved(ticket, task)
        if not await self._claims.claim(ticket.tenant_id, ticket.job_id, ticket.issued_at + self._max_age):
            raise EnvelopeInvalid("used before")
        return ctx

    open_once: Final = synced(aopen_once)

    async def _aproved(self, ticket: JobTicket, task: str) -> TenantContext:
        membership = await self._aprove(ticket)
        ctx = TenantContext(
            ticket.tenant_id,
            ticket.principal,
            membership,
            company_id=ticket.company_id,
            entitlements=self._entitlements,
            request_id=ticket.job_id,
        )
        if self._entitlements is not None:
            await self._entitlements.arequire(ctx, self._features.get(task))
        return ctx

    async def _aprove(self, ticket: JobTicket) -> Membership:
        """The membership, not older than the one that was signed: versions of a workspace only grow."""
        who, tenant_id = ticket.principal, ticket.tenant_id
        found = await self._memberships.aprove(who, tenant_id)
        bump: Any = getattr(self._memberships, "bump", None)
        if found is not None and found.version < ticket.membership_version and bump is not None:
            bump(tenant_id, who.id, ticket.membership_version)
            found = await self._memberships.aprove(who, tenant_id)
        if (
            found is None
            or (found.tenant_id, found.principal_id) != (tenant_id, who.id)
            or found.version < ticket.membership_version
        ):
            raise TenantNotFound("no such tenant, or the principal is no member")
        return found

    def _mac(self, kid: str, content: bytes, task: str, args: bytes) -> bytes:
        if not isinstance(task, str) or not isinstance(args, bytes):
            raise UsageError("a task is named by a str, its arguments are bytes", hint="argument_bytes([args, kwargs])")
        return hmac_digest(self._keys[kid], length_prefixed(_CONTENT, kid, content, task, args), sha256)


def _key_id(key: bytes) -> str:
    if not isinstance(key, bytes) or len(key) < _SHORTEST_KEY:
        raise ConfigurationError(f"a key is at least {_SHORTEST_KEY} random bytes", reason="job_key")
    return hmac_digest(key, length_prefixed(_KEY_ID), sha256).hex()[:16]
