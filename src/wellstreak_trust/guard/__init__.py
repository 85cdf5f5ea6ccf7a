"""`Guard`: one request, one way through.

::

    origin ► limits per client ► authenticate ► tenant ► subscription ► policy ► limits per tenant ► connection
           ► approval ► audit "attempted" ► the host's operation ► audit outcome ► settle or refund limits

Cheap refusals come first, and each stage consumes what the one before produced. The guard orders the primitives and
records what they said; every rule lives in a primitive.
"""

from __future__ import annotations

from .approval import APPROVAL_HEADER
from .governance import Governance, governance
from .grant import Grant, Operation, outcome_of
from .guard import Guard, refuse_generators
from .registry import Operations
from .rehearsal import Rehearsal, Rehearsed
from .workspace import WORKSPACE_OPERATIONS

__all__ = [
    "APPROVAL_HEADER",
    "WORKSPACE_OPERATIONS",
    "Governance",
    "Grant",
    "Guard",
    "Operation",
    "Operations",
    "Rehearsal",
    "Rehearsed",
    "governance",
    "outcome_of",
    "refuse_generators",
]
