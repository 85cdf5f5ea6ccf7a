"""CVE-2025-61928: a server that takes the owner of a new API key from the request makes keys for anybody.

Over a real FastAPI application, whose body model would accept an owner and a tenant.
"""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI, Header
from fastapi.responses import JSONResponse
from starlette.testclient import TestClient

from wellstreak_trust.core import Principal, RequestFacts, TrustError
from wellstreak_trust.identity import (
    ApiKeys,
    Authenticator,
    Denied,
    MemoryApiKeyStore,
    MemorySessionStore,
    SessionManager,
)

RIGHTS = {("eve", "t-eve"): {"agents:read"}, ("victim", "t-victim"): {"agents:read", "billing:update"}}


@pytest.fixture
def house():
    sessions = SessionManager(MemorySessionStore())
    keys = ApiKeys(MemoryApiKeyStore(), rights=lambda owner, tenant: RIGHTS.get((owner, tenant)))
    who = Authenticator([sessions, keys])
    app = FastAPI()

    @app.exception_handler(TrustError)
    async def refuse(_: Any, error: TrustError) -> JSONResponse:
        return JSONResponse(error.problem(), error.status)

    @app.post("/keys")
    def create(body: dict[str, Any], cookie: str = Header(""), authorization: str = Header("")) -> Any:
        offered = [("Cookie", cookie)] * bool(cookie) + [("Authorization", authorization)] * bool(authorization)
        principal = who.authenticate(RequestFacts("POST", "https://app.example.org/keys", offered))
        made = keys.create_for(principal, scopes=body["scopes"], name=body.get("name", ""))
        return {"id": made.id, "secret": made.secret.reveal()}

    return sessions, keys, TestClient(app)


@pytest.mark.asvs("15.3.3")
def test_cve_2025_61928(house):
    sessions, keys, client = house
    cookie = f"__Host-ws_session={sessions.open('eve', tenant_id='t-eve').token.reveal()}"
    asked = {"scopes": ["agents:read"], "owner_id": "victim", "user_id": "victim", "tenant_id": "t-victim"}
    made = client.post("/keys", json=asked, headers={"Cookie": cookie}).json()
    found = keys.authenticate(made["secret"])
    assert (found.id, found.tenant_id) == ("eve", "t-eve")
    assert keys.list("t-victim") == []
    greedy = {**asked, "scopes": ["billing:update"]}
    assert client.post("/keys", json=greedy, headers={"Cookie": cookie}).status_code == 403
    assert client.post("/keys", json=asked).status_code == 401


def test_a_key_makes_no_key(house):
    """Else a key that leaks for a day would be good for ever."""
    _, keys, client = house
    mine = keys.create(owner_id="eve", tenant_id="t-eve", scopes={"agents:read"}).secret.reveal()
    answer = client.post("/keys", json={"scopes": ["agents:read"]}, headers={"Authorization": f"Bearer {mine}"})
    assert answer.status_code == 403
    assert len(keys.list("t-eve")) == 1


@pytest.mark.parametrize(
    "principal",
    [
        Principal("eve"),
        Principal("eve", kind="service", tenant_id="t-eve"),
        Principal("eve", kind="agent", tenant_id="t-eve"),
        Principal("eve", tenant_id="t-eve", actor=Principal("support")),
        Principal("eve", tenant_id="t-eve", scopes=frozenset()),
        Principal("eve", tenant_id="t-victim"),
    ],
    ids=["no tenant", "service", "agent", "impersonated", "no scopes", "no member"],
)
def test_who_makes_no_key(house, principal):
    _, keys, _ = house
    with pytest.raises(Denied):
        keys.create_for(principal, scopes={"agents:read"})
