"""What is attacked: an application in this process, or a server on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, Protocol, Self

from .asgi import AsgiWire
from .remote import RemoteWire, authority_of
from .wire import Answer, Exchange, Request
from .wsgi import WsgiWire

__all__ = ["Target", "Wire"]

_HOST: Final = "testserver.example"
_PATIENCE: Final = 10.0  # seconds


class Wire(Protocol):
    """How requests reach a host; `Target` has three, and a test may bring its own."""

    def open(self) -> None:
        """Called once, before the first request."""

    def close(self) -> None:
        """Called once, after the last."""

    def send(self, request: Request, host: str) -> Answer:
        """The answer to one request."""
        ...

    def handshake(self, request: Request, host: str) -> Answer:
        """The answer to a websocket handshake; 101 where it was accepted."""
        ...


class Target:
    """A host under attack; `Target.asgi`, `Target.wsgi` and `Target.url` make one.

    Args:
        wire: how requests reach it.
        name: what the report calls it.
        scheme: ``http`` or ``https``.
        host: its authority, as clients name it.
        app: the application, where it is in this process; its routes are found on it.
    """

    def __init__(self, wire: Wire, *, name: str, scheme: str = "https", host: str = _HOST, app: Any = None) -> None:
        self._wire: Wire = wire
        self.name: str = name
        self.scheme: str = scheme
        self.host: str = host
        self.app: Any = app

    @classmethod
    def asgi(cls, app: Any, *, scheme: str = "https", host: str = _HOST, routes_of: Any = None) -> Target:
        """An ASGI application.

        Args:
            routes_of: the FastAPI or Starlette application inside, where `app` is wrapped in something else.
        """
        wire = AsgiWire(app, scheme, _PATIENCE)
        return cls(wire, name=f"an ASGI application ({_type(app)})", scheme=scheme, host=host, app=routes_of or app)

    @classmethod
    def wsgi(
        cls,
        app: Callable[..., Iterable[bytes]],
        *,
        scheme: str = "https",
        host: str = _HOST,
        routes_of: Any = None,
    ) -> Target:
        """A WSGI application.

        Args:
            routes_of: the Flask application inside, where `app` is wrapped in something else.
        """
        wire = WsgiWire(app, scheme)
        return cls(wire, name=f"a WSGI application ({_type(app)})", scheme=scheme, host=host, app=routes_of or app)

    @classmethod
    def url(
        cls, base: str, *, host: str | None = None, allow_remote: bool = False, patience: float = _PATIENCE
    ) -> Target:
        """A running server.

        Args:
            base: such as ``http://127.0.0.1:8000``.
            host: the Host field to send; by default the authority of `base`.
            allow_remote: attack a machine other than this one. Only with its owner's permission.
            patience: seconds to wait for an answer.

        Raises:
            UsageError: no base URL, or not this machine.
        """
        scheme, authority = authority_of(base, allow_remote=allow_remote)
        return cls(RemoteWire(scheme, authority, patience), name=base, scheme=scheme, host=host or authority)

    @property
    def origin(self) -> str:
        """What a browser on a page of this host sends as Origin."""
        return f"{self.scheme}://{self.host}"

    def send(self, request: Request) -> Exchange:
        """One request and its answer."""
        return Exchange(request, self._wire.send(request, request.host or self.host))

    def handshake(self, request: Request) -> Exchange:
        """One websocket handshake and its answer."""
        return Exchange(request, self._wire.handshake(request, request.host or self.host))

    def __enter__(self) -> Self:
        self._wire.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wire.close()


def _type(app: object) -> str:
    return getattr(app, "__name__", None) or type(app).__name__
