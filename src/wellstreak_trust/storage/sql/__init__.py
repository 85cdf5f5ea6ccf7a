"""Stores over SQLAlchemy Core: SQLite (WAL) embedded, PostgreSQL in production; the same tables, the same tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .database import AsyncDatabase, Database, JoinedDatabase, SqlPort, ThreadedDatabase, create_all

if TYPE_CHECKING:
    from .apikeys import SqlApiKeyStore as SqlApiKeyStore
    from .approvals import SqlApprovalStore as SqlApprovalStore
    from .audit import SqlAuditStore as SqlAuditStore
    from .audit_roles import audit_ddl as audit_ddl
    from .connections import SqlConnectionStore as SqlConnectionStore
    from .copying import CopyReport as CopyReport
    from .copying import copy_all as copy_all
    from .dpop import SqlDpopStore as SqlDpopStore
    from .endpoints import SqlEndpointStore as SqlEndpointStore
    from .factors import SqlPasskeyStore as SqlPasskeyStore
    from .factors import SqlRecoveryCodeStore as SqlRecoveryCodeStore
    from .factors import SqlTotpStore as SqlTotpStore
    from .logins import SqlLoginStore as SqlLoginStore
    from .memberships import SqlMembershipStore as SqlMembershipStore
    from .outbox import SqlOutbox as SqlOutbox
    from .recipients import SqlRecipientStore as SqlRecipientStore
    from .refresh import SqlRefreshStore as SqlRefreshStore
    from .replay import SqlReplayStore as SqlReplayStore
    from .reports import SqlReportStore as SqlReportStore
    from .secrets import SqlSecretBackend as SqlSecretBackend
    from .sessions import SqlSessionStore as SqlSessionStore
    from .status import TablesStatus as TablesStatus
    from .status import tables_of as tables_of
    from .tokens import SqlOneTimeTokenStore as SqlOneTimeTokenStore
    from .usage import SqlEntitlements as SqlEntitlements
    from .usage import SqlUsageStore as SqlUsageStore
    from .witness import SqlWitnessStore as SqlWitnessStore
    from .workflows import SqlRunStore as SqlRunStore

_ROOMS = {
    "CopyReport": "copying",
    "SqlApiKeyStore": "apikeys",
    "SqlApprovalStore": "approvals",
    "SqlAuditStore": "audit",
    "SqlConnectionStore": "connections",
    "SqlDpopStore": "dpop",
    "SqlEndpointStore": "endpoints",
    "SqlEntitlements": "usage",
    "SqlLoginStore": "logins",
    "SqlMembershipStore": "memberships",
    "SqlOneTimeTokenStore": "tokens",
    "SqlOutbox": "outbox",
    "SqlPasskeyStore": "factors",
    "SqlRecipientStore": "recipients",
    "SqlRecoveryCodeStore": "factors",
    "SqlRefreshStore": "refresh",
    "SqlReplayStore": "replay",
    "SqlReportStore": "reports",
    "SqlRunStore": "workflows",
    "SqlSecretBackend": "secrets",
    "SqlSessionStore": "sessions",
    "SqlTotpStore": "factors",
    "SqlUsageStore": "usage",
    "SqlWitnessStore": "witness",
    "TablesStatus": "status",
    "audit_ddl": "audit_roles",
    "copy_all": "copying",
    "tables_of": "status",
}

__all__ = [
    "AsyncDatabase",
    "CopyReport",
    "Database",
    "JoinedDatabase",
    "SqlApiKeyStore",
    "SqlApprovalStore",
    "SqlAuditStore",
    "SqlConnectionStore",
    "SqlDpopStore",
    "SqlEndpointStore",
    "SqlEntitlements",
    "SqlLoginStore",
    "SqlMembershipStore",
    "SqlOneTimeTokenStore",
    "SqlOutbox",
    "SqlPasskeyStore",
    "SqlPort",
    "SqlRecipientStore",
    "SqlRecoveryCodeStore",
    "SqlRefreshStore",
    "SqlReplayStore",
    "SqlReportStore",
    "SqlRunStore",
    "SqlSecretBackend",
    "SqlSessionStore",
    "SqlTotpStore",
    "SqlUsageStore",
    "SqlWitnessStore",
    "TablesStatus",
    "ThreadedDatabase",
    "audit_ddl",
    "copy_all",
    "create_all",
    "tables_of",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_ROOMS[name]}", __name__), name)
    globals()[name] = value
    return value
