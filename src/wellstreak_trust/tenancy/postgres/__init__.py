"""Row level security of PostgreSQL: the DDL, the binding of transactions to tenants, and a doctor for live schemas."""

from .binding import bind_tenant
from .ddl import drop_policy_ddl, link_policy_ddl, policy_ddl
from .doctor import doctor
from .finding import CODES, Code, Finding, to_json, to_sarif, to_text
from .keys import composite_key_ddl, mismatch_query
from .seal import Seal, drop_seal_ddl, seal_ddl

__all__ = [
    "CODES",
    "Code",
    "Finding",
    "Seal",
    "bind_tenant",
    "composite_key_ddl",
    "doctor",
    "drop_policy_ddl",
    "drop_seal_ddl",
    "link_policy_ddl",
    "mismatch_query",
    "policy_ddl",
    "seal_ddl",
    "to_json",
    "to_sarif",
    "to_text",
]
