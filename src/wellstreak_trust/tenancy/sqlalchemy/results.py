"""Results: rows that wait in a cursor belong to the scope that asked for them.

A result may be read long after its statement, a streamed one page by page. The strategy by which a cursor is fetched
is replaced by one that compares the scope first. The classes of strategies are not documented API, but `CursorResult`
takes any of them, and dialects bring their own.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine.cursor import BufferedRowCursorFetchStrategy, ResultFetchStrategy

from .rules import Rules

__all__ = ["PinnedFetch", "pin"]


def pin(context: Any, rules: Rules) -> None:
    """Ties the rows that an execution will give to the current scope."""
    streams = context._is_server_side or context.execution_options.get("stream_results")
    options = context.execution_options if streams else None
    context.cursor_fetch_strategy = PinnedFetch(context.cursor_fetch_strategy, rules, options)


class PinnedFetch(ResultFetchStrategy):
    """Fetches by another strategy, in one scope only.

    Args:
        options: of a streamed execution, for which the context would have put a buffering strategy in place.
    """

    __slots__ = ("_inner", "_options", "_rules", "_scope", "alternate_cursor_description")
    alternate_cursor_description: Any

    def __init__(self, inner: ResultFetchStrategy, rules: Rules, options: Any = None) -> None:
        self._inner: ResultFetchStrategy = inner
        self._rules: Rules = rules
        self._options: Any = options
        self._scope: tuple[str, str | None] | None = rules.scope()
        self.alternate_cursor_description = inner.alternate_cursor_description

    def _checked(self, result: Any, dbapi_cursor: Any) -> ResultFetchStrategy:
        if self._rules.scope() != self._scope:
            result.close()
            hint = "read results in the scope that asked, before it ends"
            self._rules.foreign_read("rows that another scope asked for", hint)
        if self._options is not None:
            self._inner, self._options = BufferedRowCursorFetchStrategy(dbapi_cursor, self._options), None
        return self._inner

    def fetchone(self, result: Any, dbapi_cursor: Any, hard_close: bool = False) -> Any:
        """One row."""
        return self._checked(result, dbapi_cursor).fetchone(result, dbapi_cursor, hard_close)

    def fetchmany(self, result: Any, dbapi_cursor: Any, size: int | None = None) -> Any:
        """Some rows."""
        return self._checked(result, dbapi_cursor).fetchmany(result, dbapi_cursor, size)

    def fetchall(self, result: Any, dbapi_cursor: Any) -> Any:
        """The rest."""
        return self._checked(result, dbapi_cursor).fetchall(result, dbapi_cursor)

    def yield_per(self, result: Any, dbapi_cursor: Any, num: int) -> None:
        """May put another strategy in place of the inner one."""
        self._inner.yield_per(result, dbapi_cursor, num)
        if result.cursor_strategy is not self:
            self._inner, result.cursor_strategy, self._options = result.cursor_strategy, self, None

    def soft_close(self, result: Any, dbapi_cursor: Any) -> None:
        """Ends the result."""
        self._inner.soft_close(result, dbapi_cursor)

    def hard_close(self, result: Any, dbapi_cursor: Any) -> None:
        """Ends the result."""
        self._inner.hard_close(result, dbapi_cursor)

    def handle_exception(self, result: Any, dbapi_cursor: Any, err: BaseException) -> Any:
        """As the inner strategy."""
        self._inner.handle_exception(result, dbapi_cursor, err)
