"""`Attacker`: plays every battery against a host, within bounds, and reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final

from ...core.errors import UsageError
from .batteries import ATTACKS
from .cast import Burst, Naming, Person, SignIn, WebhookTarget
from .discovery import routes_of
from .finding import Attack, Case, Finding
from .masking import Masks
from .report import AttackReport, Tried
from .route import Route
from .scene import Plan, Scene, Spent
from .target import Target

__all__ = ["Attacker"]

_EVIDENCE: Final = 3


@dataclass(frozen=True, slots=True)
class Attacker:
    """Drives a host's routes like a penetration tester.

    Attacks hold real credentials and expect to be refused: **what is vulnerable is used**. Attack a copy.

    Args:
        target: the host.
        people: two tenants at least, one person each; more roles try more.
        routes: the host's routes; by default those found on the application.
        ids: tenant to path parameter to an id that is there: ``{"acme": {"note": "7"}}``. Those under an empty tenant
            are taken where a tenant has none of its own.
        marks: tenant to texts that nobody else may ever see.
        naming: how a genuine request names its tenant.
        webhooks: deliveries to forge.
        policy: what a role may; with the people's roles and the routes' operations it tells what must be denied.
        sign_in: how to sign in and out.
        stale: header lines of credentials that have ended.
        login_path: where anonymous visitors may be sent in place of a 401.
        bodies: place to a JSON value that the route accepts: ``{"POST /w/{tenant}/notes": {"text": "x"}}``.
        benign: places that may be sent for real, more than once; see `Route`.
        public: path to reason, for routes that a framework makes by itself.
        bursts: limits to spend on purpose.
        accepted: attack id, or ``id place``, to the reason why that finding is accepted.
        only, skip: ids of attacks or batteries (``webhooks``) to play alone, or not.
        on_limited: waits for a rate limit to pass, given the seconds it asks for: ``time.sleep``, or what moves the
            host's clock. Without it, what a limit answered is unclear.
        max_requests, max_seconds: when to stop; what was not tried is reported, and `raise_if_any` raises.
        seed: of everything that is made up.

    Raises:
        UsageError: people of one tenant alone, a person twice, a place that is no route, an unknown attack.
    """

    target: Target
    people: Sequence[Person]
    routes: Sequence[Route] | None = None
    ids: Mapping[str, Mapping[str, str]] = field(default_factory=dict, kw_only=True)
    marks: Mapping[str, Sequence[str]] = field(default_factory=dict, kw_only=True)
    naming: Naming = field(default=Naming(), kw_only=True)
    webhooks: Sequence[WebhookTarget] = field(default=(), kw_only=True)
    policy: Any = field(default=None, kw_only=True)
    sign_in: SignIn | None = field(default=None, kw_only=True)
    stale: Sequence[Mapping[str, str]] = field(default=(), repr=False, kw_only=True)
    login_path: str = field(default="", kw_only=True)
    bodies: Mapping[str, Any] = field(default_factory=dict, repr=False, kw_only=True)
    benign: Collection[str] = field(default=(), kw_only=True)
    public: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    bursts: Sequence[Burst] = field(default=(), kw_only=True)
    accepted: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    only: Collection[str] = field(default=(), kw_only=True)
    skip: Collection[str] = field(default=(), kw_only=True)
    on_limited: Callable[[float], object] | None = field(default=None, kw_only=True)
    max_requests: int = field(default=50_000, kw_only=True)
    max_seconds: float = field(default=300.0, kw_only=True)
    seed: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        if len({person.tenant for person in self.people} - {None}) < 2:
            raise UsageError("people of one tenant are no strangers to anybody", hint="give people of two tenants")
        if len({person.name for person in self.people}) < len(self.people):
            raise UsageError("two people have one name", hint="reports tell people apart by name")
        known = {attack.id for attack in ATTACKS} | {attack.id.partition(".")[0] for attack in ATTACKS}
        for name in (*self.only, *self.skip, *(key.partition(" ")[0] for key in self.accepted)):
            if name not in known:
                raise UsageError(f"there is no attack {name!r}", hint="the ids are in attacker.ATTACKS")

    def plan(self) -> tuple[Route, ...]:
        """The routes that will be attacked.

        Raises:
            UsageError: the application's routes cannot be read, or a setting names a place that is none of them.
        """
        found = self.routes if self.routes is not None else routes_of(self.target.app, public=self.public)
        places = {route.place for route in found}
        for place in (*self.bodies, *self.benign, *(burst.place for burst in self.bursts)):
            if place not in places:
                raise UsageError(f"{place!r} is no route", hint=f"such as {min(places, default='none')!r}")
        return tuple(
            replace(
                route,
                body=self.bodies.get(route.place, route.body),
                benign=route.benign or route.safe or route.place in self.benign,
            )
            for route in found
        )

    def run(self) -> AttackReport:
        """Plays everything.

        Raises:
            UsageError: see `plan`; or the application does not start.
        """
        routes, masks = self.plan(), Masks(self.people, self.webhooks, self.target.origin)
        with self.target:
            scene = Scene(self.target, self._told(routes), Random(self.seed), self.max_requests, self.max_seconds)
            ledger = _Ledger(self.accepted)
            attacks = [attack for attack in ATTACKS if self._plays(attack)]
            complete = all([ledger.play(scene, attack) for attack in attacks])
            unproven = _unproven(scene) if complete else {}
        return AttackReport(
            target=self.target.name,
            seed=self.seed,
            requests=scene.sent,
            scope=routes,
            findings=tuple(sorted(ledger.findings, key=lambda found: -found.severity)),
            tried=tuple(ledger.tried),
            attacks={attack.id: attack for attack in attacks},
            unproven=unproven,
            review=tuple(route for route in routes if route.public),
            accepted=tuple(ledger.accepted),
            complete=complete,
            masks=masks,
        )

    def _told(self, routes: Sequence[Route]) -> Plan:
        return Plan(
            people=self.people, routes=routes, ids=self.ids, marks=self.marks, naming=self.naming,
            webhooks=self.webhooks, bursts=self.bursts, sign_in=self.sign_in, stale=self.stale, policy=self.policy,
            login_path=self.login_path, on_limited=self.on_limited,
        )  # fmt: skip

    def _plays(self, attack: Attack) -> bool:
        names = {attack.id, attack.id.partition(".")[0]}
        return (not self.only or bool(names & set(self.only))) and not names & set(self.skip)


class _Ledger:
    """What was tried and what came of it."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self.findings: list[Finding] = []
        self.accepted: list[tuple[Finding, str]] = []
        self.tried: list[Tried] = []
        self._reasons: Mapping[str, str] = reasons
        self._found: set[tuple[str, str]] = set()

    def play(self, scene: Scene, attack: Attack) -> bool:
        """One attack at all its places; False where the engagement ended before."""
        places: dict[str, list[Case]] = {}
        try:
            for case in attack.cases(scene):
                places.setdefault(case.place, []).append(case)
            for place, cases in places.items():
                self._at(attack, place, cases)
        except Spent:
            done = {item.place for item in self.tried if item.attack == attack.id}
            left = [place for place in places if place not in done] or ["every route"]
            self.tried += [Tried(attack.id, place, 0, "not tried") for place in left]
            return False
        return True

    def _at(self, attack: Attack, place: str, cases: Iterable[Case]) -> None:
        """Until the first fault: one is enough to fix it, and a second may do more harm."""
        cause = next((name for name in attack.after if (name, place) in self._found), None)
        if cause is not None:
            self.tried.append(Tried(attack.id, place, 0, "moot", f"explained by {cause}"))
            return
        tries, doubts = 0, Counter[str]()
        for case in cases:
            verdict = case.run()
            tries += 1
            if verdict.doubt:
                doubts[verdict.doubt] += 1
            if verdict.fault:
                evidence = verdict.exchanges[-_EVIDENCE:]
                severity = verdict.severity or attack.severity
                self._note(
                    Finding(
                        attack=attack, place=place, variant=case.variant, fault=verdict.fault, severity=severity,
                        evidence=evidence,
                    ),
                    tries,
                )  # fmt: skip
                return
        # Unclear is what showed nothing at all; a doubt beside answers that were clear is told, no more.
        outcome = "unclear" if sum(doubts.values()) == tries else "passed"
        told = "; ".join(f"{doubt} ({count} of {tries})" for doubt, count in doubts.most_common(2))
        self.tried.append(Tried(attack.id, place, tries, outcome, told))

    def _note(self, finding: Finding, tries: int) -> None:
        name, place = finding.attack.id, finding.place
        self._found.add((name, place))
        reason = self._reasons.get(f"{name} {place}") or self._reasons.get(name)
        self.tried.append(Tried(name, place, tries, "accepted" if reason else "finding", finding.fault))
        if reason:
            self.accepted.append((finding, reason))
        else:
            self.findings.append(finding)


def _unproven(scene: Scene) -> dict[str, str]:
    """Guarded reads that nobody can make, or no longer: there a pass proves little."""
    found: dict[str, str] = {}
    try:
        for route in scene.guarded(safe=True):
            person = scene.insider(route)
            if person is None:
                statuses = {scene.control(each, route)[0].answer.status for each in scene.plan.people}
                found[route.place] = f"genuine requests are answered {', '.join(map(str, sorted(statuses)))}"
                continue
            last = scene.send(route.place, scene.request(route, person)).answer.status
            if not 200 <= last < 300:
                found[route.place] = f"{person.name}'s genuine request is answered {last} by now"
    except Spent:
        found["every route"] = "the engagement was over before all were asked for"
    return found
