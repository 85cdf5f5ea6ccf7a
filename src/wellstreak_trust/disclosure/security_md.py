"""SECURITY.md out of the same object as security.txt, so that the two cannot disagree."""

from __future__ import annotations

from .security_txt import SecurityTxt
from .ticket import DisclosurePolicy

__all__ = ["security_md"]


def security_md(
    security_txt: SecurityTxt, policy: DisclosurePolicy | None = None, *, product: str = "this product"
) -> str:
    """The Markdown text of a repository's SECURITY.md.

    Args:
        policy: what reporters are promised.
        product: its name, for the first sentence.
    """
    promised = policy or DisclosurePolicy()
    where = "\n".join(f"* <{uri}>" for uri in security_txt.contact)
    keys = "".join(f"\nEncrypt with <{uri}>.\n" for uri in security_txt.encryption)
    thanks = "".join(f"\nThose who helped are named at <{uri}>.\n" for uri in security_txt.acknowledgments)
    rules = "".join(f"\nThe whole policy: <{uri}>.\n" for uri in security_txt.policy)
    return f"""# Security

Please report a weakness of {product} to one of these, most preferred first, and not in a public issue:

{where}
{keys}
Say how to reproduce it, which route or component it affects, and how far it reaches (your own tenant, other tenants,
the platform). You hear from us within {promised.acknowledge} working days, and every {promised.status.days} days
after that. We ask for {promised.embargo.days} days of silence, or less where a fix is out.
{thanks}{rules}
These contacts were reviewed; they are good until {security_txt.ends_at:%Y-%m-%d}.
"""
