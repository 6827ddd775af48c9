"""Mappings that come with their pages."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from southbridge.qemu_system import resident
from southbridge.qemu_system.main import main

SHOWS = """
import mmap, re, sys
from southbridge.qemu_system.resident import fill_mappings, fill_no_more

def kilobytes(name):
    return int(re.search(rf"^{name}:\\s*(\\d+)", open("/proc/self/status").read(), re.MULTILINE)[1])

def growth():
    before = kilobytes("VmRSS")
    maps.append(mmap.mmap(-1, 64 << 20))
    return kilobytes("VmRSS") - before > 60 << 10

maps = []
print(growth())
fill_mappings()
print(growth())
fill_no_more()
print(growth(), kilobytes("VmLck"))
"""


def test_mappings_come_with_their_pages_for_a_while() -> None:
    done = subprocess.run([sys.executable, "-c", SHOWS], capture_output=True, text=True)
    may = str(resident._may_lock_memory())  # without the right to it nothing changes
    assert done.stdout.split() == ["False", may, "False", "0"], done.stderr


@pytest.mark.parametrize(
    ("status", "may"),
    [
        ("Name:\tx\nCapPrm:\t0000000000000000\nCapEff:\t000001fffeffffff\nCapBnd:\t0000000000000000\n", True),
        ("Name:\tx\nCapPrm:\t000001fffeffffff\nCapEff:\t0000000000000000\nCapBnd:\t000001fffeffffff\n", False),
        ("Name:\tx\nCapEff:\t0000000000004000\n", True),
        ("Name:\tx\nCapEff:\t0000000000002000\n", False),
        ("Name:\tx\n", False),
        (None, False),
    ],
)
def test_a_limit_would_be_met(status: str | None, may: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "status"
    if status is not None:
        path.write_text(status)
    monkeypatch.setattr(resident, "STATUS", path)
    assert resident._may_lock_memory() is may


def test_nothing_stays_locked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-xen-domid", "1", "-machine", "xenfv", "--dump-description"]) == 0
    assert "domain: 1" in capsys.readouterr().out
    found = re.search(r"^VmLck:\s*(\d+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None and found[1] == "0"
