"""Tools for the tests of hosts: policy tables, signers, an OpenID provider, clocks, store contracts.

Each loads on first use (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ..core.clock import FixedClock as FixedClock
    from .op import OpenIdProvider as OpenIdProvider
    from .policy import PolicyTable as PolicyTable
    from .policy import TableReport as TableReport
    from .policy import assert_matrix as assert_matrix
    from .policy import assert_no_escalation as assert_no_escalation
    from .policy_coverage import RuleCoverage as RuleCoverage
    from .policy_coverage import rule_coverage as rule_coverage
    from .policy_mutation import MutationReport as MutationReport
    from .policy_mutation import mutate as mutate
    from .signing import SignedRequest as SignedRequest
    from .signing import Signer as Signer
    from .signing import signer as signer

_HOMES: Final = {
    "FixedClock": "..core.clock",
    "MutationReport": ".policy_mutation",
    "OpenIdProvider": ".op",
    "PolicyTable": ".policy",
    "RuleCoverage": ".policy_coverage",
    "SignedRequest": ".signing",
    "Signer": ".signing",
    "TableReport": ".policy",
    "assert_matrix": ".policy",
    "assert_no_escalation": ".policy",
    "mutate": ".policy_mutation",
    "rule_coverage": ".policy_coverage",
    "signer": ".signing",
}

__all__ = [
    "FixedClock",
    "MutationReport",
    "OpenIdProvider",
    "PolicyTable",
    "RuleCoverage",
    "SignedRequest",
    "Signer",
    "TableReport",
    "assert_matrix",
    "assert_no_escalation",
    "mutate",
    "rule_coverage",
    "signer",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
