"""Snapshots that can't be restored here: one message each, before anything runs, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from southbridge import SouthbridgeError, discovery
from southbridge.plain_data import from_json, to_json
from southbridge.snapshot import NotASnapshot, read_info, restore
from southbridge.snapshot.contents import version_order
from southbridge.snapshot.records import DISK, HEADER, MEMORY, STATE, Reader, Record, Writer

from tests.core.snapshot.conftest import ENTRY_POINTS, PARTS, Start

MakeDistribution = Callable[..., Path]


@pytest.fixture
def snapshot(description: Path, start: Start, tmp_path: Path) -> Path:
    """A snapshot of a machine that has ended."""
    running = start(description)
    reader = running.device("reader")
    with running.machine.lock:
        reader.queue.write(0, b"changed", reader.done)
    running.save(tmp_path / "file")
    running.end()
    return tmp_path / "file"


def refused(path: Path, message: str, **options: Any) -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(SouthbridgeError) as error:
        restore(path, **options)
    assert str(error.value).startswith(f"{path}: ")
    assert re.search(message, str(error.value)), str(error.value)
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert sys.modules["kit"].OPENED == []


def rewrite(path: Path, change: Callable[[Record], Record | None]) -> None:
    """The snapshot with its records changed, and whole again: what a hostile author would write."""
    with Reader(path) as reader:
        records = list(reader.records())
    with path.open("wb") as file:
        writer = Writer(file.write)
        for record in records:
            changed = change(record)
            if changed is not None:
                writer.add(changed.kind, changed.data, changed.number, changed.offset)
        writer.end()


def with_header(path: Path, change: Callable[[Any], Any]) -> None:
    def changed(record: Record) -> Record:
        if record.kind != HEADER:
            return record
        header = json.loads(record.data)
        return record._replace(data=json.dumps(change(header) or header).encode())

    rewrite(path, changed)


def with_state(path: Path, change: Callable[[Any], Any]) -> None:
    def changed(record: Record) -> Record:
        if record.kind != STATE:
            return record
        state = from_json(record.data)
        return record._replace(data=to_json(change(state) or state))

    rewrite(path, changed)


# --- plugins -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [
        ("parts-too", "2.0", "needs 'notes' of parts 2.1; here it is of parts-too 2.0"),
        ("parts", "2.0.9", "needs 'notes' of parts 2.1 or newer; installed is 2.0.9"),
        ("parts", "2.1rc1", "needs 'notes' of parts 2.1 or newer; installed is 2.1rc1"),
        ("parts", "2.1", ""),
        ("parts", "2.10", ""),
        ("parts", "3", ""),
    ],
)
def test_plugins_of_other_versions(
    snapshot: Path,
    parts: Path,
    distribution: MakeDistribution,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    version: str,
    message: str,
) -> None:
    parts.rename(tmp_path / "gone")
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(parts)])
    distribution(name, version, ENTRY_POINTS, parts=PARTS)
    discovery._scan.cache_clear()  # the folders' names are the same again
    if message:
        refused(snapshot, f"can't be restored: {message}")
    else:
        restore(snapshot).close()


def test_a_missing_plugin(snapshot: Path, parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(parts)])
    refused(snapshot, "can't be restored: needs 'notes' of parts 2.1: there is no device 'notes'")


def test_versions_are_ordered() -> None:
    ordered = ["1.0.dev1", "1.0a1", "1.0b2", "1.0rc1", "1.0", "1.0.post1", "1.0.1", "1.2", "1.10", "2", "1!0.1"]
    assert sorted(ordered, key=version_order) == ordered
    assert version_order("1.0") == version_order("1") == version_order("v1.0.0")
    version_order("nonsense")


# --- what the machine is made of ---------------------------------------------------------------------------------


def test_an_image_that_was_changed(snapshot: Path, tmp_path: Path) -> None:
    with (tmp_path / "disk.img").open("r+b") as image:
        image.write(b"x")
    refused(snapshot, r"disk: .*/disk\.img was changed since, or isn't the image that it was$")


def test_an_image_of_another_size(snapshot: Path, tmp_path: Path) -> None:
    times = (tmp_path / "disk.img").stat()
    with (tmp_path / "disk.img").open("ab") as image:
        image.write(bytes(512))
    os.utime(tmp_path / "disk.img", ns=(times.st_atime_ns, times.st_mtime_ns))
    refused(snapshot, r"disk: .*/disk\.img was changed since")


def test_an_image_written_in_place(description: Path, start: Start, tmp_path: Path) -> None:
    """Without an overlay the disk isn't in the snapshot: it must be as it was."""
    description.write_text(description.read_text().replace(", overlay: true", ""))
    running = start(description)
    running.run("stop")
    running.save(tmp_path / "file")
    running.end()
    restore(tmp_path / "file").close()
    running = start(description)
    reader = running.device("reader")
    with running.machine.lock:
        reader.queue.write(0, b"later", reader.done)
    reader.queue.drain()
    running.end()
    refused(tmp_path / "file", r"disk\.img was changed since")


def test_a_missing_image(snapshot: Path, tmp_path: Path) -> None:
    (tmp_path / "disk.img").unlink()
    refused(snapshot, r"blockdevs\.disk: .*/disk\.img: cannot open the image: No such file or directory$")


def test_changes_without_an_overlay_to_hold_them(snapshot: Path) -> None:
    refused(
        snapshot,
        "the snapshot has what the guest wrote, which needs overlay: true",
        settings=["blockdevs.disk.overlay=false"],
    )


def test_an_accelerator_that_isnt_there(snapshot: Path) -> None:
    with pytest.raises(SouthbridgeError, match="--accelerator: accelerator: there is no accelerator 'stil'"):
        restore(snapshot, accelerator="stil")
    with pytest.raises(SouthbridgeError, match="absent: the machine room is locked"):
        restore(snapshot, accelerator="absent")


def test_features_that_the_accelerator_lacks(snapshot: Path) -> None:
    with_header(snapshot, lambda header: header["cpu"]["features"].append("quantum"))
    refused(snapshot, "its CPU has features that still lacks here: quantum")


# --- hostile authors ---------------------------------------------------------------------------------------------


def mangle(key: str, value: Any) -> Callable[[Any], None]:
    def change(header: Any) -> None:
        *path, last = key.split(".")
        for step in path:
            header = header[int(step) if step.isdigit() else step]
        header[int(last) if last.isdigit() else last] = value

    return change


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("name", 5, "its header isn't a snapshot's"),
        ("more", 5, "its header isn't a snapshot's"),
        ("memory.0.size", 1, "its header isn't a snapshot's"),
        ("memory.0.size", 1 << 60, "the machine has other memory now than when it was saved: ram"),
        ("memory.0.name", "other", "other memory .*: other, ram"),
        ("memory", [], "other memory"),
        ("disks.0.id", "other", r"no blockdevs\.other any more"),
        ("disks.0.overlay", False, "damaged: a disk outside the machine's"),
        ("description", {}, "other memory"),
        ("description.memory", "1E", "memory: expected"),
        ("description.devices.notes.type", "/bin/sh", "there is no device '/bin/sh'"),
        ("description.devices.notes", None, "nothing to remove"),
        ("cpu.count", 2, "it has 2 CPUs, but describes 1"),
    ],
)
def test_hostile_headers(snapshot: Path, key: str, value: Any, message: str) -> None:
    with_header(snapshot, mangle(key, value))
    refused(snapshot, message)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("clock", -1, "the saved state: clock: "),
        ("clock", "1", "the saved state: clock: "),
        ("more", 1, "the saved state: more: "),
        ("cpus", [], "the saved state has 0 of its 1 CPUs"),
        ("plugged_cpus", [], "the saved state has 1 of its 0 CPUs"),
        ("plugged_cpus.0.index", 255, "the saved state is of a machine with 256 CPUs; this one has 1"),
        ("plugged_cpus.0.index", -1, "the saved state: plugged_cpus.0.index"),
        ("cpus.0.rip", -1, "the saved state: not a CPU state: rip"),
        ("cpus.0", {}, ""),
        ("devices.other", {}, "with other devices: other"),
        ("devices.notes", 5, "saved state of notes: version None"),
        ("devices.notes.version", 2, "saved state of notes: version 2; Notes takes 1"),
        ("devices.notes.state.number", 1001, r"saved state of notes: state\.number"),
        ("devices.notes.timers", {"expire": {"deadline": -1, "arguments": {"what": 1}}}, "saved state of notes"),
        ("msrs", 1, "the saved state: msrs"),
        ("msrs", [{0: 0}], "saved model-specific registers"),
    ],
)
def test_hostile_states(snapshot: Path, key: str, value: Any, message: str) -> None:
    with_state(snapshot, mangle(key, value))
    if message:
        refused(snapshot, message)
    else:
        restore(snapshot).close()  # what isn't given is as after power-on


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 100_000, b"5", b"[]", b'{"$bytes": 5}', b"\xff"])
def test_what_is_no_state_at_all(snapshot: Path, data: bytes) -> None:
    rewrite(snapshot, lambda record: record._replace(data=data) if record.kind == STATE else record)
    refused(snapshot, "damaged|the saved state")


@pytest.mark.parametrize(
    "record",
    [
        Record(MEMORY, 3, 0, b"x"),
        Record(MEMORY, 2, 1 << 40, b"x"),
        Record(MEMORY, 0, (4 << 20) - 1, b"xx"),
        Record(DISK, 1, 0, b"x"),
        Record(DISK, 0, 256 * 1024, b"x"),
    ],
)
def test_contents_outside_the_machine(snapshot: Path, record: Record) -> None:
    with Reader(snapshot) as reader:
        before = list(reader.records())
    with snapshot.open("wb") as file:
        writer = Writer(file.write)
        for kept in [*before[:2], record]:
            writer.add(kept.kind, kept.data, kept.number, kept.offset)
        writer.end()
    refused(snapshot, "damaged: ")


def test_info_verifies(snapshot: Path) -> None:
    data = bytearray(snapshot.read_bytes())
    info = read_info(snapshot)
    assert info.size == len(data) and info.header.name == "saved"
    assert [
        (facts.name, facts.distribution, facts.version) for facts in info.header.plugins if facts.kind == "devices"
    ] == [
        ("notes", "parts", "2.1"),
        ("reader", "parts", "2.1"),
        ("video", "parts", "2.1"),
    ]
    data[-100] ^= 1
    snapshot.write_bytes(data)
    with pytest.raises(NotASnapshot, match="damaged"):
        read_info(snapshot)
