"""The tails of the house: long modules, long functions, wide signatures, `global`, suppressions.

Medians are alike in good and bad code; the tails tell them apart.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

MODULE_LINES = 400
FUNCTION_LINES = 50
P90_LINES = 25
POSITIONAL = 5
SUPPRESSIONS = 3.0  # per 1,000 lines
REASON = 8  # characters

Function = ast.FunctionDef | ast.AsyncFunctionDef
SUPPRESSION = re.compile(r"#\s*(?:type: ?ignore|noqa|pragma: no cover|pyright: ?ignore)\S*(.*)")


def lines_of(node: ast.stmt | ast.expr) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def own_lines(text: str, tree: ast.Module) -> int:
    """The lines of a module without its tables of literals: data may be long, code may not."""
    literals = (ast.Dict, ast.List, ast.Tuple, ast.Set)
    tables = [
        node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, literals)
    ]
    return len(text.splitlines()) - sum(map(lines_of, tables))


def body_lines(node: Function) -> int:
    docstring = lines_of(node.body[0]) if ast.get_docstring(node) is not None else 0
    return lines_of(node) - docstring


def suppressions(text: str) -> list[tuple[int, str]]:
    """Line number and reason of each."""
    found = ((number, SUPPRESSION.search(line)) for number, line in enumerate(text.splitlines(), 1))
    return [(number, match[1].strip(" #-:,]")) for number, match in found if match]


def faults(name: str, text: str) -> Iterator[str]:
    """What a module has that it should not have."""
    tree = ast.parse(text)
    if (lines := own_lines(text, tree)) > MODULE_LINES:
        yield f"{name}: {lines} lines, at most {MODULE_LINES}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield f"{name}:{node.lineno}: global {', '.join(node.names)}"
        if not isinstance(node, Function):
            continue
        if (lines := body_lines(node)) > FUNCTION_LINES:
            yield f"{name}:{node.lineno}: {node.name} has {lines} lines, at most {FUNCTION_LINES}"
        positional = [a for a in (*node.args.posonlyargs, *node.args.args) if a.arg not in {"self", "cls"}]
        if len(positional) > POSITIONAL:
            yield f"{name}:{node.lineno}: {node.name} takes {len(positional)} positionals, at most {POSITIONAL}"
    for number, reason in suppressions(text):
        if len(reason) < REASON:
            yield f"{name}:{number}: a suppression without its reason"


def totals(texts: dict[str, str]) -> Iterator[str]:
    """What the house has too much of as a whole."""
    functions = [node for text in texts.values() for node in ast.walk(ast.parse(text)) if isinstance(node, Function)]
    lengths = sorted(map(body_lines, functions))
    p90 = lengths[int((len(lengths) - 1) * 0.9)]
    lines = sum(len(text.splitlines()) for text in texts.values())
    share = 1000 * sum(len(suppressions(text)) for text in texts.values()) / lines
    print(
        f"{len(texts)} modules, {lines} lines; functions p90 {p90}, longest {lengths[-1]}; "
        f"suppressions {share:.1f} in 1,000 lines"
    )
    if p90 > P90_LINES:
        yield f"p90 of functions is {p90} lines, at most {P90_LINES}"
    if share > SUPPRESSIONS:
        yield f"{share:.1f} suppressions in 1,000 lines, at most {SUPPRESSIONS}"


def main() -> int:
    package = Path(__file__).resolve().parent.parent / "src" / "wellstreak_trust"
    texts = {str(path.relative_to(package)): path.read_text(encoding="utf-8") for path in sorted(package.rglob("*.py"))}
    found = [fault for name, text in texts.items() for fault in faults(name, text)] + list(totals(texts))
    print("\n".join(found) or "sizes: within the bounds")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
