"""How answers are judged and compared."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from .finding import Severity, Verdict, faulty, passed, unclear
from .wire import Answer, Exchange

__all__ = ["alike", "comparable", "marks_in", "must_refuse", "same"]

_UNSTABLE: Final = frozenset(
    """date set-cookie x-request-id x-correlation-id traceparent server-timing ratelimit ratelimit-policy
    x-ratelimit-remaining x-ratelimit-reset x-ratelimit-limit content-length""".split()
)
_REFUSALS: Final = frozenset((401, 402, 403, 404))
# A handler that reads its input answers so; whoever sees it has passed the guard, or the guard stands behind it.
_INPUT: Final = frozenset((400, 405, 406, 409, 410, 413, 415, 422, 428))


def must_refuse(found: Exchange, what: str, *, wanted: Collection[int] = _REFUSALS) -> Verdict:
    """Whether an answer refuses.

    Args:
        what: what would be let in, for the finding.
        wanted: the statuses that refuse.
    """
    answer = found.answer
    if answer.status in wanted:
        return passed(found)
    if answer.ok:
        return faulty(f"{what} is let in: {answer.status}", found)
    if answer.status >= 500:
        return faulty(f"{what} breaks it: {_broken(answer)}", found, severity=Severity.MEDIUM)
    if answer.status == 429:
        return unclear("a rate limit answered", found)
    if answer.status in _INPUT:
        return unclear(f"{answer.status} judges the input; give a body or an id that is accepted", found)
    return unclear(f"{answer.status} is no refusal", found)


def _broken(answer: Answer) -> str:
    return f"{answer.status} ({answer.crashed})" if answer.crashed else str(answer.status)


def comparable(answer: Answer, hidden: Collection[str] = ()) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
    """Status, header lines and body, without what differs between any two answers.

    Args:
        hidden: texts that the two requests differed in, and that the answer may repeat.
    """
    body, lines = answer.body, []
    for text in sorted(hidden, key=len, reverse=True):
        body = body.replace(text.encode(), b"*")
    for name, value in answer.headers:
        if name.lower() not in _UNSTABLE:
            shown = (
                re.sub("|".join(map(re.escape, sorted(hidden, key=len, reverse=True))), "*", value) if hidden else value
            )
            lines.append((name.lower(), shown))
    return answer.status, tuple(sorted(lines)), body


def alike(one: Exchange, other: Exchange, hidden: Collection[str] = ()) -> bool:
    """Whether a client can tell the two answers apart; time is not compared."""
    return comparable(one.answer, hidden) == comparable(other.answer, hidden)


def same(one: Exchange, other: Exchange) -> bool:
    """Whether status and body are equal."""
    return (one.answer.status, one.answer.body) == (other.answer.status, other.answer.body)


def marks_in(answer: Answer, marks: Collection[str]) -> str:
    """The first of these texts that an answer holds, or an empty one."""
    whole = answer.text + "\n".join(value for _, value in answer.headers)
    return next((mark for mark in marks if mark and mark in whole), "")
