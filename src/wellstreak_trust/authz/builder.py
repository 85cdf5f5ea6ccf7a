"""Conditions written in Python: ``resource.owner_id == principal.id`` is the condition that reads so.

Names and literals are quoted by this module and not by the host, so that no value can end a string and go on as a
rule. What comes out is text of the one language (see `expression`), and the loader checks its types and names like
those of any other document: an expression means what its text means, and gives a policy the same digest.

Python's own `and`, `or`, `not`, `in` and chained comparisons cannot be overloaded. They would drop half of a condition
without a word, so they raise; ``&``, ``|``, ``~``, `is_in` and two comparisons say what they meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from ..core.errors import UsageError
from .expression import MAX_TEXT
from .spelling import literal

__all__ = ["Expression", "Names", "all_of", "any_of", "context", "has", "principal", "resource"]

_OR, _AND, _RELATION, _ATOM = range(4)  # how closely the outermost operator binds


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Expression:
    """A condition or a part of one, immutable, made from `principal`, `resource` and `context`; `str()` is its text.

    Operators: ``== != < <= > >=`` with an expression or a plain value, ``&`` and ``|`` and ``~`` for conditions.

    Raises:
        UsageError: an operand that no policy can hold, or more text than a condition may have.
    """

    text: str
    binds: int

    def __post_init__(self) -> None:
        if len(self.text) > MAX_TEXT:
            raise UsageError(f"a condition of more than {MAX_TEXT} characters", hint="split it into several rules")

    def __eq__(self, other: object) -> Expression:  # type: ignore[override]  # it writes the comparison down
        return self._related("==", other)

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]  # likewise
        return self._related("!=", other)

    def __lt__(self, other: object) -> Expression:
        return self._related("<", other)

    def __le__(self, other: object) -> Expression:
        return self._related("<=", other)

    def __gt__(self, other: object) -> Expression:
        return self._related(">", other)

    def __ge__(self, other: object) -> Expression:
        return self._related(">=", other)

    def is_in(self, items: Expression | Sequence[str | int] | AbstractSet[str | int]) -> Expression:
        """``in``: of an attribute that holds strings, or of plain values of one type."""
        return self._related("in", items)

    def __and__(self, other: Expression) -> Expression:
        return all_of(self, other)

    def __or__(self, other: Expression) -> Expression:
        return any_of(self, other)

    def __invert__(self) -> Expression:
        return Expression(f"!{_within(self, _ATOM)}", _ATOM)

    def __bool__(self) -> NoReturn:
        raise UsageError(
            "a condition has no truth value before a request",
            hint="write & | ~ or all_of(), any_of() in place of and, or, not; compare twice in place of a < b < c",
        )

    def __contains__(self, item: object) -> NoReturn:
        raise UsageError("`in` cannot be written down", hint="resource.state.is_in(['open', 'new'])")

    def __iter__(self) -> NoReturn:
        raise UsageError("an expression is no collection")

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<condition {self.text}>"

    def _related(self, sign: str, other: object) -> Expression:
        for side in (self, other):
            if isinstance(side, Expression) and side.binds < _RELATION:
                # Python reads `a == b & c` as `a == (b & c)`, and of booleans that would even load.
                raise UsageError(
                    f"a comparison with {side}", hint="put each comparison in parentheses: (a == b) & (c == d)"
                )
        right = _within(other, _ATOM) if isinstance(other, Expression) else _plain(other)
        return Expression(f"{_within(self, _ATOM)} {sign} {right}", _RELATION)


class Names:
    """The attributes of one root: ``resource.owner_id``. Whether they are declared is known when a policy loads."""

    __slots__ = ("_root",)

    def __init__(self, root: str) -> None:
        self._root: str = root

    def __getattr__(self, name: str) -> Expression:
        if name.startswith("_"):  # whatever looks for Python's own names must not find a condition
            raise AttributeError(name)
        return Expression(f"{self._root}.{name}", _ATOM)

    def __repr__(self) -> str:
        return f"<attributes of the {self._root}>"


principal: Final = Names("principal")
"""Who asks."""
resource: Final = Names("resource")
"""What is acted upon."""
context: Final = Names("context")
"""Facts about the request."""


def has(attribute: Expression) -> Expression:
    """Whether an attribute is there and of its type; the one question whose answer is never UNKNOWN."""
    return Expression(f"has({_condition(attribute).text})", _ATOM)


def all_of(*conditions: Expression) -> Expression:
    """``&&``: all of them; FALSE decides before UNKNOWN.

    Raises:
        UsageError: none, or something that is no expression.
    """
    return _joined(" && ", _AND, conditions)


def any_of(*conditions: Expression) -> Expression:
    """``||``: one of them; TRUE decides before UNKNOWN.

    Raises:
        UsageError: none, or something that is no expression.
    """
    return _joined(" || ", _OR, conditions)


def _joined(sign: str, binds: int, conditions: tuple[Expression, ...]) -> Expression:
    if not conditions:  # neither "always" nor "never" is a good guess
        raise UsageError("no condition is given", hint="leave `when` out for a rule without condition")
    if len(conditions) == 1:
        return _condition(conditions[0])
    return Expression(sign.join(_within(_condition(each), binds) for each in conditions), binds)


def _condition(value: object) -> Expression:
    if type(value) is not Expression:
        raise UsageError(f"{type(value).__name__} is no expression", hint="resource.owner_id == principal.id")
    return value


def _within(expression: Expression, binds: int) -> str:
    """The text, in parentheses where an operator that binds `binds` closely would tear it apart."""
    return expression.text if expression.binds >= binds else f"({expression.text})"


def _plain(value: Any) -> str:
    """A literal or a list of them; a set in the order of its values, so that its text is always the same."""
    if isinstance(value, set | frozenset):
        return f"[{', '.join(sorted(map(_plain, value)))}]"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_plain, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return literal(str.__str__(value))
    if isinstance(value, int):
        return literal(int.__int__(value))
    hint = "ask has() about what may be missing" if value is None else "text, an integer, a boolean or a list of them"
    raise UsageError(f"{type(value).__name__} is no value of a policy", hint=hint)
