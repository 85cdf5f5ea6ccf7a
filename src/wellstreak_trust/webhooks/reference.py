"""The scheme table of the manual, written from the schemes themselves::

python -m wellstreak_trust.webhooks.reference > docs/reference/webhook-schemes.md
"""

from __future__ import annotations

import sys
from typing import Final

from .scheme import Mac, Pairs, Scheme
from .schemes import lookup, schemes
from .sources import CODE, SOURCES

__all__ = ["page"]

_HEAD: Final = """\
# Webhook schemes

What `webhooks.verifier(name, secrets)` knows, written from the schemes themselves by
`python -m wellstreak_trust.webhooks.reference`.

*Content* is what the signature is made over. *Signed* names what of body, URL, timestamp and id an accepted delivery
binds; whatever is not named there, somebody who has seen one delivery may change. *Time* is where the timestamp stands,
its unit, and the tolerance in seconds (past / future); without one, freshness comes from the replay guard alone. An
*id* in italics is not signed: a label for logs, never a key. *Source* is where the provider documents it, *confirmed*
what the row was checked against: a published `vector`, a live `peer` library in the tests, public `code` (linked), or
the provider's `docs` alone.

| name | signature header | content | signed | algorithm | secret | time | id | handshake | source | confirmed |
|--|--|--|--|--|--|--|--|--|--|--|
"""


def page() -> str:
    """The whole page in Markdown."""
    return _HEAD + "".join(f"| {' | '.join(_cells(lookup(name)))} |\n" for name in schemes())


def _cells(scheme: Scheme) -> tuple[str, ...]:
    return (
        f"`{scheme.name}`",
        _headers(scheme),
        _content(scheme),
        ", ".join(name for name in ("body", "url", "timestamp", "id") if name in scheme.signed) or "nothing",
        "; ".join(f"{mac.tag + ': ' if scheme.also else ''}{mac.algorithm}, {mac.encoding}" for mac in scheme.macs),
        _secret(scheme),
        _time(scheme),
        _id(scheme),
        scheme.challenge,
        f"[docs]({SOURCES[scheme.name]})",
        f"[{scheme.confirmed}]({CODE[scheme.name]})" if scheme.name in CODE else scheme.confirmed,
    )


def _content(scheme: Scheme) -> str:
    if scheme.rule is not None:
        return scheme.rule.content.replace("|", "\\|")
    return f"`{scheme.content}`" if scheme.content else "none: a shared token"


def _secret(scheme: Scheme) -> str:
    if scheme.rule is not None and scheme.rule.configured:
        return scheme.rule.configured.replace("|", "\\|")
    return "; ".join(mac.codec for mac in scheme.macs)


def _headers(scheme: Scheme) -> str:
    if not scheme.headers:
        return "in the body"
    first, *more = scheme.headers
    names = first if not more else f"{first} … {more[-1]}"
    parser = scheme.parser
    if scheme.rule is not None:
        return names
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
