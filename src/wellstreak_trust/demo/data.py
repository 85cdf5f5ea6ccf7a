"""The host's own tables, and the guard that keeps every statement on them inside the tenant of the request."""

from __future__ import annotations

from typing import ClassVar, Final

from sqlalchemy import Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from wellstreak_trust.tenancy.sqlalchemy import TenantGuard


class Base(DeclarativeBase):
    """The host's models."""

    type_annotation_map: ClassVar[dict[type, type]] = {str: Text}


class User(Base):
    """A person; belongs to no tenant."""

    __tablename__ = "demo_user"
    email: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str]
    password: Mapped[str]
    platform_role: Mapped[str | None]


class LinkedIdentity(Base):
    """Who a provider says a person is; belongs to no tenant."""

    __tablename__ = "demo_identity"
    issuer: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str]


class Setting(Base):
    """A setting of a workspace, as JSON."""

    __tablename__ = "demo_setting"
    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class Agent(Base):
    """An agent of a workspace."""

    __tablename__ = "demo_agent"
    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    owner_id: Mapped[str]
    name: Mapped[str]
    frozen: Mapped[bool]


GUARD: Final = TenantGuard(Base, shared=[User, LinkedIdentity])
