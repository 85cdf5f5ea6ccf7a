"""What a page is asked for: the parameters of a GET form, each checked before anything is read."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final
from urllib.parse import parse_qsl

from ..core.markup import Markup

__all__ = ["Asked", "AskedWrongly"]

_MOST: Final = 8_192  # a query of 2,000 characters, escaped
_FIELDS: Final = 16
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_FORBIDDEN: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class AskedWrongly(Exception):
    """A parameter that cannot be. `told` is ours and holds nothing of the value; `form` is where to correct it."""

    def __init__(self, field: str, told: str, form: Markup | None = None) -> None:
        super().__init__(told)
        self.form: Markup | None = form
        self.field: str = field
        self.told: str = told


class Asked:
    """The parameters of one request.

    Raises:
        AskedWrongly: too many of them, or one of them twice: two readers could see two different requests.
    """

    def __init__(self, query: str) -> None:
        try:
            pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_FIELDS) if len(query) <= _MOST else None
        except ValueError:
            pairs = None
        if pairs is None:
            raise AskedWrongly("", "The address holds more than a page can be asked for.")
        self._held: dict[str, str] = dict(pairs)
        if len(self._held) != len(pairs):
            raise AskedWrongly("", "The address holds a parameter twice.")

    def text(self, name: str, *, most: int = 255) -> str:
        """A text without control characters, stripped; empty where it is not given."""
        found = self._held.get(name, "").strip()
        if len(found) > most:
            raise AskedWrongly(name, f"“{name}” is longer than {most:,} characters.")
        if _FORBIDDEN.search(found):
            raise AskedWrongly(name, f"“{name}” holds a character that no name can hold.")
        return found

    def choice(self, name: str, choices: Collection[str], default: str = "") -> str:
        """One of a closed set."""
        found = self._held.get(name, "") or default
        if found and found not in choices:
            raise AskedWrongly(name, f"“{name}” is one of {', '.join(choices)}.")
        return found

    def number(self, name: str) -> int | None:
        """A whole number, or None where it is not given."""
        found = self._held.get(name, "")
        if not found:
            return None
        if not _NUMBER.fullmatch(found):
            raise AskedWrongly(name, f"“{name}” is a whole number.")
        return int(found)
