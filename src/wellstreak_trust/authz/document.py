"""The shape of a policy document, as pydantic models. Imported when a document is loaded, and only then.

Every key that no model knows is refused, at every level: a misspelt rule must never be a rule that is not there.
What the names *mean* is the matter of `model`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from ..core.errors import PolicyError
from .reader import Plain, spell
from .schema import resembling

__all__ = [
    "ApprovalDocument",
    "AttributesDocument",
    "CeilingDocument",
    "CeilingsDocument",
    "ForbidDocument",
    "GrantDocument",
    "PermissionDocument",
    "PolicyDocument",
    "RoleDocument",
    "StepUpDocument",
    "validate",
]

SCHEMA: Final = 1

AttributeType = Literal["string", "int", "bool", "strings", "string?", "int?", "bool?", "strings?"]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Condition = Annotated[str, Field(min_length=1)]


class _Table(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, frozen=True)


class AttributesDocument(_Table):
    """``[principal.attributes]``, ``[context.attributes]``, ``[resources.T.attributes]``."""

    attributes: dict[str, AttributeType] = {}


class StepUpDocument(_Table):
    """``step_up = {aal = 2, max_age = 900}``, in seconds."""

    aal: int = Field(default=1, ge=1, le=3)
    max_age: int | None = Field(default=None, ge=1, le=10**9)

    @model_validator(mode="after")
    def _asks_something(self) -> StepUpDocument:
        if self.aal == 1 and self.max_age is None:
            raise ValueError("asks for nothing; give aal or max_age")
        return self


class ApprovalDocument(_Table):
    """``approval = {by = "resource:action"}``: the permission of the human who confirms."""

    by: Text


class CeilingDocument(_Table):
    """``[ceilings.M]``: all that the mask admits, of what principal and role hold anyway."""

    allow: list[Text]


class CeilingsDocument(_Table):
    """``[ceilings]``; a mask that is not listed has its default."""

    impersonation: CeilingDocument | None = None
    agent: CeilingDocument | None = None


class PermissionDocument(_Table):
    """``[permissions."resource:action"]``."""

    scope: Literal["tenant", "platform"] = "tenant"
    risk: Literal["low", "normal", "high"] = "normal"
    resource: Text = ""
    step_up: StepUpDocument | None = None
    approval: ApprovalDocument | None = None
    description: str = ""


class GrantDocument(_Table):
    """An entry of a role's `allow`; a bare name is short for one with `permission` alone."""

    permission: Text
    when: Condition = ""
    id: Text = ""
    description: str = ""


def _spelt_out(grant: object) -> object:
    return {"permission": grant} if isinstance(grant, str) else grant


class RoleDocument(_Table):
    """``[roles.R]``."""

    inherits: list[str] = []
    allow: list[Annotated[GrantDocument, BeforeValidator(_spelt_out)]] = []
    rank: int = Field(default=0, ge=-(2**31), lt=2**31)
    description: str = ""


class ForbidDocument(_Table):
    """``[[forbid]]``."""

    id: Text
    permissions: list[Text] = Field(min_length=1)
    when: Condition = ""
    description: str = ""


def _known_schema(number: int) -> int:
    if number != SCHEMA:
        raise ValueError(f"this version of the package reads schema {SCHEMA}")
    return number


class PolicyDocument(_Table):
    """The whole document, schema 1."""

    schema_: Annotated[int, AfterValidator(_known_schema)] = Field(alias="schema")
    name: str = ""
    description: str = ""
    permissions: dict[str, PermissionDocument] = {}
    resources: dict[str, AttributesDocument] = {}
    principal: AttributesDocument = AttributesDocument()
    context: AttributesDocument = AttributesDocument()
    ceilings: CeilingsDocument = CeilingsDocument()
    roles: dict[str, RoleDocument] = {}
    forbid: list[ForbidDocument] = []


_ANY: Final = None
_TABLES: Final[Mapping[tuple[str | None, ...], type[_Table]]] = {
    (): PolicyDocument,
    ("principal",): AttributesDocument,
    ("context",): AttributesDocument,
    ("permissions", _ANY): PermissionDocument,
    ("permissions", _ANY, "step_up"): StepUpDocument,
    ("permissions", _ANY, "approval"): ApprovalDocument,
    ("ceilings",): CeilingsDocument,
    ("ceilings", _ANY): CeilingDocument,
    ("resources", _ANY): AttributesDocument,
    ("roles", _ANY): RoleDocument,
    ("roles", _ANY, "allow", _ANY): GrantDocument,
    ("forbid", _ANY): ForbidDocument,
}
_UNKNOWN: Final = "extra_forbidden"
_MESSAGES: Final = {
    "missing": "required",
    "model_type": "a table is wanted",
    "dict_type": "a table is wanted",
    "list_type": "a list is wanted, never text in its place",
    "string_type": "text is wanted",
    "int_type": "an integer is wanted",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
}
_QUOTED: Final = re.compile(r"'([^']*)'")


def validate(source: Plain) -> PolicyDocument:
    """The document, checked.

    Raises:
        PolicyError: for the first fault, with its path and a suggestion.
    """
    try:
        return PolicyDocument.model_validate(source)
    except ValidationError as error:
        faults = error.errors(include_url=False)
    # A key that nobody knows explains the key that is missing beside it.
    raise _explained(next((fault for fault in faults if fault["type"] == _UNKNOWN), faults[0]), len(faults))


def _explained(fault: Mapping[str, Any], count: int) -> PolicyError:
    path: tuple[str | int, ...] = tuple(fault["loc"])
    kind, more = fault["type"], f" (and {count - 1} more)" if count > 1 else ""
    if kind == _UNKNOWN:
        return PolicyError(f"{spell(path)}: unknown key{more}", hint=resembling(path[-1], _keys(path[:-1])))
    hint = ""
    if kind == "literal_error":
        hint = resembling(fault["input"], _QUOTED.findall(str(fault["ctx"]["expected"])))
    message = _MESSAGES.get(kind) or str(fault["msg"]).removeprefix("Value error, ")
    return PolicyError(f"{spell(path)}: {message[:1].lower()}{message[1:]}{more}", hint=hint)


def _keys(path: tuple[str | int, ...]) -> Iterable[str]:
    """The keys of the table at `path`."""
    for shape, table in _TABLES.items():
        if len(shape) == len(path) and all(wanted in (_ANY, step) for wanted, step in zip(shape, path, strict=True)):
            return [field.alias or name for name, field in table.model_fields.items()]
    return ()
