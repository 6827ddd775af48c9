"""`southbridge run`: exit statuses, signals, and the terminal."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 60

MORE = '''
from kit import Stopper
from southbridge import Device, Link, Property, ResetReason, ShutdownReason, timer


class Crier(Device):
    """Says when the machine runs, and what it is told."""

    chardev: object = Link("chardevs", doc="Where to.")

    def realize(self):
        self.chardev.attach(self)

    def reset(self):
        super().reset()
        self.chardev.write(b"ready\\n")

    def can_receive(self): return 1
    def receive(self, data): self.chardev.write(data)
    def chardev_event(self, opened): pass
    def chardev_writable(self): pass


class Faulty(Device):
    """Fails at each reset."""

    def reset(self):
        raise LookupError("lost")


class Rebooter(Device):
    """Resets the machine once, then ends it."""

    resets = 0

    def reset(self):
        super().reset()
        self.resets += 1
        if self.resets == 1:
            self.machine.request_reset(ResetReason.GUEST)
        else:
            self.machine.request_shutdown(ShutdownReason.GUEST_SHUTDOWN, 5)


class Grumbler(Stopper):
    """Has its complaints, and ends the machine."""

    def reset(self):
        self.guest_error("not like this")
        super().reset()


class Panicker(Device):
    """The guest gives up."""

    def reset(self):
        self.machine.request_shutdown(ShutdownReason.GUEST_PANIC)
'''
ENTRY_POINTS = """
[southbridge.devices]
crier = more:Crier
faulty = more:Faulty
grumbler = more:Grumbler
panicker = more:Panicker
rebooter = more:Rebooter
"""

Southbridge = Callable[..., Any]


@pytest.fixture
def plugins(kit: Path, distribution: Callable[..., Path]) -> tuple[Path, ...]:
    """The folders of the plugins that these machines use."""
    return (kit, distribution("more", "1.0", ENTRY_POINTS, more=MORE))


@pytest.fixture
def machine(plugins: tuple[Path, ...], tmp_path: Path) -> Callable[..., str]:
    """Writes a description of the given devices; gives its path."""

    def machine(*devices: str, chardev: str = "") -> str:
        lines = [f"  d{number}: {{type: {device}}}\n" for number, device in enumerate(devices)]
        chardevs = f"chardevs: {{c: {{type: {chardev}}}}}\n" if chardev else ""
        path = tmp_path / "m.yaml"
        path.write_text("accelerator: still\nmemory: 1M\n" + chardevs + "devices:\n" + "".join(lines))
        return str(path)

    return machine


@pytest.mark.parametrize(
    "device, options, status",
    [
        ("stopper", [], 0),
        ("stopper, status: 7", [], 7),
        ("stopper", ["--set", "devices.d0.status=9"], 9),
        ("rebooter", [], 5),
        ("rebooter", ["--no-reboot"], 0),
        ("panicker", [], 1),
    ],
)
def test_the_exit_status_is_how_the_machine_ended(
    southbridge: Southbridge, machine: Callable[..., str], device: str, options: list[str], status: int
) -> None:
    result = southbridge("run", machine(device), *options)
    assert (result.status, result.out) == (status, "")
    assert result.err == "southbridge: accelerator still: it needs nothing\n"


def test_a_device_that_fails_is_left_behind(southbridge: Southbridge, machine: Callable[..., str]) -> None:
    result = southbridge("run", machine("faulty", "stopper, status: 3"))
    assert result.status == 3
    assert "southbridge: d0 is broken" in result.err and "LookupError: lost" in result.err


def test_strict_ends_the_machine_instead(southbridge: Southbridge, machine: Callable[..., str]) -> None:
    result = southbridge("run", machine("faulty", "stopper, status: 3"), "--strict")
    assert result.status == 1
    assert result.err.endswith("southbridge: the machine failed: LookupError: lost\n")
    assert "Traceback" in result.err


def test_guest_errors_are_logged_on_demand(southbridge: Southbridge, machine: Callable[..., str]) -> None:
    line = "southbridge: d0: not like this\n"
    assert line not in southbridge("run", machine("grumbler")).err
    assert line in southbridge("run", machine("grumbler"), "--log", "guest_errors").err


def test_an_unknown_log_is_refused(southbridge: Southbridge, machine: Callable[..., str]) -> None:
    result = southbridge("run", machine("stopper"), "--log", "info,gest_errors")
    message = "southbridge: --log: there is nothing called 'gest_errors' to log; did you mean 'guest_errors'?\n"
    assert (result.status, result.out, result.err) == (2, "", message)


@pytest.mark.parametrize(
    "device, named",
    [
        ("collapsing", "(collapsing:Device, of rubble 0.9) can't be imported: OSError: no"),
        ("uart16550", "is offered by rubble 0.9 and southbridge "),
        ("nosy", "(nosy:Nosy, of rubble 0.9): plugin 'nosy' has a hook that doesn't fit: "),
    ],
)
def test_a_broken_plugin_is_named_and_other_machines_run(
    southbridge: Southbridge,
    machine: Callable[..., str],
    distribution: Callable[..., Path],
    device: str,
    named: str,
) -> None:
    nosy = (
        "from southbridge import Device, hookimpl\n"
        "class Nosy(Device):\n    @hookimpl\n    def machine_reset(self, x): pass\n"
    )
    entry_points = "[southbridge.devices]\ncollapsing = collapsing:Device\nnosy = nosy:Nosy\nuart16550 = nosy:Nosy\n"
    distribution("rubble", "0.9", entry_points, collapsing="raise OSError('no')", nosy=nosy)
    path = machine(device)
    result = southbridge("run", path)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"southbridge: {path}:4:14: devices.d0.type: device '{device}' {named}")
    assert southbridge("run", machine("stopper")).status == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_machine_in_order(
    start: Southbridge, machine: Callable[..., str], plugins: tuple[Path, ...], number: signal.Signals
) -> None:
    process = start("run", machine("crier, chardev: c", chardev="stdio"), path=plugins)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (0, b"")
    assert err == b"southbridge: accelerator still: it needs nothing\n"


def test_an_ignored_signal_stays_ignored(
    start: Southbridge, machine: Callable[..., str], plugins: tuple[Path, ...]
) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    description = machine("crier, chardev: c", chardev="stdio")
    process = start("run", description, path=plugins, stdin=subprocess.PIPE, preexec_fn=ignore)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGHUP)
    process.stdin.write(b"x")
    process.stdin.flush()
    assert process.stdout.read(1) == b"x"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


@pytest.mark.parametrize("end", [b"\x01x", signal.SIGINT, signal.SIGTERM], ids=["Ctrl-A X", "SIGINT", "SIGTERM"])
def test_the_terminal_is_given_back_as_it_was(
    start: Southbridge, machine: Callable[..., str], plugins: tuple[Path, ...], end: bytes | signal.Signals
) -> None:
    master, terminal = pty.openpty()
    try:
        before = termios.tcgetattr(terminal)
        description = machine("crier, chardev: c", chardev="stdio")
        process = start("run", description, path=plugins, stdin=terminal, stdout=terminal)
        seen = b""
        while b"ready" not in seen:
            seen += os.read(master, 100)
        os.write(master, b"a")
        while b"a" not in seen.partition(b"ready")[2]:
            seen += os.read(master, 100)  # it has been read by now, so the terminal is raw
        assert termios.tcgetattr(terminal) != before
        if isinstance(end, bytes):
            os.write(master, end)
        else:
            process.send_signal(end)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        assert termios.tcgetattr(terminal) == before
    finally:
        os.close(master)
        os.close(terminal)


def test_what_only_snapshots_need_is_not_imported_to_run_a_machine() -> None:
    """They are most of what starting would take."""
    code = "import sys, southbridge.cli.run, southbridge.builder; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "zstandard"} & set(run.stdout.split())


def test_what_draws_a_screen_that_nobody_looks_at_is_not_imported() -> None:
    code = (
        "import sys\nfrom southbridge.builder import build\nfrom southbridge.description import load\n"
        "settings = ['accelerator=qtest', 'chardevs.serial0.type=null', 'devices.card.type=std_vga']\n"
        "machine = build(load('pc', settings))\nprint('numpy' in sys.modules)\n"
        "machine.consoles[0].view().refresh()\nprint('numpy' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True"]
