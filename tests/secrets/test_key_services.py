"""Every holder of a key-encryption key: one contract, then what goes wrong at each service."""

from __future__ import annotations

import os
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import argon2
import pytest

import key_services
from wellstreak_trust.core import ConfigurationError, drive
from wellstreak_trust.core.errors import (
    EnvelopeUnsupported,
    KeyDisabled,
    KeyUnavailable,
    KeyUnknown,
    SecretTampered,
    TrustError,
)
from wellstreak_trust.secrets import (
    AwsKmsProvider,
    AzureKeyVaultProvider,
    CachePolicy,
    EnvKeyProvider,
    GcpKmsProvider,
    KeyChain,
    KeyContext,
    KeyProvider,
    LocalKeyProvider,
    MemorySecretBackend,
    PassphraseKeyProvider,
    Pkcs11Provider,
    SealedKeyProvider,
    SecretConflict,
    SecretShredded,
    SecretStore,
    VaultTransitProvider,
)
from wellstreak_trust.testing.stores.key_providers import CHECKS

CONTEXT = KeyContext("store", "t1", 1)
KEY = bytes(range(64))
PASSPHRASE = "correct horse battery staple"
QUICK = {"time_cost": 1, "memory_kib": 19_456, "lanes": 1}


class Kit(NamedTuple):
    """A provider, one of a key that does not exist, and how its service is made to misbehave."""

    provider: KeyProvider
    missing: KeyProvider | None
    turn: Callable[[str], None]


class Kms:
    """moto's KMS, with the states that moto does not enforce: it decrypts with disabled keys and with doomed ones."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.state = "up"
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        from botocore.exceptions import ClientError, EndpointConnectionError

        real = getattr(self._client, name)
        codes = {
            "disabled": "DisabledException",
            "doomed": "KMSInvalidStateException",
            "refused": "AccessDeniedException",
            "busy": "ThrottlingException",
            "broken": "KMSInternalException",
        }

        def call(**arguments: Any) -> Any:
            self.calls += 1
            if name == "describe_key" and self.state in ("disabled", "doomed"):
                state = {"disabled": "Disabled", "doomed": "PendingDeletion"}[self.state]
                return {"KeyMetadata": {"KeyState": state}}
            if self.state == "down":
                raise EndpointConnectionError(endpoint_url="https://kms.test")
            if self.state in codes:
                told = {"Code": codes[self.state], "Message": "arn:aws:kms:us-east-1:123456789012:key/private"}
                raise ClientError({"Error": told}, name)
            if self.state == "swapped" and name == "decrypt":
                return {"Plaintext": os.urandom(64)}
            return real(**arguments)

        return call


@pytest.fixture(scope="session")
def kits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Kit]]:
    """Makes each kit once, and only those that are asked for."""
    made: dict[str, Kit] = {}
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("keys")

        def kit(name: str) -> Kit:
            if name not in made:
                made[name] = globals()[f"_{name}"](stack, folder)
            made[name].turn("up")
            return made[name]

        yield kit


def _turner(service: Any) -> Callable[[str], None]:
    return lambda state: setattr(service, "state", state)


def _still(state: str) -> None:
    pass


def _local(stack: ExitStack, folder: Path) -> Kit:
    return Kit(LocalKeyProvider.generate(folder / "local.json"), None, _still)


def _env(stack: ExitStack, folder: Path) -> Kit:
    return Kit(EnvKeyProvider(b64encode(KEY).decode()), None, _still)


def _passphrase(stack: ExitStack, folder: Path) -> Kit:
    return Kit(PassphraseKeyProvider.generate(folder / "passphrase.json", PASSPHRASE, **QUICK), None, _still)


def _sealed(stack: ExitStack, folder: Path) -> Kit:
    return Kit(SealedKeyProvider.generate(folder / "private.json", folder / "public.json"), None, _still)


def _aws(stack: ExitStack, folder: Path) -> Kit:
    import boto3
    from moto import mock_aws

    stack.enter_context(mock_aws())
    client = boto3.client("kms", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y")
    stack.callback(client.close)
    faulty = Kms(client)
    arn = client.create_key()["KeyMetadata"]["Arn"]
    gone = f"{arn.rpartition('/')[0]}/00000000-0000-0000-0000-000000000000"
    return Kit(AwsKmsProvider(arn, client=faulty), AwsKmsProvider(gone, client=faulty), _turner(faulty))


def _gcp(stack: ExitStack, folder: Path) -> Kit:
    fake, client = stack.enter_context(key_services.cloud_kms())
    missing = GcpKmsProvider(f"{key_services.KEY_NAME}-none", client=client)
    return Kit(GcpKmsProvider(key_services.KEY_NAME, client=client), missing, _turner(fake))


def _azure(stack: ExitStack, folder: Path) -> Kit:
    fake, client = stack.enter_context(key_services.key_vault())
    ids = [f"{fake.url}/keys/{name}/v1" for name in ("kek", "none")]
    there, missing = (AzureKeyVaultProvider(key_id, client=client(key_id)) for key_id in ids)
    return Kit(there, missing, _turner(fake))


def _vault(stack: ExitStack, folder: Path) -> Kit:
    fake, client = stack.enter_context(key_services.transit())
    missing = VaultTransitProvider("none", client=client)
    return Kit(VaultTransitProvider("kek", client=client), missing, _turner(fake))


def _pkcs11(stack: ExitStack, folder: Path) -> Kit:
    try:
        library, _ = stack.enter_context(key_services.softhsm())
    except key_services.Unavailable as reason:
        if os.environ.get("CI") == "true":
            pytest.fail(str(reason), pytrace=False)
        pytest.skip(str(reason))
    there, missing = (Pkcs11Provider(library, token="wst", key=key, pin="1234") for key in ("kek", "none"))
    return Kit(there, missing, _still)


LOCAL = ("local", "env", "passphrase", "sealed")
SERVICES = ("aws", "gcp", "azure", "vault")
EVERY = (*LOCAL, *SERVICES, "pkcs11")


@pytest.mark.asvs("13.3.1")
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", EVERY)
def test_every_provider_keeps_the_contract(
    kits: Callable[[str], Kit], name: str, check: Callable[[KeyProvider], None]
) -> None:
    check(kits(name).provider)


@pytest.mark.parametrize("name", EVERY)
def test_a_store_works_over_every_provider(kits: Callable[[str], Kit], name: str) -> None:
    backend = MemorySecretBackend()
    SecretStore(backend, KeyChain([kits(name).provider])).put("t1", "a", "value")
    later = SecretStore(backend, KeyChain([kits(name).provider]))
    assert later.get("t1", "a").reveal() == "value"
    to_local = SecretStore(backend, KeyChain([LocalKeyProvider("k_0011223344556677", KEY), kits(name).provider]))
    assert to_local.rewrap().rewrapped == 1
    back = SecretStore(backend, KeyChain([kits(name).provider, LocalKeyProvider("k_0011223344556677", KEY)]))
    assert back.rewrap().rewrapped == 1
    assert back.get("t1", "a").reveal() == "value"


FAULTS: tuple[tuple[str, type[TrustError], bool | None], ...] = (
    ("disabled", KeyDisabled, None),
    ("down", KeyUnavailable, True),
    ("refused", KeyUnavailable, False),
)
MORE: tuple[tuple[str, str, type[TrustError], bool | None], ...] = (
    ("aws", "doomed", KeyDisabled, None),
    ("aws", "busy", KeyUnavailable, True),
    ("aws", "broken", KeyUnavailable, True),
    ("gcp", "garbled", KeyUnavailable, True),
)


@pytest.mark.parametrize(
    ("name", "state", "error", "retryable"),
    [*((name, *fault) for name in SERVICES for fault in FAULTS), *MORE],
    ids=lambda value: value.__name__ if isinstance(value, type) else str(value),
)
def test_what_a_service_says_becomes_an_error_of_ours(
    kits: Callable[[str], Kit], name: str, state: str, error: type[TrustError], retryable: bool | None
) -> None:
    provider, _, turn = kits(name)
    blob = provider.wrap(KEY, CONTEXT)
    turn(state)
    calls: tuple[Callable[[], object], ...] = (lambda: provider.unwrap(blob, CONTEXT),)
    if not (name == "vault" and state == "disabled"):  # a minimum *decryption* version
        calls += (lambda: provider.wrap(KEY, CONTEXT),)
    for call in calls:
        with pytest.raises(error) as caught:
            call()
        assert getattr(caught.value, "retryable", None) is retryable
        said = f"{caught.value} {caught.value!r} {caught.value.detail} {caught.value.hint} {caught.value.problem()}"
        assert all(word not in said for word in ("arn:", "projects/", "127.0.0.1", "https:", "keys/kek", "private"))
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
    turn(state)
    if state in ("down", "disabled", "doomed") and not (name == "vault" and state == "disabled"):
        expected = "unavailable" if error is KeyUnavailable else "disabled"
        assert provider.status().state == expected
    turn("up")
    assert provider.unwrap(blob, CONTEXT) == KEY


@pytest.mark.parametrize("name", [*SERVICES, "pkcs11"])
def test_a_key_that_is_not_there_is_unknown(kits: Callable[[str], Kit], name: str) -> None:
    provider, missing, _ = kits(name)
    assert missing is not None
    with pytest.raises(KeyUnknown):
        missing.wrap(KEY, CONTEXT)
    with pytest.raises(KeyUnknown):
        missing.unwrap(provider.wrap(KEY, CONTEXT), CONTEXT)
    assert missing.status().state == "unavailable"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_that_answers_with_another_key_is_seen(kits: Callable[[str], Kit], name: str) -> None:
    """A key service is neither committing nor beyond mixing up its answers: the check value tells."""
    provider, _, turn = kits(name)
    backend = MemorySecretBackend()
    SecretStore(backend, KeyChain([provider])).put("t1", "a", "value")
    turn("swapped")
    with pytest.raises(SecretTampered):
        SecretStore(backend, KeyChain([provider])).get("t1", "a")


@pytest.mark.parametrize("name", SERVICES)
def test_an_outage_refuses_a_cold_tenant_and_serves_a_warm_one(kits: Callable[[str], Kit], name: str) -> None:
    provider, _, turn = kits(name)
    backend = MemorySecretBackend()
    warm = SecretStore(backend, KeyChain([provider]))
    warm.put("t1", "a", "value")
    turn("down")
    assert warm.get("t1", "a").reveal() == "value"
    with pytest.raises(KeyUnavailable):
        SecretStore(backend, KeyChain([provider])).get("t1", "a")
    with pytest.raises(KeyUnavailable):
        warm.put("t2", "a", "value")


def test_a_damaged_request_is_noticed_by_cloud_kms(kits: Callable[[str], Kit]) -> None:
    from wellstreak_trust.secrets.providers.gcp_kms import crc32c

    assert crc32c(b"123456789") == 0xE3069283  # RFC 3720, B.4's polynomial on the usual check string
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert kits("gcp").provider.unwrap(kits("gcp").provider.wrap(KEY, CONTEXT), CONTEXT) == KEY


def test_an_answer_of_a_key_whose_name_only_begins_alike_is_refused(kits: Callable[[str], Kit]) -> None:
    provider, _, turn = kits("gcp")
    turn("misrouted")
    with pytest.raises(KeyUnavailable):
        provider.wrap(KEY, CONTEXT)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_opens_a_session_of_its_own(kits: Callable[[str], Kit]) -> None:
    provider = kits("pkcs11").provider
    blob = provider.wrap(KEY, CONTEXT)
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if provider.unwrap(blob, CONTEXT) == KEY else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert provider.unwrap(blob, CONTEXT) == KEY


def test_a_wrong_pin_and_a_module_that_is_none(kits: Callable[[str], Kit], tmp_path: Path) -> None:
    kits("pkcs11")
    (tmp_path / "module.so").write_bytes(b"no module")
    with pytest.raises(ConfigurationError):
        Pkcs11Provider(str(tmp_path / "module.so"), token="wst", key="kek", pin="1234")


@pytest.mark.parametrize("key_id", ["", "https://v.test/keys/kek", "https://v.test/secrets/kek/v1", "kek"])
def test_a_key_vault_key_is_named_with_its_version(key_id: str) -> None:
    with pytest.raises(ConfigurationError):
        AzureKeyVaultProvider(key_id, client=object())


def test_keys_have_names() -> None:
    for make in (
        lambda: AwsKmsProvider("", client=object()),
        lambda: GcpKmsProvider("", client=object()),
        lambda: VaultTransitProvider("", client=object()),
    ):
        with pytest.raises(ConfigurationError):
            make()


# --- sealed ----------------------------------------------------------------------------------------------------------


@pytest.mark.asvs("11.6.2", "13.3.2")
def test_the_web_tier_writes_and_workers_read(tmp_path: Path) -> None:
    SealedKeyProvider.generate(tmp_path / "private.json", tmp_path / "public.json")
    for name in ("private.json", "public.json"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    backend = MemorySecretBackend()
    public = SealedKeyProvider.from_file(tmp_path / "public.json")
    private = SealedKeyProvider.from_file(tmp_path / "private.json")
    assert (public.uri, public.opens, private.opens) == (private.uri, False, True)
    first, second = (SecretStore(backend, KeyChain([public])) for _ in range(2))
    worker = SecretStore(backend, KeyChain([private]))
    first.put("t1", "a", "from the first")
    second.put("t1", "b", "from the second")
    worker.put("t1", "c", "from the worker")
    second.put("t1", "d", "again from the second")
    values = [worker.get("t1", name).reveal() for name in "abcd"]
    assert values == ["from the first", "from the second", "from the worker", "again from the second"]
    blinds: tuple[Callable[[], object], ...] = (
        *(lambda: second.get("t1", "a"), lambda: second.list("t1"), lambda: second.rotate("t1", "a", "over it")),
        *(
            lambda: second.disable("t1", "a"),
            lambda: second.refresh("t1", "a", str),
            lambda: second.revert("t1", "a", 1),
        ),
    )
    for blind in blinds:
        with pytest.raises(KeyUnavailable) as caught:
            blind()
        assert not caught.value.retryable
    assert worker.rotate("t1", "c", "rotated").version == 2
    assert worker.reencrypt("t1", retire=True).complete
    assert len({info.key_version for info in worker.list("t1")}) == 1
    assert worker.verify().sound
    third = SecretStore(backend, KeyChain([public]))
    assert third.put("t1", "e", "after the worker").version == 1
    assert worker.get("t1", "e").reveal() == "after the worker"


def test_the_web_tier_puts_new_versions_over_what_it_cannot_read(tmp_path: Path) -> None:
    """A tenant connects anew: the callback has the token, and no worker has to be asked."""
    SealedKeyProvider.generate(tmp_path / "private.json", tmp_path / "public.json")
    backend = MemorySecretBackend()
    worker = SecretStore(backend, KeyChain([SealedKeyProvider.from_file(tmp_path / "private.json")]))

    def web(**bounds: Any) -> SecretStore:
        keys = KeyChain([SealedKeyProvider.from_file(tmp_path / "public.json")])
        return SecretStore(backend, keys, cache=CachePolicy(**bounds))

    worker.put("t1", "a", "of the worker", labels={"team": "a"})
    assert web().put("t1", "a", "of the first", labels={"team": "b"}).version == 2
    second = web()
    with pytest.raises(SecretConflict) as caught:
        second.put("t1", "a", "late", expected_version=1)
    assert caught.value.actual == 2
    assert second.put("t1", "a", "of the second", expected_version=2).version == 3
    assert second.put("t1", "a", "again", expected_version=3).version == 4
    assert len({row.version for row in drive(backend.keys_of("t1"))}) == 3, "a process makes one key of its own"
    assert web(max_age=timedelta()).put("t1", "a", "uncached").version == 5
    values = [worker.get("t1", "a", version=version).reveal() for version in range(1, 6)]
    assert values == ["of the worker", "of the first", "of the second", "again", "uncached"]
    assert dict(worker.describe("t1", "a", version=2).labels) == {"team": "b"}
    assert worker.verify().sound
    assert worker.reencrypt("t1", retire=True).complete
    assert second.put("t1", "a", "after the worker").version == 6
    assert worker.get("t1", "a").reveal() == "after the worker"
    worker.shred("t1", confirm="t1")
    with pytest.raises(SecretShredded):
        web().put("t1", "a", "after the end")


def test_the_web_tier_launders_nothing(tmp_path: Path) -> None:
    """Numbers that somebody edited: what is written over them is refused, or the new value and no old one."""
    SealedKeyProvider.generate(tmp_path / "private.json", tmp_path / "public.json")
    worker_keys, web_keys = (
        KeyChain([SealedKeyProvider.from_file(tmp_path / f"{half}.json")]) for half in ("private", "public")
    )
    edits: tuple[dict[str, Any], ...] = (
        *({"current": 1}, {"current": 3}, {"current": 2**31 - 1}, {"current": 2**63 - 1}, {"current": 0}),
        *({"revision": 1}, {"revision": 2**63 - 1}, {"revision": -1}, {"key_version": 7}, {"head_mac": b"x"}),
    )
    for edit in edits:
        backend = MemorySecretBackend()
        worker = SecretStore(backend, worker_keys)
        for value in ("one", "two"):
            worker.put("t1", "a", value)
        backend._heads["t1", "a"] = backend._heads["t1", "a"]._replace(**edit)
        with suppress(SecretTampered):
            SecretStore(backend, web_keys).put("t1", "a", "new")
        with suppress(SecretTampered):
            assert SecretStore(backend, worker_keys).get("t1", "a").reveal() == "new", edit


def test_a_sealing_process_moves_between_its_own_key_and_a_workers(tmp_path: Path) -> None:
    SealedKeyProvider.generate(tmp_path / "private.json", tmp_path / "public.json")
    backend = MemorySecretBackend()
    web = SecretStore(backend, KeyChain([SealedKeyProvider.from_file(tmp_path / "public.json")]))
    worker = SecretStore(backend, KeyChain([SealedKeyProvider.from_file(tmp_path / "private.json")]))
    for name in "abcdef":
        web.put("t1", name, name)
    late = SecretStore(backend, KeyChain([SealedKeyProvider.from_file(tmp_path / "public.json")]))
    seen: list[int] = []

    def meanwhile(done: int) -> None:
        seen.append(done)
        if len(seen) == 1:
            late.put("t1", "a", "in the middle of it")
            late.put("t1", "zz", "as well")

    report = worker.reencrypt("t1", batch=2, progress=meanwhile)
    assert (report.failed, report.complete) == ((), True), "a key that came meanwhile is no tampering"
    assert {info.key_version for info in worker.list("t1")} == {report.key_version}
    assert worker.get("t1", "a").reveal() == "in the middle of it"
    assert worker.reencrypt("t1", dry_run=True).failed == ()
    assert worker.verify().sound


@pytest.mark.asvs("11.6.2")
def test_the_public_key_alone_plants_nothing(tmp_path: Path) -> None:
    real = SealedKeyProvider.generate(tmp_path / "private.json", tmp_path / "public.json")
    forger = SealedKeyProvider(real._public.public_bytes_raw(), bytes(32))
    assert forger.uri == real.uri
    with pytest.raises(SecretTampered):
        real.unwrap(forger.wrap(KEY, CONTEXT), CONTEXT)
    with pytest.raises(EnvelopeUnsupported):
        real.unwrap(b"WS\x01\x01\x00" + bytes(200), CONTEXT)


def test_half_files_are_checked(tmp_path: Path) -> None:
    import json

    SealedKeyProvider.generate(tmp_path / "private.json", tmp_path / "public.json")
    with pytest.raises(ConfigurationError):
        SealedKeyProvider.generate(tmp_path / "private.json", tmp_path / "other.json")
    good = json.loads((tmp_path / "private.json").read_text())
    changes: tuple[dict[str, Any], ...] = (
        *({"id": "k_0011223344556677"}, {"key": "x"}, {"key": 7}, {"sender": b64encode(bytes(31)).decode()}),
        *({"format": "wellstreak-trust/hpke-public/v1"}, {"extra": 1}),
    )
    for number, change in enumerate(changes):
        path = tmp_path / f"{number}.json"
        path.touch(0o600)
        path.write_text(json.dumps({**good, **change}))
        with pytest.raises(ConfigurationError) as caught:
            SealedKeyProvider.from_file(path)
        assert good["key"] not in str(caught.value)
    with pytest.raises(ConfigurationError):
        SealedKeyProvider(bytes(32), bytes(31))
    with pytest.raises(ConfigurationError):
        SealedKeyProvider(bytes(32), bytes(32), bytes(range(32)))


# --- passphrase ------------------------------------------------------------------------------------------------------


@pytest.mark.asvs("11.4.4")
def test_a_passphrase_opens_its_file(tmp_path: Path) -> None:
    path = tmp_path / "kek.json"
    made = PassphraseKeyProvider.generate(path, PASSPHRASE, **QUICK)
    assert path.stat().st_mode & 0o777 == 0o600
    blob = made.wrap(KEY, CONTEXT)
    assert PassphraseKeyProvider.from_file(path, PASSPHRASE).unwrap(blob, CONTEXT) == KEY
    for wrong in (PASSPHRASE + " ", "x" * 12, "short", ""):
        with pytest.raises(ConfigurationError):
            PassphraseKeyProvider.from_file(path, wrong)
    changed = PassphraseKeyProvider.change(path, PASSPHRASE, (tmp_path / "new.json", "another long passphrase"))
    assert changed.uri == made.uri
    assert (
        PassphraseKeyProvider.from_file(tmp_path / "new.json", "another long passphrase").unwrap(blob, CONTEXT) == KEY
    )
    with pytest.raises(ConfigurationError):
        PassphraseKeyProvider.from_file(tmp_path / "new.json", PASSPHRASE)
    with pytest.raises(ConfigurationError):
        PassphraseKeyProvider.generate(tmp_path / "short.json", "short")
    assert not (tmp_path / "short.json").exists()


def test_a_passphrase_that_cannot_be_used_is_told_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def frames(error: BaseException | None) -> str:
        shown = ""
        while error is not None:
            shown += repr(vars(error)) + repr(getattr(error, "object", ""))
            shown += "".join(repr(frame.f_locals) for frame, _ in traceback.walk_tb(error.__traceback__) if _own(frame))
            error = error.__cause__ or error.__context__
        return shown

    def starved(*arguments: Any) -> bytes:
        raise argon2.exceptions.HashingError("Memory allocation error")

    with pytest.raises(ConfigurationError) as caught:
        PassphraseKeyProvider.generate(tmp_path / "a.json", PASSPHRASE + "\udcff", **QUICK)
    assert "horse" not in frames(caught.value)
    monkeypatch.setattr(argon2.low_level, "hash_secret_raw", starved)  # two gibibytes on a small machine
    with pytest.raises(ConfigurationError) as caught:
        PassphraseKeyProvider.generate(tmp_path / "a.json", PASSPHRASE, **QUICK)
    assert "horse" not in frames(caught.value)
    assert not (tmp_path / "a.json").exists()


def _own(frame: Any) -> bool:
    return "/wellstreak_trust/" in str(frame.f_code.co_filename)


@pytest.mark.asvs("11.4.4")
def test_an_edited_file_neither_eats_the_machine_nor_opens(tmp_path: Path) -> None:
    import json

    path = tmp_path / "kek.json"
    PassphraseKeyProvider.generate(path, PASSPHRASE, **QUICK)
    good = json.loads(path.read_text())
    changes: tuple[dict[str, Any], ...] = (
        *({"memory_kib": 2**40}, {"memory_kib": 8}, {"time_cost": 10**9}, {"lanes": 0}, {"lanes": True}),
        *({"time_cost": "1"}, {"salt": ""}, {"salt": 7}, {"time_cost": 2}, {"id": "k_0011223344556677"}),
        *({"key": good["key"][:-1]}, {"key": 7}, {"extra": 1}),
    )
    for change in changes:
        path.write_text(json.dumps({**good, **change}))
        with pytest.raises(ConfigurationError):
            PassphraseKeyProvider.from_file(path, PASSPHRASE)
