"""Twilio and Mandrill: the public URL and the form's fields, sorted and run together.

https://www.twilio.com/docs/usage/security#validating-requests,
https://mailchimp.com/developer/transactional/guides/track-respond-activity-webhooks/#authenticating-webhook-requests

Twilio's back end signs the URL sometimes with and sometimes without the default port, so both are tried. A body that is
no form is bound by its hash in the signed query (``bodySHA256``); where that stands, the hash is always compared.
Names and values are signed without borders between them, which is the provider's choice: do not let the *name* of a
parameter decide anything that its value does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import Any, ClassVar, Final

from ...core.errors import SignatureMismatch
from ..rule import Arrived, Proof, Rule, matched
from ..scheme import Mac, Scheme
from .forms import pairs

__all__ = ["SCHEMES", "addresses", "joined"]

_AUTHORITY: Final = re.compile(r"(https?)://([^/?#:\[\]]+|\[[0-9a-f:.]+\])(:\d+)?(.*)", re.IGNORECASE | re.DOTALL)
_HASH: Final = re.compile(r"[?&]bodySHA256=([^&#]*)")
_PORTS: Final = {"https": ":443", "http": ":80"}


@dataclass(frozen=True, slots=True)
class FormRule(Rule):
    """URL and sorted form.

    Args:
        header, mac: of the scheme.
        ports: whether the URL is also tried with and without its port.
        each: whether every distinct value of a name is signed, or the last one.
    """

    content: ClassVar[str] = "{url} and the form's names and values, sorted; JSON by bodySHA256 in {url}"
    signed: ClassVar[frozenset[str]] = frozenset(("url", "body"))
    needs_url: ClassVar[bool] = True

    header: str
    mac: Mac
    ports: bool = True

    def prove(self, keys: Sequence[Any], arrived: Arrived) -> Proof:
        """See `Rule`."""
        signature = arrived.headers.get(self.header.lower(), "")
        hashes = _HASH.findall(arrived.url) if self.ports else []
        tail = "" if hashes else joined(pairs(arrived.body))
        urls = addresses(arrived.url) if self.ports else (arrived.url,)
        key, _ = matched(keys, self.mac, ((url + tail).encode() for url in urls), signature)
        digest = sha256(arrived.body).hexdigest().encode()
        if not all(compare_digest(digest, found.encode()) for found in hashes):
            raise SignatureMismatch("the body is not the one whose hash was signed")
        return Proof(key.id, (urls[0] + tail).encode())


def joined(found: Iterable[tuple[str, str]]) -> str:
    """Every distinct pair once, by name, then value."""
    return "".join(name + value for name, value in sorted(set(found)))


def addresses(url: str) -> tuple[str, ...]:
    """The URL without and with a port."""
    parts = _AUTHORITY.fullmatch(url)
    if parts is None:
        return (url,)
    scheme, host, port, tail = parts[1], parts[2], parts[3], parts[4]
    return f"{scheme}://{host}{tail}", f"{scheme}://{host}{port or _PORTS[scheme.lower()]}{tail}"


def _scheme(name: str, header: str, algorithm: str = "hmac-sha1", *, ports: bool = True, **more: Any) -> Scheme:
    mac = Mac(algorithm, "base64")  # type: ignore[arg-type]  # one of the literals, given below
    return Scheme(name, (header,), mac=mac, rule=FormRule(header, mac, ports), **more)


SCHEMES: Final = (
    _scheme("twilio", "X-Twilio-Signature", confirmed="vector"),
    # The header that announces this algorithm is not signed, so it is chosen by configuration.
    _scheme("twilio_sha256", "X-Twilio-Signature", "hmac-sha256", confirmed="peer"),
    _scheme("mandrill", "X-Mandrill-Signature", ports=False, challenge="head"),
)
