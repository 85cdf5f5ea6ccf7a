"""What a key service says, as errors of ours: one place where foreign errors end.

A service's own texts hold ARNs, projects, vaults and tenants, and the frames below hold the key that was being
wrapped. So only a kind goes on: nothing is chained, and no frame of the client is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ...core.errors import KeyDisabled, KeyUnavailable, KeyUnknown, MissingExtra, SecretTampered, TrustError

__all__ = ["Faults"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Faults:
    """The errors of one service, by its name for operators."""

    service: str

    def told(self, translate: Callable[[Exception], TrustError | None], ask: Callable[[], T]) -> T:
        """What `ask` answers; what it raises, as `translate` puts it. None is an outage, as is all that is new."""
        try:
            return ask()
        except Exception as error:  # network, TLS, time-outs: whatever it is, there is no key
            fault = translate(error) or self.unavailable(type(error).__name__)
        raise fault.with_traceback(None)

    def tampered(self) -> SecretTampered:
        """Nothing that this key and context have wrapped."""
        return SecretTampered(
            f"{self.service}: no ciphertext of this key and context", hint="the row was changed or moved"
        )

    def disabled(self, cause: str, hint: str) -> KeyDisabled:
        """The key is there and may not be used."""
        return KeyDisabled(f"{self.service}: {cause}", hint=hint)

    def unknown(self, hint: str) -> KeyUnknown:
        """There is no such key."""
        return KeyUnknown(f"{self.service}: no such key", hint=hint)

    def unavailable(self, cause: str, *, hint: str = "", retryable: bool = True) -> KeyUnavailable:
        """No answer, or none that helps."""
        return KeyUnavailable(f"{self.service}: {cause}", hint=hint, retryable=retryable)

    def missing(self, package: str, extra: str) -> MissingExtra:
        """The service's library is not installed."""
        return MissingExtra(
            f"{self.service} needs {package}", hint=f"pip install 'wellstreak-trust[{extra}]'", reason="extra"
        )
