"""How requests are proved."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from ...identity import ApiKeys, JwtVerifier, OidcProvider, SessionManager
from ..case import Case, Check, Hit

__all__ = ["CHECKS"]

_MONTH: Final = timedelta(days=31)
_DAY: Final = timedelta(days=1)
_YEAR: Final = timedelta(days=366)
_MINUTE: Final = timedelta(minutes=1)


def _cookie(case: Case) -> Iterator[Hit]:
    yield from (Hit(place) for place, sessions in case.of_kind(SessionManager) if sessions.insecure_loopback)


def _long(case: Case) -> Iterator[Hit]:
    for place, sessions in case.of_kind(SessionManager):
        if sessions.ends[False][1] > _MONTH:
            yield Hit(place, f"a session lives {_days(sessions.ends[False][1])}", setting="session_absolute")


def _idle(case: Case) -> Iterator[Hit]:
    for place, sessions in case.of_kind(SessionManager):
        if sessions.ends[False][0] > _DAY:
            yield Hit(place, f"a session waits {_days(sessions.ends[False][0])} for a request", setting="session_idle")


def _remembered(case: Case) -> Iterator[Hit]:
    for place, sessions in case.of_kind(SessionManager):
        if sessions.ends[True][1] > _YEAR:
            yield Hit(place, f"a remembered session lives {_days(sessions.ends[True][1])}")


def _days(span: timedelta) -> str:
    return f"{span / _DAY:.0f} days"


def _leeway(case: Case) -> Iterator[Hit]:
    for place, tokens in case.of_kind(JwtVerifier):
        if tokens.leeway > _MINUTE:
            yield Hit(place, f"tokens are good for {tokens.leeway.total_seconds():.0f} seconds after their end")


def _lifetime(case: Case) -> Iterator[Hit]:
    for place, tokens in case.of_kind(JwtVerifier):
        if tokens.max_lifetime is None:
            yield Hit(place)


def _shared(case: Case) -> Iterator[Hit]:
    for place, tokens in case.of_kind(JwtVerifier):
        if tokens.profile.proves_requests and any(name.startswith("HS") for name in tokens.algorithms):
            yield Hit(place)


def _untyped(case: Case) -> Iterator[Hit]:
    for place, tokens in case.of_kind(JwtVerifier):
        if tokens.profile.proves_requests and not tokens.profile.typs.isdisjoint((None, "jwt")):
            yield Hit(place)


def _issuer(case: Case) -> Iterator[Hit]:
    for place, provider in case.of_kind(OidcProvider):
        if provider.insecure_loopback:
            yield Hit(place, f"{provider.issuer} may be asked over plain http")


def _rights(case: Case) -> Iterator[Hit]:
    yield from (Hit(place) for place, keys in case.of_kind(ApiKeys) if not keys.cut_to_rights)


CHECKS: Final = (
    Check("cookie_insecure", _cookie),
    Check("session_long", _long),
    Check("session_idle_long", _idle),
    Check("session_remembered_long", _remembered),
    Check("jwt_leeway", _leeway),
    Check("jwt_lifetime", _lifetime),
    Check("jwt_shared_secret", _shared),
    Check("token_type_open", _untyped),
    Check("issuer_insecure", _issuer),
    Check("keys_without_rights", _rights),
)
