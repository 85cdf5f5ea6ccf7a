"""What verifying an export costs, against nothing but its hashes: two SHA-256 an entry.

Both sides read the same files in turns inside one process; medians of processor time are compared. `WT_BENCH_EVENTS`
sets the number of events (100,000 unless told otherwise).

    python bench/audit_verify.py
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import report

from wellstreak_trust.audit import AuditEvent, AuditLog, Ed25519Signer, MemoryAuditStore, TileStore, verify
from wellstreak_trust.audit.tiles import Tile, unbundle

COUNT = int(os.environ.get("WT_BENCH_EVENTS") or report.size(100_000, 5_000))
ROUNDS = report.rounds(5)
ACTOR = {"id": "user_12345", "kind": "user"}
DETAILS = {
    "targets": ({"type": "subscription", "id": "sub_1234567890"},),
    "source": {"ip": "203.0.113.7", "agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
    "request": {"id": "req_1234567890", "trace": "4bf92f3577b34da6a3ce929d0e0e4736"},
    "data": {"seats": 25},
}


class Unsynced(TileStore):
    """Writes without waiting for the disk: what is measured is reading."""

    def write(self, path: str, octets: bytes) -> None:
        file = self.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(octets)


def export(folder: Path) -> AuditLog:
    log = AuditLog(MemoryAuditStore(), Ed25519Signer.generate())
    for start in range(0, COUNT, 1000):
        log.emit_many(
            [
                AuditEvent("billing.plan_changed", "success", "tenant_7", ACTOR, **DETAILS)
                for _ in range(min(1000, COUNT - start))
            ]
        )
    log.export("tenant_7", Unsynced(folder))
    return log


def hashes_alone(folder: Path) -> None:
    """One hash for each entry and one for each node above, and nothing else."""
    for index in range(-(-COUNT // 256)):
        width = min(256, COUNT - index * 256)
        entries = unbundle((folder / Tile(None, index, width).path).read_bytes())
        row = [sha256(b"\x00" + entry).digest() for entry in entries]
        while len(row) > 1:
            row = [sha256(b"\x01" + left + right).digest() for left, right in zip(row[::2], row[1::2], strict=False)]


def seconds(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="wt-bench-") as folder:
        log = export(Path(folder))
        actions: dict[str, Callable[[], object]] = {
            "hashes alone": lambda: hashes_alone(Path(folder)),
            "verify, signed": lambda: verify(folder, keys=[log.vkey("tenant_7")]),
            "verify, every entry parsed": lambda: verify(folder, keys=[log.vkey("tenant_7")], thorough=True),
            "verify a store": lambda: verify(log.store, tenant_id="tenant_7"),
        }
        found: dict[str, list[float]] = {name: [] for name in actions}
        for _ in range(ROUNDS):
            for name, action in actions.items():
                found[name].append(seconds(action))
        base = statistics.median(found["hashes alone"])
        for name, times in found.items():
            took = statistics.median(times)
            print(f"{name:28}{took:8.2f} s{took / COUNT * 1e6:8.2f} us an event{took / base:8.2f} of the hashes")
        signed = statistics.median(found["verify, signed"])
        report.measured("audit", "verify an export, an event", signed / COUNT * 1e6, "µs CPU", target=4)
        report.against("audit", "verify an export", signed / base, "its hashes alone")


if __name__ == "__main__":
    main()
