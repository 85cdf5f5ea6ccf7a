#!/usr/bin/env python3
# fmt: off
"""Verifies an exported audit trail with Python 3.9 or later and nothing else: no package, no network.

    python3 verify_trail.py EXPORT --key KEY [--key WITNESS] [--pinned OLD_CHECKPOINT] [--minimum-index N]
    python3 verify_trail.py FILE.tlog-proof --entry ENTRY_FILE --key KEY [--key WITNESS]

Get the keys over another way than the data. Formats: signed-note, tlog-checkpoint, tlog-cosignature, tlog-tiles and
tlog-proof of c2sp.org; RFC 6962; RFC 8032. It ends with 0: verified; 1: tampered; 2: cannot verify; 3: nothing wrong
was found, but no key was given, so whoever holds the data may have written it all anew.
"""
import argparse
import base64
import hashlib
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)

def need(sound: Any, what: str) -> None:
    if not sound:
        raise ValueError(what)
def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()

# Ed25519 (RFC 8032, 5.1.7): verification holds no secret, so plain integers will do.
def add(p: Any, q: Any) -> Any:
    t = D * p[0] * q[0] * p[1] * q[1]
    return (p[0] * q[1] + p[1] * q[0]) * pow(1 + t, -1, P) % P, (p[1] * q[1] + p[0] * q[0]) * pow(1 - t, -1, P) % P
def times(n: int, p: Any) -> Any:
    q: Any = (0, 1)
    for bit in range(256):
        q, p = add(q, p) if n >> bit & 1 else q, add(p, p)
    return q

def point(octets: bytes) -> Any:
    sign, y = octets[31] >> 7, int.from_bytes(octets, "little") & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if (x * x - square) % P == 0 else x * pow(2, (P - 1) // 4, P) % P
    need(y < P and (x * x - square) % P == 0 and (x or not sign), "a key that is no point of the curve")
    return (x if x & 1 == sign else P - x), y
def ed25519(public: bytes, message: bytes, signature: bytes) -> bool:
    s, (x, y) = int.from_bytes(signature[32:], "little"), point(public)
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    x, y = add(times(s % L, point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))), times(k, (P - x, y)))
    return len(signature) == 64 and s < L and (y | (x & 1) << 255).to_bytes(32, "little") == signature[:32]

def b64(text: str) -> bytes:
    need(base64.b64encode(base64.b64decode(text)).decode() == text, "not base64 in its only spelling")
    return base64.b64decode(text)
def key_of(text: str) -> Any:
    name, mark, octets = (*text.split("+", 2)[:2], b64(text.split("+", 2)[-1]))
    need(len(octets) == 33 and octets[0] in (1, 4) and sha(name.encode(), b"\n", octets)[:4].hex() == mark, "no key")
    return name, octets[0], octets[1:], bytes.fromhex(mark)

def checkpoint(note: str, keys: Any, told: list[str]) -> Any:
    """Origin, size and root. Lines of unknown keys are passed over; one of a known key must verify."""
    text, _, block = note.rpartition("\n\n")
    lines, logs, plain = text.split("\n"), 0, not any(c < " " and c != "\n" for c in note)
    number = len(lines) == 3 and lines[0] and re.fullmatch("0|[1-9][0-9]{0,18}", lines[1], re.ASCII)
    need(plain and number and block.endswith("\n"), "the checkpoint is missing or malformed")
    for line in block[:-1].split("\n"):
        dash, name, packed = [*line.split(" "), "", ""][:3]
        octets = b64(packed)
        need(dash == "\u2014" and name and line.count(" ") == 2 and len(octets) > 4, "a malformed signature line")
        for known, kind, public, mark in keys:
            if (known, mark) == (name, octets[:4]):
                seconds = int.from_bytes(octets[4:12], "big")
                head, at = (f"cosignature/v1\ntime {seconds}\n", 12) if kind == 4 else ("", 4)
                need(ed25519(public, f"{head}{text}\n".encode(), octets[at:]), f"the signature of {name} is false")
                logs += kind == 1 and name == lines[0]
                told.append(f"signed by {name}" if kind == 1 else "witnessed by " + name +
                            time.strftime(" at %Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)))
    need(len(b64(lines[2])) == 32 and (logs or not keys), "the given keys have not signed this checkpoint")
    return lines[0], int(lines[1]), b64(lines[2])

def root_of(row: list[bytes]) -> bytes:
    while len(row) > 1:  # a node without a sibling is promoted, never paired with itself
        row = [sha(b"\1", *row[n : n + 2]) if n + 1 < len(row) else row[n] for n in range(0, len(row), 2)]
    return row[0] if row else sha()

def path(level: Any, index: int, width: int) -> str:
    groups = re.findall("...", str(index).zfill(-(-len(str(index)) // 3) * 3))
    name = "/".join(["x" + group for group in groups[:-1]] + groups[-1:])
    return f"tile/{level}/{name}" + ("" if width == 256 else f".p/{width}")
def read(file: Path) -> bytes:
    return file.read_bytes() if file.is_file() else b""

def bundle(octets: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(octets):
        end = at + 2 + int.from_bytes(octets[at : at + 2], "big")
        need(at + 2 <= end <= len(octets), "a bundle of entries is cut short")
        found.append(octets[at + 2 : end])
        at = end
    return found

def judge(entry: bytes, seq: int, before: Any) -> Any:
    try:
        found = json.loads(entry.decode())
        tenant, at = found["tenant_id"], found["recorded_at"]
        need(found["v"] == 1 and found["seq"] == seq and STAMP.fullmatch(at), "another place than it says")
    except (KeyError, TypeError, ValueError, RecursionError):
        raise ValueError(f"entry {seq} is no event, or stands at another place than it says") from None
    need(not before or before[0] == tenant, f"entry {seq} is of another tenant")
    need(not before or before[1] <= at, f"the time of entry {seq} is earlier than that of the one before")
    return tenant, at

def directory(top: Path, keys: Any, pinned: str, minimum: int, told: list[str]) -> str:
    origin, size, root = checkpoint(read(top / "checkpoint").decode(), keys, told)
    files, row = {"checkpoint": read(top / "checkpoint")}, []
    last, pruned, level = None, 0, 0
    for start in range(0, size, 256):
        width = min(256, size - start)
        name, hashes = path("entries", start // 256, width), read(top / path(0, start // 256, width))
        if pruned == start and start + width <= minimum and not (top / name).exists():
            found, pruned = [hashes[n : n + 32] for n in range(0, len(hashes), 32)], start + width
        else:
            texts = bundle(files.setdefault(name, read(top / name)))
            found = [sha(b"\0", text) for text in texts]
            for n, text in enumerate(texts):
                need(found[n] == hashes[n * 32 : n * 32 + 32], f"entry {start + n} was changed")
                last = judge(text, start + n, last)
        need(len(found) == width, f"entries are missing or added from {start + len(found)} on")
        row += found
    need(root_of(row) == root, "the entries do not give the root of the checkpoint")
    if pinned:
        before = checkpoint(pinned, keys, [])
        need(before[0] == origin and before[1] <= size, "the pinned checkpoint is of another or a longer tree")
        need(root_of(row[: before[1]]) == before[2], "the entries are not those that were pinned")
    while row:
        for n in range(0, len(row), 256):
            files[path(level, n // 256, len(row[n : n + 256]))] = b"".join(row[n : n + 256])
        row, level = [root_of(row[n : n + 256]) for n in range(0, len(row) - 255, 256)], level + 1
    for name, octets in files.items():
        need(read(top / name) == octets, f"{name} does not follow from the entries")
    for file in (file for file in top.rglob("*") if file.is_symlink() or not file.is_dir()):
        name = file.relative_to(top).as_posix()
        need(name in files or outgrown(name, read(file), files), f"the checkpoint does not cover {name}")
    return f"{size} entries of {origin}" + (f", the first {pruned} known by their hashes only" if pruned else "")

def outgrown(name: str, octets: bytes, files: dict[str, bytes]) -> bool:
    """Whether this is a partial tile from when the tree was smaller: the beginning of one that stands."""
    stem, _, width = name.partition(".p/")
    count = len(bundle(octets)) if name.startswith("tile/entries/") else len(octets) / 32
    whole = [full for other, full in files.items() if other.partition(".p/")[0] == stem]
    return bool(octets) and str(count).replace(".0", "") == width and whole[:1] != [] and whole[0].startswith(octets)

def proof(text: str, entry: bytes, keys: Any, told: list[str]) -> str:
    head, _, note = text.partition("\n\n")
    lines = [line for line in head.split("\n") if not line.startswith("extra ")]
    index = len(lines) > 1 and re.fullmatch("index (0|[1-9][0-9]{0,18})", lines[1], re.ASCII)
    need(lines[0] == "c2sp.org/tlog-proof@v1" and index, "not a proof of inclusion")
    origin, size, root = checkpoint(note, keys, told)
    here, last, node = int(lines[1][6:]), size - 1, sha(b"\0", entry)
    need(here <= last, "the proof is of a place behind the end of the tree")
    for sibling in map(b64, lines[2:]):
        need(len(sibling) == 32 and last > 0, "the proof is malformed")
        right = here & 1 or here == last
        node = sha(b"\1", sibling, node) if right else sha(b"\1", node, sibling)
        while right and here and not here & 1:
            here, last = here >> 1, last >> 1
        here, last = here >> 1, last >> 1
    need(last == 0 and node == root, "the entry is not what was recorded there")
    return f"entry {lines[1][6:]} of {size} in {origin}"

def main() -> int:
    usage = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usage.add_argument("what", type=Path, help="an export directory, or a .tlog-proof file")
    usage.add_argument("--key", action="append", default=[], type=key_of, help="of the log, or of a witness")
    usage.add_argument("--pinned", type=Path, help="file with a checkpoint that you kept from before")
    usage.add_argument("--minimum-index", type=int, default=0, help="entries below it were pruned on purpose")
    usage.add_argument("--entry", type=Path, help="file with the entry that the proof is about")
    given, told = usage.parse_args(), list[str]()
    try:
        given.what.stat()
        pinned, entry = (file.read_bytes() if file else b"" for file in (given.pinned, given.entry))
        found = proof(given.what.read_bytes().decode(), entry, given.key, told) if given.entry else \
            directory(given.what, given.key, pinned.decode(), given.minimum_index, told)
    except OSError as error:
        print(f"CANNOT VERIFY: {error}")
        return 2
    except ValueError as error:
        print(f"TAMPERED OR DAMAGED: {error}")
        return 1
    print(f"Nothing wrong was found: {found}", *(told or ["not checked: who signed it (--key)"]), sep="\n")
    if not pinned and not given.entry:
        print("not checked: that nothing was cut off or rewritten since (--pinned)")
    return 0 if told else 3

if __name__ == "__main__":
    sys.exit(main())
