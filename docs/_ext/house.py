"""What this manual adds to Sphinx: tables made of the code, and references by the name that a room exports."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective


class _Table(SphinxDirective):
    """A table whose rows come from the package itself, so that it cannot say what is no longer true."""

    header: Sequence[str] = ()

    def rows(self) -> Iterator[Sequence[str]]:
        raise LookupError("a table of nothing")

    def run(self) -> list[nodes.Node]:
        lines = [self.header, ["---"] * len(self.header), *self.rows()]
        text = ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines]
        parent = nodes.container()
        self.state.nested_parse(StringList(text, self.get_source_info()[0]), self.content_offset, parent)
        return parent.children


class DoctorCodes(_Table):
    """Every finding of the doctor for PostgreSQL."""

    header = ("code", "severity", "what is wrong", "what it lets happen")

    def rows(self) -> Iterator[Sequence[str]]:
        from wellstreak_trust.tenancy.postgres import CODES

        for code, what in CODES.items():
            yield f"`{code}`", what.severity, what.title, what.why


class ProviderPresets(_Table):
    """Every preset of a sign-in provider."""

    header = ("name", "issuer", "speaks", "scopes", "the person is", "its address counts if", "know that")

    def rows(self) -> Iterator[Sequence[str]]:
        from wellstreak_trust.identity.presets import PRESETS

        for name, row in PRESETS.items():
            scopes = " ".join(f"`{scope}`" for scope in row.scopes)
            yield f"`{name}`", f"`{row.issuer}`", row.protocol, scopes, row.subject, row.proof, row.rule


class ConnectionEdges(_Table):
    """What each event does in each state of a connection."""

    header = ("state", "event", "next state")

    def rows(self) -> Iterator[Sequence[str]]:
        from wellstreak_trust.connections import EDGES

        for state, row in EDGES.items():
            to: dict[str, list[str]] = {}
            for event, after in row.items():
                to.setdefault(after, []).append(f"`{event}`")
            for at, (after, events) in enumerate(to.items()):
                yield f"**{state}**" if at == 0 else "", ", ".join(events), after


class Settings(_Table):
    """Every setting with its variable, its default, and what reference/settings.toml says of it."""

    header = ("variable", "meaning", "default", "example", "refused as")

    def rows(self) -> Iterator[Sequence[str]]:
        from wellstreak_trust.settings import PREFIX, TrustSettings

        words = tomllib.loads((Path(__file__).parents[1] / "reference/settings.toml").read_text(encoding="utf-8"))
        for name, field in TrustSettings.model_fields.items():
            default = "" if field.default is None else f"`{field.default}`"
            meaning = (field.description or "").replace("<", r"\<")
            refused = ", ".join(f"`{reason}` (`{value}`)" for reason, value in words[name]["refused"].items())
            yield f"`{PREFIX}{name.upper()}`", meaning, default, f"`{words[name]['example']}`", refused


class QueryKeys(_Table):
    """Every key of the query language of the trail."""

    header = ("key", "what it reads", "values", "example")

    def rows(self) -> Iterator[Sequence[str]]:
        from wellstreak_trust.audit.query import QUALIFIERS

        for name, key in QUALIFIERS.items():
            values = ", ".join(f"`{each}`" for each in key.choices) or key.kind
            yield f"`{name}{'.<path>' if key.has_path else ''}`", key.about, values, f"`{key.example}`"


class ExportFormats(_Table):
    """Every format that events are exported in."""

    header = ("format", "what it is", "media type")

    def rows(self) -> Iterator[Sequence[str]]:
        from wellstreak_trust.audit import FORMATS

        for each in FORMATS.values():
            yield f"`{each.name}`", each.about, f"`{each.media_type}`"


class OcsfMap(_Table):
    """Which class and activity of OCSF an action is."""

    header = ("action", "class", "activity")

    def rows(self) -> Iterator[Sequence[str]]:
        from wellstreak_trust.audit.formats.ocsf import OCSF

        for schema in OCSF.values():
            for action, (class_uid, activity_id) in sorted(schema.actions.items()):
                caption = f"{class_uid} {schema.classes[class_uid][0]}"
                told = f"{activity_id} {schema.activities[class_uid][activity_id]}"
                yield f"`{action}{'*' if action.endswith('.') else ''}`", caption, told


class CefFields(_Table):
    """Which extension of CEF holds what."""

    header = ("extension", "holds")

    def rows(self) -> Iterator[Sequence[str]]:
        from wellstreak_trust.audit.formats.cef import CEF_FIELDS

        yield from ((f"`{name}`", held) for name, held in CEF_FIELDS)


def by_public_name(app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.Element) -> Any:
    """A class is documented in the room that exports it, while annotations name the module that holds it."""
    parts = str(node.get("reftarget", "")).split(".")
    if node.get("refdomain") != "py" or len(parts) < 4 or parts[0] != "wellstreak_trust":
        return None
    public = ".".join((*parts[:2], parts[-1]))
    return env.domains["py"].resolve_xref(env, node["refdoc"], app.builder, node["reftype"], public, node, text)


def only_its_own(app: Sphinx, what: str, name: str, member: object, *_: Any) -> bool | None:
    """A room's page leaves out what the room passes on from another one, mostly errors."""
    home = str(getattr(member, "__module__", None))
    room = f"wellstreak_trust.{PurePosixPath(app.env.docname).name}"
    return True if what == "module" and home.startswith("wellstreak_trust.") and not home.startswith(room) else None


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("doctor-codes", DoctorCodes)
    app.add_directive("provider-presets", ProviderPresets)
    app.add_directive("connection-edges", ConnectionEdges)
    app.add_directive("settings", Settings)
    app.add_directive("query-keys", QueryKeys)
    app.add_directive("export-formats", ExportFormats)
    app.add_directive("ocsf-map", OcsfMap)
    app.add_directive("cef-fields", CefFields)
    app.connect("autodoc-skip-member", only_its_own)
    app.connect("missing-reference", by_public_name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
