"""Where a browser may be sent after a sign-in: a path of the host's own, under every reading of it.

Browsers, proxies and frameworks read one text differently: ``/\\evil.example`` and ``//evil.example`` name a host, a
tab or a newline is dropped before the text is read, and some layers decode percent signs first. So the rule holds for
the text as it stands and for what it decodes to, until it decodes no further.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import unquote, urlsplit

from ..core.errors import InvalidRequest

__all__ = ["checked_return_path", "own_path"]

MAX_PATH: Final = 2_048
_ROUNDS: Final = 5
_LOCAL: Final = re.compile(r"/(?:\.{1,2}/)*+(?![/\\])")  # dot segments go before the second character is read
_HIDDEN: Final = frozenset(("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"))
# Letters and marks that draw nothing (Unicode's Default_Ignorable_Code_Point, and the blank Braille pattern).
_BLANK: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def checked_return_path(path: object) -> str:
    """`path` itself.

    Raises:
        InvalidRequest: not text of 1 to 2,048 characters that begins with one slash and stays on this host.
    """
    text = path if isinstance(path, str) else ""
    if len(text) > MAX_PATH or not _stays(text):
        raise InvalidRequest("a return path that could lead to another host", hint="a path such as /agents?page=2")
    return text


def own_path(url: str, home: str) -> str:
    """The path of an absolute URL at the origin of `home`, or a path as it is; checked.

    Raises:
        InvalidRequest: another origin, or as `checked_return_path`.
    """
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(home))
    own = url == origin or url.startswith(origin + "/")
    return checked_return_path(url.removeprefix(origin) or "/" if own else url)


def _stays(text: str) -> bool:
    for _ in range(_ROUNDS):
        if not _is_local(text):
            return False
        try:
            decoded = unquote(text, errors="strict")
        except UnicodeDecodeError:
            return False
        if decoded == text:
            return True
        text = decoded
    return False


def _is_local(text: str) -> bool:
    dots = _LOCAL.match(text)
    if dots is None or "\\" in text or _BLANK.search(text):
        return False
    # Spaces other than the plain one are hidden too: no address holds them.
    kinds = ((unicodedata.category(character), character) for character in text)
    return all(kind not in _HIDDEN and (kind != "Zs" or character == " ") for kind, character in kinds)
