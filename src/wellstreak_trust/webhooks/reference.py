"""The scheme table of the manual, written from the schemes themselves::

python -m wellstreak_trust.webhooks.reference > docs/reference/webhook-schemes.md
"""

from __future__ import annotations

import sys
from typing import Final

from .scheme import Mac, Pairs, Scheme
from .schemes import lookup, schemes

__all__ = ["page"]

_HEAD: Final = """\
# Webhook schemes

What `webhooks.verifier(name, secrets)` knows, written from the schemes themselves by
`python -m wellstreak_trust.webhooks.reference`.

*Content* is what the signature is made over. *Time* is where the timestamp stands, its unit, and the tolerance in
seconds (past / future); without one, freshness comes from the replay guard alone. An *id* in italics is not signed: a
label for logs, never a key. *Confirmed* tells what the row was checked against: a published `vector`, a live `peer`
library, the provider's `docs`, or `memory` (not confirmed yet).

| name | signature header | content | algorithm | secret | time | id | handshake | confirmed |
|--|--|--|--|--|--|--|--|--|
"""


def page() -> str:
    """The whole page in Markdown."""
    return _HEAD + "".join(f"| {' | '.join(_cells(lookup(name)))} |\n" for name in schemes())


def _cells(scheme: Scheme) -> tuple[str, ...]:
    return (
        f"`{scheme.name}`",
        _headers(scheme),
        f"`{scheme.content}`" if scheme.content else "none: a shared token",
        "; ".join(f"{mac.tag + ': ' if scheme.also else ''}{mac.algorithm}, {mac.encoding}" for mac in scheme.macs),
        "; ".join(mac.codec for mac in scheme.macs),
        _time(scheme),
        _id(scheme),
        scheme.challenge,
        scheme.confirmed,
    )


def _headers(scheme: Scheme) -> str:
    first, *more = scheme.headers
    names = first if not more else f"{first} … {more[-1]}"
    parser = scheme.parser
    if isinstance(parser, Pairs):
        time = [f"{parser.timestamp}{parser.assign}…"] if parser.timestamp else []
        form = parser.separator.join([*time, *(_tagged(mac, parser) for mac in scheme.macs)])
    else:
        form = f"{parser.prefix}…{parser.separator + '…' if parser.separator else ''}"
    return names if form == "…" else f"{names}: `{form}`"


def _tagged(mac: Mac, parser: Pairs) -> str:
    return f"{mac.tag}{parser.assign}…"


def _time(scheme: Scheme) -> str:
    time = scheme.timestamp
    if time is None:
        return ""
    place = time.header or (f"body `{time.body}`" if time.body else "same header")
    return f"{place}, {time.unit}, {time.past} / {time.future}"


def _id(scheme: Scheme) -> str:
    if scheme.id is None:
        return ""
    place = scheme.id.header or f"body `{scheme.id.body}`"
    return place if "id" in scheme.signed else f"*{place}*"


if __name__ == "__main__":
    sys.stdout.write(page())
