"""Where a request comes from, and what its page may do: CSRF and websockets, CORS, client address, security headers.

Pure rules over `RequestFacts`; no I/O. `ClientAddress` lives in core, because several primitives key by it.
"""

from ..core.address import ClientAddress
from ..core.errors import ConfigurationError, OriginDenied, UsageError
from .cors import CorsDecision, CorsPolicy
from .csrf import OriginPolicy, OriginVerdict
from .headers import NONCE, SecurityHeaders, new_nonce
from .observe import ObservedOrigin, ObservedVerdict
from .origin import Origin, OriginSet

__all__ = [
    "NONCE",
    "ClientAddress",
    "ConfigurationError",
    "CorsDecision",
    "CorsPolicy",
    "ObservedOrigin",
    "ObservedVerdict",
    "Origin",
    "OriginDenied",
    "OriginPolicy",
    "OriginSet",
    "OriginVerdict",
    "SecurityHeaders",
    "UsageError",
    "new_nonce",
]
