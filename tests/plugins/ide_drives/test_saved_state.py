"""Drives saved and restored anywhere in a command, and states that no drive ever saved."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from southbridge.errors import SouthbridgeError
from southbridge.testing import Bench
from southbridge.testing.ide import IdeDriver, MemoryDisk

SECTOR = 512


def roundtrip(bench: Bench, drive: Any) -> None:
    """Saves, forgets, restores. What the image has still to answer is asked again."""
    saved = drive.save()
    drive.reset()
    bench.executor.run_all()
    drive.load(saved)
    assert drive.save() == saved


def issue(bench: Bench, host: IdeDriver, command: int, lba: int, count: int) -> None:
    """A command whose requests to the image wait."""
    for register, value in ((6, 0x40), (2, count), (3, lba), (4, 0), (5, 0), (7, command)):
        bench.machine.ports.write(host.base + register, 1, value)


@pytest.mark.parametrize("words", [0, 1, 255, 256, 257, 700])
def test_a_read_goes_on(bench: Bench, host: IdeDriver, disk: Any, contents: MemoryDisk, words: int) -> None:
    issue(bench, host, 0x20, 8, 4)
    roundtrip(bench, disk)
    data = host.read_block(2 * words)
    roundtrip(bench, disk)
    data += host.read_block(4 * SECTOR - 2 * words)
    assert data == contents.data[8 * SECTOR : 12 * SECTOR]
    assert host.status() == 0x50


@pytest.mark.parametrize("words", [0, 1, 255, 256, 700, 1023])
def test_a_write_goes_on(bench: Bench, host: IdeDriver, disk: Any, contents: MemoryDisk, words: int) -> None:
    data = bytes(range(256)) * 8
    issue(bench, host, 0x30, 8, 4)
    host.write_block(data[: 2 * words])
    roundtrip(bench, disk)
    for at in range(2 * words, len(data), 2):
        bench.machine.ports.write(0x1F0, 2, int.from_bytes(data[at : at + 2], "little"))
    roundtrip(bench, disk)
    assert host.wait() == 0x50
    assert contents.data[8 * SECTOR : 12 * SECTOR] == data


@pytest.mark.parametrize("command", [0xE7, 0x40])
def test_commands_without_data_go_on(bench: Bench, host: IdeDriver, disk: Any, command: int) -> None:
    issue(bench, host, command, 0, 4)
    roundtrip(bench, disk)
    assert host.wait() == 0x50
    assert bench.irq(14)


@pytest.mark.parametrize("raw", [False, True])
def test_a_packet_goes_on(bench: Bench, host: IdeDriver, cdrom: Any, contents: MemoryDisk, raw: bool) -> None:
    host.packet([0x00])
    packet = [0xBE, 0, 0, 0, 0, 3, 0, 0, 2, 0xF8 if raw else 0x10, 0, 0]
    host.issue(0xA0, lba=0xFFFE00)
    host.write_block(bytes(packet[:4]))
    roundtrip(bench, cdrom)
    for at in range(4, 12, 2):
        bench.machine.ports.write(0x1F0, 2, packet[at] | packet[at + 1] << 8)
    roundtrip(bench, cdrom)
    host.wait()
    data = host.read_block(100)
    roundtrip(bench, cdrom)
    data += host.read_block((2352 if raw else 2048) * 2 - 100)
    assert data[16 if raw else 0 :][:2048] == contents.data[3 * 2048 : 4 * 2048]
    assert host.status() == 0x50


def test_settings_and_sense_are_restored(bench: Bench, host: IdeDriver, cdrom: Any) -> None:
    host.packet([0x1E, 0, 0, 0, 1])
    host.packet([0x1E, 0, 0, 0, 1])
    host.packet([0xFF])
    roundtrip(bench, cdrom)
    assert cdrom.locked
    assert host.packet([0x03, 0, 0, 0, 18])[12] == 0x20


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("phase", "nonsense"),
        ("status", 0x100),
        ("sector_count", -1),
        ("block", 0),
        ("block", 1 << 30),
        ("limit", 0),
        ("left", 7),
        ("offset", -512),
        ("heads", 0),
        ("sectors", 0),
        ("multiple", 200),
        ("serial", "x"),
    ],
)
def test_hostile_state_is_refused(disk: Any, name: str, value: object) -> None:
    saved = disk.save()
    wrong = copy.deepcopy(saved)
    wrong["state"][name] = value
    with pytest.raises(SouthbridgeError):
        disk.load(wrong)
    assert disk.save() == saved


def test_a_buffer_without_bounds_is_refused(disk: Any) -> None:
    saved = disk.save()
    saved["parts"]["buffer"]["state"]["data"] = bytes((2 << 20) + 1)
    with pytest.raises(SouthbridgeError):
        disk.load(saved)


PHASES = ["idle", "fetch", "verify", "in", "dma-in", "out", "dma-out", "store", "flush"]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    phase=st.sampled_from(PHASES),
    numbers=st.fixed_dictionaries(
        {
            "status": st.integers(0, 255),
            "opcode": st.sampled_from([0x20, 0x24, 0x30, 0xA0, 0xC8, 0xEC]),
            "control": st.integers(0, 255),
            "block": st.integers(2, 1 << 20),
            "offset": st.integers(0, 1 << 40).map(lambda n: n * 512),
            "left": st.integers(0, 1 << 40).map(lambda n: n * 512),
            "limit": st.integers(512, 1 << 20),
            "by_dma": st.booleans(),
        }
    ),
    buffer=st.fixed_dictionaries(
        {"data": st.binary(max_size=2000), "position": st.integers(0, 3000), "block_end": st.integers(0, 3000)}
    ),
    empty=st.booleans(),
    kind=st.sampled_from(["disk", "cdrom"]),
)
def test_states_that_no_drive_ever_saved_do_no_harm(
    bench: Bench,
    host: IdeDriver,
    request: pytest.FixtureRequest,
    phase: str,
    numbers: dict[str, int],
    buffer: dict[str, Any],
    empty: bool,
    kind: str,
) -> None:
    """They pass validation, one value at a time, but don't belong together."""
    drive = request.getfixturevalue(kind)
    bench.machine.ports.write(0x1F6, 1, drive.number << 4)
    image = drive.drive
    if kind == "cdrom" and empty:
        drive.change_medium(None)
    state = drive.save()
    state["state"] |= numbers | {"phase": phase}
    state["parts"]["buffer"]["state"] |= buffer
    drive.load(state)
    bench.executor.run_all()
    for _ in range(3):
        for width in (2, 4):
            assert 0 <= bench.read_port(0x1F0, width) < 1 << 8 * width
            bench.write_port(0x1F0, 0x1234, width)
    host.write_table([(0x10000, 0x80000000)])
    host.start(to_memory=True)
    host.stop()
    host.reset()
    assert drive.status == drive.ready
    if kind == "cdrom":
        drive.change_medium(image)
