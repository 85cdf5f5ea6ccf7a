"""`Secret` where frameworks show values: debug pages, error bodies, templates, schemas, documents."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from typing import Annotated

import fastapi
import flask
import httpx
import pydantic
import pytest

from wellstreak_trust.core import Secret
from wellstreak_trust.core.secret import MASK

VALUE = "xoxb-very-secret"
PIECE = "very-"


class Credentials(pydantic.BaseModel):
    token: Secret[str]
    port: int = 1


class Careful(Credentials):
    model_config = pydantic.ConfigDict(hide_input_in_errors=True)
    host: str


# --- pydantic --------------------------------------------------------------------------------------------------------


def test_documents_show_the_mask() -> None:
    model = Credentials(token=Secret(VALUE))
    adapter = pydantic.TypeAdapter(Secret[str])
    shown = [
        repr(model),
        str(model),
        repr(model.model_dump()),
        repr(model.model_dump(mode="json")),
        model.model_dump_json(),
        repr(dict(model)),
        repr(model.model_copy(update={"port": 2})),
        adapter.dump_json(Secret(VALUE)).decode(),
        repr(adapter.dump_python(Secret(VALUE))),
        repr(adapter.json_schema()),
        json.dumps(Credentials.model_json_schema()),
    ]
    assert PIECE not in "".join(shown)
    assert json.loads(shown[4])["token"] == MASK


def test_a_round_trip_brings_back_the_mask_and_never_the_value() -> None:
    model = Credentials(token=Secret(VALUE))
    again = Credentials.model_validate_json(model.model_dump_json())
    assert again.token.reveal() == MASK
    assert Credentials.model_validate(dict(model)).token.reveal() == VALUE


def test_a_default_never_reaches_the_schema() -> None:
    class WithDefault(pydantic.BaseModel):
        token: Secret[str] = Secret(VALUE)

    assert PIECE not in json.dumps(WithDefault.model_json_schema())
    assert WithDefault().token.reveal() == VALUE


@pytest.mark.parametrize("bad", [5, None, [VALUE], {"v": VALUE}, VALUE.encode(), Secret(VALUE.encode())])
def test_errors_of_the_field_hold_no_input(bad: object) -> None:
    for document in ({"token": bad}, {"token": bad, "port": "x"}):
        with pytest.raises(pydantic.ValidationError) as caught:
            Credentials.model_validate(document)
        field = [error for error in caught.value.errors() if error["loc"] == ("token",)]
        assert PIECE not in repr(field) + json.dumps([error["msg"] for error in field])
        assert PIECE not in str(caught.value)


def test_a_missing_neighbour_reports_the_document_unless_told_not_to() -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        Careful.model_validate({"token": VALUE})
    assert PIECE not in str(caught.value)
    assert PIECE not in repr(caught.value.errors(include_input=False))
    with pytest.raises(pydantic.ValidationError) as held:
        Careful.model_validate({"token": Secret(VALUE)})  # wrapped before validation, nothing can show it
    assert PIECE not in str(held.value) + repr(held.value.errors())


def test_pydantics_own_secrets_are_taken_and_ours_not_shown_by_them() -> None:
    class Theirs(pydantic.BaseModel):
        token: pydantic.SecretStr

    assert Credentials.model_validate({"token": pydantic.SecretStr(VALUE)}).token == Secret(VALUE)
    with pytest.raises(pydantic.ValidationError) as octets:
        Credentials.model_validate({"token": pydantic.SecretBytes(VALUE.encode())})
    with pytest.raises(pydantic.ValidationError) as ours:
        Theirs.model_validate({"token": Secret(VALUE)})
    assert PIECE not in str(octets.value) + str(ours.value) + repr(ours.value.errors())


def test_a_subclass_stays_one() -> None:
    class Token(Secret[str]):
        pass

    adapter = pydantic.TypeAdapter(Token)
    assert type(adapter.validate_python(VALUE)) is Token
    with pytest.raises(pydantic.ValidationError) as caught:
        adapter.validate_python(Secret(VALUE))
    assert PIECE not in str(caught.value)


# --- FastAPI ---------------------------------------------------------------------------------------------------------


def fastapi_app() -> fastapi.FastAPI:
    app = fastapi.FastAPI()

    @app.post("/take")
    def take(body: Credentials) -> Credentials:
        return body

    @app.get("/header")
    def header(x_token: Annotated[str, fastapi.Header()]) -> dict[str, str]:
        return {"token": str(Secret(x_token))}

    return app


def test_fastapi_answers_and_openapi() -> None:
    async def main() -> list[httpx.Response]:
        transport = httpx.ASGITransport(fastapi_app())
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            return [
                await client.post("/take", json={"token": VALUE}),
                await client.post("/take", json={"token": [VALUE]}),
                await client.post("/take", json={"token": {"x": VALUE}, "port": "no number"}),
                await client.get("/header", headers={"X-Token": VALUE}),
                await client.get("/openapi.json"),
            ]

    answers = asyncio.run(main())
    assert [answer.status_code for answer in answers] == [200, 422, 422, 200, 200]
    assert PIECE not in "".join(answer.text for answer in answers)
    schema = answers[-1].json()["components"]["schemas"]["Credentials"]["properties"]["token"]
    assert schema["writeOnly"] is True


# --- Flask -----------------------------------------------------------------------------------------------------------


def flask_app(secret: Secret[str]) -> flask.Flask:
    app = flask.Flask(__name__)

    @app.get("/json")
    def as_json() -> flask.Response:
        return flask.jsonify(token=secret)

    @app.get("/page")
    def page() -> str:
        return flask.render_template_string(
            "{{ s }} {{ s|tojson if false }} {{ s.reveal }} {{ s|e }} {{ [s]|pprint }} {{ s|string|upper }}", s=secret
        )

    return app


def test_flask_pages_json_and_the_debugger(caplog: pytest.LogCaptureFixture) -> None:
    from werkzeug.debug.tbtools import DebugTraceback

    app = flask_app(Secret(VALUE))
    client = app.test_client()
    with caplog.at_level(logging.ERROR):
        assert client.get("/json").status_code == 500
    page = client.get("/page")
    assert page.status_code == 200
    try:
        flask_app(Secret(VALUE)).json.dumps(Secret(VALUE))
    except TypeError as error:
        debugger = DebugTraceback(error).render_debugger_html(False, "s", False)
    assert PIECE not in caplog.text + page.text + debugger


# --- Django ----------------------------------------------------------------------------------------------------------


DEBUG_PAGES = """
import sys
import django
from django.conf import settings

settings.configure(DEBUG=True, ALLOWED_HOSTS=["testserver"], ROOT_URLCONF=(), SECRET_KEY="k")
django.setup()

from django.template import Context, Engine
from django.test import RequestFactory
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter, technical_500_response
from wellstreak_trust.core import Secret

def view(credential):
    holder = {"credential": credential, "list": [credential]}
    raise ValueError(credential, holder)

credentials = [Secret(sys.stdin.read())]
request = RequestFactory().post("/", {"x": "1"})
try:
    view(credentials[0])
except ValueError:
    reporter = ExceptionReporter(request, *sys.exc_info())
    print(reporter.get_traceback_html(), reporter.get_traceback_text())
    print(technical_500_response(request, *sys.exc_info()).content.decode())
print(Engine(debug=True).from_string("{% debug %}").render(Context({"s": credentials[0]})))
print(SafeExceptionReporterFilter().cleanse_setting("PLAIN", {"a": credentials}))
"""


def test_djangos_debug_pages_and_reports() -> None:
    """In a process of its own: Django keeps one registry of apps, and other rooms have theirs."""
    done = subprocess.run([sys.executable, "-c", DEBUG_PAGES], input=VALUE, capture_output=True, text=True, check=True)
    assert "credential" in done.stdout
    assert "Secret(" in done.stdout
    assert PIECE not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "source",
    [
        "{{ s }}",
        "{{ s|safe }}",
        "{{ s.reveal }}",
        "{{ s|pprint }}",
        "{{ s|upper }}",
        "{{ s|slice:'2' }}",
        "{{ s|make_list }}",
        "{{ s|stringformat:'s' }}",
        "{{ s|stringformat:'r' }}",
        "{{ s|escapejs }}",
        "{{ s|urlencode }}",
        "{{ s|default:'x' }}",
        "{{ s|length_is:'3' }}",
        "{% if s %}{{ s }}{% endif %}",
        "{% with t=s %}{{ t }}{{ t.0 }}{% endwith %}",
    ],
)
def test_djangos_templates(source: str) -> None:
    from django.template import Context, Engine, TemplateSyntaxError

    shown: str
    try:
        shown = Engine(debug=True).from_string(source).render(Context({"s": Secret(VALUE)}, use_l10n=False))
    except (TemplateSyntaxError, TypeError) as error:
        shown = str(error)
    assert PIECE not in shown


def test_djangos_json_encoder_refuses() -> None:
    from django.core.serializers.json import DjangoJSONEncoder

    with pytest.raises(TypeError) as caught:
        json.dumps({"t": Secret(VALUE)}, cls=DjangoJSONEncoder)
    assert PIECE not in str(caught.value)
