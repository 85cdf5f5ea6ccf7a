"""`tools/follow.py` without a network: what it takes from a page, and that it notices a page that is wrong.

It is run for real, with an environment of its own, by `.ci/run`.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from socket import socket
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def _follow() -> ModuleType:
    spec = spec_from_file_location("follow", ROOT / "tools/follow.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["follow"] = module
    spec.loader.exec_module(module)
    return module


follow: Any = _follow()

PAGE = """
```python
# host.py
print("started")
```

```toml
# table.toml
answer = 42
```

```python
assert "no name, so it is the test suite's"
```

```text
$ not typed
```

```console
$ python3 host.py
started
$ grep -c answer table.toml
1
```
"""


def steps(text: str) -> list[Any]:
    return list(follow.steps(text))


def test_a_page_is_files_and_commands_in_its_order() -> None:
    found = steps(PAGE)
    assert [each.name for each in found[:2]] == ["host.py", "table.toml"]
    assert found[0].text == '# host.py\nprint("started")\n'
    assert [(each.line, each.shown) for each in found[2:]] == [
        ("python3 host.py", ["started"]),
        ("grep -c answer table.toml", ["1"]),
    ]


def test_output_above_the_first_command_is_a_mistake_of_the_page() -> None:
    with pytest.raises(ValueError, match="output without a command"):
        steps("```console\nstarted\n$ true\n```\n")


@pytest.mark.parametrize(
    ("shown", "got", "same"),
    [
        (["a", "b"], ["a", "b"], True),
        (["a"], ["a", "b"], False),
        (["a", "b"], ["a"], False),
        (['{"id":"u_..."}'], ['{"id":"u_12"}'], True),
        (['{"id":"u_..."}'], ['{"no":"u_12"}'], False),
        (["..."], [], True),
        (["...", "end"], ["one", "two", "end"], True),
        (["...", "end"], ["one", "two"], False),
        (["a.c"], ["abc"], False),
        (["padded"], ["padded   "], True),
    ],
)
def test_dots_stand_for_what_differs_and_nothing_else(shown: list[str], got: list[str], same: bool) -> None:
    assert follow.agrees(shown, got) is same


def unused_port() -> int:
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Any]:
    found = follow.Shell(tmp_path, unused_port())  # workers test side by side
    yield found
    found.close()


def played(shell: Any, tmp_path: Path, text: str) -> int:
    (page := tmp_path / "page.md").write_text(text, encoding="utf-8")
    typed: int = follow.follow(page, shell)
    return typed


def test_a_page_that_is_right_is_followed_into_the_folder_it_makes(shell: Any, tmp_path: Path) -> None:
    assert played(shell, tmp_path, "```console\n$ mkdir there && cd there\n```\n" + PAGE) == 3
    assert (tmp_path / "there/host.py").is_file()


def test_functions_and_variables_stay(shell: Any, tmp_path: Path) -> None:
    text = '```console\n$ say() { printf "%s" "$1"; }\n$ WHAT=$(say two)\n$ say "$WHAT"\ntwo\n```\n'
    assert played(shell, tmp_path, text) == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("```console\n$ echo one\ntwo\n```\n", "--- got\none"),
        ("```console\n$ false\n```\n", "failed"),
        ("```console\n$ exit\n```\n", "the shell ended"),
        (PAGE.replace("started\n$", "stopped\n$"), "--- got\nstarted"),
    ],
    ids=["other output", "silent failure", "no shell", "file"],
)
def test_a_page_that_is_wrong_is_noticed(shell: Any, tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(follow.Differs, match=told):
        played(shell, tmp_path, text)


UVICORN = "```console\n$ {} -m uvicorn app:app --port 8000\n{}```\n"


def test_a_start_that_must_be_refused_has_to_say_why(shell: Any, tmp_path: Path) -> None:
    text = "```python\n# app.py\nraise SystemExit('no key')\n```\n" + UVICORN.format(sys.executable, "no key\n")
    assert played(shell, tmp_path, text) == 1
    with pytest.raises(follow.Differs, match="no key"):
        played(shell, tmp_path, text.replace("\nno key", "\nno lock"))
    with pytest.raises(follow.Differs, match="no server answers"):
        played(shell, tmp_path, text.replace("\nno key", ""))
    with pytest.raises(follow.Differs, match="ended well"):
        played(shell, tmp_path, text.replace("'no key'", "print('no key')"))


def test_a_server_answers_and_is_gone_with_its_page(tmp_path: Path) -> None:
    shell = follow.Shell(tmp_path, unused_port())
    app = (
        "```python\n# app.py\nfrom fastapi import FastAPI\n\napp = FastAPI()\n\n\n"
        '@app.get("/")\ndef read() -> str:\n    return "hello"\n```\n'
    )
    asked = '```console\n$ curl -s http://127.0.0.1:8000/\n"hello"\n```\n'
    try:
        assert played(shell, tmp_path, app + UVICORN.format(sys.executable, "") + asked) == 2
        with pytest.raises(follow.Differs, match="failed"):
            played(shell, tmp_path, asked.replace('"hello"\n', ""))
    finally:
        shell.close()


@pytest.mark.parametrize("page", follow.PAGES, ids=lambda page: page.name)
def test_pages_of_the_tutorial_can_be_followed(page: Path) -> None:
    found = steps(page.read_text(encoding="utf-8"))
    assert any(isinstance(each, follow.File) for each in found)
    served = [each for each in found if isinstance(each, follow.Command) and each.serves]
    assert any(not each.shown for each in served), "no page without a running server"


def test_the_first_page_makes_its_environment() -> None:
    found = steps(follow.PAGES[0].read_text(encoding="utf-8"))
    assert [each.line for each in found[:2]] == ["mkdir crew && cd crew", "python3 -m venv .venv"]
    assert [each.installs for each in found[:3]] == [False, False, True]
    extra = re.search(r"wellstreak-trust\[(\w+)\]", found[2].line)
    assert extra is not None
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert extra[1] in project["optional-dependencies"]


def test_a_port_that_is_taken_is_left_alone(tmp_path: Path) -> None:
    with socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert follow.free_port(taken.getsockname()[1]) != taken.getsockname()[1]
    shell = follow.Shell(tmp_path, 4711)
    try:
        assert shell.ported("--port 8000 http://127.0.0.1:8000/ 18000 80000") == (
            "--port 4711 http://127.0.0.1:4711/ 18000 80000"
        )
    finally:
        shell.close()


def test_every_part_is_there() -> None:
    assert [page.name[0] for page in follow.PAGES] == list("1234567")
