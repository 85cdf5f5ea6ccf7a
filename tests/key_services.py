"""Key services on the loopback, small and strict: Transit over HTTP, Cloud KMS over gRPC, Key Vault over HTTPS.

Each does real cryptography and answers in the words of the service. `state` makes it misbehave: ``disabled``,
``down`` and ``refused`` for all; ``garbled`` sends bytes that its check sum contradicts; ``swapped`` another valid key.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import tempfile
import threading
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SOFTHSM = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)


class Unavailable(Exception):
    """This service cannot be had here; the text says why."""


class Service:
    """State shared by a fake and its test."""

    def __init__(self) -> None:
        self.state = "up"
        self.calls = 0
        self.url = ""


@contextmanager
def _http(answer: Callable[[str, str, Any], tuple[int, Any]], tls: Path | None = None) -> Iterator[str]:
    """Serves JSON: `answer(method, path, body)` gives status and document."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"  # one request a connection: nobody writes to one that an error has closed

        def _serve(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(size)
            if "Authorization" not in self.headers and tls is not None:
                status, found = 401, {}
            else:
                status, found = answer(self.command, self.path, json.loads(body) if body else {})
            text = json.dumps(found).encode()
            self.send_response(status)
            if status == 401:
                self.send_header(
                    "WWW-Authenticate", 'Bearer authorization="https://login.test/t", resource="https://v"'
                )
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = _serve

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# --- Transit ---------------------------------------------------------------------------------------------------------


class Transit(Service):
    """The two calls of Vault's Transit engine, and reading a key."""

    def __init__(self) -> None:
        super().__init__()
        self.keys = {"kek": os.urandom(32), "other": os.urandom(32)}
        self.oldest = 1

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        self.calls += 1
        if self.state == "down":
            return 503, {"errors": ["Vault is sealed"]}
        if self.state == "refused":
            return 403, {"errors": ["permission denied"]}
        mount, verb, name = path.removeprefix("/v1/").split("/")
        if mount != "transit" or (verb == "keys" and name not in self.keys):
            return 404, {"errors": []}
        if name not in self.keys:
            return 400, {"errors": ["encryption key not found"]}
        if verb == "keys":
            return 200, {"data": {"name": name, "latest_version": 1, "min_decryption_version": self.oldest}}
        return self._crypt(verb, AESGCM(self.keys[name]), body)

    def _crypt(self, verb: str, gcm: AESGCM, body: Any) -> tuple[int, Any]:
        aad = b64decode(body["associated_data"], validate=True)
        if verb == "encrypt":
            nonce = os.urandom(12)
            sealed = nonce + gcm.encrypt(nonce, b64decode(body["plaintext"], validate=True), aad)
            return 200, {"data": {"ciphertext": f"vault:v1:{b64encode(sealed).decode()}", "key_version": 1}}
        version, _, text = body["ciphertext"].removeprefix("vault:v").partition(":")
        if self.oldest > 1 or self.state == "disabled":
            return 400, {"errors": ["ciphertext or signature version is disallowed by policy (too old)"]}
        if self.state == "swapped":
            return 200, {"data": {"plaintext": b64encode(os.urandom(64)).decode()}}
        try:
            if version != "1":
                return 400, {"errors": ["invalid ciphertext: version is too new"]}
            octets = b64decode(text, validate=True)
            return 200, {"data": {"plaintext": b64encode(gcm.decrypt(octets[:12], octets[12:], aad)).decode()}}
        except InvalidTag:
            return 400, {"errors": ["cipher: message authentication failed"]}
        except ValueError:
            return 400, {"errors": ["invalid ciphertext: could not decode base64"]}


@contextmanager
def transit() -> Iterator[tuple[Transit, Any]]:
    """The fake, and the real hvac client over it."""
    import hvac

    fake = Transit()
    with _http(fake.answer) as url:
        fake.url = url
        client = hvac.Client(url=url, token="t", timeout=5)
        yield fake, client
        client.adapter.close()


# --- Cloud KMS -------------------------------------------------------------------------------------------------------

KEY_NAME = "projects/p/locations/l/keyRings/r/cryptoKeys/kek"
_GRPC = "/google.cloud.kms.v1.KeyManagementService/"


def _crc32c(octets: bytes) -> int:
    crc = 0xFFFFFFFF
    for octet in octets:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 & -(crc & 1))
    return crc ^ 0xFFFFFFFF


class CloudKms(Service):
    """Encrypt, Decrypt and GetCryptoKey with their check sums."""

    def __init__(self) -> None:
        super().__init__()
        self._keys = {KEY_NAME: AESGCM(os.urandom(32)), f"{KEY_NAME}-other": AESGCM(os.urandom(32))}

    def _admit(self, name: str, context: Any) -> AESGCM:
        import grpc

        self.calls += 1
        codes = {
            "down": grpc.StatusCode.UNAVAILABLE,
            "refused": grpc.StatusCode.PERMISSION_DENIED,
            "disabled": grpc.StatusCode.FAILED_PRECONDITION,
        }
        if self.state in codes:
            context.abort(codes[self.state], f"{name} {self.state}")
        if name not in self._keys:
            context.abort(grpc.StatusCode.NOT_FOUND, name)
        return self._keys[name]

    def encrypt(self, request: Any, context: Any) -> Any:
        from google.cloud import kms

        gcm, nonce = self._admit(request.name, context), os.urandom(12)
        aad = request.additional_authenticated_data
        sealed = nonce + gcm.encrypt(nonce, request.plaintext, aad)
        return kms.EncryptResponse(
            name=f"{request.name}{'-other' * (self.state == 'misrouted')}/cryptoKeyVersions/1",
            ciphertext=sealed,
            ciphertext_crc32c=_crc32c(sealed) ^ (self.state == "garbled"),
            verified_plaintext_crc32c=request.plaintext_crc32c == _crc32c(request.plaintext),
            verified_additional_authenticated_data_crc32c=request.additional_authenticated_data_crc32c == _crc32c(aad),
        )

    def decrypt(self, request: Any, context: Any) -> Any:
        import grpc
        from google.cloud import kms

        gcm, sealed = self._admit(request.name, context), request.ciphertext
        if request.ciphertext_crc32c != _crc32c(sealed):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "crc32c")
        try:
            plain = gcm.decrypt(sealed[:12], sealed[12:], request.additional_authenticated_data)
        except (InvalidTag, ValueError):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "Decryption failed: the ciphertext is invalid.")
        if self.state == "swapped":
            plain = os.urandom(64)
        return kms.DecryptResponse(plaintext=plain, plaintext_crc32c=_crc32c(plain) ^ (self.state == "garbled"))

    def get(self, request: Any, context: Any) -> Any:
        from google.cloud import kms

        state, self.state = self.state, "up" if self.state == "disabled" else self.state
        self._admit(request.name, context)
        self.state = state
        primary = kms.CryptoKeyVersion(state="DISABLED" if state == "disabled" else "ENABLED")
        return kms.CryptoKey(name=request.name, primary=primary)


@contextmanager
def cloud_kms() -> Iterator[tuple[CloudKms, Any]]:
    """The fake, and Google's real client over it."""
    import grpc
    from google.cloud import kms
    from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceGrpcTransport

    fake = CloudKms()

    def method(behaviour: Any, request: Any, response: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(
            behaviour, request_deserializer=request.deserialize, response_serializer=response.serialize
        )

    handlers = {
        "Encrypt": method(fake.encrypt, kms.EncryptRequest, kms.EncryptResponse),
        "Decrypt": method(fake.decrypt, kms.DecryptRequest, kms.DecryptResponse),
        "GetCryptoKey": method(fake.get, kms.GetCryptoKeyRequest, kms.CryptoKey),
    }
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("google.cloud.kms.v1.KeyManagementService", handlers),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    try:
        yield fake, kms.KeyManagementServiceClient(transport=KeyManagementServiceGrpcTransport(channel=channel))
    finally:
        channel.close()
        server.stop(None).wait()


# --- Key Vault -------------------------------------------------------------------------------------------------------


class KeyVault(Service):
    """wrapkey and unwrapkey of one RSA key; reading the key is forbidden, so the client asks the service."""

    def __init__(self) -> None:
        super().__init__()
        self._rsa = rsa.generate_private_key(65537, 2048)
        self._oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        self.calls += 1
        found = {
            "down": (503, _azure("ServiceUnavailable", "down")),
            "refused": (403, _azure("Forbidden", "The user does not have keys permission")),
            "disabled": (403, _azure("Forbidden", "Operation wrapKey is not allowed on a disabled key.")),
        }.get(self.state)
        _, name, version, *verb = path.partition("?")[0].strip("/").split("/")
        if found is not None:
            return found
        if (name, version) != ("kek", "v1"):
            return 404, _azure("KeyNotFound", "A key with this name was not found")
        if not verb:
            return 403, _azure("Forbidden", "The user does not have keys get permission")
        octets = urlsafe_b64decode(body["value"] + "==")
        try:
            if verb == ["wrapkey"]:
                octets = self._rsa.public_key().encrypt(octets, self._oaep)
            else:
                octets = self._rsa.decrypt(octets, self._oaep)
        except ValueError:
            return 400, _azure("BadParameter", "The parameter is incorrect.")
        if self.state == "swapped":
            octets = os.urandom(64)
        kid = f"{self.url}/keys/kek/v1"
        return 200, {"kid": kid, "value": urlsafe_b64encode(octets).rstrip(b"=").decode()}


def _azure(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def _certificate(folder: Path) -> Path:
    import ipaddress

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "tls.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@contextmanager
def key_vault() -> Iterator[tuple[KeyVault, Callable[[str], Any]]]:
    """The fake, and what makes Azure's real client for a key of it."""
    from azure.core.credentials import AccessToken
    from azure.keyvault.keys.crypto import CryptographyClient

    class Credential:
        def get_token(self, *scopes: str, **how: Any) -> AccessToken:
            return AccessToken("t", 2**33)

    fake = KeyVault()
    with tempfile.TemporaryDirectory() as folder:
        tls = _certificate(Path(folder))
        with _http(fake.answer, tls) as url:
            fake.url = url

            def client(key_id: str) -> Any:
                return CryptographyClient(
                    key_id,
                    Credential(),
                    verify_challenge_resource=False,
                    connection_verify=str(tls),
                    retry_total=2,
                    retry_backoff_factor=0,
                )

            yield fake, client


# --- PKCS#11 ---------------------------------------------------------------------------------------------------------


@contextmanager
def softhsm() -> Iterator[tuple[str, str]]:
    """A SoftHSM token ``wst`` with PIN 1234 and an AES key ``kek``; yields the path of the module and the folder."""
    library = next((path for path in SOFTHSM if Path(path).exists()), None)
    if library is None:
        raise Unavailable("SoftHSM is not installed (apt-get install softhsm2)")
    with tempfile.TemporaryDirectory(prefix="wt-hsm-") as folder:
        Path(folder, "tokens").mkdir()
        Path(folder, "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
        os.environ["SOFTHSM2_CONF"] = f"{folder}/softhsm2.conf"
        command = ["softhsm2-util", "--init-token", "--free", "--label", "wst", "--pin", "1234", "--so-pin", "5678"]
        subprocess.run(command, check=True, timeout=30, stdout=subprocess.DEVNULL)
        import pkcs11

        with pkcs11.lib(library).get_token(token_label="wst").open(user_pin="1234", rw=True) as session:
            for label in ("kek", "other"):
                session.generate_key(
                    pkcs11.KeyType.AES,
                    256,
                    label=label,
                    store=True,
                    template={pkcs11.Attribute.EXTRACTABLE: False, pkcs11.Attribute.SENSITIVE: True},
                )
        yield library, folder
        os.environ.pop("SOFTHSM2_CONF", None)
