"""A file that appears whole or not at all: killed anywhere, out of room, or in company."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from southbridge import SouthbridgeError
from southbridge.snapshot import atomic
from southbridge.snapshot.atomic import PREFIX, SUFFIX, AtomicFile

KILLER = '''
"""Saves a machine's snapshot in child processes that kill themselves at the given moments.

A moment is a call of the operating system, counted, and how much of it is done: of a write, a part of its bytes.
"""

import os
import signal
import sys
from random import Random

from southbridge.snapshot import atomic, records

target, seed, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
CHANGING = ("open", "write", "fsync", "rename", "unlink", "close")


class Mortal:
    """The module os, with a life of `calls` calls that change something."""

    def __init__(self, calls, part):
        self.left, self.part = calls, part

    def __getattr__(self, name):
        function = getattr(os, name)
        if name not in CHANGING:
            return function

        def call(*arguments, **named):
            self.left -= 1
            if self.left < 0:
                if name == "write":
                    function(arguments[0], bytes(arguments[1])[: int(self.part * len(arguments[1]))])
                elif self.part > 0.5:
                    function(*arguments, **named)
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **named)

        return call


CHUNKS = [Random(number).randbytes(records.CHUNK - 4) for number in range(10)]


def contents(version):
    """A snapshot, of 2.5 MiB that don't compress."""
    stamp = version.to_bytes(4, "little")
    found = [records.Record(records.HEADER, 0, 0, stamp), records.Record(records.STATE, 0, 0, b"")]
    for number, chunk in enumerate(CHUNKS):
        found.append(records.Record(records.MEMORY, 0, number * records.CHUNK, stamp + chunk))
    return found


def save(version):
    with atomic.AtomicFile(target) as file:
        writer = records.Writer(file.write)
        for record in contents(version):
            writer.add(record.kind, record.data, record.number, record.offset)
        writer.end()
        file.commit()


def read():
    with records.Reader(target) as reader:
        reader.verify()
        return list(reader.records())


source = Random(seed)
save(0)
assert read() == contents(0)
calls = Mortal(1 << 60, 0)
atomic.os = calls
save(0)
atomic.os = os
total = (1 << 60) - calls.left
killed, last = 0, 0
for version in range(1, rounds + 1):
    moment = (source.randrange(total), source.random())
    child = os.fork()
    if not child:
        atomic.os = Mortal(*moment)
        save(version)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    killed += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    found = read()
    if found != contents(last):
        assert found == contents(version), (version, moment)
        last = version
leftovers = [name for name in os.listdir(os.path.dirname(target)) if name.endswith(atomic.SUFFIX)]
assert len(leftovers) <= 1, leftovers
save(rounds + 1)
assert os.listdir(os.path.dirname(target)) == [os.path.basename(target)]
print(killed, total)
'''


def test_killed_at_a_hundred_moments(tmp_path: Path) -> None:
    """Nothing bad is ever under the name, the earlier one is never harmed, and the next save tidies up."""
    script = tmp_path / "killer.py"
    script.write_text(KILLER)
    (tmp_path / "folder").mkdir()
    run = subprocess.run(
        [sys.executable, script, tmp_path / "folder" / "file", "1", "100"], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    killed, moments = map(int, run.stdout.split())
    assert killed == 100, "each of them died on the way"
    assert moments > 8


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("before")
    return path


def leftovers(path: Path) -> list[str]:
    return [name for name in os.listdir(path.parent) if name.startswith(PREFIX)]


def test_it_appears_at_the_end(path: Path) -> None:
    with AtomicFile(path) as file:
        file.write(b"af")
        file.write(b"ter")
        assert path.read_text() == "before"
        file.commit()
        assert path.read_text() == "after"
    assert path.read_text() == "after"
    assert path.stat().st_mode & 0o777 == 0o600, "memory is nobody else's business"
    assert leftovers(path) == []


def test_without_a_commit_nothing_happened(path: Path) -> None:
    with pytest.raises(LookupError), AtomicFile(path) as file:
        file.write(b"after")
        raise LookupError
    assert path.read_text() == "before" and leftovers(path) == []


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_a_medium_without_room(path: Path, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **named: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with AtomicFile(path) as file:
        file.write(b"x" * 3 * atomic.BUFFER if call != "write" else b"x")
        monkeypatch.setattr(os, call, full)
        with pytest.raises(SouthbridgeError, match=f"^{path}: can't be written: No space left on device$"):
            file.commit()
    assert path.read_text() == "before" and leftovers(path) == []


def test_short_writes_are_continued(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    data = Random(1).randbytes(5 * atomic.BUFFER // 2)
    monkeypatch.setattr(os, "write", lambda descriptor, view: write(descriptor, view[:4097]))
    with AtomicFile(path) as file:
        for at in range(0, len(data), 100_000):
            file.write(data[at : at + 100_000])
        file.commit()
    assert path.read_bytes() == data


def test_writers_at_work_leave_each_other_alone(path: Path) -> None:
    dead = path.with_name(f"{PREFIX}0123{SUFFIX}")
    dead.write_text("remains")
    with AtomicFile(path) as first, AtomicFile(path) as second, AtomicFile(path.with_name("other")) as third:
        assert not dead.exists()
        for number, file in enumerate((first, second, third)):
            file.write(b"%d" % number)
        second.commit()
        third.commit()
        first.commit()
    assert path.read_text() == "0" and path.with_name("other").read_text() == "2"
    assert leftovers(path) == []


def test_a_links_target_is_replaced(path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to("file")
    with AtomicFile(link) as file:
        file.write(b"after")
        file.commit()
    assert link.is_symlink() and path.read_text() == "after"


@pytest.mark.parametrize("name", ["", "missing/file", "file/file", "fifo", "\0"])
def test_impossible_places(path: Path, name: str) -> None:
    os.mkfifo(path.with_name("fifo"))
    with pytest.raises(SouthbridgeError, match="can't be written: "):
        AtomicFile(os.path.join(path.parent, name))
    assert leftovers(path) == []
