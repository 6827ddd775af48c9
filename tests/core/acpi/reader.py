"""AML's encodings read back, written from the specification and not from what writes them; and Debian's iasl."""

from __future__ import annotations

import subprocess
from pathlib import Path

INTEGERS = {0x0A: 1, 0x0B: 2, 0x0C: 4, 0x0E: 8}


def read_package_length(data: bytes) -> tuple[int, int]:
    """The length that is said, and how many bytes say it."""
    following = data[0] >> 6
    if not following:
        return data[0] & 0x3F, 1
    assert not data[0] & 0x30, "reserved bits"
    return data[0] & 0x0F | int.from_bytes(data[1 : 1 + following], "little") << 4, 1 + following


def read_integer(data: bytes) -> int:
    if data[0] in (0, 1):
        assert len(data) == 1
        return data[0]
    assert len(data) == 1 + INTEGERS[data[0]]
    return int.from_bytes(data[1:], "little")


def read_path(data: bytes) -> str:
    """As ASL has it, segments with their trailing underlines taken away."""
    at = 0
    while data[at : at + 1] in (b"\\", b"^"):
        at += 1
    prefix, rest = data[:at].decode(), data[at:]
    if rest == b"\0":
        return prefix
    count = 1
    if rest[0] == 0x2E:
        count, rest = 2, rest[1:]
    elif rest[0] == 0x2F:
        count, rest = rest[1], rest[2:]
        assert count > 2
    assert len(rest) == 4 * count
    return prefix + ".".join(rest[4 * i : 4 * i + 4].decode().rstrip("_") for i in range(count))


def disassembled(folder: Path, name: str, data: bytes) -> str:
    """What `iasl -d` makes of a table; its checksum may be missing."""
    if data[9] == 0:
        data = data[:9] + bytes([-sum(data) & 0xFF]) + data[10:]
    (folder / f"{name}.dat").write_bytes(data)
    result = _iasl(folder, "-d", f"{name}.dat")
    assert result.returncode == 0, result.stdout + result.stderr
    complaints = [line for line in (result.stdout + result.stderr).splitlines() if "rror" in line or "arning" in line]
    assert not complaints, complaints
    return (folder / f"{name}.dsl").read_text()


def recompiled(folder: Path, name: str, data: bytes) -> tuple[str, str]:
    """A table's source, and what iasl says when it compiles that again."""
    source = disassembled(folder, name, data)
    result = _iasl(folder, "-ve", "-p", f"{name}-again", f"{name}.dsl")
    assert result.returncode == 0, result.stdout + result.stderr
    return source, _iasl(folder, "-p", f"{name}-again", f"{name}.dsl").stdout


def _iasl(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["iasl", *arguments], cwd=folder, capture_output=True, text=True, check=False)
