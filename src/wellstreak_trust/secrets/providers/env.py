"""A key-encryption key as text, for platforms that hand secrets to a process through its environment."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from ...core.canonical import length_prefixed
from ...core.errors import ConfigurationError
from ...core.secret import Secret
from .local import LocalKey, decoded_key, parsed_document

__all__ = ["EnvKeyProvider"]


class EnvKeyProvider(LocalKey):
    """A local key that was given as text: the content of a key file, or the base64 of its 64 bytes alone.

    A bare key has no id of its own and gets one derived from it, so that rows name their key and the key can be
    rotated like any other. With a key file's content the uri is that of the file: the two are one key.

    Args:
        text: str or `Secret`.

    Raises:
        ConfigurationError: neither of the two; never shows the text.
    """

    __slots__ = ()

    def __init__(self, text: str | Secret[str]) -> None:
        plain = (text.reveal() if isinstance(text, Secret) else text).strip()
        if plain.startswith("{"):
            super().__init__(*parsed_document(plain))
        else:
            material = decoded_key(plain)
            super().__init__(derived_id(material), material)

    @classmethod
    def from_env(cls, name: str, environ: Mapping[str, str]) -> EnvKeyProvider:
        """Reads the variable `name` of `environ` (``os.environ``); raises `ConfigurationError` where it is not set."""
        text = environ.get(name)
        if not text:
            raise ConfigurationError(
                f"{name} is not set",
                hint="set it to the content of a key file, such as generate(path) makes",
                reason="kek",
            )
        return cls(text)


def derived_id(material: bytes) -> str:
    """The id of a bare key: 64 bits of a MAC under the key itself, which tell nothing about it."""
    return "k_" + hmac.digest(material, length_prefixed("wellstreak-trust/kek-id/v1"), "sha512")[:8].hex()
