"""Strict reading of form bodies, for providers that sign what stands in them.

A form has many spellings of one meaning. Only the one that form encoders write is taken (upper-case escapes, no empty
pairs, UTF-8), so that the bytes that were signed are the bytes that arrived.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Final
from urllib.parse import unquote_plus

from ...core.errors import MalformedBody

__all__ = ["field", "multipart", "pairs"]

_MOST: Final = 1_000
# Printable ASCII without % & =; possessive, so that a long value is read in one go and never again.
_SPELLING: Final = re.compile(r"(?:[!-$'-<>-~]++|%[0-9A-F]{2})*+")
_BOUNDARY: Final = re.compile(
    r'multipart/form-data\s*;\s*boundary=(?:"([!-~]{1,70})"|([!-~]{1,70}))', re.IGNORECASE | re.ASCII
)
_HEAD: Final = 1_024  # of a part; a search over more of it could be made quadratic
_NAME: Final = re.compile(rb'(?i)content-disposition:\s*form-data;[^\r\n]*?\bname="([^"\r\n]*)"')


def pairs(body: bytes) -> list[tuple[str, str]]:
    """``application/x-www-form-urlencoded``, in order; `MalformedBody` for another spelling."""
    if not body:
        return []
    parts = body.split(b"&", _MOST)
    if len(parts) > _MOST:
        raise MalformedBody(f"over {_MOST} form fields")
    return [_pair(part) for part in parts]


def _pair(part: bytes) -> tuple[str, str]:
    with suppress(UnicodeError):
        name, mark, value = part.decode("ascii").partition("=")
        if mark and name and _SPELLING.fullmatch(name) and _SPELLING.fullmatch(value.replace("=", "")):
            return unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")
    raise MalformedBody("the body is not a form", hint="hand over the raw bytes; escapes are upper case, text is UTF-8")


def field(found: list[tuple[str, str]], name: str) -> str:
    """The one value of that name, or empty; `MalformedBody` if it came twice."""
    values = [value for key, value in found if key == name]
    if len(values) > 1:
        raise MalformedBody(f"the form holds {name} twice")
    return values[0] if values else ""


def multipart(content_type: str, body: bytes, name: str) -> bytes:
    """The one part of that name of ``multipart/form-data`` (RFC 7578), or empty."""
    boundary = _BOUNDARY.fullmatch(content_type)
    if boundary is None:
        raise MalformedBody("the body is neither JSON nor a form", hint="pass the Content-Type header along")
    parts = (b"\r\n" + body).split(b"\r\n--" + (boundary[1] or boundary[2]).encode())
    if len(parts) < 3 or len(parts) > _MOST or parts[0] or parts[-1].rstrip(b"\r\n") != b"--":
        raise MalformedBody("the multipart body is cut off")
    found = []
    for part in parts[1:-1]:
        head, mark, content = part.partition(b"\r\n\r\n")
        named = _NAME.search(head) if len(head) <= _HEAD else None
        if mark and named and named[1] == name.encode():
            found.append(content)
    if len(found) > 1:
        raise MalformedBody(f"the form holds {name} twice")
    return found[0] if found else b""
