"""Firmware, boot loaders and our guest programs on our own machine, as users start it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guests import expect
from tests.guests.conversation import plain
from tests.guests.qemu import Media
from tests.guests.southbridge import describe, run_southbridge

LONG_ENOUGH_S = 120.0
"""Only a guest that hangs meets this."""


def test_firmware_finds_nothing_to_boot(tmp_path: Path) -> None:
    description = describe(tmp_path, more="debug: {type: debugcon, chardev: debug}")
    with description.open("a") as file:
        file.write("chardevs:\n  debug: {type: stdio}\n  serial0: {type: 'null'}\n")
    result = run_southbridge(description, until=b"No bootable device.", timeout_s=LONG_ENOUGH_S)
    for line in (b"Running on QEMU (i440fx)", b"PS2 keyboard initialized", b"Found 1 serial ports"):
        assert line in result.output


def test_cpu_guest_passes(cpu_guest: Path, tmp_path: Path) -> None:
    result = run_southbridge(describe(tmp_path, image=cpu_guest), timeout_s=LONG_ENOUGH_S)
    assert expect.cpu_failures(expect.parse_cpu_report(result.output)) == {}
    assert plain(result.output).endswith(expect.CPU_DONE)
    assert result.status == expect.CPU_EXIT_STATUS


def test_apic_guest_passes(apic_guest: Path, tmp_path: Path) -> None:
    result = run_southbridge(describe(tmp_path, image=apic_guest), timeout_s=LONG_ENOUGH_S)
    assert expect.cpu_failures(expect.parse_cpu_report(result.output), expect.APIC_SOURCES) == {}
    assert plain(result.output).endswith(expect.CPU_DONE)
    assert result.status == expect.CPU_EXIT_STATUS


def test_disk_guest_finds_the_crc(disk_guest_image: tuple[Path, int], tmp_path: Path) -> None:
    image, crc = disk_guest_image
    result = run_southbridge(describe(tmp_path, image=image), timeout_s=LONG_ENOUGH_S)
    assert expect.disk_crc(result.output) == crc
    assert expect.parse_cpu_report(result.output) == dict.fromkeys(expect.DISK_CHECKS, "ok")
    assert result.status == expect.CPU_EXIT_STATUS


def test_ticks_guest_counts_no_more_than_the_clock(ticks_guest_image: Path, tmp_path: Path) -> None:
    result = run_southbridge(describe(tmp_path, image=ticks_guest_image), timeout_s=LONG_ENOUGH_S)
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
def test_grub_reaches_its_menu(fixture: str, media: Media, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    description = describe(tmp_path, image=request.getfixturevalue(fixture), media=media)
    send = [(expect.GRUB_ENTRY.encode(), b""), (expect.GRUB_LAST_ENTRY.encode(), b"\r")]
    run_southbridge(description, send=send, until=expect.GRUB_CHOSEN.encode(), timeout_s=LONG_ENOUGH_S)


def test_grub_command_line_reads_the_disk(grub_disk: Path, tmp_path: Path) -> None:
    commands = expect.GRUB_DISK_COMMANDS
    result = run_southbridge(
        describe(tmp_path, image=grub_disk),
        send=expect.grub_keys(commands),
        until=expect.GRUB_PROMPT,
        timeout_s=LONG_ENOUGH_S,
    )
    answers = expect.grub_answers(result.output, commands)
    for command, parts in commands.items():
        for part in parts:
            assert part in answers[command]


def test_demo_reports_the_machine(demo_image: Path, tmp_path: Path) -> None:
    result = run_southbridge(describe(tmp_path, image=demo_image), timeout_s=LONG_ENOUGH_S)
    usable, total = expect.demo_usable_kib(result.output)
    assert usable == total
    assert 126 * 1024 < total < 128 * 1024
    assert set(expect.PCI_BOARD) <= expect.demo_pci(result.output).keys()
    assert expect.DEMO_TICKS.encode() in result.output
    assert result.status == expect.DEMO_EXIT_STATUS
