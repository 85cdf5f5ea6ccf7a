"""Tools for the tests of hosts: policy tables, signers, an OpenID provider, an attacker, clocks, store contracts.

Each loads on first use (PEP 562). What proves the isolation of models is in `.isolation`, because it needs the ORM
that it is about; the fixtures are in `.plugin`, which pytest finds by itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ..core.clock import FixedClock as FixedClock
    from ..tenancy import testing_context as testing_context
    from .attacker import Attacker as Attacker
    from .attacker import AttackReport as AttackReport
    from .attacker import Burst as Burst
    from .attacker import Naming as Naming
    from .attacker import Person as Person
    from .attacker import Route as Route
    from .attacker import Severity as Severity
    from .attacker import SignIn as SignIn
    from .attacker import Target as Target
    from .attacker import WebhookTarget as WebhookTarget
    from .attacker import routes_of as routes_of
    from .op import FAULTS as FAULTS
    from .op import OpenIdProvider as OpenIdProvider
    from .policy import PolicyTable as PolicyTable
    from .policy import TableReport as TableReport
    from .policy import assert_matrix as assert_matrix
    from .policy import assert_no_escalation as assert_no_escalation
    from .policy_coverage import RuleCoverage as RuleCoverage
    from .policy_coverage import rule_coverage as rule_coverage
    from .policy_mutation import MutationReport as MutationReport
    from .policy_mutation import mutate as mutate
    from .recorder import EventRecorder as EventRecorder
    from .signing import SignedRequest as SignedRequest
    from .signing import Signer as Signer
    from .signing import signer as signer
    from .stores import CONTRACTS as CONTRACTS
    from .stores import Contract as Contract
    from .stores import contract as contract

_HOMES: Final = {
    "AttackReport": ".attacker",
    "Attacker": ".attacker",
    "Burst": ".attacker",
    "CONTRACTS": ".stores",
    "Contract": ".stores",
    "EventRecorder": ".recorder",
    "FAULTS": ".op",
    "FixedClock": "..core.clock",
    "MutationReport": ".policy_mutation",
    "Naming": ".attacker",
    "OpenIdProvider": ".op",
    "Person": ".attacker",
    "PolicyTable": ".policy",
    "Route": ".attacker",
    "RuleCoverage": ".policy_coverage",
    "Severity": ".attacker",
    "SignIn": ".attacker",
    "SignedRequest": ".signing",
    "Signer": ".signing",
    "TableReport": ".policy",
    "Target": ".attacker",
    "WebhookTarget": ".attacker",
    "assert_matrix": ".policy",
    "assert_no_escalation": ".policy",
    "contract": ".stores",
    "mutate": ".policy_mutation",
    "routes_of": ".attacker",
    "rule_coverage": ".policy_coverage",
    "signer": ".signing",
    "testing_context": "..tenancy",
}

__all__ = [
    "CONTRACTS",
    "FAULTS",
    "AttackReport",
    "Attacker",
    "Burst",
    "Contract",
    "EventRecorder",
    "FixedClock",
    "MutationReport",
    "Naming",
    "OpenIdProvider",
    "Person",
    "PolicyTable",
    "Route",
    "RuleCoverage",
    "Severity",
    "SignIn",
    "SignedRequest",
    "Signer",
    "TableReport",
    "Target",
    "WebhookTarget",
    "assert_matrix",
    "assert_no_escalation",
    "contract",
    "mutate",
    "routes_of",
    "rule_coverage",
    "signer",
    "testing_context",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
