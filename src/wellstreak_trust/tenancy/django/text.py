"""What a piece of SQL text reads from: enough of a reader to tell harmless text from text that nobody has scoped.

The text is cut into words, names, literals and punctuation, comments dropped. A *relation* is a name that stands where
SQL takes a table: after FROM, JOIN, INTO, UPDATE, TABLE and their like, and after a comma in a FROM list. ``extract(x
FROM y)`` has no SELECT at its depth and is none; ``IS DISTINCT FROM`` is none either.

A whole statement is refused when it

* names a tenant table, or a relation that no model describes (it may be a view of one; PostgreSQL's and SQLite's own
  catalogs are known);
* runs text that is not there to be read: DO, EXECUTE, CALL, functions that run SQL or dump tables, a literal that
  itself reads from a tenant table;
* speaks of the settings that row level security reads.

A fragment (`RawSQL`, ``extra(where=...)``) is refused for the same, and when it could close a parenthesis that it did
not open.

A statement that a compiler made names tenant tables by right: those that the compiler restricted. Any more of them, or
one less, was named or hidden by text of the host's: a template, an expression or a lookup that writes its own SQL, a
field's placeholder. So its text is read too, with what inner compilers have made cut out, and must name as many tenant
tables as the compiler knows of. What was read once is remembered by its text, so this costs one look-up a statement.

It is a net for a host's own text, not a judge of hostile SQL: whoever can inject SQL meets row level security, or
nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from .config import CONFIG
from .registry import known_tables, tables, version

__all__ = ["breaks_out", "complaint", "fragment_complaint", "statement_complaint"]

_TOKEN: Final = re.compile(
    r"""(?P<skip>\s+|--[^\n]*|/\*.*?(?:\*/|\Z))
      | (?P<text>\$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z) | [eE]'(?:[^'\\]|''|\\.)*(?:'|\Z)
          | (?:[nNxXbB]|[uU]&)?'(?:[^']|'')*(?:'|\Z))
      | (?P<name>(?:[uU]&)?"(?:[^"]|"")*(?:"|\Z) | `[^`]*(?:`|\Z) | \[[A-Za-z_][\w ]*\])
      | (?P<word>%\(\w+\)s | %s | [^\W\d][\w$]*)
      | (?P<mark>.)""",
    re.VERBOSE | re.DOTALL,
)

# After these words stands a relation; after FROM and USING, a list of them.
_BEFORE_RELATION: Final = frozenset("from join into update table using truncate copy lock only lateral".split())
_LISTS: Final = frozenset(("from", "using", "table", "truncate"))
_END_OF_LIST: Final = frozenset(
    "where group order having limit offset union intersect except window returning set values on fetch for"
    " select".split()
)
_NOT_A_RELATION: Final = frozenset("select values of if not exists only lateral skip nowait set concurrently".split())
_OPAQUE: Final = frozenset("do execute call prepare handler load attach import".split())
_RUNS_TEXT: Final = re.compile(
    r"(?:query|table|cursor|schema|database)_to_xml\w*|dblink\w*|lo_\w+|pg_read\w*|pg_ls\w*|load_extension|ts_stat"
    r"|set_config|crosstab\w*|xpath_table|readfile|edit|fts3_tokenizer"
)
_BUILT_IN: Final = re.compile(
    r"pg_\w+|sqlite_\w+|pragma_\w+|json_each|json_tree|jsonb?_each(?:_text)?|jsonb?_array_elements(?:_text)?"
    r"|jsonb?_to_record(?:set)?|jsonb?_object_keys|generate_series|generate_subscripts|unnest|dual"
    r"|regexp_split_to_table|string_to_table|current_date|now|information_schema"
)
_SAVEPOINT: Final = re.compile(r'(?:SAVEPOINT|RELEASE SAVEPOINT|ROLLBACK TO SAVEPOINT) "?\w+"?')
_NEW_AND_EMPTY: Final = frozenset("table index unique sequence temporary temp".split())


_MANY: Final = re.compile(r"%s(?:, ?%s)+")
_ROWS: Final = re.compile(r"\((?:%s)?\)(?:, ?\((?:%s)?\))+")
_KEPT: Final = 2048
_VERDICTS: Final[dict[Any, str]] = {}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str  # words in lower case, names without quotes, literals without theirs


def complaint(sql: str) -> str:
    """Why a whole statement must not run unscoped, in words that follow "SQL"; empty where it may."""
    if _SAVEPOINT.fullmatch(sql):
        return ""  # each has a name of its own: not worth remembering
    return _complaint(sql, _known(), fragment=False)


def fragment_complaint(sql: str) -> str:
    """The same of a piece of a statement that a compiler made."""
    return _complaint(sql, _known(), fragment=True)


def statement_complaint(sql: str, named: tuple[str, ...], pieces: list[str]) -> str:
    """The same of a statement that a compiler made.

    Args:
        named: the tenant tables that it names by right, in any order, each as often as it stands there.
        pieces: what inner compilers made of it.
    """
    key = (sql, named, len(pieces), version(), CONFIG.shared_tables, CONFIG.shared_models)
    found = _VERDICTS.get(key)
    if found is None:
        found = _statement_complaint(sql, named, pieces)
        if len(_VERDICTS) >= _KEPT:
            _VERDICTS.clear()
        if len(sql) < _KEPT:
            _VERDICTS[key] = found
    return found


def _statement_complaint(sql: str, named: Iterable[str], pieces: Iterable[str]) -> str:
    for piece in sorted(set(pieces), key=len, reverse=True):  # a longer one may hold a shorter one
        sql = sql.replace(piece, "SELECT")
    return _residue_complaint(_shortened(sql), tuple(sorted(named)), _known())


@lru_cache(maxsize=_KEPT)
def _residue_complaint(sql: str, named: tuple[str, ...], known: object) -> str:
    tokens = list(_tokens(sql))
    if not _closed(tokens, sql):
        return "holds a comment, a second statement or a parenthesis too many"
    found = _text_complaint(tokens)
    if found:
        return found
    owned, theirs = Counter(name for name in _relations(tokens) if name in tables()), Counter(named)
    for name in (owned - theirs) + (theirs - owned):
        return f"names the tenant table {name} where the guard does not restrict it"
    return _unknown_complaint(tokens)


def breaks_out(condition: str) -> bool:
    """Whether a condition could close a parenthesis around it, or hide what comes after it."""
    return _breaks_out(_shortened(condition) if len(condition) > _KEPT else condition)


@lru_cache(maxsize=_KEPT)
def _breaks_out(condition: str) -> bool:
    return not _closed(list(_tokens(condition)), condition)


def _shortened(sql: str) -> str:
    """Lists of parameters say nothing, and are of any length."""
    return _ROWS.sub("(%s)", _MANY.sub("%s", sql))


def _known() -> object:
    return version(), CONFIG.shared_tables, CONFIG.shared_models


@lru_cache(maxsize=512)
def _complaint(sql: str, known: object, *, fragment: bool) -> str:
    """`known` only makes the cache forget when models or settings change."""
    tokens = list(_tokens(sql))
    words = [token.text for token in tokens if token.kind == "word"]
    if fragment and not _closed(tokens, sql):
        return "closes a parenthesis that it did not open"
    if words and words[0] in _OPAQUE:
        return f"begins with {words[0].upper()}"
    if len(words) > 1 and words[0] == "create" and words[1] in _NEW_AND_EMPTY and "select" not in words:
        return ""
    return _text_complaint(tokens) or _relation_complaint(tokens)


def _text_complaint(tokens: list[_Token]) -> str:
    for index, token in enumerate(tokens):
        following = tokens[index + 1].text if index + 1 < len(tokens) else ""
        if token.kind in {"word", "name"} and following == "(" and _RUNS_TEXT.fullmatch(token.text):
            return f"calls {token.text}"
        if token.kind != "mark" and _speaks_of_settings(token.text):
            return "speaks of the settings that row level security reads"
        if token.kind == "text" and any(name in tables() for name in _relations(list(_tokens(token.text)))):
            return "holds a text that reads from a tenant table"
    return ""


def _relation_complaint(tokens: list[_Token]) -> str:
    for name in _relations(tokens):
        if name in tables():
            return f"reads or writes the tenant table {name}"
    return _unknown_complaint(tokens)


def _unknown_complaint(tokens: list[_Token]) -> str:
    local, shared = _local_names(tokens), known_tables() | CONFIG.shared_tables | tables().keys()
    for name in _relations(tokens):
        if name not in local and name not in shared and not _BUILT_IN.fullmatch(name):
            return f"names {name}, which no model describes as shared (see WELLSTREAK_SHARED_TABLES)"
    return ""


def _speaks_of_settings(text: str) -> bool:
    return text.startswith("wst.") or text == "wst"


def _tokens(sql: str) -> Iterator[_Token]:
    for found in _TOKEN.finditer(sql):
        kind, text = found.lastgroup or "", found[0]
        if kind == "tag":
            kind = "text"
        if kind == "word":
            yield _Token("word", text.lower())
        elif kind == "name":
            yield _Token("name", text.strip('"`[]').lower() if text[:2].lower() != "u&" else text)
        elif kind == "text":
            yield _Token("text", _inside(text))
        elif kind == "mark":
            yield _Token("mark", text)


def _inside(literal: str) -> str:
    if literal.startswith("$"):
        return literal.split("$", 2)[-1].rsplit("$", 2)[0]
    return literal.partition("'")[2].removesuffix("'").replace("''", "'")


def _closed(tokens: list[_Token], sql: str) -> bool:
    depth = 0
    for token in tokens:
        if token.kind == "mark":
            depth += {"(": 1, ")": -1}.get(token.text, 0)
            if depth < 0 or token.text == ";":
                return False
    return depth == 0 and not re.search(r"--|/\*", sql)


def _relations(tokens: list[_Token]) -> Iterator[str]:
    """Names where SQL takes a table; of a dotted name the last part, of a catalog's the first."""
    depth, selects, listing = 0, {0: False}, {0: False}
    expected = False
    index = 0
    while index < len(tokens):
        token = tokens[index]
        if token.kind == "mark":
            if token.text == "(":
                depth += 1
                selects[depth], listing[depth] = False, listing[depth - 1] and expected
                index += 1
                continue  # FROM (a JOIN b): the parenthesis keeps what is expected
            if token.text == ")":
                depth = max(0, depth - 1)
                expected = False
            else:
                expected = token.text == "," and listing.get(depth, False)
        elif token.kind == "word" and token.text in _END_OF_LIST:
            listing[depth] = False
            expected = False
            selects[depth] = selects[depth] or token.text == "select"
        elif token.kind == "word" and token.text in _BEFORE_RELATION and not _is_operator(tokens, index):
            if token.text == "from" and depth and not selects[depth] and not _deletes(tokens, index):
                expected = False  # extract(x FROM y)
            else:
                expected = True
                listing[depth] = listing[depth] or token.text in _LISTS
        elif token.kind == "word" and token.text in {"delete", "merge", "insert"}:
            selects[depth] = True
        elif expected and not (token.kind == "word" and token.text in _NOT_A_RELATION):
            name, index = _dotted(tokens, index)
            yield name if token.kind != "text" else name.lower()  # SQLite takes a string for a table's name
            expected = False
        index += 1


def _deletes(tokens: list[_Token], index: int) -> bool:
    return index > 0 and tokens[index - 1].text == "delete"


def _is_operator(tokens: list[_Token], index: int) -> bool:
    """``IS [NOT] DISTINCT FROM``, ``FOR UPDATE``, ``DO UPDATE``, ``ON UPDATE``: no relation follows."""
    before = tokens[index - 1].text if index else ""
    earlier = tokens[index - 2].text if index > 1 else ""
    return (before == "distinct" and earlier in {"is", "not"}) or (
        tokens[index].text == "update" and before in {"for", "do", "on", "key"}
    )


def _dotted(tokens: list[_Token], index: int) -> tuple[str, int]:
    parts = [tokens[index].text]
    while index + 2 < len(tokens) and tokens[index + 1].text == "." and tokens[index + 2].kind != "mark":
        index += 2
        parts.append(tokens[index].text)
    catalog = parts[0] in {"information_schema", "pg_catalog"}
    return (parts[0] if catalog else parts[-1]), index


def _local_names(tokens: list[_Token]) -> set[str]:
    """Names that the statement makes itself: ``WITH name [(columns)] AS [[NOT] MATERIALIZED] (``."""
    if not any(token.text == "with" for token in tokens):
        return set()
    names: set[str] = set()
    for index, token in enumerate(tokens[1:], 1):
        if token.kind == "word" and token.text == "as":
            before = index - 1
            if tokens[before].text == ")":
                while before > 0 and tokens[before].text != "(":
                    before -= 1
                before -= 1
            follows = [each.text for each in tokens[index + 1 : index + 4] if each.text not in {"not", "materialized"}]
            if follows[:1] == ["("] and tokens[before].kind != "mark":
                names.add(tokens[before].text)
    return names
