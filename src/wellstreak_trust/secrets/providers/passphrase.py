"""A key-encryption key in a file that opens with a passphrase, for machines where a person starts the service.

The key is random; argon2id (RFC 9106) turns the passphrase into the key of an envelope around it. So the passphrase can
change without wrapping anything anew, and the file alone is worth as much as the passphrase is long.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from typing import Any, Final

from ...core.clock import Clock, SystemClock, rfc3339
from ...core.entropy import SYSTEM_ENTROPY, random_hex
from ...core.errors import ConfigurationError, IntegrityError, UsageError
from ...core.secret import Secret
from ..envelope import KEY_BYTES, EnvelopeContext, EnvelopeKey, from_text, open, seal, to_text
from .files import created, read, refusal
from .local import LocalKey, document

__all__ = ["PassphraseKeyProvider"]

_FORMAT: Final = "wellstreak-trust/kek-passphrase/v1"
_FIELDS: Final = frozenset(("format", "id", "created_at", "salt", "time_cost", "memory_kib", "lanes", "key"))
_SHORTEST: Final = 12
_SALT: Final = 16
# What a file may ask for: an edited one must not eat the machine, nor make guessing cheap.
_TIME: Final = range(1, 17)
_MEMORY_KIB: Final = range(19_456, 2**21 + 1)  # OWASP's least, and 2 GiB
_LANES: Final = range(1, 17)


class PassphraseKeyProvider(LocalKey):
    """A local key whose file opens with a passphrase; uri ``local:<id>``."""

    __slots__ = ()

    @classmethod
    def generate(
        cls,
        path: str | os.PathLike[str],
        passphrase: str | Secret[str],
        *,
        time_cost: int = 3,
        memory_kib: int = 65_536,
        lanes: int = 4,
        clock: Clock | None = None,
    ) -> PassphraseKeyProvider:
        """Makes a key and its file, mode 0600; a file that exists is never touched.

        Args:
            passphrase: at least 12 characters.
            time_cost, memory_kib, lanes: argon2id's; the defaults are the second choice of RFC 9106, 4.

        Raises:
            ConfigurationError: the file exists or cannot be written, or the passphrase is too short.
        """
        held = _held(passphrase)
        del passphrase
        material = Secret(SYSTEM_ENTROPY.octets(KEY_BYTES))
        stated: dict[str, Any] = {
            **{"format": _FORMAT, "id": f"k_{random_hex(8)}", "created_at": rfc3339((clock or SystemClock()).now())},
            **{"time_cost": time_cost, "memory_kib": memory_kib, "lanes": lanes},
        }
        created(path, Secret(json.dumps(_locked(stated, material, held))))
        return cls(stated["id"], material.reveal())

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], passphrase: str | Secret[str]) -> PassphraseKeyProvider:
        """Opens a file; takes as long as argon2id does.

        Raises:
            ConfigurationError: missing, readable by others, no such document, or another passphrase.
        """
        held = _held(passphrase)
        del passphrase
        found = document(read(path).reveal(), _FORMAT, _FIELDS)
        return cls(found["id"], _unlocked(found, held).reveal())

    @classmethod
    def change(
        cls,
        path: str | os.PathLike[str],
        passphrase: str | Secret[str],
        into: tuple[str | os.PathLike[str], str | Secret[str]],
    ) -> PassphraseKeyProvider:
        """The same key in a new file under another passphrase; remove the old file when the new one is in its place.

        Args:
            into: path and passphrase of the new file.

        Raises:
            ConfigurationError: as `from_file` and `generate`.
        """
        held, to, fresh = _held(passphrase), into[0], _held(into[1])
        del passphrase, into
        found = document(read(path).reveal(), _FORMAT, _FIELDS)
        material = _unlocked(found, held)
        created(to, Secret(json.dumps(_locked(found, material, fresh))))
        return cls(found["id"], material.reveal())


def _held(passphrase: str | Secret[str]) -> Secret[str]:
    return passphrase if isinstance(passphrase, Secret) else Secret(passphrase)


def _locked(stated: dict[str, Any], material: Secret[bytes], passphrase: Secret[str]) -> dict[str, Any]:
    fresh = {**stated, "salt": b64encode(SYSTEM_ENTROPY.octets(_SALT)).decode("ascii")}
    sealed = seal(_derived(fresh, passphrase), material.reveal(), _context(fresh["id"]))
    return {**fresh, "key": to_text(sealed)}


def _unlocked(found: dict[str, Any], passphrase: Secret[str]) -> Secret[bytes]:
    derived = _derived(found, passphrase)
    try:
        return Secret(open(derived, from_text(found["key"]), _context(found["id"])))
    except (IntegrityError, UsageError):
        raise refusal("the passphrase does not open the key file", "another passphrase, or another file") from None


def _derived(found: dict[str, Any], passphrase: Secret[str]) -> EnvelopeKey:
    from argon2.exceptions import HashingError  # here, because few processes need it
    from argon2.low_level import Type, hash_secret_raw

    if len(passphrase.reveal()) < _SHORTEST:
        raise refusal(f"a passphrase has at least {_SHORTEST} characters", "five random words")
    salt = _checked(found, "salt")
    time, memory, lanes = (_checked(found, name) for name in ("time_cost", "memory_kib", "lanes"))
    try:
        plain = Secret(passphrase.reveal().encode())
        return EnvelopeKey(hash_secret_raw(plain.reveal(), salt, time, memory, lanes, KEY_BYTES, Type.ID))
    except HashingError:
        fault = refusal("argon2id could not run", "a machine with more memory, or a file that asks for less")
    except UnicodeEncodeError:  # raised out here: a codec's own error holds the text
        fault = refusal("a passphrase with a lone surrogate", "type it in a UTF-8 locale")
    raise fault


def _checked(found: dict[str, Any], name: str) -> Any:
    value = found[name]
    try:
        if name == "salt":
            octets = b64decode(value, validate=True)
            if len(octets) == _SALT:
                return octets
        elif type(value) is int and value in {"time_cost": _TIME, "memory_kib": _MEMORY_KIB, "lanes": _LANES}[name]:
            return value
    except (ValueError, TypeError):
        pass
    raise _out_of_bounds(name)


def _out_of_bounds(name: str) -> ConfigurationError:
    return refusal(f"{name} is out of bounds", "the file was edited")


def _context(key_id: object) -> EnvelopeContext:
    return EnvelopeContext("", "", str(key_id), 1, "kek")
