"""tools/verify_release: a good release passes, and every way to tamper with one is seen and named."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

MODULE = "wellstreak_trust/webhooks/verify.py"


@pytest.fixture
def verify(tool: Callable[[str], ModuleType]) -> ModuleType:
    return tool("verify_release")


@pytest.fixture
def commit(verify: ModuleType, repository: Path) -> Any:
    return verify.Commit(repository, verify.git(repository, "rev-parse", "HEAD").strip())


def wheel_of(dist: Path) -> Path:
    (found,) = dist.glob("*.whl")
    return found


def sdist_of(dist: Path) -> Path:
    (found,) = dist.glob("*.tar.gz")
    return found


def core_bill(dist: Path) -> Path:
    return dist / f"{sdist_of(dist).name.removesuffix('.tar.gz')}.cdx.json"


def rewritten(wheel: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    """The wheel again, with other members; everything else as a builder would leave it."""
    with zipfile.ZipFile(wheel) as old:
        infos = {info.filename: info for info in old.infolist()}
        members = {name: old.read(name) for name in infos}
    change(members)
    model = next(iter(infos.values()))
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as new:
        for name, content in members.items():
            info = infos.get(name) or zipfile.ZipInfo(name, model.date_time)
            info.external_attr = info.external_attr or model.external_attr
            new.writestr(info, content, zipfile.ZIP_DEFLATED)


def record_of(members: dict[str, bytes]) -> str:
    (name,) = (name for name in members if name.endswith(".dist-info/RECORD"))
    return name


def forged_record(members: dict[str, bytes]) -> None:
    """RECORD anew, so that it agrees with whatever is there."""
    own = record_of(members)
    lines = []
    for name, content in members.items():
        packed = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{name},," if name == own else f"{name},sha256={packed},{len(content)}")
    members[own] = ("\n".join(lines) + "\n").encode()


def flip(members: dict[str, bytes]) -> None:
    members[MODULE] = members[MODULE].replace(b"not ", b"", 1)


def add(members: dict[str, bytes]) -> None:
    members["wellstreak_trust/_more.py"] = b"import os\n"


def remove(members: dict[str, bytes]) -> None:
    del members[MODULE]


# --- a good one ------------------------------------------------------------------------------------------------------


def test_a_release_passes_from_the_command_line(dist: Path, repository: Path) -> None:
    command = [sys.executable, "-I", repository / "tools/verify_release.py", wheel_of(dist), sdist_of(dist)]
    command += ["--repository", repository, "--python", sys.executable, "--skip", "attestation", "--strict"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=dist)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.count("ok   rebuild") == 2
    assert "FAIL" not in done.stdout


def test_it_needs_nothing_but_the_standard_library(verify: ModuleType) -> None:
    imported = {name.partition(".")[0] for name in _imports(Path(verify.__file__ or ""))}
    assert imported <= sys.stdlib_module_names


def _imports(path: Path) -> set[str]:
    import ast

    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


# --- rebuild ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (flip, [f"changed: {MODULE}"]),
        (add, ["added: wellstreak_trust/_more.py"]),
        (remove, [f"removed: {MODULE}"]),
    ],
    ids=["byte", "added", "removed"],
)
@pytest.mark.parametrize("forged", [False, True], ids=["record left", "record forged"])
def test_a_changed_wheel(
    dist: Path, released: Path, verify: ModuleType, change: Any, said: list[str], forged: bool
) -> None:
    def tamper(members: dict[str, bytes]) -> None:
        change(members)
        if forged:
            forged_record(members)

    rewritten(wheel_of(dist), tamper)
    found = list(verify.differences(wheel_of(dist), wheel_of(released)))
    assert set(said) <= set(found)
    assert len(found) == 1 + forged, "RECORD is the only other difference"
    assert (verify.check_record(wheel_of(dist)) == []) is forged


def test_a_changed_sdist(dist: Path, released: Path, verify: ModuleType) -> None:
    path = sdist_of(dist)
    with tarfile.open(path) as old:
        members = [(info, old.extractfile(info).read()) for info in old if info.isfile()]
    with tarfile.open(path, "w:gz") as new:
        for info, content in members:
            text = content + b"\n" if info.name.endswith("/Makefile") else content
            info.size = len(text)
            if info.name.endswith("/tools/install"):
                info.mode = 0o4755
            new.addfile(info, io.BytesIO(text))
    found = list(verify.differences(path, sdist_of(released)))
    root = path.name.removesuffix(".tar.gz")
    assert found == [f"changed: {root}/Makefile", f"changed: {root}/tools/install"]


def test_bytes_behind_the_archive(dist: Path, released: Path, verify: ModuleType) -> None:
    path = wheel_of(dist)
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
    (found,) = verify.differences(path, wheel_of(released))
    assert found.startswith("the members are equal; the archive around them is not")


def test_another_commit_is_seen(
    clone: Path, committed: Any, dist: Path, verify: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    (clone / "src/wellstreak_trust/core/_new.py").write_text('"""New."""\n', encoding="utf-8")
    committed(clone)
    asked = [str(wheel_of(dist)), "--repository", str(clone), "--python", sys.executable, "--skip", "attestation"]
    assert verify.main(asked) == 1
    assert "removed: wellstreak_trust/core/_new.py" in capsys.readouterr().out


# --- record ----------------------------------------------------------------------------------------------------------


def test_a_record_that_says_other_things(dist: Path, verify: ModuleType) -> None:
    def tamper(members: dict[str, bytes]) -> None:
        own = record_of(members)
        lines = [line for line in members[own].decode().splitlines() if not line.startswith(MODULE)]
        lines += ["wellstreak_trust/ghost.py,sha256=AAAA,1", lines[0]]
        members[own] = ("\n".join(lines) + "\n").encode()

    rewritten(wheel_of(dist), tamper)
    found = verify.check_record(wheel_of(dist))
    assert f"RECORD lacks {MODULE}" in found
    assert "RECORD lists wellstreak_trust/ghost.py, which is not there" in found
    assert any(fault.endswith("2 times") for fault in found)


def test_a_name_twice_in_the_wheel(dist: Path, verify: ModuleType) -> None:
    """Installers and scanners disagree about which one counts."""
    with zipfile.ZipFile(wheel_of(dist), "a") as wheel, pytest.warns(UserWarning, match="Duplicate name"):
        wheel.writestr(MODULE, b"import os\n")
    assert f"{MODULE} is in the wheel 2 times" in verify.check_record(wheel_of(dist))


def test_a_name_that_leaves_its_folder(dist: Path, verify: ModuleType) -> None:
    def tamper(members: dict[str, bytes]) -> None:
        members["../evil.pth"] = b"import os\n"
        forged_record(members)

    rewritten(wheel_of(dist), tamper)
    assert verify.check_record(wheel_of(dist)) == ["../evil.pth leaves its folder"]


# --- checksums, bill of materials ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace(text[:8], "00000000"), "has another digest"),
        (lambda _: "", "does not name"),
        (lambda text: text + text.replace(text[:8], "00000000"), "has another digest"),
    ],
    ids=["other", "empty", "two claims"],
)
def test_other_checksums(dist: Path, verify: ModuleType, change: Callable[[str], str], said: str) -> None:
    sums, wheel = dist / "SHA256SUMS", wheel_of(dist)
    (line,) = [line for line in sums.read_text().splitlines(keepends=True) if line.rstrip().endswith(wheel.name)]
    assert verify.check_sums(wheel, None) == []
    sums.write_text(change(line))
    (found,) = verify.check_sums(wheel, None)
    assert said in found


def test_every_file_of_the_release_has_its_checksum(dist: Path, verify: ModuleType) -> None:
    others = sorted(path for path in dist.iterdir() if path.name != "SHA256SUMS")
    assert len(others) > 20
    assert [verify.check_sums(path, None) for path in others] == [[]] * len(others)


def _other_version(bill: dict[str, Any]) -> None:
    bill["metadata"]["component"]["version"] = "9.9.9"


def _other_artifact(bill: dict[str, Any]) -> None:
    for reference in bill["metadata"]["component"]["externalReferences"]:
        for each in reference.get("hashes", []):
            each["content"] = "0" * 64


def _other_name(bill: dict[str, Any]) -> None:
    """The digest is right and stands beside another file's name."""
    for reference in bill["metadata"]["component"]["externalReferences"]:
        reference["url"] = reference["url"].replace("py3-none-any", "py2-none-any")


def _other_pin(bill: dict[str, Any]) -> None:
    bill["components"][0]["version"] = "0.0.1"


def _other_hash(bill: dict[str, Any]) -> None:
    bill["components"][0]["externalReferences"][0]["hashes"][0]["content"] = "0" * 64


def _dangling(bill: dict[str, Any]) -> None:
    bill["dependencies"][0].setdefault("dependsOn", []).append("ghost==1")


def _quiet(bill: dict[str, Any]) -> None:
    """A requirement of the core is kept secret."""
    said = bill["metadata"]["component"]["properties"]
    said[:] = [each for each in said if not each["value"].startswith("cryptography")]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_other_version, "is not the bill of"),
        (_other_artifact, "with this digest"),
        (_other_name, "with this digest"),
        (_other_pin, "0.0.1 is no pin of the commit"),
        (_other_hash, "has other hashes than the commit pins"),
        (_dangling, "ghost==1 is depended upon and not listed"),
        (_quiet, "the core needs cryptography"),
    ],
)
def test_another_bill_of_materials(dist: Path, verify: ModuleType, commit: Any, change: Any, said: str) -> None:
    path = core_bill(dist)
    assert verify.check_sbom(wheel_of(dist), commit, None) == []
    bill = json.loads(path.read_text(encoding="utf-8"))
    change(bill)
    path.write_text(json.dumps(bill), encoding="utf-8")
    (found,) = verify.check_sbom(wheel_of(dist), commit, None)
    assert said in found


def test_every_extra_s_bill_verifies(dist: Path, verify: ModuleType, commit: Any) -> None:
    bills = sorted(dist.glob("*.cdx.json"))
    assert len(bills) > 20
    for bill in bills:
        assert verify.check_sbom(wheel_of(dist), commit, bill) == [], bill.name
        assert verify.check_sbom(sdist_of(dist), commit, bill) == [], bill.name


# --- attestation -----------------------------------------------------------------------------------------------------


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `gh` and `cosign` would be, and nothing but git besides: neither runs without the network."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "git").symlink_to(shutil.which("git") or "git")
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(folder: Path, name: str, status: int) -> Path:
    """Notes its arguments and ends with the status."""
    path, noted = folder / name, folder / f"{name}.noted"
    path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >"{noted}"\necho refused >&2\nexit {status}\n')
    path.chmod(0o755)
    return noted


def test_gh_is_asked_for_workflow_and_commit(dist: Path, verify: ModuleType, commit: Any, programs: Path) -> None:
    noted = program(programs, "gh", 0)
    assert verify.check_attestation(wheel_of(dist), commit, None) == []
    said = noted.read_text().splitlines()
    assert said[:3] == ["attestation", "verify", str(wheel_of(dist))]
    assert said[said.index("--source-digest") + 1] == commit.id
    assert said[said.index("--signer-workflow") + 1] == "wellstreak/wellstreak-trust/.github/workflows/release.yml"


def test_gh_refuses(dist: Path, verify: ModuleType, commit: Any, programs: Path) -> None:
    program(programs, "gh", 1)
    assert verify.check_attestation(wheel_of(dist), commit, None) == ["gh ended with 1", "refused"]


@pytest.mark.parametrize(("status", "found"), [(0, []), (1, ["cosign ended with 1", "refused"])])
def test_cosign_with_a_bundle(
    dist: Path, verify: ModuleType, commit: Any, programs: Path, status: int, found: list[str]
) -> None:
    noted = program(programs, "cosign", status)
    assert verify.check_attestation(wheel_of(dist), commit, dist / "bundle.json") == found
    assert "^https://github\\.com/wellstreak/wellstreak\\-trust/" in noted.read_text()


def test_without_either_nothing_is_claimed(
    dist: Path, verify: ModuleType, repository: Path, programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [str(wheel_of(dist)), "--repository", str(repository), "--skip", "rebuild"]
    assert verify.main(asked) == 0
    assert "skip attestation" in capsys.readouterr().out
    assert verify.main([*asked, "--strict"]) == 1
    assert "FAIL attestation" in capsys.readouterr().out


# --- what cannot be asked --------------------------------------------------------------------------------------------


def test_a_bare_wheel_is_skipped_and_strictly_failed(
    dist: Path, verify: ModuleType, repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = tmp_path / wheel_of(dist).name
    shutil.copy(wheel_of(dist), alone)
    asked = [str(alone), "--repository", str(repository), "--skip", "rebuild", "--skip", "attestation"]
    assert verify.main(asked) == 0
    assert "skip checksums    no SHA256SUMS beside the file" in capsys.readouterr().out
    assert verify.main([*asked, "--strict"]) == 1


def test_what_is_no_archive_fails(dist: Path, verify: ModuleType, repository: Path) -> None:
    wheel_of(dist).write_bytes(b"PK\x03\x04 nothing")
    sdist_of(dist).write_bytes(b"\x1f\x8b nothing")
    (dist / "SHA256SUMS").unlink()
    core_bill(dist).unlink()
    asked = ["--repository", str(repository), "--skip", "attestation", "--python", sys.executable]
    assert verify.main([str(wheel_of(dist)), *asked, "--skip", "rebuild"]) == 1
    assert verify.main([str(sdist_of(dist)), *asked]) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        ["missing-1.0-py3-none-any.whl"],
        ["{wheel}", "--ref", "v999.0.0"],
        ["{wheel}", "--ref", "--output=/tmp/x"],
        ["{wheel}", "--repository", "{empty}"],
        ["{wheel}", "--python", "{empty}/python"],
        ["{sums}"],
    ],
    ids=["no file", "no tag", "an option as tag", "no repository", "no interpreter", "no artifact"],
)
def test_what_cannot_be_asked_ends_with_2(
    dist: Path, verify: ModuleType, repository: Path, tmp_path: Path, wrong: list[str]
) -> None:
    (tmp_path / "empty").mkdir()
    names = {"wheel": wheel_of(dist), "empty": tmp_path / "empty", "sums": dist / "SHA256SUMS"}
    filled = [text.format(**names) for text in wrong]
    given = filled if "--repository" in filled else [*filled, "--repository", str(repository)]
    try:
        status = verify.main(given)
    except SystemExit as ended:  # argparse's own
        status = int(ended.code or 0)
    assert status == 2


def test_the_users_own_git_settings_do_not_reach_the_build(
    dist: Path, verify: ModuleType, commit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[core]\n\tautocrlf = true\n\teol = crlf\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    os.umask(os.umask(0o077) and 0o022)
    assert verify.check_rebuild(wheel_of(dist), commit, Path(sys.executable)) == []
