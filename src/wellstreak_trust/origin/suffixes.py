"""Names under which strangers register: a wildcard over one of them would trust everybody.

With the ``publicsuffixlist`` package installed its list decides; the table here holds the common ones.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, Final

__all__ = ["KNOWN", "is_public_suffix"]

KNOWN: Final = frozenset(
    """co.uk org.uk ac.uk gov.uk me.uk com.au net.au org.au co.nz co.jp ne.jp or.jp co.kr co.in co.za com.br com.cn
    com.mx com.tr com.sg com.hk com.tw com.ar co.il github.io gitlab.io herokuapp.com vercel.app netlify.app pages.dev
    workers.dev web.app firebaseapp.com azurewebsites.net cloudfront.net amazonaws.com appspot.com run.app fly.dev
    onrender.com ngrok.io ngrok-free.app blogspot.com surge.sh glitch.me repl.co replit.app streamlit.app deno.dev
    r2.dev azurestaticapps.net""".split()
)


def is_public_suffix(zone: str) -> bool:
    """Whether `zone` is a single label or a name below which anybody may register."""
    if "." not in zone or zone in KNOWN:
        return True
    full = _full_list()
    return full is not None and bool(full.is_public(zone))


@cache
def _full_list() -> Any:
    try:
        return import_module("publicsuffixlist").PublicSuffixList()
    except ImportError:
        return None
