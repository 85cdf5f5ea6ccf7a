"""The bills of material: valid by the schema, complete, the same from one commit, and without any index address."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
STEM = f"wellstreak_trust-{PROJECT['version']}"
APART = {"arq"}


@pytest.fixture
def sbom(tool: Callable[[str], ModuleType]) -> ModuleType:
    return tool("sbom")


@pytest.fixture(scope="session")
def bills(released: Path) -> dict[str, dict[str, Any]]:
    """By the name of the extra; the core's is nameless."""
    found = {path.name.removesuffix(".cdx.json"): json.loads(path.read_text()) for path in released.glob("*.cdx.json")}
    return {name.removeprefix(STEM).removeprefix("-"): bill for name, bill in found.items()}


def names(bill: dict[str, Any]) -> set[str]:
    return {each["name"] for each in bill["components"]}


def shortened(bill: dict[str, Any]) -> str:
    """With one file a component: the validator takes a tenth of a second for each address, and they are all alike."""
    return json.dumps(
        bill
        | {"components": [each | {"externalReferences": each["externalReferences"][:1]} for each in bill["components"]]}
    )


def test_bills_are_valid_by_the_strict_schema(bills: dict[str, Any]) -> None:
    check = JsonStrictValidator(SchemaVersion.V1_6)
    assert check.validate_str((ROOT / "sbom/wellstreak-trust.cdx.json").read_text(encoding="utf-8")) is None
    assert check.validate_str(shortened(bills[""])) is None
    assert check.validate_str(shortened(bills["fastapi"])) is None


def test_what_was_shortened_is_all_alike(bills: dict[str, Any]) -> None:
    files = [each for one in bills["all"]["components"] for each in one["externalReferences"]]
    assert len(files) > 1_000
    for each in files:
        assert each.keys() == {"hashes", "type", "url"}
        assert re.fullmatch(r"pkg:pypi/[a-z0-9.-]+@[\w.]+\?checksum=sha256:[0-9a-f]{64}", each["url"]), each["url"]


def test_the_schema_would_say_no(bills: dict[str, Any]) -> None:
    bill = bills[""] | {"components": [bills[""]["components"][0] | {"licence": "MIT"}]}
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(shortened(bill)) is not None


def test_the_core_and_every_extra_have_one(bills: dict[str, Any]) -> None:
    assert set(bills) == {""} | set(PROJECT["optional-dependencies"]) - APART


def test_an_extra_holds_the_core_and_what_it_adds(bills: dict[str, Any]) -> None:
    core = names(bills[""])
    assert {"argon2-cffi", "cffi", "cryptography", "limits", "pydantic-core", "pyjwt", "structlog"} <= core
    assert not core & {"flask", "django", "redis", "pytest", "hatchling"}
    for extra, bill in bills.items():
        assert core <= names(bill), extra
    assert {"flask", "werkzeug", "jinja2"} <= names(bills["flask"]) - core
    assert {"sqlalchemy", "psycopg", "asyncpg"} <= names(bills["postgres"])  # through another extra
    assert names(bills["all"]) >= names(bills["aws"]) | names(bills["celery"])


def test_the_graph_is_whole(bills: dict[str, Any]) -> None:
    for extra, bill in bills.items():
        edges = {each["ref"]: each.get("dependsOn", []) for each in bill["dependencies"]}
        refs = {each["bom-ref"] for each in bill["components"]}
        root = bill["metadata"]["component"]["bom-ref"]
        reached, waiting = set(), [root]
        while waiting:
            ref = waiting.pop()
            if ref not in reached:
                reached.add(ref)
                waiting += edges[ref]
        assert reached == refs | {root}, extra
    assert "cffi" in {ref.partition("==")[0] for ref in _needs(bills[""], "cryptography")}


def _needs(bill: dict[str, Any], name: str) -> list[str]:
    return next(each["dependsOn"] for each in bill["dependencies"] if each["ref"].startswith(f"{name}=="))


def test_every_component_has_purl_hashes_and_licence(bills: dict[str, Any]) -> None:
    for component in bills["all"]["components"]:
        assert component["purl"] == f"pkg:pypi/{component['name']}@{component['version']}"
        files = [each for each in component["externalReferences"] if each["type"] == "distribution"]
        assert all(re.fullmatch("[0-9a-f]{64}", each["hashes"][0]["content"]) for each in files)
        assert all(f"checksum=sha256:{each['hashes'][0]['content']}" in each["url"] for each in files)
        elsewhere = {"name": "wellstreak-trust:metadata", "value": "not read: pinned for another Python"}
        assert component.get("licenses") or elsewhere in component["properties"], component["name"]


def test_the_bill_names_the_artifacts(bills: dict[str, Any], released: Path) -> None:
    from hashlib import sha256

    for bill in bills.values():
        said = {
            each["hashes"][0]["content"]
            for each in bill["metadata"]["component"]["externalReferences"]
            if each["type"] == "distribution"
        }
        assert said == {sha256(path.read_bytes()).hexdigest() for path in released.glob(f"{STEM}*[lz]")}


def test_no_address_of_an_index(released: Path, tool: Callable[[str], ModuleType]) -> None:
    for path in released.glob("*.cdx.json"):
        text = path.read_text(encoding="utf-8")
        assert list(tool("tracked").faults(path.name, text)) == []
        assert set(re.findall(r"https?://[^/\"]+", text)) == {"https://github.com", "http://cyclonedx.org"}, path.name


def test_another_process_writes_the_same(released: Path, tmp_path: Path) -> None:
    when = datetime.fromisoformat(json.loads((released / f"{STEM}.cdx.json").read_text())["metadata"]["timestamp"])
    surroundings = {
        "SOURCE_DATE_EPOCH": str(int(when.timestamp())), "PYTHONHASHSEED": "4242", "TZ": "Pacific/Kiritimati",
        "LC_ALL": "C", "PATH": os.environ["PATH"], "HOME": str(tmp_path),
    }  # fmt: skip
    artifacts = [*released.glob("*.whl"), *released.glob("*.tar.gz")]
    subprocess.run(
        [sys.executable, ROOT / "tools/sbom.py", tmp_path / "again", *artifacts],
        env=surroundings, cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    for path in released.glob("*.cdx.json"):
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


def test_the_serial_number_is_of_the_content(bills: dict[str, Any]) -> None:
    assert len({bill["serialNumber"] for bill in bills.values()}) == len(bills)


def test_the_wheel_carries_its_own(sbom: ModuleType, released: Path) -> None:
    kept = sbom.EMBEDDED.read_text(encoding="utf-8")
    assert kept == sbom.embedded(sbom.the_project()), "python tools/sbom.py --embedded"
    (wheel,) = released.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        (name,) = (name for name in opened.namelist() if "/sboms/" in name)
        assert opened.read(name).decode() == kept
    bill = json.loads(kept)
    assert "components" not in bill  # nobody else's code is in the wheel
    said = {each["value"] for each in bill["metadata"]["component"]["properties"]}
    assert said == set(PROJECT["dependencies"])


# --- what would be a gap is an error ---------------------------------------------------------------------------------


def test_a_pin_that_is_not_installed(sbom: ModuleType) -> None:
    with pytest.raises(SystemExit, match=r"pyjwt==0\.0\.1 is pinned; installed is \d"):
        sbom.installed(sbom.Pin("pyjwt", "0.0.1", None, ()))
    with pytest.raises(SystemExit, match="installed is nothing"):
        sbom.installed(sbom.Pin("no-such-package", "1", None, ()))


def test_a_pin_for_another_python_is_no_gap(sbom: ModuleType) -> None:
    assert sbom.installed(sbom.Pin("no-such-package", "1", "python_version < '3'", ())) is None


def test_a_requirement_without_a_pin(sbom: ModuleType) -> None:
    pins = sbom.pinned(ROOT / "requirements/test.txt")
    del pins["cffi"]
    with pytest.raises(SystemExit, match="cffi, and no pin names it"):
        sbom.of_extra(sbom.the_project(), None, pins)


def test_usage(sbom: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert sbom.main([]) == 2
    assert "CycloneDX" in capsys.readouterr().out
