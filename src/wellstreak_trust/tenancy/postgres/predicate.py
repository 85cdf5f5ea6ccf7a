"""What a policy's expression proves: read from the text that ``pg_get_expr`` makes of it.

That text is canonical: every operand stands in parentheses, strings and names are quoted by doubling. So an expression
is read as a tree of AND and OR over leaves, and a leaf is a comparison of the tenant column with the setting, or
something else. The expression pins the tenant where every row that passes must have met such a comparison:

* AND pins if one operand does, OR if all do;
* NOT, CASE, IS NOT FALSE and what else cannot be read pin nothing;
* a comparison pins if the column stands alone on one side and the other side reads the setting, without the column and
  without what could put something beside the setting or in its place: COALESCE, CASE, ARRAY, VALUES, UNION, OR.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

__all__ = ["READER", "is_guarded", "is_once", "pins", "vouched"]

READER: Final = "current_setting"

_SPACE: Final = re.compile(r"\s+")
_TOKEN: Final = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[()]| OR | AND | = | IN ")
_STEPS: Final = {"(": 1, ")": -1}
_CAST: Final = re.compile(r"::[\w \".]+(\(\d+(,\d+)?\))?(\[\])?$")
_STAND_IN: Final = re.compile(r"\b(COALESCE\(|CASE |ARRAY\[|VALUES |UNION | ?OR )")
_BARE_READ: Final = re.compile(rf"(?<!NULLIF\()(?<!NULLIF\(\(){READER}\(")


@lru_cache(4096)  # a schema's policies are mostly one text
def pins(expression: str | None, column: str, readers: tuple[str, ...] = (READER,)) -> tuple[str, ...]:
    """The comparisons one of which every passing row has met; empty where nothing is proved.

    Args:
        column: as the database quotes it.
        readers: functions that read the setting.
    """
    if expression is None:
        return ()
    text = _stripped(_SPACE.sub(" ", expression))
    for word, every in ((" OR ", True), (" AND ", False)):
        operands = list(_parts(text, word))
        if len(operands) > 1:
            found = [pins(each, column, readers) for each in operands]
            if every and not all(found):
                return ()
            return tuple(pin for each in found for pin in each)
    return (text,) if _compares(text, column, readers) else ()


def vouched(expression: str | None, parent: str, column: str, readers: tuple[str, ...] = (READER,)) -> bool:
    """Whether every passing row has met EXISTS on `parent` with the parent's tenant compared with the setting."""
    if expression is None:
        return False
    text = _stripped(_SPACE.sub(" ", expression))
    operands = list(_parts(text, " AND "))
    if len(operands) > 1:
        return any(vouched(each, parent, column, readers) for each in operands)
    if not text.startswith("EXISTS (") or len(list(_parts(text, " OR "))) > 1:
        return False
    source, _, condition = text.removeprefix("EXISTS (").removesuffix(")").partition(" WHERE ")
    alias = re.search(rf"\bFROM (?:ONLY )?{re.escape(parent)}(?: (\S+))?$", source.strip())
    return alias is not None and bool(pins(condition, f"{alias[1] or parent}.{column}", readers))


def is_guarded(pin: str) -> bool:
    """Whether an empty setting is turned into NULL before anything is done with it."""
    return _BARE_READ.search(pin) is None


def is_once(pin: str, readers: tuple[str, ...] = (READER,)) -> bool:
    """Whether the setting is read in a sub-select: once a statement."""
    place = min((found for reader in readers if (found := pin.find(f"{reader}(")) >= 0), default=-1)
    return 0 <= pin.find("( SELECT ") < place


def _compares(text: str, column: str, readers: tuple[str, ...]) -> bool:
    for sign in (" = ", " IN "):
        sides = list(_parts(text, sign))
        if len(sides) == 2:
            break
    else:
        return False
    for mine, theirs in (sides, sides[::-1]):
        if _uncast(mine) == column:
            bare = re.sub(r"'(?:[^']|'')*'", "''", theirs)
            return (
                any(f"{reader}(" in bare for reader in readers)
                and not _STAND_IN.search(bare)
                and (sign == " IN " or not _names(bare, column))
            )
    return False


def _names(text: str, column: str) -> bool:
    return re.search(rf'(?<![\w"$]){re.escape(column)}(?![\w"$])', text) is not None


def _uncast(text: str) -> str:
    text = _stripped(text.strip())
    while (plain := _stripped(_CAST.sub("", text))) != text:
        text = plain
    return text


def _stripped(text: str) -> str:
    """Without the parentheses around all of it."""
    text = text.strip()
    while text.startswith("(") and _closing(text) == len(text) - 1:
        text = text[1:-1].strip()
    return text


def _closing(text: str) -> int:
    depth = 0
    for token in _TOKEN.finditer(text):
        depth += _STEPS.get(token[0], 0)
        if token[0] == ")" and depth == 0:
            return token.start()
    return -1


def _parts(text: str, word: str) -> Iterator[str]:
    """`text` split at `word`, outside parentheses and quotes."""
    start = depth = 0
    for token in _TOKEN.finditer(text):
        depth += _STEPS.get(token[0], 0)
        if depth == 0 and token[0] == word:
            yield text[start : token.start()]
            start = token.end()
    yield text[start:]
