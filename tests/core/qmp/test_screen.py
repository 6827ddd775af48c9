"""screendump, said by QEMU's own client."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PIL import Image
from qemu.qmp import QMPClient

from tests.core.qmp.talking import refused


def test_screendump(converse: Callable[..., None], tmp_path: Path) -> None:
    async def talk(qmp: QMPClient) -> None:
        for name, more in (("a", {}), ("b", {"format": "png"}), ("c", {"format": "png", "device": "video0"})):
            await qmp.execute("screendump", {"filename": str(tmp_path / name), **more})
        assert "GenericError: there is no screen 'x' (there are: video0)" in await refused(
            qmp.execute("screendump", {"filename": str(tmp_path / "d"), "device": "x"})
        )
        said = await qmp.execute("human-monitor-command", {"command-line": f"screendump {tmp_path}/e -f png"})
        assert said == ""

    converse(talk, "-vga", "std")
    for name, kind in (("a", "PPM"), ("b", "PNG"), ("c", "PNG"), ("e", "PNG")):
        with Image.open(tmp_path / name) as image:
            assert (image.format, image.size) == (kind, (640, 480))


def test_no_screen(converse: Callable[..., None], tmp_path: Path) -> None:
    async def talk(qmp: QMPClient) -> None:
        assert "the machine has no screen" in await refused(
            qmp.execute("screendump", {"filename": str(tmp_path / "a")})
        )

    converse(talk)
