"""The pages of the reference that are written out of the code.

::

    tools/reference.py            writes them
    tools/reference.py --check    tells what is wrong with them; status 1 if anything is

Error codes, the operations of the demo host, the matrix of the `wellstreak` preset, the actions of the trail and the
variables of the environment. The suite fails where a page is stale, and where something new has no words yet.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import environment_page
import error_pages

from wellstreak_trust.audit import ActionRegistry
from wellstreak_trust.audit.inventory import inventory_markdown
from wellstreak_trust.authz import Policy
from wellstreak_trust.demo.operations import GOVERNED
from wellstreak_trust.demo.plans import PLANS
from wellstreak_trust.guard import governance

ROOT = Path(__file__).parents[1]
REFERENCE = Path("docs/reference")
OPERATIONS = """# Operations of the demo host

Who may do what under which plan, of the host that `make demo` starts: its `Operations`, its policy and its plans. `yes`
is always, `if` under a condition of the policy, `plan` where the role may and the plan does not include the feature,
`no` whatever the plan. `wellstreak-trust governance` writes the same for a host of yours, and
[Declare operations](../how-to/declare-operations.md) puts it into a pipeline.

"""
MATRIX = """# Permissions of the preset

The `wellstreak` preset (`Policy.preset("wellstreak")`): what each permission is, and which role holds it. `if` is under
a condition, and the last column names forbids that may take it away. `wellstreak-trust policy matrix` writes the second
table for a policy of yours.

## What can be done

"""
ACTIONS = """
This is what every registry holds. `wellstreak-trust audit inventory --registry package.module:NAME` writes the page of
a host with its own actions, and `--check` compares it with a reviewed copy.
"""


def pages(root: Path = ROOT) -> dict[Path, str]:
    """Every page by its path below `root`."""
    return {
        **error_pages.pages(root),
        REFERENCE / "operations.md": operations_page(),
        REFERENCE / "policy-matrix.md": matrix_page(),
        REFERENCE / "audit-inventory.md": inventory_markdown(ActionRegistry()) + ACTIONS,
        REFERENCE / "environment.md": environment_page.page(root),
    }


def operations_page() -> str:
    policy = Policy.load(ROOT / "src/wellstreak_trust/demo/policy.toml")
    return OPERATIONS + governance(GOVERNED, policy, PLANS).to_markdown()


def matrix_page() -> str:
    policy = Policy.preset("wellstreak")
    lines = ["| permission | scope | risk | step-up | meaning |", "|---|---|---|---|---|"]
    for name, declared in sorted(policy.document["permissions"].items()):
        wants: dict[str, Any] = declared.get("step_up", {})
        asked = ", ".join(f"{word} {value}" for word, value in wants.items())
        cells = (f"`{name}`", policy.scope_of(name), declared.get("risk", "normal"), asked)
        lines.append(f"| {' | '.join(map(str, cells))} | {declared.get('description', '')} |")
    return MATRIX + "\n".join(lines) + "\n\n## Who can\n\n" + policy.matrix().to_markdown()


def problems(root: Path = ROOT) -> list[str]:
    """What is stale, missing or left over."""
    written = pages(root)
    found = [*error_pages.problems(root), *environment_page.problems(root)]
    for path, text in written.items():
        if not (root / path).is_file() or (root / path).read_text(encoding="utf-8") != text:
            found.append(f"{path} is stale: run tools/reference.py")
    kept = {path.relative_to(root) for path in (root / REFERENCE / "errors").glob("*.md")}
    return found + [f"{path} is of a code that there is not" for path in sorted(kept - set(written))]


def main() -> int:
    if sys.argv[1:] != ["--check"]:
        for path, text in pages().items():
            (ROOT / path).parent.mkdir(exist_ok=True)
            (ROOT / path).write_text(text, encoding="utf-8")
    found = problems()
    print(*found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
