"""Which memory a machine has, by names that are the same whenever it is built."""

from __future__ import annotations

import pytest
from southbridge import Device, KiB, Machine, MiB, SouthbridgeError
from southbridge.memory.ram import RamBlock
from southbridge.memory.regions import Alias, Container, Ram
from southbridge.snapshot.contents import memory_blocks


class Video(Device):
    """Memory in an attribute, not mapped yet."""

    def realize(self) -> None:
        self.vram = RamBlock("vram", 64 * KiB)


class Banked(Device):
    """Memory in a list, a region, and one that it claimed."""

    def realize(self) -> None:
        self.banks = [RamBlock(f"bank{number}", 4 * KiB) for number in range(2)]
        self.window = Ram("window", RamBlock("window", 4 * KiB))
        self.view = Ram("all", self.machine.ram)
        self.claim_memory(Ram("rom", RamBlock("rom", 4 * KiB), owner=self), 0x20_0000)


class Twice(Device):
    """Two blocks of one name."""

    def realize(self) -> None:
        self.blocks = [RamBlock("same", 4 * KiB), RamBlock("same", 4 * KiB)]


def machine(*kinds: type[Device]) -> Machine:
    machine = Machine(name="m", memory=1 * MiB)
    machine.memory.root.add(0, Ram("ram", machine.ram))
    for kind in kinds:
        machine.plug(kind(kind.__name__))
    return machine


def test_every_block_is_found_mapped_or_not() -> None:
    found = machine(Video, Banked)
    named = memory_blocks(found)
    assert list(named) == ["ram", "Video/vram", "Banked/rom", "Banked/bank0", "Banked/bank1", "Banked/window"]
    video = found.devices["Video"]
    assert isinstance(video, Video)
    found.memory.root.add(0xD0000, Ram("vram", video.vram, owner=video))
    assert memory_blocks(found) == named


def test_what_nobody_owns_is_found_in_the_tree() -> None:
    found = machine()
    inner = Container("inner", 1 * MiB)
    inner.add(0, Ram("hidden", RamBlock("hidden", 4 * KiB)))
    found.memory.root.add(0x1000_0000, Alias("alias", inner, 0, 4 * KiB))
    assert list(memory_blocks(found)) == ["ram", "/hidden"]


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(SouthbridgeError, match="Twice has two blocks of memory named 'same'"):
        memory_blocks(machine(Twice))
