"""Which attributes a condition may name, and their types."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, get_args

from ..core.errors import PolicyError
from .logic import Attribute, Root, Type

__all__ = ["CLASH", "Declared", "Schema", "declare", "merge", "resembling"]

Declared = Mapping[str, Type]

CLASH: Final = "clash"  # declared by several resource types, and not alike

PRINCIPAL: Final[Declared] = {
    "id": "string",
    "kind": "string",
    "tenant_id": "string",
    "roles": "strings",
    "aal": "int",
}
RESOURCE: Final[Declared] = {"id": "string", "type": "string", "tenant_id": "string"}
ROOTS: Final[Mapping[str, Root]] = {root: root for root in get_args(Root)}

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")  # no leading underscore: nothing of Python's own is reachable
_WORDS: Final = frozenset(("true", "false", "null", "in"))
_MAX_COMPARED: Final = 80


def resembling(word: object, known: Iterable[str]) -> str:
    """A hint with the nearest known name, or with the first few where nothing is near."""
    names = sorted(known)
    near = get_close_matches(word[:_MAX_COMPARED], names, n=1) if isinstance(word, str) else []
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}" if names else "none is declared"


def declare(attributes: Mapping[str, str], built_in: Declared, place: str) -> Declared:
    """Attribute types with the built-in ones; the trailing ``?`` is for readers, absence is always possible.

    Raises:
        PolicyError: a name that no condition could spell, or a built-in name of another type.
    """
    found: dict[str, Type] = dict(built_in)
    for name, written in attributes.items():
        kind: Type = written.rstrip("?")  # type: ignore[assignment]  # the document's model admits only these words
        if not _NAME.fullmatch(name) or name in _WORDS:
            raise PolicyError(f"{place}.{name!r}: not a name", hint="letters, digits and _, beginning with a letter")
        if found.setdefault(name, kind) != kind:
            raise PolicyError(f"{place}.{name}: is built in as {found[name]}", hint="choose another name")
    return found


def merge(types: Iterable[Declared]) -> Mapping[str, Type | str]:
    """What all resource types together declare, for permissions that name none."""
    found: dict[str, Type | str] = dict(RESOURCE)
    for declared in types:
        for name, kind in declared.items():
            if found.setdefault(name, kind) != kind:
                found[name] = CLASH
    return found


@dataclass(frozen=True, slots=True)
class Schema:
    """The names in reach of one condition."""

    principal: Mapping[str, Type | str]
    resource: Mapping[str, Type | str]
    context: Mapping[str, Type | str]

    def attribute(self, root: Root, name: str, place: str) -> Attribute:
        """The declared attribute.

        Raises:
            PolicyError: an unknown name, or one that resource types declare differently.
        """
        declared: Mapping[str, Type | str] = getattr(self, root)
        kind = declared.get(name)
        if kind is None:
            raise PolicyError(f"{place}: {root}.{name[:64]} is not declared", hint=resembling(name, declared))
        if kind == CLASH:
            raise PolicyError(
                f"{place}: resource types declare {name!r} differently",
                hint="name the type in permissions.<name>.resource",
            )
        return Attribute(root, name, kind)  # type: ignore[arg-type]  # not the clash mark
