"""``request.user`` for those who ask Django's way: the principal whom the guard let in."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from ...core.principal import Principal
from .middleware import visit_of

__all__ = ["TrustUser"]


class TrustUser:
    """The user of a request: nobody until the guard let somebody in, and never a row of Django's user table.

    `has_perm` asks the policy, by the names of its catalogue.
    """

    is_active = True
    is_superuser = False

    def __init__(self, request: HttpRequest) -> None:
        self._request: HttpRequest = request

    @property
    def principal(self) -> Principal | None:
        """Who acts; None for a public route."""
        grant = visit_of(self._request).grant
        return grant.principal if grant is not None else None

    @property
    def is_authenticated(self) -> bool:
        """Whether the guard let this request in."""
        return self.principal is not None

    @property
    def is_anonymous(self) -> bool:
        """The opposite."""
        return self.principal is None

    @property
    def is_staff(self) -> bool:
        """As `is_authenticated`: who may enter the admin is the guard's matter."""
        return self.is_authenticated

    @property
    def id(self) -> str | None:
        """The principal's."""
        principal = self.principal
        return principal.id if principal is not None else None

    @property
    def pk(self) -> Any:
        """The principal's id, as throttles and caches ask for it."""
        return self.id

    def get_username(self) -> str:
        """The principal's id, or nothing."""
        return self.id or ""

    def has_perm(self, permission: str, resource: object = None) -> bool:
        """Whether the policy allows it."""
        visit = visit_of(self._request)
        if visit.grant is None:
            return False
        return visit.edge.trust.policy.check(visit.grant.subject, permission, resource).allowed is True

    def has_perms(self, permissions: list[str], resource: object = None) -> bool:
        """Whether the policy allows all of them."""
        return all(self.has_perm(permission, resource) for permission in permissions)

    def has_module_perms(self, label: str) -> bool:
        """False: the policy knows no applications."""
        return False

    def has_usable_password(self) -> bool:
        """False: passwords, if any, are not Django's."""
        return False

    def __str__(self) -> str:
        return self.get_username()
