"""What the provider can do wrong, one switch for each rule of a relying party.

A fault changes one thing at one stage: the metadata, the key set, the answer to the browser, the answer of the token
endpoint, the claims or the signature of a token, userinfo, or the way a document is sent. Those with `refused` False
are oddities that a relying party must take, because the standards allow them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from .signing import fresh_key, hmac_token, unsigned_token

if TYPE_CHECKING:
    from .provider import OpenIdProvider

__all__ = ["FAULTS", "Fault"]

Change = Callable[[Any, "OpenIdProvider"], Any]
_WEEK: Final = 7 * 86_400
_HOUR: Final = 3_600
_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"


@dataclass(frozen=True)
class Fault:
    """One switch.

    Args:
        stage: where it acts: ``metadata``, ``keys``, ``callback``, ``answer``, ``id_token``, ``signature``,
            ``userinfo``, ``refresh``, ``logout``, ``return``, or ``send`` for how documents are sent.
        rule: the rule that it breaks, or stretches.
        change: gets what the provider would send, and the provider; returns what it sends instead.
        refused: whether a relying party must refuse.
    """

    name: str
    stage: str
    rule: str
    change: Change
    refused: bool = True


def _set(**values: Any) -> Change:
    """Members with these values; one that is None is taken out."""
    return lambda found, op: {
        name: value for name, value in {**found, **values}.items() if value is not None or name not in values
    }


def _ago(name: str, seconds: int) -> Change:
    return lambda found, op: {**found, name: op.now() - seconds}


def _own(name: str, value: Callable[[OpenIdProvider], Any]) -> Change:
    return lambda found, op: {**found, name: value(op)}


def _pairs(**values: str | None) -> Change:
    """Parameters of a redirect with these values; one that is None is taken out."""
    return lambda found, op: [(n, v) for n, v in {**dict(found), **values}.items() if v is not None]


def _body(value: bytes, status: int = 200) -> Change:
    return lambda found, op: (status, value)


def _json(**values: Any) -> Change:
    change = _set(**values)
    return lambda found, op: (found[0], json.dumps(change(json.loads(found[1]), op)).encode())


def _sent(how: str, path: str) -> Change:
    """For the stage ``send``: documents at `path` are sent in another way; who follows a redirect finds a sound one."""
    return lambda found, op: how if path in found and not found.endswith("?again") else ""


def _named(found: Any, op: OpenIdProvider) -> dict[str, Any]:
    return {"kid": op.key.kid, **found.header}


def _other_key(found: Any, op: OpenIdProvider) -> str:
    return fresh_key(op.alg, op.key.kid).sign(found.claims, found.header)


def _flipped(found: Any, op: OpenIdProvider) -> str:
    head, _, signature = op.key.sign(found.claims, found.header).rpartition(".")
    return f"{head}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


def _other_alg(found: Any, op: OpenIdProvider) -> str:
    """With a key that is published, of an algorithm that this client has not registered."""
    key = fresh_key("ES384", "alternate")
    op.extra_keys.append(key)
    return key.sign(found.claims, found.header)


def _rotated(found: Any, op: OpenIdProvider) -> str:
    op.rotate()
    return op.key.sign(found.claims, found.header)


def _headed(**header: Any) -> Change:
    return lambda found, op: op.key.sign(found.claims, {**found.header, **header})


def _documents() -> Iterator[Fault]:
    """Metadata and key set, each sent in every way that wears a client out."""
    for name, path in (("metadata", "/.well-known"), ("keys", "/jwks")):
        for way, how, rule in _WAYS:
            yield Fault(f"{name}_{way}", "send", rule, _sent(how, path))


_WAYS: Final = (
    ("status_500", "status_500", "status 200 only"),
    ("redirect", "redirect", "redirects are not followed"),
    ("huge", "huge", "256 KiB"),
    ("deep", "deep", "nesting does not exhaust the stack"),
    ("not_json", "text", "a JSON object"),
    ("drip", "drip", "one deadline for the whole answer"),
    ("drip_header", "drip_header", "the deadline holds for headers"),
)
_EMPTY: Final[Mapping[str, Any]] = {}
_ID: Final = "id_token"
_SIG: Final = "signature"
_OUT: Final = "logout"
_TABLE: Final = (
    # Discovery: the issuer is configured and never learnt.
    Fault("metadata_other_issuer", "metadata", "the issuer is the configured one", _set(issuer="https://evil.example")),
    Fault("metadata_issuer_slash", "metadata", "compared as characters", _own("issuer", lambda op: op.issuer + "/")),
    Fault("metadata_no_issuer", "metadata", "the issuer is named", _set(issuer=None)),
    Fault("metadata_plain_http", "metadata", "endpoints are https", _set(token_endpoint="http://op.example/token")),
    Fault("metadata_no_keys", "metadata", "a key set is published", _set(jwks_uri=None)),
    Fault("metadata_keys_in_a_file", "metadata", "jwks_uri is https", _set(jwks_uri="file:///etc/passwd")),
    # Key set.
    Fault("keys_empty", "keys", "a set without keys replaces nothing", _set(keys=[])),
    Fault("keys_not_a_list", "keys", "a list of keys", _set(keys={"kid": "k1"})),
    Fault("keys_too_many", "keys", "at most 64", lambda found, op: {"keys": found["keys"] * 65}),
    Fault("keys_bad_member", "keys", "unusable members are left out",
          lambda found, op: {"keys": [7, {"kty": "RSA", "n": "!"}, {"kty": "oct", "k": "AA"}, *found["keys"]]}, False),
    Fault("keys_without_names", "keys", "kid may be absent",
          lambda found, op: {"keys": [{n: v for n, v in k.items() if n != "kid"} for k in found["keys"]]}, False),
    # The answer to the browser.
    Fault("callback_no_state", "callback", "state is there", _pairs(state=None)),
    Fault("callback_other_state", "callback", "state is the one sent", _pairs(state="A" * 43)),
    Fault("callback_repeated", "callback", "no parameter twice", lambda found, op: [*found, found[0]]),
    Fault("callback_no_issuer", "callback", "iss is there if announced", _pairs(iss=None)),
    Fault("callback_other_issuer", "callback", "iss is the configured issuer", _pairs(iss="https://evil.example")),
    Fault("callback_no_code", "callback", "a code or an error", _pairs(code=None)),
    Fault("callback_error", "callback", "an error ends the sign-in", _pairs(code=None, error="access_denied")),
    Fault("callback_error_other_issuer", "callback", "iss counts on errors too",
          _pairs(code=None, error="access_denied", iss="https://evil.example")),
    Fault("callback_wrong_code", "callback", "the code is the provider's", _pairs(code="made-up")),
    # The answer of the token endpoint.
    Fault("answer_status_400", "answer", "status 200 only", lambda found, op: (400, b'{"error":"invalid_grant"}')),
    Fault("answer_status_201", "answer", "status 200 only", lambda found, op: (201, found[1])),
    Fault("answer_status_500", "answer", "status 200 only", _body(b"{}", 500)),
    Fault("answer_redirect", "send", "redirects are not followed", _sent("redirect", "/token")),
    Fault("answer_not_json", "answer", "a JSON object", _body(b"access_token=1&id_token=2")),
    Fault("answer_list", "answer", "a JSON object", _body(b"[]")),
    Fault("answer_error_200", "answer", "an error is one under any status", _body(b'{"error":"bad"}')),
    Fault("answer_other_type", "answer", "Bearer or DPoP", _json(token_type="mac")),
    Fault("answer_no_type", "answer", "a token type", _json(token_type=None)),
    Fault("answer_type_case", "answer", "the type's case does not count", _json(token_type="bEARER"), False),
    Fault("answer_dpop_type", "answer", "DPoP is a type too", _json(token_type="DPoP"), False),
    Fault("answer_no_expiry", "answer", "expires_in may be absent", _json(expires_in=None), False),
    Fault("answer_no_access_token", "answer", "an access token", _json(access_token=None)),
    Fault("answer_number_access_token", "answer", "the access token is text", _json(access_token=7)),
    Fault("answer_no_id_token", "answer", "an ID token", _json(id_token=None)),
    Fault("answer_two_part_id_token", "answer", "the ID token has three parts", _json(id_token="a.b")),
    Fault("answer_number_id_token", "answer", "the ID token is text", _json(id_token=7)),
    # The claims of the ID token.
    Fault("id_token_no_issuer", _ID, "iss is there", _set(iss=None)),
    Fault("id_token_other_issuer", _ID, "iss is the configured issuer", _set(iss="https://evil.example")),
    Fault("id_token_issuer_prefix", _ID, "iss is compared whole", _own("iss", lambda op: op.issuer[:-1])),
    Fault("id_token_no_subject", _ID, "sub is there", _set(sub=None)),
    Fault("id_token_long_subject", _ID, "sub has at most 255 characters", _set(sub="s" * 256)),
    Fault("id_token_number_subject", _ID, "sub is text", _set(sub=7)),
    Fault("id_token_no_audience", _ID, "aud is there", _set(aud=None)),
    Fault("id_token_other_audience", _ID, "aud is this client", _set(aud="another-client")),
    Fault("id_token_audience_list", _ID, "aud may be a list of one", _own("aud", lambda op: [op.client_id]), False),
    Fault("id_token_untrusted_audience", _ID, "aud holds nobody untrusted",
          lambda found, op: {**found, "aud": [op.client_id, "another"], "azp": op.client_id}),
    Fault("id_token_other_party", _ID, "azp is this client", _set(azp="another-client")),
    Fault("id_token_foreign_audience_own_party", _ID, "azp does not make up for aud",
          lambda found, op: {**found, "aud": "another", "azp": op.client_id}),
    Fault("id_token_no_expiry", _ID, "exp is there", _set(exp=None)),
    Fault("id_token_expired", _ID, "exp lies ahead", _ago("exp", 60)),
    Fault("id_token_text_expiry", _ID, "exp is a number", _set(exp="9999999999")),
    Fault("id_token_no_issue", _ID, "iat is there", _set(iat=None)),
    Fault("id_token_week_old", _ID, "iat is recent", _ago("iat", _WEEK)),
    Fault("id_token_from_the_future", _ID, "iat lies behind", _ago("iat", -_HOUR)),
    Fault("id_token_not_yet", _ID, "nbf lies behind", _ago("nbf", -_HOUR)),
    Fault("id_token_no_nonce", _ID, "nonce is there", _set(nonce=None)),
    Fault("id_token_other_nonce", _ID, "nonce is the one sent", _set(nonce="n" * 43)),
    Fault("id_token_no_at_hash", _ID, "at_hash may be absent", _set(at_hash=None), False),
    Fault("id_token_other_at_hash", _ID, "at_hash fits the access token", _set(at_hash="A" * 22)),
    Fault("id_token_number_at_hash", _ID, "at_hash is text", _set(at_hash=7)),
    Fault("id_token_no_auth_time", _ID, "auth_time is there if max_age was sent", _set(auth_time=None)),
    Fault("id_token_old_auth_time", _ID, "auth_time is within max_age", _ago("auth_time", _WEEK)),
    Fault("id_token_text_auth_time", _ID, "auth_time is a number", _set(auth_time="1")),
    Fault("id_token_other_acr", _ID, "acr is one of those asked for", _set(acr="urn:weak")),
    Fault("id_token_no_acr", _ID, "acr is there if asked for", _set(acr=None)),
    # Its signature.
    Fault("signature_none", _SIG, "never none", lambda found, op: unsigned_token(found.claims, _named(found, op))),
    Fault("signature_flipped", _SIG, "the signature verifies", _flipped),
    Fault("signature_other_key", _SIG, "under a published key", _other_key),
    Fault("signature_other_algorithm", _SIG, "under an algorithm that was configured", _other_alg),
    Fault("signature_client_secret", _SIG, "never HMAC under the client's secret",
          lambda found, op: hmac_token(found.claims, _named(found, op), op.client_secret.encode())),
    Fault("signature_public_key", _SIG, "never HMAC under the public key",
          lambda found, op: hmac_token(found.claims, _named(found, op), op.key.pem)),
    Fault("signature_unknown_name", _SIG, "kid is a published one", _headed(kid="nobody")),
    Fault("signature_no_name", _SIG, "kid may be absent with one key", _headed(kid=None), False),
    Fault("signature_own_key", _SIG, "never a key out of the header", _headed(jwk={"kty": "oct", "k": "AA"})),
    Fault("signature_other_type", _SIG, "an access token is no ID token", _headed(typ="at+jwt")),
    Fault("signature_rotated", _SIG, "a key that rotated just now is found", _rotated, False),
    # Userinfo.
    Fault("userinfo_other_subject", "userinfo", "sub is that of the ID token", _set(sub="somebody-else")),
    Fault("userinfo_no_subject", "userinfo", "sub is there", _set(sub=None)),
    Fault("userinfo_status_401", "send", "status 200 only", _sent("status_401", "/userinfo")),
    Fault("userinfo_not_json", "send", "a JSON object", _sent("text", "/userinfo")),
    # Refreshing.
    Fault("refresh_other_issuer", "refresh", "iss as before", _set(iss="https://evil.example")),
    Fault("refresh_other_subject", "refresh", "sub as before", _set(sub="somebody-else")),
    Fault("refresh_other_audience", "refresh", "aud as before", _set(aud="another-client")),
    Fault("refresh_other_auth_time", "refresh", "auth_time as before", _ago("auth_time", _WEEK)),
    Fault("refresh_no_auth_time", "refresh", "auth_time may be left out", _set(auth_time=None), False),
    # Back-channel logout.
    Fault("logout_no_event", _OUT, "the event is named", _set(events=None)),
    Fault("logout_other_event", _OUT, "it is that of a logout", _set(events={"urn:other": dict(_EMPTY)})),
    Fault("logout_text_event", _OUT, "its value is an object", _set(events={_EVENT: "yes"})),
    Fault("logout_with_nonce", _OUT, "no nonce", _set(nonce="n")),
    Fault("logout_other_audience", _OUT, "aud is this client", _set(aud="another-client")),
    Fault("logout_other_issuer", _OUT, "iss is the configured issuer", _set(iss="https://evil.example")),
    Fault("logout_nobody", _OUT, "sub or sid", _set(sub=None, sid=None)),
    Fault("logout_old", _OUT, "iat within five minutes", _ago("iat", _HOUR)),
    Fault("logout_expired", _OUT, "exp lies ahead", _ago("exp", 60)),
    Fault("logout_no_expiry", _OUT, "exp is there", _set(exp=None)),
    Fault("logout_no_name", _OUT, "jti is there", _set(jti=None)),
    Fault("logout_no_session", _OUT, "sub alone is enough", _set(sid=None), False),
    # Coming back from a sign-out.
    Fault("return_no_state", "return", "state is there", _pairs(state=None)),
    Fault("return_other_state", "return", "state is the one sent", _pairs(state="A" * 43)),
)  # fmt: skip

FAULTS: Final[Mapping[str, Fault]] = {fault.name: fault for fault in (*_documents(), *_TABLE)}
"""Every switch by its name."""
