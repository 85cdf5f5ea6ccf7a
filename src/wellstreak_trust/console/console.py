"""`Console`: one read-only page over the parts of a host, for its operators.

A request names a section and asks it by GET parameters. Each section reads one part and gives one piece of markup; the
console puts the frame around it. What goes wrong is told on the page and nowhere else: a parameter that cannot be is a
400 beside its form, a part that cannot be read is a 503 that says which one, and on the overview the other parts are
still shown.

The page shows what all tenants own, so it is for the platform alone: a grant that was given inside a tenant is refused.
There is no script, nothing is loaded, and the one style sheet is named by its digest in the page's own policy.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from ..core.clock import Clock, SystemClock
from ..core.errors import ConfigurationError, NotFound, TrustError
from ..core.markup import Markup, joined, tag
from ..core.sansio import suspends, synced
from ..guard import Grant, Operation
from . import anomalies, links, overview, reports, trail, upkeep, work
from .asked import Asked, AskedWrongly
from .frame import document
from .parts import Parts, View
from .style import POLICY
from .widgets import notice

if TYPE_CHECKING:
    from ..audit import AuditLog
    from ..connections import Connections
    from ..disclosure import DisclosureIntake
    from ..ratelimit import RateLimiter
    from ..secrets import KeyChain, SecretStore
    from ..telemetry import WorkflowRuns

__all__ = ["VIEW_OPERATIONS", "Console", "ConsolePage"]

VIEW_OPERATIONS: Final = Operation("operations.view", "operations:view", audit="operations.viewed")
"""Guards the page: its permission needs ``scope = "platform"`` in the policy, and every read is recorded."""

_LOG: Final = logging.getLogger(__name__)
_HEADERS: Final = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", POLICY),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
)

Show = Callable[[Parts, Asked, View], Awaitable[Markup]]


class _Section(NamedTuple):
    """A page: its title, what it reads, how it is shown, and below which entry of the navigation it stands."""

    title: str
    needs: str
    show: Show
    below: str = ""


_SECTIONS: Final[dict[str, _Section]] = {
    "": _Section("Overview", "", overview.show),
    "connections": _Section("Connections", "connections", links.show),
    "connection": _Section("Connection", "connections", links.show_one, "connections"),
    "runs": _Section("Workflow runs", "runs", work.show),
    "anomalies": _Section("Anomalies", "audit", anomalies.show),
    "audit": _Section("Audit trail", "audit", trail.show),
    "event": _Section("Event", "audit", trail.show_one, "audit"),
    "limits": _Section("Limits", "limiter", upkeep.show_limits),
    "secrets": _Section("Keys and secrets", "secrets", upkeep.show_secrets),
    "reports": _Section("Disclosure", "reports", reports.show),
}


@dataclass(frozen=True, slots=True)
class ConsolePage:
    """An answer, ready for any framework."""

    status: int
    headers: tuple[tuple[str, str], ...]
    html: str


class Console:
    """The page of one host; a part that is not given has no section.

    Args:
        connections, runs, audit, limiter, secrets, reports: what is shown. With `audit` there are two sections, the
            trail and its anomalies.
        keys: the key chain of `secrets`, whose providers are asked for their state when that section is opened.
        title: stands at the top of every page.

    Raises:
        ConfigurationError: no part at all.
    """

    def __init__(
        self,
        *,
        connections: Connections | None = None,
        runs: WorkflowRuns | None = None,
        audit: AuditLog | None = None,
        limiter: RateLimiter | None = None,
        secrets: SecretStore | None = None,
        keys: KeyChain | None = None,
        reports: DisclosureIntake | None = None,
        clock: Clock | None = None,
        title: str = "Operations",
    ) -> None:
        self._parts: Parts = Parts(connections, runs, audit, limiter, secrets, keys, reports)
        self._clock: Clock = clock or SystemClock()
        self._title: str = title
        held = [part for part in (connections, runs, audit, limiter, secrets, reports) if part is not None]
        if not held:
            raise ConfigurationError(
                "a console without parts", hint="Console(connections=..., audit=..., ...)", reason="console"
            )
        self.suspends: bool = suspends(*held)

    async def apage(self, path: str, query: str, grant: Grant) -> ConsolePage:
        """One page.

        Args:
            path: the name behind the address the console is mounted at; empty for the overview.
            query: the query string, as sent.
            grant: of `VIEW_OPERATIONS`, or of an operation of the host's own with a permission of the platform.

        Raises:
            ConfigurationError: a grant that was given inside a tenant, who must not see the others.
        """
        principal = grant.principal
        if grant.tenant is not None or principal is None:
            raise ConfigurationError(
                "the operator page was opened by a grant inside a tenant",
                hint='[permissions."operations:view"] scope = "platform"',
                reason="console_scope",
            )
        view = View(self._clock.now(), principal, self._title)
        section = _SECTIONS.get(path)
        if section is None or not self._has(section):
            return self._framed(
                404, path, "Not found", notice("There is no such page.", "Take one of those above."), view
            )
        status, body = await self._shown(section, query, view)
        return self._framed(status, section.below or path, section.title, body, view)

    page: Final = synced(apage)

    async def _shown(self, section: _Section, query: str, view: View) -> tuple[int, Markup]:
        try:
            asked = Asked(query)
            return 200, await section.show(self._parts, asked, view)
        except AskedWrongly as wrong:
            return 400, joined((wrong.form, notice("That cannot be shown.", wrong.told)))
        except NotFound:
            return 404, notice("There is nothing of that name.", "It may have been removed.")
        except TrustError as error:
            _LOG.warning("operator page: %s [%s] %s", section.title, error.code, error.detail)
            return 503, notice(f"{section.title} cannot be read.", tag("code", error.code), "bad")
        except Exception:  # a driver's own error must not take the page, or its text, to the browser
            _LOG.exception("operator page: %s", section.title)
            return 503, notice(f"{section.title} cannot be read.", "The log says why.", "bad")

    def _framed(self, status: int, here: str, heading: str, body: Markup, view: View) -> ConsolePage:
        places = [(path, s.title) for path, s in _SECTIONS.items() if not s.below and self._has(s)]
        return ConsolePage(status, _HEADERS, document(heading, body, places, here, view))

    def _has(self, section: _Section) -> bool:
        return not section.needs or getattr(self._parts, section.needs) is not None
