"""Which new passwords are accepted (NIST SP 800-63B-4, 3.1.1; OWASP ASVS 5.0, 6.2).

* At least 15 characters, or 8 where a second factor is asked for as well. At most 1,024; no other rule of composition.
* Counted and compared as received, after NFC: nothing is cut, trimmed or changed in case.
* Not one that many people have: a blocklist of the host, and the corpus of breached passwords asked by k-anonymity.
* Not one that anybody would try first: a name of this service or this user with a number behind it, one key held down,
  a row of the keyboard.

A password does not run out: it is changed when it may be known to others, and never by the calendar.

What is wrong comes back as codes, never as a part of the password.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from ..core.errors import ConfigurationError, PasswordRejected, Unavailable
from ..core.sansio import suspends, synced
from .blocklists import Blocklist
from .passwords import MAX_CODE_POINTS

__all__ = ["PasswordFeedback", "PasswordPolicy", "PasswordProblem"]

PasswordProblem = Literal["too_short", "too_long", "not_text", "repetitive", "context", "blocked"]
_ADVICE: Final[dict[str, str]] = {
    "too_short": "Use more characters: a few words that have nothing to do with each other are easy to remember.",
    "too_long": f"Use at most {MAX_CODE_POINTS} characters.",
    "not_text": "Use text only.",
    "repetitive": "Do not repeat one piece, or follow the alphabet or the keyboard.",
    "context": "Do not build it from your name, your address or the name of this service.",
    "blocked": "Many people have used this one, or it was in a breach: choose another.",
}
_ROWS: Final = "abcdefghijklmnopqrstuvwxyz 1234567890 qwertyuiop asdfghjkl zxcvbnm qwertzuiop azertyuiop".split()
_NEIGHBOURS: Final = frozenset(
    row[at : at + 2][::way] for row in _ROWS for at in range(len(row) - 1) for way in (1, -1)
)
_OWN: Final = 4  # characters that must be left when every known word, digit and sign is taken away
_KINDS: Final = 5  # different characters at least
_WORD: Final = 3  # shorter words of the context say nothing


@dataclass(frozen=True, slots=True)
class PasswordFeedback:
    """The policy's answer; truth is `ok`.

    Args:
        problems: codes; fit for clients.
    """

    ok: bool
    problems: tuple[PasswordProblem, ...] = ()

    def __bool__(self) -> bool:
        return self.ok

    @property
    def advice(self) -> tuple[str, ...]:
        """One English sentence a problem, for the form; it never repeats what was typed."""
        return tuple(_ADVICE[problem] for problem in self.problems)


class PasswordPolicy:
    """Judges new passwords. `check` and `require` have ``a`` twins.

    Args:
        min_length: without a second factor; 15 or more, or 8 or more if you must. min_length_with_mfa: 8 or more.
        blocklists: `WordBlocklist`, `RangeBlocklist`, or your own.
        words: of this service: its names and products. Document them (ASVS 6.2.11).
        on_outage: what an unreachable blocklist means: ``closed`` refuses with 503, ``open`` goes on without it.

    Raises:
        ConfigurationError: fewer than 8 characters, or an unknown outage policy.
    """

    def __init__(
        self,
        *,
        min_length: int = 15,
        min_length_with_mfa: int = 8,
        blocklists: Iterable[Blocklist] = (),
        words: Iterable[str] = (),
        on_outage: Literal["closed", "open"] = "closed",
    ) -> None:
        if not 8 <= min_length_with_mfa <= min_length <= 64 or on_outage not in ("closed", "open"):
            raise ConfigurationError(
                "a password has at least 8 characters, and one of 64 is always long enough", reason="password_policy"
            )
        self._least: dict[bool, int] = {False: min_length, True: min_length_with_mfa}
        self._blocklists: tuple[Blocklist, ...] = tuple(blocklists)
        self._words: tuple[str, ...] = tuple(words)
        self._open: bool = on_outage == "open"
        self.suspends: bool = suspends(*self._blocklists)

    async def acheck(self, password: str, *, mfa: bool = False, context: Iterable[str] = ()) -> PasswordFeedback:
        """Whether a new password is accepted, and why not.

        Args:
            mfa: whether the account is asked for a second factor at every sign-in.
            context: words of this user: name, address, company.

        Raises:
            ProviderUnavailable: a blocklist is out of reach and the policy is ``closed``.
        """
        problem = self._shape(password, mfa)
        if problem is not None:
            return PasswordFeedback(False, (problem,))
        text = unicodedata.normalize("NFC", password)
        problems: list[PasswordProblem] = []
        if _repetitive(text.casefold()):
            problems.append("repetitive")
        if _from_context(text, (*self._words, *context)):
            problems.append("context")
        if not problems and await self._blocked(text):
            problems.append("blocked")
        return PasswordFeedback(not problems, tuple(problems))

    check: Final = synced(acheck)

    async def arequire(self, password: str, *, mfa: bool = False, context: Iterable[str] = ()) -> None:
        """As `check`.

        Raises:
            PasswordRejected: it is not accepted; `problems` holds the codes.
            ProviderUnavailable: as `check`.
        """
        found = await self.acheck(password, mfa=mfa, context=context)
        if not found.ok:
            raise PasswordRejected("against the password policy", problems=found.problems)

    require: Final = synced(arequire)

    def _shape(self, password: object, mfa: bool) -> PasswordProblem | None:
        if not isinstance(password, str) or any("\ud800" <= char <= "\udfff" for char in password):
            return "not_text"
        if len(password) > MAX_CODE_POINTS:
            return "too_long"
        return "too_short" if len(unicodedata.normalize("NFC", password)) < self._least[bool(mfa)] else None

    async def _blocked(self, text: str) -> bool:
        for blocklist in self._blocklists:
            try:
                if await blocklist.holds(text):
                    return True
            except Unavailable:
                if not self._open:
                    raise
        return False


def _repetitive(text: str) -> bool:
    """One piece over and over, or mostly steps along the alphabet, the digits or a keyboard."""
    if len(set(text)) < _KINDS:
        return True
    if any(text[size:] == text[:-size] for size in range(1, len(text) // 3 + 1)):
        return True
    pairs = [text[at : at + 2] for at in range(len(text) - 1)]
    steps = sum(pair in _NEIGHBOURS or pair[0] == pair[1] for pair in pairs)
    return steps * 4 >= len(pairs) * 3


def _from_context(text: str, words: Iterable[str]) -> bool:
    """Whether hardly anything is left once all known words are taken away. The whole password is judged: a word inside
    a long one of one's own is no fault (SP 800-63B-4, 3.1.1.2).
    """
    bare, found = _letters(text), False
    parts = {part for word in words for part in (_letters(word), *map(_letters, word.replace("@", " ").split()))}
    for part in sorted((part for part in parts if len(part) >= _WORD), key=lambda part: (-len(part), part)):
        found |= part in bare
        bare = bare.replace(part, "")
    return found and len(bare) < _OWN


def _letters(text: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFKD", text).casefold() if char.isalpha())
