"""What the policy's own lint asks about."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final, get_args

from ...authz import Policy
from ...authz.lint import FindingCode
from ..case import Case, Check, Hit

__all__ = ["CHECKS"]


def _asked(code: str, case: Case) -> Iterator[Hit]:
    for place, policy in case.of_kind(Policy):
        for each in policy.lint():
            if each.code == code:
                yield Hit(f"{place}: {each.place}", each.text, each.hint, "policy")


CHECKS: Final = tuple(Check(f"policy_{code}", partial(_asked, code), everywhere=True) for code in get_args(FindingCode))
