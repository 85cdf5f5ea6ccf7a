"""Entitlements answered by an OpenFeature provider, denied in every doubt.

OpenFeature is made for flags that fail gracefully: on any error it returns the default that the *caller* passed, and a
caller in a hurry passes True. For an entitlement that is an open door. Here the caller has no default to give:

====================================================  =============================================
evaluation                                            answer
====================================================  =============================================
exactly True, by rule, split, constant or cache       allowed
exactly False, by the same                            denied, ``unknown_feature``
any default, a disabled or an unknown flag            denied, ``unknown_feature``
a stale value                                         denied, ``source_unavailable``
an error, an unknown reason, another type             denied, ``source_unavailable``
the client or its provider raises                     denied, ``source_unavailable``
====================================================  =============================================

There are no counters behind a flag: metered features and seats stay with `Entitlements`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from ..core.errors import EntitlementDenied, MissingExtra, UsageError
from ..core.sansio import synced
from ..core.tenant import TenantContext
from .subscription import EntitlementDecision, Reason

try:
    from openfeature.evaluation_context import EvaluationContext
except ImportError:
    raise MissingExtra(
        "OpenFeature is not installed", hint="pip install 'wellstreak-trust[openfeature]'", reason="extra"
    ) from None

if TYPE_CHECKING:
    from openfeature.client import OpenFeatureClient

__all__ = ["OpenFeatureEntitlements"]

_LOG: Final = logging.getLogger("wellstreak_trust.tenancy")
# By their spelling: they arrive as the enumeration or as plain text, as the provider likes.
_DECIDED: Final = frozenset(("TARGETING_MATCH", "SPLIT", "STATIC", "CACHED"))
_NOBODY_DECIDED: Final = frozenset(("DEFAULT", "DISABLED"))


class OpenFeatureEntitlements:
    """Stands where `Entitlements` stands: ``TenantResolver(sources, memberships, OpenFeatureEntitlements(client))``.

    Args:
        client: ``openfeature.api.get_client(...)``.
        suspends: whether the provider's asynchronous evaluation is awaited; then only the ``a``-methods can be called.
        prefix: before the name of every feature.
    """

    def __init__(self, client: OpenFeatureClient, *, suspends: bool = False, prefix: str = "") -> None:
        self.suspends: bool = suspends
        self._client: OpenFeatureClient = client
        self._prefix: str = prefix

    async def acheck(self, ctx: TenantContext, feature: str, amount: int = 1) -> EntitlementDecision:
        """Whether the tenant has the feature; never raises for what a provider does.

        The evaluation's targeting key is the tenant; the principal is an attribute of it.

        Raises:
            UsageError: an amount other than 1: flags count nothing.
        """
        if amount != 1:
            raise UsageError("a flag counts nothing", hint="meter with Entitlements(source, usage=...)")
        if not isinstance(feature, str) or not feature:
            return EntitlementDecision(False, "unknown_feature")
        context = EvaluationContext(ctx.tenant_id, {"principal": ctx.principal.id, "kind": ctx.principal.kind})
        try:
            details: Any = (
                await self._client.get_boolean_details_async(self._prefix + feature, False, context)
                if self.suspends
                else self._client.get_boolean_details(self._prefix + feature, False, context)
            )
            reason = _judged(details)
        except Exception as error:  # hooks and providers are other people's code
            _LOG.warning("OpenFeature evaluation failed: %s", type(error).__name__)
            reason = "source_unavailable"
        return EntitlementDecision(reason == "allowed", reason)

    check: Final = synced(acheck)

    async def arequire(self, ctx: TenantContext, feature: str) -> EntitlementDecision:
        """As `acheck`; raises `EntitlementDenied`."""
        found = await self.acheck(ctx, feature)
        if not found.allowed:
            raise EntitlementDenied(found.reason)
        return found

    require: Final = synced(arequire)


def _judged(details: Any) -> Reason:
    because = str(details.reason) if details.reason is not None else ""
    if details.error_code is not None:
        return "unknown_feature" if str(details.error_code) == "FLAG_NOT_FOUND" else "source_unavailable"
    if because in _NOBODY_DECIDED:
        return "unknown_feature"
    if because not in _DECIDED or type(details.value) is not bool:
        return "source_unavailable"
    return "allowed" if details.value else "unknown_feature"
