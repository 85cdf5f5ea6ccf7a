"""What is Django's own: async views, class-based views, other middleware, streams, checks, CSRF."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import UserSettingsHolder, global_settings
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from small import OWN, READ, WRITE, Small, tenant_now
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from ways import HOST, Answer, call_asgi, call_wsgi, django_settings

from wellstreak_trust import Operation, Principal
from wellstreak_trust.adapters.django import assert_all_routes_declared, edge, guarded, public, undeclared_routes
from wellstreak_trust.adapters.django.apps import check_routes
from wellstreak_trust.core import ConfigurationError
from wellstreak_trust.core.errors import InvalidRequest
from wellstreak_trust.identity import Authenticator, SessionManager
from wellstreak_trust.storage.sql import AsyncDatabase, SqlMembershipStore, SqlSessionStore
from wellstreak_trust.tenancy import Memberships, PathSource, TenantResolver, current_tenant

OURS = "wellstreak_trust.adapters.django.TrustMiddleware"


@contextmanager
def project(small: Small, patterns: tuple[Any, ...], **changed: Any) -> Iterator[None]:
    import django
    from django.apps import apps

    holder = UserSettingsHolder(global_settings)
    values = {
        "SECRET_KEY": "x" * 50,
        "ALLOWED_HOSTS": ["*"],
        "ROOT_URLCONF": patterns,
        "MIDDLEWARE": [OURS],
        "INSTALLED_APPS": ["wellstreak_trust.adapters.django"],
        "WELLSTREAK_TRUST": small.trust,
        **changed,
    }
    for name, value in values.items():
        setattr(holder, name, value)
    with django_settings(holder):
        if not apps.ready:
            django.setup()
        yield


class Site:
    def __init__(self, *patterns: Any, small: Small | None = None, **settings: Any) -> None:
        self.small = small or Small()
        self.patterns = patterns
        self.settings = settings

    def ask(
        self, way: str, target: str, *more: tuple[str, Any], method: str = "GET", body: bytes = b"", who: str = "ada"
    ) -> Answer:
        lines = self.small.lines(who, *more)
        with project(self.small, self.patterns, **self.settings):
            if way == "wsgi":
                return call_wsgi(WSGIHandler(), method, target, lines, body)
            return asyncio.run(call_asgi(ASGIHandler(), method, target, lines, body))


both = pytest.mark.parametrize("way", ["wsgi", "asgi"])


@guarded(READ)
async def later(request: HttpRequest, t: str, grant: Any) -> HttpResponse:
    await asyncio.sleep(0)
    return HttpResponse(f"{tenant_now()} {grant.tenant.tenant_id}")


@guarded(READ)
def now(request: HttpRequest, t: str) -> HttpResponse:
    return HttpResponse(f"{tenant_now()} {request.grant.tenant.tenant_id}")


@guarded(READ)
class Now(View):
    def get(self, request: HttpRequest, t: str) -> HttpResponse:
        return HttpResponse(f"{tenant_now()} {request.grant.tenant.tenant_id}")


@guarded(READ)
class Later(View):
    async def get(self, request: HttpRequest, t: str) -> HttpResponse:
        await asyncio.sleep(0)
        return HttpResponse(f"{tenant_now()} {request.grant.tenant.tenant_id}")


@method_decorator(guarded(READ), name="dispatch")
class Decorated(View):
    def get(self, request: HttpRequest, t: str) -> HttpResponse:
        return HttpResponse(f"{tenant_now()} {request.grant.tenant.tenant_id}")


@method_decorator(guarded(READ), name="dispatch")
class DecoratedLater(View):
    async def get(self, request: HttpRequest, t: str) -> HttpResponse:
        await asyncio.sleep(0)
        return HttpResponse(f"{tenant_now()} {request.grant.tenant.tenant_id}")


class ByMethod(View):
    @method_decorator(guarded(READ))
    def get(self, request: HttpRequest, t: str, grant: Any) -> HttpResponse:
        return HttpResponse(f"{tenant_now()} {grant.tenant.tenant_id}")

    @method_decorator(guarded(WRITE))
    def post(self, request: HttpRequest, t: str, grant: Any) -> HttpResponse:
        return HttpResponse(request.body)


VIEWS: dict[str, Any] = {
    "later": later, "now": now, "Now": Now.as_view(), "Later": Later.as_view(), "Decorated": Decorated.as_view(),
    "DecoratedLater": DecoratedLater.as_view(), "ByMethod": ByMethod.as_view(),
}  # fmt: skip


@both
@pytest.mark.parametrize("kind", VIEWS)
def test_every_kind_of_view_runs_in_its_tenant(way: str, kind: str) -> None:
    site = Site(path("w/<t>/x", VIEWS[kind]))
    assert site.ask(way, "/w/acme/x").body == b"acme acme"
    assert site.ask(way, "/w/acme/x", who="eve").status == 404
    assert site.small.trail() == ["notes.read attempted", "notes.read success"]
    assert current_tenant() is None
    with project(site.small, site.patterns):
        assert_all_routes_declared()


@pytest.fixture
def suspending(tmp_path: Path) -> Small:
    """Sessions and memberships in an asynchronous database."""
    database = AsyncDatabase(create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/a.db", poolclass=NullPool))
    sessions, memberships = SessionManager(SqlSessionStore(database)), Memberships(SqlMembershipStore(database))

    async def furnish() -> Any:
        await database.acreate_all()
        for who, tenant in (("ada", "acme"), ("eve", "evil")):
            await memberships.acreate_workspace(Principal(who), tenant_id=tenant)
        return [await sessions.aopen(who) for who in ("ada", "eve")]

    small = Small(
        authenticator=Authenticator([sessions]), tenants=TenantResolver([PathSource("/w/{tenant}/")], memberships)
    )
    for who, opened in zip(("ada", "eve"), asyncio.run(furnish()), strict=True):
        small.cookies[who] = ("Cookie", f"{opened.cookie.name}={opened.token.reveal()}")
    return small


@pytest.mark.parametrize("kind", VIEWS)
def test_asynchronous_stores_under_asgi(suspending: Small, kind: str) -> None:
    site = Site(path("w/<t>/x", VIEWS[kind]), small=suspending)
    assert site.ask("asgi", "/w/acme/x").body == b"acme acme"
    assert site.ask("asgi", "/w/acme/x", who="eve").status == 404
    assert site.small.trail() == ["notes.read attempted", "notes.read success"]


@both
@pytest.mark.parametrize(
    ("ending", "status", "outcome"),
    [
        (Http404("x"), 404, "failure"),
        (PermissionDenied("x"), 403, "denied"),
        (SuspiciousOperation("x"), 400, "failure"),
        (InvalidRequest("x"), 400, "failure"),
        (ZeroDivisionError(), 500, "error"),
        (410, 410, "failure"),
        (500, 500, "error"),
    ],
)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_endings(way: str, ending: Any, status: int, outcome: str, asynchronous: bool) -> None:
    def end() -> Any:
        if isinstance(ending, Exception):
            raise ending
        return HttpResponse("x", status=ending)

    @guarded(READ)
    def view(request: HttpRequest, t: str) -> HttpResponse:
        return end()

    @guarded(READ)
    async def view_later(request: HttpRequest, t: str) -> HttpResponse:
        return end()

    site = Site(path("w/<t>/x", view_later if asynchronous else view))
    assert site.ask(way, "/w/acme/x").status == status
    assert site.small.trail() == ["notes.read attempted", f"notes.read {outcome}"]


@both
def test_streams(way: str) -> None:
    def steps() -> Iterator[str]:
        for _ in range(2):
            yield tenant_now()

    async def steps_later() -> AsyncIterator[str]:
        for _ in range(2):
            await asyncio.sleep(0)
            yield tenant_now()

    @guarded(READ)
    async def view(request: HttpRequest, t: str) -> StreamingHttpResponse:
        return StreamingHttpResponse(steps() if way == "wsgi" else steps_later())

    assert Site(path("w/<t>/x", view)).ask(way, "/w/acme/x").body == b"acmeacme"
    assert current_tenant() is None


class Raises:
    """Other middleware, below ours."""

    sync_capable, async_capable = True, False

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        raise InvalidRequest("a detail nobody may see")


def handled(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Middleware that makes its own answer of what is raised below it."""

    def middleware(request: HttpRequest) -> Any:
        get_response(request)
        return HttpResponse("mine", status=502)

    return middleware


@both
def test_refusals_of_other_middleware_are_rendered(way: str) -> None:
    site = Site(
        path("open", public("a test")(lambda request: HttpResponse("x"))), MIDDLEWARE=[OURS, f"{__name__}.Raises"]
    )
    answer = site.ask(way, "/open")
    assert (answer.status, answer.header("content-type")) == (400, "application/problem+json")
    assert b"nobody" not in answer.body
    site.settings["MIDDLEWARE"] = [OURS, f"{__name__}.handled", f"{__name__}.Raises"]
    assert site.ask(way, "/open").status == 502


@both
def test_the_body_is_there_after_the_guard(way: str) -> None:
    @guarded(WRITE, resource=lambda request: {"type": "note", "tenant_id": "acme", "size": len(request.body)})
    def view(request: HttpRequest, t: str) -> HttpResponse:
        return HttpResponse(request.body)

    assert Site(path("w/<t>/x", view)).ask(way, "/w/acme/x", method="POST", body=b"\xff\x00").body == b"\xff\x00"


@both
def test_csrf_middleware_beside_the_guard(way: str) -> None:
    csrf = "django.middleware.csrf.CsrfViewMiddleware"
    write = guarded(WRITE)(lambda request, t: HttpResponse(tenant_now()))
    site = Site(
        path("w/<t>/token", write),
        path("w/<t>/below", csrf_exempt(write)),
        path("w/<t>/above", guarded(WRITE)(csrf_exempt(lambda request, t: HttpResponse(tenant_now())))),
        MIDDLEWARE=[OURS, csrf],
    )
    assert site.ask(way, "/w/acme/below", method="POST").body == b"acme"
    assert site.ask(way, "/w/acme/above", method="POST").body == b"acme"
    assert site.ask(way, "/w/acme/token", method="POST").status == 403
    token = "a" * 32
    name, value = site.small.cookie("ada")
    site.small.cookies["ada"] = (name, f"{value}; csrftoken={token}")
    told = (("X-CSRFToken", token), ("Origin", f"https://{HOST}"))
    assert site.ask(way, "/w/acme/token", *told, method="POST").body == b"acme"


def test_every_route_of_nested_includes_is_found() -> None:
    def plain(request: HttpRequest) -> HttpResponse:
        return HttpResponse("x")

    class Half(ByMethod):
        def put(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse("x")

    class Child(Now):
        def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            return HttpResponse("unguarded")

    class Heir(Now):
        def post(self, request: HttpRequest, t: str) -> HttpResponse:
            return HttpResponse("guarded by dispatch")

    deep = ([path("deep", plain)], "inner")
    site = Site(
        path("a/", include(([path("b/", include(deep, namespace="n"))], "outer"))),
        path("half", Half.as_view()),
        path("child", Child.as_view()),
        path("heir", Heir.as_view()),
        path("ok", public("a test")(plain)),
    )
    with project(site.small, site.patterns):
        with pytest.raises(ConfigurationError) as caught:
            assert_all_routes_declared()
        assert caught.value.detail == "undeclared routes: /a/b/deep, /child, /half"
        assert undeclared_routes() == ["/a/b/deep", "/child", "/half"]
        assert undeclared_routes(public={"/child": "a test"}) == ["/a/b/deep", "/half"]
        assert [found.id for found in check_routes()] == ["trust.E001"]
    with project(
        site.small, site.patterns, WELLSTREAK_TRUST_PUBLIC=dict.fromkeys(("/a/b/deep", "/child", "/half"), "x")
    ):
        assert check_routes() == []


@pytest.mark.parametrize("named", [None, "no.such.module", f"{__name__}.VIEWS", 5])
def test_a_missing_trust_is_a_check_and_an_error(named: Any) -> None:
    small = Small()
    with project(small, (path("w/<t>/x", now),), WELLSTREAK_TRUST=named):
        with pytest.raises(ConfigurationError) as caught:
            edge()
        assert caught.value.reason == "no_trust"
        assert "trust.E002" in [found.id for found in check_routes()]


def test_operations_that_cannot_be_served_are_a_check() -> None:
    view = guarded(Operation("x", "notes:reed"))(lambda request: HttpResponse("x"))
    with project(Small(), (path("x", view),)):
        assert ["notes:reed" in found.msg for found in check_routes()] == [True]


def test_a_view_called_without_its_request_says_so() -> None:
    small = Small()
    with project(small, ()), pytest.raises(ConfigurationError, match="without its request"):
        now("not a request")


@both
def test_headers_that_do_not_belong_go(way: str) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        return JsonResponse({"a": 1}, headers={"Strict-Transport-Security": "max-age=1", "Vary": "Accept"})

    site = Site(path("open", public("a test")(view)))
    with project(site.small, site.patterns):
        if way == "wsgi":
            extra = {"wsgi.url_scheme": "http"}
            answer = call_wsgi(WSGIHandler(), "GET", "/open", [("Host", HOST), OWN], b"", **extra)
        else:
            answer = asyncio.run(call_asgi(ASGIHandler(), "GET", "/open", [("Host", HOST), OWN], b"", scheme="http"))
    assert answer.header("strict-transport-security") is None
    assert answer.header("vary") == "Accept, Sec-Fetch-Site, Origin"
    assert json.loads(answer.body) == {"a": 1}


def template(inside: Callable[[], str]) -> Any:
    """A response that Django renders after its view."""
    from django.template import Context, Engine
    from django.template.response import SimpleTemplateResponse

    class Rendered(SimpleTemplateResponse):
        @property
        def rendered_content(self) -> str:
            return Engine().from_string("{{ said }}").render(Context({"said": inside()}))

    return Rendered("unused")


@both
@pytest.mark.parametrize("asynchronous", [False, True])
def test_templates_are_rendered_in_the_tenant_and_end_the_operation(way: str, asynchronous: bool) -> None:
    made: list[Any] = []

    def render() -> Any:
        made.append(template(lambda: f"{tenant_now()} {len(site.small.trail())}"))
        return made[-1]

    @guarded(READ)
    def view(request: HttpRequest, t: str) -> HttpResponse:
        return render()

    @guarded(READ)
    async def view_later(request: HttpRequest, t: str) -> HttpResponse:
        return render()

    site = Site(path("w/<t>/x", view_later if asynchronous else view))
    assert site.ask(way, "/w/acme/x").body == b"acme 1"
    assert site.small.trail() == ["notes.read attempted", "notes.read success"]
    assert "render" not in vars(made[0])  # a rendered response may be pickled into a cache
    assert current_tenant() is None


@both
def test_a_template_that_fails_is_no_success(way: str) -> None:
    site = Site(path("w/<t>/x", guarded(READ)(lambda request, t: template(lambda: str(1 / 0)))))
    assert site.ask(way, "/w/acme/x").status == 500
    assert site.small.trail() == ["notes.read attempted", "notes.read error"]


def test_every_operation_of_a_class_is_vetted() -> None:
    class Two(ByMethod):
        @method_decorator(guarded(Operation("x", "notes:reed")))
        def put(self, request: HttpRequest, t: str) -> HttpResponse:
            return HttpResponse("x")

    site = Site(path("w/<t>/x", Two.as_view()))
    with project(site.small, site.patterns), pytest.raises(ConfigurationError) as caught:
        assert_all_routes_declared()
    assert caught.value.reason == "unknown_permission"


def test_djangos_own_asynchronous_client_reads_a_stream(suspending: Small) -> None:
    """It closes the response on the loop's own thread, where nothing may block."""
    from django.test import AsyncClient

    async def steps() -> AsyncIterator[str]:
        for _ in range(2):
            await asyncio.sleep(0)
            yield tenant_now()

    @guarded(READ)
    async def view(request: HttpRequest, t: str) -> StreamingHttpResponse:
        return StreamingHttpResponse(steps())

    async def main() -> list[str]:
        client = AsyncClient()
        name, _, value = suspending.cookie("ada")[1].partition("=")
        client.cookies[name] = value
        found = await client.get("/w/acme/x", secure=True)
        body = b"".join([piece async for piece in found])
        await asyncio.sleep(0)
        return [body.decode(), *suspending.trail()]

    with project(suspending, (path("w/<t>/x", view),)):
        assert asyncio.run(main()) == ["acmeacme", "notes.read attempted", "notes.read success"]
