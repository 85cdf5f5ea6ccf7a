"""What a request and its answer are to a handler, whatever the framework."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from wellstreak_trust.core.errors import InvalidRequest
from wellstreak_trust.core.http import RequestFacts
from wellstreak_trust.guard import Grant, Operation
from wellstreak_trust.tenancy import TenantContext, require_tenant

from .host import Host


@dataclass(frozen=True)
class Call:
    """One request as a handler sees it."""

    host: Host
    facts: RequestFacts
    params: dict[str, str]
    body: bytes
    grant: Grant | None = None

    @property
    def granted(self) -> Grant:
        """The grant of a guarded route."""
        assert self.grant is not None
        return self.grant

    @property
    def tenant(self) -> TenantContext:
        """The context of the scope the guard entered."""
        return require_tenant()

    @property
    def tenant_id(self) -> str:
        """Its tenant."""
        return self.tenant.tenant_id

    def json(self, *names: str) -> Any:
        """The body as an object that has text under all of `names`.

        Raises:
            InvalidRequest: anything else.
        """
        try:
            found = json.loads(self.body)
            json.dumps(found, ensure_ascii=False).encode()  # a lone surrogate is no text, and no database takes it
        except (ValueError, RecursionError):
            raise InvalidRequest("the body is not JSON") from None
        if not isinstance(found, dict) or not all(isinstance(found.get(name), str) for name in names):
            raise InvalidRequest(f"the body needs {', '.join(names)}")
        return found


@dataclass(frozen=True)
class Reply:
    """What a handler answers."""

    value: Any = None
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    media: str = "application/json"

    @property
    def body(self) -> bytes:
        """The bytes to send."""
        return self.value.encode() if isinstance(self.value, str) else json.dumps(self.value).encode()


Handler = Callable[[Call], Coroutine[Any, Any, Reply]]


@dataclass(frozen=True)
class Route:
    """One route. Either an operation or a reason for being open."""

    method: str
    path: str
    handler: Handler
    operation: Operation | None = None
    public: str = ""
    resource: Callable[[Call], Coroutine[Any, Any, Any]] | None = field(default=None)
