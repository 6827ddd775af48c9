"""`southbridge swap` from another terminal while a real guest runs: the guest doesn't notice."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import pytest
from southbridge import SouthbridgeError
from southbridge.control.client import find_machine

from tests.guests import expect
from tests.guests.conversation import plain
from tests.guests.southbridge import PROGRAM, describe
from tests.guests.test_snapshots import LONG_ENOUGH_S, rest_of, started


def test_a_guest_goes_on_across_swaps(cpu_guest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    description = describe(tmp_path, image=cpu_guest)
    options = ("--set", "accelerator=unicorn", "--id", "guest", "--log", "info")
    with started("run", description, *options) as process:
        assert process.stderr is not None
        while process.stderr.readline() != b"southbridge: machine id guest\n":
            assert process.poll() is None
        with find_machine("guest") as machine:
            machine.run("stop")  # the guest is quick, and a new process takes its time
            done = subprocess.run([PROGRAM, "swap", "guest", "unicorn"], capture_output=True, timeout=LONG_ENOUGH_S)
            assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
            machine.run("cont")
            swaps = 0
            with contextlib.suppress(SouthbridgeError):  # the guest has ended
                while True:
                    machine.run("swap-accelerator", name="unicorn")
                    swaps += 1
        output = rest_of(process)
        assert process.returncode == expect.CPU_EXIT_STATUS
    assert swaps > 10
    assert expect.cpu_failures(expect.parse_cpu_report(output)) == {}
    assert plain(output).endswith(expect.CPU_DONE)
