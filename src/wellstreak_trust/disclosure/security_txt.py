"""security.txt (RFC 9116): rendered from one object, parsed strictly, never silently expired."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ..core.clock import Clock, SystemClock, aware
from ..core.errors import SecurityTxtExpired, SecurityTxtInvalid

__all__ = ["SecurityTxt"]

MAX_AHEAD: Final = timedelta(days=366)
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")  # printable ASCII: a line feed would inject a field
_TAG: Final = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")  # the shape of RFC 5646
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[Zz]|[+-]\d\d:\d\d)")
_LINE: Final = re.compile(r"([!-9;-~]+): (.*\S)[ \t]*")
_SIGNED: Final = "-----BEGIN PGP SIGNED MESSAGE-----"
_SIGNATURE: Final = "-----BEGIN PGP SIGNATURE-----"
_SIGNATURE_END: Final = "-----END PGP SIGNATURE-----"
_CONTACT: Final = ("https:", "mailto:", "tel:")
_KEY: Final = ("https:", "dns:", "openpgp4fpr:")
_WEB: Final = ("https:",)

_FIELDS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "contact": ("Contact", _CONTACT),
    "encryption": ("Encryption", _KEY),
    "acknowledgments": ("Acknowledgments", _WEB),
    "canonical": ("Canonical", _WEB),
    "policy": ("Policy", _WEB),
    "hiring": ("Hiring", _WEB),
    "csaf": ("CSAF", _WEB),
}
_BY_NAME: Final = {label.lower(): (attribute, schemes) for attribute, (label, schemes) in _FIELDS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityTxt:
    """The file as a value.

    Args:
        contact: one or more URIs (https, mailto, tel), most preferred first.
        expires: aware, at most 366 days ahead; or give `reviewed_at`, a person's review, plus `valid_for`. It never
            extends by itself: an expired file that nobody noticed is what goes wrong in the field.
        encryption, acknowledgments, preferred_languages, canonical, policy, hiring, csaf: as in RFC 9116, 2.5.

    Raises:
        SecurityTxtInvalid: a value the RFC forbids.
    """

    contact: tuple[str, ...]
    expires: datetime | None = None
    reviewed_at: datetime | None = None
    valid_for: timedelta = timedelta(days=180)
    encryption: tuple[str, ...] = ()
    acknowledgments: tuple[str, ...] = ()
    preferred_languages: tuple[str, ...] = ()
    canonical: tuple[str, ...] = ()
    policy: tuple[str, ...] = ()
    hiring: tuple[str, ...] = ()
    csaf: tuple[str, ...] = ()
    clock: Clock = field(default_factory=SystemClock, compare=False, repr=False)

    def __post_init__(self) -> None:
        for attribute, (label, schemes) in _FIELDS.items():
            object.__setattr__(self, attribute, _uris(label, getattr(self, attribute), schemes))
        object.__setattr__(self, "preferred_languages", _tags(self.preferred_languages))
        if not self.contact:
            raise SecurityTxtInvalid("Contact is missing", hint="contact=['mailto:security@example.com']")
        if (self.expires is None) is (self.reviewed_at is None):
            raise SecurityTxtInvalid("one of expires and reviewed_at is wanted", hint="reviewed_at=datetime(...)")
        if any(not uri.endswith("provider-metadata.json") for uri in self.csaf):
            raise SecurityTxtInvalid("a CSAF field names a provider-metadata.json")
        _check_times(self.expires, self.reviewed_at, self.valid_for)
        if self.ends_at - self.clock.now() > MAX_AHEAD:
            raise SecurityTxtInvalid("Expires is more than a year ahead", hint="RFC 9116 2.5.5 wants under a year")

    @property
    def ends_at(self) -> datetime:
        """When the file stops being valid, aware, in UTC."""
        if self.expires is not None:
            return self.expires.astimezone(UTC)
        assert self.reviewed_at is not None
        return (self.reviewed_at + self.valid_for).astimezone(UTC)

    def render(self, now: datetime | None = None) -> str:
        """The file's text, lines ended by LF.

        Raises:
            SecurityTxtExpired: past `ends_at`; the route answers 404, so that nobody relies on stale contacts.
        """
        if self.ends_at <= (self.clock.now() if now is None else aware(now, "now")):
            raise SecurityTxtExpired("the file has expired", hint="review it and move reviewed_at or expires")
        lines = [f"Contact: {uri}" for uri in self.contact]
        lines.append(f"Expires: {self.ends_at.isoformat(timespec='seconds').replace('+00:00', 'Z')}")
        for attribute, (label, _) in _FIELDS.items():
            if attribute != "contact":
                lines += [f"{label}: {uri}" for uri in getattr(self, attribute)]
        if self.preferred_languages:
            lines.append(f"Preferred-Languages: {', '.join(self.preferred_languages)}")
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, text: str | bytes, now: datetime | None = None) -> SecurityTxt:
        """Reads a file as strictly as RFC 9116 says MUST; unknown fields are ignored (2.4).

        Of a clear-signed file what is signed is read; the signature itself is not verified.

        Raises:
            SecurityTxtInvalid: with the line; SecurityTxtExpired: past its Expires.
        """
        found: dict[str, list[str]] = {}
        expires: list[datetime] = []
        for number, line in _clear(_lines(text)):
            if not line or line.startswith("#"):
                continue
            pair = _LINE.fullmatch(line)
            if pair is None:
                raise SecurityTxtInvalid("not `Name: value`", line=number)
            name, value = pair[1].lower(), pair[2]
            if name == "expires":
                expires.append(_date(value, number))
            elif name == "preferred-languages":
                if name in found:
                    raise SecurityTxtInvalid("Preferred-Languages twice", line=number)
                found[name] = [tag.strip() for tag in value.split(",")]
            elif name in _BY_NAME:
                _uris(pair[1], (value,), _BY_NAME[name][1], line=number)
                found.setdefault(name, []).append(value)
        if len(expires) != 1:
            raise SecurityTxtInvalid("exactly one Expires is wanted")
        moment = SystemClock().now() if now is None else aware(now, "now")
        if expires[0] <= moment:
            raise SecurityTxtExpired("Expires has passed")
        values: dict[str, Any] = {_BY_NAME[name][0]: tuple(uris) for name, uris in found.items() if name in _BY_NAME}
        return cls(
            contact=values.pop("contact", ()),
            expires=expires[0],
            preferred_languages=tuple(found.get("preferred-languages", ())),
            clock=_At(moment),
            **values,
        )


@dataclass(frozen=True, slots=True)
class _At:
    """The caller's idea of now, so that parsing an archived file judges it at its time."""

    moment: datetime

    def now(self) -> datetime:
        return self.moment

    def monotonic_ns(self) -> int:
        return 0


def _lines(text: str | bytes) -> list[str]:
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError:
            raise SecurityTxtInvalid("not UTF-8") from None
    if text.startswith("\ufeff"):
        raise SecurityTxtInvalid("a byte order mark", line=1)
    return text.replace("\r\n", "\n").split("\n")


def _clear(lines: list[str]) -> list[tuple[int, str]]:
    """The numbered lines of a file, or of what an OpenPGP cleartext signature is about (RFC 9580, 7)."""
    numbered = list(enumerate(lines, 1))
    if lines[0] != _SIGNED:
        return numbered
    try:
        begin = lines.index("") + 1
        end = lines.index(_SIGNATURE, begin)
        last = lines.index(_SIGNATURE_END, end) + 1
    except ValueError:
        raise SecurityTxtInvalid("a signed message that is not whole", line=1) from None
    if any(lines[last:]) or not all(line.startswith("Hash: ") for line in lines[1 : begin - 1]):
        raise SecurityTxtInvalid("something stands beside the signed message", line=last)
    signed = numbered[begin:end]
    for number, line in signed:
        if line.startswith("-") and not line.startswith("- "):
            raise SecurityTxtInvalid("a dash that is not escaped", line=number)
    return [(number, line.removeprefix("- ")) for number, line in signed]


def _check_times(expires: object, reviewed_at: object, valid_for: object) -> None:
    for moment in (expires, reviewed_at):
        if moment is not None and (not isinstance(moment, datetime) or moment.utcoffset() is None):
            raise SecurityTxtInvalid("a time is no aware datetime", hint="datetime(..., tzinfo=UTC)")
    if not isinstance(valid_for, timedelta) or not timedelta() < valid_for <= MAX_AHEAD:
        raise SecurityTxtInvalid("valid_for is no timedelta of at most a year", hint="timedelta(days=180)")


def _date(value: str, line: int) -> datetime:
    with suppress(ValueError, OverflowError):
        if _DATE.fullmatch(value):
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
    raise SecurityTxtInvalid("Expires is no RFC 3339 date-time with zone", line=line)


def _uris(label: str, values: Iterable[str], schemes: tuple[str, ...], line: int | None = None) -> tuple[str, ...]:
    if not isinstance(values, Iterable) or isinstance(values, str):
        raise SecurityTxtInvalid(f"{label} is a list", hint=f"{label.lower()}=['...']")
    for uri in (found := tuple(values)):
        if not isinstance(uri, str) or not _URI.fullmatch(uri) or not uri.lower().startswith(schemes):
            raise SecurityTxtInvalid(f"{label} is no URI of {', '.join(schemes)}", line=line)
    return found


def _tags(values: Iterable[str]) -> tuple[str, ...]:
    found = tuple(values) if isinstance(values, Iterable) else (None,)
    if isinstance(values, str) or any(not isinstance(tag, str) or not _TAG.fullmatch(tag) for tag in found):
        raise SecurityTxtInvalid("Preferred-Languages holds a malformed language tag", hint="['en', 'de']")
    return found
