"""Isolation of a SQLAlchemy host: `PhysicalOracle`, `IsolationSuite`, and `untouched` for single tests."""

from .ground import untouched
from .physical import PhysicalOracle
from .suite import IsolationSuite

__all__ = ["IsolationSuite", "PhysicalOracle", "untouched"]
