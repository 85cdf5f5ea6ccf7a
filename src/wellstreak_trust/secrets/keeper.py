"""The half of `SecretStore` that an operator calls: long work over all rows, imports, shredding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ..core.clock import Clock, SystemClock
from ..core.errors import UsageError
from ..core.event import EventSink
from ..core.sansio import suspends, synced
from . import upkeep
from .cache import CachePolicy
from .doctor import DoctorReport, examine
from .keyring import KeyChain
from .legacy import Importer, fernet_of
from .reports import ImportReport, ReencryptReport, RewrapReport, ShredReceipt, VerifyReport
from .rows import SecretBackend
from .trail import PLATFORM, Trail
from .upkeep import Moved, Progress, Reencryption
from .vault import Vault

__all__ = ["Keeper"]

_TOLD_AT_ONCE: Final = 200  # what of a batch fits one audit event


class Keeper:
    """Base of `SecretStore`: the long work. All of it can be interrupted and called again."""

    def __init__(
        self,
        store: SecretBackend,
        keys: KeyChain,
        *,
        audit: EventSink | None = None,
        clock: Clock | None = None,
        cache: CachePolicy | None = None,
    ) -> None:
        self._clock: Clock = clock or SystemClock()
        self._vault: Vault = Vault(store, keys, cache or CachePolicy(), self._clock)
        self._trail: Trail = Trail(audit, self._clock)
        self.suspends: bool = suspends(store, audit)

    @property
    def recorded(self) -> bool:
        """Whether reads and changes are recorded."""
        return self._trail.sink is not None

    async def arewrap(
        self, *, progress: Progress | None = None, batch: int = 500, dry_run: bool = False
    ) -> RewrapReport:
        """Wraps every tenant key that is not under the active KEK anew; no secret is opened.

        Interrupted, it goes on where it stopped when called again. Rows that do not verify, or whose KEK is not in the
        chain, are left and reported.

        Args:
            progress: called after each batch with the number of keys done.
            dry_run: unwrap, check and count, and write nothing.
        """
        _admit_batch(batch)
        if dry_run:
            return await upkeep.rewrap(self._vault, batch, progress, dry_run=True)
        async with self._trail.around("secrets.rewrapped", PLATFORM, None) as outcome:
            report = await upkeep.rewrap(self._vault, batch, progress, dry_run=False)
            outcome.update(rewrapped=report.rewrapped, failed=len(report.failed))
        return report

    rewrap: Final = synced(arewrap)

    async def areencrypt(
        self,
        tenant_id: str,
        *,
        progress: Progress | None = None,
        batch: int = 500,
        dry_run: bool = False,
        retire: bool = False,
    ) -> ReencryptReport:
        """Gives a tenant a new key and seals all its secrets under it, versions and metadata as they are.

        Interrupted, the next call goes on with the same key. What does not verify is left and reported.

        Args:
            progress: called after each batch with the number of secrets moved.
            dry_run: verify and count, and write nothing.
            retire: destroy the older keys once nothing is under them: an old row that comes back does not open then.

        Raises:
            SecretShredded: the tenant's keys were destroyed.
        """
        _admit_batch(batch)
        run = Reencryption(self._vault, tenant_id, batch)
        if dry_run:
            await run.begin(dry_run=True)
            await run.rehearse()
            return run.report(dry_run=True)
        async with self._trail.around("secrets.key_turned", tenant_id, None) as outcome:
            await run.begin(dry_run=False)
            outcome.update(key_version=run.key_version, turned=run.turned)
        async for moved in run.batches():
            await self._tell(tenant_id, run.key_version, moved)
            if progress is not None:
                progress(run.secrets)
        return run.report(await run.retire() if retire else ())

    reencrypt: Final = synced(areencrypt)

    async def averify(self, tenant_id: str | None = None, *, progress: Progress | None = None) -> VerifyReport:
        """Opens every key and every version, of one tenant or of all, and tells what does not verify.

        Args:
            progress: called with the number of secrets seen.
        """
        async with self._trail.around("secrets.verified", tenant_id or PLATFORM, None) as outcome:
            report = await upkeep.verify(self._vault, tenant_id, progress)
            outcome.update(secrets=report.secrets, faults=len(report.faults))
        return report

    verify: Final = synced(averify)

    async def adoctor(self, events: Iterable[Mapping[str, Any]]) -> DoctorReport:
        """Whether what is stored is as new as the audit trail says: finds a rollback that no process was there to see.

        Args:
            events: all leaves of the trail, parsed, in their order; read before this is called. Only those of secrets
                are looked at.
        """
        return await examine(self._vault.backend, events)

    doctor: Final = synced(adoctor)

    async def aimport_fernet(
        self,
        tenant_id: str,
        tokens: Mapping[str, str | bytes] | Iterable[tuple[str, str | bytes]],
        keys: Iterable[str | bytes],
        *,
        labels: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        dry_run: bool = False,
    ) -> ImportReport:
        """Takes over what was encrypted with Fernet; a name that exists already is left alone, so it can be repeated.

        Args:
            tokens: name and Fernet token of each secret. keys: the Fernet keys they may be under, newest first.
            progress: called after each token with the number seen.
            dry_run: decrypt and look, and write nothing.

        Raises:
            UsageError: a Fernet key that is none.
        """
        fernet = fernet_of(keys)
        del keys
        importer = Importer(fernet, dry_run=dry_run)
        pairs = tokens.items() if isinstance(tokens, Mapping) else tokens
        for seen, (name, token) in enumerate(pairs, 1):
            new = await importer.admit(self._vault, tenant_id, name, token)
            if new is not None and not dry_run:
                async with self._trail.around("secret.written", tenant_id, name) as outcome:
                    outcome.update(await importer.write(self._vault, (tenant_id, name), new, labels))
            if progress is not None:
                progress(seen)
        return importer.report()

    import_fernet: Final = synced(aimport_fernet)

    async def ashred(self, tenant_id: str, *, confirm: str) -> ShredReceipt:
        """Destroys a tenant's keys: nothing of it can be opened again, and it takes no new secrets.

        Backups of the database hold the wrapped keys until they age out: shredding is complete when they have, and the
        receipt says so.

        Args:
            confirm: the tenant id once more; raises `UsageError` for another.
        """
        if confirm != tenant_id:
            raise UsageError("shredding is not confirmed", hint="shred(tenant_id, confirm=tenant_id)")
        async with self._trail.around("secret.shredded", tenant_id, None) as outcome:
            store, keys, secrets, uris = await upkeep.shred(self._vault, tenant_id)
            outcome.update(keys=len(keys), secrets=secrets)
        return ShredReceipt(store, tenant_id, keys, secrets, self._clock.now(), uris)

    shred: Final = synced(ashred)

    async def _tell(self, tenant_id: str, key_version: int, moved: list[Moved]) -> None:
        """Records new revisions and digests, or the trail would take the run for a forgery."""
        for start in range(0, len(moved), _TOLD_AT_ONCE):
            told = [list(each) for each in moved[start : start + _TOLD_AT_ONCE]]
            await self._trail.record("secrets.reencrypted", tenant_id, None, key_version=key_version, moved=told)


def _admit_batch(batch: object) -> None:
    if type(batch) is not int or batch < 1:
        raise UsageError("a batch has at least one row")
