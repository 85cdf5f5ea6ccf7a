"""The PostgreSQL settings that row level security reads, in one place for those who set them and those who write DDL.

They hold for one transaction, never for a session: a pooled connection must not carry the last tenant.
"""

from __future__ import annotations

from typing import Final

__all__ = ["COMPANY", "TENANT"]

TENANT: Final = "wst.tenant"
"""Holds the tenant id, or the empty text outside every scope."""

COMPANY: Final = "wst.company"
"""Holds the company id inside the tenant, or the empty text."""
