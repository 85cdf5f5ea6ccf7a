"""The text of a whole statement, judged where its compiler has finished it.

A host's own text gets into a statement in more ways than can be listed: templates, names of functions, expressions,
lookups and fields that write SQL. So the finished text is read (see `text.statement_complaint`) instead of its sources.

A statement may hold others: subqueries, halves of a union. Each is made by a compiler of its own while the outer one
runs, and is judged by itself; the outer one is judged without them. `Whole` collects them, one list a running compiler,
on the connection that they are made for.
"""

from __future__ import annotations

from typing import Any, Final

from ...core.errors import UnscopedStatement
from ..unscoped import is_unscoped
from .acting import refuse
from .text import statement_complaint

__all__ = ["Whole", "add_piece"]

_PIECES: Final = "wst_pieces"


class Whole:
    """One run of a compiler: from `Whole(connection)` to `end`, and `judge` for what came of it."""

    __slots__ = ("_connection", "_outer", "_pieces")

    def __init__(self, connection: Any) -> None:
        self._connection: Any = connection
        self._outer: list[str] | None = getattr(connection, _PIECES, None)
        self._pieces: list[str] = []
        setattr(connection, _PIECES, self._pieces)

    def end(self) -> None:
        """The outer compiler goes on, whatever came of this one."""
        setattr(self._connection, _PIECES, self._outer)

    def judge(self, sql: str, named: tuple[str, ...]) -> None:
        """Judges the text and hands it to the outer compiler.

        Args:
            named: the tenant tables that it names by right.

        Raises:
            UnscopedStatement: it names others, or what no model describes.
        """
        found = statement_complaint(sql, named, self._pieces)
        if found and not is_unscoped():
            refuse(UnscopedStatement(f"a statement {found}", hint="use expressions, or unscoped(reason)"), sql)
        if self._outer is not None:
            self._outer.append(sql)


def add_piece(connection: Any, sql: str) -> None:
    """Tells the compiler that runs of a text that the guard itself has put in."""
    pieces: list[str] | None = getattr(connection, _PIECES, None)
    if pieces is not None and "(" in sql:
        pieces.append(sql)
