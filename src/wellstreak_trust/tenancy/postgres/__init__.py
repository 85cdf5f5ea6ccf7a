"""Row level security of PostgreSQL: the DDL, the binding of transactions to tenants, and a doctor for live schemas.

DDL is text, for migrations of any tool; only what talks to a database loads SQLAlchemy.
"""

from typing import TYPE_CHECKING

from .ddl import drop_policy_ddl, link_policy_ddl, policy_ddl
from .finding import CODES, Code, Finding, to_json, to_sarif, to_text
from .keys import composite_key_ddl, mismatch_query
from .seal import Seal, drop_seal_ddl, seal_ddl

if TYPE_CHECKING:
    from .binding import bind_tenant
    from .diagnosis import doctor

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


_LAZY = {"bind_tenant": "binding", "doctor": "diagnosis"}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
