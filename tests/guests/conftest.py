"""The guests' images, made once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.demo.make_image import make_image
from tests.guests.build import GUESTS, assemble, disk_guest, grub_disk_image, grub_rescue_iso, need, ticks_guest


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for them; parallel test processes share it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if base.name.startswith("popen-") else base) / "guest-images"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def cpu_guest(images: Path) -> Path:
    return assemble(GUESTS / "cpu" / "boot.asm", images)


@pytest.fixture(scope="session")
def apic_guest(images: Path) -> Path:
    return assemble(GUESTS / "apic" / "boot.asm", images)


@pytest.fixture(scope="session")
def disk_guest_image(images: Path) -> tuple[Path, int]:
    """The disk, and the CRC of what its guest reads."""
    return disk_guest(images, sectors=4096, passes=3)


@pytest.fixture(scope="session")
def ticks_guest_image(images: Path) -> Path:
    return ticks_guest(images)


@pytest.fixture(scope="session")
def demo_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("nasm", "nasm")
    return make_image(tmp_path_factory.mktemp("demo") / "demo.img")


@pytest.fixture(scope="session")
def grub_cdrom(images: Path) -> Path:
    return grub_rescue_iso(images)


@pytest.fixture(scope="session")
def grub_disk(images: Path) -> Path:
    return grub_disk_image(images)
