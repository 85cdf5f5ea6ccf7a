"""Django REST framework: ``permission_classes = [Guarded(operation)]`` on views, viewsets and ``@api_view`` functions.

One request, one grant, however often the framework asks: a browsable page that wonders which other forms to show is
answered by the policy, and nothing is counted or recorded twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.http import HttpRequest, HttpResponse

from ...core.errors import AccessDenied, ConfigurationError, MissingExtra, TrustError
from ...core.event import Outcome
from ...guard import Grant, Operation
from ..shared import Declaration, asked_of, outcome_of_status
from ..streams import inside
from ..visit import Visit
from .bodies import Ending, settled
from .middleware import hold, visit_of
from .user import TrustUser
from .views import outcome_of_exception

try:
    from rest_framework.authentication import BaseAuthentication
    from rest_framework.exceptions import APIException, MethodNotAllowed
    from rest_framework.permissions import BasePermission
    from rest_framework.request import Request
except ImportError:
    raise MissingExtra(
        "these views need Django REST framework", hint="pip install 'wellstreak-trust[drf]'", reason="extra"
    ) from None

if TYPE_CHECKING:
    # Not at run time: the framework's settings name what is here, and are read while its views are being imported.
    from rest_framework.response import Response
    from rest_framework.views import APIView

__all__ = ["Guarded", "GuardedPermission", "Rule", "TrustAuthentication", "TrustUser", "problem_handler", "the_object"]

_JUDGING: Final = "_wellstreak_trust_judging"


class GuardedPermission(BasePermission):
    """What `Guarded` makes: a permission class for one rule."""

    rule: ClassVar[Rule]

    def has_permission(self, request: Request, view: APIView) -> bool:
        """See `Rule.admits`."""
        return self.rule.admits(request, view)

    def has_object_permission(self, request: Request, view: APIView, obj: Any) -> bool:
        """See `Rule.admits_object`."""
        return self.rule.admits_object(request, view, obj)

    @classmethod
    def declarations(cls, view: type[APIView], actions: Iterable[str] | None) -> list[Declaration | None]:
        """See `Rule.declarations`."""
        return cls.rule.declarations(view, actions)


Said = Mapping[str, "Operation | type[GuardedPermission]"]


def Guarded(
    operation: Operation | None = None,
    *,
    resource: Any = None,
    arguments: Any = None,
    of_object: Callable[[Any], Any] | None = None,
) -> type[GuardedPermission]:
    """A permission class that takes the request through the guard; first in ``permission_classes``, and alone there.

    Args:
        operation: what the view does. Without one, ``operations`` of the view tells it: a mapping of actions (of a
            viewset) or methods (``"get"``; of other views) to an `Operation`, or to a ``Guarded(...)`` with a resource.
        resource: what is acted upon, or a callable of the request, run once the tenant is known; `the_object` is one.
        arguments: what an approval binds besides the resource: a mapping, or such a callable.
        of_object: turns an object that the view fetched into what the policy judges; the object itself unless told.
    """
    return type("Guarded", (GuardedPermission,), {"rule": Rule(operation, resource, arguments, of_object)})


@dataclass(frozen=True)
class Rule:
    """What one `Guarded` asks of a request; see there."""

    operation: Operation | None
    resource: Any = None
    arguments: Any = None
    of_object: Callable[[Any], Any] | None = None

    def admits(self, request: Request, view: APIView) -> bool:
        """Takes the request through the guard, once.

        Raises:
            TrustError: the first stage that refuses.
        """
        http: HttpRequest = request._request
        visit = visit_of(http)
        if request.method != http.method:
            return self._might(visit, request, view)
        found = self._of(view, request.method or "")
        if found is None or found.operation is None:
            return _unknown(view, request)
        if visit.grant is not None:
            if visit.grant.operation is found.operation:
                return True
            raise ConfigurationError(
                "two operations guard one request", hint="one Guarded a view", reason="declared_twice"
            )
        setattr(view, _JUDGING, True)
        try:
            asked = asked_of(request, found.resource, found.arguments)
            grant = settled(visit.edge, visit.edge.guard.aenter(visit.facts, found.operation, *asked))
        finally:
            setattr(view, _JUDGING, False)
        hold(http, grant)
        _run_inside(view, (request.method or "").lower(), visit, grant)
        return True

    def admits_object(self, request: Request, view: APIView, obj: Any) -> bool:
        """Asks the policy about an object that the view fetched.

        Raises:
            AccessDenied: 404 for another tenant's, else 403.
        """
        visit = visit_of(request._request)
        if getattr(view, _JUDGING, False):
            return True  # the guard itself is asking for the object that it will judge
        found = self._of(view, request.method or "")
        if visit.grant is None or found is None or found.operation is None:
            return False
        judged = found.of_object(obj) if found.of_object is not None else obj
        decision = visit.edge.trust.policy.check(visit.grant.subject, found.operation.permission, judged)
        if decision.allowed is not True and request.method == request._request.method:
            raise AccessDenied(decision)
        return bool(decision.allowed is True)

    def declarations(self, view: type[APIView], actions: Iterable[str] | None) -> list[Declaration | None]:
        """What a route says by this permission, one for each action it serves; None where it says nothing.

        A view that chooses or asks its permissions by code of its own says nothing that could be checked.
        """
        from rest_framework.views import APIView

        if any(getattr(view, name) is not getattr(APIView, name) for name in ("get_permissions", "check_permissions")):
            return [None]
        if self.operation is not None:
            return [Declaration(operation=self.operation)]
        if actions is None:
            verbs = [name for name in view.http_method_names if name not in ("head", "options")]
            actions = [name for name in verbs if hasattr(view, name)]
        said: Said = getattr(view, "operations", {})
        rules = [_rule(said.get(action)) for action in actions]
        found = [rule.operation if rule is not None else None for rule in rules]
        return [Declaration(operation=operation) if operation is not None else None for operation in found] or [None]

    def _of(self, view: APIView, method: str) -> Rule | None:
        """Who guards this action: this rule, or what the view's mapping says."""
        if self.operation is not None:
            return self
        said: Said = getattr(view, "operations", {})
        verb = method.lower()
        return _rule(said.get(getattr(view, "action", None) or {"head": "get"}.get(verb, verb)))

    def _might(self, visit: Visit, request: Request, view: APIView) -> bool:
        """Whether a browsable page shows the form of another method; nothing is done, so nothing is recorded."""
        found = self._of(view, request.method or "")
        if visit.grant is None or found is None or found.operation is None:
            return False
        asked = visit.edge.trust.policy.check(visit.grant.subject, found.operation.permission)
        return asked.allowed is True or bool(asked.missing)  # what depends on the object, the object is asked for


def _rule(entry: Operation | type[GuardedPermission] | None) -> Rule | None:
    return Rule(entry) if isinstance(entry, Operation) else entry.rule if entry is not None else None


def _unknown(view: APIView, request: Request) -> bool:
    """A method without operation: one that the view has not, or has not declared."""
    method = (request.method or "").lower()
    if method == "options" or not hasattr(view, method):
        raise MethodNotAllowed(method.upper())
    raise ConfigurationError(
        f"{type(view).__name__} declares no operation for {getattr(view, 'action', None) or method}",
        hint="add it to `operations` of the view",
        reason="undeclared_route",
    )


def _run_inside(view: Any, method: str, visit: Visit, grant: Grant) -> None:
    """Runs this instance's handler in the grant, and ends the grant by what came of it, whoever refused in between."""
    ending = Ending(visit, grant, _outcome)
    handler: Callable[..., Any] = getattr(view, method, view.http_method_not_allowed)
    handle: Callable[[Exception], Any] = view.handle_exception

    def handled_inside(*args: Any, **kwargs: Any) -> Any:
        response = inside(grant, lambda: handler(*args, **kwargs), ending.done)
        if not ending.outlives(response):
            ending.done()
        return response

    def failed(error: Exception) -> Any:
        ending.done(error)
        response = handle(error)
        ending.outlives(response)
        return response

    setattr(view, method, handled_inside)
    view.handle_exception = failed


def _outcome(error: BaseException) -> Outcome:
    return outcome_of_status(error.status_code) if isinstance(error, APIException) else outcome_of_exception(error)


def the_object(request: Request) -> Any:
    """The object of a detail view, as its own ``get_object()`` finds it in the tenant's scope: a guard's `resource`."""
    return request.parser_context["view"].get_object()


class TrustAuthentication(BaseAuthentication):
    """Makes ``request.user`` a `TrustUser`. It looks nothing up: the guard does, at its place among the stages."""

    def authenticate(self, request: Request) -> tuple[TrustUser, None]:
        """The user, whom the guard has yet to prove."""
        return TrustUser(request._request), None


def problem_handler(error: Exception, context: Mapping[str, Any]) -> Response | HttpResponse | None:
    """``EXCEPTION_HANDLER``: a refusal is a problem document, with its headers; all else is the framework's own."""
    from rest_framework.views import exception_handler, set_rollback

    if not isinstance(error, TrustError):
        return exception_handler(error, dict(context))
    set_rollback()
    problem = visit_of(context["request"]._request).edge.problem(error)
    return HttpResponse(problem.body, status=problem.status, headers=dict(problem.headers))
