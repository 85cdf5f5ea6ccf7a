"""Reading a query.

::

    query     = [ term *( 1*space term ) ]
    term      = [ "-" ] key ":" value
    key       = name *( "." step )                 ; a path only behind names that have one
    value     = quoted | comparison | range | word
    quoted    = '"' *( character | '\\"' | '\\\\' ) '"'    ; never a pattern, never a range
    comparison = ( ">=" | ">" | "<=" | "<" ) word   ; of times and numbers
    range     = ( word | "*" ) ".." ( word | "*" )  ; both ends included
    word      = 1*( any character but space and '"' )    ; "*" stands for any run of characters

Terms of one key are alternatives and keys narrow each other; comparisons of one key narrow each other too; a term
with ``-`` excludes. A time of less precision is the whole of it: ``created:2026-11-24`` is that day, in UTC.

A value is never anything but a value: it is compared with the fields of an event or bound as a parameter. There is no
bare word, because a search through all texts would read every leaf. All caps are checked before anything is matched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from ...core.clock import to_micros
from ...core.errors import AuditQueryInvalid
from .fields import QUALIFIERS, Qualifier
from .model import Clause, Glob, Query, Span, Test

__all__ = ["MAX_CHARACTERS", "MAX_STARS", "MAX_STEPS", "MAX_TERMS", "parse"]

MAX_CHARACTERS: Final = 2_000
MAX_TERMS: Final = 50
MAX_STARS: Final = 8  # in one value
MAX_STEPS: Final = 15  # an event is at most 16 levels deep

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_KEY: Final = re.compile(r"[A-Za-z0-9_.-]+")
_WORD: Final = re.compile(r'[^ \t\r\n"]+')
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_FORBIDDEN: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_COMPARED: Final = re.compile(r"(>=|>|<=|<)(.*)", re.DOTALL)
_NUMBER: Final = re.compile(r"-?[0-9]{1,16}")
_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?(Z|[+-]\d\d:\d\d)?)?)?", re.ASCII
)


class _Term(NamedTuple):
    key: str
    negated: bool
    value: str
    quoted: bool
    column: int  # of the value


def parse(text: str) -> Query:
    """The query of a text.

    Raises:
        AuditQueryInvalid: what the grammar does not allow; `column` points at it, and no message repeats a value.
    """
    if not isinstance(text, str):
        raise AuditQueryInvalid("a query is text", column=1)
    if len(text) > MAX_CHARACTERS:
        raise AuditQueryInvalid(f"more than {MAX_CHARACTERS} characters", column=MAX_CHARACTERS + 1)
    forbidden = _FORBIDDEN.search(text)
    if forbidden is not None:
        raise AuditQueryInvalid("a character that no field can hold", column=forbidden.start() + 1)
    positive: dict[str, tuple[list[Test], list[Span]]] = {}
    negative: list[Clause] = []
    for number, term in enumerate(_terms(text)):
        if number == MAX_TERMS:
            raise AuditQueryInvalid(f"more than {MAX_TERMS} terms", column=term.column)
        name, path = _key(term)
        test, compared = _test(QUALIFIERS[name], term)
        if term.negated:
            negative.append(Clause(name, path, (test,), negated=True))
        else:
            tests, bounds = positive.setdefault(term.key, ([], []))
            (bounds if compared else tests).append(test)  # type: ignore[arg-type]  # what is compared is a Span
    clauses = [Clause(*_split(key), tuple(tests), tuple(bounds)) for key, (tests, bounds) in positive.items()]
    return Query((*clauses, *negative))


# --- terms -----------------------------------------------------------------------------------------------------------


def _terms(text: str) -> Iterator[_Term]:
    at = _end(_SPACE, text, 0)
    while at < len(text):
        negated = text[at] == "-"
        start = at + negated
        key = _KEY.match(text, start)
        if key is None:
            raise AuditQueryInvalid("a key is missing", column=start + 1, hint="actor:user_1 -outcome:success")
        at = key.end()
        if text[at : at + 1] != ":":
            raise AuditQueryInvalid(
                "a word without a key",
                column=start + 1,
                hint="name where to look, as in action:member.* or target:int_3",
            )
        value = _value(text, at + 1)
        yield _Term(key.group(), negated, value.text, value.quoted, at + 2)
        at = _end(_SPACE, text, value.end)
        if at == value.end and at < len(text):
            raise AuditQueryInvalid("a space is missing between terms", column=at + 1)


class _Value(NamedTuple):
    text: str
    quoted: bool
    end: int


def _value(text: str, at: int) -> _Value:
    if text[at : at + 1] == '"':
        quoted = _QUOTED.match(text, at)
        if quoted is None:
            raise AuditQueryInvalid(
                "a quotation that is not closed", column=at + 1, hint='inside quotes only \\" and \\\\ are escapes'
            )
        return _Value(re.sub(r'\\(["\\])', r"\1", quoted.group(1)), True, quoted.end())
    word = _WORD.match(text, at)
    if word is None:
        raise AuditQueryInvalid("a value is missing", column=at + 1, hint='an empty text is ""')
    return _Value(word.group(), False, word.end())


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return at if found is None else found.end()


def _split(key: str) -> tuple[str, tuple[str, ...]]:
    name, *path = key.split(".")
    return name, tuple(path)


def _key(term: _Term) -> tuple[str, tuple[str, ...]]:
    name, path = _split(term.key)
    column = term.column - len(term.key) - 1
    found = QUALIFIERS.get(name)
    if found is None:
        from difflib import get_close_matches  # here, because only a mistake needs it

        near = get_close_matches(name, QUALIFIERS, 1)
        raise AuditQueryInvalid(
            "an unknown key",
            column=column,
            hint=f"did you mean {near[0]}?" if near else f"one of {', '.join(QUALIFIERS)}",
        )
    if found.has_path is not bool(path) or not all(path):
        wanted = "names a field, as in " if found.has_path else "has no fields: "
        raise AuditQueryInvalid(f"{name} {wanted}{found.example}", column=column)
    if len(path) > MAX_STEPS:
        raise AuditQueryInvalid(f"a path of more than {MAX_STEPS} steps", column=column)
    return name, path


# --- values ----------------------------------------------------------------------------------------------------------


def _test(qualifier: Qualifier, term: _Term) -> tuple[Test, bool]:
    """The test of a term, and whether it is a comparison."""
    if qualifier.choices:
        if term.value not in qualifier.choices:
            raise AuditQueryInvalid(
                "not one of its values", column=term.column, hint=f"one of {', '.join(qualifier.choices)}"
            )
        return Glob((term.value,)), False
    if qualifier.kind in ("time", "number"):
        return _ordered(qualifier, term)
    if qualifier.kind == "value" and not term.quoted and _looks_numeric(term.value):
        return _ordered(qualifier, term)
    return _glob(term), False


def _glob(term: _Term) -> Glob:
    if term.quoted:
        return Glob((term.value,))
    parts = re.split(r"\*+", term.value)
    if len(parts) - 1 > MAX_STARS:
        raise AuditQueryInvalid(f"more than {MAX_STARS} stars in one value", column=term.column)
    return Glob(tuple(parts))


def _looks_numeric(text: str) -> bool:
    """A comparison or range of whole numbers; a single number is compared as text, which is the same."""
    compared = _COMPARED.fullmatch(text)
    if compared is not None:
        return _NUMBER.fullmatch(compared[2]) is not None
    ends = text.split("..")
    return len(ends) == 2 and ends != ["*", "*"] and all(end == "*" or _NUMBER.fullmatch(end) for end in ends)


def _ordered(qualifier: Qualifier, term: _Term) -> tuple[Span, bool]:
    read = _moment if qualifier.kind == "time" else _whole
    if term.quoted:
        raise AuditQueryInvalid("a time or number stands without quotes", column=term.column, hint=qualifier.example)
    compared = _COMPARED.fullmatch(term.value)
    if compared is not None:
        start, end = read(compared[2], term.column + len(compared[1]))
        spans = {">=": Span(start, None), ">": Span(end, None), "<": Span(None, start), "<=": Span(None, end)}
        return spans[compared[1]], True
    first, dots, last = term.value.partition("..")
    if not dots:
        return Span(*read(term.value, term.column)), False
    if first == last == "*":
        raise AuditQueryInvalid("a range needs an end", column=term.column, hint=qualifier.example)
    low = None if first == "*" else read(first, term.column)[0]
    high = None if last == "*" else read(last, term.column + len(first) + 2)[1]
    if low is not None and high is not None and low >= high:
        raise AuditQueryInvalid("a range that ends before it begins", column=term.column)
    return Span(low, high), False


def _whole(text: str, column: int) -> tuple[int, int]:
    if _NUMBER.fullmatch(text) is None:
        raise AuditQueryInvalid("not a whole number of at most 16 digits", column=column)
    return int(text), int(text) + 1


def _moment(text: str, column: int) -> tuple[int, int]:
    """The first microsecond that a time names, and the first one behind it."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise AuditQueryInvalid("not a time", column=column, hint="2026-11, 2026-11-24 or 2026-11-24T12:00:00Z")
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        start = datetime.fromisoformat(
            f"{year}-{month}-{day or '01'}T{hour or '00'}:{minute or '00'}:{second or '00'}"
            f".{(fraction or '0').ljust(6, '0')}{(zone or 'Z').replace('Z', '+00:00')}"
        ).astimezone(UTC)
        end = start + _length(start, day, hour, second, fraction)
    except (ValueError, OverflowError):
        raise AuditQueryInvalid("a time that no calendar has", column=column) from None
    return to_micros(start), to_micros(end)


def _length(start: datetime, day: str | None, hour: str | None, second: str | None, fraction: str | None) -> timedelta:
    if day is None:
        return (start.replace(day=1) + timedelta(days=32)).replace(day=1) - start
    if hour is None:
        return timedelta(days=1)
    if second is None:
        return timedelta(minutes=1)
    return timedelta(microseconds=10 ** (6 - len(fraction)) if fraction else 1_000_000)
