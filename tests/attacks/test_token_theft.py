"""A stolen access token, a stolen proof, and both together (RFC 9449, section 11)."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from forge import NOW
from wellstreak_trust.core import FixedClock, RequestFacts
from wellstreak_trust.identity import (
    Authenticator,
    Dpop,
    DpopNonces,
    DpopSigner,
    DpopTokens,
    InvalidCredential,
    JwtIssuer,
    JwtVerifier,
    MemoryDpopStore,
)
from wellstreak_trust.identity.dpop import access_token_hash

pytestmark = pytest.mark.asvs("10.3.5")

URL = "https://api.example.com/payments"


class Scene:
    """A client with a bound token, an API, and a thief who reads along."""

    def __init__(self) -> None:
        self.clock = FixedClock(NOW)
        self.client, self.thief = DpopSigner(clock=self.clock), DpopSigner(clock=self.clock)
        self.issuer = JwtIssuer(ed25519.Ed25519PrivateKey.generate(), issuer="https://op.example", clock=self.clock)
        self.token = self.issued(cnf={"jkt": self.client.jkt})
        self.api = self.server()

    def issued(self, **more) -> str:
        claims = {"aud": "https://api.example.com", "sub": "ada", **more}
        return self.issuer.issue(claims, typ="at+jwt", lifetime=timedelta(hours=1))

    def server(self, **options) -> Authenticator:
        verifier = JwtVerifier(
            self.issuer,
            issuer="https://op.example",
            audience="https://api.example.com",
            algorithms=("EdDSA",),
            clock=self.clock,
        )
        dpop = Dpop(MemoryDpopStore(), clock=self.clock, **options)
        return Authenticator([verifier, DpopTokens(verifier, dpop)])

    def asks(self, proof: str | None, *, token: str | None = None, scheme="DPoP", method="POST", url=URL) -> str:
        shown = [] if proof is None else [("DPoP", proof)]
        facts = RequestFacts(method, url, [("Authorization", f"{scheme} {token or self.token}"), *shown])
        try:
            return self.api.authenticate(facts).id
        except InvalidCredential as refusal:
            return f"refused: {refusal.reason}"


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_the_client_itself(scene):
    assert scene.asks(scene.client.sign("POST", URL, access_token=scene.token)) == "ada"


def test_a_stolen_token_without_its_key(scene):
    assert scene.asks(None) == "refused: proof"
    assert scene.asks(None, scheme="Bearer") == "refused: bound"
    assert scene.asks(scene.thief.sign("POST", URL, access_token=scene.token)) == "refused: bound"
    assert scene.asks(scene.thief.sign("POST", URL)) == "refused: token"


def test_a_token_and_a_proof_that_were_read_along(scene):
    """From a log, a crash report or a proxy: the proof counts once, for this request alone, for a minute."""
    proof = scene.client.sign("POST", URL, access_token=scene.token)
    assert scene.asks(proof, method="DELETE") == "refused: method"
    assert scene.asks(proof, url=URL + "/1") == "refused: target"
    assert scene.asks(proof, url="https://other.example.com/payments") == "refused: target"
    assert scene.asks(proof) == "ada"
    assert scene.asks(proof) == "refused: replay"
    unused = scene.client.sign("POST", URL, access_token=scene.token)
    scene.clock.advance(timedelta(seconds=61))
    assert scene.asks(unused) == "refused: time"


def test_a_proof_for_a_token_that_is_worth_less(scene):
    """`ath` holds proof and token together, or a proof for a weak token would serve for a strong one."""
    weak = scene.issued(cnf={"jkt": scene.client.jkt}, scope="none")
    assert scene.asks(scene.client.sign("POST", URL, access_token=weak)) == "refused: token"


def test_proofs_signed_in_advance(scene):
    """Whoever holds the key for an hour signs for tomorrow; a nonce of the server's ends that (RFC 9449, 11.2)."""
    scene.api = scene.server(nonces=DpopNonces(b"n" * 32))
    scene.clock.advance(timedelta(hours=1, minutes=-5))
    later = DpopSigner(scene.client._key.key, clock=FixedClock(scene.clock.now()))  # the thief's hour with the key
    scene.token = scene.issued(cnf={"jkt": scene.client.jkt})
    stored = later.sign("POST", URL, access_token=scene.token)
    assert scene.asks(stored) == "refused: nonce"


def test_a_thiefs_own_token_with_the_clients_proof(scene):
    mine = scene.issued(sub="mallory", cnf={"jkt": scene.thief.jkt})
    proof = scene.client.sign("POST", URL, access_token=mine)
    assert scene.asks(proof, token=mine) == "refused: bound"


def test_the_id_of_somebody_elses_proof_cannot_be_used_up(scene):
    """The store's key holds the signer's: a thief who guesses ids refuses nobody."""
    proof = scene.client.sign("POST", URL, access_token=scene.token)
    payload = json.loads(base64.urlsafe_b64decode(proof.split(".")[1] + "=="))
    mine = scene.issued(sub="mallory", cnf={"jkt": scene.thief.jkt})
    copied = {**payload, "ath": access_token_hash(mine)}
    same_id = scene.thief._key.sign({"typ": "dpop+jwt", "jwk": scene.thief.jwk}, json.dumps(copied).encode())
    assert scene.asks(same_id, token=mine) == "mallory"
    assert scene.asks(proof) == "ada"
