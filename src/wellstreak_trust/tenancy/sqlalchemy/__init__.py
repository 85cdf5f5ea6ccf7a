"""The tenant guard for SQLAlchemy: every statement of a session or engine stays inside the current tenant.

::

    guard = TenantGuard(Base, column="tenant_id", shared=[Plan], links=[task_tags])
    guard.install(SessionLocal)          # a sessionmaker or async_sessionmaker; its engine is guarded too

    with tenant_scope(context), SessionLocal() as session:
        session.scalars(select(Project))             # the tenant's projects
        session.add(Project(name="x"))               # lands in the tenant
        session.execute(text("select ..."))          # UnscopedStatement
        with unscoped("nightly statistics"):
            session.execute(text("select ..."))      # on record

It works where statements become SQL (`compiler`), where they are executed (`engine`) and where rows become instances
(`session`, `instances`). What is a tenant's table and what is not is decided once (`tables`).
"""

from ..observations import Observation, Observations
from ..unscoped import unscoped
from .guard import TenantGuard

__all__ = ["Observation", "Observations", "TenantGuard", "unscoped"]
