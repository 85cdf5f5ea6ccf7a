"""Only type checked, by mypy and pyright: what the adapters promise a host's editor. A line with ``# wrong`` must be
refused by both; no other line may be.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated, Any, assert_type

import flask
from django.http import HttpRequest, HttpResponse
from fastapi import Depends, FastAPI
from rest_framework.permissions import BasePermission
from rest_framework.request import Request as ApiRequest
from rest_framework.response import Response as ApiResponse
from rest_framework.views import APIView
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from wellstreak_trust import Grant, Operation, Principal, Trust
from wellstreak_trust.adapters import asgi, django, fastapi, starlette, wsgi
from wellstreak_trust.adapters import flask as for_flask
from wellstreak_trust.adapters.django.admin import TrustAdminSite
from wellstreak_trust.adapters.django.rest_framework import Guarded as MayApi
from wellstreak_trust.adapters.django.rest_framework import GuardedPermission
from wellstreak_trust.adapters.fastapi import CurrentGrant, CurrentTenant, Guarded
from wellstreak_trust.tenancy import TenantContext
from wellstreak_trust.webhooks import Delivery, Receiver

READ = Operation("notes.read", "notes:read")


# --- FastAPI ---------------------------------------------------------------------------------------------------------

app = FastAPI()


@app.get("/w/{t}/a")
async def read(grant: Annotated[Grant, Depends(Guarded(READ))]) -> str:
    assert_type(grant, Grant)
    assert_type(grant.principal, Principal | None)
    assert_type(grant.tenant, TenantContext | None)
    unused(grant.tenent)  # wrong
    return grant.request_id


@app.get("/w/{t}/b", dependencies=[Depends(Guarded(READ))])
async def below(grant: CurrentGrant, tenant: CurrentTenant) -> str:
    assert_type(grant, Grant)
    assert_type(tenant, TenantContext)
    return tenant.tenant_id


Guarded("notes.read")  # wrong
fastapi.assert_all_routes_declared("app")  # wrong
fastapi.public(5)  # wrong


# --- Starlette -------------------------------------------------------------------------------------------------------


@starlette.guarded(READ)
async def endpoint(request: Request, grant: Grant) -> Response:
    return PlainTextResponse(grant.request_id)


@starlette.guarded(READ)  # wrong
async def without_grant(request: Request) -> Response:
    return PlainTextResponse("")


assert_type(starlette.csp_nonce(Request({"type": "http"})), str)
assert_type(starlette.current_grant(Request({"type": "http"})), Grant)


# --- Flask -----------------------------------------------------------------------------------------------------------


@for_flask.guarded(READ)
def view(note: str, page: int = 1) -> str:
    return note * page


assert_type(view("a", page=2), flask.Response)
view(5)  # wrong
view("a", "b")  # wrong
for_flask.guarded("notes.read")  # wrong
assert_type(for_flask.current_grant(), Grant)


# --- Django ----------------------------------------------------------------------------------------------------------


@django.guarded(READ)
def page(request: HttpRequest, note: str) -> HttpResponse:
    assert_type(django.current_grant(request), Grant)
    return HttpResponse(note)


assert_type(page(HttpRequest(), "a"), HttpResponse)
page(HttpRequest(), 5)  # wrong
django.guarded(READ, resources=None)  # wrong


class Notes(APIView):
    permission_classes = (MayApi(READ),)

    def get(self, request: ApiRequest) -> ApiResponse:
        return ApiResponse()


made: type[BasePermission] = MayApi(READ)
assert_type(MayApi(READ), type[GuardedPermission])
MayApi("notes.read")  # wrong
TrustAdminSite("admin")  # wrong
assert_type(TrustAdminSite(READ).declaration.operation, Operation | None)


# --- no framework ----------------------------------------------------------------------------------------------------


@asgi.guarded(READ)
async def part(scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
    assert_type(asgi.current_grant(scope), Grant)
    await send({"type": "http.response.start", "status": 200, "headers": []})


served: Callable[[asgi.Scope, asgi.Receive, asgi.Send], Awaitable[None]] = part


@asgi.guarded(READ)  # wrong
def blocking(scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None: ...


@wsgi.guarded(READ)
def plain(environ: wsgi.Environ, start_response: wsgi.StartResponse) -> Iterable[bytes]:
    assert_type(wsgi.current_grant(environ), Grant)
    start_response("200 OK", [])
    return [b""]


@wsgi.guarded(READ)  # wrong
def text(environ: wsgi.Environ, start_response: wsgi.StartResponse) -> Iterable[str]:
    return [""]


def composed(trust: Trust, receiver: Receiver) -> None:
    whole = wsgi.TrustMiddleware(plain, trust)
    assert_type(wsgi.assert_all_routes_declared(whole, {"/": plain}), tuple[Operation, ...])
    wsgi.assert_all_routes_declared(whole, {"/": part})  # wrong
    asgi.TrustMiddleware(part, trust, forwarded_host="yes")  # wrong

    @wsgi.webhook(receiver)
    def hook(delivery: Delivery) -> None: ...

    @asgi.webhook(receiver)
    async def hook_later(delivery: Delivery) -> None: ...

    @asgi.webhook(receiver)  # wrong
    async def hook_of_text(delivery: str) -> None: ...


def unused(*args: Any) -> None: ...
