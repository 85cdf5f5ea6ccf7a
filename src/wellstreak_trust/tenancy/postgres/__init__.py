"""Row level security of PostgreSQL: the DDL, the binding of transactions to tenants, and a doctor for live schemas."""

from .binding import bind_tenant
from .seal import Seal

__all__ = ["Seal", "bind_tenant"]
