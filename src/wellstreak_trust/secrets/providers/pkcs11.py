"""A key-encryption key in a hardware security module, over PKCS#11: AES-GCM with the context as associated data.

The key never leaves the token: make it with ``CKA_SENSITIVE`` true and ``CKA_EXTRACTABLE`` false. Sessions are neither
shared by threads nor inherited by forked children, so calls take turns and a child opens its own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from ...core.entropy import SYSTEM_ENTROPY
from ...core.errors import ConfigurationError, TrustError
from ...core.secret import Secret
from ..keyring import KeyContext, KeyStatus
from .faults import Faults
from .local import bound

__all__ = ["Pkcs11Provider"]

T = TypeVar("T")

_SAYS: Final = Faults("PKCS#11")
_NONCE: Final = 12
_TAG: Final = 16


class Pkcs11Provider:
    """An AES-256 key on a token; uri ``pkcs11:<token>/<key>``.

    Random nonces under one key: rotate the KEK long before 2^32 tenants have been wrapped (NIST SP 800-38D, 8.3).

    Args:
        library: path of the module's shared library. token, key: their labels. pin: the user PIN.

    Raises:
        MissingExtra: python-pkcs11 is not installed. ConfigurationError: the library cannot be loaded.
    """

    blocking: bool = True

    def __init__(self, library: str, *, token: str, key: str, pin: str | Secret[str]) -> None:
        try:
            import pkcs11
        except ImportError:
            raise _SAYS.missing("python-pkcs11", "pkcs11") from None
        try:
            self._library: Any = pkcs11.lib(library)
        except (RuntimeError, OSError) as error:  # python-pkcs11's own errors are RuntimeErrors
            raise ConfigurationError(
                f"the PKCS#11 module cannot be loaded ({type(error).__name__})", hint="its path", reason="kek"
            ) from None
        self._token: str = token
        self._label: str = key
        self._pin: Secret[str] = pin if isinstance(pin, Secret) else Secret(pin)
        self._turn: threading.Lock = threading.Lock()
        self._process: int = os.getpid()
        self._session: Any = None
        self.uri: str = f"pkcs11:{token}/{key}"

    def wrap(self, key: bytes, context: KeyContext, /) -> bytes:
        """Nonce and ciphertext. Raises `KeyUnavailable`, `KeyDisabled`, `KeyUnknown`."""
        return self._told(lambda held: _sealed(held, key, bound(context).encode()))

    def unwrap(self, blob: bytes, context: KeyContext, /) -> bytes:
        """Raises as `wrap`, and `SecretTampered`."""
        if len(blob) <= _NONCE + _TAG:
            raise _SAYS.tampered()
        return self._told(lambda held: _opened(held, blob, bound(context).encode()))

    def status(self) -> KeyStatus:
        """Encrypts and decrypts a block on the token."""
        try:
            self._told(_probe)
        except TrustError as error:
            return KeyStatus.of(self.uri, error)
        return KeyStatus(self.uri, "ready")

    def _told(self, work: Callable[[Any], T]) -> T:
        """Runs `work` over the key's handle; the module's errors as ours."""
        if self._process != os.getpid():  # the lock may be held by a thread that does not exist here
            self._process, self._turn, self._session = os.getpid(), threading.Lock(), None
            self._library.reinitialize()
        return _SAYS.told(self._fault, lambda: self._in_turn(work))

    def _in_turn(self, work: Callable[[Any], T]) -> T:
        with self._turn:
            return work(self._key())

    def _fault(self, error: Exception) -> TrustError | None:
        import pkcs11

        if isinstance(error, TrustError):
            return error
        if isinstance(error, pkcs11.NoSuchKey | pkcs11.NoSuchToken):
            return _SAYS.unknown("the labels")
        if isinstance(error, pkcs11.PinIncorrect | pkcs11.PinLocked | pkcs11.PinExpired | pkcs11.PinInvalid):
            return _SAYS.unavailable("the PIN is refused", retryable=False)
        if isinstance(error, pkcs11.FunctionRejected | pkcs11.KeyTypeInconsistent | pkcs11.MechanismInvalid):
            return _SAYS.disabled(type(error).__name__, "CKA_ENCRYPT and CKA_DECRYPT of an AES key")
        self._session = None  # the token is gone, or the session is dead: the next call opens another
        return None

    def _key(self) -> Any:
        if self._session is None:
            import pkcs11

            token = self._library.get_token(token_label=self._token)
            try:
                self._session = token.open(user_pin=self._pin.reveal())
            except pkcs11.UserAlreadyLoggedIn:  # sign-in is the application's: another provider of this token was first
                self._session = token.open()
        return self._session.get_key(label=self._label)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.uri!r})"


def _sealed(held: Any, key: bytes, aad: bytes) -> bytes:
    nonce = SYSTEM_ENTROPY.octets(_NONCE)
    return nonce + bytes(held.encrypt(key, **_gcm(nonce, aad)))


def _opened(held: Any, blob: bytes, aad: bytes) -> bytes:
    import pkcs11

    try:
        return bytes(held.decrypt(blob[_NONCE:], **_gcm(blob[:_NONCE], aad)))
    except (pkcs11.EncryptedDataInvalid, pkcs11.EncryptedDataLenRange, pkcs11.DataInvalid):
        raise _SAYS.tampered() from None
    except (pkcs11.GeneralError, pkcs11.FunctionFailed):
        # Some modules say no more of a tag that does not verify than of a device that fails: so ask them once more.
        _probe(held)
        raise _SAYS.tampered() from None


def _probe(held: Any) -> None:
    gcm = _gcm(SYSTEM_ENTROPY.octets(_NONCE), b"probe")
    held.decrypt(held.encrypt(bytes(_TAG), **gcm), **gcm)


def _gcm(nonce: bytes, aad: bytes) -> dict[str, Any]:
    import pkcs11

    parameters = pkcs11.GCMParams(nonce=nonce, aad=aad, tag_bits=_TAG * 8)
    return {"mechanism": pkcs11.Mechanism.AES_GCM, "mechanism_param": parameters}
