"""Ids of others where nobody looks: in a body, in the second half of a path, in a list (IDOR, BOLA).

After published incidents: GHSA-22g9-9xfv-q3fr, GHSA-38vj-gf85-7q5x and GHSA-8cvv-8jh5-g6mj (ids in bodies and sibling
ids in paths that were not held against the workspace), CVE-2026-45830 and CVE-2026-45832 (a decision that never asked
for the resource). The handlers are written as carelessly as those were.
"""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from sqlalchemy import ForeignKey, String, create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from sqlalchemy.pool import StaticPool

from wellstreak_trust import Operation, Principal, Trust
from wellstreak_trust.adapters.flask import TrustExtension, assert_all_routes_declared, guarded
from wellstreak_trust.audit import AuditLog, MemoryAuditStore
from wellstreak_trust.authz import Policy
from wellstreak_trust.identity import Authenticator, MemorySessionStore, SessionManager
from wellstreak_trust.origin import OriginPolicy
from wellstreak_trust.tenancy import Memberships, MemoryMembershipStore, PathSource, TenantResolver, tenant_scope
from wellstreak_trust.tenancy import testing_context as context_of
from wellstreak_trust.tenancy.sqlalchemy import TenantGuard


class Base(DeclarativeBase):
    """A tracker: issues in projects."""


class Project(Base):
    __tablename__ = "project"
    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(64))
    owner_id: Mapped[str] = mapped_column(String(64))


class Issue(Base):
    __tablename__ = "issue"
    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(64))
    owner_id: Mapped[str] = mapped_column(String(64))
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    title: Mapped[str] = mapped_column(String(80))


POLICY = Policy.from_dict(
    {
        "schema": 1,
        "resources": {"issue": {"attributes": {"owner_id": "string"}}},
        "permissions": {"issues:read": {"resource": "issue"}, "issues:create": {}, "issues:list": {}},
        "roles": {
            "owner": {
                "allow": [
                    {"permission": "issues:read", "when": "resource.owner_id == principal.id"},
                    "issues:create",
                    "issues:list",
                ]
            }
        },
    }
)
READ, CREATE, LIST = (Operation(f"issue.{verb}", f"issues:{verb}") for verb in ("read", "create", "list"))
OWN, OTHERS, FOREIGN, NONE = 1, 2, 3, 999


@pytest.fixture
def sessions_of_rows() -> sessionmaker[Session]:
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    rows = sessionmaker(engine)
    TenantGuard(Base).install(rows)
    Base.metadata.create_all(engine)
    for tenant, owner, number in (("own", "mallory", OWN), ("own", "ann", OTHERS), ("target", "victim", FOREIGN)):
        with tenant_scope(context_of(tenant)), rows.begin() as session:
            session.add(Project(id=number, owner_id=owner))
            session.flush()
            session.add(Issue(id=number, owner_id=owner, project_id=number, title=f"secret of {owner}"))
    return rows


@pytest.fixture
def client(sessions_of_rows: sessionmaker[Session]) -> FlaskClient:
    memberships, sessions = Memberships(MemoryMembershipStore()), SessionManager(MemorySessionStore())
    for who, tenant in (("mallory", "own"), ("victim", "target")):
        memberships.create_workspace(Principal(who), tenant_id=tenant)
    trust = Trust(
        profile="test", authenticator=Authenticator([sessions]), policy=POLICY, origin=OriginPolicy(),
        tenants=TenantResolver([PathSource("/w/{tenant}/")], memberships), audit=AuditLog(MemoryAuditStore()),
    )  # fmt: skip
    app = Flask("tracker", static_folder=None)
    TrustExtension(trust).init_app(app)
    routes(app, sessions_of_rows)
    assert_all_routes_declared(app)
    opened = sessions.open("mallory")
    client = app.test_client(use_cookies=False)
    client.environ_base["HTTP_COOKIE"] = f"{opened.cookie.name}={opened.token.reveal()}"
    client.environ_base["HTTP_SEC_FETCH_SITE"] = "same-origin"
    return client


def routes(app: Flask, rows: sessionmaker[Session]) -> None:
    def issue_of(asked: Any) -> dict[str, Any] | None:
        with rows() as session:
            found = session.get(Issue, asked.view_args["issue"])
            return found and {"type": "issue", "tenant_id": found.tenant_id, "owner_id": found.owner_id}

    @app.get("/w/<tenant>/projects/<int:project>/issues/<int:issue>")
    @guarded(READ, resource=issue_of)
    def read(tenant: str, project: int, issue: int) -> Any:
        with rows() as session:
            return {"title": session.get_one(Issue, issue).title}  # the project is not looked at

    @app.post("/w/<tenant>/issues")
    @guarded(CREATE)
    def create(tenant: str) -> Any:
        with rows.begin() as session:
            session.add(Issue(owner_id="mallory", **request.get_json()))  # whatever the body says
        return {"ok": True}

    @app.get("/w/<tenant>/issues")
    @guarded(LIST)
    def listed(tenant: str) -> Any:
        with rows() as session:
            chosen = select(Issue.title).where(Issue.project_id.in_(request.args.getlist("project", type=int)))
            return {"titles": list(session.scalars(chosen.order_by(Issue.id)))}


def counted(rows: sessionmaker[Session], tenant: str) -> int:
    with tenant_scope(context_of(tenant)), rows() as session:
        return session.scalar(select(func.count()).select_from(Issue)) or 0


def test_the_own_issue_is_read_and_made(client: FlaskClient, sessions_of_rows: sessionmaker[Session]) -> None:
    assert client.get("/w/own/projects/1/issues/1").get_json() == {"title": "secret of mallory"}
    assert client.post("/w/own/issues", json={"project_id": OWN, "title": "mine"}).status_code == 200
    assert counted(sessions_of_rows, "own") == 3


@pytest.mark.asvs("8.2.2")
@pytest.mark.parametrize("project", [OWN, FOREIGN, NONE])
def test_a_sibling_id_in_the_path(client: FlaskClient, project: int) -> None:
    """GHSA-8cvv-8jh5-g6mj: the first id of a path is checked, the second is used."""
    foreign, missing = (client.get(f"/w/own/projects/{project}/issues/{issue}") for issue in (FOREIGN, NONE))
    assert foreign.status_code == missing.status_code == 404
    assert foreign.data == missing.data


def test_a_decision_that_asks_for_the_resource(client: FlaskClient) -> None:
    """CVE-2026-45830: the right to the operation is no right to this row, in the own tenant neither."""
    refused = client.get(f"/w/own/projects/{OWN}/issues/{OTHERS}")
    assert (refused.status_code, b"secret" in refused.data) == (403, False)


@pytest.mark.parametrize("body", [
    {"project_id": FOREIGN}, {"project_id": NONE}, {"project_id": OWN, "tenant_id": "target"},
    {"project_id": FOREIGN, "tenant_id": "target"}, {"project_id": FOREIGN, "id": FOREIGN},
])  # fmt: skip
def test_ids_in_a_body(client: FlaskClient, sessions_of_rows: sessionmaker[Session], body: dict[str, Any]) -> None:
    """GHSA-22g9-9xfv-q3fr: what a body names is never more than what its tenant has; foreign and missing look alike."""
    client.application.testing = False
    refused = client.post("/w/own/issues", json={**body, "title": "planted"})
    assert refused.status_code == 500
    assert refused.data == client.post("/w/own/issues", json={"project_id": NONE, "title": "planted"}).data
    assert (counted(sessions_of_rows, "own"), counted(sessions_of_rows, "target")) == (2, 1)


def test_ids_in_a_list(client: FlaskClient) -> None:
    """GHSA-38vj-gf85-7q5x: a list filtered by ids of the caller's choice."""
    answer = client.get(f"/w/own/issues?project={OWN}&project={FOREIGN}&project={NONE}").get_json()
    assert answer == {"titles": ["secret of mallory"]}
