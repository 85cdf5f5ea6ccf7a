"""The root of the tree and its branches; the drawing is in the package's docstring."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ..problem import document

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "HostError",
    "IntegrityError",
    "IsolationError",
    "RequestError",
    "TrustError",
    "Unavailable",
    "WebhookError",
]

_SECOND: Final = timedelta(seconds=1)


class TrustError(Exception):
    """Base of every error this package raises.

    Args:
        detail: what happened, for operators. Never a secret, token, e-mail address or body.
        hint: the one thing that fixes it, for operators.
    """

    code: ClassVar[str] = "error"
    title: ClassVar[str] = "Error"
    status: ClassVar[int] = 500
    type_uri: ClassVar[str | None] = None
    abstract: ClassVar[bool] = True

    detail: str
    hint: str
    retry_after: timedelta | None = None

    def __init__(self, detail: str = "", *, hint: str = "") -> None:
        if type(self).__dict__.get("abstract", False):
            raise TypeError(f"{type(self).__name__} is a branch of the error tree; raise one of its leaves")
        super().__init__(detail)
        self.detail = detail
        self.hint = hint

    def __init_subclass__(
        cls, code: str | None = None, title: str | None = None, status: int | None = None, *, abstract: bool = False
    ) -> None:
        super().__init_subclass__()
        cls.abstract = abstract
        cls.code = code or cls.code
        cls.title = title or cls.title
        cls.status = status or cls.status

    def __str__(self) -> str:
        return f"{self.title} [{self.code}]"

    def __repr__(self) -> str:
        return f"{type(self).__name__}(code={self.code!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions cross process borders (executors, task queues); the default would replay __init__ positionally.
        return _restore, (type(self), dict(self.__dict__))

    def members(self) -> Mapping[str, object]:
        """Extension members of the problem document (RFC 9457, 3.2); public, so nothing that identifies."""
        return {}

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Response headers that belong to this answer, such as ``Retry-After`` in whole seconds, at least 1."""
        if self.retry_after is None:
            return ()
        return (("Retry-After", str(max(1, -(-self.retry_after // _SECOND)))),)

    def problem(self, instance: str | None = None) -> dict[str, Any]:
        """The RFC 9457 problem document: type, title, status, code, members, and `instance` when given."""
        return document(
            self.code, self.title, self.status, type_uri=self.type_uri, instance=instance, members=self.members()
        )


def _restore(cls: type[TrustError], state: dict[str, Any]) -> TrustError:
    error = cls.__new__(cls, state.get("detail", ""))
    error.__dict__.update(state)
    return error


class HostError(TrustError, code="internal_error", title="Internal error", status=500, abstract=True):
    """A bug of the host: shown in full to developers, as a bare 500 to clients."""

    def __str__(self) -> str:
        return ". ".join(part.rstrip(".") for part in (self.detail or self.title, self.hint) if part)


class IsolationError(HostError, abstract=True):
    """Code tried to leave its tenant; nothing was executed."""


class RequestError(TrustError, code="invalid_request", title="Invalid request", status=400, abstract=True):
    """Something the request did, or is not allowed to do."""


class WebhookError(RequestError, code="webhook_refused", title="Webhook refused", status=400, abstract=True):
    """Base of all that `verify` and the replay guard raise; all 401s look alike to the network.

    Attributes:
        step: where it was refused, for operators: ``endpoint``, ``size``, ``headers``, ``parse``, ``key``,
            ``signature``, ``clock``, ``replay``, or ``configuration``.
    """

    step: ClassVar[str] = "parse"

    def __str__(self) -> str:
        # Bare even where the mistake is the host's: an endpoint that anybody can post to echoes it too easily.
        return TrustError.__str__(self)


class IntegrityError(TrustError, code="integrity", title="Stored data failed verification", status=500, abstract=True):
    """What is stored is not what was written."""


class Unavailable(TrustError, code="unavailable", title="Temporarily unavailable", status=503):
    """A dependency is down and its declared policy is to refuse."""
