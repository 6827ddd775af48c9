"""`pytest --southbridge-device NAME`: what is collected, how it is called, and what a device's author is told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ACME = '''
"""Two devices: one conforms."""

from southbridge import Device, PortBank


class Sound(Device):
    """Keeps two bytes."""

    ports = PortBank(2)
    FIRST = ports.register(0, doc="One.")
    SECOND = ports.register(1, doc="Another one.")

    def realize(self):
        self.claim_ports(self.ports, 0x300)


class Faulty(Sound):
    """Fails on a value, after another one elsewhere."""

    SECOND = Sound.ports.register(1)

    @SECOND.written
    def second_written(self, value):
        if self.FIRST.value & 1 and value & 3 == 3:
            raise ZeroDivisionError("tripped")
'''
ENTRY_POINTS = "[southbridge.devices]\nacme-sound = acme:Sound\nacme-faulty = acme:Faulty\n"
OWN_TEST = "def test_own():\n    assert True\n"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(distribution: Callable[..., Path], tmp_path: Path) -> Run:
    """Runs pytest in a folder of its own, where these devices are installed."""
    site = distribution("acme", "1.0", ENTRY_POINTS, acme=ACME)
    folder = tmp_path / "folder"
    folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "200"}
    environment.pop("PYTEST_ADDOPTS", None)
    environment.pop("PYTEST_XDIST_WORKER", None)

    def start(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)

    return start


@pytest.fixture
def folder(tmp_path: Path, run: Run) -> Path:
    """Where pytest runs."""
    return tmp_path / "folder"


def collected(result: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in result.stdout.splitlines() if "::" in line]


def test_each_check_is_a_test_on_each_kind_of_memory(run: Run) -> None:
    ids = collected(run("--collect-only", "-q", "--southbridge-device", "acme-sound"))
    assert "southbridge::acme-sound::reset_is_final[flat]" in ids
    assert "southbridge::acme-sound::reset_is_final[windowed]" in ids
    assert "southbridge::acme-sound::no_dma_without_mastering[flat]" not in ids
    assert all(id.startswith("southbridge::acme-sound::") for id in ids)
    assert len(set(ids)) == len(ids) >= 24


def test_several_devices_each_once_and_all_of_them(run: Run) -> None:
    twice = ["--southbridge-device", "acme-sound", "--southbridge-device", "acme-faulty"] * 2
    ids = collected(run("--collect-only", "-q", *twice))
    assert len(set(ids)) == len(ids)
    assert {id.split("::")[1] for id in ids} == {"acme-sound", "acme-faulty"}
    everything = collected(run("--collect-only", "-q", "--southbridge-device", "all"))
    assert {"acme-sound", "uart16550"} < {id.split("::")[1] for id in everything}


def test_files_of_tests_are_collected_only_if_named(run: Run, folder: Path) -> None:
    (folder / "test_own.py").write_text(OWN_TEST)
    few = ["-q", "--collect-only", "--southbridge-device", "acme-sound", "-k", "reset_is_final or own"]
    assert len(collected(run(*few))) == 2
    assert [id for id in collected(run(*few, "test_own.py")) if id.startswith("test_own")] == ["test_own.py::test_own"]
    assert "1 passed" in run("-q").stdout


def test_a_test_is_named_by_its_id(run: Run) -> None:
    result = run("-q", "southbridge::acme-sound::documented[flat]")
    assert (result.returncode, "1 passed" in result.stdout) == (0, True)
    assert "2 passed" in run("-q", "southbridge::acme-sound::documented").stdout


def test_it_runs_on_several_processes(run: Run) -> None:
    result = run("-q", "-n", "2", "--southbridge-device", "acme-sound", "-k", "documented or reset_is_final")
    assert (result.returncode, "4 passed" in result.stdout) == (0, True), result.stdout


def test_a_failure_is_for_the_devices_author_and_can_be_run_again(run: Run, folder: Path) -> None:
    choice = ["--southbridge-device", "acme-faulty", "--southbridge-seed", "5", "-k", "random and flat"]
    result = run(*choice)
    assert result.returncode == 1
    assert "ZeroDivisionError: tripped" in result.stdout
    assert 'acme.py:26, in second_written: raise ZeroDivisionError("tripped")' in result.stdout
    assert "southbridge/testing/" not in result.stdout
    log = result.stdout[result.stdout.index("device: acme-faulty") : result.stdout.index("==== short test summary")]
    text = log.rstrip("=\n ")
    assert "seed: 5" in text
    assert len(text.splitlines()) < 20, text
    (folder / "log").write_text(text)
    again = run("-q", "--southbridge-replay", "log")
    assert again.returncode == 1
    assert "FAILED southbridge::acme-faulty::replay[flat] - ZeroDivisionError: tripped" in again.stdout
    (folder / "log").write_text(text.replace("acme-faulty", "acme-sound"))
    assert "1 passed" in run("-q", "--southbridge-replay", "log").stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--southbridge-device", "acme-sund"], "there is no device 'acme-sund'; did you mean 'acme-sound'?"),
        (["southbridge::acme-sund::documented"], "there is no device 'acme-sund'; did you mean 'acme-sound'?"),
        (["--southbridge-replay", "missing"], "can't read missing: No such file or directory"),
        (
            ["--southbridge-replay", "wrong"],
            "wrong: line 3: expected a step such as 'write bar0 0x10 4 0x1234', not 'x'",
        ),
    ],
)
def test_what_is_wrong_with_the_command_line_is_said(
    run: Run, folder: Path, arguments: list[str], complaint: str
) -> None:
    (folder / "wrong").write_text("device: acme-sound\naccesses:\n  x\n")
    result = run(*arguments)
    assert (result.returncode, result.stdout, result.stderr) == (4, "", f"ERROR: {complaint}\n\n")


def test_a_file_of_tests_may_ask_for_the_checks(run: Run, folder: Path) -> None:
    (folder / "test_acme.py").write_text(
        "from southbridge.testing import DeviceChecks\n\ntest_acme = DeviceChecks('acme-sound')\n"
    )
    result = run("-v", "-k", "documented")
    assert "test_acme.py::test_acme::acme-sound::documented[flat] PASSED" in result.stdout
    (folder / "test_acme.py").write_text(
        "from southbridge.testing import DeviceChecks\n\ntest_acme = DeviceChecks('acme-sund')\n"
    )
    result = run("-q")
    assert result.returncode == 2
    assert "there is no device 'acme-sund'; did you mean 'acme-sound'?" in result.stdout
    assert "Traceback" not in result.stdout
