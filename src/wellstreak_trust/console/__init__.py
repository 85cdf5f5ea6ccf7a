"""The operator page: what every connection, run, rule and deadline says now, read-only and server-rendered."""

from .console import VIEW_OPERATIONS, Console, ConsolePage

__all__ = ["VIEW_OPERATIONS", "Console", "ConsolePage"]
