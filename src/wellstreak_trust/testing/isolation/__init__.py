"""Isolation, proven on the host's own models: a generator with a physical oracle, and a battery of attacks.

`.sqlalchemy` and `.django` each have `PhysicalOracle` and `IsolationSuite`; what they have in common is here.
"""

from .battery import Finding, IsolationCase, assert_isolated
from .report import Difference, OracleReport, Outcome

__all__ = ["Difference", "Finding", "IsolationCase", "OracleReport", "Outcome", "assert_isolated"]
