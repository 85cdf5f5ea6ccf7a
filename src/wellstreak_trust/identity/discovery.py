"""What a provider says of itself (OpenID Connect Discovery 1.0, RFC 8414), read with suspicion.

The issuer is configured and never learnt: the document must name it in the same characters. Every address it gives
must be https. It is kept for an hour and then fetched anew; endpoints may have moved by then, the issuer may not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from ..core.clock import Clock
from ..core.errors import ConfigurationError
from .documents import HttpWay, checked_url, fetched
from .kept import Kept, Terms

__all__ = ["Metadata", "kept_metadata", "metadata_of"]

_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)
_TERMS: Final = Terms(_HOUR, _HOUR, _HOUR, _MINUTE, timedelta(seconds=6))
_REQUIRED: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_OPTIONAL: Final = ("userinfo_endpoint", "end_session_endpoint", "pushed_authorization_request_endpoint")
WELL_KNOWN: Final = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class Metadata:
    """The part of a provider's metadata that a sign-in needs.

    Args:
        names_issuer: it says that its answers carry `iss` (RFC 9207).
        wants_par: it takes pushed requests only (RFC 9126, 5).
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    pushed_authorization_request_endpoint: str | None = None
    names_issuer: bool = False
    wants_par: bool = False


def metadata_of(document: Mapping[str, Any], issuer: str, *, loopback: bool) -> Metadata:
    """The metadata of the provider that was configured.

    Args:
        issuer: what the document must name, compared as characters (RFC 8414, 3.3).

    Raises:
        ConfigurationError: another issuer, a missing endpoint, or one that is not https.
    """
    if document.get("issuer") != issuer:
        raise ConfigurationError(
            "the provider's metadata names another issuer than the one configured",
            hint="give the issuer in the provider's own spelling; a slash at its end counts",
            reason="issuer",
        )
    endpoints = {
        name: checked_url(document.get(name), f"the provider's {name}", loopback=loopback)
        for name in (*_REQUIRED, *_OPTIONAL)
        if name in _REQUIRED or document.get(name) is not None
    }
    return Metadata(
        issuer,
        **endpoints,
        names_issuer=document.get("authorization_response_iss_parameter_supported") is True,
        wants_par=document.get("require_pushed_authorization_requests") is True,
    )


def kept_metadata(way: HttpWay, url: str, issuer: str, *, loopback: bool, clock: Clock) -> Kept[Metadata]:
    """The metadata at an address, kept for an hour. A failed fetch is never papered over with an older document."""
    return Kept(
        lambda: metadata_of(fetched(way, "the provider's metadata", url), issuer, loopback=loopback), _TERMS, clock
    )
