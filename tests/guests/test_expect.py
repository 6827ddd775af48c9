"""The reports' readers find what is wrong."""

from __future__ import annotations

import pytest

from tests.guests import expect
from tests.guests.conversation import plain


def test_cpu_report_keeps_the_detail_of_a_failure() -> None:
    output = b"SeaBIOS\r\nok one\r\nFAIL two got 00000001 want 00000002\r\ninfo cpu-vendor ok\r\nALL DONE\r\n"
    assert expect.parse_cpu_report(output) == {"one": "ok", "two": "got 00000001 want 00000002"}


def test_cpu_report_refuses_a_check_that_reports_twice() -> None:
    with pytest.raises(AssertionError, match="one reports twice"):
        expect.parse_cpu_report(b"ok one\r\nok one\r\n")


def test_every_check_is_in_one_part() -> None:
    parts = expect.cpu_parts()
    names = [name for checks in parts.values() for name in checks]
    assert len(parts) > 30
    assert len(names) == len(set(names))
    assert set(names) == expect.check_names(expect.CPU_SOURCES)


def test_cpu_failures_name_what_failed_and_what_is_missing() -> None:
    names = expect.check_names()
    assert len(names) > 100
    report = dict.fromkeys(names - {"syscall-20000"}, "ok") | {"pm-irq": "got 0 want 1"}
    assert expect.cpu_failures(report) == {"syscall-20000": "no report", "pm-irq": "got 0 want 1"}


def test_grub_answers_are_cut_at_the_prompts() -> None:
    output = b"\x1b[2Jgrub> lspci\r\n00:00.0 8086:1237 [0600]\r\ngrub> ls /\r\nboot/ hello.txt\r\ngrub> "
    answers = expect.grub_answers(output, {"lspci": (), "ls /": ()})
    assert answers == {"lspci": "00:00.0 8086:1237 [0600]\n", "ls /": "boot/ hello.txt\n"}


def test_demo_report_is_read() -> None:
    output = (
        b"memory 0000000000  639 KiB usable\r\nmemory 000009fc00  1 KiB reserved\r\n"
        b"memory 0000100000  1000 KiB usable\r\n"
        b"memory usable: 1639 KiB\r\npci 00:00.0 8086:1237 class 0600\r\n"
    )
    assert expect.demo_usable_kib(output) == (1639, 1639)
    assert expect.demo_pci(output) == {"00:00.0 8086:1237": "0600"}


def test_plain_drops_terminal_control() -> None:
    assert plain(b"\x1b[?25l\x1b[5;2H|\x1b[mword\x1b[0;7m\r\n") == b"|word\n"
