"""Deliveries that the provider did not send, or sent once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from ...signing import SignedRequest, Signer, signer
from ..cast import WebhookTarget
from ..finding import Attack, Case, Severity, Verdict, faulty, passed, unclear
from ..judge import must_refuse
from ..scene import Scene
from ..wire import Exchange, Request

__all__ = ["ATTACKS"]

_REFUSALS: Final = (400, 401, 403, 404, 413, 422)
_HUGE: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Post:
    """One webhook and who signs for its provider."""

    scene: Scene
    hook: WebhookTarget
    signer: Signer

    def genuine(self) -> SignedRequest:
        body = self.hook.body() if self.hook.body is not None else None
        return self.signer.sign(body, url=self.hook.url)

    def stale(self) -> SignedRequest:
        return self.signer.stale(self.hook.body() if self.hook.body is not None else None)

    def send(self, delivery: SignedRequest, *, method: str = "POST") -> Exchange:
        _, _, query = delivery.url.partition("?")
        target = self.hook.path + (f"?{query}" if query and self.hook.url else "")
        return self.scene.send(self.hook.place, Request(method, target, tuple(delivery.headers.items()), delivery.body))

    def effects(self) -> int:
        return self.hook.effects() if self.hook.effects is not None else 0


_Make = Callable[[_Post], SignedRequest]


def _unsigned(post: _Post) -> SignedRequest:
    found = post.genuine()
    kept = {name: value for name, value in found.headers.items() if name.lower() == "content-type"}
    return replace(found, headers=kept)


def _byte_changed(post: _Post) -> SignedRequest:
    found = post.genuine()
    at = found.body.rfind(b'"') if b'"' in found.body else len(found.body) - 1
    return replace(found, body=found.body[:at] + b" " + found.body[at:])


def _emptied(post: _Post) -> SignedRequest:
    found = post.genuine()
    return replace(found, headers=found.headers | dict.fromkeys(post.signer.scheme.headers[:1], ""))


_FORGERIES: Final[dict[str, _Make]] = {
    "signed with another secret": lambda post: post.signer.wrong_secret(post.genuine()),
    "one byte more": _byte_changed,
    "a truncated signature": lambda post: post.signer.truncated(post.genuine()),
    "an empty signature": _emptied,
}
_UNSIGNED: Final[dict[str, _Make]] = {"no signature": _unsigned}
_DOUBLED: Final[dict[str, _Make]] = {"the signature twice": lambda post: post.signer.duplicated(post.genuine())}
_STALE: Final[dict[str, _Make]] = {"older than the scheme allows": _Post.stale}


def _posts(scene: Scene) -> Iterator[_Post]:
    for hook in scene.plan.webhooks:
        yield _Post(scene, hook, signer(hook.provider, hook.secret))


def _cases(scene: Scene, table: dict[str, _Make], *, timed: bool = False) -> Iterator[Case]:
    for post in _posts(scene):
        if timed and post.signer.scheme.timestamp is None:
            continue
        if post.signer.scheme.rule is not None and table in (_UNSIGNED, _FORGERIES):
            # Where the signature stands in the body or in a token, only what the signer itself can forge fits.
            table_here = {k: v for k, v in table.items() if k in ("signed with another secret", "no signature")}
        else:
            table_here = table
        for variant, make in table_here.items():
            yield Case(post.hook.place, f"{post.hook.provider}: {variant}", partial(_deliver, post, make, variant))


def _deliver(post: _Post, make: _Make, what: str) -> Verdict:
    before = post.effects()
    found = post.send(make(post))
    done = post.effects() - before
    if done:
        return faulty(f"a delivery with {what} is processed", found)
    if found.answer.ok and post.hook.effects is not None:
        return faulty(f"a delivery with {what} is answered {found.answer.status}", found, severity=Severity.LOW)
    return must_refuse(found, f"a delivery with {what}", wanted=_REFUSALS)


def _replays(scene: Scene) -> Iterator[Case]:
    for post in _posts(scene):
        yield Case(post.hook.place, f"{post.hook.provider}: the same twice", partial(_replay, post, False))
        if not _signs_id(post.signer):
            what = f"{post.hook.provider}: the same under another id"
            yield Case(post.hook.place, what, partial(_replay, post, True))


def _signs_id(signing: Signer) -> bool:
    """Whether the delivery's id cannot be changed: it has none outside the body, or it is signed."""
    source = signing.scheme.id
    return source is None or not source.header or "id" in signing.scheme.signed


def _replay(post: _Post, renamed: bool) -> Verdict:
    if post.hook.effects is None:
        return unclear("give effects=, a count of what the host has done with events")
    delivery, start = post.genuine(), post.effects()
    first = post.send(delivery)
    once = post.effects() - start
    if not first.answer.ok or not once:
        return unclear(f"the genuine delivery is not processed: {first.answer.status}", first)
    source = post.signer.scheme.id
    if renamed and source is not None:
        delivery = replace(delivery, headers=delivery.headers | {source.header: f"again-{post.scene.nobody()}"})
    second = post.send(delivery)
    if post.effects() - start > once:
        return faulty("one delivery, sent twice, is processed twice", first, second)
    if second.answer.status >= 500:
        return must_refuse(second, "a replay")
    return passed(first, second)


def _huge(scene: Scene) -> Iterator[Case]:
    for post in _posts(scene):
        yield Case(post.hook.place, f"{post.hook.provider}: eight mebibytes", partial(_heavy, post))


def _heavy(post: _Post) -> Verdict:
    before = post.effects()
    found = post.send(replace(post.genuine(), body=b'{"x":"' + b"a" * _HUGE + b'"}'))
    return faulty("it is processed", found) if post.effects() - before else must_refuse(
        found, "a body of eight mebibytes", wanted=_REFUSALS
    )  # fmt: skip


def _gets(scene: Scene) -> Iterator[Case]:
    for post in _posts(scene):
        yield Case(post.hook.place, f"{post.hook.provider}: by GET", partial(_get, post))


def _get(post: _Post) -> Verdict:
    before, delivery = post.effects(), post.genuine()
    found = post.send(replace(delivery, body=b""), method="GET")
    if post.effects() - before:
        return faulty("a GET is processed as a delivery", found)
    return must_refuse(found, "a GET") if found.answer.status >= 500 else passed(found)


_FORGED: Final = "Anybody makes the host believe that money came in, or that an account was closed."

ATTACKS: Final = (
    Attack(
        id="webhooks.unsigned",
        threat="Sends an event without a signature.",
        expected="401 or 400, and no effect",
        severity=Severity.CRITICAL,
        meaning=_FORGED,
        fix="Verify before anything is read: webhooks.verifier(provider, secrets), or @webhook(receiver).",
        weakness="CWE-345",
        cases=partial(_cases, table=_UNSIGNED),
    ),
    Attack(
        id="webhooks.forged",
        threat="Sends an event with a signature that is not the provider's, or not over these bytes.",
        expected="401 or 400, and no effect",
        severity=Severity.CRITICAL,
        meaning=_FORGED,
        fix="Compare the whole signature, over the raw body, in constant time; webhooks.verifier does.",
        weakness="CWE-347",
        cases=partial(_cases, table=_FORGERIES),
        after=("webhooks.unsigned",),
    ),
    Attack(
        id="webhooks.stale",
        threat="Sends a genuine delivery long after it was signed.",
        expected="401 or 400, and no effect",
        severity=Severity.MEDIUM,
        meaning="A delivery that was recorded once can be used for ever.",
        fix="Check the signed time against the scheme's tolerance; webhooks.verifier does.",
        weakness="CWE-294",
        cases=partial(_cases, table=_STALE, timed=True),
        after=("webhooks.unsigned", "webhooks.forged"),
    ),
    Attack(
        id="webhooks.doubled",
        threat="Sends the signature twice, so that two parts of the host may read two of them.",
        expected="401 or 400, and no effect",
        severity=Severity.LOW,
        meaning="Which signature counts depends on who reads the header.",
        fix="Take exactly one; webhooks.verifier does.",
        weakness="CWE-436",
        cases=partial(_cases, table=_DOUBLED),
        after=("webhooks.unsigned", "webhooks.forged"),
    ),
    Attack(
        id="webhooks.replayed",
        threat="Sends a genuine delivery again.",
        expected="no second effect, whatever the status",
        severity=Severity.HIGH,
        meaning="What the event stands for happens as often as somebody likes; providers repeat deliveries too.",
        fix="Claim each event by what is signed, and process it once: ReplayGuard(store).once(event).",
        weakness="CWE-294",
        cases=_replays,
        after=("webhooks.unsigned", "webhooks.forged"),
    ),
    Attack(
        id="webhooks.huge",
        threat="Sends a body that no provider sends.",
        expected="413 or 401",
        severity=Severity.MEDIUM,
        meaning="Anybody fills the memory of the host.",
        fix="Read no more than the scheme's cap: read_body(stream, length, limit=...), or @webhook(receiver).",
        weakness="CWE-770",
        cases=_huge,
        after=("webhooks.unsigned", "webhooks.forged"),
    ),
    Attack(
        id="webhooks.by_get",
        threat="Sends the headers of a delivery by GET.",
        expected="405, or the answer to a handshake; no effect",
        severity=Severity.MEDIUM,
        meaning="Whoever makes a browser follow a link sends an event.",
        fix="Route deliveries by POST alone, and GET to the scheme's handshake.",
        weakness="CWE-650",
        cases=_gets,
        after=("webhooks.unsigned", "webhooks.forged"),
    ),
)
