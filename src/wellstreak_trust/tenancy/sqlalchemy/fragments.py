"""Pieces of SQL text inside statements: which of them could read or widen more than the statement does.

``order_by(text("name desc"))`` and ``literal_column("1")`` are everyday code; ``select(text("* from project"))`` is a
read that no condition covers. A fragment is harmless when it can neither open a query of its own, nor end the clause
it stands in. So it is refused when it has

* a word that starts or joins a query (SELECT, UNION, JOIN, TABLE, ...),
* FROM outside brackets (``extract(year from x)`` is fine, so is ``is distinct from``),
* a bracket that closes what it did not open, a comment, a semicolon, or a way of quoting that is not plain.

Where a fragment ends a statement (suffixes, hints) OR and AND are refused too: after the conditions they would widen
them. Inside WHERE and ON the compiler puts brackets around what holds text. Functions that run SQL given as text are
refused by name.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["PLAIN", "RUNS_SQL", "harmful", "harmful_definition"]

_QUOTED: Final = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`""")
_BRACKETED: Final = re.compile(_QUOTED.pattern + r"|\[[^\]]*\]")
_BRACKETS: Final = frozenset(("sqlite", "mssql"))  # [a name]
_HASHES: Final = frozenset(("mysql", "mariadb"))  # a comment after #, and \' inside texts
_TOKEN: Final = re.compile(r"--|/\*|[A-Za-z_][A-Za-z0-9_$]*|[();'\"`$]")
_ESCAPED: Final = re.compile(r"\b(?:[eE]'|[uU]&['\"])")  # what its backslashes mean is not what we read
_QUERIES: Final = frozenset(("select", "union", "intersect", "except", "table", "join", "into", "values", "returning"))
_WIDENING: Final = frozenset(("or", "and", "xor", "is", "in", "not", "like", "between"))

RUNS_SQL: Final = re.compile(
    r"query_to_xml\w*|table_to_xml\w*|cursor_to_xml\w*|schema_to_xml\w*|database_to_xml\w*|dblink\w*|crosstab\w*"
    r"|connectby|ts_stat|ts_rewrite|set_config|load_extension|readfile|writefile|fts3_tokenizer"
    r"|lo_(?:get|put|export|import|open|unlink)|loread|lowrite|pg_read\w*|pg_ls_\w*|pg_stat_file|pg_logical\w*"
)
"""Names of functions that run SQL given as text, read files or large objects, or change settings."""

PLAIN: Final = re.compile(r"[^\W\d][\w$]*(?:\.[^\W\d][\w$]*)*|__\[SCHEMA_(?:[\w$.]|-(?!-))*\]")
"""A name, or names with dots between, that hold nothing but names; and what SQLAlchemy puts for a translated schema."""

# What a definition may be of. Views hold queries; triggers, rules and routines hold statements that run later.
_DEFINITION: Final = re.compile(
    r"(?:create (?:(?:unique|temp|temporary|unlogged|foreign|global|local|virtual|fulltext|spatial|clustered) )*"
    r"(?:table|index|schema|sequence|type|domain|extension|collation|database|tablespace|role|user|policy)"
    r"|alter|drop|comment|grant|revoke|reindex|analyze)\b"
)
_RUNS: Final = re.compile(r"\b(?:select|as[\s(]+(?:table|values|execute|with))\b")


def harmful_definition(definition: str, dialect: str = "") -> str | None:
    """What makes the text of a definition more than one: a query, a second statement, or code that runs later.

    None for one that only defines. GRANT names the privilege SELECT.
    """
    plain = _plain(definition, dialect).lower()
    sign = re.search(r"--|/\*|['\"`$]|;(?!\s*\Z)", plain)
    if sign is not None:
        return sign[0]
    words = " ".join(plain.split())
    if _DEFINITION.match(words) is None:
        return " ".join(words.split(" ")[:2])
    query = _RUNS.search(words) if not words.startswith(("grant ", "revoke ")) else None
    if query is not None:
        return query[0]
    return next((name for name in re.findall(r"(\w+) ?\(", words) if RUNS_SQL.fullmatch(name)), None)


def _plain(fragment: str, dialect: str) -> str:
    """Without what is quoted, except names of functions that run SQL, and "`" for what cannot be told."""
    if _ESCAPED.search(fragment) or (dialect in _HASHES and "\\" in fragment):
        return "`"
    quoted = _BRACKETED if dialect in _BRACKETS else _QUOTED
    plain = quoted.sub(lambda found: name if RUNS_SQL.fullmatch(name := found[0][1:-1].lower()) else " ", fragment)
    return "`" if dialect in _HASHES and "#" in plain else plain


def harmful(fragment: str, dialect: str = "", *, ends_statement: bool = False) -> str | None:
    """The word that makes a fragment harmful, or None.

    Args:
        dialect: whose ways of quoting are read.
        ends_statement: whether it stands behind the conditions.
    """
    depth, before = 0, ""
    token: str
    for token in _TOKEN.findall(_plain(fragment, dialect)):
        word = token.lower()
        if word == "(":
            depth += 1
        elif word == ")":
            depth -= 1
        fatal = word in ("--", "/*", ";", "'", '"', "`", "$") or word in _QUERIES or depth < 0
        if fatal or (word == "from" and depth == 0 and before != "distinct"):
            return token
        if (ends_statement and word in _WIDENING) or (before and word == "(" and RUNS_SQL.fullmatch(before)):
            return token if word != "(" else before
        before = word
    return "(" if depth else None
