"""A sound Django host and planted ones, attacked in a process of their own; prints what was found at each as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.append(str(Path(__file__).parent))

from django.conf import settings

HELD: dict[str, Any] = {}


def trust() -> Any:
    return HELD["trust"]


settings.configure(
    SECRET_KEY="unused",
    ALLOWED_HOSTS=["testserver.example"],
    MIDDLEWARE=["wellstreak_trust.adapters.django.TrustMiddleware"],
    INSTALLED_APPS=["wellstreak_trust.adapters.django"],
    WELLSTREAK_TRUST="django_probe.trust",
    APPEND_SLASH=False,
    LOGGING_CONFIG=None,
)
sys.modules["django_probe"] = sys.modules[__name__]

import django  # noqa: E402  settings come first

django.setup()

from django.core.handlers.asgi import ASGIHandler  # noqa: E402  as above
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402  as above
from django.http import HttpRequest, HttpResponse, JsonResponse  # noqa: E402  as above
from django.urls import clear_url_caches, path  # noqa: E402  as above
from django.views import View  # noqa: E402  as above
from notes import PURGE, READ, SETTINGS, WRITE, Notes, Unchecked  # noqa: E402  as above

from wellstreak_trust.adapters.django import facts_of, guarded, middleware, public  # noqa: E402  as above
from wellstreak_trust.testing.attacker import Attacker, Target  # noqa: E402  as above


class Host(Notes):
    """The sound host on Django: class views, so that the attacker sees their methods."""

    asgi = False

    def patterns(self) -> list[Any]:
        host = self

        class Listing(View):
            @guarded(READ)
            def get(self, request: HttpRequest, tenant: str) -> HttpResponse:
                return JsonResponse(host.listed(tenant, facts_of(request))[0], safe=False)

            @guarded(WRITE)
            def post(self, request: HttpRequest, tenant: str) -> HttpResponse:
                said, status = host.create(tenant, host.said(request.body))
                return JsonResponse(said, status=status)

        class Single(View):
            @guarded(READ)
            def get(self, request: HttpRequest, tenant: str, note: str) -> HttpResponse:
                return JsonResponse({"text": host.find(tenant, note, facts_of(request))})

            @guarded(PURGE)
            def delete(self, request: HttpRequest, tenant: str, note: str) -> HttpResponse:
                host.find(tenant, note, facts_of(request))
                return HttpResponse(status=204)

        class Settings(View):
            @host.settings_guard()
            def get(self, request: HttpRequest, tenant: str) -> HttpResponse:
                return JsonResponse({"plan": "team"})

        class Hook(View):
            @public("the provider signs")
            def post(self, request: HttpRequest) -> HttpResponse:
                return JsonResponse(*host.receive(list(request.headers.items()), request.body, "POST")[:1])

        return [
            path("w/<str:tenant>/notes", Listing.as_view()),
            path("w/<str:tenant>/notes/<str:note>", Single.as_view()),
            path("w/<str:tenant>/settings", Settings.as_view()),
            path("hooks/stripe", Hook.as_view()),
        ]

    def settings_guard(self) -> Any:
        return guarded(SETTINGS)

    def attack(self) -> Attacker:
        HELD["trust"] = self.trust()
        middleware._EDGES.clear()
        urls = ModuleType("urls_of_the_host")
        urls.urlpatterns = self.patterns()  # type: ignore[attr-defined]  # what Django reads
        sys.modules["urls_of_the_host"] = urls
        settings.ROOT_URLCONF = "urls_of_the_host"
        clear_url_caches()
        handler: Any = ASGIHandler() if self.asgi else WSGIHandler()
        target = Target.asgi(handler) if self.asgi else Target.wsgi(handler)
        return self.attacker(target)


class UnderAsgi(Host):
    asgi = True


class Unscoped(Host):
    """Note.objects.get(pk=note)"""

    def find(self, tenant_id: str, note: str, facts: Any) -> str:
        every = {name: text for notes in self.notes.values() for name, text in notes.items()}
        return every[note] if note in every else super().find(tenant_id, note, facts)


class Forgotten(Host):
    def settings_guard(self) -> Any:
        return lambda handler: handler


class DebugLeftOn(Host):
    """DEBUG = True, and a view that fails where the input is odd."""

    def listed(self, tenant_id: str, facts: Any) -> Any:
        if "limit" in facts.target.query:
            raise RuntimeError("unexpected limit")
        return super().listed(tenant_id, facts)

    def attack(self) -> Attacker:
        settings.DEBUG = True
        return super().attack()


class FormsFromAnywhere(Host):
    """@csrf_exempt, and no origin policy."""

    asgi = True

    def parts(self) -> dict[str, Any]:
        return {**super().parts(), "origin": Unchecked()}


if __name__ == "__main__":
    found = {}
    for kind in (Host, UnderAsgi, Unscoped, Forgotten, FormsFromAnywhere, DebugLeftOn):
        report = kind().attack().run()
        print(kind.__name__, report.to_text(), file=sys.stderr)
        found[kind.__name__] = sorted({finding.attack.id for finding in report.findings})
    print(json.dumps(found))
