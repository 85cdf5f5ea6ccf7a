"""The messages of AuthZEN: strict JSON to typed questions, before anything is decided.

Sections are those of the OpenID Authorization API 1.0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Literal, NoReturn, cast, get_args

from ..core.errors import InvalidRequest, TooLarge

__all__ = ["MAX_BODY", "Entity", "Page", "Question", "Semantic", "action_of", "context_of", "parsed", "semantic_of"]

MAX_BODY: Final = 256 * 1024
MAX_TEXT: Final = 1024
MAX_PAGE: Final = 1000

Message = Mapping[str, Any]
Semantic = Literal["execute_all", "deny_on_first_deny", "permit_on_first_permit"]


@dataclass(frozen=True, slots=True)
class Entity:
    """A subject or resource as the enforcement point names it (sections 5.1, 5.2).

    Args:
        id: empty in a search, which asks for it.
        properties: what the enforcement point claims; plain JSON values.
    """

    type: str
    id: str
    properties: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @classmethod
    def of(cls, message: Message, key: Literal["subject", "resource"], *, sought: bool = False) -> Entity:
        """The entity under `key`; one that is sought has no id, and an id given for it is ignored (section 8).

        Raises:
            InvalidRequest: not of this form.
        """
        found = _object(message, key)
        properties = found.get("properties", {})
        if not isinstance(properties, dict):
            _refuse(f"{key}.properties is an object")
        return cls(_text(found, "type", key), "" if sought else _text(found, "id", key), properties)

    def as_resource(self) -> dict[str, Any]:
        """As `Policy.check` takes it: the properties, which never replace type and id."""
        return {**self.properties, "type": self.type, "id": self.id}


@dataclass(frozen=True, slots=True)
class Question:
    """One access evaluation (section 6.1)."""

    subject: Entity
    permission: str
    resource: Entity
    context: Mapping[str, Any] | None

    @classmethod
    def of(cls, message: Message) -> Question:
        """Raises `InvalidRequest` for a message that is no question."""
        return cls(
            Entity.of(message, "subject"), action_of(message), Entity.of(message, "resource"), context_of(message)
        )


@dataclass(frozen=True, slots=True)
class Page:
    """What part of a search is wanted (section 8.2); a token is good for the search it came from alone."""

    offset: int
    limit: int
    tag: str

    @classmethod
    def of(cls, message: Message, version: str) -> Page:
        """Raises `InvalidRequest` for a page that no earlier answer pointed to."""
        asked = {key: value for key, value in message.items() if key != "page"}
        try:
            written = json.dumps(asked, sort_keys=True)
        except RecursionError:  # writing ends a little before reading does
            _refuse("nested beyond reason")
        tag = sha256(f"{version}{written}".encode()).hexdigest()[:16]
        page = message.get("page", {})
        if not isinstance(page, dict):
            _refuse("page is an object")
        limit = page.get("limit", 100)
        if type(limit) is not int or limit < 0:
            _refuse("page.limit is a non-negative integer")
        limit = min(limit, MAX_PAGE)
        token = page.get("token", page.get("next_token", ""))  # the second is what drafts of the standard called it
        if token == "":
            return cls(0, limit, tag)
        offset, _, theirs = token.partition(".") if isinstance(token, str) else ("", "", "")
        if theirs != tag or not (offset.isascii() and offset.isdigit() and len(offset) <= 9):
            _refuse("page.token is not of this search")
        return cls(int(offset), limit, tag)

    def token(self, offset: int) -> str:
        """Points to the result at `offset`."""
        return f"{offset}.{self.tag}"


def parsed(body: bytes) -> dict[str, Any]:
    """A message.

    Raises:
        TooLarge: more than 256 KiB.
        InvalidRequest: no JSON object, repeated keys, NaN, or nested beyond reason.
    """
    if len(body) > MAX_BODY:
        raise TooLarge(f"a request has at most {MAX_BODY} bytes")
    try:
        found = json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"not JSON: {type(error).__name__}") from None
    if not isinstance(found, dict):
        _refuse("the request is an object")
    return found


def action_of(message: Message) -> str:
    """The permission: ``action.name`` (section 5.3)."""
    return _text(_object(message, "action"), "name", "action")


def context_of(message: Message) -> dict[str, Any] | None:
    """The environment (section 5.4)."""
    found = message.get("context")
    if found is not None and not isinstance(found, dict):
        _refuse("context is an object")
    return found


def semantic_of(message: Message) -> Semantic:
    """How a batch runs (section 7.1.2)."""
    options = message.get("options", {})
    wanted = options.get("evaluations_semantic", "execute_all") if isinstance(options, dict) else None
    if not isinstance(wanted, str) or wanted not in get_args(Semantic):
        _refuse(f"options.evaluations_semantic is one of {', '.join(get_args(Semantic))}")
    return cast("Semantic", wanted)


def _object(message: Message, key: str) -> dict[str, Any]:
    found = message.get(key)
    if not isinstance(found, dict):
        _refuse(f"{key} is an object")
    return found


def _text(message: Message, key: str, place: str) -> str:
    found = message.get(key)
    if not isinstance(found, str) or not 0 < len(found) <= MAX_TEXT:
        _refuse(f"{place}.{key} is text of 1 to {MAX_TEXT} characters")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        _refuse("a key stands twice in one object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _refuse(detail: str) -> NoReturn:
    raise InvalidRequest(detail)
