"""``wellstreak-trust doctor postgres``: what it prints, what it never prints, and the status it ends with."""

from __future__ import annotations

import json

import psycopg
import pytest
from typer.testing import CliRunner

from wellstreak_trust.cli.__main__ import app
from wellstreak_trust.tenancy.postgres import policy_ddl

RUN = CliRunner()
PASSWORD = "s3cret-pass@word"


@pytest.fixture
def database(postgres_url: str) -> str:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE note (tenant_id text NOT NULL PRIMARY KEY)")
        connection.execute("CREATE TABLE shared (tenant_id text)")
        for statement in policy_ddl("note"):
            connection.execute(statement)
    return postgres_url


def codes(*arguments: str, status: int) -> set[str]:
    result = RUN.invoke(app, ["doctor", "postgres", *arguments, "--format", "json"])
    assert result.exit_code == status, result.output
    return {each["code"] for each in json.loads(result.output)}


def test_findings_fail(database: str) -> None:
    assert codes(database, status=1) >= {"role_bypasses", "rls_disabled"}
    assert "rls_disabled" not in codes(database, "--exclude", "shared", status=1)
    assert codes(database, "--column", "other", status=1) == {"role_bypasses"}
    text = RUN.invoke(app, ["doctor", "postgres", database])
    assert text.exit_code == 1
    assert "ALTER TABLE" in text.output
    log = json.loads(RUN.invoke(app, ["doctor", "postgres", database, "--format", "sarif"]).output)
    assert log["runs"][0]["results"]


def test_the_threshold_decides(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "DROP TABLE shared; CREATE ROLE wt_cli_reader LOGIN; GRANT SELECT ON note TO wt_cli_reader;"
            "GRANT TRIGGER ON note TO wt_cli_reader"
        )
        url = database.replace("postgres@", "wt_cli_reader@")
        try:
            assert codes(url, status=0) == {"trigger_granted"}
            assert codes(url, "--fail-on", "warning", status=1) == {"trigger_granted"}
            connection.execute("REVOKE TRIGGER ON note FROM wt_cli_reader")
            assert codes(url, "--fail-on", "warning", status=0) == set()
            assert "nothing found" in RUN.invoke(app, ["doctor", "postgres", url]).output
            assert codes(url, "--sealed", "--fail-on", "warning", status=1) == {"policy_not_sealed"}
        finally:
            connection.execute("DROP OWNED BY wt_cli_reader; DROP ROLE wt_cli_reader")


def test_the_url_comes_from_the_environment(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_DATABASE", database)
    assert "rls_disabled" in codes("--url-env", "APP_DATABASE", status=1)
    monkeypatch.setenv("WELLSTREAK_TRUST_DATABASE_URL", database)
    assert "rls_disabled" in codes(status=1)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://app:{PASSWORD}@127.0.0.1:1/none",
        f"postgresql://app:{PASSWORD.replace('@', '%40')}@127.0.0.1:1/none",
        f"postgresql+asyncpg://app:{PASSWORD}@/none?host=/nowhere",
        f"mysql://app:{PASSWORD}@127.0.0.1/none",
        f"postgresql://app:{PASSWORD}@127.0.0.1:port/none",
        f"app:{PASSWORD}",
        "",
    ],
    ids=["at sign", "escaped", "socket", "another database", "no port", "no URL", "default"],
)
def test_it_could_not_look_and_never_prints_the_password(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in ([url] if url else [], ["--url-env", "APP_DATABASE"]):
        monkeypatch.setenv("APP_DATABASE", url)
        result = RUN.invoke(app, ["doctor", "postgres", *arguments])
        assert result.exit_code == 2
        assert "s3cret" not in result.output
        assert "word" not in result.output.replace("password@host", "")


def test_two_urls_are_refused(database: str) -> None:
    assert RUN.invoke(app, ["doctor", "postgres", database, "--url-env", "X"]).exit_code == 2


def test_doctor_alone_still_shows_the_settings() -> None:
    result = RUN.invoke(app, ["doctor"])
    assert result.exit_code == 0
    assert "profile" in result.output
