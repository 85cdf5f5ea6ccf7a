"""AuthZEN: a policy behind the OpenID Authorization API 1.0, as a WSGI and an ASGI application without dependencies.

The enforcement point names a subject and a resource; the host's resolvers say who and what that is here, so roles
come from the host's own store and never from the request. Answers carry a code, and no rule, role or attribute.
Whatever is not understood is a 400, whoever is not admitted gets a 401, and whatever fails is a denial.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from inspect import isawaitable
from itertools import islice
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from ..core.errors import (
    ConfigurationError,
    InvalidCredential,
    InvalidRequest,
    NotFound,
    TooLarge,
    TrustError,
    Unavailable,
)
from ..core.http import RequestFacts
from ..core.sansio import drive
from .authzen_wire import MAX_BODY, Entity, Page, Question, action_of, context_of, parsed, semantic_of
from .decision import Decision

__all__ = ["AuthZen", "AuthZenAnswer", "Entity"]

WELL_KNOWN: Final = "/.well-known/authzen-configuration"
MAX_EVALUATIONS: Final = 256
MAX_EXAMINED: Final = 10_000

_LOG: Final = logging.getLogger("wellstreak_trust.authz")
_REQUEST_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")
_LOCAL: Final = frozenset(("localhost", "127.0.0.1", "::1"))

Resolver = Callable[..., Any]
Message = Mapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class _Policy(Protocol):
    @property
    def version(self) -> str: ...

    def check(self, subject: object, permission: str, resource: object = None, context: object = None) -> Decision: ...

    def permissions_for(self, subject: object, resource: object = None, context: object = None) -> frozenset[str]: ...


@dataclass(frozen=True, slots=True)
class AuthZenAnswer:
    """An HTTP response."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class AuthZen:
    """A policy decision point. Serve its `wsgi` or its `asgi`.

    Every callable may be a coroutine function where the application is served by ASGI.

    Args:
        policy: a `Policy` or `PolicyHolder`.
        url: where it is served, https; what its configuration calls itself (section 9).
        admits: tells of `RequestFacts` whether this enforcement point may ask; anything but true is a 401.
        subject: the `Principal` or `TenantContext` behind an `Entity`, or None for nobody.
        resource: the resource behind an `Entity`; by default its own properties, for enforcement points that you
            trust to state them.
        subjects, resources: the entities among which a search looks, given the `Entity` that is sought (its id empty)
            and, for resources, the subject; a search without them is not offered. Their order must be stable.

    Raises:
        ConfigurationError: a URL that cannot identify a decision point.
    """

    def __init__(
        self,
        policy: _Policy,
        *,
        url: str,
        admits: Resolver,
        subject: Resolver,
        resource: Resolver = Entity.as_resource,
        subjects: Callable[..., Any] | None = None,
        resources: Callable[..., Any] | None = None,
    ) -> None:
        self._policy: _Policy = policy
        self._admits: Resolver = admits
        self._subject: Resolver = subject
        self._resource: Resolver = resource
        self._subjects: Resolver | None = subjects
        self._resources: Resolver | None = resources
        self._routes: dict[str, Callable[[Message], Awaitable[object]]] = {
            "/access/v1/evaluation": self._evaluation,
            "/access/v1/evaluations": self._evaluations,
            "/access/v1/search/action": self._search_action,
        }
        if subjects is not None:
            self._routes["/access/v1/search/subject"] = self._search_subject
        if resources is not None:
            self._routes["/access/v1/search/resource"] = self._search_resource
        base = _identifier(url)
        self._configuration: dict[str, str] = {"policy_decision_point": base} | {
            _parameter(path): base + path for path in self._routes
        }

    async def aanswer(self, facts: RequestFacts, path: str) -> AuthZenAnswer:
        """The response to a request; never raises for what it holds.

        Args:
            path: relative to where the application is mounted.
        """
        echoed = facts.headers.get_all("x-request-id")
        kept = (("X-Request-ID", echoed[0]),) if len(echoed) == 1 and _REQUEST_ID.fullmatch(echoed[0]) else ()
        try:
            return _answer(200, await self._handled(facts, path), kept)
        except TrustError as refusal:
            return _refused(refusal, kept)
        except Exception as error:  # the host's own resolvers: their message may hold anything
            _LOG.error("authzen: %s while answering", type(error).__name__)
            return _refused(ConfigurationError(type(error).__name__), kept)

    async def _handled(self, facts: RequestFacts, path: str) -> object:
        if facts.method in ("GET", "HEAD") and (path == WELL_KNOWN or path.startswith(WELL_KNOWN + "/")):
            return self._configuration
        if await _called(self._admits, facts) is not True:
            raise InvalidCredential("this enforcement point is not admitted")
        route = self._routes.get(path)
        if route is None or facts.method != "POST":
            raise NotFound("no such endpoint")
        media = (facts.headers.get("content-type") or "").partition(";")[0].strip().lower()
        if media != "application/json":
            raise InvalidRequest("the content type is application/json")
        return await route(parsed(facts.body or b""))

    # --- evaluations (sections 6 and 7) ------------------------------------------------------------------------------

    async def _evaluation(self, message: Message) -> dict[str, Any]:
        return await self._decided(Question.of(message))

    async def _evaluations(self, message: Message) -> dict[str, Any]:
        items = message.get("evaluations", [])
        if not isinstance(items, list) or len(items) > MAX_EVALUATIONS:
            raise InvalidRequest(f"evaluations is an array of at most {MAX_EVALUATIONS}")
        if not items:
            return await self._evaluation(message)
        semantic = semantic_of(message)
        results = []
        for item in items:
            results.append(await self._item(message, item))
            if semantic == ("permit_on_first_permit" if results[-1]["decision"] else "deny_on_first_deny"):
                break
        return {"evaluations": results}

    async def _item(self, defaults: Message, item: object) -> dict[str, Any]:
        """One of a batch: a malformed one is denied by itself (section 7.2.1)."""
        try:
            if not isinstance(item, dict):
                raise InvalidRequest("an evaluation is an object")
            shared = {key: defaults[key] for key in ("subject", "action", "resource", "context") if key in defaults}
            return await self._decided(Question.of({**shared, **item}))
        except InvalidRequest as refusal:
            return {"decision": False, "context": {"error": {"status": refusal.status, "message": refusal.title}}}

    async def _decided(self, question: Question) -> dict[str, Any]:
        try:
            subject = await _called(self._subject, question.subject)
            resource = await _called(self._resource, question.resource)
        except Exception as error:  # who or what it is remains unknown: no
            _LOG.warning("authzen: %s while resolving", type(error).__name__)
            return {"decision": False, "context": {"code": "evaluation_error"}}
        if resource is None:
            return {"decision": False, "context": {"code": "not_found"}}
        decision = self._policy.check(subject, question.permission, resource, question.context)
        if decision.allowed:
            return {"decision": True}
        return {"decision": False, "context": {"code": decision.public()["code"]}}

    # --- searches (section 8) ----------------------------------------------------------------------------------------

    async def _search_subject(self, message: Message) -> dict[str, Any]:
        sought, permission = Entity.of(message, "subject", sought=True), action_of(message)
        page, context = Page.of(message, self._policy.version), context_of(message)
        resource = await _found(self._resource, Entity.of(message, "resource"))

        async def may(candidate: Entity) -> bool:
            subject = await _found(self._subject, candidate)
            return resource is not None and self._policy.check(subject, permission, resource, context).allowed

        return await _paged(page, sought, await _found(self._subjects, sought), may)

    async def _search_resource(self, message: Message) -> dict[str, Any]:
        sought, permission = Entity.of(message, "resource", sought=True), action_of(message)
        page, context = Page.of(message, self._policy.version), context_of(message)
        subject = await _found(self._subject, Entity.of(message, "subject"))

        async def may(candidate: Entity) -> bool:
            resource = await _found(self._resource, candidate)
            return resource is not None and self._policy.check(subject, permission, resource, context).allowed

        return await _paged(page, sought, await _found(self._resources, sought, subject), may)

    async def _search_action(self, message: Message) -> dict[str, Any]:
        page, context = Page.of(message, self._policy.version), context_of(message)
        subject = await _found(self._subject, Entity.of(message, "subject"))
        resource = await _found(self._resource, Entity.of(message, "resource"))
        if resource is None:
            return _listed([], "")
        names = sorted(self._policy.permissions_for(subject, resource, context))
        end = page.offset + page.limit
        return _listed([{"name": name} for name in names[page.offset : end]], page.token(end) if names[end:] else "")

    # --- servers -----------------------------------------------------------------------------------------------------

    def wsgi(self, environ: Mapping[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        """The WSGI application (PEP 3333); its callables must not suspend."""
        try:
            answer = drive(self.aanswer(_facts_of(environ), environ.get("PATH_INFO") or "/"))
        except TrustError as refusal:
            answer = _refused(refusal, ())
        start_response(f"{answer.status} {_PHRASES.get(answer.status, 'Unknown')}", list(answer.headers))
        return [b"" if environ.get("REQUEST_METHOD") == "HEAD" else answer.body]

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] != "http":
            raise ConfigurationError("a decision point speaks HTTP alone", hint="serve it without lifespan events")
        body = await _body(receive)
        if body is None:
            return
        path = scope["path"].removeprefix(scope.get("root_path", "").rstrip("/"))
        facts = RequestFacts(scope["method"], scope["path"], scope["headers"], body=body)
        answer = await self.aanswer(facts, path)
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        shown = b"" if scope["method"] == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": shown})


_PHRASES: Final = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 413: "Content Too Large",
                   500: "Internal Server Error", 503: "Service Unavailable"}  # fmt: skip


async def _called(resolver: Resolver, *arguments: object) -> Any:
    found = resolver(*arguments)
    return await found if isawaitable(found) else found


async def _found(resolver: Resolver | None, *arguments: object) -> Any:
    """For searches: a resolver that fails fails the whole search, which must not look complete."""
    assert resolver is not None
    try:
        return await _called(resolver, *arguments)
    except Exception as error:
        _LOG.warning("authzen: %s while searching", type(error).__name__)
        raise Unavailable("a resolver failed") from None


async def _paged(
    page: Page, sought: Entity, candidates: Iterable[Entity], may: Callable[[Entity], Awaitable[bool]]
) -> dict[str, Any]:
    """One page of those who may; the token points to the first that was not looked at or did not fit."""
    results: list[dict[str, str]] = []
    for index, candidate in enumerate(islice(candidates, page.offset, None), page.offset):
        if index - page.offset >= MAX_EXAMINED:
            return _listed(results, page.token(index))
        if candidate.type == sought.type and await may(candidate):
            if len(results) == page.limit:
                return _listed(results, page.token(index))
            results.append({"type": candidate.type, "id": candidate.id})
    return _listed(results, "")


def _listed(results: list[dict[str, str]], token: str) -> dict[str, Any]:
    return {"page": {"next_token": token, "count": len(results)}, "results": results}


def _answer(
    status: int, message: object, more: Iterable[tuple[str, str]], media: str = "application/json"
) -> AuthZenAnswer:
    body = json.dumps(message, separators=(",", ":")).encode("ascii")
    fixed = (("Content-Type", media), ("Content-Length", str(len(body))), ("Cache-Control", "no-store"))
    return AuthZenAnswer(status, (*fixed, *more), body)


def _refused(refusal: TrustError, more: Iterable[tuple[str, str]]) -> AuthZenAnswer:
    return _answer(refusal.status, refusal.problem(), (*refusal.headers(), *more), "application/problem+json")


def _identifier(url: str) -> str:
    parts = urlsplit(url) if isinstance(url, str) else urlsplit("")
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL)
    if not secure or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ConfigurationError(
            "a decision point is identified by an https URL without query and fragment (AuthZEN, 9.1)",
            hint='url="https://pdp.example.com"',
            reason="authzen_url",
        )
    return url.rstrip("/")


def _parameter(path: str) -> str:
    """``/access/v1/search/subject`` -> ``search_subject_endpoint`` (section 9.1.1)."""
    _, _, last = path.partition("/v1/")
    group, _, element = last.partition("/")
    return f"{group}_{element}_endpoint" if element else f"access_{group}_endpoint"


def _facts_of(environ: Mapping[str, Any]) -> RequestFacts:
    length = str(environ.get("CONTENT_LENGTH") or "0")
    if not (length.isascii() and length.isdigit() and len(length) <= 12):
        raise InvalidRequest("the content length is no number")
    if int(length) > MAX_BODY:
        raise TooLarge(f"a request has at most {MAX_BODY} bytes")
    body = environ["wsgi.input"].read(int(length)) if int(length) else b""
    return RequestFacts(environ["REQUEST_METHOD"], environ.get("PATH_INFO") or "/", list(_headers(environ)), body=body)


def _headers(environ: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in environ.items():
        if name.startswith("HTTP_") or name == "CONTENT_TYPE":
            yield name.removeprefix("HTTP_").replace("_", "-"), value


async def _body(receive: Receive) -> bytes | None:
    """The body, one byte past the limit at most; None when the client went away."""
    body: bytes = b""
    while True:
        event = await receive()
        if event["type"] != "http.request":
            return None
        body += event.get("body", b"")
        if len(body) > MAX_BODY or not event.get("more_body", False):
            return body[: MAX_BODY + 1]
