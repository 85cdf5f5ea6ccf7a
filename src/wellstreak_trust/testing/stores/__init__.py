"""Contract suites: what every store of a kind must do; hosts run them against their own.

`contract` finds a suite by name, `CONTRACTS` lists them. The checks themselves are in the modules beside, for tests
that want to call one alone.
"""

from .contract import CONTRACTS, Contract, contract

__all__ = ["CONTRACTS", "Contract", "contract"]
