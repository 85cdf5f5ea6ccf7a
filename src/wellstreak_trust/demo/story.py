"""The story: what a security engineer would try, over real HTTP, with what must happen each time."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing

from sqlalchemy import create_engine

from wellstreak_trust.audit import AuditLog, Ed25519Signer, MemoryWitnessStore, Witness, verify
from wellstreak_trust.audit.cosignature import with_lines
from wellstreak_trust.audit.spine import tree_id
from wellstreak_trust.audit.witness import Submission
from wellstreak_trust.storage.sql import Database, SqlAuditStore

from .browser import Answer, Browser, Step
from .chapters import WorkspaceChapters
from .host import AUDIT_ORIGIN
from .server import GOOD_TOKEN


class Story(WorkspaceChapters):
    """Plays every chapter against a running host."""

    def play(self) -> Iterator[Step]:
        """Every step, in order."""
        chapters: tuple[tuple[str, Callable[[], Iterator[Step]]], ...] = (
            ("Sign-in", self._sign_in),
            ("Provider", self._provider),
            ("Workspaces", self._workspaces),
            ("Plans", self._plans),
            ("Roles", self._roles),
            ("Members", self._members),
            ("Ownership", self._ownership),
            ("Isolation", self._isolation),
            ("Integration", self._integration),
            ("A provider's bad day", self._bad_day),
            ("Webhooks", self._webhooks),
            ("Subscription", self._subscription),
            ("Abuse", self._abuse),
            ("Operators", self._operators),
            ("Audit trail", self._audit),
        )
        for self.chapter, steps in chapters:
            yield from steps()

    def _sign_in(self) -> Iterator[Step]:
        yield self._step("read a workspace without credential", "identity", "401 unauthenticated",
                         self.anyone.ask("GET", "/w/acme/"))  # fmt: skip
        wrong = self.anyone.sign_in("ada", "not the password")
        unknown = self.anyone.sign_in("nobody", "not the password")
        yield self._step("wrong password", "identity", "401 unauthenticated", wrong)
        same = "indistinguishable" if wrong.body == unknown.body else "tells users apart"
        yield self._step("unknown user against wrong password", "identity", "indistinguishable", same)
        for name, browser in (("ada", self.ada), ("bo", self.bo), ("eve", self.eve), ("root", self.root)):
            yield self._step(f"{name} signs in", "identity", "200 ok", browser.sign_in(name))
        yield self._step("a forged session cookie", "identity", "401 unauthenticated",
                         self.anyone.ask("GET", "/w/acme/", Cookie=self.ada.cookie[:-4] + "AAAA"))  # fmt: skip
        yield self._step("two credentials at once", "identity", "401 unauthenticated",
                         self.ada.ask("GET", "/w/acme/", Authorization="Bearer x"))  # fmt: skip

    def _provider(self) -> Iterator[Step]:
        """Ada signs in with her provider, and is the same ada from here on; eve would like to be."""
        begun = self.ada.keep(self.ada.ask("GET", "/login"))
        callback = self.op.sign_in(begun.headers.get("location", ""))
        yield self._step("ada is sent to her provider", "identity (OpenID)", "303 ok", begun)
        yield self._step("eve's browser opens ada's callback", "identity (login CSRF)", "401 unauthenticated",
                         self.eve.come_back(callback))  # fmt: skip
        yield self._step("ada comes back", "identity (OpenID)", "303 ok", self.ada.come_back(callback))
        yield self._step("the same callback again", "identity (single use)", "401 unauthenticated",
                         self.ada.come_back(callback))  # fmt: skip
        for tried, fault in (("a token for another client", "id_token_other_audience"),
                             ("a token of another sign-in", "id_token_other_nonce"),
                             ("a token that nobody signed", "signature_none")):  # fmt: skip
            yield self._step(f"the provider answers with {tried}", "identity (OpenID)", "401 unauthenticated",
                             self._with_provider(fault))  # fmt: skip
        adas, self.op.user = self.op.user, {"sub": "eve", "email": "ada@example.com", "email_verified": False}
        yield self._step("eve's provider account claims ada's address", "identity (linking)", "403 link_required",
                         self._with_provider())  # fmt: skip
        self.op.user = adas

    def _with_provider(self, *faults: str) -> Answer:
        browser = Browser(self.ada.url)
        begun = browser.keep(browser.ask("GET", "/login"))
        with self.op.fault(*faults):
            return browser.come_back(self.op.sign_in(begun.headers.get("location", "")))

    def _roles(self) -> Iterator[Step]:
        yield self._step("member bo reads members", "authz", "200 ok", self.bo.ask("GET", "/w/acme/members"))
        yield self._step("member bo reads billing", "authz", "403 denied", self.bo.ask("GET", "/w/acme/billing"))
        yield self._step("member bo changes the plan", "authz", "403 denied",
                         self.bo.ask("PUT", "/w/acme/billing", {"plan": "free"}))  # fmt: skip
        yield self._step("member bo invites an owner", "authz", "403 denied",
                         self.bo.ask("POST", "/w/acme/invitations", {"email": "x@e.com", "role": "owner"}))  # fmt: skip
        yield self._step("owner ada changes the plan", "authz", "200 ok",
                         self.ada.ask("PUT", "/w/acme/billing", {"plan": "team"}))  # fmt: skip
        yield self._step("owner ada changes AI behaviour", "authz", "200 ok",
                         self.ada.ask("PUT", "/w/acme/ai", {"tone": "friendly"}))  # fmt: skip
        made = self.ada.ask("POST", "/w/acme/agents", {"name": "Ada's agent"})
        yield self._step("ada creates an agent", "authz", "201 ok", made)
        self.agent: str = _agent(made)
        yield self._step("bo renames ada's agent", "authz (condition)", "403 denied",
                         self.bo.ask("PUT", self.agent, {"name": "mine"}))  # fmt: skip
        mine = self.bo.ask("POST", "/w/acme/agents", {"name": "Bo's agent"})
        yield self._step("bo renames his own", "authz (condition)", "200 ok",
                         self.bo.ask("PUT", _agent(mine), {"name": "Bo 2"}))  # fmt: skip

    def _isolation(self) -> Iterator[Step]:
        foreign = self.eve.ask("GET", "/w/acme/")
        missing = self.eve.ask("GET", "/w/no-such-workspace/")
        yield self._step("eve reads acme", "tenancy", "404 not_found", foreign)
        same = "indistinguishable" if foreign.body == missing.body else "tells tenants apart"
        yield self._step("foreign workspace against unknown one", "tenancy", "indistinguishable", same)
        yield self._step("eve writes acme's AI settings", "tenancy", "404 not_found",
                         self.eve.ask("PUT", "/w/acme/ai", {"tone": "evil"}))  # fmt: skip
        borrowed = self.agent.replace("/w/acme/", "/w/evil/")
        yield self._step("eve reads acme's agent through her own workspace", "tenancy", "404 not_found",
                         self.eve.ask("GET", borrowed))  # fmt: skip
        unchanged = (self.ada.ask("GET", "/w/acme/").json or {}).get("ai")
        yield self._step("acme's AI settings afterwards", "tenancy", "friendly", str(unchanged))

    def _integration(self) -> Iterator[Step]:
        send = ("POST", "/w/acme/messages", {"text": "hello"})
        yield self._step("send before anything is connected", "connections", "409 connection_not_active",
                         self.ada.ask(*send))  # fmt: skip
        self.ada.ask("PUT", "/w/acme/messenger", {"token": "msgr-wrong-token"})
        yield self._step("test with a wrong token", "connections", "failing unauthorized", self._tested())
        yield self._step("send while failing", "connections", "409 connection_not_active", self.ada.ask(*send))
        stored = self.ada.ask("PUT", "/w/acme/messenger", {"token": GOOD_TOKEN})
        yield self._step("store the right token", "secrets", "201 ok", stored)
        yield self._step("send before the test", "connections", "409 connection_not_active", self.ada.ask(*send))
        yield self._step("test the connection", "connections", "active ok", self._tested())
        yield self._step("send now", "connections", "200 ok", self.ada.ask(*send))
        seen = stored.body + self.ada.ask("GET", "/w/acme/messenger").body
        held = self.paths.database.read_bytes() + b"".join(
            path.read_bytes() for path in self.paths.folder.glob("host.db-*")
        )
        for where, octets in (("answers", seen), ("the database file", held)):
            found = "found" if GOOD_TOKEN.encode() in octets else "absent"
            yield self._step(f"search {where} for the token", "secrets", "absent", found)

    def _bad_day(self) -> Iterator[Step]:
        """Each edge of the state machine by what the provider really answers, and what operators see of it."""
        what = "connections"
        yield self._step("eve's connection, before there is one", what, "draft unknown_connection", self._state())
        self.eve.ask("PUT", "/w/evil/messenger", {"token": GOOD_TOKEN})
        yield self._step("a token is stored", what, "testing defined", self._state())
        yield self._step("the provider knows it", what, "active ok", self._tested("evil"))
        self.provider.ask("POST", "/fault/503")
        tested = [self._tested("evil") for _ in range(6)]
        yield self._step("the provider is down, third test", what, "degraded server_error", tested[2])
        yield self._step("and still down, sixth test", what, "failing server_error", tested[5])
        self.provider.ask("POST", "/fault/401")
        yield self._step("the provider withdraws the token", what, "failing unauthorized", self._tested("evil"))
        self.provider.ask("POST", "/fault/200")
        self.eve.ask("POST", "/w/evil/messenger/suspend")
        yield self._step("eve suspends it", what, "suspended by its owner", self._state())
        page = self.root.ask("GET", "/operators/connection?tenant=evil&provider=messenger")
        seen = (
            "suspended, each check"
            if page.body.count(b"server error") >= 6 and b"suspended" in page.body
            else "nothing"
        )
        yield self._step("a super admin looks at the operator page", "console", "suspended, each check", seen)
        yield self._step("eve looks at it", "authz", "403 denied", self.eve.ask("GET", "/operators/connections"))

    def _state(self) -> str:
        answer = self.eve.ask("GET", "/w/evil/messenger").json or {}
        return f"{answer.get('state')} {answer.get('reason')}"

    def _tested(self, workspace: str = "acme") -> str:
        owner = self.ada if workspace == "acme" else self.eve
        answer = owner.ask("POST", f"/w/{workspace}/messenger/test").json or {}
        return f"{answer.get('state')} {answer.get('reason')}"

    def _webhooks(self) -> Iterator[Step]:
        post = self.anyone.ask
        headers, body = self._hook("active")
        yield self._step("a genuine billing webhook", "webhooks", "200 ok",
                         post("POST", "/hooks/billing", body, **headers))  # fmt: skip
        yield self._step("the same delivery again", "webhooks (replay)", "200 replayed",
                         post("POST", "/hooks/billing", body, **headers))  # fmt: skip
        yield self._step("one byte of the body changed", "webhooks", "401 unauthenticated",
                         post("POST", "/hooks/billing", body.replace(b"acme", b"evil"), **headers))  # fmt: skip
        headers, body = self._hook("active", secret="whsec_somebody_elses_secret_012345")
        yield self._step("signed with another secret", "webhooks", "401 unauthenticated",
                         post("POST", "/hooks/billing", body, **headers))  # fmt: skip
        headers, body = self._hook("active", age=3600)
        yield self._step("an hour old", "webhooks", "401 unauthenticated",
                         post("POST", "/hooks/billing", body, **headers))  # fmt: skip
        yield self._step("no signature at all", "webhooks", "401 unauthenticated",
                         post("POST", "/hooks/billing", body, Origin="", Sec_Fetch_Site=""))  # fmt: skip

    def _abuse(self) -> Iterator[Step]:
        change = ("PUT", "/w/acme/ai", {"tone": "evil"})
        evil = "https://evil.example"
        yield self._step("a foreign page sends ada's cookie", "origin", "403 origin_denied",
                         self.ada.ask(*change, Origin=evil, Sec_Fetch_Site="cross-site"))  # fmt: skip
        yield self._step("an opaque origin", "origin", "403 origin_denied",
                         self.ada.ask(*change, Origin="null", Sec_Fetch_Site=""))  # fmt: skip
        yield self._step("malformed JSON", "adapters", "400 invalid_request",
                         self.ada.ask("PUT", "/w/acme/ai", b"{"))  # fmt: skip
        answers = [self.ada.ask("POST", "/w/acme/messages", {"text": str(n)}) for n in range(8)]
        limited = [answer for answer in answers if answer.status == 429]
        yield self._step("a burst of messages", "ratelimit", "429 rate_limited", (limited or answers)[-1])
        told = "Retry-After present" if limited and "retry-after" in limited[-1].headers else "not told"
        yield self._step("how long to wait", "ratelimit", "Retry-After present", told)
        yield self._step("another operation meanwhile", "ratelimit", "200 ok", self.ada.ask("GET", "/w/acme/"))
        yield self._step("eve's workspace meanwhile", "ratelimit", "200 ok", self.eve.ask("GET", "/w/evil/"))

    def _operators(self) -> Iterator[Step]:
        yield self._step("super admin reads acme directly", "tenancy", "404 not_found",
                         self.root.ask("GET", "/w/acme/"))  # fmt: skip
        yield self._step("ada opens the operators' console", "authz", "403 denied",
                         self.ada.ask("GET", "/admin/workspaces"))  # fmt: skip
        glass = {"tenant": "acme", "reason": "customer asked for help", "ticket": ""}
        yield self._step("break-glass without a ticket", "tenancy", "400 invalid_request",
                         self.root.ask("POST", "/admin/break-glass", glass))  # fmt: skip
        yield self._step("break-glass with reason and ticket", "tenancy", "200 ok",
                         self.root.ask("POST", "/admin/break-glass", {**glass, "ticket": "SUP-1"}))  # fmt: skip
        found = self.anyone.ask("GET", "/.well-known/security.txt")
        yield self._step("where to report a vulnerability", "disclosure", "200 ok", found)

    def _audit(self) -> Iterator[Step]:
        seen = self.ada.ask("GET", "/w/acme/audit").json or []
        actions = {event["action"] for event in seen}
        wanted = {"demo.ai_settings_changed", "connection.state_changed", "access.denied"}
        yield self._step("ada reads her trail", "audit", "complete", "complete" if wanted <= actions else "missing")
        yield self._step("bo reads it", "authz", "403 denied", self.bo.ask("GET", "/w/acme/audit"))
        engine = create_engine(f"sqlite:///{self.paths.database}")
        try:
            yield from self._verified(Database(engine))
        finally:
            engine.dispose()

    def _verified(self, database: Database) -> Iterator[Step]:
        store = SqlAuditStore(database)
        log = AuditLog(store, signer=self.host.signer, origin=AUDIT_ORIGIN)
        pinned, keys = log.checkpoint("acme"), [log.vkey("acme")]
        report = verify(store, tenant_id="acme", pinned=pinned, keys=keys)
        yield self._step("verify against a pinned checkpoint", "audit", "verified anchored",
                         f"{report.integrity} {report.level}")  # fmt: skip
        eye = Witness(MemoryWitnessStore(), Ed25519Signer.generate(), "witness.example/w1", [log.vkey()])
        spine, all_keys = log.checkpoint(), [log.vkey(), eye.vkey]
        cosigned = with_lines(spine, [eye.add_checkpoint(Submission(0, (), spine).body()).body])
        report = verify(store, pinned=cosigned, keys=all_keys)
        yield self._step("verify every tenant's trail as a witness saw it", "audit", "verified witnessed",
                         f"{report.integrity} {report.level}")  # fmt: skip
        seq = self._edited("acme", "demo.plan_changed")
        report = verify(store, tenant_id="acme", pinned=pinned, keys=keys)
        yield self._step(f"edit event {seq} (demo.plan_changed) in the database file", "audit",
                         f"failed at event {seq}", f"{report.integrity} at event {report.first_bad_seq}")  # fmt: skip
        with closing(sqlite3.connect(self.paths.database)) as connection, connection:
            for table in ("leaf", "head", "tile"):
                connection.execute(f"DELETE FROM wst_audit_{table} WHERE tenant_id = 'acme'")
        report = verify(store, pinned=cosigned, keys=all_keys)
        whose = "acme" if f"tree {tree_id(AUDIT_ORIGIN, 'acme')}" in report.tenants else "nobody"
        yield self._step("delete acme's whole trail from the database file", "audit", "failed: acme's tree is missing",
                         f"{report.completeness}: {whose}'s tree is missing")  # fmt: skip

    def _edited(self, tenant_id: str, action: str) -> int:
        """Changes one recorded outcome behind the application's back, and says which event that was."""
        with closing(sqlite3.connect(self.paths.database)) as connection, connection:
            query = "SELECT seq, leaf FROM wst_audit_leaf WHERE tenant_id = ? AND action = ?"
            seq, leaf = connection.execute(query, (tenant_id, action)).fetchone()
            forged = bytes(leaf).replace(b'"outcome":"attempted"', b'"outcome":"cancelled"')
            change = "UPDATE wst_audit_leaf SET leaf = ? WHERE tenant_id = ? AND seq = ?"
            connection.execute(change, (forged, tenant_id, seq))
        return int(seq)


def _agent(made: Answer) -> str:
    return f"/w/acme/agents/{(made.json or {}).get('agent', 'none')}"
