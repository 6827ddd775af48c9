"""EDID, judged by edid-decode."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from southbridge.display.edid import SIZE, edid

SIZES = [(640, 480), (1024, 768), (1280, 800), (1360, 768), (1920, 1080), (2560, 1600), (3840, 2160)]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_it_conforms_and_prefers_that_size(tmp_path: Path, width: int, height: int) -> None:
    block = tmp_path / "edid"
    block.write_bytes(edid(width, height))
    assert block.stat().st_size == SIZE
    found = subprocess.run(["edid-decode", "--check", str(block)], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout
    said = subprocess.run(["edid-decode", str(block)], capture_output=True, text=True, check=True).stdout
    (timing,) = (line.split() for line in said.splitlines() if "DTD 1:" in line)
    assert timing[2] == f"{width}x{height}"
    assert 59 <= float(timing[3]) <= 61


@pytest.mark.parametrize(("width", "height"), [(0, 480), (320, 200), (640, 4096), (4095, 4095)])
def test_a_size_that_has_no_room(width: int, height: int) -> None:
    with pytest.raises(ValueError, match=f"{width} by {height} pixels"):
        edid(width, height)
