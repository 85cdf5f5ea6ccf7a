"""Keys by address: a real https server, its own authority, and addresses that are never asked."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local_http import Quiet, serving
from wellstreak_trust import webhooks
from wellstreak_trust.core import FixedClock, SystemClock
from wellstreak_trust.core.egress import Egress
from wellstreak_trust.testing import signer
from wellstreak_trust.webhooks import HttpsKeys, KeyUnavailable, UntrustedCertificate
from wellstreak_trust.webhooks.key_source import load_keys, trusted
from wellstreak_trust.webhooks.special import fal, paypal, sns

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HITS: list[str] = []
DOCUMENTS: dict[str, bytes] = {}


class Handler(Quiet):
    def do_GET(self) -> None:
        HITS.append(self.path)
        if self.path == "/slow":
            time.sleep(0.2)
        status = {"/redirect": 302, "/gone": 404}.get(self.path, 200)
        body = DOCUMENTS.get(self.path, b"{}") if not self.path.startswith("/huge") else b"x" * 70_000
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/keys")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        HITS.append(f"{self.path} {asked.decode()}")
        self.send_response(200)
        self.end_headers()
        self.wfile.write(DOCUMENTS[self.path])


class Authority:
    """A root, and a server certificate under it."""

    def __init__(self, folder: Path, name: str, *, until: datetime | None = None) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

        day = timedelta(days=1)
        self.root_key, self.key = (generate_private_key(65_537, 2_048) for _ in range(2))
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test Root")])
        usage = dict.fromkeys(
            ("content_commitment key_encipherment data_encipherment key_agreement encipher_only decipher_only").split(),
            False,
        )

        def made(of: x509.Name, key: Any, *, root: bool) -> x509.Certificate:
            building = x509.CertificateBuilder().subject_name(of).issuer_name(subject).public_key(key.public_key())
            building = building.serial_number(x509.random_serial_number()).not_valid_before(NOW - day)
            building = building.not_valid_after(until or NOW + 365 * day)
            building = building.add_extension(x509.BasicConstraints(root, None), critical=True)
            building = building.add_extension(
                x509.KeyUsage(digital_signature=not root, key_cert_sign=root, crl_sign=root, **usage), critical=True
            )
            authority = x509.SubjectKeyIdentifier.from_public_key(self.root_key.public_key())
            building = building.add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority), critical=False
            )
            if root:
                building = building.add_extension(authority, critical=False)
            else:
                building = building.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
                building = building.add_extension(
                    x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
                )
            return building.sign(self.root_key, hashes.SHA256())

        leaf = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        root = made(subject, self.root_key, root=True)
        pem = serialization.Encoding.PEM
        self.root_pem = root.public_bytes(pem)
        self.root_der = root.public_bytes(serialization.Encoding.DER)
        self.leaf_pem = made(leaf, self.key, root=False).public_bytes(pem)
        self.key_pem = self.key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self.files = (folder / f"{name}.crt", folder / f"{name}.key")
        self.files[0].write_bytes(self.leaf_pem)
        self.files[1].write_bytes(self.key_pem)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"), "localhost", until=datetime(2099, 1, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.files)
    with serving(Handler, context) as port:
        yield f"https://localhost:{port}"


@pytest.fixture
def clock() -> FixedClock:
    HITS.clear()
    return FixedClock(NOW)


@pytest.fixture
def source(authority: Authority, clock: FixedClock) -> HttpsKeys:
    return HttpsKeys(way(authority), clock=clock)


def way(authority: Authority) -> Egress:
    tls = ssl.create_default_context(cadata=authority.root_pem.decode())
    return Egress(SystemClock(), timedelta(seconds=3), allow_private=True, tls=tls)


def test_an_answer_is_kept_for_its_time(source: HttpsKeys, server: str, clock: FixedClock) -> None:
    DOCUMENTS["/keys"] = b"one"
    assert source.fetch(f"{server}/keys") == b"one"
    DOCUMENTS["/keys"] = b"two"
    clock.advance(timedelta(hours=23))
    assert source.fetch(f"{server}/keys") == b"one"
    clock.advance(timedelta(hours=1))
    assert source.fetch(f"{server}/keys") == b"two"
    assert HITS == ["/keys"] * 2


def test_an_unknown_key_asks_again_at_most_once_a_minute(source: HttpsKeys, server: str, clock: FixedClock) -> None:
    DOCUMENTS["/keys"] = b"one"
    for _ in range(50):
        source.fetch(f"{server}/keys")
        source.fetch(f"{server}/keys", anew=True)
    assert len(HITS) == 1
    clock.advance(timedelta(minutes=1))
    for _ in range(50):
        source.fetch(f"{server}/keys", anew=True)
    assert len(HITS) == 2


@pytest.mark.parametrize("path", ["/redirect", "/gone", "/huge"])
def test_what_is_no_document_is_remembered_as_a_failure(
    source: HttpsKeys, server: str, clock: FixedClock, path: str
) -> None:
    for _ in range(3):
        with pytest.raises(KeyUnavailable) as refused:
            source.fetch(server + path)
        assert refused.value.status == 503
    assert [path] == HITS
    clock.advance(timedelta(minutes=1))
    with pytest.raises(KeyUnavailable):
        source.fetch(server + path)
    assert [path] * 2 == HITS


def test_a_good_document_outlives_an_outage(source: HttpsKeys, server: str, clock: FixedClock) -> None:
    DOCUMENTS["/later"] = b"one"
    source.fetch(f"{server}/later")
    clock.advance(timedelta(hours=24))
    DOCUMENTS["/later"] = b"x" * 70_000
    assert source.fetch(f"{server}/later") == b"one"


def test_simultaneous_askers_share_one_request(source: HttpsKeys, server: str) -> None:
    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(lambda _: source.fetch(f"{server}/slow"), range(16))) == {b"{}"}
    assert HITS == ["/slow"]


def test_many_made_up_addresses_are_few_requests_and_push_no_key_out(
    source: HttpsKeys, server: str, clock: FixedClock
) -> None:
    DOCUMENTS["/keys"] = b"one"
    source.fetch(f"{server}/keys")
    refused = 0
    for number in range(100):
        try:
            source.fetch(f"{server}/huge?{number}")
        except KeyUnavailable:
            refused += 1
    assert (len(HITS), refused) == (15, 100)
    clock.advance(timedelta(seconds=59))
    assert source.fetch(f"{server}/keys") == b"one"
    assert len(HITS) == 15
    clock.advance(timedelta(hours=24))
    assert source.fetch(f"{server}/keys") == b"one"
    assert len(HITS) == 16


@pytest.mark.asvs("12.3.2")
def test_a_server_that_is_not_who_it_says_is_not_believed(server: str, clock: FixedClock) -> None:
    with pytest.raises(KeyUnavailable):
        HttpsKeys(Egress(SystemClock(), allow_private=True), clock=clock).fetch(f"{server}/keys")
    with pytest.raises(KeyUnavailable):
        HttpsKeys(clock=clock).fetch(f"{server}/keys")
    with pytest.raises(KeyUnavailable):
        webhooks.NoKeys().fetch(f"{server}/keys")
    assert HITS == []


GOOD = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123abcd.pem"


@pytest.mark.parametrize(
    "url",
    [
        None,
        7,
        "",
        GOOD.replace("https", "http"),
        GOOD.replace("amazonaws.com", "amazonaws.com.evil.example"),
        GOOD.replace("sns.", "evil-sns."),
        GOOD.replace("sns.eu-west-1.", "sns.eu-west-1.evil."),
        GOOD.replace("amazonaws.com/", "amazonaws.com@evil.example/"),
        GOOD.replace("https://", "https://user@"),
        GOOD.replace("https://", "https://evil.example/https://"),
        GOOD.replace("amazonaws.com", "amazonaws.com:8443"),
        GOOD.replace("amazonaws.com", "amazonaws.com:0"),
        GOOD.replace("amazonaws", "amazonaw\u017f"),
        GOOD.replace("amazonaws.com/", "amazonaws.com\\evil.example/"),
        GOOD.replace("amazonaws.com/", "amazonaws.com#/"),
        GOOD + "?x=https://evil.example",
        GOOD + "#x",
        GOOD + "\n",
        GOOD.replace("/Simple", "/../Simple"),
        GOOD.replace("/Simple", "/x/Simple"),
        GOOD.replace("eu-west-1", "s3-us-west-2"),  # a bucket that somebody called sns
        GOOD.replace("eu-west-1", "s3"),
        GOOD.replace("eu-west-1", "elb"),
        GOOD.replace("eu-west-1", "s3-website-us-east-1"),
        "https://evil.example/?" + GOOD,
        "//" + GOOD.partition("//")[2],
        "file:///etc/passwd",
        "https://[::ffff:169.254.169.254]/SimpleNotificationService-0.pem",
    ],
)
def test_hosts_are_compared_by_label(url: Any) -> None:
    assert trusted(GOOD, sns.HOST, sns._PATH) == GOOD
    with pytest.raises(UntrustedCertificate):
        trusted(url, sns.HOST, sns._PATH)


@pytest.mark.parametrize(
    "region", "us-east-1 ap-southeast-2 us-gov-west-1 us-iso-east-1 il-central-1 mx-central-1 cn-north-1".split()
)
def test_regions(region: str) -> None:
    china = ".cn" if region.startswith("cn") else ""
    url = GOOD.replace("eu-west-1", region).replace("amazonaws.com", f"amazonaws.com{china}")
    assert trusted(url, sns.HOST, sns._PATH) == url


@pytest.mark.parametrize("document", [b"", b"[]", b"7", b"\xff", b'{"keys":7}', b'{"keys":[7]}', b"[" * 100_000])
def test_what_is_no_key_set(document: bytes) -> None:
    with pytest.raises(KeyUnavailable):
        load_keys(document)


# --- the schemes that fetch ------------------------------------------------------------------------------------------


class Fixed:
    """A source of documents in memory; what is asked for is kept."""

    def __init__(self, *documents: bytes, roots: tuple[bytes, ...] = ()) -> None:
        self.documents = list(documents)
        self.asked: list[tuple[str, bytes | None, bool]] = []
        self._roots = roots

    def fetch(self, url: str, *, ask: bytes | None = None, anew: bool = False) -> bytes:
        self.asked.append((url, ask, anew))
        return self.documents[min(len(self.asked), len(self.documents)) - 1]

    def roots(self) -> tuple[bytes, ...]:
        return self._roots


def test_sns_asks_for_the_certificate_that_the_message_names_at_amazon(tmp_path: Path) -> None:
    made = Authority(tmp_path, "sns.amazonaws.com")
    topic = "arn:aws:sns:us-east-1:123456789012:trust"
    ours = signer("sns", f"{topic}\n{made.key_pem.decode().strip()}")
    sent = ours.sign(at=NOW)
    source = Fixed(made.leaf_pem)
    verifier = webhooks.verifier("sns", [topic], keys=source, clock=FixedClock(NOW))
    assert verifier.verify(sent.headers, sent.body).id_signed
    assert [url.rpartition("/")[0] for url, _, _ in source.asked] == ["https://sns.us-east-1.amazonaws.com"]
    document = json.loads(sent.body)
    for change in ({"SigningCertURL": "https://evil.example/x.pem"}, {"TopicArn": topic + "2"}):
        with pytest.raises(webhooks.WebhookError):
            verifier.verify(sent.headers, json.dumps(document | change).encode())
    assert len(source.asked) == 1
    late = FixedClock(NOW + timedelta(days=366))
    sent = ours.sign(at=late.now())
    with pytest.raises(UntrustedCertificate):
        webhooks.verifier("sns", [topic], keys=source, clock=late).verify(sent.headers, sent.body)


@pytest.mark.parametrize(
    ("name", "root", "good"),
    [("messageverificationcerts.paypal.com", True, True), ("paypal.com.evil.example", True, False),
     ("messageverificationcerts.paypal.com", False, False)],
)  # fmt: skip
def test_paypals_certificate_chains_to_an_authority_and_is_paypals(
    tmp_path: Path, name: str, root: bool, good: bool
) -> None:
    made = Authority(tmp_path, name)
    ours = signer("paypal", f"1AB23456CD789012E\n{made.key_pem.decode().strip()}")
    sent = ours.sign(at=NOW)
    other = Authority(tmp_path, "other").root_der
    source = Fixed(made.leaf_pem, roots=(made.root_der if root else other,))
    verifier = webhooks.verifier("paypal", ["1AB23456CD789012E"], keys=source, clock=FixedClock(NOW))
    if good:
        assert verifier.verify(sent.headers, sent.body).id_signed
    else:
        with pytest.raises(UntrustedCertificate):
            verifier.verify(sent.headers, sent.body)
    assert paypal._HOST.fullmatch("api.paypal.com")
    assert not paypal._HOST.fullmatch("evilpaypal.com")


def test_a_chain_is_followed_once_a_minute_and_a_broken_root_is_not_all_of_them(tmp_path: Path) -> None:
    made = Authority(tmp_path, "messageverificationcerts.paypal.com")
    ours = signer("paypal", f"1AB23456CD789012E\n{made.key_pem.decode().strip()}")
    source, asked = Fixed(made.leaf_pem, roots=(b"no certificate", made.root_der)), list[int]()
    roots = source.roots
    source.roots = lambda: [asked.append(1), *roots()][1:]  # type: ignore[method-assign]  # counts
    clock = FixedClock(NOW)
    verifier = webhooks.verifier("paypal", ["1AB23456CD789012E"], keys=source, clock=clock)
    sent = ours.sign(at=NOW)
    for _ in range(3):
        assert verifier.verify(sent.headers, sent.body).id_signed
        with pytest.raises(webhooks.SignatureMismatch):
            verifier.verify(sent.headers, sent.body + b" ")
    assert len(asked) == 1
    clock.advance(timedelta(days=366))
    late = ours.sign(at=clock.now())
    with pytest.raises(UntrustedCertificate):
        verifier.verify(late.headers, late.body)


def test_plaid_asks_with_its_credentials_and_once_more_for_an_unknown_key() -> None:
    ours, other = signer("plaid"), signer("plaid")
    sent = ours.sign(at=NOW)
    mine, foreign = (json.dumps({"key": json.loads(each.secrets[0])["keys"][0]}).encode() for each in (ours, other))
    source = Fixed(foreign.replace(b'"test"', b'"older"'), mine)
    client = f"sandbox:{'c' * 24}:{'5' * 30}"
    verifier = webhooks.verifier("plaid", [client], keys=source, clock=FixedClock(NOW))
    assert verifier.verify(sent.headers, sent.body).signed == {"body", "timestamp"}
    urls, asks, anew = zip(*source.asked, strict=True)
    assert set(urls) == {"https://sandbox.plaid.com/webhook_verification_key/get"}
    assert json.loads(asks[0]) == {"client_id": "c" * 24, "secret": "5" * 30, "key_id": "test"}
    assert anew == (False, True)


def test_key_sets_come_from_the_provider_that_was_configured() -> None:
    for name, identity, host in (
        ("fusionauth", "https://auth.example.com", "https://auth.example.com/.well-known/jwks.json"),
        ("google_chat", "123456789012", "https://www.googleapis.com/service_accounts/v1/jwk/chat@system"),
        ("pubsub", "https://h.example push@t.iam.gserviceaccount.com", "https://www.googleapis.com/oauth2/v3/certs"),
    ):
        private = signer(name).secret
        ours = signer(name, f"{identity}\n{private[private.index('-----') :]}")
        sent = ours.sign(at=NOW)
        source = Fixed(ours.secrets[0].partition("\n")[2].encode())
        verifier = webhooks.verifier(name, [identity], keys=source, clock=FixedClock(NOW))
        assert verifier.verify(sent.headers, sent.body).provider == name
        assert source.asked[0][0].startswith(host)


def test_fal_asks_its_key_set_and_once_more_after_a_rotation() -> None:
    ours, other = signer("fal"), signer("fal")
    sent = ours.sign(at=NOW)
    address = "https://rest.fal.ai/.well-known/jwks.json"
    source = Fixed(other.secrets[0].encode(), ours.secrets[0].encode())
    assert webhooks.verifier("fal", [address], keys=source).verify(sent.headers, sent.body, now=NOW).id_signed
    assert [anew for _, _, anew in source.asked] == [False, True]
    for evil in ("https://rest.fal.ai.evil.example/.well-known/jwks.json", "http://rest.fal.ai/.well-known/jwks.json"):
        with pytest.raises(webhooks.WeakSecret):
            webhooks.verifier("fal", [evil])
    assert fal._ADDRESS.fullmatch("")


@pytest.mark.anyio
async def test_the_awaited_face_fetches_in_a_thread(authority: Authority, server: str) -> None:
    ours = signer("fal")
    sent = ours.sign()
    source = Fixed(ours.secrets[0].encode())
    verifier = webhooks.verifier("fal", ["https://rest.fal.ai/.well-known/jwks.json"], keys=source)
    assert (await verifier.averify(sent.headers, sent.body)).provider == "fal"
    stripe = signer("stripe")
    sent = stripe.sign(b"{}")
    assert (await stripe.verifier().averify(sent.headers, sent.body)).provider == "stripe"
