"""Snapshots of a real guest, taken at random moments and restored in new processes: the guest doesn't notice.

The CPU guest's checks run until the end, which it reports on its serial port; what both processes print, put together,
is what one prints that is left alone.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from southbridge.accelerator import Accelerator
from southbridge.builder import availability
from southbridge.control.client import find_machine
from southbridge.discovery import load

from tests.guests import expect
from tests.guests.build import disk_guest
from tests.guests.conversation import plain, talk
from tests.guests.southbridge import PROGRAM, describe, run_southbridge

LONG_ENOUGH_S = 120.0
SEEDS = range(6)
ACCELERATORS = ("unicorn", "kvm")
DISK_PASSES = 40


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


def need(*accelerators: str) -> None:
    """Skips the test if one of them can't be used here."""
    for accelerator in accelerators:
        cls = load("accelerators", accelerator)
        assert issubclass(cls, Accelerator)
        found = availability(cls)
        if not found.usable:
            pytest.skip(f"/dev/kvm: {found.reason}")


@contextlib.contextmanager
def started(*arguments: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """`southbridge` with these arguments, killed at the end if it lives."""
    with subprocess.Popen(
        [PROGRAM, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_at_least(stream: IO[bytes] | None, length: int) -> bytes:
    """What is there once `length` bytes are."""
    assert stream is not None
    data = b""
    while len(data) < length:
        piece = os.read(stream.fileno(), 65536)
        assert piece, f"the machine ended after {len(data)} bytes"
        data += piece
    return data


def rest_of(process: subprocess.Popen[bytes]) -> bytes:
    out, _ = process.communicate(timeout=LONG_ENOUGH_S)
    return out


@pytest.fixture(scope="module")
def undisturbed(cpu_guest: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What the guest prints if it is left alone."""
    result = run_southbridge(describe(tmp_path_factory.mktemp("undisturbed"), image=cpu_guest), timeout_s=LONG_ENOUGH_S)
    assert result.status == expect.CPU_EXIT_STATUS
    return result.output


def restored(snapshot: Path, accelerator: str) -> bytes:
    with started("snapshot", "restore", snapshot, "--accelerator", accelerator) as process:
        out, err = process.communicate(timeout=LONG_ENOUGH_S)
        assert process.returncode == expect.CPU_EXIT_STATUS, (out[-500:], err)
    return out


def save_at(moment: int, description: Path, source: str, snapshot: Path) -> bytes:
    """Runs a machine until it printed `moment` bytes, saves it, and ends it. Gives all that it printed."""
    with started("run", description, "--set", f"accelerator={source}", "--id", "guest") as process:
        before = read_at_least(process.stdout, moment)
        with find_machine("guest") as machine:
            machine.run("stop")
            machine.run("snapshot-save", path=str(snapshot))
            assert machine.run("query-status")["status"] == "paused"
            machine.run("quit")
        return before + rest_of(process)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_guest_goes_on(seed: int, cpu_guest: Path, tmp_path: Path, undisturbed: bytes) -> None:
    moment = random.Random(seed).randrange(len(undisturbed) * 4 // 5)
    print(f"seed {seed}: after {moment} bytes")
    snapshot = tmp_path / "snapshot"
    before = save_at(moment, describe(tmp_path, image=cpu_guest), "unicorn", snapshot)
    assert before + restored(snapshot, "unicorn") == undisturbed


@pytest.mark.parametrize("target", ACCELERATORS)
@pytest.mark.parametrize("source", ACCELERATORS)
@pytest.mark.parametrize("seed", range(2))
def test_a_guest_that_reads_its_disk_goes_on(seed: int, source: str, target: str, images: Path, tmp_path: Path) -> None:
    """On whichever accelerator; what it read before and after add up to the right CRC."""
    need(source, target)
    image, crc = disk_guest(images, sectors=64, passes=DISK_PASSES)
    moment = random.Random(f"{seed} {source} {target}").randrange(DISK_PASSES)
    print(f"seed {seed}: after {moment} passes")
    snapshot = tmp_path / "snapshot"
    before = save_at(moment, describe(tmp_path, image=image), source, snapshot)
    output = before + restored(snapshot, target)
    assert expect.disk_crc(output) == crc
    assert expect.parse_cpu_report(output) == dict.fromkeys(expect.DISK_CHECKS, "ok")


def test_a_guest_that_is_saved_while_it_runs_goes_on_twice(cpu_guest: Path, tmp_path: Path, undisturbed: bytes) -> None:
    moment = random.Random("running").randrange(len(undisturbed) // 2)
    snapshot = tmp_path / "snapshot"
    description = describe(tmp_path, image=cpu_guest)
    with started("run", description, "--set", "accelerator=unicorn", "--id", "guest") as process:
        whole = read_at_least(process.stdout, moment)
        with find_machine("guest") as machine:
            machine.run("snapshot-save", path=str(snapshot))
        whole += rest_of(process)
        assert process.returncode == expect.CPU_EXIT_STATUS
    assert whole == undisturbed
    again = restored(snapshot, "unicorn")
    assert undisturbed.endswith(again)
    assert again != undisturbed
    assert plain(again).endswith(expect.CPU_DONE)


NO_DISK = b"No bootable device."
NUMBERS = re.compile(rb"[0-9a-f]*[0-9][0-9a-f]*")


@pytest.fixture(scope="module")
def firmware_lines(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """What the firmware says if it is left alone, without its numbers, of which some are times."""
    description = firmware_alone(tmp_path_factory.mktemp("firmware"))
    return lines(run_southbridge(description, until=NO_DISK, timeout_s=LONG_ENOUGH_S).output)


def firmware_alone(folder: Path) -> Path:
    """A machine without disks, whose firmware's messages are its output."""
    description = describe(folder, more="debug: {type: debugcon, chardev: debug}")
    with description.open("a") as file:
        file.write("chardevs:\n  debug: {type: stdio}\n  serial0: {type: 'null'}\n")
    return description


def lines(output: bytes) -> list[bytes]:
    return NUMBERS.sub(b"0", plain(output).partition(NO_DISK)[0]).splitlines()


@pytest.mark.parametrize("target", ACCELERATORS)
@pytest.mark.parametrize("source", ACCELERATORS)
@pytest.mark.parametrize("seed", range(2))
def test_firmware_goes_on(source: str, target: str, seed: int, tmp_path: Path, firmware_lines: list[bytes]) -> None:
    need(source, target)
    moment = random.Random(f"firmware {seed} {source} {target}").randrange(1, sum(map(len, firmware_lines)))
    print(f"seed {seed}: after {moment} bytes")
    snapshot = tmp_path / "snapshot"
    with started("run", firmware_alone(tmp_path), "--set", f"accelerator={source}", "--id", "guest") as process:
        output = read_at_least(process.stdout, moment)
        with find_machine("guest") as machine:
            machine.run("stop")
            machine.run("snapshot-save", path=str(snapshot))
            machine.run("quit")
        output += rest_of(process)
    if NO_DISK not in output:
        command: list[str | Path] = [PROGRAM, "snapshot", "restore", snapshot, "--accelerator", target]
        output += talk(command, until=NO_DISK, timeout_s=LONG_ENOUGH_S).output
    assert lines(output) == firmware_lines
