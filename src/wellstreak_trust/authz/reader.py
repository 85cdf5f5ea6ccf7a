"""Policy documents, read: TOML, JSON or YAML to plain values, strictly.

Whatever a later reader could understand in two ways is refused here: repeated keys, aliases, NaN, text that is no
Unicode, anything that is not a table, list, string, integer or boolean.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Final, NoReturn

from ..core.errors import MissingExtra, PolicyError, TrustError
from .builder import Expression
from .schema import resembling

__all__ = ["Plain", "plain", "read", "spell"]

Plain = dict[str, Any]

MAX_BYTES: Final = 64 * 1024 * 1024
MAX_DEPTH: Final = 12
MAX_NODES: Final = 4_000_000
_BARE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def read(path: str | PathLike[str]) -> Plain:
    """The document in a file; its suffix tells the format.

    Raises:
        PolicyError: no such file, an unknown suffix, or text that does not parse strictly.
        MissingExtra: YAML without the extra.
    """
    try:
        file = Path(path)
        parse = _FORMATS.get(file.suffix.lower())
        if parse is None:
            hint = resembling(file.suffix.lower(), _FORMATS)
            raise PolicyError(f"{file.name}: the suffix names no format of policies", hint=hint)
        octets = file.read_bytes()
        if len(octets) > MAX_BYTES:
            raise PolicyError(f"{file.name}: larger than {MAX_BYTES} bytes")
        return plain(parse(octets.decode("utf-8")))
    except OSError as error:
        raise PolicyError(f"the policy file cannot be read: {error.strerror or type(error).__name__}") from None
    except UnicodeDecodeError as error:
        raise PolicyError(f"not UTF-8 at byte {error.start}", hint="save the file as UTF-8") from None
    except RecursionError:
        raise PolicyError("nested too deeply") from None
    except TrustError:
        raise
    except Exception as error:  # three parsers, and PyYAML's constructors raise whatever Python does
        raise PolicyError(f"does not parse: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _json(text: str) -> object:
    return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_no_float)


def _unique(pairs: list[tuple[str, Any]]) -> Plain:
    found: Plain = {}
    for key, value in pairs:
        if key in found:
            raise PolicyError(f"the key {key[:64]!r} stands twice in one object", hint="keep one of them")
        found[key] = value
    return found


def _no_constant(name: str) -> NoReturn:
    raise PolicyError(f"{name} is no JSON (RFC 8259, 6)")


def _no_float(number: str) -> NoReturn:
    raise PolicyError(f"{number[:20]} is no integer", hint="policies hold no fractions")


def _yaml(text: str) -> object:
    try:
        from ._yaml import load
    except ImportError:
        raise MissingExtra("YAML needs PyYAML", hint="install wellstreak-trust[yaml], or use TOML") from None
    return load(text)


_FORMATS: Final[Mapping[str, Callable[[str], object]]] = {
    ".toml": tomllib.loads,
    ".json": _json,
    ".yaml": _yaml,
    ".yml": _yaml,
}


def plain(document: object) -> Plain:
    """A deep copy in plain values, so that the policy never follows later edits of its source.

    Raises:
        PolicyError: not a table at the top, keys that are not text, values of any other kind, too deep or too large.
    """
    copy = _Copy().value(document, ())
    if not isinstance(copy, dict):
        raise PolicyError("a policy document is a table", hint='{"schema": 1, "permissions": {...}, ...}')
    return copy


def spell(path: tuple[str | int, ...]) -> str:
    """A place in the document: ``roles.member.allow[1].when``."""
    found = ""
    for step in path:
        if isinstance(step, int):
            found += f"[{step}]"
        else:
            name = step if _BARE.fullmatch(step) else json.dumps(step[:64])
            found += f".{name}" if found else name
    return found or "the document"


class _Copy:
    """One traversal with its budget; cycles end at the depth, shared parts at the count."""

    __slots__ = ("_nodes",)

    def __init__(self) -> None:
        self._nodes: int = 0

    def value(self, source: object, path: tuple[str | int, ...]) -> Any:
        self._nodes += 1
        if len(path) > MAX_DEPTH or self._nodes > MAX_NODES:
            raise PolicyError(f"{spell(path[:4])}: nested too deeply or too large")
        if isinstance(source, str):
            return self._text(source, path)
        if source is None or isinstance(source, bool | int | float):
            return source
        if type(source) is Expression and path[-1:] == ("when",):
            return self._text(source.text, path)
        if isinstance(source, Mapping):
            return {self._key(key, path): self.value(item, (*path, str(key))) for key, item in source.items()}
        if isinstance(source, list | tuple):
            return [self.value(item, (*path, index)) for index, item in enumerate(source)]
        raise PolicyError(f"{spell(path)}: {type(source).__name__} is no value of a policy")

    def _key(self, key: object, path: tuple[str | int, ...]) -> str:
        if not isinstance(key, str):
            raise PolicyError(f"{spell(path)}: a key that is no text")
        return self._text(key, path)

    @staticmethod
    def _text(text: str, path: tuple[str | int, ...]) -> str:
        exact = str.__str__(text)
        try:
            exact.encode("utf-8")
        except UnicodeEncodeError:
            raise PolicyError(f"{spell(path)}: text that is no Unicode") from None
        return exact
