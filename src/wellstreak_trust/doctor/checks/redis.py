"""The Redis servers below."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ..case import Case, Check, Hit

__all__ = ["CHECKS"]

_PORT: Final = "wellstreak_trust.storage.redis.port"
_STORES: Final = "wellstreak_trust.storage.redis."
_PASSING: Final = frozenset(("RedisPort", "RedisLimitStore", "RedisAttempts", "RedisLeases"))
_LOCAL: Final = frozenset((None, "", "localhost", "127.0.0.1", "::1"))
_OPTIONS: Final = frozenset(("host", "port", "db", "username", "password"))
_SECONDS: Final = 2.0


def _ports(case: Case) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Each port, with the class of its connections and their options; clusters and sentinels have no one address."""
    for place, part in case.parts:
        pool = getattr(getattr(part, "client", None), "connection_pool", None)
        if type(part).__module__ == _PORT and pool is not None:
            yield place, pool.connection_class, pool.connection_kwargs


def _far(options: dict[str, Any]) -> bool:
    return "path" not in options and options.get("host") not in _LOCAL


def _has_tls(kind: type) -> bool:
    return any(each.__name__ == "SSLConnection" for each in kind.__mro__)


def _plaintext(case: Case) -> Iterator[Hit]:
    for place, kind, options in _ports(case):
        if _far(options) and not _has_tls(kind):
            yield Hit(place, f"{options.get('host')} is asked without TLS", setting="redis_url")


def _no_password(case: Case) -> Iterator[Hit]:
    for place, _, options in _ports(case):
        if _far(options) and not options.get("password") and not options.get("credential_provider"):
            yield Hit(place, f"{options.get('host')} is asked without a password", setting="redis_url")


def _configured(case: Case, name: str) -> Iterator[tuple[str, Any]]:
    """What each server says of one of its settings, or the error; nothing from one that does not tell its settings."""
    ports = [*_ports(case)] if case.reach else []
    if not ports:
        return  # and perhaps no driver either
    from redis import Redis, RedisError, ResponseError

    for place, kind, options in ports:
        told = {key: value for key, value in options.items() if key in _OPTIONS or key.startswith("ssl_")}
        if "path" in options:
            told = {"unix_socket_path": options["path"], "password": options.get("password")}
        elif _has_tls(kind):
            told["ssl"] = True
        client = Redis(**told, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS)
        try:
            yield place, client.config_get(name).get(name)
        except ResponseError:
            continue  # managed servers keep their settings to themselves
        except (RedisError, OSError) as error:
            yield place, error
        finally:
            client.close()


def _unreachable(case: Case) -> Iterator[Hit]:
    for place, found in _configured(case, "maxmemory-policy"):
        if isinstance(found, BaseException):
            yield Hit(place, f"Redis does not answer: {type(found).__name__}", setting="redis_url")


def _evicts(case: Case) -> Iterator[Hit]:
    for place, found in _configured(case, "maxmemory-policy"):
        if str(found).startswith("allkeys"):
            yield Hit(place, f"its maxmemory-policy is {found}", setting="redis_url")


def _forgets(case: Case) -> Iterator[Hit]:
    lasting = [type(part).__name__ for _, part in case.parts if _is_lasting(part)]
    if not lasting:
        return
    saves = dict(_configured(case, "save"))
    for place, appends in _configured(case, "appendonly"):
        if appends == "no" and saves.get(place) == "":
            yield Hit(place, f"{', '.join(sorted(set(lasting)))} would lose everything")


def _is_lasting(part: object) -> bool:
    kind = type(part)
    return kind.__module__.startswith(_STORES) and kind.__name__.endswith("Store") and kind.__name__ not in _PASSING


CHECKS: Final = (
    Check("redis_plaintext", _plaintext),
    Check("redis_no_password", _no_password),
    Check("redis_unreachable", _unreachable, everywhere=True),
    Check("redis_evicts", _evicts),
    Check("redis_not_persistent", _forgets),
)
