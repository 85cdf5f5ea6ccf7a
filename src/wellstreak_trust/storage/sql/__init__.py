"""Stores over SQLAlchemy Core: SQLite (WAL) embedded, PostgreSQL in production; the same tables, the same tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .database import AsyncDatabase, Database, JoinedDatabase, SqlPort, ThreadedDatabase, create_all

if TYPE_CHECKING:
    from .apikeys import SqlApiKeyStore as SqlApiKeyStore
    from .approvals import SqlApprovalStore as SqlApprovalStore
    from .audit import SqlAuditStore as SqlAuditStore
    from .connections import SqlConnectionStore as SqlConnectionStore
    from .dpop import SqlDpopStore as SqlDpopStore
    from .endpoints import SqlEndpointStore as SqlEndpointStore
    from .memberships import SqlMembershipStore as SqlMembershipStore
    from .outbox import SqlOutbox as SqlOutbox
    from .recipients import SqlRecipientStore as SqlRecipientStore
    from .replay import SqlReplayStore as SqlReplayStore
    from .reports import SqlReportStore as SqlReportStore
    from .secrets import SqlSecretBackend as SqlSecretBackend
    from .sessions import SqlSessionStore as SqlSessionStore
    from .tokens import SqlOneTimeTokenStore as SqlOneTimeTokenStore
    from .usage import SqlEntitlements as SqlEntitlements
    from .usage import SqlUsageStore as SqlUsageStore
    from .workflows import SqlRunStore as SqlRunStore

_ROOMS = {
    "SqlApiKeyStore": "apikeys",
    "SqlApprovalStore": "approvals",
    "SqlAuditStore": "audit",
    "SqlConnectionStore": "connections",
    "SqlDpopStore": "dpop",
    "SqlEndpointStore": "endpoints",
    "SqlEntitlements": "usage",
    "SqlMembershipStore": "memberships",
    "SqlOneTimeTokenStore": "tokens",
    "SqlOutbox": "outbox",
    "SqlRecipientStore": "recipients",
    "SqlReplayStore": "replay",
    "SqlReportStore": "reports",
    "SqlRunStore": "workflows",
    "SqlSecretBackend": "secrets",
    "SqlSessionStore": "sessions",
    "SqlUsageStore": "usage",
}

__all__ = [
    "AsyncDatabase",
    "Database",
    "JoinedDatabase",
    "SqlApiKeyStore",
    "SqlApprovalStore",
    "SqlAuditStore",
    "SqlConnectionStore",
    "SqlDpopStore",
    "SqlEndpointStore",
    "SqlEntitlements",
    "SqlMembershipStore",
    "SqlOneTimeTokenStore",
    "SqlOutbox",
    "SqlPort",
    "SqlRecipientStore",
    "SqlReplayStore",
    "SqlReportStore",
    "SqlRunStore",
    "SqlSecretBackend",
    "SqlSessionStore",
    "SqlUsageStore",
    "ThreadedDatabase",
    "create_all",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_ROOMS[name]}", __name__), name)
    globals()[name] = value
    return value
