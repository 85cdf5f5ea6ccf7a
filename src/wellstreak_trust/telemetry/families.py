"""The families that this package counts: what each means, for bridges and for the manual."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["FAMILIES", "meaning"]

FAMILIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "wst.guard.refused": "Requests that the guard refused, by code",
        "wst.guard.no_address": "Requests without a usable client address",
        "wst.authz.decisions": "Decisions of the policy, by outcome, permission and code",
        "wst.identity.authentications": "Credentials judged, by method, outcome and code",
        "wst.ratelimit.verdicts": "Verdicts of limits, by rule, outcome and whether the store was lost",
        "wst.ratelimit.attempts": "Attempts at secrets, by guard and outcome",
        "wst.ratelimit.circuit": "Times the limit store was lost or came back",
        "wst.ratelimit.shed": "Work refused by an overloaded worker, by importance",
        "wst.webhook.verified": "Webhooks judged, by provider, outcome and reason",
        "wst.secrets.access": "Uses of the secret store, by operation and outcome",
        "wst.audit.dropped": "Events that could not be recorded, by criticality",
        "wst.workflow.runs": "Workflow runs that changed their state, by workflow and state",
        "wst.workflow.steps": "Steps of workflow runs, by workflow",
        "wst.disclosure.reports": "Vulnerability reports that changed their state",
    }
)


def meaning(name: str) -> str:
    """What a family counts; the name itself for those of the host."""
    return FAMILIES.get(name, name)
