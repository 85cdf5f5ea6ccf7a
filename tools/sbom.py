"""The bill of materials: CycloneDX 1.6 of the runtime and of each extra, and the small one that lies in the wheel.

    python tools/sbom.py FOLDER [ARTIFACT...]     one document for the core, one for each extra; artifacts are hashed
    python tools/sbom.py --embedded               sbom/wellstreak-trust.cdx.json anew, which the wheel carries (PEP 770)

What is said comes from pyproject.toml, from the hash-pinned requirements, and from the metadata of what is installed,
so it runs where requirements/test.txt and requirements/release.txt are. A package that is needed here and is not
installed is an error, never a gap. The same commit gives the same bytes: the serial number is of the content, the time
is SOURCE_DATE_EPOCH. No address of an index is written; a file of a pin is named by its purl and its checksum.

The pinned documents are what the suite ran with. They stay outside the wheel, because a scanner would take them for
what is installed beside it. The wheel's own says what is in the wheel: this package and nobody else's code.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.dependency import Dependency
from cyclonedx.model.license import License, LicenseAcknowledgement
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
EMBEDDED = ROOT / "sbom" / "wellstreak-trust.cdx.json"
APART = {"arq": "an environment of its own, requirements/floor.txt: it holds redis back"}
"""Extras that no one environment holds with the rest; the manual says so."""
ENVIRONMENTS: list[dict[str, str]] = [
    {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
        "sys_platform": system.lower(),
        "platform_system": system,
        "platform_machine": machine,
    }
    for python, system, machine in product(
        ("3.11", "3.12", "3.13"), ("Linux", "Darwin"), ("x86_64", "aarch64", "arm64")
    )
]
"""Where the pins promise to work; a dependency that one of them has is listed."""
NAMESPACE = uuid.UUID("6f1c6f0e-6b0d-5c1e-9d0a-3a7c6f4b1e52")


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of a requirements file."""

    name: str
    version: str
    marker: str | None
    hashes: tuple[str, ...]

    @property
    def ref(self) -> str:
        """Names the component in its document."""
        return f"{self.name}=={self.version}"


@dataclass(slots=True)
class Closure:
    """What a set of requirements brings: the pins of each name, and who asked for whom."""

    pins: Mapping[str, list[Pin]]
    edges: dict[str, set[str]] = field(default_factory=dict)
    done: set[tuple[str, str]] = field(default_factory=set)

    def add(self, parent: str, requirement: Requirement) -> None:
        """Follows a requirement of `parent`, and those of what it names."""
        name = canonicalize_name(requirement.name)
        if name not in self.pins:
            raise SystemExit(f"{parent} needs {name}, and no pin names it")
        self.edges.setdefault(parent, set()).add(name)
        self.edges.setdefault(name, set())
        for extra in ("", *sorted(requirement.extras)):
            if (name, extra) not in self.done:
                self.done.add((name, extra))
                for needed in requirements_of(self.pins[name], extra):
                    self.add(name, needed)


def pinned(path: Path) -> dict[str, list[Pin]]:
    """The pins of a file by name. Two lines of one name are for two Pythons."""
    found: dict[str, list[Pin]] = {}
    for line in path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        text, *hashes = line.split("--hash=sha256:")
        requirement = Requirement(text.strip())
        version = str(requirement.specifier).removeprefix("==")
        marker = str(requirement.marker) if requirement.marker else None
        name = canonicalize_name(requirement.name)
        found.setdefault(name, []).append(Pin(name, version, marker, tuple(sorted(h.strip() for h in hashes))))
    return found


def applies(requirement: Requirement, extra: str = "", environments: Iterable[dict[str, str]] = ENVIRONMENTS) -> bool:
    """Whether one of the environments needs it."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({**each, "extra": extra}) for each in environments)


def installed(pin: Pin) -> Distribution | None:
    """Its metadata, or None where the pin is for another Python. Anything else that is missing is an error."""
    try:
        found = distribution(pin.name)
    except PackageNotFoundError:
        found = None
    if found is not None and found.version == pin.version:
        return found
    if pin.marker is None or Marker(pin.marker).evaluate():
        raise SystemExit(f"{pin.ref} is pinned; installed is {found.version if found else 'nothing'}")
    return None


def requirements_of(pins: list[Pin], extra: str) -> Iterator[Requirement]:
    """What the package asks for, with this extra of its own, or without any."""
    for pin in pins:
        found = installed(pin)
        for text in (found.requires or []) if found else []:
            requirement = Requirement(text)
            if applies(requirement, extra) and (not extra or not applies(requirement)):
                yield requirement


def licences(metadata: Mapping[str, Any]) -> list[License]:
    """The licence as its maker states it: the SPDX expression, else the old field's one line, else a classifier."""
    make = LicenseFactory()
    declared = LicenseAcknowledgement.DECLARED
    if expression := metadata.get("License-Expression"):
        return [make.make_from_string(expression, license_acknowledgement=declared)]
    listed = [
        value.split(" :: ")[-1] for value in metadata.get_all("Classifier") or [] if value.startswith("License ::")
    ]
    stated = (metadata.get("License") or "").strip()
    if stated and "\n" not in stated:  # some put the whole text there
        listed = [stated]
    return [make.make_from_string(text, license_acknowledgement=declared) for text in listed[:1]]


def purl(name: str, version: str, **qualifiers: str) -> PackageURL:
    """`pkg:` address of a release, without saying where it lies."""
    return PackageURL("pypi", None, name, version, qualifiers or None)


def a_file(name: str, version: str, digest: str, file_name: str | None = None) -> ExternalReference:
    """One file of a release. CycloneDX wants an address, and a purl is one."""
    named = f"&file_name={quote(file_name)}" if file_name else ""
    return ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION,
        url=XsUri(f"pkg:pypi/{name}@{version}?checksum=sha256:{digest}{named}"),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
    )


def component(pin: Pin) -> Component:
    """A dependency: its pin, its files, its licence."""
    found = installed(pin)
    properties = [Property(name="wellstreak-trust:marker", value=pin.marker)] if pin.marker else []
    if found is None:
        properties.append(Property(name="wellstreak-trust:metadata", value="not read: pinned for another Python"))
    return Component(
        type=ComponentType.LIBRARY,
        name=pin.name,
        version=pin.version,
        bom_ref=pin.ref,
        purl=purl(pin.name, pin.version),
        scope=ComponentScope.REQUIRED,
        licenses=licences(found.metadata) if found else [],
        external_references=[a_file(pin.name, pin.version, digest) for digest in pin.hashes],
        properties=properties,
    )


def itself(project: Mapping[str, Any], extra: str | None, artifacts: Iterable[Path] = ()) -> Component:
    """The package that the document is about."""
    name, version = project["name"], project["version"]
    needed = requirements(project, extra)
    references = [ExternalReference(type=ExternalReferenceType.VCS, url=XsUri(project["urls"]["Source"]))]
    references += [a_file(name, version, sha256(path.read_bytes()).hexdigest(), path.name) for path in artifacts]
    said = [Property(name="wellstreak-trust:requires", value=str(each)) for each in needed]
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=version,
        bom_ref=f"{name}[{extra}]=={version}" if extra else f"{name}=={version}",
        purl=purl(name, version),
        description=project["description"],
        licenses=[LicenseFactory().make_from_string(project["license"])],
        external_references=references,
        properties=said,
    )


def requirements(project: Mapping[str, Any], extra: str | None) -> list[Requirement]:
    """What the core asks for, and what the extra adds, with the extras that it names in turn."""
    texts = list(project["dependencies"])
    waiting = [extra] if extra else []
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for text in project["optional-dependencies"][name]:
            requirement = Requirement(text)
            if requirement.name == project["name"]:
                waiting += requirement.extras
            else:
                texts.append(text)
    return [Requirement(text) for text in sorted(set(texts))]


def document(bom: Bom, at: datetime | None) -> str:
    """The document as JSON; equal content is equal text, serial number included."""
    bom.metadata.timestamp = at  # None leaves it out, which the schema allows
    bom.serial_number = uuid.UUID(int=0)
    bom.serial_number = uuid.uuid5(NAMESPACE, written(bom))
    return written(bom) + "\n"


def written(bom: Bom) -> str:
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=1)


def of_extra(
    project: Mapping[str, Any], extra: str | None, pins: Mapping[str, list[Pin]], artifacts: Iterable[Path] = ()
) -> Bom:
    """The core with an extra, or the core alone: components, files, licences, and who needs whom."""
    subject = itself(project, extra, artifacts)
    closure = Closure(pins)
    for requirement in requirements(project, extra):
        closure.add(project["name"], requirement)
    bom = Bom(components=[component(pin) for name in closure.edges if name in pins for pin in pins[name]])
    bom.metadata.component = subject
    refs = {each.bom_ref.value: each.bom_ref for each in (subject, *bom.components)}

    def named(names: Iterable[str]) -> list[Dependency]:
        return [Dependency(refs[pin.ref]) for name in sorted(names) for pin in pins[name]]

    for name, needs in closure.edges.items():
        for ref in [pin.ref for pin in pins[name]] if name in pins else [subject.bom_ref.value]:
            bom.dependencies.add(Dependency(refs[ref], named(needs)))
    return bom


def embedded(project: Mapping[str, Any]) -> str:
    """What lies in the wheel: this package and nothing else; its requirements by name, because pip chooses them."""
    bom = Bom()
    bom.metadata.component = itself(project, None)
    bom.metadata.properties.add(Property(name="wellstreak-trust:bundled", value="none"))
    return document(bom, None)


def write_all(folder: Path, artifacts: list[Path]) -> None:
    project = the_project()
    at = (
        datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC) if "SOURCE_DATE_EPOCH" in os.environ else None
    )
    pins = pinned(ROOT / "requirements" / "test.txt")
    folder.mkdir(parents=True, exist_ok=True)
    for extra in (None, *project["optional-dependencies"]):
        if extra in APART:
            print(f"left out: [{extra}], {APART[extra]}")
            continue
        stem = re.sub(r"[-_.]+", "_", project["name"]) + f"-{project['version']}" + (f"-{extra}" if extra else "")
        bom = of_extra(project, extra, pins, artifacts)
        (folder / f"{stem}.cdx.json").write_text(document(bom, at), encoding="utf-8")
        print(f"{stem}.cdx.json: {len(bom.components)} components")


def the_project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project


def main(arguments: list[str]) -> int:
    if arguments == ["--embedded"]:
        EMBEDDED.write_text(embedded(the_project()), encoding="utf-8")
    elif arguments and not arguments[0].startswith("-"):
        write_all(Path(arguments[0]), [Path(name) for name in arguments[1:]])
    else:
        print(__doc__)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
