#!/usr/bin/env python3
"""Is this wheel or sdist what its commit says? Python 3.11, git and the standard library are enough.

    python tools/verify_release.py wellstreak_trust-1.2.0-py3-none-any.whl --ref v1.2.0

Five questions, each answered by `ok`, `FAIL` or `skip`:

  rebuild      the same bytes come out when the commit is built here, in an environment of its own
  record       the wheel's RECORD lists what is in it, and the hashes agree
  checksums    SHA256SUMS names the file with this digest
  sbom         the bill of materials names the file with this digest, and its pins are those of the commit
  attestation  `gh` or `cosign` finds that the release workflow of the repository built the file from that commit

The first needs no trust in whoever published. SHA256SUMS and the bill of materials are looked for beside the file. What
is not there is skipped and said; --strict turns that into a failure. A rebuild installs the build's few pinned
requirements through pip, unless --python names an interpreter that has them.

Ends with 0 when nothing failed, 1 when something did, 2 when it could not be asked (no such file, commit or tool).
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

BUILD = {"hatchling", "packaging", "pathspec", "pluggy", "tomlkit", "trove-classifiers"}
"""What a build needs. pip refuses when this is not all of it, because it installs with hashes."""
QUESTIONS = ("rebuild", "record", "checksums", "sbom", "attestation")
SHOWN = 20
WORKFLOW = ".github/workflows/release.yml"
ISSUER = "https://token.actions.githubusercontent.com"
SOURCE = "https://github.com/"


class CannotAsk(Exception):
    """The question could not be put: exit status 2."""


class Skipped(Exception):
    """There is nothing to answer it from."""


@dataclass(frozen=True, slots=True)
class Commit:
    """Where the file is said to come from: a repository, and the commit that a tag or branch names."""

    repository: Path
    id: str

    def read(self, path: str) -> str:
        """A file of the commit as text."""
        return git(self.repository, "show", f"{self.id}:{path}")

    @property
    def project(self) -> dict[str, Any]:
        """The `[project]` table of its pyproject.toml."""
        project: dict[str, Any] = tomllib.loads(self.read("pyproject.toml"))["project"]
        return project


def run(command: Sequence[str | Path], **options: Any) -> str:
    """Its standard output. A command that is missing or fails could not answer."""
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True, **options)
    except FileNotFoundError:
        raise CannotAsk(f"{command[0]} is not installed") from None
    except subprocess.CalledProcessError as failed:
        said = (failed.stderr.strip() or failed.stdout.strip()).splitlines()[-6:]
        raise CannotAsk("\n".join([f"{Path(command[0]).name} ended with {failed.returncode}", *said])) from None
    return done.stdout


def git(repository: Path, *arguments: str) -> str:
    # The user's own settings (line ends, filters, hooks) must not reach what is built.
    quiet = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    safe = ("-c", f"safe.directory={repository.resolve()}")
    return run(["git", "-C", str(repository), *safe, *arguments], env=quiet)


def digest(path: Path) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- rebuild ---------------------------------------------------------------------------------------------------------


def builder(commit: Commit, folder: Path) -> Path:
    """An interpreter of its own that has the build's requirements, as the commit pins them."""
    pins = commit.read("requirements/release.txt").replace("\\\n", " ").splitlines()
    wanted = [line for line in pins if re.split(r"[=\[ ]", line, maxsplit=1)[0] in BUILD]
    listed = folder / "build.txt"
    listed.write_text("\n".join(wanted) + "\n", encoding="utf-8")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", listed])
    return python


def rebuilt(commit: Commit, kind: str, folder: Path, python: Path | None) -> Path:
    """The wheel or sdist of the commit, built here from a clone and with nothing of this shell's environment."""
    git(commit.repository, "clone", "--quiet", "--no-hardlinks", "--no-checkout", ".", str(folder / "source"))
    git(folder / "source", "checkout", "--quiet", "--detach", commit.id)
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TEMP", "TMP") if name in os.environ}
    kept |= {"SOURCE_DATE_EPOCH": git(commit.repository, "log", "-1", "--format=%ct", commit.id).strip()}
    python = python or builder(commit, folder)
    out = folder / "out"
    run([python, "-m", "hatchling", "build", "-t", kind, "-d", out], cwd=folder / "source", env=kept)
    (made,) = out.iterdir()
    return made


def members(path: Path) -> dict[str, str]:
    """What is inside: for each name the kind, mode and digest."""
    found: dict[str, str] = {}
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            for info in wheel.infolist():
                found[info.filename] = f"{info.external_attr >> 16:o} {hashlib.sha256(wheel.read(info)).hexdigest()}"
        return found
    with tarfile.open(path) as sdist:
        for each in sdist:
            content = sdist.extractfile(each) if each.isfile() else None
            inside = hashlib.sha256(content.read()).hexdigest() if content else f"{each.type!r} {each.linkname}"
            found[each.name] = f"{each.mode:o} {inside}"
    return found


def differences(given: Path, made: Path) -> Iterator[str]:
    """In words, what the given file has otherwise than the one that was built here."""
    if given.read_bytes() == made.read_bytes():
        return
    if given.name != made.name:
        yield f"the commit builds {made.name}"
    theirs, ours = members(given), members(made)
    for name in sorted(theirs.keys() | ours.keys()):
        if name not in ours:
            yield f"added: {name}"
        elif name not in theirs:
            yield f"removed: {name}"
        elif theirs[name] != ours[name]:
            yield f"changed: {name}"
    if theirs == ours:
        yield "the members are equal; the archive around them is not (order, times, compression or trailing bytes)"


def check_rebuild(given: Path, commit: Commit, python: Path | None) -> list[str]:
    """The same bytes come out of the commit."""
    with tempfile.TemporaryDirectory() as folder:
        kind = "wheel" if given.suffix == ".whl" else "sdist"
        return list(differences(given, rebuilt(commit, kind, Path(folder), python)))


# --- record ----------------------------------------------------------------------------------------------------------


def check_record(given: Path) -> list[str]:
    """RECORD and the wheel agree, name by name and hash by hash."""
    with zipfile.ZipFile(given) as wheel:
        names = Counter(wheel.namelist())
        faults = [f"{name} is in the wheel {count} times" for name, count in names.items() if count > 1]
        faults += [f"{name} leaves its folder" for name in names if name.startswith("/") or ".." in name.split("/")]
        records = [name for name in names if re.fullmatch(r"[^/]+\.dist-info/RECORD", name)]
        if len(records) != 1:
            return [*faults, f"{len(records)} files are called RECORD"]
        rows = list(csv.reader(io.StringIO(wheel.read(records[0]).decode("utf-8"))))
        listed = Counter(row[0] for row in rows if row)
        faults += [f"RECORD lists {name} {count} times" for name, count in listed.items() if count > 1]
        faults += [f"RECORD lacks {name}" for name in sorted(names.keys() - listed.keys())]
        faults += [f"RECORD lists {name}, which is not there" for name in sorted(listed.keys() - names.keys())]
        for name, *claim in rows:
            if name in names and name != records[0] and claim != recorded(wheel.read(name)):
                faults.append(f"RECORD has another hash or size of {name}")
    return faults


def recorded(content: bytes) -> list[str]:
    """Hash and size as RECORD writes them."""
    packed = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return [f"sha256={packed}", str(len(content))]


# --- checksums, bill of materials ------------------------------------------------------------------------------------


def check_sums(given: Path, sums: Path | None) -> list[str]:
    """SHA256SUMS, as `sha256sum` writes it, names the file once and with this digest."""
    path = sums or given.with_name("SHA256SUMS")
    if not path.is_file():
        raise Skipped(f"no {path.name} beside the file")
    lines = [line.split(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    found = {claim.lower() for claim, name in lines if Path(name.lstrip("*")).name == given.name}
    if not found:
        return [f"{path.name} does not name {given.name}"]
    return [] if found == {digest(given)} else [f"{path.name} has another digest of {given.name}"]


def pins_of(text: str) -> dict[tuple[str, str], set[str]]:
    """The hashes of each (name, version) in a requirements file."""
    found: dict[tuple[str, str], set[str]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        if pin := re.match(r"([a-z0-9][\w.-]*)(?:\[[^]]*])?==(\S+)", line):
            found[pin[1], pin[2]] = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", line))
    return found


def files_of(component: dict[str, Any]) -> dict[str, str]:
    """The digests of a component's files, each with the name of its file where one is given."""
    found = {}
    for reference in component.get("externalReferences", []):
        if reference.get("type") == "distribution":
            name = parse_qs(reference["url"].partition("?")[2]).get("file_name", [""])[0]
            found |= {each["content"]: name for each in reference.get("hashes", []) if each["alg"] == "SHA-256"}
    return found


def check_sbom(given: Path, commit: Commit, sbom: Path | None) -> list[str]:
    """The bill of materials is of this file, and its components are the pins of the commit."""
    project = commit.project
    stem = f"{re.sub(r'[-_.]+', '_', project['name'])}-{project['version']}"
    path = sbom or given.with_name(f"{stem}.cdx.json")
    if not path.is_file():
        raise Skipped(f"no {path.name} beside the file")
    bom = json.loads(path.read_text(encoding="utf-8"))
    subject = bom.get("metadata", {}).get("component", {})
    if bom.get("bomFormat") != "CycloneDX" or (subject.get("name"), subject.get("version")) != (
        project["name"],
        project["version"],
    ):
        return [f"{path.name} is not the bill of {project['name']} {project['version']}"]
    faults = []
    if files_of(subject).get(digest(given)) != given.name:
        faults.append(f"{path.name} does not name {given.name} with this digest")
    said = {each["value"] for each in subject.get("properties", []) if each["name"] == "wellstreak-trust:requires"}
    faults += [f"the core needs {each}, which is not said" for each in project["dependencies"] if each not in said]
    pins = pins_of(commit.read("requirements/test.txt"))
    for component in bom.get("components", []):
        name, version = component["name"], component.get("version", "")
        if (name, version) not in pins:
            faults.append(f"{name} {version} is no pin of the commit")
        elif set(files_of(component)) != pins[name, version]:
            faults.append(f"{name} {version} has other hashes than the commit pins")
    refs = {subject.get("bom-ref"), *(each.get("bom-ref") for each in bom.get("components", []))}
    edges = [ref for each in bom.get("dependencies", []) for ref in (each["ref"], *each.get("dependsOn", []))]
    return faults + [f"{ref} is depended upon and not listed" for ref in sorted(set(edges) - refs)]


# --- attestation -----------------------------------------------------------------------------------------------------


def check_attestation(given: Path, commit: Commit, bundle: Path | None) -> list[str]:
    """The release workflow of the repository says that it built the file from the commit."""
    repository = commit.project["urls"]["Source"].removeprefix(SOURCE)
    if shutil.which("gh"):
        said = ["--repo", repository, "--signer-workflow", f"{repository}/{WORKFLOW}", "--source-digest", commit.id]
        command = ["gh", "attestation", "verify", str(given), *said, "--deny-self-hosted-runners"]
        if bundle:
            command += ["--bundle", str(bundle)]
    elif shutil.which("cosign") and bundle:
        identity = f"^{re.escape(f'{SOURCE}{repository}/{WORKFLOW}')}@refs/tags/"
        command = ["cosign", "verify-blob-attestation", "--new-bundle-format", "--bundle", str(bundle)]
        command += ["--type", "slsaprovenance1", "--certificate-oidc-issuer", ISSUER]
        command += ["--certificate-identity-regexp", identity, str(given)]
    else:
        raise Skipped("neither gh, nor cosign and a bundle")
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode == 0:
        return []
    return [f"{command[0]} ended with {done.returncode}", *(done.stderr or done.stdout).strip().splitlines()[-4:]]


# --- command line ----------------------------------------------------------------------------------------------------


def arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="verify_release", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("artifact", type=Path, nargs="+", help="a wheel or an sdist")
    parser.add_argument("--repository", type=Path, default=Path(), help="a clone (default: this folder)")
    parser.add_argument("--ref", default="HEAD", help="the tag or commit that the file is said to come from")
    parser.add_argument("--sums", type=Path, help="SHA256SUMS")
    parser.add_argument("--sbom", type=Path, help="the bill of materials")
    parser.add_argument("--bundle", type=Path, help="an attestation bundle, for use without the network")
    parser.add_argument("--python", type=Path, help="an interpreter that has the pinned hatchling")
    parser.add_argument("--skip", action="append", default=[], choices=QUESTIONS, help="leave a question out; repeat")
    parser.add_argument("--strict", action="store_true", help="a question that cannot be answered has failed")
    return parser.parse_args(given)


def checks(given: Path, commit: Commit, asked: argparse.Namespace) -> dict[str, Callable[[], list[str]]]:
    """The questions about one file, each as a call that returns its faults. An sdist has no RECORD."""
    record = {"record": partial(check_record, given)} if given.suffix == ".whl" else {}
    return {
        "rebuild": partial(check_rebuild, given, commit, asked.python),
        **record,
        "checksums": partial(check_sums, given, asked.sums),
        "sbom": partial(check_sbom, given, commit, asked.sbom),
        "attestation": partial(check_attestation, given, commit, asked.bundle),
    }


def answered(name: str, check: Callable[[], list[str]], asked: argparse.Namespace) -> bool:
    """Asks one question, prints the answer, and says whether it is well."""
    if name in asked.skip:
        print(f"  skip {name:<12} as told")
        return True
    try:
        faults = check()
    except Skipped as why:
        print(f"  {'FAIL' if asked.strict else 'skip'} {name:<12} {why}")
        return not asked.strict
    except (ValueError, KeyError, TypeError, AttributeError, tarfile.TarError, zipfile.BadZipFile) as broken:
        faults = [f"cannot be read: {type(broken).__name__}"]
    print(f"  {'FAIL' if faults else 'ok  '} {name}")
    for fault in faults[:SHOWN]:
        print(f"         {fault}")
    if len(faults) > SHOWN:
        print(f"         and {len(faults) - SHOWN} more")
    return not faults


def main(given: Sequence[str]) -> int:
    asked = arguments(given)
    try:
        named = git(asked.repository, "rev-parse", "--verify", "--end-of-options", f"{asked.ref}^{{commit}}")
        commit = Commit(asked.repository, named.strip())
        well = True
        for artifact in asked.artifact:
            if not artifact.is_file() or not artifact.name.endswith((".whl", ".tar.gz")):
                raise CannotAsk(f"{artifact} is no wheel and no sdist")
            print(f"{artifact.name} and commit {commit.id[:12]}")
            results = [answered(name, check, asked) for name, check in checks(artifact, commit, asked).items()]
            well = well and all(results)
    except CannotAsk as why:
        print(f"verify_release: {why}", file=sys.stderr)
        return 2
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
