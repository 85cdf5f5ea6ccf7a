"""The tables of the audit trail.

No foreign key leads to tenants: deleting a tenant must not delete what happened to it. Subjects are opaque indexes.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Table, Text, UniqueConstraint

from .schema import metadata

__all__ = [
    "COLUMNS_OF_3",
    "CURSOR",
    "DISCLOSURE",
    "HEAD",
    "HOLD",
    "INDEXES_OF_3",
    "LEAF",
    "SIGNED",
    "SUBJECT",
    "TILE",
]

LEAF: Final = Table(
    "wst_audit_leaf",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("content_digest", LargeBinary, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("leaf_hash", LargeBinary, nullable=False),
    UniqueConstraint("tenant_id", "id", name="wst_audit_leaf_id"),
    Index("wst_audit_leaf_occurred", "tenant_id", "occurred_at"),
    Index("wst_audit_leaf_actor", "tenant_id", "actor", "seq"),
    Index("wst_audit_leaf_action", "tenant_id", "action", "seq"),
)
HEAD: Final = Table(
    "wst_audit_head",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("edge", LargeBinary, nullable=False),
    Column("recorded_at", BigInteger, nullable=False, server_default="0"),
    Column("first_seq", BigInteger, nullable=False, server_default="0"),
    Column("grown", BigInteger, nullable=False, server_default="1"),  # since the spine last noted it
)
# Few trees grow between two looks of the spine; the others cost nothing.
_UNNOTED: Final = Index(
    "wst_audit_head_unnoted",
    HEAD.c.tenant_id,
    sqlite_where=HEAD.c.grown == 1,
    postgresql_where=HEAD.c.grown == 1,
)
TILE: Final = Table(
    "wst_audit_tile",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("level", BigInteger, primary_key=True, autoincrement=False),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
)
SIGNED: Final = Table(
    "wst_audit_signed",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
)
DISCLOSURE: Final = Table(
    "wst_audit_disclosure",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("place", BigInteger, primary_key=True, autoincrement=False),
    Column("subject", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("wst_audit_disclosure_subject", "tenant_id", "subject", "seq"),
)
SUBJECT: Final = Table(
    "wst_audit_subject",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("key", LargeBinary, nullable=False),
)

HOLD: Final = Table(
    "wst_audit_hold",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
)
CURSOR: Final = Table(
    "wst_audit_cursor",
    metadata,
    Column("sink", Text, primary_key=True),
    Column("tenant_id", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

COLUMNS_OF_3: Final = (HEAD.c.recorded_at, HEAD.c.first_seq, HEAD.c.grown)
_OF_3: Final = frozenset(("wst_audit_leaf_actor", "wst_audit_leaf_action"))
INDEXES_OF_3: Final = (*(index for index in LEAF.indexes if index.name in _OF_3), _UNNOTED)
