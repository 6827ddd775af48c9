"""`southbridge fuzz`: finds what is wrong, makes it short, and writes a test of it."""

from __future__ import annotations

import threading
from pathlib import Path
from random import Random

import pytest
from southbridge import discovery
from southbridge.errors import SouthbridgeError
from southbridge.plugins.edu import Edu
from southbridge.testing.fuzz import fuzz, replay_file, replay_program, write_test
from southbridge.testing.fuzz_machine import RESET, SAVE_LOAD, NoAnswerError, config_write, perform, pieces, target_for
from southbridge.testing.fuzz_programs import Programs


class PlantedError(Exception):
    pass


def test_a_finding_becomes_a_short_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Edu.invert

    def fail(self: Edu, value: int) -> None:
        if value == 0xFFFF_FFFF:
            raise PlantedError
        original(self, value)

    with monkeypatch.context() as patched:
        patched.setattr(Edu, "invert", fail)
        _, findings = fuzz(["edu"], seed=3, seconds=60, length=300)
        assert [finding.device for finding in findings] == ["edu"]
        assert "PlantedError" in findings[0].message
        assert len(findings[0].program) <= 6 < findings[0].before
        path = write_test(findings[0], 3, tmp_path)
        with pytest.raises(PlantedError):
            replay_file(path)
    assert replay_file(path) == "edu"
    compile(path.read_text(), str(path), "exec")


def test_a_program_follows_from_its_seed(tmp_path: Path) -> None:
    target = target_for("piix3-ide", tmp_path)
    assert target.place == (1, 1)
    assert any(place.is_port and place.start == 0x1F0 for place in target.own)
    first, second = (Programs(target, [7], Random(5)).program(200) for _ in range(2))
    assert first == second
    assert {RESET, SAVE_LOAD} <= set(Programs(target, [7], Random(5)).program(2000))


@pytest.mark.parametrize("kind", discovery.names("devices"))
def test_whatever_a_device_needs_is_there(kind: str, tmp_path: Path) -> None:
    """Buses, back ends, files; and a device that ends the machine is left in peace."""
    target = target_for(kind, tmp_path)
    perform(kind, Programs(target, [], Random(1)).program(150), tmp_path)


def test_what_is_said_at_once() -> None:
    lines = ["a"] * 20 + [RESET, "b", SAVE_LOAD, SAVE_LOAD]
    assert list(pieces(lines)) == [["a"] * 16, ["a"] * 4, [RESET], ["b"], [SAVE_LOAD], [SAVE_LOAD]]


def test_a_machine_that_a_program_ends_is_no_finding() -> None:
    replay_program("isa-debug-exit", "outb 0x501 0x1\ninb 0x80")


def test_a_wrong_line_is_told() -> None:
    with pytest.raises(AssertionError, match="ERR"):
        replay_program("edu", ["inb"])


def test_a_device_that_never_answers_is_found_and_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(self: Edu, value: int) -> None:
        while True:
            pass

    monkeypatch.setattr(Edu, "invert", hang)
    monkeypatch.setattr("southbridge.testing.qtest.PATIENCE", 1.0)
    program = [*config_write((2, 0), 0x10, 4, 0xE000_0000), *config_write((2, 0), 4, 2, 7), "writel 0xe0000004 1"]
    with pytest.raises(NoAnswerError, match=r"test_fuzz.py:[0-9]+, in hang"):
        replay_program("edu", program)
    assert all(thread.name != "qtest" for thread in threading.enumerate())


def test_mistakes(tmp_path: Path) -> None:
    for text in ("nothing", "x = ("):
        (tmp_path / "f.py").write_text(text)
        with pytest.raises(SouthbridgeError, match=r"f\.py"):
            replay_file(tmp_path / "f.py")
    with pytest.raises(SouthbridgeError, match="can't read"):
        replay_file(tmp_path / "nowhere.py")
