"""`southbridge snapshot`: what is printed, and how it refuses."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.core.cli.test_machines import ENTRY_POINTS as OTHER_ENTRY_POINTS
from tests.core.cli.test_machines import OTHER

PATIENCE = 60
Southbridge = Callable[..., Any]

LATER = '''
from southbridge import Device, ShutdownReason, State, timer


class Later(Device):
    """Ends the machine an hour after its start, unless it is told that this was an hour ago."""

    def reset(self):
        super().reset()
        self.end.after(s=3600)

    @timer
    def end(self):
        self.machine.request_shutdown(ShutdownReason.GUEST_SHUTDOWN, 7)
'''

DESCRIPTION = """
accelerator: still
memory: 1M
devices: {later: {type: later}}
chardevs: {}
"""


@pytest.fixture
def plugins(kit: Path, distribution: Callable[..., Path]) -> tuple[Path, ...]:
    return (
        kit,
        distribution("later", "1.0", "[southbridge.devices]\nlater = later:Later\n", later=LATER),
        distribution("other", "1.0", OTHER_ENTRY_POINTS, other=OTHER),
    )


@pytest.fixture
def run(start: Southbridge, plugins: tuple[Path, ...], tmp_path: Path) -> Callable[..., subprocess.Popen[Any]]:
    """Starts a machine, or whatever else; returns once it can be spoken to."""
    (tmp_path / "box.yaml").write_text(DESCRIPTION)

    def run(*arguments: str) -> subprocess.Popen[Any]:
        process = start(*(arguments or ("run", str(tmp_path / "box.yaml"))), "--log", "info", path=plugins, text=True)
        lines = []
        for line in process.stderr:
            lines.append(line)
            if line.startswith("southbridge: machine id "):
                assert isinstance(process, subprocess.Popen)
                return process
        raise AssertionError("".join(lines))

    return run


@pytest.fixture
def saved(run: Any, southbridge: Southbridge, tmp_path: Path) -> str:
    """A snapshot's path."""
    process = run()
    path = str(tmp_path / "box.snapshot")
    result = southbridge("snapshot", "save", "box", path)
    assert (result.status, result.out, result.err) == (0, "", "")
    process.terminate()
    process.communicate(timeout=PATIENCE)
    return path


def test_info_for_people(saved: str, southbridge: Southbridge) -> None:
    result = southbridge("snapshot", "info", saved)
    assert (result.status, result.err) == (0, "")
    lines = [re.split("  +", line) for line in result.out.splitlines()]
    assert ["name", "box"] in lines and ["ran on", "still"] in lines and ["memory", "ram 1 MiB"] in lines
    assert ["needs later", "later 1.0"] in lines


def test_info_for_programs(saved: str, southbridge: Southbridge) -> None:
    result = southbridge("snapshot", "info", saved, "--json")
    facts = json.loads(result.out)
    assert (result.status, facts["file"], facts["size"]) == (0, saved, Path(saved).stat().st_size)
    assert facts["plugins"] == [{"kind": "devices", "name": "later", "distribution": "later", "version": "1.0"}]
    assert facts["description"]["devices"] == {"later": {"type": "later"}}


def test_a_restored_machine_has_an_id_and_goes_on(
    saved: str, run: Any, southbridge: Southbridge, tmp_path: Path
) -> None:
    process = run("snapshot", "restore", saved, "--accelerator", "calm", "--id", "again")
    (machine,) = json.loads(southbridge("machines", "--json").out)
    assert (machine["id"], machine["name"], machine["accelerator"]) == ("again", "box", "calm")
    assert southbridge("snapshot", "save", "again", str(tmp_path / "second")).status == 0
    process.terminate()
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert json.loads(southbridge("snapshot", "info", str(tmp_path / "second"), "--json").out)["accelerator"] == "calm"


def test_the_guests_exit_status_counts(saved: str, plugins: Any, start: Southbridge, tmp_path: Path) -> None:
    """A timer that was due long ago ends the machine as soon as it goes on."""
    from southbridge.plain_data import from_json, to_json
    from southbridge.snapshot.records import STATE, Reader, Writer

    with Reader(saved) as reader:
        records = list(reader.records())
    with Path(saved).open("wb") as file:
        writer = Writer(file.write)
        for record in records:
            if record.kind == STATE:
                state = from_json(record.data)
                state["clock"] = 3600 * 10**9
                record = record._replace(data=to_json(state))
            writer.add(record.kind, record.data, record.number, record.offset)
        writer.end()
    process = start("snapshot", "restore", saved, path=plugins)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 7


@pytest.mark.parametrize("verb", ["info", "restore"])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-1], "truncated"),
        (lambda data: data[:200] + bytes([data[200] ^ 4]) + data[201:], "damaged: its contents aren't what was saved"),
        (lambda data: b"#!/bin/sh\n" + data, "not a snapshot"),
        (lambda data: b"", "not a snapshot"),
        (lambda data: data[:8] + b"\7" + data[9:], "a snapshot of format 7; this Southbridge reads formats up to 1"),
        (lambda data: None, "can't be read: No such file or directory"),
    ],
)
def test_a_bad_file_is_refused(
    saved: str, southbridge: Southbridge, verb: str, damage: Callable[[bytes], bytes | None], message: str
) -> None:
    data = damage(Path(saved).read_bytes())
    Path(saved).unlink()
    if data is not None:
        Path(saved).write_bytes(data)
    result = southbridge("snapshot", verb, saved)
    assert (result.status, result.out, result.err) == (2, "", f"southbridge: {saved}: {message}\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--accelerator", "shy"], "accelerator: no accelerator can be used here: shy: it hides"),
        (["--set", "memory=2M"], "--set memory: only back ends can be changed"),
        (["--id", "a/b"], "'a/b' can't be a machine's id"),
    ],
)
def test_a_restore_that_cant_be(saved: str, southbridge: Southbridge, options: list[str], message: str) -> None:
    result = southbridge("snapshot", "restore", saved, *options)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert message in result.err


UNABLE = """
from kit import Still, StillVcpu


class UnableVcpu(StillVcpu):
    def load(self, state):
        if state.rip != 0xFFF0 or self.loaded:
            raise ValueError("rip: won't go there")
        self.loaded = True

    loaded = False


class Unable(Still):
    def create_vcpu(self, index): return UnableVcpu()
"""


def test_a_state_that_the_accelerator_cant_take(
    saved: str, southbridge: Southbridge, distribution: Callable[..., Path]
) -> None:
    """It shows only once there are CPUs: still before anything runs."""
    distribution("unable", "1.0", "[southbridge.accelerators]\nunable = unable:Unable\n", unable=UNABLE)
    result = southbridge("snapshot", "restore", saved, "--accelerator", "unable")
    assert (result.status, result.out) == (2, "")
    assert result.err.endswith("southbridge: the saved state of CPU 0: rip: won't go there\n")


def test_saving_where_nothing_can_be_written(run: Any, southbridge: Southbridge, tmp_path: Path) -> None:
    run()
    result = southbridge("snapshot", "save", "box", str(tmp_path / "missing" / "file"))
    message = f"southbridge: machine 'box': {tmp_path}/missing/file: can't be written: No such file or directory\n"
    assert (result.status, result.out, result.err) == (2, "", message)
    assert json.loads(southbridge("machines", "--json").out)[0]["status"] == "running"
