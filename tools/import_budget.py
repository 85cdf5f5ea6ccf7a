"""``import wellstreak_trust`` costs at most 15 ms over a bare interpreter and loads nothing heavy."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

BUDGET_MS = 15.0
ROUNDS = 25
LOADED = "import sys; b = set(sys.modules); import wellstreak_trust; print(*set(sys.modules) - b)"
HEAVY = (
    "typing dataclasses asyncio pydantic structlog cryptography jwt argon2 limits sqlalchemy redis flask fastapi "
    "starlette django httpx opentelemetry prometheus_client"
).split()


def once(code: str) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - begun) * 1000


def main() -> int:
    loaded = subprocess.run(
        [sys.executable, "-c", LOADED],
        check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    heavy = sorted(name for name in loaded if name.partition(".")[0] in HEAVY)
    bare, ours = [], []
    for _ in range(ROUNDS):  # interleaved, so that a busy machine slows both
        bare.append(once("pass"))
        ours.append(once("import wellstreak_trust"))
    over = statistics.median(ours) - statistics.median(bare)
    print(f"import: bare {statistics.median(bare):.1f} ms, over it {over:.2f} ms of {BUDGET_MS:.0f}; heavy: {heavy}")
    return 1 if heavy or over > BUDGET_MS else 0


if __name__ == "__main__":
    sys.exit(main())
