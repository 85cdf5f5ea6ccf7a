"""What the policy's own lint asks about."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Final, get_args

from ...authz import Policy
from ...authz.lint import Finding as LintFinding
from ...authz.lint import FindingCode
from ..case import Case, Check, Hit

__all__ = ["CHECKS"]


@lru_cache(maxsize=4)
def _linted(policy: Policy) -> tuple[LintFinding, ...]:
    """The whole lint, which every check below takes its part of."""
    return tuple(policy.lint())


def _asked(code: str, case: Case) -> Iterator[Hit]:
    for place, policy in case.of_kind(Policy):
        for each in _linted(policy):
            if each.code == code:
                yield Hit(f"{place}: {each.place}", each.text, each.hint, "policy")


CHECKS: Final = tuple(Check(f"policy_{code}", partial(_asked, code), everywhere=True) for code in get_args(FindingCode))
