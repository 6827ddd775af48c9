"""Every guest under real QEMU first: what it expects there is right, so it may judge our own machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guests import expect
from tests.guests.conversation import GuestDidNotAnswer, plain
from tests.guests.qemu import Media, run_qemu

LONG_ENOUGH_S = 120.0
"""Only a guest that hangs meets this; two cores may be shared with many others."""


def test_cpu_guest_passes(cpu_guest: Path) -> None:
    result = run_qemu(cpu_guest, timeout_s=LONG_ENOUGH_S)
    assert expect.cpu_failures(expect.parse_cpu_report(result.output)) == {}
    assert plain(result.output).endswith(expect.CPU_DONE)
    assert result.status == expect.CPU_EXIT_STATUS


def test_apic_guest_passes(apic_guest: Path) -> None:
    """It counts ticks: a host that is busy with much else may let QEMU's timers come too late once, or twice."""
    for _ in range(3):
        result = run_qemu(apic_guest, timeout_s=LONG_ENOUGH_S)
        failures = expect.cpu_failures(expect.parse_cpu_report(result.output), expect.APIC_SOURCES)
        if not failures:
            break
    assert failures == {}
    assert plain(result.output).endswith(expect.CPU_DONE)
    assert result.status == expect.CPU_EXIT_STATUS


def test_disk_guest_finds_the_crc(disk_guest_image: tuple[Path, int]) -> None:
    image, crc = disk_guest_image
    result = run_qemu(image, timeout_s=LONG_ENOUGH_S)
    assert expect.disk_crc(result.output) == crc
    assert expect.parse_cpu_report(result.output) == dict.fromkeys(expect.DISK_CHECKS, "ok")
    assert result.status == expect.CPU_EXIT_STATUS


def test_ticks_guest_counts_no_more_than_the_clock(ticks_guest_image: Path) -> None:
    result = run_qemu(ticks_guest_image, timeout_s=LONG_ENOUGH_S)
    phases = expect.ticks_phases(result.output)
    assert list(phases) == expect.ticks_phase_names()
    for phase in phases.values():
        assert phase.seconds >= expect.TICKS_MILLISECONDS / 1000
        assert phase.irq0 > 10
        assert phase.rtc > 10
        assert phase.too_many() == []
    assert expect.parse_cpu_report(result.output) == dict.fromkeys(expect.TICKS_CHECKS, "ok")
    assert result.status == expect.CPU_EXIT_STATUS


@pytest.mark.parametrize(("fixture", "media"), [("grub_cdrom", "cdrom"), ("grub_disk", "disk")])
def test_grub_reaches_its_menu(fixture: str, media: Media, request: pytest.FixtureRequest) -> None:
    image = request.getfixturevalue(fixture)
    send = [(expect.GRUB_ENTRY.encode(), b""), (expect.GRUB_LAST_ENTRY.encode(), b"\r")]
    run_qemu(image, media=media, send=send, until=expect.GRUB_CHOSEN.encode(), timeout_s=LONG_ENOUGH_S)


def test_grub_command_line_reads_the_disk(grub_disk: Path) -> None:
    commands = expect.GRUB_DISK_COMMANDS
    result = run_qemu(grub_disk, send=expect.grub_keys(commands), until=expect.GRUB_PROMPT, timeout_s=LONG_ENOUGH_S)
    answers = expect.grub_answers(result.output, commands)
    for command, parts in commands.items():
        for part in parts:
            assert part in answers[command]


def test_demo_reports_the_machine(demo_image: Path) -> None:
    result = run_qemu(demo_image, timeout_s=LONG_ENOUGH_S)
    usable, total = expect.demo_usable_kib(result.output)
    assert usable == total
    assert 126 * 1024 < total < 128 * 1024  # QEMU's default of 128 MiB, less the firmware's tables
    assert set(expect.PCI_BOARD) <= expect.demo_pci(result.output).keys()
    assert expect.DEMO_TICKS.encode() in result.output
    assert plain(result.output).endswith(expect.DEMO_DONE)
    assert result.status == expect.DEMO_EXIT_STATUS


def test_a_guest_that_says_nothing_is_named(tmp_path: Path) -> None:
    silent = tmp_path / "silent, with a comma.img"
    silent.write_bytes(b"\xf4\xeb\xfd".ljust(510, b"\0") + b"\x55\xaa")  # hlt; jmp back
    with pytest.raises(GuestDidNotAnswer, match="gave up waiting for b'a word'"):
        run_qemu(silent, until=b"a word", timeout_s=0.5)


def test_a_qemu_that_refuses_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(GuestDidNotAnswer, match="No such file"):
        run_qemu(tmp_path / "missing.img", until=b"a word", timeout_s=LONG_ENOUGH_S)
