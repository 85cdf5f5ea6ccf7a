"""Settings that load and yet are hardly meant, and what the process around the host tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from itertools import pairwise
from typing import Final

from ...ratelimit import RateLimiter
from ..case import Case, Check, Hit

__all__ = ["CHECKS", "processes"]

_PREFIX: Final = "WELLSTREAK_TRUST_"
_WORKERS: Final = ("WEB_CONCURRENCY", "UVICORN_WORKERS", "GRANIAN_WORKERS")
_NOT_PUBLIC: Final = ("localhost", ".localhost", ".local", ".test", ".internal", ".example")


def processes(environment: Mapping[str, str]) -> tuple[str, int]:
    """The variable that tells how many processes serve, and how many; an empty name and 1 where none does."""
    for name in _WORKERS:
        text = environment.get(name, "")
        if text.isascii() and text.isdigit() and int(text) > 1:
            return name, int(text)
    words = environment.get("GUNICORN_CMD_ARGS", "").replace("=", " ").split()
    for flag, number in pairwise(words):
        if flag in ("-w", "--workers") and number.isascii() and number.isdigit() and int(number) > 1:
            return "GUNICORN_CMD_ARGS", int(number)
    return "", 1


def _kek_in_environment(case: Case) -> Iterator[Hit]:
    if case.settings is not None and case.settings.kek is not None and case.settings.kek_file is None:
        yield Hit("settings.kek", setting="kek")


def _two_keks(case: Case) -> Iterator[Hit]:
    if case.settings is not None and case.settings.kek is not None and case.settings.kek_file is not None:
        yield Hit("settings.kek", setting="kek")


def _empty(case: Case) -> Iterator[Hit]:
    for name, value in sorted(case.environment.items()):
        if name.upper().startswith(_PREFIX) and not value:
            yield Hit(name, f"{name} is set and empty, so the default counts", variable=name)


def _replicas(case: Case) -> Iterator[Hit]:
    variable, count = processes(case.environment)
    for place, limiter in case.of_kind(RateLimiter):
        if limiter.replicas < count:
            yield Hit(
                place,
                f"{variable} starts {count} processes, and the limits are divided by {limiter.replicas}",
                f"WELLSTREAK_TRUST_REPLICAS={count}, times the hosts, or RateLimiter(replicas={count})",
                "replicas",
                variable,
            )


def _profile(case: Case) -> Iterator[Hit]:
    if case.profile == "production":
        return
    if case.deploying:
        yield Hit("profile", f"it is deployed, and the profile is {case.profile}", setting="profile")
    if case.settings is None:
        return
    signs = [*case.settings.trusted_origins, *case.settings.cors_origins, f"https://{case.settings.base_domain or ''}"]
    public = [sign for sign in signs if sign.startswith("https://") and _is_public(sign.removeprefix("https://"))]
    if public:
        what = f"{public[0]} is public, and the profile is {case.settings.profile}"
        yield Hit("profile", what, setting="profile")


def _is_public(host: str) -> bool:
    name = host.removeprefix("*.").partition(":")[0]
    try:
        return ip_address(name.strip("[]")).is_global
    except ValueError:
        return "." in name and not name.endswith(_NOT_PUBLIC)


def _default_database(case: Case) -> Iterator[Hit]:
    if case.settings is not None and case.source("database_url").startswith("default"):
        yield Hit("settings.database_url", setting="database_url")


def _tls_keys(case: Case) -> Iterator[Hit]:
    if case.environment.get("SSLKEYLOGFILE"):
        yield Hit("SSLKEYLOGFILE", variable="SSLKEYLOGFILE")


def _forwarded(case: Case) -> Iterator[Hit]:
    for name in ("FORWARDED_ALLOW_IPS", "UVICORN_FORWARDED_ALLOW_IPS"):
        if "*" in case.environment.get(name, "").split(","):
            yield Hit(name, variable=name)


CHECKS: Final = (
    Check("kek_in_environment", _kek_in_environment),
    Check("two_keks", _two_keks, everywhere=True),
    Check("empty_setting", _empty, everywhere=True),
    Check("replicas_too_few", _replicas),
    Check("profile_not_production", _profile, everywhere=True),
    Check("database_default", _default_database),
    Check("tls_keys_logged", _tls_keys),
    Check("forwarded_allow_all", _forwarded),
)
