"""The demo's disk image: made by NASM, or a clear word why not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from examples.demo import make_image
from tests.guests.build import need


def test_image_is_bootable(tmp_path: Path) -> None:
    need("nasm", "nasm")
    image = make_image.make_image(tmp_path / "new folder" / "demo.img")
    content = image.read_bytes()
    assert len(content) == 16 * 63 * 512
    assert content[510:512] == b"\x55\xaa"
    assert [path.name for path in image.parent.iterdir()] == ["demo.img"]


def test_missing_nasm_gives_the_command_and_leaves_the_image(tmp_path: Path) -> None:
    image = tmp_path / "demo.img"
    image.write_bytes(b"precious")
    run = subprocess.run(
        [sys.executable, make_image.__file__, image], env={"PATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert run.returncode == 1
    assert "sudo apt-get install nasm" in run.stderr
    assert "Traceback" not in run.stderr
    assert image.read_bytes() == b"precious"


def test_refused_source_leaves_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("nasm", "nasm")
    source = tmp_path / "boot.asm"
    source.write_text("nonsense eax, eax, eax\n")
    monkeypatch.setattr(make_image, "SOURCE", source)
    image = tmp_path / "demo.img"
    image.write_bytes(b"precious")
    with pytest.raises(make_image.ImageError, match="nasm failed"):
        make_image.make_image(image)
    assert image.read_bytes() == b"precious"


def test_wrong_command_line_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert make_image.main([]) == 2
    assert "Usage: make_image.py IMAGE" in capsys.readouterr().err
