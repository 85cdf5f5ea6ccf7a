"""The families that this package counts: what each means, for bridges and for the manual."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["FAMILIES", "meaning"]

FAMILIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "wst.guard.refused": "Requests that the guard refused, by code",
        "wst.guard.rehearsed": "Requests that a rehearsal judged, by operation, outcome and code",
        "wst.guard.no_address": "Requests without a usable client address",
        "wst.authz.decisions": "Decisions of the policy, by outcome and permission",
        "wst.authz.evaluation_errors": "Conditions that could not be evaluated",
        "wst.origin.observed": "Requests that an observed origin policy would have refused, by reason",
        "wst.limits.unrefunded": "Charges that could not be given back",
        "wst.ratelimit.verdicts": "Verdicts of limits, by rule, outcome and whether the store was lost",
        "wst.ratelimit.attempts": "Attempts at secrets, by guard and outcome",
        "wst.ratelimit.circuit": "Times the limit store was lost or came back",
        "wst.ratelimit.shed": "Work refused by an overloaded worker, by importance",
        "wst.webhook.observed": "Webhooks that an observer judged, by provider, outcome and step",
        "wst.audit.events": "Events that the trail took, by action and outcome",
        "wst.audit.refused": "Events that the trail did not take, by action and error",
        "wst.audit.dropped": "Events that the guard could not record, by criticality",
        "wst.workflow.runs": "Workflow runs that changed their state, by workflow and state",
        "wst.workflow.steps": "Steps of workflow runs, by workflow",
    }
)


def meaning(name: str) -> str:
    """What a family counts; the name itself for those of the host."""
    return FAMILIES.get(name, name)
