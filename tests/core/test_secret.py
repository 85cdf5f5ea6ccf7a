"""`Secret` in every sink a value can fall into by accident."""

from __future__ import annotations

import contextlib
import copy
import copyreg
import csv
import dataclasses
import gc
import inspect
import io
import json
import logging
import logging.handlers
import multiprocessing.reduction
import pickle
import pprint
import pydoc
import reprlib
import sqlite3
import string
import subprocess
import traceback
import warnings
import weakref
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from typing import Any, cast
from urllib.parse import quote, urlencode

import pydantic
import pytest
import rich.console
import structlog
import yaml

from wellstreak_trust.core import Secret, UsageError
from wellstreak_trust.core.secret import MASK

VALUE = "xoxb-very-secret"


@dataclass
class Holder:
    token: Secret[str]


class _Mine(Secret[str]):
    """A host's own subclass, with a dictionary of its own."""


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


def _printed(secret: Secret[str]) -> str:
    stream = io.StringIO()
    print(secret, [secret], file=stream)
    return stream.getvalue()


def _csv(secret: Secret[str]) -> str:
    stream = io.StringIO()
    csv.writer(stream).writerow([secret])
    return stream.getvalue()


def _warned(secret: Secret[str]) -> str:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        warnings.warn(f"{secret}", stacklevel=1)
    return str(seen[0].message)


def _logging_extra(secret: Secret[str]) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s %(token)s"))
    logger = logging.Logger("test_secret_extra")
    logger.addHandler(handler)
    logger.warning("event", extra={"token": secret})
    logger.warning({"token": secret}, extra={"token": [secret]})
    return stream.getvalue()


def _logging_failure(secret: Secret[str]) -> str:
    """A handler that pickles records, or a format that fails, prints the arguments to standard error."""
    stream = io.StringIO()
    with contextlib.redirect_stderr(stream):
        handler = logging.handlers.SocketHandler("127.0.0.1", 1)
        handler.handle(logging.LogRecord("x", logging.ERROR, "f", 1, "%d", (secret,), None))
        logging.StreamHandler(stream).handle(logging.LogRecord("x", logging.ERROR, "f", 1, "%d", (secret,), None))
    return stream.getvalue()


def _rich(secret: Secret[str]) -> str:
    console = rich.console.Console(file=io.StringIO(), record=True, width=200)
    console.print(secret, [secret], {"t": secret}, Holder(secret))
    rich.inspect(secret, console=console, all=True)
    try:
        raise ValueError(secret)
    except ValueError:
        console.print_exception(show_locals=True)
    return console.export_text()


def _bad_argument(secret: Secret[str]) -> str:
    """What is nearly a secret must not stand in the locals of our own frames."""
    try:
        Secret(cast("str", [VALUE]))
    except UsageError as error:
        frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack
        return repr([frame.locals for frame in frames if frame.name == "__init__"]) + str(error)
    return VALUE


def _sqlite(secret: Secret[str]) -> str:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection, pytest.raises(sqlite3.Error) as caught:
        connection.execute("SELECT ?", (secret,))
    return str(caught.value)


def _yaml(secret: Secret[str]) -> str:
    with pytest.raises((yaml.YAMLError, UsageError)) as caught:
        yaml.dump({"t": secret})
    with pytest.raises((yaml.YAMLError, UsageError)) as safe:
        yaml.safe_dump({"t": secret})
    return str(caught.value) + str(safe.value)


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
    "members": lambda s: repr(inspect.getmembers(s)),
    "slots": lambda s: repr([getattr(s, name) for name in dir(s) if name != "__abstractmethods__"]),
    "object getstate": lambda s: repr(object.__getstate__(s)),
    "gc": lambda s: repr(gc.get_referents(s)),
    "debug format": lambda s: f"{s=} {s=!s} {s = :>20}",
    "attribute format": lambda s: "{0.reveal} {0._Secret__open} {0.__class__}".format(s),  # noqa: UP032  the sink itself
    "pprint": lambda s: pprint.pformat([s] * 20) + pprint.saferepr(s),
    "reprlib": reprlib.repr,
    "ascii": ascii,
    "print": _printed,
    "csv": _csv,
    "urlencode": lambda s: urlencode({"token": s}),
    "replace": lambda s: repr(dataclasses.replace(Holder(s))) + repr(dataclasses.astuple(Holder(s))),
    "subclass": lambda s: repr(_Mine(VALUE)) + str(_Mine(VALUE)) + repr(vars(_Mine(VALUE))),
    "help": lambda s: pydoc.render_doc(s),
    "warning": _warned,
    "logging extra": _logging_extra,
    "logging failure": _logging_failure,
    "rich": _rich,
    "bad argument": _bad_argument,
    "sqlite": _sqlite,
    "yaml": _yaml,
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
    assert "very-" not in shown


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
    "wrong type": lambda s: Secret(cast("str", 3)),
    "init again": lambda s: s.__init__(VALUE),
    "weakref": weakref.ref,
    "copyreg": lambda s: copyreg.__reduce_ex__(s, 0),  # type: ignore[call-arg]  # what object.__reduce_ex__ calls
    "object reduce": lambda s: object.__reduce_ex__(s, 2),
    "compare": lambda s: s < s,
    "contains": lambda s: "x" in s,
    "write": lambda s: io.StringIO().write(s),
    "environment": lambda s: subprocess.run(["true"], env={"T": s}, check=False),
    "argument": lambda s: subprocess.run(["true", s], check=False),
    "quote": quote,
    "cache": lambda s: lru_cache(lambda x: x)(s),
    "set": lambda s: {s},
    "join": lambda s: ",".join([s]),
    "copy.replace": lambda s: dataclasses.replace(s, value="x"),
    "pickled holder": lambda s: pickle.dumps(Holder(s)),
    "float": float,
}


@pytest.mark.asvs("1.5.2")
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


def test_a_secret_is_set_once() -> None:
    secret = Secret(VALUE)
    with pytest.raises(AttributeError):
        secret.__init__("other")  # type: ignore[misc]  # the attack itself
    assert secret.reveal() == VALUE


def test_generic_spelling_and_subclasses() -> None:
    assert Secret[str](VALUE).reveal() == VALUE
    mine = _Mine(VALUE)
    assert mine == Secret(VALUE)
    assert copy.deepcopy(mine) is mine
    with pytest.raises(UsageError):
        pickle.dumps(mine)
