"""The tables of secrets. Values come as the driver gives them: a row that was edited into another type must be seen."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Dialect, Integer, LargeBinary, Table, Text

from .schema import metadata

__all__ = ["HEAD", "KEY", "STORE", "VERSION"]


class _Octets(LargeBinary):
    """Bytes as the driver gives them; the usual conversion would make ``bytes(5_000_000_000)`` of an edited number."""

    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> None:
        """None: every driver takes bytes as they are."""
        return

    def result_processor(self, dialect: Dialect, coltype: object) -> None:
        """None."""
        return


# Names page in the same order everywhere: PostgreSQL's language collations skip punctuation.
_BY_CODE_POINT: Final = Text().with_variant(Text(collation="C"), "postgresql")

STORE: Final = Table(
    "wst_secret_store",
    metadata,
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
KEY: Final = Table(
    "wst_tenant_key",
    metadata,
    Column("tenant_id", _BY_CODE_POINT, primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("kek_uri", Text, nullable=False),
    Column("wrapped", _Octets),
    Column("check_value", _Octets, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
HEAD: Final = Table(
    "wst_secret",
    metadata,
    Column("tenant_id", _BY_CODE_POINT, primary_key=True),
    Column("name", _BY_CODE_POINT, primary_key=True),
    Column("current", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("key_version", BigInteger, nullable=False),
    Column("lease_owner", Text),
    Column("lease_until", BigInteger),
    Column("head_mac", _Octets, nullable=False),
)
VERSION: Final = Table(
    "wst_secret_version",
    metadata,
    Column("tenant_id", _BY_CODE_POINT, primary_key=True),
    Column("name", _BY_CODE_POINT, primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("envelope", _Octets),
    Column("kind", Text, nullable=False),
    Column("key_version", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("not_after", BigInteger),
    Column("rotate_after", BigInteger),
    Column("labels", Text, nullable=False),
    Column("row_mac", _Octets, nullable=False),
)
