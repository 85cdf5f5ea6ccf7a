"""The Django app that brings the tables."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["WorkspacesConfig"]


class WorkspacesConfig(AppConfig):
    """Workspaces, memberships, invitations and the outbox of their events."""

    name = "wellstreak_trust.adapters.django.workspaces"
    label = "wellstreak_workspaces"
