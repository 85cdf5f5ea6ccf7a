"""Sign-in with an OpenID provider: code flow with PKCE, every check on, none of them optional.

::

    begin ──► provider ──► complete: callback (login_flow) ► code for tokens ► ID token (oidc_tokens) ► userinfo
    backchannel_logout ◄── provider                          refresh · userinfo · end_session ──► provider ──► ended

Sources: OpenID Connect Core, Discovery, Back-Channel Logout and RP-Initiated Logout 1.0; RFC 6749, 7636, 9126, 9207,
9700.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from inspect import isawaitable
from typing import Any, Final
from urllib.parse import urlencode

from ..core.entropy import random_token
from ..core.errors import ConfigurationError, InvalidCredential, InvalidRequest, InvalidToken, ProviderUnavailable
from ..core.event import EventSink
from ..core.sansio import suspends, synced
from ..core.secret import Secret
from .cookies import Cookie
from .documents import asked, json_document
from .jwt import Claims
from .login import Identity, LogoutNotice, LogoutStart, RefreshedTokens
from .login_flow import Answered, LoginFlow, LoginStart, Opened, query_of
from .login_paths import checked_return_path, own_path
from .login_store import LoginStore
from .login_trail import refusals_told
from .oidc import OidcProvider
from .oidc_client import TokenAnswer, token_answer
from .oidc_tokens import LEEWAY, LOGOUT_AGE, Expected, auth_time_of, read_id_token, read_logout_token, read_userinfo
from .presented import Presented, text_of
from .waiting import Waiter, awaited, blocking

__all__ = ["OidcLogin"]

_PROMPTS: Final = frozenset(("none", "login", "consent", "select_account", "create"))
_LOGOUT: Final = "ws_logout"
_LOGOUT_LIFETIME: Final = timedelta(minutes=10)
_FORM_POST: Final = ("code", "state", "iss", "error")
_MAX_HINT: Final = 512


class OidcLogin:
    """Signs people in with one provider. Every method that meets provider or store has an ``a`` twin.

    Args:
        provider: built once, shared.
        store: `MemoryLoginStore`, or `SqlLoginStore` or `RedisLoginStore` of `storage`.
        audit: takes ``signin.failed`` with the cause of each refused callback.
    """

    def __init__(self, provider: OidcProvider, store: LoginStore, *, audit: EventSink | None = None) -> None:
        self.suspends: bool = suspends(store, audit)
        self._audit: EventSink | None = audit
        self._provider: OidcProvider = provider
        self._store: LoginStore = store
        self._flow: LoginFlow = LoginFlow(store, provider.party, provider.clock)

    # --- signing in ------------------------------------------------------------------------------------------------

    async def _begin(
        self,
        wait: Waiter,
        return_to: str = "/",
        *,
        login_hint: str | None = None,
        prompt: str | None = None,
        cookies: Mapping[str, str] | None = None,
    ) -> LoginStart:
        """Begins a sign-in: send the browser to `url`, with `cookie` set.

        Args:
            return_to: a path of the host's own, to go to afterwards.
            login_hint: whom the provider should expect.
            prompt: ``login`` to have the user sign in anew, ``select_account``, ``consent``, ``none``, ``create``.
            cookies: the browser's, so that more than five open sign-ins make the oldest go.

        Raises:
            InvalidRequest: a return path that could lead to another host, or an unknown prompt.
            ProviderUnavailable: the provider's metadata cannot be had, or it does not take the pushed request.
        """
        checked_return_path(return_to)  # before the provider is asked, and whether or not it answers
        if prompt is not None and not _PROMPTS.issuperset(prompt.split()):
            raise InvalidRequest("an unknown prompt", hint=", ".join(sorted(_PROMPTS)))
        metadata = await self._provider.metadata(wait)
        opened = await self._flow.open(return_to, names_issuer=metadata.names_issuer)
        request = self._request(opened, login_hint, prompt)
        pushing = metadata.wants_par if self._provider.par is None else self._provider.par
        if pushing:
            request = await self._pushed(wait, metadata.pushed_authorization_request_endpoint, request)
        url = _with_query(metadata.authorization_endpoint, request)
        return LoginStart(url, opened.cookie, self._flow.dropped(cookies))

    begin: Final = blocking(_begin)
    abegin: Final = awaited(_begin)

    async def _initiate(
        self, wait: Waiter, url_or_query: str, *, cookies: Mapping[str, str] | None = None
    ) -> LoginStart:
        """Begins a sign-in that somebody else asked for (OpenID Connect Core, 4): the target of ``/login?iss=...``.

        Raises:
            InvalidRequest: another issuer, or a target that is not a path of this host.
            ProviderUnavailable: as `begin`.
        """
        query = query_of(url_or_query)
        hint = query.get("login_hint")
        if query.get("iss") != self._provider.issuer or len(hint or "") > _MAX_HINT:
            raise InvalidRequest("a sign-in with another provider than this one")
        return_to = own_path(query.get("target_link_uri", "/"), self._provider.redirect_uri)
        return await self._begin(wait, return_to, login_hint=hint, cookies=cookies)

    initiate: Final = blocking(_initiate)
    ainitiate: Final = awaited(_initiate)

    async def _complete(self, wait: Waiter, url_or_query: str, cookies: Mapping[str, str]) -> Identity:
        """Ends a sign-in with what the provider sent the browser back with.

        Args:
            url_or_query: the callback's URL or query, as it came.
            cookies: the browser's.

        Raises:
            InvalidCredential: refused; `reason` is for the audit trail only (`login_flow`, `oidc_tokens`).
            ProviderUnavailable: the provider does not answer. The sign-in is used up: begin another.
        """
        async with refusals_told(self._audit, self._provider.issuer, self._provider.clock):
            return await self._completed(wait, await self._flow.answered(url_or_query, cookies))

    complete: Final = blocking(_complete)
    acomplete: Final = awaited(_complete)

    async def _completed(self, wait: Waiter, answered: Answered) -> Identity:
        form = {
            "grant_type": "authorization_code",
            "code": answered.code,
            "redirect_uri": self._provider.redirect_uri,
            "code_verifier": answered.verifier,
        }
        tokens = await self._exchanged(wait, form, "code")
        if tokens.id_token is None:
            raise InvalidCredential("no ID token", reason="token_answer")
        expected = Expected(tokens.access_token, answered.nonce)
        claims: Mapping[str, Any] = await read_id_token(self._provider, wait, tokens.id_token, expected)
        if self._provider.userinfo:
            more = await self._userinfo(wait, tokens.access_token, subject=claims["sub"])
            claims = Claims({**more, **claims})
        return self._identity(claims, tokens, answered.return_to, answered.removal)

    def bounce(self, body: bytes | str) -> str:
        """The address to redirect to (303), with which a callback that came as a form comes again as a GET.

        A provider that uses ``response_mode=form_post`` makes the browser POST from its own page, and a browser sends
        no Lax cookie with that. Only code, state, issuer and error are taken along.

        Raises:
            InvalidCredential: no such form, or a field twice.
        """
        text = body.decode("ascii", "replace") if isinstance(body, bytes) else body
        fields = query_of(f"?{text}" if isinstance(text, str) else "")
        return _with_query(self._provider.redirect_uri, {name: fields[name] for name in _FORM_POST if name in fields})

    # --- afterwards ------------------------------------------------------------------------------------------------

    async def _userinfo(self, wait: Waiter, access_token: Presented, *, subject: str) -> Mapping[str, Any]:
        """What the userinfo endpoint says of the user, plain or signed.

        Args:
            subject: of the ID token; an answer about anybody else is refused (OpenID Connect Core, 5.3.4).

        Raises:
            InvalidToken: another subject, or a signature that does not verify.
            ProviderUnavailable: no answer.
            ConfigurationError: the provider has no such endpoint.
        """
        url = _endpoint((await self._provider.metadata(wait)).userinfo_endpoint, "userinfo_endpoint")
        headers = {"Authorization": f"Bearer {text_of(access_token)}", "Accept": "application/json, application/jwt"}
        answer = await wait.run(lambda: asked(self._provider.http, "userinfo", url, headers))
        if answer.status != 200:
            raise InvalidCredential(f"userinfo refused with status {answer.status}", reason="userinfo")
        kind = (answer.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
        if kind == "application/jwt":
            text = answer.body.decode("ascii", "replace")
            found: Mapping[str, Any] | None = await read_userinfo(self._provider, wait, text)
        else:
            found = json_document(answer.body)
        if found is None or found.get("sub") != subject:
            raise InvalidToken("userinfo of somebody else, or none", reason="userinfo")
        return Claims(found)

    userinfo: Final = blocking(_userinfo)
    auserinfo: Final = awaited(_userinfo)

    async def _refresh(
        self, wait: Waiter, refresh_token: Presented, *, subject: str, auth_time: datetime | None = None
    ) -> RefreshedTokens:
        """New tokens for an old one (OpenID Connect Core, 12).

        Args:
            subject, auth_time: of the `Identity` that the token came with.

        Raises:
            InvalidCredential: the provider refused, or its new ID token is somebody else's.
            ProviderUnavailable: no answer.
        """
        old = text_of(refresh_token)
        tokens = await self._exchanged(wait, {"grant_type": "refresh_token", "refresh_token": old}, "refresh")
        claims = None
        if tokens.id_token is not None:
            expected = Expected(tokens.access_token, subject=subject, auth_time=auth_time)
            claims = await read_id_token(self._provider, wait, tokens.id_token, expected)
        identity = Secret(tokens.id_token) if tokens.id_token is not None else None
        return RefreshedTokens(Secret(tokens.access_token), Secret(tokens.refresh_token or old), identity, claims)

    refresh: Final = blocking(_refresh)
    arefresh: Final = awaited(_refresh)

    # --- signing out -----------------------------------------------------------------------------------------------

    async def _backchannel_logout(
        self, wait: Waiter, token: Presented, *, end: Callable[[LogoutNotice], object] | None = None
    ) -> LogoutNotice:
        """Reads a logout token that the provider has posted as `logout_token`. Answer 200, or 400 to a refusal.

        Args:
            end: ends the sessions that the notice names (a coroutine function with the async face). What it raises
                passes, and leaves the token good for the provider's next try; without it, a token whose sessions
                could not be ended is spent.

        Raises:
            InvalidToken: refused; ``replayed`` for one that was seen already.
            ProviderUnavailable: the provider's keys cannot be had.
        """
        claims = await read_logout_token(self._provider, wait, text_of(token))
        now = self._provider.clock.now()
        until = now + LOGOUT_AGE + 2 * LEEWAY  # after that its age refuses it
        key = sha256("\0".join(("logout", claims["iss"], claims["jti"])).encode("utf-8")).digest()
        if not await self._store.claim(key, now=now, until=until):
            raise InvalidToken("a logout token that was seen already", reason="replayed")
        notice = LogoutNotice(claims["iss"], claims.get("sub"), claims.get("sid"))
        try:
            ended = end(notice) if end is not None else None
            if isawaitable(ended):
                await ended
        except BaseException:
            await self._store.release(key)
            raise
        return notice

    backchannel_logout: Final = blocking(_backchannel_logout)
    abackchannel_logout: Final = awaited(_backchannel_logout)

    async def _end_session(self, wait: Waiter, id_token: Presented | None = None) -> LogoutStart:
        """Where to send the browser to sign out at the provider too (OpenID Connect RP-Initiated Logout 1.0).

        End the host's own session first: the browser may never come back.

        Args:
            id_token: of the `Identity`; without it most providers ask the user.

        Raises:
            ConfigurationError: the provider has no such endpoint.
            ProviderUnavailable: its metadata cannot be had.
        """
        url = _endpoint((await self._provider.metadata(wait)).end_session_endpoint, "end_session_endpoint")
        state = random_token()
        request = {"client_id": self._provider.client_id, "state": state}
        if id_token is not None:
            request["id_token_hint"] = text_of(id_token)
        if self._provider.post_logout_redirect_uri is not None:
            request["post_logout_redirect_uri"] = self._provider.post_logout_redirect_uri
        return LogoutStart(_with_query(url, request), self._logout_cookie(state, _LOGOUT_LIFETIME))

    end_session: Final = blocking(_end_session)
    aend_session: Final = awaited(_end_session)

    def ended(self, url_or_query: str, cookies: Mapping[str, str]) -> Cookie:
        """Takes the browser back after `end_session`; returns what removes the cookie.

        Raises:
            InvalidCredential: no state, or another than this browser's (``state``).
        """
        state = query_of(url_or_query).get("state") or ""
        removal = self._logout_cookie("", timedelta())
        kept = cookies.get(removal.name) if isinstance(cookies, Mapping) else None
        known = kept.encode("utf-8", "replace") if isinstance(kept, str) else b""
        if not state or not compare_digest(state.encode("utf-8", "replace"), known):
            raise InvalidCredential("not a sign-out of this browser", reason="state")
        return removal

    async def asweep(self) -> int:
        """Forgets sign-ins that nobody came back from; run it now and then. Returns how many rows."""
        return await self._store.sweep(self._provider.clock.now())

    sweep: Final = synced(asweep)

    # --- shared ----------------------------------------------------------------------------------------------------

    def _request(self, opened: Opened, login_hint: str | None, prompt: str | None) -> dict[str, str]:
        provider = self._provider
        wanted = {
            "max_age": None if provider.max_age is None else str(provider.max_age),
            "acr_values": " ".join(provider.acr_values) or None,
            "login_hint": login_hint,
            "prompt": prompt,
        }
        return {
            **provider.quirks.parameters,
            **{name: value for name, value in wanted.items() if value is not None},
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": provider.redirect_uri,
            "scope": " ".join(provider.scopes),
            "state": opened.state,
            "nonce": opened.nonce,
            "code_challenge": opened.challenge,
            "code_challenge_method": "S256",
        }

    async def _pushed(self, wait: Waiter, endpoint: str | None, request: Mapping[str, str]) -> dict[str, str]:
        """Hands the request over behind the browser's back (RFC 9126): the browser carries a reference only."""
        provider, url = self._provider, _endpoint(endpoint, "pushed_authorization_request_endpoint")
        answer = await wait.run(
            lambda: provider.client.post(provider.http, "the pushed request", url, provider.issuer, request)
        )
        reference = (json_document(answer.body) or {}).get("request_uri")
        if answer.status != 201 or not isinstance(reference, str) or not reference:
            raise ProviderUnavailable(
                f"the pushed request was refused with status {answer.status}", hint="check client, scopes and URI"
            )
        return {"client_id": provider.client_id, "request_uri": reference}

    async def _exchanged(self, wait: Waiter, form: Mapping[str, str], code: str) -> TokenAnswer:
        provider, url = self._provider, (await self._provider.metadata(wait)).token_endpoint
        answer = await wait.run(
            lambda: provider.client.post(provider.http, "the token endpoint", url, provider.issuer, form)
        )
        return token_answer(answer, code=code)

    def _identity(self, claims: Mapping[str, Any], tokens: TokenAnswer, return_to: str, removal: Cookie) -> Identity:
        methods, sid, acr, email = (claims.get(name) for name in ("amr", "sid", "acr", "email"))
        listed = methods if isinstance(methods, list) else []
        return Identity(
            claims["iss"],
            claims["sub"],
            claims,
            return_to,
            sid if isinstance(sid, str) and sid else None,
            auth_time_of(claims),
            acr if isinstance(acr, str) else None,
            tuple(method for method in listed if isinstance(method, str)),
            Secret(tokens.access_token),
            Secret(tokens.refresh_token) if tokens.refresh_token is not None else None,
            Secret(tokens.id_token) if tokens.id_token is not None else None,
            email if isinstance(email, str) else None,
            isinstance(email, str) and self._provider.quirks.email_is_proved(claims),
            removal,
        )

    def _logout_cookie(self, value: str, max_age: timedelta) -> Cookie:
        secure = self._provider.redirect_uri.startswith("https:")
        return Cookie(f"__Host-{_LOGOUT}" if secure else _LOGOUT, value, max_age, secure=secure)


def _endpoint(url: str | None, name: str) -> str:
    if url is None:
        raise ConfigurationError(f"the provider has no {name}", hint="ask its documentation", reason="endpoint")
    return url


def _with_query(url: str, fields: Mapping[str, str]) -> str:
    """`url` with further parameters; what an endpoint's own query says is kept (RFC 6749, 3.1)."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(fields)}"
