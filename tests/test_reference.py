"""The generated pages of the reference: up to date, complete, and made by a tool that notices when they are not."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from wellstreak_trust.core.errors import TrustError
from wellstreak_trust.core.problem import respond
from wellstreak_trust.settings import PREFIX, TrustSettings

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def tools() -> Iterator[dict[str, ModuleType]]:
    """The tool and its halves, imported as the script imports them."""
    names = ("environment_page", "error_pages", "reference")
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        yield {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(str(ROOT / "tools"))
        for name in names:
            sys.modules.pop(name, None)


def test_every_page_is_up_to_date(tools: Any) -> None:
    assert tools["reference"].problems(ROOT) == []


# --- errors ----------------------------------------------------------------------------------------------------------


def test_every_class_that_can_be_raised_is_on_a_page(tools: Any) -> None:
    pages = tools["error_pages"].pages(ROOT)
    for kind in tools["error_pages"].leaves():
        for error in tools["error_pages"].raised(kind):
            page = pages[Path(f"docs/reference/errors/{error.code}.md")]
            assert f"| `{kind.__name__}` |" in page
            answer = respond(error)
            assert f"HTTP/1.1 {answer.status}\n" in page
            assert answer.body.decode() in page
            for name, value in answer.headers:
                assert f"\n{name}: {value}\n" in page
    assert {error.code for error in _all(tools)} == {path.stem for path in pages} - {"errors"}


def _all(tools: Any) -> Iterator[TrustError]:
    for errors in tools["error_pages"].by_code().values():
        yield from errors


def test_the_answers_of_the_pages_are_problem_documents_and_tell_nothing_private(tools: Any) -> None:
    for path, page in tools["error_pages"].pages(ROOT).items():
        answers = re.findall(r"```text\n(.+?)\n\n(.+?)\n```", page, re.DOTALL)
        assert bool(answers) == (path.stem != "errors")
        for _, body in answers:
            document = json.loads(body)
            assert document["code"] == path.stem
            assert document.keys() - {"violated-policies", "fields"} == {"type", "title", "status", "code"}


def test_one_class_has_a_page_for_each_of_its_faces(tools: Any) -> None:
    faces = {
        kind.__name__: {error.code for error in tools["error_pages"].raised(kind)}
        for kind in tools["error_pages"].leaves()
    }
    assert faces["AccessDenied"] == {"denied", "not_found", "unauthenticated", "approval_required"}
    assert faces["RateLimited"] == {"rate_limited", "unavailable"}
    assert all(len(codes) == 1 for name, codes in faces.items() if name not in ("AccessDenied", "RateLimited"))


def test_causes_are_read_from_the_source(tools: Any, tmp_path: Path) -> None:
    (tmp_path / "wellstreak_trust/room").mkdir(parents=True)
    (tmp_path / "wellstreak_trust/room/part.py").write_text(
        "def f(name, late):\n"
        "    raise ConfigurationError(f'{name} is wrong', hint='mend it', reason='part')\n"
        "    raise InvitationInvalid('used' if late else 'revoked')\n"
        "    raise errors.InvalidToken('x', reason=late)\n"
        "    raise ValueError('not ours')\n"
    )
    found = [(s.kind, s.reason, s.detail, s.hint, s.room) for s in tools["error_pages"].scanned(tmp_path)]
    assert found == [
        ("ConfigurationError", "part", "… is wrong", "mend it", "room"),
        ("InvitationInvalid", "used", "", "", "room"),
        ("InvitationInvalid", "revoked", "", "", "room"),
        ("InvalidToken", "", "x", "", "room"),
    ]


def test_prose_that_is_missing_left_over_or_blank_is_a_problem(tools: Any, tmp_path: Path) -> None:
    said = (ROOT / "docs/reference/errors.toml").read_text(encoding="utf-8")
    (tmp_path / "docs/reference").mkdir(parents=True)
    (tmp_path / "docs/reference/errors.toml").write_text(
        said.replace("[busy]", "[bussy]").replace("[conflict]\n", "[conflict]\nmore = 'x'\n").replace(
            'client = "Ask for a new invitation."', 'client = " "'
        )
    )  # fmt: skip
    assert tools["error_pages"].problems(tmp_path) == [
        "docs/reference/errors.toml: busy is missing",
        "docs/reference/errors.toml: bussy is no code",
        "docs/reference/errors.toml: conflict.more is unknown",
        "docs/reference/errors.toml: invitation_invalid.client says nothing",
    ]


# --- environment -----------------------------------------------------------------------------------------------------

SOURCE = """
import os
from os import environ
_NAME: Final = "WT_CONSTANT"

def f(given):
    os.environ.get("WT_PLAIN", "1"), os.getenv("WT_GETENV"), os.environ["WT_INDEX"], "WT_IN" in os.environ
    os.environ.get(_NAME), os.environ.get(servers.OTHER), typer.Option(envvar="WT_OPTION")

def handed(environ: Mapping[str, str]):
    return environ.get("WT_HANDED")

def wsgi(environ: Mapping[str, Any]):
    return environ.get("CONTENT_TYPE")
"""


def test_what_the_scanner_finds(tools: Any, tmp_path: Path) -> None:
    for folder in ("src", "tests", "tools", "bench", "docs", ".ci"):
        (tmp_path / folder).mkdir()
    (tmp_path / "src/part.py").write_text(SOURCE)
    (tmp_path / "src/chosen.py").write_text("import os\nos.environ.get(variable)\n")
    (tmp_path / "tests/servers.py").write_text('OTHER = "WT_OTHER"\n')
    (tmp_path / "Makefile").write_text("A ?= 1\nB := 2\nrun:\n\t$(A) $(B) $(C) # $(D)\n")
    (tmp_path / "tools/step").write_text('E=1\necho $E ${F:-x} "$G" $SECONDS # $H\n')
    found, chosen = tools["environment_page"].read_by(tmp_path)
    assert sorted(found) == [
        "A", "C", "F", "G", "WT_CONSTANT", "WT_GETENV", "WT_HANDED", "WT_IN", "WT_INDEX", "WT_OPTION", "WT_OTHER",
        "WT_PLAIN",
    ]  # fmt: skip
    assert chosen == {"src/part.py", "src/chosen.py"}  # the first hides `environ` under its bare name
    (tmp_path / "docs/reference").mkdir()
    (tmp_path / "docs/reference/environment.toml").write_text(
        "[variables.A]\nsays = 'x'\n[variables.GONE]\nsays = ''\n[variables.WELLSTREAK_TRUST_KEK]\nsays = 'x'\n"
        "[chosen]\n'src/chosen.py' = 'x'\n'src/gone.py' = 'x'\n"
    )
    faults = tools["environment_page"].problems(tmp_path)
    assert "docs/reference/environment.toml: WT_PLAIN is missing, and src/part.py reads it" in faults
    assert "docs/reference/environment.toml: nothing reads GONE" in faults
    assert "docs/reference/environment.toml: GONE says nothing, or too much" in faults
    assert "docs/reference/environment.toml: WELLSTREAK_TRUST_KEK is a setting" in faults
    assert "docs/reference/environment.toml: src/part.py reads names that are not explained" in faults
    assert "docs/reference/environment.toml: src/gone.py reads no such names" in faults
    assert not [fault for fault in faults if ": A " in fault or "src/chosen.py reads" in fault]


def test_what_the_command_line_reads_is_not_taken_for_a_misspelt_setting(
    tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, _ = tools["environment_page"].read_by(ROOT)
    ours = sorted(name for name in found if name.startswith(PREFIX))
    assert ours == ["WELLSTREAK_TRUST_APP", "WELLSTREAK_TRUST_PKCS11_MODULE"]
    for name in ours:
        monkeypatch.setenv(name, "x")
    assert TrustSettings(tenant_header="X-Tenant").tenant_header == "X-Tenant"


# --- what is stale ---------------------------------------------------------------------------------------------------


def test_a_stale_a_missing_and_a_left_over_page_are_problems(tools: Any, tmp_path: Path, monkeypatch: Any) -> None:
    reference = tools["reference"]
    pages = reference.pages(ROOT)
    stale, missing = Path("docs/reference/operations.md"), Path("docs/reference/errors/busy.md")
    for path, text in pages.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    (tmp_path / stale).write_text("old")
    (tmp_path / missing).unlink()
    (tmp_path / "docs/reference/errors/gone.md").write_text("x")
    monkeypatch.setattr(reference, "pages", lambda root: pages)
    monkeypatch.setattr(reference.error_pages, "problems", lambda root: [])
    monkeypatch.setattr(reference.environment_page, "problems", lambda root: [])
    assert reference.problems(tmp_path) == [
        f"{missing} is stale: run tools/reference.py",
        f"{stale} is stale: run tools/reference.py",
        "docs/reference/errors/gone.md is of a code that there is not",
    ]
