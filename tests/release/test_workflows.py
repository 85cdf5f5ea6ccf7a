"""The workflows: actions are pinned, nobody may do more than they must, nothing from outside reaches a shell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))
PIN = re.compile(r"uses: ([\w.-]+/[\w./-]+)@([0-9a-f]{40}) # v\d+\.\d+\.\d+$")
TRIGGERS = {"push", "pull_request", "schedule"}
"""With none of them does a stranger's event run with rights. `pull_request` from a fork has a token that reads."""
WRITES = {
    "release.yml": {
        "attest": {"attestations": "write", "id-token": "write"},
        "publish": {"id-token": "write"},
        "files": {"contents": "write"},
    }
}
"""Who may more than read."""


def faults(name: str, text: str) -> Iterator[str]:
    """What a workflow of this name and text should not hold."""
    workflow = yaml.safe_load(text)
    triggers = workflow[True]  # YAML 1.1 reads the key `on` as a truth value
    yield from (f"trigger {trigger}" for trigger in set(triggers) - TRIGGERS)
    if workflow.get("permissions") not in ({}, {"contents": "read"}):
        yield "the workflow has more than reading permissions"
    if re.search(r"\bsecrets\.|toJSON\(", text):
        yield "a secret is read"
    for line in text.splitlines():
        if "uses:" in line and not PIN.search(line.strip().removeprefix("- ")):
            yield f"not pinned with its version: {line.strip()}"
    for job, body in workflow["jobs"].items():
        yield from (f"{job}: {fault}" for fault in job_faults(body, WRITES.get(name, {}).get(job, {})))


def job_faults(job: dict[str, Any], may: dict[str, str]) -> Iterator[str]:
    rights = {name: right for name, right in job.get("permissions", {}).items() if right != "read"}
    if rights != may:
        yield f"has {rights}, may have {may}"
    if job["runs-on"].endswith("latest"):
        yield "runs on a machine that changes"
    if "timeout-minutes" not in job:
        yield "may run for six hours"
    for step in job["steps"]:
        uses, run = step.get("uses", ""), step.get("run", "")
        if "${{" in run:
            yield f"an expression in a shell: {run.strip()}"
        if uses.startswith("actions/checkout@") and step.get("with", {}).get("persist-credentials") is not False:
            yield "the checkout leaves its token behind"
        if may and (uses.startswith("actions/checkout@") or re.search(r"tools/|make |python|\.ci/|pip ", run)):
            yield "may write, and runs what the repository holds"
        if "cache" in str(step.get("with", {})):
            yield "takes what an earlier run left"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_workflow(path: Path) -> None:
    assert list(faults(path.name, path.read_text(encoding="utf-8"))) == []


def test_both_are_there() -> None:
    assert [path.name for path in FILES] == ["ci.yml", "release.yml"]


def test_an_action_has_one_pin() -> None:
    pins: dict[str, set[str]] = {}
    for path in FILES:
        for action, commit in re.findall(r"uses: (\S+)@([0-9a-f]{40})", path.read_text(encoding="utf-8")):
            pins.setdefault(action, set()).add(commit)
    assert pins
    assert [action for action, commits in pins.items() if len(commits) > 1] == []


def release() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / "release.yml").read_text(encoding="utf-8"))
    return found


def test_a_release_starts_from_a_tag_alone() -> None:
    assert release()[True] == {"push": {"tags": ["v[0-9]*"]}}


def test_the_jobs_stand_in_a_row() -> None:
    """Nothing is signed before it was built twice, and nothing is published before it was signed."""
    jobs = release()["jobs"]
    assert {name: job.get("needs") for name, job in jobs.items()} == {
        "build": None,
        "again": "build",
        "attest": "again",
        "publish": "attest",
        "files": "publish",
    }
    assert jobs["build"]["runs-on"] != jobs["again"]["runs-on"]
    assert any("verify_release" in step.get("run", "") for step in jobs["again"]["steps"])


def test_publishing_waits_for_a_person() -> None:
    job = release()["jobs"]["publish"]
    assert job["environment"] == "release"
    assert [step["uses"].partition("@")[0] for step in job["steps"] if "uses" in step] == [
        "actions/download-artifact",
        "pypa/gh-action-pypi-publish",
    ]


def test_what_is_attested() -> None:
    steps = {step["uses"].partition("@")[0]: step for step in release()["jobs"]["attest"]["steps"] if "uses" in step}
    assert steps["actions/attest-build-provenance"]["with"] == {"subject-checksums": "dist/SHA256SUMS"}
    assert steps["actions/attest"]["with"]["sbom-path"] == "sbom.cdx.json"


# --- the checks can fail ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2", "@v4", "not pinned"),
        (" # v4.2.2", "", "not pinned"),
        ("on:\n", "on:\n  pull_request_target:\n", "trigger pull_request_target"),
        ("on:\n", "on:\n  workflow_run: {workflows: [ci]}\n", "trigger workflow_run"),
        ("permissions: {}", "permissions: write-all", "more than reading"),
        ("      contents: read", "      contents: write", "may have {}"),
        ('"$GITHUB_REF_NAME"', '"${{ github.event.head_commit.message }}"', "an expression in a shell"),
        ("persist-credentials: false", "persist-credentials: true", "leaves its token"),
        ("ubuntu-24.04", "ubuntu-latest", "a machine that changes"),
        ("    timeout-minutes: 30\n", "", "six hours"),
        ("mkdir upload", "make dist && mkdir upload", "runs what the repository holds"),
        ('python-version: "3.12"', 'python-version: "3.12"\n          cache: pip', "an earlier run"),
        ("${{ github.token }}", "${{ secrets.TOKEN }}", "a secret is read"),
    ],
)
def test_a_worse_workflow_is_refused(old: str, new: str, said: str) -> None:
    text = (FOLDER / "release.yml").read_text(encoding="utf-8")
    assert old in text
    assert any(said in fault for fault in faults("release.yml", text.replace(old, new)))
