"""Sign-in with GitHub, which speaks OAuth 2.0 and no OpenID Connect: no ID token, so its API says who it was.

What stands in for the ID token's checks: the code is bound to this browser's sign-in by state, cookie and PKCE, and
the answer comes over TLS from GitHub itself. The person's key is the numeric id, because a login name can be given up
and taken by somebody else. An address counts as proved only if GitHub calls it primary and verified.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from ..core.clock import Clock, SystemClock
from ..core.egress import EgressResponse
from ..core.errors import ConfigurationError, InvalidCredential
from ..core.event import EventSink
from ..core.sansio import suspends
from ..core.secret import Secret
from .documents import HttpWay, asked, checked_url, default_way, json_document, json_list
from .jwt import Claims
from .login import Identity
from .login_flow import Answered, LoginFlow, LoginStart, Party
from .login_paths import checked_return_path
from .login_store import LoginStore
from .login_trail import refusals_told
from .oidc_client import ClientAuthentication, token_answer
from .waiting import Waiter, awaited, blocking

__all__ = ["GitHubLogin"]

ISSUER: Final = "https://github.com"
API: Final = "https://api.github.com"
_LARGEST: Final = 2**63


class GitHubLogin:
    """`begin` and `complete` as of `OidcLogin`, for GitHub. Both have an ``a`` twin.

    Args:
        client_id, client_secret, redirect_uri: of the OAuth app.
        scopes: ``user:email`` is needed for an address.
        audit: takes ``signin.failed`` with the cause of each refused callback.
        site, api: base URLs, for GitHub Enterprise Server; the site is the issuer of its identities.
        allow_private: permits a site inside one's own network.
        allow_insecure_loopback: permits http on this machine, for tests.

    Raises:
        ConfigurationError: parts that do not fit.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str | Secret[str],
        redirect_uri: str,
        store: LoginStore,
        *,
        scopes: Collection[str] = ("read:user", "user:email"),
        site: str = ISSUER,
        api: str = API,
        audit: EventSink | None = None,
        allow_private: bool = False,
        allow_insecure_loopback: bool = False,
        http: HttpWay | None = None,
        clock: Clock | None = None,
    ) -> None:
        if isinstance(scopes, str) or not client_secret:
            raise ConfigurationError("GitHub needs a client secret and a collection of scopes", reason="github")
        loopback, found = allow_insecure_loopback, clock or SystemClock()
        self.suspends: bool = suspends(store, audit)
        self.issuer: str = checked_url(site, "the site", loopback=loopback, query=False).rstrip("/")
        self._api: str = checked_url(api, "the API", loopback=loopback, query=False).rstrip("/")
        self._client_id: str = client_id
        self._redirect_uri: str = checked_url(redirect_uri, "the redirect URI", loopback=loopback)
        self._audit: EventSink | None = audit
        self._clock: Clock = found
        self._scopes: str = " ".join(scopes)
        self._http: HttpWay = http or default_way(private=allow_private or loopback)
        self._client: ClientAuthentication = ClientAuthentication(client_id, client_secret, "client_secret_post", found)
        self._flow: LoginFlow = LoginFlow(store, Party(self.issuer, client_id, self._redirect_uri), found)

    async def _begin(
        self, wait: Waiter, return_to: str = "/", *, cookies: Mapping[str, str] | None = None
    ) -> LoginStart:
        """Begins a sign-in; see `OidcLogin.begin`.

        Raises:
            InvalidRequest: a return path that could lead to another host.
        """
        opened = await self._flow.open(checked_return_path(return_to))
        request = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": self._redirect_uri,
            "scope": self._scopes,
            "state": opened.state,
            "code_challenge": opened.challenge,
            "code_challenge_method": "S256",
        }
        url = f"{self.issuer}/login/oauth/authorize?{urlencode(request)}"
        return LoginStart(url, opened.cookie, self._flow.dropped(cookies))

    begin: Final = blocking(_begin)
    abegin: Final = awaited(_begin)

    async def _complete(self, wait: Waiter, url_or_query: str, cookies: Mapping[str, str]) -> Identity:
        """Ends a sign-in; see `OidcLogin.complete`.

        Raises:
            InvalidCredential: refused; `reason` is for the audit trail only.
            ProviderUnavailable: GitHub does not answer.
        """
        async with refusals_told(self._audit, self.issuer, self._clock):
            return await self._completed(wait, await self._flow.answered(url_or_query, cookies))

    complete: Final = blocking(_complete)
    acomplete: Final = awaited(_complete)

    async def _completed(self, wait: Waiter, answered: Answered) -> Identity:
        access_token = await wait.run(lambda: self._exchanged(answered))
        user = json_document((await wait.run(lambda: self._get("/user", access_token))).body) or {}
        emails = json_list((await wait.run(lambda: self._get("/user/emails", access_token))).body)
        return self._identity(user, emails, access_token, answered)

    def _exchanged(self, answered: Answered) -> str:
        form = {"code": answered.code, "redirect_uri": self._redirect_uri, "code_verifier": answered.verifier}
        url = f"{self.issuer}/login/oauth/access_token"
        # Errors come with status 200 here; token_answer reads the member.
        answer = self._client.post(self._http, "the token endpoint", url, self.issuer, form)
        return token_answer(answer, code="code").access_token

    def _get(self, path: str, access_token: str) -> EgressResponse:
        headers = {
            "Authorization": f"Bearer {access_token}",
            "Accept": "application/vnd.github+json",
            "User-Agent": "wellstreak-trust",
        }
        answer = asked(self._http, "the API", self._api + path, headers)
        if answer.status != 200:
            raise InvalidCredential(f"the API refused with status {answer.status}", reason="userinfo")
        return answer

    def _identity(self, user: Mapping[str, Any], emails: list[Any], access_token: str, answered: Answered) -> Identity:
        number, name = user.get("id"), user.get("login")
        if type(number) is not int or not 0 < number < _LARGEST:
            raise InvalidCredential("the API names no user", reason="userinfo")
        email = next(
            (
                entry["email"]
                for entry in emails
                if isinstance(entry, dict)
                and entry.get("primary") is True
                and entry.get("verified") is True
                and isinstance(entry.get("email"), str)
            ),
            None,
        )
        claims = Claims({"iss": self.issuer, "sub": str(number), "login": name, "email": email})
        return Identity(
            self.issuer,
            str(number),
            claims,
            answered.return_to,
            sid=None,
            auth_time=None,
            acr=None,
            amr=(),
            access_token=Secret(access_token),
            refresh_token=None,
            id_token=None,
            email=email,
            email_proved=email is not None,
            cookie=answered.removal,
        )
