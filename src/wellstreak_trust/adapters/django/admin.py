"""Django's admin behind the guard: `TrustAdminSite` for Django's ``AdminSite``, `TrustModelAdmin` for ``ModelAdmin``.

Who enters is the guard's matter, with its step-up, its limits and its trail; who may do what with which model is the
policy's; and each change is an event of the audit trail, in the change's own transaction: no event, no change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NoReturn, TypeVar, cast
from urllib.parse import urlencode

from django.contrib.admin import AdminSite, ModelAdmin
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase

from ...core.errors import InvalidCredential
from ...core.event import AuditEvent
from ...guard import Operation
from ...guard.trail import PLATFORM
from ..shared import Declaration
from .bodies import settled
from .middleware import visit_of
from .user import TrustUser
from .views import guarded, public

__all__ = ["Governed", "TrustAdminSite", "TrustModelAdmin"]

V = TypeVar("V", bound=Callable[..., HttpResponseBase])

Act = Literal["view", "add", "change", "delete"]

_TOLD: Final = {"add": "added", "change": "changed", "delete": "deleted"}


class AdminUser(TrustUser):
    """Whom the admin's templates greet. Without a key: Django's own log of the admin knows rows of its table alone."""

    @property
    def pk(self) -> Any:
        """None."""
        return None


class TrustAdminSite(AdminSite):
    """An admin site, every view of which goes through the guard.

    Args:
        operation: entering the admin. Ask for a step-up here: ``Operation(..., step_up=StepUp(aal=2, max_age=900))``.
        sign_in: where people are sent who have no session, or too weak a one, with ``?next=`` and the ``code`` of the
            refusal; without it they are answered 401.
        sign_out: where the button of that name sends its POST; without it there is none to go to.
    """

    def __init__(self, operation: Operation, name: str = "admin", *, sign_in: str = "", sign_out: str = "") -> None:
        super().__init__(name)
        self.declaration: Declaration = Declaration(operation=operation)
        self._operation: Operation = operation
        self._sign_in: str = sign_in
        self._sign_out: str = sign_out

    def admin_view(self, view: V, cacheable: bool = False) -> V:
        """Guards one view; Django's own protection against CSRF stays."""
        inner = super().admin_view(view, cacheable)

        def entered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            request.user = AdminUser(request)  # type: ignore[assignment]  # Django asks it, and it answers
            response: HttpResponseBase = inner(request, *args, **kwargs)
            return response

        guarded_view = guarded(self._operation)(entered)

        def sent_to_sign_in(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                return guarded_view(request, *args, **kwargs)
            except InvalidCredential as error:
                if not self._sign_in or request.method != "GET":
                    raise
                wanted = urlencode({"next": request.get_full_path(), "code": error.code})
                return HttpResponseRedirect(f"{self._sign_in}?{wanted}")

        return cast("V", sent_to_sign_in)

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether the guard let this request into this site."""
        grant = visit_of(request).grant
        return grant is not None and grant.operation is self._operation

    @public("it sends people to where they sign in")
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Sends people to the host's own page: nobody signs in to the admin alone."""
        if not self._sign_in:
            raise Http404
        return HttpResponseRedirect(self._sign_in)

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Hands the POST on to the host's own page, which ends the session."""
        if not self._sign_out:
            raise Http404
        return HttpResponse(status=307, headers={"Location": self._sign_out})

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> NoReturn:
        """Not here."""
        raise Http404

    def password_change_done(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> NoReturn:
        """Not here."""
        raise Http404


class Governed:
    """For a ``ModelAdmin`` or an inline: what may be done with its rows is what the policy says of `operations`.

    What has no operation is not allowed. Of each operation the permission and the step-up count; entering the admin
    has passed the other stages.
    """

    operations: ClassVar[Mapping[Act, Operation]] = {}

    def resource_of(self, obj: Any) -> Any:
        """What the policy judges about one row: nothing, for rows that are the platform's."""
        return None

    def _may(self, request: HttpRequest, act: Act, obj: Any = None) -> bool:
        operation, visit = self.operations.get(act), visit_of(request)
        if operation is None or visit.grant is None or visit.grant.principal is None:
            return False
        trust, step_up = visit.edge.trust, operation.step_up
        if step_up is not None and not step_up.met_by(visit.grant.principal, trust.clock.now()):
            return False
        resource = None if obj is None else self.resource_of(obj)
        return trust.policy.check(visit.grant.subject, operation.permission, resource).allowed is True

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether rows, or this one, may be seen; who may change them may."""
        return self._may(request, "view", obj) or self._may(request, "change", obj)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether rows may be added; `obj` is an inline's parent."""
        return self._may(request, "add")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether rows, or this one, may be changed."""
        return self._may(request, "change", obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether rows, or this one, may be deleted."""
        return self._may(request, "delete", obj)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whether the index lists the model."""
        return any(self._may(request, act) for act in self.operations)


if TYPE_CHECKING:
    _ModelAdmin = ModelAdmin[Any]  # generic for type checkers alone
else:
    _ModelAdmin = ModelAdmin


class TrustModelAdmin(Governed, _ModelAdmin):
    """A ``ModelAdmin`` whose rules are the policy's, and whose log is the audit trail.

    An event is named by its operation's `audit`, or by the operation itself. It tells which fields changed, never
    what they hold.
    """

    def tenant_of(self, obj: Any) -> str:
        """Whose trail an event belongs to: the row's `tenant_id`, else the platform's."""
        return str(getattr(obj, "tenant_id", "") or PLATFORM)

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Records an addition. Raises `AuditUnavailable`, and Django rolls back."""
        self._record(request, "add", [obj], message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Records a change; raises as above."""
        self._record(request, "change", [obj], message)

    def log_deletion(self, request: HttpRequest, obj: Model, object_repr: str) -> Any:
        """Records a deletion (before Django 5.1); raises as above."""
        self._record(request, "delete", [obj], ())

    def log_deletions(self, request: HttpRequest, queryset: Iterable[Model]) -> Any:
        """Records deletions; raises as above."""
        self._record(request, "delete", queryset, ())

    def _record(self, request: HttpRequest, act: Act, rows: Iterable[Model], message: Any) -> None:
        visit, operation = visit_of(request), self.operations.get(act)
        grant = visit.granted()
        fields = sorted(set(_fields_in(message)))
        for row in rows:
            event = AuditEvent(
                (operation.audit or operation.name) if operation is not None else f"admin.{_TOLD[act]}",
                "success",
                self.tenant_of(row),
                grant.principal or {"kind": "anonymous", "id": "anonymous"},
                targets=({"type": row._meta.label_lower, "id": str(row.pk)},),
                request={"id": grant.request_id, "method": request.method, "operation": grant.operation.name},
                data={"fields": fields} if fields else {},
                occurred_at=visit.edge.trust.clock.now(),
            )
            settled(visit.edge, visit.edge.trust.audit.aemit(event))


def _fields_in(message: Any) -> Iterator[str]:
    """The names of changed fields in Django's own account of a change, those of inlines too."""
    for part in message if isinstance(message, list) else ():
        for told in part.values() if isinstance(part, dict) else ():
            yield from (str(field) for field in told.get("fields", ()))
