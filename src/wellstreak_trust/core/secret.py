"""`Secret`: a value that does not leak by accident.

Every ordinary way for a value to end up in a log, page or queue is closed: `repr`, `str`, every format spec, JSON,
pickle, copies, `vars`, iteration, length, hashing, debug pages, template lookups, pydantic dumps and pydantic error
texts. The one way out is `reveal()`, which a reviewer can grep for. It is no defence against code that wants to steal.

One leak no field can close: when a *neighbour* of the field is missing, pydantic reports the whole document, raw value
included. Set ``hide_input_in_errors`` on such a model and answer with ``errors(include_input=False)``.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any, ClassVar, Final, Generic, NoReturn, TypeVar, get_args

from .errors import UsageError

__all__ = ["MASK", "Secret"]

MASK: Final = "**********"

T = TypeVar("T", str, bytes)
F = TypeVar("F", bound=Callable[..., object])


def _never_called_by_templates(method: F) -> F:
    """Django templates call what they look up, except callables marked so."""
    method.__dict__["alters_data"] = True
    return method


def _octets(value: str | bytes) -> bytes:
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value


class Secret(Generic[T]):
    """Wraps a `str` or `bytes`; raises `UsageError` for any other type.

    Equality is constant in time and holds only between two secrets of one type.
    """

    # A closure and not the value: `inspect.getmembers`, `object.__getstate__`, "{0._Secret__open}".format and debuggers
    # that walk attributes show what stands in a slot.
    __slots__ = ("__open",)
    __open: Callable[[], T]
    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # a hash would let dict order and timing speak of the value

    def __init__(self, value: T) -> None:
        if hasattr(self, "_Secret__open"):
            raise AttributeError("a Secret is immutable")
        if not isinstance(value, str | bytes):
            kind = type(value).__name__
            del value  # a traceback that shows locals would print what was nearly a secret
            raise UsageError(f"a secret is str or bytes, not {kind}")
        object.__setattr__(self, "_Secret__open", lambda: value)

    @_never_called_by_templates
    def reveal(self) -> T:
        """The value itself. Keep it in a local name for as short a time as you can."""
        return self.__open()

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK  # specs such as ``:>40`` or ``:s`` must not fail into a traceback that shows more

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        mine, theirs = self.reveal(), other.reveal()
        return type(mine) is type(theirs) and hmac.compare_digest(_octets(mine), _octets(theirs))

    def __copy__(self) -> Secret[T]:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret[T]:
        return self

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Secret is immutable")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a Secret is immutable")

    def __reduce__(self) -> NoReturn:
        raise UsageError("a Secret cannot be pickled", hint="send its name and open it on the other side")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        self.__reduce__()

    def __getstate__(self) -> NoReturn:
        # Since 3.11 object.__getstate__ would hand out the slots.
        self.__reduce__()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> dict[str, Any]:
        """Validates a `str` or `bytes`, dumps the mask. Plain dictionaries: core imports no pydantic.

        Two steps, because pydantic prints the *input of the failing step* in its errors: the first turns everything
        that is no secret into the mask, so the second has nothing but the mask to complain about.
        """
        wanted: tuple[type, ...] = tuple(a for a in get_args(source) if a in (str, bytes)) or (str, bytes)

        def wrap(value: object) -> object:
            if isinstance(value, Secret):
                return value if isinstance(value, cls) and isinstance(value.reveal(), wanted) else MASK
            if hasattr(type(value), "get_secret_value"):  # pydantic's own SecretStr and SecretBytes
                value = value.get_secret_value()  # type: ignore[attr-defined]  # asked for on the line above
            return cls(value) if isinstance(value, wanted) else MASK  # type: ignore[arg-type]  # narrowed above

        def admit(value: object) -> object:
            if not isinstance(value, cls):
                raise ValueError("a secret string is wanted")
            return value

        return {
            "type": "chain",
            "steps": [_plain(wrap), _plain(admit)],
            "serialization": {"type": "function-plain", "function": lambda _: MASK, "return_schema": {"type": "str"}},
        }

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        """Write-only, so that generated clients never expect it back."""
        return {"type": "string", "writeOnly": True, "format": "password"}


def _plain(function: Callable[[object], object]) -> dict[str, Any]:
    return {"type": "function-plain", "function": {"type": "no-info", "function": function}}
