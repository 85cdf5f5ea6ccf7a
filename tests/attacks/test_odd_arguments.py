"""Arguments of the wrong kind, over every store: each is taken or refused, and no error but ours leaves the room.

What stands in a request's JSON reaches these methods: a number as an address, a list as an id, NUL where PostgreSQL
keeps none. A driver's error would be a 500 that tells which database is behind it, and one store would keep what
another changes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from account_stores import KINDS, Stores, stores_on
from wellstreak_trust.core import FixedClock, Secret
from wellstreak_trust.core.errors import InvalidCredential, TrustError
from wellstreak_trust.identity import (
    ApiKeys,
    Dpop,
    DpopSigner,
    JwksSource,
    JwtVerifier,
    KeySet,
    MemoryOneTimeTokenStore,
    OneTimeCodes,
    OneTimeTokens,
    Passkeys,
    PasswordHasher,
    RecoveryCodes,
    RefreshFamilies,
    SessionManager,
    Totp,
    verify_jws,
)

ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 10**30, 1.5, float("nan"), b"", b"\xff", "", "a\0b", "\ud800", "é" * 300, "x" * 50_000),
    *("\u0661\u0662", Secret("x"), Secret(b"x"), [], ["x"], {}, {"a": 1}, object()),
)
CLOCK = FixedClock(datetime(2026, 11, 24, 12, tzinfo=UTC))
Calls = dict[str, Callable[[Any], object]]


def keywords(call: Callable[..., object], *names: str) -> Calls:
    return {name: lambda odd, name=name: call(**{name: odd}) for name in names}


def sessions_calls(stores: Stores) -> Calls:
    sessions = SessionManager(stores("Session"), clock=CLOCK)
    admin = sessions.open("admin").token
    opened = "tenant_id aal amr device replaces attributes roles remember issuer subject sid".split()
    acting = {"reason": "r", "duration": timedelta(minutes=1)}
    return {
        **{f"open {name}": call for name, call in keywords(lambda **o: sessions.open("u", **o), *opened).items()},
        "open": sessions.open,
        "open roles of": lambda odd: sessions.open("u", roles=[odd]),
        "open attributes of": lambda odd: sessions.open("u", attributes={"a": odd}),
        "authenticate": sessions.authenticate,
        "step_up": lambda odd: sessions.step_up(odd, aal=2, amr=()),
        "step_up amr": lambda odd: sessions.step_up(admin, aal=odd, amr=odd),
        "impersonate": lambda odd: sessions.impersonate(admin, odd, reason="r"),
        **{
            f"impersonate {name}": lambda odd, name=name: sessions.impersonate(admin, "u", **{**acting, name: odd})
            for name in ("reason", "duration", "tenant_id")
        },
        "revoke": sessions.revoke,
        "revoke user": lambda odd: sessions.revoke("0" * 32, user_id=odd),
        "revoke_all": sessions.revoke_all,
        "revoke_all but": lambda odd: sessions.revoke_all("u", except_=odd),
        "list": sessions.list,
        "end_federated": lambda odd: sessions.end_federated(odd, subject="s"),
        **{
            f"end_federated {name}": call
            for name, call in keywords(
                lambda **o: sessions.end_federated("https://op.example", **o), "subject", "sid"
            ).items()
        },
    }


def tokens_calls(stores: Stores) -> Calls:
    tokens = OneTimeTokens(stores("OneTimeToken"), "invite", clock=CLOCK)
    codes = OneTimeCodes(stores("OneTimeToken"), "sign_in", key=Secret(b"k" * 32), clock=CLOCK)
    return {
        "issue": tokens.issue,
        "peek": tokens.peek,
        "consume": tokens.consume,
        "revoke": tokens.revoke,
        **keywords(lambda **odd: tokens.issue("s", **odd), "email", "data", "fingerprint", "private"),
        "code": codes.issue,
        "code private": lambda odd: codes.issue("s", private=odd),
        "code ticket": lambda odd: codes.consume(odd, "123456"),
        "code typed": lambda odd: codes.consume(codes.issue("s").ticket, odd),
    }


def keys_calls(stores: Stores) -> Calls:
    keys = ApiKeys(stores("ApiKey"), clock=CLOCK)
    whole = {"owner_id": "o", "tenant_id": "t", "scopes": {"a"}}
    return {
        **keywords(lambda **odd: keys.create(**{**whole, **odd}), *whole, "name", "expires_in"),
        "scopes of": lambda odd: keys.create(**{**whole, "scopes": [odd]}),
        "authenticate": keys.authenticate,
        "rotate": keys.rotate,
        "rotate overlap": lambda odd: keys.rotate(keys.create(**whole).id, overlap=odd),
        "revoke": keys.revoke,
        "revoke tenant": lambda odd: keys.revoke("0" * 12, tenant_id=odd),
        "revoke_all": keys.revoke_all,
        "revoke_all tenant": lambda odd: keys.revoke_all("nobody", tenant_id=odd),
        "list": keys.list,
    }


def families_calls(stores: Stores) -> Calls:
    families = RefreshFamilies(stores("Refresh"), clock=CLOCK)
    return {
        "start": families.start,
        **keywords(lambda **odd: families.start("u", **odd), "binding", "data"),
        "rotate": families.rotate,
        "rotate binding": lambda odd: families.rotate(families.start("u").token, binding=odd),
        "revoke": families.revoke_family,
        "revoke user": lambda odd: families.revoke_family("0" * 32, user_id=odd),
        "revoke_all": families.revoke_all,
        "list": families.list,
    }


def building_calls(stores: Stores) -> Calls:
    keys = KeySet.from_secret(b"k" * 32)
    whole = {"issuer": "i", "audience": "a", "algorithms": ("HS256",)}
    spans = "leeway max_lifetime required profile".split()
    return {
        **keywords(lambda **odd: JwtVerifier(keys, **{**whole, **odd}), *whole, *spans),
        **keywords(lambda **odd: JwksSource("https://a.example", **odd), "fresh", "stale", "cooldown", "timeout"),
        **keywords(lambda **odd: SessionManager(stores("Session"), **odd), "idle", "absolute", "max_per_user"),
        **keywords(lambda **odd: RefreshFamilies(stores("Refresh"), **odd), "grace", "lifetime"),
        **keywords(lambda **odd: PasswordHasher(**odd), "permits", "wait"),
        "purpose": lambda odd: OneTimeTokens(stores("OneTimeToken"), odd),
        "allowed": lambda odd: verify_jws("a.b.c", keys, algorithms=[odd]),
        "secret alg": lambda odd: KeySet.from_secret(b"k" * 64, odd),
    }


def proofs_calls(stores: Stores) -> Calls:
    dpop = Dpop(stores("Dpop"), clock=CLOCK)
    signer = DpopSigner(clock=CLOCK)
    whole = {"method": "GET", "url": "https://api.example/"}
    return {
        "verify": lambda odd: dpop.verify(odd, **whole),
        **keywords(
            lambda **odd: dpop.verify(signer.sign("GET", "https://api.example/"), **{**whole, **odd}),
            *whole, "access_token", "jkt",
        ),
    }  # fmt: skip


class Vault:
    suspends = False

    async def aput(self, tenant_id: str, name: str, value: str, /) -> None:
        self.held = Secret(value)

    async def aget(self, tenant_id: str, name: str, /) -> Secret[str]:
        return self.held

    async def adestroy(self, tenant_id: str, name: str, /) -> None: ...


def factors_calls(stores: Stores) -> Calls:
    totp = Totp(stores("Totp"), Vault(), issuer="Example", clock=CLOCK)
    codes = RecoveryCodes(stores("RecoveryCode"), PasswordHasher(permits=1), clock=CLOCK)
    passkeys = Passkeys(
        *(stores("Passkey"), stores("OneTimeToken")),
        rp_id="a.example", rp_name="A", origins=("https://a.example",), clock=CLOCK,
    )  # fmt: skip
    return {
        "totp begin": lambda odd: totp.begin(odd, account="a"),
        "totp account": lambda odd: totp.begin("u", account=odd),
        "totp confirm": lambda odd: totp.confirm("u", odd),
        "totp verify": lambda odd: totp.verify(odd, odd),
        "totp enrolled": totp.enrolled,
        "totp remove": totp.remove,
        "codes remaining": codes.remaining,
        "codes remove": codes.remove,
        "passkeys register": lambda odd: passkeys.begin_registration(odd, name="n"),
        **keywords(lambda **odd: passkeys.begin_registration("u", **{"name": "n", **odd}), "name", "display_name"),
        "passkeys registered": lambda odd: passkeys.complete_registration("u", odd),
        "passkeys begin": passkeys.begin,
        "passkeys complete": lambda odd: passkeys.complete(odd, odd),
        "passkeys list": passkeys.list,
        "passkeys remove": lambda odd: passkeys.remove("u", odd),
    }


ROOMS = (sessions_calls, tokens_calls, keys_calls, families_calls, proofs_calls)


def escaped(call: Callable[[Any], object]) -> list[str]:
    found = []
    for odd in ODD:
        try:
            call(odd)
        except TrustError as refused:
            told = f"{refused} {refused.detail} {refused.hint}"
            found += ["it repeats what it got"] * any(part in told for part in ("\0", "éé", "xxxx"))
        except Exception as error:
            found.append(f"{type(error).__name__} for {type(odd).__name__}")
    return found


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgres"])
def test_nothing_foreign_leaves_the_factors(request: pytest.FixtureRequest, kind: str) -> None:
    with stores_on(request, kind) as stores:
        calls = factors_calls(stores)
        assert {name: found for name, call in calls.items() if (found := escaped(call))} == {}


@pytest.mark.asvs("2.2.1")
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_foreign_leaves(request: pytest.FixtureRequest, kind: str) -> None:
    with stores_on(request, kind) as stores:
        calls = {f"{room.__name__} {name}": call for room in ROOMS for name, call in room(stores).items()}
        assert {name: found for name, call in calls.items() if (found := escaped(call))} == {}


def test_nothing_foreign_leaves_what_is_built() -> None:
    calls = building_calls(Stores(lambda room: object()))
    assert {name: found for name, call in calls.items() if (found := escaped(call))} == {}


@pytest.mark.parametrize("name", ["email", "fingerprint"])
@pytest.mark.parametrize("odd", [0, True, b"f", ["f"], {}])
def test_a_binding_of_another_kind_is_a_wrong_one(name: str, odd: Any) -> None:
    tokens = OneTimeTokens(MemoryOneTimeTokenStore(), "invite", clock=CLOCK)
    token = tokens.issue("s", email="a@b.example", fingerprint="f").token
    right = {"email": "a@b.example", "fingerprint": "f"}
    for redeem in (tokens.peek, tokens.consume):
        with pytest.raises(InvalidCredential) as caught:
            redeem(token, **{**right, name: odd})
        assert caught.value.problem() == InvalidCredential().problem()
    assert tokens.consume(token, **right).subject == "s"
