"""A page for each error code that a client can see: the answer itself, who gives it, and what everybody does next.

Answers are made by the code that answers requests, from errors that the parts raise; what is said of causes is read
from the source; what to do about it stands in docs/reference/errors.toml.
"""

from __future__ import annotations

import ast
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from inspect import get_annotations
from pathlib import Path
from textwrap import fill
from typing import Any

from wellstreak_trust.authz import Policy
from wellstreak_trust.core import FixedClock, Principal
from wellstreak_trust.core import errors as tree
from wellstreak_trust.core.errors import AccessDenied, HostError, RateLimited, StoreUnavailable, TrustError
from wellstreak_trust.core.principal import StepUp
from wellstreak_trust.core.problem import respond
from wellstreak_trust.ratelimit import LimitRule, MemoryLimitStore, RateLimiter

PROSE = Path("docs/reference/errors.toml")
PARTS = ("operator", "client", "host")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
POLICY = {
    "schema": 1,
    "permissions": {"notes:read": {}, "notes:purge": {"approval": {"by": "notes:read"}}},
    "roles": {"member": {"allow": ["notes:purge"]}},
}
# What answers are made of, and what every error has.
SHOWN = frozenset(
    ("code", "title", "status", "type_uri", "abstract", "detail", "hint", "retry_after", "challenge", "nonce")
)
REASON_FIRST = ("ApprovalInvalid", "EntitlementDenied", "InvitationInvalid", "OriginDenied")
INDEX = """# Error codes

`code`, `status` and `title` are public and stable: they are what a client sees in the
[problem document](../standards/rfc9457.md). Causes that must not be told apart share all three, so that their
documents are the same bytes. `detail` and `hint` are for operators and never leave the process.

Errors of status 500 are the host's own bugs or damaged data. Everything else is the other party's doing, or a
dependency that is down. Each code has a page: the answer as it is sent, who gives it, and what an operator, a client
and a host do about it.

"""


@dataclass(frozen=True)
class Site:
    """A place in the source where an error is raised, as far as its text is known there."""

    kind: str
    reason: str
    detail: str
    hint: str
    room: str


def leaves(kind: type[TrustError] = TrustError) -> Iterator[type[TrustError]]:
    """The classes of this package that can be raised, each once."""
    seen: set[type[TrustError]] = set()
    waiting = [kind]
    while waiting:
        each = waiting.pop(0)
        if each not in seen and each.__module__.startswith("wellstreak_trust."):
            seen.add(each)
            waiting = [*each.__subclasses__(), *waiting]
            if not each.abstract:
                yield each


def raised(kind: type[TrustError]) -> list[TrustError]:
    """Real instances, one for each face that the class shows to clients."""
    if kind is AccessDenied:
        return list(_denials())
    if kind is RateLimited:
        return list(_limits())
    makers: dict[type[TrustError], list[TrustError]] = {
        tree.ConnectionNotActive: [
            tree.ConnectionNotActive("suspended", "by its owner"),
            tree.ConnectionNotActive("failing", "provider_down", retry_after=timedelta(seconds=30)),
        ],
        tree.DisclosureRejected: [tree.DisclosureRejected(fields=(("summary", "missing"),))],
        tree.DpopNonceRequired: [tree.DpopNonceRequired("8ac1f0")],
        tree.ReauthRequired: [StepUp(aal=2, max_age=900).challenge(), tree.ReauthRequired(reason="revoked")],
    }
    return makers.get(kind) or [kind()]


def _denials() -> Iterator[AccessDenied]:
    """One for each answer that a decision leads to."""
    policy = Policy.from_dict(POLICY)
    member = Principal("ada", tenant_id="acme", roles=frozenset({"member"}))
    asked: list[tuple[Any, str, Any]] = [
        (member, "notes:read", {"tenant_id": "acme"}),
        (member, "notes:read", {"tenant_id": "umbrella"}),
        (None, "notes:read", None),
        (member, "notes:purge", {"tenant_id": "acme"}),
    ]
    for question in asked:
        yield AccessDenied(policy.check(*question))


class _Down(MemoryLimitStore):
    """A store that does not answer."""

    async def take_if(self, *charges: Any, **how: Any) -> Any:
        raise StoreUnavailable("down")


def _limits() -> Iterator[RateLimited]:
    """A limit that is reached, and one that cannot be asked and is declared closed."""
    clock, keys = FixedClock(NOON), {"tenant": "acme"}
    rule = LimitRule("tenant", 1, timedelta(minutes=1), by=("tenant",), on_outage="closed")
    limiter = RateLimiter([rule], store=MemoryLimitStore(), clock=clock)
    limiter.check(keys)
    yield RateLimited(limiter.check(keys))
    yield RateLimited(RateLimiter([rule], store=_Down(), clock=clock).check(keys))


def by_code() -> dict[str, list[TrustError]]:
    """Every code with the errors that show it."""
    found: dict[str, list[TrustError]] = defaultdict(list)
    for kind in leaves():
        for error in raised(kind):
            found[error.code].append(error)
    return dict(sorted(found.items()))


def prose(root: Path) -> dict[str, dict[str, str]]:
    return tomllib.loads((root / PROSE).read_text(encoding="utf-8"))


def problems(root: Path) -> list[str]:
    """What the prose lacks, or has too much."""
    said, codes = prose(root), by_code()
    found = [f"{PROSE}: {code} is missing" for code in codes if code not in said]
    found += [f"{PROSE}: {code} is no code" for code in said if code not in codes]
    for code, parts in said.items():
        found += [f"{PROSE}: {code}.{part} says nothing" for part in PARTS if not parts.get(part, "").strip()]
        found += [f"{PROSE}: {code}.{part} is unknown" for part in parts if part not in PARTS]
    return found


def pages(root: Path) -> dict[Path, str]:
    """The index and a page for each code."""
    said, sites = prose(root), list(scanned(root / "src"))
    folder = Path("docs/reference/errors")
    written = {
        folder / f"{code}.md": _page(code, errors, said.get(code, {}), sites) for code, errors in by_code().items()
    }
    return {folder.with_suffix(".md"): _index(), **written}


def _index() -> str:
    lines = ["| code | status | title | raised as |", "|---|---|---|---|"]
    for code, errors in by_code().items():
        status = ", ".join(str(each) for each in sorted({error.status for error in errors}))
        names = ", ".join(f"`{name}`" for name in dict.fromkeys(type(error).__name__ for error in errors))
        lines.append(f"| [`{code}`](errors/{code}.md) | {status} | {errors[0].title} | {names} |")
    return INDEX + "\n".join(lines) + "\n\n:::{toctree}\n:hidden:\n:glob:\n\nerrors/*\n:::\n"


def _page(code: str, errors: Sequence[TrustError], said: Mapping[str, str], sites: Sequence[Site]) -> str:
    kinds = list(dict.fromkeys(type(error) for error in errors))
    lines = [f"# {code}", "", f"{errors[0].title}.", "", "## What a client sees", ""]
    lines += _answers(errors)
    lines += ["## What raises it", "", "| class | for |", "|---|---|"]
    lines += [f"| `{kind.__name__}` | {_why(kind)} |" for kind in kinds]
    lines += ["", "## What an operator finds", "", _filled(said.get("operator", "")), ""]
    lines += _private(kinds, errors)
    lines += _causes(code, kinds, sites)
    lines += ["## What a client does", "", _filled(said.get("client", "")), ""]
    lines += ["## What a host does", "", _filled(said.get("host", ""))]
    return "\n".join(lines) + "\n"


def _answers(errors: Iterable[TrustError]) -> Iterator[str]:
    """Each different answer once, with the classes that give it."""
    answers: dict[str, list[str]] = defaultdict(list)
    for error in errors:
        answer = respond(error)
        head = [f"HTTP/1.1 {answer.status}"]  # its phrase is the server's own
        text = "\n".join([*head, *(f"{name}: {value}" for name, value in answer.headers), "", answer.body.decode()])
        names = answers[text]
        if type(error).__name__ not in names:
            names.append(type(error).__name__)
    for text, names in answers.items():
        if len(answers) > 1:
            yield from (", ".join(f"`{name}`" for name in names) + ":", "")
        yield from ("```text", text, "```", "")


def _private(kinds: Sequence[type[TrustError]], errors: Iterable[TrustError]) -> Iterator[str]:
    """The attributes that never reach a client, by class."""
    public = {name for error in errors for name in error.members()}
    found: dict[str, list[str]] = defaultdict(list)
    for kind in kinds:
        held = dict.fromkeys(name for each in kind.__mro__ for name in get_annotations(each))
        for name in held:
            if name not in SHOWN and name not in public:
                found[name].append(kind.__name__)
    shown = [f"`{name}` ({', '.join(f'`{kind}`' for kind in of)})" for name, of in found.items()]
    yield _filled(f"On the error, never in the answer: {', '.join(['`detail`', '`hint`', *shown])}.")
    yield ""


def _causes(code: str, kinds: Sequence[type[TrustError]], sites: Sequence[Site]) -> Iterator[str]:
    names = {kind.__name__ for kind in kinds}
    hosts = {kind.__name__ for kind in kinds if issubclass(kind, HostError)}
    found = [
        site
        for site in dict.fromkeys(sites)
        # Arguments that a call cannot take are too many to list, and their texts say all.
        if site.kind in names and (site.reason or (site.kind not in hosts and _tells(site)))
    ]
    if not found:
        return
    yield from ("Where it comes from, as the source says it (`…` stands for what is known only then):", "")
    yield from ("| reason | class | detail | hint | room |", "|---|---|---|---|---|")
    for site in sorted(found, key=lambda each: (each.reason, each.kind, each.room, each.detail)):
        cells = (site.reason, site.kind, site.detail, site.hint, site.room)
        yield f"| {' | '.join(_code(cell) for cell in cells)} |"
    yield ""


def _tells(site: Site) -> bool:
    """Whether anything of it is known before it happens."""
    return any(text.strip("…: ") for text in (site.detail, site.hint))


def _filled(text: str) -> str:
    return fill(text, 120, break_long_words=False, break_on_hyphens=False)


def _why(kind: type[TrustError]) -> str:
    first = (kind.__doc__ or "").partition("\n\n")[0]
    return " ".join(first.split()).replace("``", "`").replace("|", r"\|")


def _code(text: str) -> str:
    """A cell that is shown as it is: nothing in it is markup."""
    text = " ".join(text.split()).replace("|", r"\|")
    if not text:
        return ""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


# --- the source ------------------------------------------------------------------------------------------------------


def scanned(source: Path) -> Iterator[Site]:
    """Every place where an error of the tree is made."""
    names = set(tree.__all__)
    package = source / "wellstreak_trust"
    for path in sorted(package.rglob("*.py")):
        inside = path.relative_to(package)
        room = inside.parts[0].removesuffix(".py")
        if room == "demo":
            continue  # a host
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _called(node) in names:
                yield from _sites(node, _called(node), room)


def _called(node: ast.Call) -> str:
    return getattr(node.func, "id", "") or getattr(node.func, "attr", "")


def _sites(node: ast.Call, kind: str, room: str) -> Iterator[Site]:
    given = {word.arg: word.value for word in node.keywords}
    first = node.args[0] if node.args else given.get("detail")
    reason, detail = given.get("reason"), first
    if kind in REASON_FIRST:
        reason, detail = first, given.get("detail")
    for each in _texts(reason) if reason is not None else [""]:
        yield Site(kind, each if each != "…" else "", _text(detail), _text(given.get("hint")), room)


def _texts(node: ast.expr) -> Iterator[str]:
    """The constant texts that an expression may have."""
    if isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)
    else:
        yield _text(node)


def _text(node: ast.expr | None) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return "" if node is None else "…"
