"""Names on their way into DDL, which takes no bound parameters: read strictly, written quoted.

A name is spelt as the database spells it: ``project``, ``Project`` and ``billing.invoice`` are taken as they are.
A name with anything but letters, digits, ``_`` and ``$`` is written in double quotes, as in SQL: ``app."odd name"``.
Whatever else stands in a name is refused; nothing is repaired.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ...core.errors import UsageError

__all__ = ["bare", "derived", "literal", "qualified", "quoted", "setting_name", "spelt", "split", "table", "type_name"]

_LONGEST: Final = 63  # octets; PostgreSQL cuts longer names, and two cut names may be one
_PLAIN: Final = re.compile(r"[^\W\d][\w$]*")
_PART: Final = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')
_SETTING: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)+")
_TEXT: Final = frozenset(("text", "varchar", "character varying", "char", "character", "bpchar"))
_BUILT_IN: Final = frozenset(("uuid", "smallint", "integer", "int", "bigint", "numeric"))


def quoted(name: str) -> str:
    """One name, read as `split` reads it, in double quotes.

    Raises:
        UsageError: as `split`, or a name of several parts.
    """
    return _quoted(bare(name))


def bare(name: str) -> str:
    """One name without its quotes."""
    parts = split(name)
    if len(parts) > 1:
        raise UsageError("a name of several parts", hint="the name alone; in double quotes if a dot belongs to it")
    return parts[0]


def spelt(part: str) -> str:
    """One part as `split` reads it: quoted where it must be."""
    return part if _PLAIN.fullmatch(part) else _quoted(part)


def _quoted(part: str) -> str:
    return '"' + part.replace('"', '""') + '"'


def split(name: str) -> tuple[str, ...]:
    """The parts of ``schema.table``, without their quotes.

    Raises:
        UsageError: empty, too long, or a character that wants quotes.
    """
    parts: list[str] = []
    place = 0
    if not isinstance(name, str) or not name:
        raise UsageError("a name is empty", hint="the name as the database spells it")
    while True:
        found = _PART.match(name, place)
        if found is None or (found[2] is not None and not _PLAIN.fullmatch(found[2])):
            raise UsageError("not a name", hint="""letters, digits and _; or in double quotes: 'app."odd name"'""")
        parts.append(_checked(found[2] or found[1].replace('""', '"')))
        place = found.end()
        if place == len(name):
            return tuple(parts)
        if name[place] != ".":
            raise UsageError("not a name", hint="quote each part by itself: 'app.\"odd name\"'")
        place += 1


def _checked(part: str) -> str:
    if "\0" in part or len(part.encode("utf-8", "surrogatepass")) > _LONGEST:
        raise UsageError(f"a name holds a NUL or more than {_LONGEST} octets", hint="PostgreSQL would cut it")
    return part


def qualified(name: str, schema: str | None = None) -> str:
    """A table with its schema, quoted; `schema` is for a name that brings none."""
    parts = split(name)
    if schema is not None and len(parts) == 1:
        parts = (bare(schema), *parts)
    if len(parts) > 2:
        raise UsageError("more parts than schema and table", hint="name the schema once")
    return ".".join(map(_quoted, parts))


def table(name: str) -> str:
    """A table without its schema, quoted."""
    return _quoted(split(name)[-1])


def literal(text: str) -> str:
    """A string constant."""
    return "'" + text.replace("'", "''") + "'"


def setting_name(name: str) -> str:
    """A setting's name as a string constant; own settings have a prefix and a dot."""
    if not isinstance(name, str) or not _SETTING.fullmatch(name):
        raise UsageError("not the name of a custom setting", hint="prefix.name, such as wst.tenant")
    return literal(name)


def type_name(name: str | None) -> str | None:
    """The type a setting is cast to; None where text needs no cast."""
    if name is None or name in _TEXT:
        return None
    return name if name in _BUILT_IN else ".".join(map(_quoted, split(name)))


def derived(names: Sequence[str], suffix: str) -> str:
    """A quoted name made of others, as PostgreSQL makes them; cut where it would be too long."""
    stem = "_".join(split(name)[-1] for name in names).encode()[: _LONGEST - len(suffix) - 1]
    return _quoted(f"{stem.decode(errors='ignore')}_{suffix}")
