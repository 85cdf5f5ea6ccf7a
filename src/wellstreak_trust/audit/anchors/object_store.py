"""Checkpoints as objects under lock: S3 and what speaks like it, in a bucket with Object Lock.

An object in compliance mode can be deleted or replaced by nobody, its owner included, until its time has come. Each
state is an object of its own; its name counts downwards, so that the newest is the first of a listing.
"""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from typing import Any, Final, Literal

from ...core.clock import Clock, SystemClock
from ...core.errors import UsageError
from ..checkpoint import Checkpoint
from .base import Anchor

__all__ = ["ObjectLockAnchor"]

_CLOCK: Final = SystemClock()
_MOST: Final = 10**19
_NOTE_MAX: Final = 64 * 1024


class ObjectLockAnchor(Anchor):
    """Puts each note as a locked object.

    Args:
        client: of boto3 (``boto3.client("s3")``), or anything with `put_object`, `get_object` and `list_objects_v2`.
        bucket: made with Object Lock on; it cannot be switched on later by whom this defends against.
        prefix: of all object names.
        retain: for how long nobody may delete.
        mode: ``COMPLIANCE`` binds everybody; ``GOVERNANCE`` lets the privileged through.
    """

    def __init__(
        self,
        client: Any,
        bucket: str,
        *,
        prefix: str = "audit/",
        retain: timedelta = timedelta(days=400),
        mode: Literal["COMPLIANCE", "GOVERNANCE"] = "COMPLIANCE",
        clock: Clock = _CLOCK,
    ) -> None:
        super().__init__()
        if retain <= timedelta():
            raise UsageError("a lock that ends before it begins", hint="retain=timedelta(days=400)")
        self._client: Any = client
        self._bucket: str = bucket
        self._prefix: str = prefix
        self._retain: timedelta = retain
        self._mode: str = mode
        self._clock: Clock = clock

    async def alatest(self, origin: str, /) -> str | None:
        """The newest note of an origin in the bucket."""
        found = self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._folder(origin), MaxKeys=1)
        listed = found.get("Contents", [])
        if not listed:
            return None
        body = self._client.get_object(Bucket=self._bucket, Key=listed[0]["Key"])["Body"]
        try:
            note: str = body.read(_NOTE_MAX).decode()
        finally:
            body.close()
        return note

    async def _keep(self, found: Checkpoint, note: str) -> None:
        octets = note.encode()
        mark = sha256(octets).hexdigest()[:16]  # a state may come again with more signatures
        self._client.put_object(
            Bucket=self._bucket,
            Key=f"{self._folder(found.origin)}{_MOST - found.size:020d}-{found.size}-{mark}.checkpoint",
            Body=octets,
            ContentType="text/plain; charset=utf-8",
            ChecksumAlgorithm="SHA256",
            ObjectLockMode=self._mode,
            ObjectLockRetainUntilDate=self._clock.now() + self._retain,
        )

    def _folder(self, origin: str) -> str:
        return f"{self._prefix}{sha256(origin.encode()).hexdigest()[:32]}/"
