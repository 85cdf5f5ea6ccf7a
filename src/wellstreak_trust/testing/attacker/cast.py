"""Who takes part: people of two tenants or more, how the host names a tenant, webhooks, sign-in and bursts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Burst", "Naming", "Person", "SignIn", "WebhookTarget"]

_CREDENTIALS: Final = ("cookie", "authorization")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a working credential.

    Args:
        name: what reports call them.
        tenant: the tenant they belong to; None for operators of the platform.
        headers: the header lines that are their credential: ``{"Cookie": "session=..."}``.
        roles: theirs in that tenant (of the platform, for operators), to know what must be denied.
        id: their principal's id, where it is not the name.
    """

    name: str
    tenant: str | None
    headers: Mapping[str, str] = field(repr=False)
    roles: Collection[str] = ()
    id: str = ""

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies of the credential, by name."""
        line = next((value for name, value in self.headers.items() if name.lower() == "cookie"), "")
        pairs = (part.strip().partition("=") for part in line.split(";"))
        return {name: value for name, mark, value in pairs if mark}

    @property
    def bearer(self) -> str | None:
        """The token of ``Authorization: Bearer``, or None."""
        line = next((value for name, value in self.headers.items() if name.lower() == "authorization"), "")
        scheme, _, token = line.partition(" ")
        return token if scheme.lower() == "bearer" and token else None

    @property
    def secrets(self) -> list[str]:
        """What no report may show."""
        others = [value for name, value in self.headers.items() if name.lower() not in _CREDENTIALS]
        bare = self.bearer
        return [value for value in (*self.cookies.values(), *([bare] if bare else []), *others) if value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """How a genuine request of this host names its tenant. All empty: the credential alone does.

    Args:
        parameters: names of path parameters that hold the tenant.
        host: ``{tenant}.app.example.com``.
        header: such as ``X-Tenant-Id``.
    """

    parameters: Collection[str] = ("tenant", "tenant_id", "workspace", "workspace_id", "org", "organisation")
    host: str = ""
    header: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """How somebody signs in and out, to try what becomes of sessions.

    Args:
        person: whose sign-in it is: a name among the people, whose routes the session is tried on.
        sign_in: given further header lines to send along, signs in and returns the credential's header lines.
        sign_out: given these lines, signs out.
    """

    person: str
    sign_in: Callable[[Mapping[str, str]], Mapping[str, str]]
    sign_out: Callable[[Mapping[str, str]], object]


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """A webhook of the host.

    Args:
        path: where the provider delivers.
        provider: a scheme's name (`webhooks.schemes()`).
        secret: what the provider signs with.
        body: makes the bytes of a fresh event; None for a sample that fits the scheme.
        effects: counts what the host has done with events so far. Without it a replay cannot be judged.
        url: the public URL, where the provider signs it.
    """

    path: str
    provider: str
    secret: str = field(repr=False)
    body: Callable[[], bytes] | None = None
    effects: Callable[[], int] | None = None
    url: str | None = None

    @property
    def place(self) -> str:
        """What reports call it."""
        return f"POST {self.path}"


@dataclass(frozen=True, slots=True)
class Burst:
    """A limit to be spent on purpose.

    Args:
        place: the route, such as ``GET /w/{tenant}/members``; it must be benign.
        limit: how many a tenant may send.
        per: in how many seconds.
    """

    place: str
    limit: int
    per: float = 60.0
