"""A core dump after a borrowed value was given back: no copy of it lies in memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from wellstreak_trust.secrets import KeyChain, LocalKeyProvider, SecretStore
from wellstreak_trust.storage.sql import Database, SqlSecretBackend

VALUE = "-".join(f"part{number}" for number in range(12))

# The value was never typed there: the needle is put together where it is looked for, and counted once for itself.
READER = """
import sys
from sqlalchemy import create_engine
from wellstreak_trust.secrets import KeyChain, LocalKeyProvider, SecretStore
from wellstreak_trust.storage.sql import Database, SqlSecretBackend

def copies():
    needle = "-".join(f"part{number}" for number in range(6)).encode()
    found = -1
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps:
            place, rights = line.split()[:2]
            if rights.startswith("rw"):
                start, end = (int(edge, 16) for edge in place.split("-"))
                try:
                    memory.seek(start)
                    found += memory.read(end - start).count(needle)
                except (OSError, ValueError, OverflowError):
                    continue
    return found

backend = SqlSecretBackend(Database(create_engine(f"sqlite:///{sys.argv[1]}/app.db")))
store = SecretStore(backend, KeyChain([LocalKeyProvider.from_file(f"{sys.argv[1]}/kek.json")]))
found = [copies()]
with store.use("t1", "a") as octets:
    found.append(copies())
found.append(copies())
print(found)
"""


@pytest.mark.asvs("11.7.2")
@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no /proc to look into memory with")
def test_a_borrowed_value_leaves_no_copy(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'app.db'}")
    database = Database(engine)
    database.create_all()
    kek = LocalKeyProvider.generate(tmp_path / "kek.json")
    SecretStore(SqlSecretBackend(database), KeyChain([kek])).put("t1", "a", VALUE)
    engine.dispose()
    done = subprocess.run(
        [sys.executable, "-c", READER, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[0, 1, 0]"
