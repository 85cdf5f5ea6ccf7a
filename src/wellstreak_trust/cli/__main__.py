"""The command line. Exit status 0 is good, 1 is found bad, 2 is could not look."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from wellstreak_trust.core.errors import MissingExtra, SecurityTxtInvalid

try:
    import typer
except ImportError:
    raise MissingExtra(
        "the command line needs typer and rich", hint="pip install 'wellstreak-trust[cli]'", reason="extra"
    ) from None

from . import (
    audit_keys,
    audit_trail,
    audit_verify,
    connections,
    database,
    doctor,
    governance,
    keys,
    policy,
    secrets,
    webhooks,
)
from .console import ERR, OUT

__all__ = ["app", "main"]

app: Final = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # they hold keys and URLs with passwords
    help="Security primitives of a multi-tenant SaaS.",
)
audit_app: Final = typer.Typer(no_args_is_help=True, help="The audit trail.")
security_txt_app: Final = typer.Typer(no_args_is_help=True, help="security.txt (RFC 9116).")
audit_trail.add(audit_app)
audit_verify.add(audit_app)
audit_keys.add(audit_app)
app.command("governance")(governance.show)
app.add_typer(doctor.app, name="doctor")
app.add_typer(policy.app, name="policy")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(audit_app, name="audit")
app.add_typer(connections.app, name="connections")
app.add_typer(database.app, name="database")
app.add_typer(keys.app, name="keys")
app.add_typer(secrets.app, name="secrets")
app.add_typer(security_txt_app, name="security-txt")


@app.command()
def demo(framework: Annotated[str, typer.Option(help="fastapi, flask or django")] = "fastapi") -> None:
    """Attack a protected host over real HTTP and show which control answered."""
    import os

    from wellstreak_trust.demo.__main__ import main as play

    os.environ["FRAMEWORK"] = framework
    raise typer.Exit(play())


@security_txt_app.command("check")
def security_txt_check(path: Path) -> None:
    """Check a security.txt as strictly as RFC 9116."""
    from wellstreak_trust.disclosure import SecurityTxt

    try:
        found = SecurityTxt.parse(path.read_bytes())
    except SecurityTxtInvalid as error:
        ERR.print(f"{path}:{error.line or 0}: {error.detail}")
        raise typer.Exit(1) from None
    OUT.print(f"{path}: good until {found.ends_at:%Y-%m-%d}")


def main() -> None:
    """Entry point of ``wellstreak-trust``."""
    app()


if __name__ == "__main__":
    main()
