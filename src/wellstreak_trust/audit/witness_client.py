"""Asking a witness for its cosignature (c2sp.org/tlog-witness), without trusting it with anything.

The request goes out through `core.egress`: one resolved address, no redirects, a cap on the answer and one deadline.
Of the answer only what verifies under the key that was configured is used.
"""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from ..core.clock import SystemClock
from ..core.egress import Egress, EgressFailed, EgressResponse
from ..core.errors import AuditUnavailable, CheckpointRegression, NoteInvalid
from .cosignature import WitnessKey, cosignatures
from .note import split
from .witness import Submission

__all__ = ["Cosigned", "Exchange", "WitnessClient", "WitnessStands"]

_CLOCK: Final = SystemClock()
_RESTORED: Final = "the witness holds what this log signed before: keep its answer, and find out which history is true"
Exchange = Callable[[bytes], Awaitable[EgressResponse]]


@dataclass(frozen=True, slots=True)
class Cosigned:
    """The witness cosigned; `lines` are its verified signature lines, to be put below the note."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WitnessStands:
    """The witness stands at another size than the request began from."""

    size: int


class WitnessClient:
    """One witness.

    Args:
        url: the submission prefix, https unless `way` permits otherwise.
        key: the witness's verifier key.
        way: how requests leave.

    Raises:
        UsageError: a key that is none.
    """

    def __init__(self, url: str, key: str | WitnessKey, *, way: Egress | None = None) -> None:
        self.key: WitnessKey = WitnessKey.parse(key) if isinstance(key, str) else key
        self._url: str = f"{url.rstrip('/')}/add-checkpoint"
        self._way: Egress = Egress(_CLOCK) if way is None else way

    def __repr__(self) -> str:
        return f"WitnessClient({self.key.name!r})"

    async def blocking(self, body: bytes) -> EgressResponse:
        """Sends and waits on this thread; raises `EgressFailed`."""
        headers = {"Content-Type": "text/plain; charset=utf-8", "User-Agent": "wellstreak-trust-audit"}
        return self._way.send("POST", self._url, headers, body)

    async def threaded(self, body: bytes) -> EgressResponse:
        """Sends on a worker thread; raises `EgressFailed`."""
        headers = {"Content-Type": "text/plain; charset=utf-8", "User-Agent": "wellstreak-trust-audit"}
        return await to_thread(self._way.send, "POST", self._url, headers, body)

    async def asubmit(self, sent: Submission, exchange: Exchange | None = None) -> Cosigned | WitnessStands:
        """One request.

        Raises:
            CheckpointRegression: the witness cosigned something before that this state does not extend.
            AuditUnavailable: no answer, or none that can be used; `detail` tells which.
        """
        try:
            answer = await (exchange or self.blocking)(sent.body())
        except EgressFailed as failed:
            raise _unusable(self.key, failed.code) from None
        if answer.status == 200 and answer.complete:
            return self._cosigned(sent.note, answer.body)
        if answer.status == 409 and answer.headers.get("content-type") == "text/x.tlog.size":
            return WitnessStands(self._size(answer.body))
        if answer.status == 422:
            raise CheckpointRegression(f"witness {self.key.name}: not an extension of what it saw", hint=_RESTORED)
        raise _unusable(self.key, f"status {answer.status}")

    def _cosigned(self, note: str, body: bytes) -> Cosigned:
        try:
            text = body.decode("utf-8")
            lines = tuple(line for line in text.splitlines(keepends=True) if line.startswith(f"— {self.key.name} "))
            whole = f"{note.partition(chr(10) * 2)[0]}\n\n{''.join(lines)}"
            if split(f"-\n\n{text}")[0] != "-\n":  # nothing but signature lines may come back
                raise NoteInvalid("more than signature lines")
            ours = cosignatures(whole, [self.key])
        except (UnicodeDecodeError, NoteInvalid):
            raise _unusable(self.key, "its answer does not verify") from None
        if not ours:
            raise _unusable(self.key, "its answer bears no signature of its key")
        return Cosigned(tuple(line for line in lines if _is_of(line, whole, self.key)))

    def _size(self, body: bytes) -> int:
        number = body.removesuffix(b"\n")
        if not body.endswith(b"\n") or not number.isdigit() or len(number) > 19 or number != b"%d" % int(number):
            raise _unusable(self.key, "409 without a size")
        return int(number)


def _is_of(line: str, whole: str, key: WitnessKey) -> bool:
    """Whether this one line is a cosignature of the key: a name may bear keys that are not known here."""
    text = whole.partition("\n\n")[0]
    return bool(cosignatures(f"{text}\n\n{line}", [key]))


def _unusable(key: WitnessKey, why: str) -> AuditUnavailable:
    return AuditUnavailable(f"witness {key.name}: {why}", hint="the next tick asks again; check address, key and logs")
