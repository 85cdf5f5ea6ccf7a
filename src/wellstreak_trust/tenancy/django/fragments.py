"""Text inside a query: `RawSQL`, ``extra(...)``, and functions that a host gave a template or a name of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.db.models.expressions import Func, RawSQL
from django.db.models.sql.where import ExtraWhere

from ...core.errors import UnscopedStatement
from ..unscoped import is_unscoped
from .acting import refuse
from .text import fragment_complaint

__all__ = ["TEXTUAL", "judge", "judge_tables"]

TEXTUAL: Final = (Func, RawSQL, ExtraWhere)


def judge(node: Any) -> None:
    """Raises `UnscopedStatement` for a node whose text reads past the restrictions of its statement."""
    if isinstance(node, Func):
        if not node.extra and type(node).__module__.startswith("django."):
            return
        texts: Iterable[Any] = _texts(node)
    else:
        texts = (node.sql,) if isinstance(node, RawSQL) else node.sqls
    for text in texts:
        _judge(text)


def judge_tables(names: Iterable[str]) -> None:
    """The same for ``extra(tables=...)``."""
    for name in names:
        _judge(f'SELECT FROM "{name}"')


def _texts(node: Any) -> Iterator[str]:
    """All that Django writes into the SQL of a function: its name, its template, and what fills the template."""
    yield from (text for text in (node.function, node.template, node.arg_joiner) if isinstance(text, str))
    yield from (text for text in node.extra.values() if isinstance(text, str))


def _judge(text: str) -> None:
    found = fragment_complaint(text)
    if found and not is_unscoped():
        refuse(UnscopedStatement(f"SQL inside a query {found}", hint="use expressions, or unscoped(reason)"), text)
