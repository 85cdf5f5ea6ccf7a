"""One OpenID provider as a relying party sees it: what is configured, and what may never be learnt from a message."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from ..core.clock import Clock, SystemClock
from ..core.errors import ConfigurationError
from .discovery import WELL_KNOWN, Metadata, kept_metadata
from .documents import HttpWay, checked_url, default_way
from .given import configured_names, configured_span
from .jwks import JwksSource
from .jws import admitted_algorithms
from .kept import Kept
from .login_flow import Party
from .oidc_client import ClientAuthentication, ClientSecret
from .waiting import Waiter

__all__ = ["OidcProvider", "Quirks", "standard_email"]

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA")
_MINUTE: Final = timedelta(minutes=1)


def standard_email(claims: Mapping[str, Any]) -> bool:
    """Whether `email_verified` is the JSON value true (OpenID Connect Core, 5.1); text is not."""
    return claims.get("email_verified") is True


@dataclass(frozen=True, slots=True)
class Quirks:
    """Where a provider differs from the standard, as data.

    Args:
        metadata_url: where its metadata is, if not below the issuer.
        metadata_issuer: what its metadata names as issuer, if that is a template.
        token_issuers: which issuers its ID tokens may name; empty for the configured one alone.
        demands: claims that an ID token must hold with exactly this value.
        parameters: further parameters of the authorization request.
        agree: whether the claims of an ID token agree with each other; None where nothing could contradict.
        email_is_proved: whether the claims prove that the address is the user's.
    """

    metadata_url: str | None = None
    metadata_issuer: str | None = None
    token_issuers: frozenset[str] = frozenset()
    demands: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    agree: Callable[[Mapping[str, Any]], bool] | None = None
    email_is_proved: Callable[[Mapping[str, Any]], bool] = standard_email


class OidcProvider:
    """A provider, and this host as its client. Build it once: it holds the provider's metadata and keys.

    Args:
        issuer: the provider's identifier, in its own spelling.
        client_secret: text or `Secret`; a `ClientKey` for ``private_key_jwt``; a function that makes a new secret for
            each request; None for a client without one.
        redirect_uri: where the provider sends the browser back to, exactly as registered.
        scopes: what is asked for; holds ``openid``.
        algorithms: what may sign ID tokens, userinfo and logout tokens. Never taken from a header or from metadata;
            never HMAC, whose key the provider shares.
        max_age: how old the sign-in at the provider may be; zero asks for a fresh one.
        acr_values: one of these must have been reached.
        userinfo: ask the userinfo endpoint too; its claims join those of the ID token, which win.
        trusted_audiences: other audiences that an ID token may name beside this client.
        id_token_max_age: how long ago an ID token may have been issued.
        auth_method: ``client_secret_basic``, ``client_secret_post``, ``private_key_jwt`` or ``none``.
        post_logout_redirect_uri: where the provider sends the browser after a sign-out, as registered.
        par: push authorization requests (RFC 9126); None where the provider demands it.
        quirks: where this provider differs from the standard; `presets` has the known ones.
        allow_private: permits a provider inside one's own network. Leave it out where tenants name the issuer.
        allow_insecure_loopback: permits http on this machine, for tests.
        http: how requests leave; by default `core.egress.Egress` with 5 seconds for each.

    Raises:
        ConfigurationError: parts that do not fit or would be unsafe.
    """

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: ClientSecret,
        redirect_uri: str,
        *,
        scopes: Collection[str] = ("openid",),
        algorithms: Collection[str] = ALGORITHMS,
        max_age: timedelta | int | None = None,
        acr_values: Collection[str] = (),
        userinfo: bool = False,
        trusted_audiences: Collection[str] = (),
        id_token_max_age: timedelta = timedelta(minutes=10),
        auth_method: str = "client_secret_basic",
        post_logout_redirect_uri: str | None = None,
        par: bool | None = None,
        quirks: Quirks | None = None,
        allow_private: bool = False,
        allow_insecure_loopback: bool = False,
        http: HttpWay | None = None,
        clock: Clock | None = None,
    ) -> None:
        loopback = allow_insecure_loopback
        self.issuer: str = checked_url(issuer, "the issuer", loopback=loopback, query=False)
        self.redirect_uri: str = checked_url(redirect_uri, "the redirect URI", loopback=loopback)
        if post_logout_redirect_uri is not None:
            checked_url(post_logout_redirect_uri, "the post-logout redirect URI", loopback=loopback)
        self.post_logout_redirect_uri: str | None = post_logout_redirect_uri
        self.client_id: str = _text(client_id, "client_id")
        self.scopes: tuple[str, ...] = _texts(scopes, "scopes")
        if "openid" not in self.scopes:
            raise ConfigurationError("without the scope openid there is no ID token", reason="scopes")
        self.algorithms: frozenset[str] = _asymmetric(algorithms)
        self.max_age: int | None = _seconds(max_age)
        self.acr_values: tuple[str, ...] = _texts(acr_values, "acr_values")
        self.userinfo: bool = bool(userinfo)
        self.trusted_audiences: frozenset[str] = frozenset(_texts(trusted_audiences, "trusted_audiences"))
        if configured_span(id_token_max_age, "id_token_max_age") < _MINUTE:
            raise ConfigurationError("id_token_max_age is at least a minute", reason="id_token_max_age")
        self.id_token_max_age: timedelta = id_token_max_age
        self.par: bool | None = par
        self.quirks: Quirks = quirks or Quirks()
        self.clock: Clock = clock or SystemClock()
        self.http: HttpWay = http or default_way(private=allow_private or loopback)
        self.client: ClientAuthentication = ClientAuthentication(self.client_id, client_secret, auth_method, self.clock)
        self._loopback: bool = loopback
        self._metadata: Kept[Metadata] = self._kept()
        self._keys: dict[str, JwksSource] = {}

    @property
    def insecure_loopback(self) -> bool:
        """Whether http on this machine is permitted."""
        return self._loopback

    @property
    def party(self) -> Party:
        """What a sign-in is begun with, and must be answered to."""
        return Party(self.issuer, self.client_id, self.redirect_uri)

    @property
    def token_issuers(self) -> frozenset[str]:
        """The issuers that its ID tokens may name."""
        return self.quirks.token_issuers or frozenset((self.issuer,))

    async def metadata(self, wait: Waiter) -> Metadata:
        """What the provider says of itself, at most an hour old.

        Raises:
            ProviderUnavailable: it cannot be had now.
            ConfigurationError: it is not this provider's, or names unsafe endpoints.
        """
        return await self._metadata.obtain(wait)

    async def keys(self, wait: Waiter) -> JwksSource:
        """The provider's published keys, wherever its metadata says that they are by now."""
        url = (await self.metadata(wait)).jwks_uri
        found = self._keys.get(url)
        if found is None:
            made = JwksSource(url, allow_insecure_loopback=self._loopback, http=self.http, clock=self.clock)
            found = self._keys.setdefault(url, made)  # atomic: of simultaneous first callers all share one source
            for other in set(self._keys) - {url}:
                self._keys.pop(other, None)
        return found

    def __repr__(self) -> str:
        return f"OidcProvider({self.issuer!r})"

    def _kept(self) -> Kept[Metadata]:
        url = self.quirks.metadata_url or self.issuer.rstrip("/") + WELL_KNOWN
        checked_url(url, "the address of the metadata", loopback=self._loopback)
        issuer = self.quirks.metadata_issuer or self.issuer
        return kept_metadata(self.http, url, issuer, loopback=self._loopback, clock=self.clock)


def _asymmetric(names: Collection[str]) -> frozenset[str]:
    found = admitted_algorithms(names)
    if any(name.startswith("HS") for name in found):
        raise ConfigurationError(
            "an ID token under a shared secret proves nothing that the client could not have made",
            hint='algorithms=("RS256",)',
            reason="alg",
        )
    return found


def _text(value: object, name: str) -> str:
    if isinstance(value, str) and 0 < len(value) <= 512 and value.isascii() and value.isprintable():
        return value
    raise ConfigurationError(f"{name} is 1 to 512 printable ASCII characters", reason="oidc_client")


def _texts(values: Collection[str], name: str) -> tuple[str, ...]:
    found = tuple(_text(value, f"each of {name}") for value in configured_names(values, name))
    if any(" " in value for value in found):
        raise ConfigurationError(f"one of {name} holds a space", reason="oidc_client")
    return found


def _seconds(span: timedelta | int | None) -> int | None:
    if span is None:
        return None
    found = span // timedelta(seconds=1) if isinstance(span, timedelta) else span
    if type(found) is not int or found < 0:
        raise ConfigurationError("max_age is a timedelta or whole seconds, zero or more", reason="max_age")
    return found
