"""Conditions, read: a subset of CEL (cel-spec, langdef) with its types checked while it is parsed.

::

    or    := and ("||" and)*
    and   := rel ("&&" rel)*
    rel   := unary (("==" | "!=" | "<" | "<=" | ">" | ">=" | "in") unary)*
    unary := "!"* ( "-" int | atom )
    atom  := int | string | true | false | list | has "(" attr ")" | attr | "(" or ")"
    attr  := ("principal" | "resource" | "context") "." name
    list  := "[" literal ("," literal)* "]"

No arithmetic, calls, indexing, patterns, macros or comments: what is left can be compared, turned into SQL and tried
out on every assignment. Sizes are capped before anything is parsed, so that a hostile text costs microseconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Final, NoReturn

from ..core.errors import PolicyError
from .logic import All, Attribute, Constant, Either, Equal, Flag, Has, Less, Member, Node, Operand, Truth, negated
from .schema import ROOTS, Schema, resembling

__all__ = ["MAX_DEPTH", "MAX_TEXT", "parse"]

MAX_TEXT: Final = 4096
MAX_DEPTH: Final = 32
MAX_WEIGHT: Final = 2048  # atoms once equality of booleans is spelt out, which doubles them at each level
_MAX_INT: Final = 2**63 - 1  # CEL's int

_TOKEN: Final = re.compile(
    r"""[ \t\r\n]*(?:
      (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<int>[0-9]+(?![A-Za-z0-9_.]))
    | (?P<string>"(?:[^"\\\r\n]|\\.)*"|'(?:[^'\\\r\n]|\\.)*')
    | (?P<sign>\|\||&&|[=!<>]=|[<>!()\[\],.-])
    | (?P<end>\Z)
    )""",
    re.VERBOSE,
)
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_ESCAPES: Final = {"\\": "\\", '"': '"', "'": "'", "n": "\n", "r": "\r", "t": "\t"}
_ORDERS: Final = frozenset(("<", "<=", ">", ">="))
_RELATIONS: Final = frozenset(("==", "!=", "in")) | _ORDERS
_KEYWORDS: Final = frozenset((*ROOTS, "has", "true", "false", "in"))


def parse(text: str, schema: Schema, place: str) -> Node:
    """The condition as a normalised tree.

    Args:
        place: path in the document, for the error.

    Raises:
        PolicyError: a syntax error, an undeclared name, a clash of types, or more than the caps allow.
    """
    if len(text) > MAX_TEXT:
        raise PolicyError(f"{place}: longer than {MAX_TEXT} characters", hint="split it into several rules")
    reader = _Reader(text, schema, place)
    term = reader.disjunction(0)
    if reader.kind != "end":
        reader.unexpected()
    return reader.condition(term).node


@dataclass(frozen=True, slots=True)
class _Condition:
    """A part that is bool."""

    type: ClassVar[str] = "bool"

    node: Node
    weight: int = 1


@dataclass(frozen=True, slots=True)
class _Value:
    """A part that is a string, an int or a list; `type` of a literal list is ``list of`` its items."""

    operand: Operand
    type: str


_Term = _Condition | _Value


class _Reader:
    """One pass over one condition: a token ahead, no way back."""

    __slots__ = ("_at", "_next", "_place", "_schema", "_text", "kind", "token")

    def __init__(self, text: str, schema: Schema, place: str) -> None:
        self._text: str = text
        self._schema: Schema = schema
        self._place: str = place
        self._at: int = 0
        self._next: int = 0
        self.kind: str = ""
        self.token: str = ""
        self._advance()

    # --- tokens ------------------------------------------------------------------------------------------------------

    def _advance(self) -> str:
        """Steps to the next token and returns the one left behind."""
        left = self.token
        match = _TOKEN.match(self._text, self._next)
        if match is None:
            self._at = self._next
            self.fail("not part of the language", "strings are quoted and closed; operators are && || ! == != < in")
        self.kind = match.lastgroup or ""
        self.token = match[self.kind]
        self._at, self._next = match.start(self.kind), match.end()
        return left

    def _take(self, sign: str) -> None:
        if self.token != sign or self.kind not in ("sign", "name"):
            self.unexpected(f"{sign!r} is missing")
        self._advance()

    def _is(self, *signs: str) -> bool:
        return self.kind in ("sign", "name") and self.token in signs

    def fail(self, what: str, hint: str = "") -> NoReturn:
        """Refuses, with the place of the current token."""
        raise PolicyError(f"{self._place}: {what}, at character {self._at + 1}", hint=hint)

    def unexpected(self, hint: str = "see the grammar of conditions: no calls, arithmetic or indexing") -> NoReturn:
        """Refuses the current token."""
        self.fail("ends too early" if self.kind == "end" else f"unexpected {self.token[:40]!r}", hint)

    # --- grammar -----------------------------------------------------------------------------------------------------

    def disjunction(self, depth: int) -> _Term:
        """``or`` of the grammar."""
        first = self._conjunction(depth)
        if not self._is("||"):
            return first
        parts = [self.condition(first)]
        while self._is("||"):
            self._advance()
            parts.append(self.condition(self._conjunction(depth)))
        return self._weigh(Either(tuple(part.node for part in parts)), sum(part.weight for part in parts))

    def _conjunction(self, depth: int) -> _Term:
        first = self._relation(depth)
        if not self._is("&&"):
            return first
        parts = [self.condition(first)]
        while self._is("&&"):
            self._advance()
            parts.append(self.condition(self._relation(depth)))
        return self._weigh(All(tuple(part.node for part in parts)), sum(part.weight for part in parts))

    def _relation(self, depth: int) -> _Term:
        left = self._unary(depth)
        while self._is(*_RELATIONS):
            depth += 1  # a chain nests to the left
            sign = self._advance()
            left = self._related(sign, left, self._unary(depth))
        return left

    def _unary(self, depth: int) -> _Term:
        odd = False
        outer = depth
        while self._is("!"):
            self._advance()
            depth += 1
            self._limit(depth)
            odd = not odd
        self._limit(depth)
        if self._is("-"):
            self._advance()
            if self.kind != "int":
                self.unexpected("only an integer literal may have a sign")
            term: _Term = self._integer(-1)
        else:
            term = self._atom(depth)
        if depth == outer:
            return term
        inner = self.condition(term)
        return _Condition(negated(inner.node), inner.weight) if odd else inner

    def _limit(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            self.fail(f"nested deeper than {MAX_DEPTH}", "split it into several rules")

    def _atom(self, depth: int) -> _Term:
        if self.kind == "int":
            return self._integer(1)
        if self.kind == "string":
            return self._string()
        if self._is("("):
            self._advance()
            inner = self.disjunction(depth + 1)
            self._take(")")
            return inner
        if self._is("["):
            return self._list()
        if self.kind != "name":
            self.unexpected()
        return self._named()

    def _named(self) -> _Term:
        if self._is("true", "false"):
            return _Condition(Truth(self._advance() == "true"))
        if self._is("has"):
            self._advance()
            self._take("(")
            attribute = self._attribute()
            self._take(")")
            return _Condition(Has(attribute))
        attribute = self._attribute()
        return _Condition(Flag(attribute)) if attribute.type == "bool" else _Value(attribute, attribute.type)

    def _attribute(self) -> Attribute:
        if self.kind != "name":
            self.unexpected("an attribute such as resource.owner_id is wanted")
        root = ROOTS.get(self.token)
        if root is None:
            self.fail(f"unknown name {self.token[:40]!r}", resembling(self.token, _KEYWORDS))
        self._advance()
        self._take(".")
        if self.kind != "name":
            self.unexpected()
        found = self._schema.attribute(root, self.token, self._place)
        self._advance()
        if self._is("."):
            self.unexpected("attributes are flat: one name after the dot")
        return found

    def _list(self) -> _Value:
        self._take("[")
        values, kinds = [], []
        while True:
            kind, value = self._literal()
            kinds.append(kind)
            values.append(value)
            if not self._is(","):
                break
            self._advance()
        if len(set(kinds)) > 1:
            self.fail("a list holds literals of one type")
        self._take("]")
        return _Value(Constant(tuple(sorted(set(values)))), f"list of {kinds[0]}")

    def _literal(self) -> tuple[str, str | int]:
        if self._is("true", "false"):
            return "bool", self._advance() == "true"
        negative = self._is("-")
        if negative:
            self._advance()
        if self.kind == "string" and not negative:
            value = self._string()
        elif self.kind == "int":
            value = self._integer(-1 if negative else 1)
        else:
            self.unexpected("a list holds literals only, at least one")
        assert isinstance(value.operand, Constant)
        assert not isinstance(value.operand.value, tuple)
        return value.type, value.operand.value

    def _integer(self, sign: int) -> _Value:
        digits = self.token.lstrip("0") or "0"
        number = sign * int(digits) if len(digits) < 20 else _MAX_INT + 2
        if not -_MAX_INT - 1 <= number <= _MAX_INT:
            self.fail("an integer of more than 64 bits")
        self._advance()
        return _Value(Constant(number), "int")

    def _string(self) -> _Value:
        value = _ESCAPE.sub(self._unescape, self.token[1:-1])
        self._advance()
        return _Value(Constant(value), "string")

    def _unescape(self, match: re.Match[str]) -> str:
        if match[1] is not None:
            code = int(match[1], 16)
            if 0xD800 <= code <= 0xDFFF:
                self.fail("a surrogate is no character", "write the character itself")
            return chr(code)
        if match[2] not in _ESCAPES:
            self.fail("unknown escape", r"known: \\ \" \' \n \r \t \uXXXX")
        return _ESCAPES[match[2]]

    # --- types -------------------------------------------------------------------------------------------------------

    def condition(self, term: _Term) -> _Condition:
        """`term` as a condition; refuses any other type."""
        if isinstance(term, _Condition):
            return term
        self.fail(f"a condition is wanted, this is {term.type}", "compare it with something")

    def _weigh(self, node: Node, weight: int) -> _Condition:
        if weight > MAX_WEIGHT:
            self.fail("too complex", "split it into several rules")
        return _Condition(node, weight)

    def _related(self, sign: str, left: _Term, right: _Term) -> _Condition:
        if sign == "in":
            return self._member(left, right)
        if left.type != right.type:
            self.fail(f"{left.type} compared with {right.type}", "both sides of a comparison have one type")
        if isinstance(left, _Condition) and isinstance(right, _Condition):
            if sign in _ORDERS:
                self.fail("booleans have no order", "order compares strings or integers")
            return self._weigh(*_same(left, right, unequal=sign == "!="))
        assert isinstance(left, _Value)
        assert isinstance(right, _Value)
        if left.type not in ("string", "int"):
            self.fail("lists are not compared", "use: value in list")
        return _Condition(_compared(sign, left.operand, right.operand))

    def _member(self, left: _Term, right: _Term) -> _Condition:
        wanted = "string" if right.type == "strings" else right.type.removeprefix("list of ")
        if isinstance(right, _Condition) or right.type in ("string", "int") or left.type != wanted:
            self.fail(f"{left.type} in {right.type}", "a string in strings, or a value in a list of its type")
        listed = right.operand.value if isinstance(right.operand, Constant) else None
        if isinstance(left, _Value):
            if isinstance(listed, tuple) and len(listed) == 1:
                return _Condition(_compared("==", left.operand, Constant(listed[0])))
            return _Condition(_folded(Member(left.operand, right.operand)))
        assert isinstance(listed, tuple)
        each = [_same(left, _Condition(Truth(bool(item)))) for item in listed]
        return self._weigh(Either(tuple(node for node, _ in each)), sum(weight for _, weight in each))


def _same(left: _Condition, right: _Condition, *, unequal: bool = False) -> tuple[Node, int]:
    """Equality of booleans, in connectives; a constant on either side leaves the other one."""
    for constant, other in ((right, left), (left, right)):
        if isinstance(constant.node, Truth):
            node = other.node if constant.node.value is not unequal else negated(other.node)
            return node, other.weight
    both, neither = All((left.node, right.node)), All((negated(left.node), negated(right.node)))
    found = Either((both, neither))
    return negated(found) if unequal else found, 2 * (left.weight + right.weight)


def _compared(sign: str, left: Operand, right: Operand) -> Node:
    """One of the two comparisons that exist, negated or turned round as `sign` wants."""
    if sign in ("==", "!="):
        first, second = sorted((left, right), key=_order)
        node = _folded(Equal(first, second))
        return node if sign == "==" else negated(node)
    if sign in (">", "<="):
        left, right = right, left
    node = _folded(Less(left, right))
    return node if sign in ("<", ">") else negated(node)


def _order(operand: Operand) -> tuple[bool, str]:
    return isinstance(operand, Constant), str(operand)


def _folded(atom: Equal | Less | Member) -> Node:
    """A comparison of two literals is decided here and now."""
    if not (isinstance(atom.left, Constant) and isinstance(atom.right, Constant)):
        return atom
    left, right = atom.left.value, atom.right.value
    if isinstance(atom, Equal):
        return Truth(left == right)
    if isinstance(atom, Less):
        return Truth(left < right)  # type: ignore[operator]  # one type, by the caller's check
    return Truth(left in right)  # type: ignore[operator]  # a list, by the caller's check
