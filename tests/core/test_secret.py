"""`Secret` in every sink a value can fall into by accident."""

from __future__ import annotations

import copy
import io
import json
import logging
import multiprocessing.reduction
import pickle
import string
import traceback
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import pydantic
import pytest
import structlog

from wellstreak_trust.core import Secret, UsageError
from wellstreak_trust.core.secret import MASK

VALUE = "xoxb-very-secret"


@dataclass
class Holder:
    token: Secret[str]


class Model(pydantic.BaseModel):
    token: Secret[str]
    other: int = 0


class Octets(pydantic.BaseModel):
    token: Secret[bytes]


def _logged(secret: Secret[str]) -> str:
    stream = io.StringIO()
    logger = logging.getLogger("test_secret")
    logger.propagate = False
    handler = logging.StreamHandler(stream)
    logger.addHandler(handler)
    logger.warning("%s %r", secret, secret)
    logger.removeHandler(handler)
    return stream.getvalue()


def _structlog(secret: Secret[str]) -> str:
    stream = io.StringIO()
    logger = structlog.wrap_logger(
        structlog.PrintLogger(stream), processors=[structlog.processors.JSONRenderer(default=repr)]
    )
    logger.info("event", token=secret)
    logger2 = structlog.wrap_logger(
        structlog.PrintLogger(stream), processors=[structlog.dev.ConsoleRenderer(colors=False)]
    )
    logger2.info("event", token=secret)
    return stream.getvalue()


def _traceback(secret: Secret[str]) -> str:
    try:
        raise ValueError(secret)
    except ValueError as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        return "".join(shown.format())


def _pydantic_errors(secret: Secret[str]) -> str:
    found = ""
    for bad in ({"token": [VALUE]}, {"token": {"v": VALUE}}, {"token": 5}):
        with pytest.raises(pydantic.ValidationError) as caught:
            Model.model_validate(bad)
        found += str(caught.value) + repr(caught.value.errors())
    with pytest.raises(pydantic.ValidationError) as caught:
        Octets.model_validate({"token": secret})
    return found + str(caught.value)


def _django_template(secret: Secret[str]) -> str:
    from django.template import Context, Engine

    source = "{{ s }} {{ s.reveal }} {{ s|safe }} {{ s|length }} {% for c in s %}{{ c }}{% endfor %}"
    template = Engine().from_string(source)
    try:
        return template.render(Context({"s": secret}, use_l10n=False))
    except TypeError as error:
        return str(error)


def _jinja_template(secret: Secret[str]) -> str:
    from jinja2.sandbox import SandboxedEnvironment

    return SandboxedEnvironment().from_string("{{ s }} {{ s|string }} {{ s.reveal }}").render(s=secret)


SINKS: dict[str, Any] = {
    "repr": repr,
    "str": str,
    "format": lambda s: f"{s} {s!r} {s!s} {s!a} {s:>40} {s:s} {s:x}",
    "percent": lambda s: "%s %r %a" % (s, s, s),  # noqa: UP031  the old form is the sink
    "template": lambda s: string.Template("$s").substitute(s=s),
    "container": lambda s: repr([s, {s.__class__: s}, (s,)]),
    "dataclass": lambda s: repr(Holder(s)) + repr(asdict(Holder(s))),
    "exception": lambda s: str(ValueError(s)) + repr(ValueError(s)),
    "json default": lambda s: json.dumps({"t": s}, default=str),
    "logging": _logged,
    "structlog": _structlog,
    "traceback": _traceback,
    "dir": lambda s: repr(dir(s)),
    "pydantic": lambda s: repr(Model(token=s)) + Model(token=s).model_dump_json() + repr(Model(token=s).model_dump()),
    "pydantic schema": lambda s: repr(Model.model_json_schema()) + repr(Octets.model_json_schema()),
    "pydantic errors": _pydantic_errors,
    "pydantic copy": lambda s: repr(Model(token=s).model_copy(deep=True)),
    "django template": _django_template,
    "jinja template": _jinja_template,
}


@pytest.mark.parametrize("sink", SINKS)
def test_no_sink_shows_the_value(sink: str) -> None:
    shown = SINKS[sink](Secret(VALUE))
    assert VALUE not in shown
    assert "very" not in shown


RAISING: dict[str, Any] = {
    **{f"pickle {p}": partial(pickle.dumps, protocol=p) for p in range(pickle.HIGHEST_PROTOCOL + 1)},
    "multiprocessing": multiprocessing.reduction.ForkingPickler.dumps,
    "json": json.dumps,
    "vars": vars,
    "len": len,
    "iter": iter,
    "bytes": bytes,
    "hash": hash,
    "getstate": lambda s: s.__getstate__(),
    "reduce": lambda s: s.__reduce__(),
    "setattr": lambda s: setattr(s, "x", 1),
    "delattr": lambda s: delattr(s, "_Secret__value"),
    "concatenate": lambda s: "" + s,
    "index": lambda s: s[0],
    "wrong type": lambda s: Secret(3),
    "float": float,
}


@pytest.mark.parametrize("sink", RAISING)
def test_these_refuse_and_their_text_is_clean(sink: str) -> None:
    with pytest.raises((TypeError, AttributeError, UsageError)) as caught:
        RAISING[sink](Secret(VALUE))
    assert VALUE not in str(caught.value)


def test_reveal_is_the_one_way_out() -> None:
    assert Secret(VALUE).reveal() == VALUE
    assert Secret(b"\x00").reveal() == b"\x00"
    assert Model(token=VALUE).token.reveal() == VALUE  # type: ignore[arg-type]  # pydantic wraps it
    assert Model.model_validate_json(json.dumps({"token": VALUE})).token == Secret(VALUE)
    assert Octets(token=b"x").token == Secret(b"x")  # type: ignore[arg-type]  # pydantic wraps it


def test_copies_are_the_same_object() -> None:
    secret = Secret(VALUE)
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


def test_equality_is_between_secrets_of_one_type_only() -> None:
    assert Secret(VALUE) == Secret(VALUE)
    assert Secret(VALUE) != Secret("other")
    assert Secret("a") != Secret(b"a")
    assert Secret(VALUE) != VALUE
    assert Secret("\ud800é") == Secret("\ud800é")


def test_the_mask_says_nothing_of_the_length() -> None:
    assert str(Secret("a")) == str(Secret("a" * 100)) == MASK
