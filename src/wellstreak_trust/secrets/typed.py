"""Typed secrets: a pydantic model in and out, without its values in any error.

A model is stored as JSON text. Its secret fields (`Secret[str]`, pydantic's `SecretStr`) are written in the clear into
the plaintext that is sealed; everywhere else they stay masked. pydantic's own errors repeat their input, and so never
leave this module: what does leave names the fields and the kind of fault.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from ..core.errors import UsageError
from ..core.secret import Secret

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["dumped", "is_model", "loaded"]

M = TypeVar("M", bound="BaseModel")


def is_model(value: object) -> bool:
    """Whether `value` is an instance of a pydantic model; does not import pydantic to find out."""
    return hasattr(type(value), "__pydantic_validator__") and hasattr(type(value), "model_fields")


def dumped(model: BaseModel) -> Secret[str]:
    """The JSON that is sealed.

    Raises:
        UsageError: a field that JSON cannot hold, or that does not read back as it was written.
    """
    text = Secret(json.dumps(_plain(model), ensure_ascii=False, separators=(",", ":")))
    if loaded(type(model), text) != model:
        raise UsageError(
            f"{type(model).__name__} does not read back as it was written", hint="aliases or validators change it"
        )
    return text


def loaded(model: type[M], text: Secret[str] | Secret[bytes]) -> M:
    """A model out of what was sealed.

    Raises:
        UsageError: it does not fit; names fields and kinds of faults, never a value.
    """
    from pydantic import ValidationError

    try:
        return model.model_validate_json(text.reveal())
    except ValidationError as error:
        faults = sorted({f"{_field(model, fault['loc'])}: {fault['type']}" for fault in _faults(error)})
    except Exception as error:  # a validator of the host's: its text may hold the value
        faults = [type(error).__name__]
    raise UsageError(f"the stored secret is no {model.__name__} ({'; '.join(faults)})", hint="put() it anew")


def _faults(error: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = error.errors(include_url=False, include_context=False, include_input=False)
    return found


def _field(model: type[BaseModel], place: tuple[int | str, ...]) -> str:
    """The field of a fault; deeper down stand keys of the document, which are content."""
    known = {name: name for name in model.model_fields}
    known |= {field.alias: name for name, field in model.model_fields.items() if field.alias is not None}
    return known.get(str(place[0]), "?") if place else "?"


def _plain(value: Any) -> Any:
    from pydantic import TypeAdapter

    if isinstance(value, Secret) or hasattr(type(value), "get_secret_value"):
        shown: object = value.reveal() if isinstance(value, Secret) else value.get_secret_value()
        if not isinstance(shown, str):
            del shown, value  # error reporters print locals
            raise UsageError("a typed secret holds text, not bytes", hint="Secret[str], with base64 where need be")
        return shown
    if is_model(value):
        fields = type(value).model_fields
        named = {fields[name].alias or name: _plain(getattr(value, name)) for name in fields}
        return named | {name: _plain(item) for name, item in (value.model_extra or {}).items()}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    try:
        return TypeAdapter(object).dump_python(value, mode="json", warnings=False)
    except Exception as error:
        kind = type(error).__name__
    raise UsageError(f"a field of a typed secret has no JSON ({kind})")
