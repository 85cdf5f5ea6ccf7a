"""Hosts with one weakness each: the sound host with one method written as it is often written in earnest."""

from __future__ import annotations

import json
import re
import traceback
from base64 import urlsafe_b64decode
from typing import Any
from urllib.parse import parse_qs, unquote
from warnings import catch_warnings

import jwt
from notes import READ, SECRET, SETTINGS, WRITE, Notes, Reply, Unchecked
from notes import ROLES as ROLES_OF

from wellstreak_trust import Operation, Principal
from wellstreak_trust.core.errors import Denied, InvalidCredential, InvalidRequest, NotFound
from wellstreak_trust.core.tenant import Membership
from wellstreak_trust.ratelimit import LimitRule
from wellstreak_trust.testing.attacker import Attacker, Burst, Person, Route, WebhookTarget

FLASK, FASTAPI = "on_flask", "on_fastapi"
COOKIE = "__Host-ws_session"
PLANTS: dict[str, type[Planted]] = {}


class Planted(Notes):
    """Args of a plant: the attack that finds it, where, and the framework it stands on."""

    finds: str
    place: str = ""
    way: str = FLASK
    more: dict[str, Any] = {}

    def __init_subclass__(cls) -> None:
        PLANTS[re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()] = cls

    def attack(self) -> Attacker:
        found: Attacker = getattr(self, self.way)(**self.more)
        return found


SOUND = [
    ("X-Content-Type-Options", "nosniff"),
    ("Strict-Transport-Security", "max-age=63072000"),
    ("Cache-Control", "no-store"),
]


# --- routes and credentials ------------------------------------------------------------------------------------------


class ForgottenRoute(Planted):
    finds, place, way = "declarations.missing", "GET /w/{tenant}/notes", FASTAPI

    def operations(self) -> dict[str, Operation | None]:
        return {**super().operations(), "listed": None}


class OpenThoughDeclared(Planted):
    """A decorator above the route's own: Flask registers the bare view."""

    finds, place = "anonymous.nothing", "GET /w/{tenant}/settings"

    def changed(self, app: Any) -> Any:
        bare = app.view_functions["settings"].__wrapped__
        guarded = app.view_functions["settings"]

        def dispatched(**path: str) -> Any:
            return bare(**path)

        dispatched.__wrapped__ = guarded  # type: ignore[attr-defined]  # looks guarded, as functools.wraps makes it
        app.view_functions["settings"] = dispatched
        return app


class AnyBearer(Planted):
    """A leftover of the tests."""

    finds, way = "anonymous.false_credential", FASTAPI

    def parts(self) -> dict[str, Any]:
        inner = super().parts()["authenticator"]

        class Lenient:
            suspends = False

            async def aauthenticate(self, facts: Any) -> Principal:
                if (facts.headers.get("x-api-key") or "") == "test":
                    return Principal("ada")
                found: Principal = await inner.aauthenticate(facts)
                return found

        return {**super().parts(), "authenticator": Lenient()}


class NamedByTheProxy(Planted):
    finds = "anonymous.named_by_header"

    def parts(self) -> dict[str, Any]:
        inner = super().parts()["authenticator"]

        class Trusting:
            suspends = False

            async def aauthenticate(self, facts: Any) -> Principal:
                named = facts.headers.get("x-forwarded-user")
                return Principal(named) if named else await inner.aauthenticate(facts)

        return {**super().parts(), "authenticator": Trusting()}


class FirstOfTwo(Planted):
    finds = "anonymous.two_credentials"

    def parts(self) -> dict[str, Any]:
        inner, sessions = super().parts()["authenticator"], self.sessions

        class First:
            suspends = False

            async def aauthenticate(self, facts: Any) -> Principal:
                for name, value in facts.cookies:
                    if name == COOKIE:
                        return await sessions.aauthenticate(value)
                found: Principal = await inner.aauthenticate(facts)
                return found

        return {**super().parts(), "authenticator": First()}


class HeadUnguarded(Planted):
    """HEAD is answered before anything is asked."""

    finds, place = "anonymous.other_method", "GET /w/{tenant}/notes"

    def changed(self, app: Any) -> Any:
        def wrapped(environ: Any, start: Any) -> Any:
            if environ["REQUEST_METHOD"] == "HEAD" and environ["PATH_INFO"].endswith("/notes"):
                start("200 OK", [("Content-Type", "application/json"), *SOUND])
                return [b""]
            return app(environ, start)

        return wrapped


class OverrideBehindTheGuard(Planted):
    """The method is judged outside, and rewritten inside."""

    finds, place = "anonymous.method_override", "DELETE /w/{tenant}/notes/{note}"

    def changed(self, app: Any) -> Any:
        def wrapped(environ: Any, start: Any) -> Any:
            deletes = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE") == "DELETE" and "/notes/" in environ["PATH_INFO"]
            if deletes and environ["REQUEST_METHOD"] == "GET":
                start("204 No Content", SOUND)
                return [b""]
            return app(environ, start)

        return wrapped


class RewrittenUrl(Planted):
    finds = "anonymous.rewritten_url"

    def changed(self, app: Any) -> Any:
        def wrapped(environ: Any, start: Any) -> Any:
            aim = environ.get("HTTP_X_ORIGINAL_URL", "")
            if environ["PATH_INFO"] == "/" and aim.endswith("/settings"):
                headers = [("Content-Type", "application/json"), *SOUND]
                start("200 OK", headers)
                return [b'{"plan": "team"}']
            return app(environ, start)

        return wrapped


# --- tenants ---------------------------------------------------------------------------------------------------------


class EverybodyIsMember(Planted):
    """Memberships asked for, and the answer thrown away."""

    finds, way = "tenants.by_name", FASTAPI

    def parts(self) -> dict[str, Any]:
        from wellstreak_trust.tenancy import PathSource, TenantResolver

        known = set(self.notes)

        class Open:
            suspends = False

            async def aprove(self, principal: Principal, tenant_id: str) -> Membership | None:
                return Membership(tenant_id, principal.id, frozenset({"owner"})) if tenant_id in known else None

        return {**super().parts(), "tenants": TenantResolver([PathSource("/w/{tenant}/")], Open())}

    def attack(self) -> Attacker:
        return self.on_fastapi(policy=None)  # there are no roles to go by


class ForbiddenIsThere(Planted):
    """403 for who is there, 404 for who is not."""

    finds = "tenants.name_oracle"

    def parts(self) -> dict[str, Any]:
        from wellstreak_trust.tenancy import PathSource, TenantResolver

        known, inner = set(self.notes), self.memberships

        class Telling:
            suspends = False

            async def aprove(self, principal: Principal, tenant_id: str) -> Membership | None:
                found = await inner.aprove(principal, tenant_id)
                if found is None and tenant_id in known:
                    raise Denied("not a member")
                return found

        return {**super().parts(), "tenants": TenantResolver([PathSource("/w/{tenant}/")], Telling())}


class FoundByIdAlone(Planted):
    """SELECT ... WHERE id = ?"""

    finds, place = "tenants.by_id", "GET /w/{tenant}/notes/{note}"

    def find(self, tenant_id: str, note: str, facts: Any) -> str:
        every = {name: text for notes in self.notes.values() for name, text in notes.items()}
        if note not in every or facts.method == "DELETE":
            return super().find(tenant_id, note, facts)
        return every[note]


class FoundByIdAloneOnFastApi(FoundByIdAlone):
    way = FASTAPI


class ForbiddenNote(Planted):
    """403 for an id that another has, 404 for one that nobody has."""

    finds = "tenants.id_oracle"

    def find(self, tenant_id: str, note: str, facts: Any) -> str:
        if note not in self.notes[tenant_id] and any(note in notes for notes in self.notes.values()):
            raise Denied("not yours")
        return super().find(tenant_id, note, facts)


class TenantFromTheQuery(Planted):
    finds, place = "tenants.two_at_once", "GET /w/{tenant}/notes"

    def listed(self, tenant_id: str, facts: Any) -> Reply:
        said = parse_qs(facts.target.query).get("workspace_id", [tenant_id])[0]
        return super().listed(said if said in self.notes else tenant_id, facts)


class TenantFromAHeader(Planted):
    finds, place, way = "tenants.two_at_once", "GET /w/{tenant}/notes", FASTAPI

    def listed(self, tenant_id: str, facts: Any) -> Reply:
        said = facts.headers.get("x-tenant-id") or tenant_id
        return super().listed(said if said in self.notes else tenant_id, facts)


class MassAssignment(Planted):
    """Note(**body)"""

    finds, place = "tenants.assigned", "POST /w/{tenant}/notes"

    def create(self, tenant_id: str, said: dict[str, Any]) -> Reply:
        return {"tenant_id": tenant_id, **said}, 201


class QuietMassAssignment(Planted):
    """The answer says nothing, and the row lands elsewhere."""

    finds, place, way = "tenants.assigned", "POST /w/{tenant}/notes", FASTAPI

    def create(self, tenant_id: str, said: dict[str, Any]) -> Reply:
        owner = said.get("tenant_id", tenant_id)
        if owner in self.notes and owner != tenant_id:
            self.notes[owner][f"planted-{len(self.notes[owner])}"] = said["text"]
        return {"ok": True}, 201


class CaseFolded(Planted):
    """Members are checked by the name as written; rows are found by the folded one."""

    finds = "tenants.by_spelling"

    def parts(self) -> dict[str, Any]:
        from wellstreak_trust.tenancy import PathSource, TenantResolver

        inner, known = self.memberships, set(self.notes)

        class Folding:
            suspends = False

            async def aprove(self, principal: Principal, tenant_id: str) -> Membership | None:
                if tenant_id not in known and tenant_id.lower() in known:  # "a new one, they will sign up"
                    return Membership(tenant_id, principal.id, frozenset({"member"}))
                return await inner.aprove(principal, tenant_id)

        return {**super().parts(), "tenants": TenantResolver([PathSource("/w/{tenant}/")], Folding())}

    def listed(self, tenant_id: str, facts: Any) -> Reply:
        return super().listed(tenant_id.lower(), facts)

    def find(self, tenant_id: str, note: str, facts: Any) -> str:
        return super().find(tenant_id.lower(), note, facts)


class ClimbsOutOfThePath(Planted):
    """The guard reads the path as sent; a rewrite behind it resolves the dots."""

    finds = "tenants.by_spelling"

    def changed(self, app: Any) -> Any:
        def wrapped(environ: Any, start: Any) -> Any:
            path = environ["PATH_INFO"]
            match = re.search(r"/\.\./.*?/w/(\w+)/settings$", path)
            if match and match[1] in self.notes and COOKIE in environ.get("HTTP_COOKIE", ""):
                start("200 OK", [("Content-Type", "application/json"), *SOUND])
                return [json.dumps({"tenant": match[1], "plan": "enterprise"}).encode()]
            return app(environ, start)

        return wrapped


# --- roles -----------------------------------------------------------------------------------------------------------


class RolesInTheInterfaceOnly(Planted):
    """The button is hidden from members; the route asks for no more than membership."""

    finds, place = "vertical.beyond_role", "GET /w/{tenant}/settings"

    def operations(self) -> dict[str, Operation | None]:
        return {**super().operations(), "settings": READ}

    def attack(self) -> Attacker:
        return self.on_flask(routes=by_hand())


class DeleteForMembers(RolesInTheInterfaceOnly):
    place = "DELETE /w/{tenant}/notes/{note}"

    def operations(self) -> dict[str, Operation | None]:
        return {**Notes.operations(self), "purge": WRITE}


class HeadForMembers(Planted):
    """The role is asked for on GET."""

    finds, place = "vertical.head", "GET /w/{tenant}/settings"

    def changed(self, app: Any) -> Any:
        def wrapped(environ: Any, start: Any) -> Any:
            cookie = environ.get("HTTP_COOKIE", "")
            signed_in = f"{COOKIE}=wss_" in cookie and "A" * 40 not in cookie
            if environ["REQUEST_METHOD"] == "HEAD" and environ["PATH_INFO"].endswith("/settings") and signed_in:
                start("200 OK", [("Content-Type", "application/json"), *SOUND])
                return [b""]
            return app(environ, start)

        return wrapped


class OverrideForMembers(Planted):
    finds, place = "vertical.method_override", "DELETE /w/{tenant}/notes/{note}"

    def changed(self, app: Any) -> Any:
        def wrapped(environ: Any, start: Any) -> Any:
            if environ.get("HTTP_X_METHOD_OVERRIDE") == "DELETE" and COOKIE in environ.get("HTTP_COOKIE", ""):
                start("204 No Content", SOUND)
                return [b""]
            return app(environ, start)

        return wrapped


def by_hand() -> list[Route]:
    """The routes as the host's team thinks of them."""
    everyone, owners = ["owner", "member"], ["owner"]
    return [
        Route("GET", "/w/{tenant}/notes", roles=everyone),
        Route("POST", "/w/{tenant}/notes", roles=everyone),
        Route("GET", "/w/{tenant}/notes/{note}", roles=everyone),
        Route("DELETE", "/w/{tenant}/notes/{note}", roles=owners),
        Route("GET", "/w/{tenant}/settings", roles=owners),
        Route("POST", "/hooks/stripe", public="signed"),
        Route("GET", "/", public="the front page"),
    ]


# --- browsers --------------------------------------------------------------------------------------------------------


class OriginUnchecked(Planted):
    finds = "browsers.forged_request"

    def parts(self) -> dict[str, Any]:
        return {**super().parts(), "origin": Unchecked()}


class OriginByPrefix(Planted):
    """origin.startswith("https://app.example.com")"""

    finds = "browsers.forged_request"

    def parts(self) -> dict[str, Any]:
        inner = super().parts()["origin"]

        class Prefixed:
            def check(self, facts: Any) -> Any:
                origin = facts.headers.get("origin") or ""
                if origin.startswith("https://testserver.example"):
                    return type(inner.check(facts))(True, "same origin")
                return inner.check(facts)

        return {**super().parts(), "origin": Prefixed()}


class ReflectedCors(Planted):
    finds, way = "browsers.shared_with_anybody", FASTAPI

    def answered(self, headers: list[tuple[str, str]], facts: Any) -> list[tuple[str, str]]:
        origin = facts.headers.get("origin")
        if origin is None:
            return []
        return [("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", "true")]


class HijackedSocket(Planted):
    """A bare ASGI application in front of the framework's, which knows cookies and no origins."""

    finds, place, way = "browsers.hijacked_socket", "WEBSOCKET /w/{tenant}/live", FASTAPI

    def changed(self, app: Any) -> Any:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "websocket" or not scope["path"].endswith("/live"):
                await app(scope, receive, send)
                return
            cookie = dict(scope["headers"]).get(b"cookie", b"").decode("latin-1")
            try:
                who = self.sessions.authenticate(cookie.partition("=")[2])
                member = self.memberships.prove(who, scope["path"].split("/")[2])
            except Exception:
                member = None
            await receive()
            await send({"type": "websocket.accept"} if member else {"type": "websocket.close"})

        return wrapped


# --- tokens ----------------------------------------------------------------------------------------------------------


class ByPrefix(Planted):
    """Sessions are looked up by the first half of the token."""

    finds = "tokens.altered"

    def parts(self) -> dict[str, Any]:
        known: dict[str, Principal] = {}
        self.known = known
        inner = super().parts()["authenticator"]

        class Half:
            suspends = False

            async def aauthenticate(self, facts: Any) -> Principal:
                cookies = [value for name, value in facts.cookies if name == COOKIE]
                half = cookies[0][: len(cookies[0]) // 2] if len(cookies) == 1 else ""
                try:
                    return await inner.aauthenticate(facts)
                except InvalidCredential:
                    match = [who for token, who in known.items() if half and len(half) > 12 and token.startswith(half)]
                    if len(cookies) == 1 and match and "authorization" not in facts.headers:
                        return match[0]
                    raise

        return {**super().parts(), "authenticator": Half()}

    def people(self) -> list[Person]:
        found = super().people()
        for person in found:
            self.known[person.headers["Cookie"].partition("=")[2]] = Principal(person.name)
        return found


class Jwts(Planted):
    """Bearer tokens; sound here."""

    key = "0123456789abcdef0123456789abcdef-a-key-of-the-tests"
    algorithms = ["HS256"]
    finds = "tokens.forged"

    def read(self, token: str) -> dict[str, Any]:
        found: dict[str, Any] = jwt.decode(token, self.key, algorithms=["HS256"])
        return found

    def parts(self) -> dict[str, Any]:
        read = self.read

        class Bearer:
            suspends = False

            async def aauthenticate(self, facts: Any) -> Principal:
                lines = facts.headers.get_all("authorization")
                if len(lines) != 1 or "," in lines[0] or not lines[0].startswith("Bearer "):
                    raise InvalidCredential("no token")
                try:
                    return Principal(read(lines[0][7:])["sub"])
                except Exception:
                    raise InvalidCredential("no good token") from None

        return {**super().parts(), "authenticator": Bearer()}

    def people(self) -> list[Person]:
        return [
            Person(name, tenant, {"Authorization": f"Bearer {jwt.encode({'sub': name}, self.key, 'HS256')}"}, [role])
            for name, (tenant, role) in ROLES_OF.items()
        ]

    more = {"sign_in": None}


class AlgorithmNone(Jwts):
    def read(self, token: str) -> dict[str, Any]:
        header = jwt.get_unverified_header(token)
        if header["alg"].lower() == "none":
            found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
            return found
        return super().read(token)


class KeyFromTheToken(Jwts):
    """A key that the header brings is believed."""

    def read(self, token: str) -> dict[str, Any]:
        header = jwt.get_unverified_header(token)
        held = header.get("jwk", {}).get("k")
        key = urlsafe_b64decode(held + "==").decode() if held else self.key
        with catch_warnings(action="ignore"):  # of short keys
            found: dict[str, Any] = jwt.decode(token, key, algorithms=["HS256"])
        return found


class CookieDeletedOnly(Planted):
    """Signing out tells the browser to forget."""

    finds = "tokens.outlives_sign_out"

    def sign_out(self, headers: Any) -> None:
        return None


class OwnSessions(Planted):
    """A host with a table of sessions of its own."""

    finds = "tokens.fixed_before_sign_in"

    def __init__(self) -> None:
        super().__init__()
        self.table: dict[str, str] = {f"{name}-session-0123456789abcdef": name for name in ROLES_OF}

    def parts(self) -> dict[str, Any]:
        table = self.table

        class Own:
            suspends = False

            async def aauthenticate(self, facts: Any) -> Principal:
                found = [value for name, value in facts.cookies if name == "sid"]
                if len(found) != 1 or found[0] not in table or "authorization" in facts.headers:
                    raise InvalidCredential("no session")
                return Principal(table[found[0]])

        return {**super().parts(), "authenticator": Own()}

    def people(self) -> list[Person]:
        by_name = {name: token for token, name in self.table.items()}
        return [Person(n, tenant, {"Cookie": f"sid={by_name[n]}"}, [role]) for n, (tenant, role) in ROLES_OF.items()]

    def sign_out(self, headers: Any) -> None:
        self.table.pop(headers["Cookie"].partition("=")[2], None)


class SessionFixation(OwnSessions):
    """The session's name is whatever the browser brings."""

    def sign_in(self, given: Any) -> dict[str, str]:
        brought = given.get("Cookie", "").partition("=")[2]
        token = brought or f"fresh-{len(self.table)}-0123456789abcdef"
        self.table[token] = "ada"
        return {"Cookie": f"sid={token}"}


class SessionKept(OwnSessions):
    """A session that is known is taken over; a made-up one is not."""

    finds = "tokens.kept_at_sign_in"

    def sign_in(self, given: Any) -> dict[str, str]:
        brought = given.get("Cookie", "").partition("=")[2]
        token = brought if brought in self.table else f"fresh-{len(self.table)}-0123456789abcdef"
        self.table[token] = "ada"
        return {"Cookie": f"sid={token}"}


# --- webhooks --------------------------------------------------------------------------------------------------------


class WebhookUnverified(Planted):
    finds, place, way = "webhooks.unsigned", "POST /hooks/stripe", FASTAPI

    def receive(self, headers: Any, body: bytes, method: str) -> Reply:
        try:
            name = json.loads(body)["id"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise InvalidRequest("no event") from None
        if len(body) > 10**6 or not isinstance(name, str):
            raise InvalidRequest("no event")
        if name not in self.events:
            self.events.append(name)
        return {}, 200


class WebhookPresenceOnly(Planted):
    """A signature is asked for, and not compared."""

    finds, place = "webhooks.forged", "POST /hooks/stripe"

    def receive(self, headers: Any, body: bytes, method: str) -> Reply:
        if not any(name.lower() == "stripe-signature" for name, _ in headers):
            raise InvalidCredential("unsigned")
        self.events.append("some")
        return {}, 200


class WebhookOfAnyAge(Planted):
    finds, place = "webhooks.stale", "POST /hooks/stripe"

    def __init__(self) -> None:
        from datetime import timedelta

        from wellstreak_trust.webhooks import verifier

        super().__init__()
        self.hooks = verifier("stripe", secrets=[SECRET], tolerance=timedelta(days=30))


class WebhookFirstOfTwo(Planted):
    finds, place = "webhooks.doubled", "POST /hooks/stripe"

    def receive(self, headers: Any, body: bytes, method: str) -> Reply:
        lines = [
            (name, value.partition(",t=")[0] if name.lower() == "stripe-signature" else value)
            for name, value in headers
        ]
        return super().receive(lines, body, method)


class WebhookTwice(Planted):
    finds, place, way = "webhooks.replayed", "POST /hooks/stripe", FASTAPI

    def receive(self, headers: Any, body: bytes, method: str) -> Reply:
        self.events.append(self.hooks.verify(headers, body).id or "")
        return {}, 200


class WebhookByUnsignedId(Planted):
    """Deduplicated by a header that nobody signed."""

    finds, place = "webhooks.replayed", "POST /hooks/github"
    secret = "0123456789abcdef0123456789abcdef"

    def changed(self, app: Any) -> Any:
        from wellstreak_trust.webhooks import verifier

        hooks, seen = verifier("github", secrets=[self.secret]), set()

        def wrapped(environ: Any, start: Any) -> Any:
            if environ["PATH_INFO"] != "/hooks/github":
                return app(environ, start)
            headers = [(k[5:].replace("_", "-"), v) for k, v in environ.items() if k.startswith("HTTP_")]
            try:
                hooks.verify(headers, environ["wsgi.input"].read(2**21))
            except Exception:
                start("401 Unauthorized", [("Content-Type", "application/problem+json"), *SOUND])
                return [b"{}"]
            if environ.get("HTTP_X_GITHUB_DELIVERY") not in seen:
                seen.add(environ.get("HTTP_X_GITHUB_DELIVERY"))
                self.events.append("push")
            start("200 OK", SOUND)
            return [b"{}"]

        return wrapped

    def attack(self) -> Attacker:
        hook = WebhookTarget("/hooks/github", "github", self.secret, effects=lambda: len(self.events))
        return self.on_flask(webhooks=[hook])


class WebhookWithoutEnd(Planted):
    """The body is worked through before it is verified, and memory runs out."""

    finds, place = "webhooks.huge", "POST /hooks/stripe"

    def receive(self, headers: Any, body: bytes, method: str) -> Reply:
        if len(body) > 4 * 2**20:
            raise MemoryError
        return super().receive(headers, body, method)


class WebhookByGet(Planted):
    finds, place = "webhooks.by_get", "POST /hooks/stripe"

    def changed(self, app: Any) -> Any:
        def wrapped(environ: Any, start: Any) -> Any:
            if environ["PATH_INFO"] == "/hooks/stripe" and environ["REQUEST_METHOD"] == "GET":
                self.events.append("by get")
                start("200 OK", SOUND)
                return [b"{}"]
            return app(environ, start)

        return wrapped


# --- input, limits and answers ---------------------------------------------------------------------------------------


class NumberUnchecked(Planted):
    """int(request.args["limit"])"""

    finds, place = "malformed.input", "GET /w/{tenant}/notes"

    def listed(self, tenant_id: str, facts: Any) -> Reply:
        limit = parse_qs(facts.target.query, keep_blank_values=True).get("limit", ["10"])[-1]
        int(unquote(limit))
        return super().listed(tenant_id, facts)


class EchoedInput(Planted):
    """A validation error that repeats what was sent, as FastAPI's own does."""

    finds, place, way = "malformed.input", "POST /w/{tenant}/notes", FASTAPI

    def changed(self, app: Any) -> Any:
        from fastapi import Request
        from fastapi.responses import JSONResponse

        async def told(request: Request, error: Exception) -> JSONResponse:
            said = {"title": "Invalid", "input": (await request.body()).decode("utf-8", "replace")[:400]}
            return JSONResponse(said, 422, media_type="application/problem+json")

        app.add_exception_handler(InvalidRequest, told)
        return app


class NoLimit(Planted):
    finds, place = "limits.burst", "GET /w/{tenant}/notes"
    more = {"bursts": [Burst("GET /w/{tenant}/notes", 30)]}


class OneLimitForAll(Planted):
    finds, place, way = "limits.burst", "GET /w/{tenant}/settings", FASTAPI

    def operations(self) -> dict[str, Operation | None]:
        from dataclasses import replace
        from datetime import timedelta

        rule = LimitRule("all", 500, timedelta(minutes=1), by=("route",))
        return {**super().operations(), "settings": replace(SETTINGS, limits=(rule,))}

    more = {"bursts": [Burst("GET /w/{tenant}/settings", 500)]}


class Traceback(Planted):
    finds, place = "answers.traceback", "POST /w/{tenant}/notes"

    def changed(self, app: Any) -> Any:
        from werkzeug.exceptions import HTTPException

        from wellstreak_trust.core.errors import InvalidRequest

        @app.errorhandler(InvalidRequest)
        def shown(error: Exception) -> Any:
            assert not isinstance(error, HTTPException)
            body = json.dumps({"title": "".join(traceback.format_exception(error))})
            return body, 400, {"Content-Type": "application/problem+json"}

        return app


class DetailTold(Planted):
    finds, way = "answers.private_detail", FASTAPI

    def find(self, tenant_id: str, note: str, facts: Any) -> str:
        from fastapi import HTTPException

        try:
            return super().find(tenant_id, note, facts)
        except NotFound:
            raise HTTPException(
                410, "the row is in partition notes_2026 and its owner is gone", {"Cache-Control": "no-store"}
            ) from None


class CredentialRepeated(Planted):
    finds, place = "answers.credential", "GET /w/{tenant}/settings"

    def changed(self, app: Any) -> Any:
        def debugging(**path: str) -> Any:
            import flask

            found = guarded(**path)
            return {"plan": "team", "you": flask.request.cookies[COOKIE]} if found.status_code == 200 else found

        guarded = app.view_functions["settings"]
        debugging.__wrapped__ = guarded  # type: ignore[attr-defined]  # a wrapper of the guarded view
        app.view_functions["settings"] = debugging
        return app


class RefusalsAsPages(Planted):
    finds = "answers.media_type"

    def answered(self, headers: list[tuple[str, str]], facts: Any) -> list[tuple[str, str]]:
        refused = dict(headers).get("Content-Type") == "application/problem+json"
        return [("Content-Type", "text/html; charset=utf-8")] if refused else []


class CachedRefusals(Planted):
    finds = "answers.cached_refusal"

    def answered(self, headers: list[tuple[str, str]], facts: Any) -> list[tuple[str, str]]:
        return [("Cache-Control", "public, max-age=60")]


class Sniffable(Planted):
    finds, place = "answers.sniffing", "every route"

    def changed(self, app: Any) -> Any:
        return without(app, "X-Content-Type-Options")


class Downgradable(Planted):
    finds, place = "answers.no_hsts", "every route"

    def changed(self, app: Any) -> Any:
        return without(app, "Strict-Transport-Security")


class TellsItsVersion(Planted):
    finds, place, way = "answers.version", "every route", FASTAPI

    def answered(self, headers: list[tuple[str, str]], facts: Any) -> list[tuple[str, str]]:
        return [("X-Powered-By", "Notes/1.2.3")]


class BareCookie(Planted):
    finds, place = "answers.cookie_flags", "GET /"

    def answered(self, headers: list[tuple[str, str]], facts: Any) -> list[tuple[str, str]]:
        return [("Set-Cookie", "seen=yes; Path=/; SameSite=Lax")] if facts.target.path == "/" else []


def without(app: Any, dropped: str) -> Any:
    def wrapped(environ: Any, start: Any) -> Any:
        def kept(status: str, headers: Any, error: Any = None) -> Any:
            return start(status, [pair for pair in headers if pair[0] != dropped])

        return app(environ, kept)

    return wrapped
