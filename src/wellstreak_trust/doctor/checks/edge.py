"""What stands between the network and the first handler: limits, addresses, origins, CORS, headers, tenants."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from typing import Final

from ...core.address import ClientAddress
from ...origin import CorsPolicy, OriginPolicy, SecurityHeaders
from ...ratelimit import LimitRule, MemoryLimitStore, RateLimiter
from ...tenancy import HeaderSource, TenantResolver
from ..case import Case, Check, Hit
from .process import processes

__all__ = ["CHECKS"]

_HALF_YEAR: Final = 15_768_000  # seconds
_MAX_AGE: Final = re.compile(r"max-age=\"?([0-9]{1,12})", re.IGNORECASE)
_UNSAFE: Final = ("'unsafe-inline'", "'unsafe-eval'")
_BEHIND_A_PROXY: Final = (
    "KUBERNETES_SERVICE_HOST", "DYNO", "FLY_APP_NAME", "K_SERVICE", "RENDER", "RAILWAY_ENVIRONMENT", "WEBSITE_HOSTNAME",
    "ECS_CONTAINER_METADATA_URI_V4", "FORWARDED_ALLOW_IPS",
)  # fmt: skip
_WIDEST: Final = {4: 8, 6: 19}  # prefix lengths: no provider of proxies announces more than this


def _limiter(case: Case) -> Iterator[Hit]:
    if case.trust is not None and case.trust.limiter is None:
        yield Hit("limiter")


def _rules(case: Case) -> tuple[LimitRule, ...] | None:
    limiter = case.trust.limiter if case.trust is not None else None
    return limiter.rules if isinstance(limiter, RateLimiter) else None


def _counts_by(rules: Iterable[LimitRule], key: str) -> bool:
    return any(rule.enforced and key in (name.removesuffix("?") for name in rule.by) for rule in rules)


def _client_limit(case: Case) -> Iterator[Hit]:
    rules = _rules(case)
    if rules is not None and not _counts_by(rules, "client"):
        yield Hit("limiter", setting="limits")


def _tenant_limit(case: Case) -> Iterator[Hit]:
    rules = _rules(case)
    if rules is not None and not _counts_by(rules, "tenant"):
        yield Hit("limiter", setting="limits")


def _shadow(case: Case) -> Iterator[Hit]:
    for rule in _rules(case) or ():
        if not rule.enforced:
            yield Hit(f"limiter: {rule.name}", f"the rule {rule.name!r} only reports")


def _observing(case: Case) -> Iterator[Hit]:
    for place, part in case.parts:
        if getattr(part, "observes", None) is True and not isinstance(part, LimitRule | SecurityHeaders):
            yield Hit(place, f"{type(part).__name__} tells what it would refuse, and refuses nothing")


def _open(case: Case) -> Iterator[Hit]:
    for rule in _rules(case) or ():
        if rule.on_outage == "open" and _counts_by((rule,), "client"):
            yield Hit(f"limiter: {rule.name}", f"the rule {rule.name!r} admits everything while its store is down")


def _per_process(case: Case) -> Iterator[Hit]:
    variable, count = processes(case.environment)
    for place, limiter in case.of_kind(RateLimiter):
        several = max(limiter.replicas, count)
        if isinstance(limiter.store, MemoryLimitStore) and several > 1:
            yield Hit(place, f"{several} processes count each for itself", setting="redis_url", variable=variable)


def _proxy(case: Case) -> Iterator[Hit]:
    signs = [name for name in _BEHIND_A_PROXY if case.environment.get(name)]
    address = case.trust.client_address if case.trust is not None else None
    if signs and not (address is not None and address.proxies) and _counts_by(_rules(case) or (), "client"):
        what = f"{signs[0]} says that a proxy is in front, and no proxy is declared"
        yield Hit("client_address", what, setting="trusted_proxies", variable=signs[0])


def _wide(case: Case) -> Iterator[Hit]:
    for place, address in case.of_kind(ClientAddress):
        for text in address.proxies:
            net = ip_network(text) if text != "unix" else None
            if net is not None and not net.is_private and net.prefixlen < _WIDEST[net.version]:
                yield Hit(f"{place}: {text}", f"every address of {text} may forward", setting="trusted_proxies")


def _compat(case: Case) -> Iterator[Hit]:
    for place, policy in case.of_kind(OriginPolicy):
        if policy.mode == "compat":
            yield Hit(place, setting="origin_mode")


def _origins(case: Case) -> Iterator[Hit]:
    for place, policy in case.of_kind(OriginPolicy):
        yield from _plain(place, policy.trusted, "trusted_origins")


def _cors(case: Case) -> Iterator[Hit]:
    for place, policy in case.of_kind(CorsPolicy):
        yield from _plain(place, policy.origins, "cors_origins")


def _plain(place: str, patterns: Iterable[str], setting: str) -> Iterator[Hit]:
    for text in patterns:
        if text.startswith("http://"):
            yield Hit(f"{place}: {text}", f"{text} is plain http", setting=setting)


def _public(case: Case) -> Iterator[Hit]:
    yield from (Hit(place) for place, policy in case.of_kind(CorsPolicy) if policy.is_public)


def _zones(case: Case) -> Iterator[Hit]:
    for place, policy in case.of_kind(CorsPolicy):
        for text in policy.origins:
            if policy.credentials and "://*." in text:
                yield Hit(f"{place}: {text}", f"every host of {text} reads with cookies", setting="cors_origins")


def _no_headers(case: Case) -> Iterator[Hit]:
    if case.trust is not None and case.trust.security_headers is None:
        yield Hit("security_headers")


def _hsts(case: Case) -> Iterator[Hit]:
    for place, headers in case.of_kind(SecurityHeaders):
        held = {name.lower(): value for name, value in headers.pairs}
        found = _MAX_AGE.search(held.get("strict-transport-security", ""))
        if found is None or int(found[1]) < _HALF_YEAR:
            yield Hit(place)


def _scripts(headers: SecurityHeaders) -> tuple[str, ...]:
    policy = dict(headers.csp)
    return policy.get("script-src", policy.get("default-src", ()))


def _csp_absent(case: Case) -> Iterator[Hit]:
    yield from (Hit(place) for place, headers in case.of_kind(SecurityHeaders) if not _scripts(headers))


def _csp_unsafe(case: Case) -> Iterator[Hit]:
    for place, headers in case.of_kind(SecurityHeaders):
        for source in _scripts(headers):
            if source.lower() in _UNSAFE:
                yield Hit(place, f"{source} stands in the policy of scripts")


def _csp_reports(case: Case) -> Iterator[Hit]:
    yield from (Hit(place) for place, headers in case.of_kind(SecurityHeaders) if headers.reporting)


def _header(case: Case) -> Iterator[Hit]:
    for place, resolver in case.of_kind(TenantResolver):
        if all(isinstance(source, HeaderSource) for source in resolver.sources):
            yield Hit(place, setting="tenant_header")


CHECKS: Final = (
    Check("no_limiter", _limiter),
    Check("no_client_limit", _client_limit),
    Check("no_tenant_limit", _tenant_limit),
    Check("limit_shadow", _shadow),
    Check("observing", _observing),
    Check("limit_fails_open", _open),
    Check("limits_per_process", _per_process),
    Check("proxy_not_trusted", _proxy),
    Check("proxies_wide", _wide),
    Check("origin_compat", _compat),
    Check("origin_insecure", _origins),
    Check("cors_insecure", _cors),
    Check("cors_public", _public),
    Check("cors_zone_credentials", _zones),
    Check("no_security_headers", _no_headers),
    Check("hsts_weak", _hsts),
    Check("csp_absent", _csp_absent),
    Check("csp_unsafe", _csp_unsafe),
    Check("csp_report_only", _csp_reports),
    Check("tenant_header", _header),
)
