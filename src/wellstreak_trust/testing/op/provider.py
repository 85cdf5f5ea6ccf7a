"""The provider itself: what it knows, and what it answers. `server` brings it to HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256, sha384, sha512
from html import escape, unescape
from threading import Lock
from types import TracebackType
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from ...core.clock import Clock, SystemClock
from ...core.entropy import random_token
from ...identity.oidc import OidcProvider
from .client import Client
from .faults import FAULTS, Fault
from .server import Server
from .signing import SigningKey, b64, fresh_key, shared_key
from .way import Way

__all__ = ["OpenIdProvider", "Reply"]

_LIFETIME: Final = 3_600
_HASHES: Final = {"256": sha256, "384": sha384, "512": sha512, "DSA": sha512}
_HTML: Final = (("Content-Type", "text/html; charset=utf-8"),)
_FORM: Final = (
    '<!doctype html><body onload="document.forms[0].submit()"><form method="post" action="{action}">{fields}</form>'
)
_FIELD: Final = '<input type="hidden" name="{name}" value="{value}">'
_WRITTEN: Final = re.compile(_FIELD.format(name='([^"]*)', value='([^"]*)'))
_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"


@dataclass(frozen=True)
class Reply:
    """What goes back over HTTP."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)


@dataclass(frozen=True)
class Signing:
    """A token about to be signed."""

    claims: Mapping[str, Any]
    header: Mapping[str, Any]


@dataclass(frozen=True)
class _Grant:
    """What a code or refresh token stands for."""

    request: Mapping[str, str]
    user: Mapping[str, Any]
    signed_in_at: int
    sid: str = field(default_factory=random_token)


class OpenIdProvider:
    """A provider with one client, on a free port of 127.0.0.1, from ``with`` to its end.

    It signs in whoever `user` says, at once and without asking. With no fault switched on it is a sound provider:
    code flow, PKCE demanded, `iss` in its answers, pushed requests, refresh tokens, userinfo, both kinds of logout.

    Args:
        alg: what it signs with: RS256, PS256, ES256 or EdDSA.
        issuer: its name, if that is to differ from its address; send requests by `way` then.
        client_id, client_secret: of its client.
        client_key: the public half checks client assertions (``private_key_jwt``); then no secret is taken.
        user: the claims of whoever signs in; ``sub`` among them.
        signed_userinfo: userinfo comes as a JWT.
        form_post: answers come as forms, whatever is asked for.

    Attributes:
        metadata, claims: further members of its metadata and of its ID tokens, in place of its own.
        requests: the method and path of every request so far.
    """

    def __init__(
        self,
        *,
        alg: str = "RS256",
        issuer: str | None = None,
        client_id: str = "client",
        client_secret: str = "a secret: of some+length & kind",
        client_key: Any = None,
        user: Mapping[str, Any] | None = None,
        signed_userinfo: bool = False,
        form_post: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self.alg: str = alg
        self.client: Client = Client(client_id, client_secret, client_key)
        self.client_id: str = client_id
        self.client_secret: str = client_secret
        self.user: Mapping[str, Any] = user or {"sub": "u-1", "email": "ada@example.com", "email_verified": True}
        self.signed_userinfo: bool = signed_userinfo
        self.form_post: bool = form_post
        self.metadata: dict[str, Any] = {}
        self.claims: dict[str, Any] = {}
        self.requests: list[tuple[str, str]] = []
        self.key: SigningKey = shared_key(alg, "k1")
        self.extra_keys: list[SigningKey] = []
        self.clock: Clock = clock or SystemClock()
        self._issuer: str | None = issuer
        self._server: Server = Server(self._answer, self._how)
        self._faults: tuple[Fault, ...] = ()
        self._lock: Lock = Lock()
        self._grants: dict[str, _Grant] = {}
        self._pushed: dict[str, dict[str, str]] = {}
        self._rotations: int = 1

    # --- running ---------------------------------------------------------------------------------------------------

    def start(self) -> OpenIdProvider:
        """Listens; `with` does it too."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Ends."""
        self._server.stop()

    def __enter__(self) -> OpenIdProvider:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Its address."""
        return self._server.url

    @property
    def issuer(self) -> str:
        """Its name."""
        return self._issuer or self.url

    def now(self) -> int:
        """Its time, in Unix seconds."""
        return int(self.clock.now().timestamp())

    def relying_party(self, redirect_uri: str = "http://127.0.0.1/callback", **options: Any) -> OidcProvider:
        """This provider as its client sees it; `options` are those of `OidcProvider`."""
        secret = options.pop("client_secret", self.client_secret)
        given = {"allow_insecure_loopback": True, "http": self.way(), "clock": self.clock, **options}
        return OidcProvider(self.issuer, self.client_id, secret, redirect_uri, **given)

    def way(self, timeout: timedelta = timedelta(seconds=5)) -> Way:
        """How requests reach it under a name that is not its address."""
        return Way(self.issuer, self.url, timeout)

    # --- faults ----------------------------------------------------------------------------------------------------

    @contextmanager
    def fault(self, *names: str) -> Iterator[None]:
        """Switches faults on; `FAULTS` lists them."""
        before = self._faults
        self._faults = before + tuple(FAULTS[name] for name in names)
        try:
            yield
        finally:
            self._faults = before

    def _changed(self, stage: str, found: Any) -> Any:
        for fault in self._faults:
            if fault.stage == stage:
                found = fault.change(found, self)
        return found

    def _how(self, path: str) -> str:
        """How an answer is sent: empty for the sound way."""
        found = (fault.change(path, self) for fault in self._faults if fault.stage == "send")
        return next(filter(None, found), "")

    # --- as a browser, and behind its back -------------------------------------------------------------------------

    def sign_in(self, url: str) -> str:
        """Follows the address that `begin` gave, as a browser does; the callback that it is sent back with.

        For an answer as a form, the form's body.
        """
        answer = self.way().send("GET", url)
        if answer.status == 200:
            fields = _WRITTEN.findall(answer.body.decode())
            return urlencode([(unescape(name), unescape(value)) for name, value in fields])
        return answer.headers.get("Location") or f"status {answer.status}"

    def count(self, path: str) -> int:
        """How many requests there were for a path."""
        return sum(asked == path for _, asked in self.requests)

    def rotate(self, *, withdraw: bool = True) -> None:
        """Signs with a new key from now on; the old one is withdrawn, or stays published."""
        if not withdraw:
            self.extra_keys.append(self.key)
        self._rotations += 1
        self.key = fresh_key(self.alg, f"k{self._rotations}")

    def logout_token(self, *, sub: str | None = "u-1", sid: str | None = "s-1", **claims: Any) -> str:
        """A back-channel logout token; a claim that is None is left out."""
        found = {
            "iss": self.issuer, "aud": self.client_id, "iat": self.now(), "exp": self.now() + 120,
            "jti": random_token(), "events": {_EVENT: {}}, "sub": sub, "sid": sid, **claims,
        }  # fmt: skip
        kept = {name: value for name, value in found.items() if value is not None}
        return self._signed(self._changed("logout", kept), {"typ": "logout+jwt"})

    # --- endpoints -------------------------------------------------------------------------------------------------

    def _answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        parts = urlsplit(target)
        self.requests.append((method, parts.path))
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        form = {name: values[0] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
        match parts.path:
            case "/.well-known/openid-configuration":
                return _json(200, self._changed("metadata", self._metadata()))
            case "/jwks":
                keys = [key.jwk for key in (self.key, *self.extra_keys)]
                return _json(200, self._changed("keys", {"keys": keys}))
            case "/authorize":
                return self._authorize(query)
            case "/par":
                return self._push(headers, form)
            case "/token":
                reply = self._token(headers, form)
                status, octets = self._changed("answer", (reply.status, reply.body))
                return Reply(status, octets)
            case "/userinfo":
                return self._userinfo(headers)
            case "/end_session":
                return self._end_session(query)
        return _json(404, {"error": "not_found"})

    def _metadata(self) -> dict[str, Any]:
        paths = {
            "authorization_endpoint": "authorize",
            "token_endpoint": "token",
            "jwks_uri": "jwks",
            "userinfo_endpoint": "userinfo",
            "end_session_endpoint": "end_session",
            "pushed_authorization_request_endpoint": "par",
        }
        return {
            "issuer": self.issuer,
            **{name: f"{self.issuer}/{path}" for name, path in paths.items()},
            "authorization_response_iss_parameter_supported": True,
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [self.alg],
            **self.metadata,
        }

    def _authorize(self, query: Mapping[str, str]) -> Reply:
        request = self._pushed.pop(query["request_uri"], {}) if "request_uri" in query else dict(query)
        if request.get("client_id") != self.client_id or request.get("code_challenge_method") != "S256":
            return _json(400, {"error": "invalid_request"})
        code = random_token()
        self._grants[code] = _Grant(request, self.user, self.now())
        pairs = self._changed("callback", [("code", code), ("state", request["state"]), ("iss", self.issuer)])
        target, answer = request["redirect_uri"], urlencode(pairs)
        if self.form_post or request.get("response_mode") == "form_post":
            fields = "".join(_FIELD.format(name=escape(n), value=escape(v)) for n, v in pairs)
            return Reply(200, _FORM.format(action=escape(target), fields=fields).encode(), _HTML)
        return Reply(302, b"", (("Location", f"{target}{'&' if '?' in target else '?'}{answer}"),))

    def _push(self, headers: Mapping[str, str], form: dict[str, str]) -> Reply:
        if not self.client.is_proved(headers, form, self.issuer):
            return _json(401, {"error": "invalid_client"})
        name = f"urn:ietf:params:oauth:request_uri:{random_token()}"
        self._pushed[name] = form
        return _json(201, {"request_uri": name, "expires_in": 60})

    def _token(self, headers: Mapping[str, str], form: Mapping[str, str]) -> Reply:
        if not self.client.is_proved(headers, form, self.issuer):
            return _json(401, {"error": "invalid_client"})
        refreshing = form.get("grant_type") == "refresh_token"
        with self._lock:
            grant = self._grants.pop(form.get("refresh_token" if refreshing else "code", ""), None)
        if grant is None or not (refreshing or _proves(form, grant)):
            return _json(400, {"error": "invalid_grant"})
        access, refresh = random_token(), random_token()
        self._grants[refresh] = self._grants[f"access {access}"] = grant
        claims = self._claims(grant, access)
        if refreshing:
            del claims["nonce"]
            claims = self._changed("refresh", claims)
        else:
            claims = self._changed("id_token", claims)
        return _json(
            200,
            {
                "access_token": access, "token_type": "Bearer", "expires_in": _LIFETIME, "refresh_token": refresh,
                "id_token": self._signed(claims, {}),
            },
        )  # fmt: skip

    def _claims(self, grant: _Grant, access_token: str) -> dict[str, Any]:
        digest = _HASHES[self.alg[-3:]](access_token.encode()).digest()
        asked = grant.request.get("acr_values", "").split()
        return {
            **grant.user,
            "iss": self.issuer,
            "aud": self.client_id,
            "iat": self.now(),
            "exp": self.now() + _LIFETIME,
            "nonce": grant.request.get("nonce"),
            "at_hash": b64(digest[: len(digest) // 2]),
            "auth_time": grant.signed_in_at,
            "sid": grant.sid,
            "amr": ["pwd"],
            **({"acr": asked[0]} if asked else {}),
            **self.claims,
        }

    def _userinfo(self, headers: Mapping[str, str]) -> Reply:
        kind, _, token = headers.get("authorization", "").partition(" ")
        grant = self._grants.get(f"access {token}") if kind == "Bearer" else None
        if grant is None:
            return _json(401, {"error": "invalid_token"})
        found = self._changed("userinfo", {**grant.user, "name": "Ada"})
        if not self.signed_userinfo:
            return _json(200, found)
        token = self._signed({"iss": self.issuer, "aud": self.client_id, **found}, {})
        return Reply(200, token.encode(), (("Content-Type", "application/jwt"),))

    def _end_session(self, query: Mapping[str, str]) -> Reply:
        pairs = self._changed("return", [("state", query["state"])] if "state" in query else [])
        target = query.get("post_logout_redirect_uri", self.url)
        return Reply(302, b"", (("Location", f"{target}?{urlencode(pairs)}"),))

    # --- shared ----------------------------------------------------------------------------------------------------

    def _signed(self, claims: Mapping[str, Any], header: Mapping[str, Any]) -> str:
        changing = [fault for fault in self._faults if fault.stage == "signature"]
        signing = Signing(claims, header)
        return changing[-1].change(signing, self) if changing else self.key.sign(claims, signing.header)


def _json(status: int, value: Any) -> Reply:
    return Reply(status, json.dumps(value).encode())


def _proves(form: Mapping[str, str], grant: _Grant) -> bool:
    """Whether the code comes from whoever began the request (RFC 7636, 4.6)."""
    challenge = b64(sha256(form.get("code_verifier", "").encode()).digest())
    return challenge == grant.request["code_challenge"] and form.get("redirect_uri") == grant.request["redirect_uri"]
