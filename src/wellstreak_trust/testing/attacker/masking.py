"""Evidence without credentials: what is shown of a request and its answer, and how to send it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from ...core.redact import MASKED, redact_text, secret_key
from .cast import Person, WebhookTarget
from .remote import HANDSHAKE
from .wire import Answer, Exchange

__all__ = ["Masks", "Shown"]

_EXCERPT: Final = 300
_LINE: Final = 160
_SHORT: Final = 6  # a shorter text is no credential, and masking it would hide half of a page


@dataclass(frozen=True, slots=True)
class Shown:
    """An exchange as a report tells it.

    Args:
        request: request line and header lines.
        answer: status line, header lines that matter, the beginning of the body.
        again: a command that sends it again; secrets stand as ``$NAME``.
    """

    request: str
    answer: str
    again: str


class Masks:
    """Replaces credentials by the name of whose they are."""

    def __init__(self, people: Iterable[Person], hooks: Iterable[WebhookTarget], origin: str) -> None:
        secrets: dict[str, str] = {}
        for person in people:
            secrets |= {secret: _variable(person.name) for secret in person.secrets}
        secrets |= {hook.secret: _variable(f"{hook.provider}_secret") for hook in hooks}
        long = {text: name for text, name in secrets.items() if len(text) >= _SHORT}
        self._secrets: Mapping[str, str] = dict(sorted(long.items(), key=lambda item: -len(item[0])))
        self._origin: str = origin

    def text(self, value: str) -> str:
        """A text with every credential masked."""
        for secret, name in self._secrets.items():
            value = value.replace(secret, f"${name}")
        return redact_text(value)

    def show(self, exchange: Exchange) -> Shown:
        """One exchange."""
        request, answer = exchange.request, exchange.answer
        lines = [(name, self._value(name, value)) for name, value in request.headers]
        if request.host is not None:
            lines.insert(0, ("Host", request.host))
        head = [f"{request.method} {_cut(self.text(request.target))}", *(f"{name}: {value}" for name, value in lines)]
        return Shown("\n".join(head), self._answer(answer), self._again(exchange, lines))

    def _value(self, name: str, value: str | bytes) -> str:
        if "signature" in name.lower():
            return MASKED  # a genuine one could be sent again
        plain = value.decode("latin-1") if isinstance(value, bytes) else value
        text = self.text(plain)
        # Known credentials stand under their owner's name; whatever else such a header holds is hidden.
        if secret_key(name) and text == plain and len(plain) > _SHORT and "$" not in text:
            return MASKED
        return _cut("".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text))

    def _answer(self, answer: Answer) -> str:
        told = [f"{answer.status}" + (f" ({answer.crashed})" if answer.crashed else "")]
        for name, value in answer.headers:
            if name.lower() not in ("date", "content-length", "set-cookie"):
                told.append(f"{name.title()}: {_cut(self.text(value))}")
            elif name.lower() == "set-cookie":
                told.append(f"Set-Cookie: {_cookie(value)}")
        body = self.text(answer.body[: 2 * _EXCERPT].decode("utf-8", "replace"))[:_EXCERPT]
        return "\n".join([*told, *(["", body] if body else [])])

    def _again(self, exchange: Exchange, lines: list[tuple[str, str]]) -> str:
        request = exchange.request
        socket = request.method == "WEBSOCKET"
        words = ["curl", "-i", "--path-as-is", "-X", "GET" if socket else request.method]
        for name, value in [*lines, *(HANDSHAKE if socket else ())]:
            words += ["-H", f"{name}: {value}"]
        if request.body:
            words += ["--data-binary", _cut(self.text(request.body[:_EXCERPT].decode("utf-8", "replace")))]
        return " ".join(_quoted(word) for word in [*words, self._origin + _cut(self.text(request.target))])


def _variable(name: str) -> str:
    return "".join(char if char.isalnum() else "_" for char in name).upper()


def _quoted(word: str) -> str:
    """In double quotes where the shell must put a variable in, else in single ones."""
    if "$" not in word:
        return shlex.quote(word)
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("`", "\\`")
    return f'"{escaped}"'


def _cookie(line: str) -> str:
    name, _, rest = line.partition("=")
    return f"{name}={MASKED}" + "".join(f";{part}" for part in rest.split(";")[1:])


def _cut(text: str) -> str:
    return text if len(text) <= _LINE else f"{text[:_LINE]}… ({len(text)} characters)"
