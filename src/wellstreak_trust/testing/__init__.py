"""Tools for the tests of hosts: signers, clocks, store contracts. Each loads on first use (PEP 562)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ..core.clock import FixedClock as FixedClock
    from .signing import SignedRequest as SignedRequest
    from .signing import Signer as Signer
    from .signing import signer as signer

_HOMES: Final = {
    "FixedClock": "..core.clock",
    "SignedRequest": ".signing",
    "Signer": ".signing",
    "signer": ".signing",
}

__all__ = ["FixedClock", "SignedRequest", "Signer", "signer"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
