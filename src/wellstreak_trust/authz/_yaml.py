"""YAML for policies: the safe loader without the parts that let one text mean two things."""

from __future__ import annotations

from typing import Any

import yaml
from yaml.nodes import MappingNode

from ..core.errors import PolicyError

__all__ = ["load"]


class _Strict(yaml.SafeLoader):
    """Refuses aliases (which can grow a document exponentially), merge keys and repeated keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise PolicyError("a YAML alias in a policy", hint="write the value out")
        return super().compose_node(parent, index)

    def flatten_mapping(self, node: MappingNode) -> None:
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise PolicyError("a YAML merge key in a policy", hint="write the keys out")

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:
        found = super().construct_mapping(node, deep=deep)
        if len(found) != len(node.value):
            raise PolicyError(
                f"a key stands twice in the YAML mapping at line {node.start_mark.line + 1}", hint="keep one of them"
            )
        return found


def load(text: str) -> object:
    """The document.

    Raises:
        PolicyError: malformed, or one of the refused parts.
    """
    try:
        return yaml.load(text, Loader=_Strict)  # noqa: S506 - a subclass of the safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        raise PolicyError(f"does not parse as YAML{where}") from None
