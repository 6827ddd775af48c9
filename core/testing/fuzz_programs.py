"""Random programs: what a guest, time and the host may do to a device, knowing its registers, and to all around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random

from .fuzz_machine import RESET, SAVE_LOAD, Range, Target, config_write
from .steps import PATTERNS, memory_contents

LENGTH = 1500
"""Steps of a program."""
TOUCHED = 64 * 1024
"""How much of memory, from its start on, programs fill."""
STEPS_NS = (1_000, 50_000, 50_000, 3_000_000, 10_000_000)
PLACES = (0, 0x9_FC00, 0xA_0000, 0xC_0000, 0xF_0000, 0xFF_FFF0, 0x100_0000, 0xFEC0_0000, 0xFED0_0000, 0xFEE0_0000)
"""Where DMA may be sent: memory's beginning and end, a display, ROM, nobody, interrupt controllers."""
FURTHER = (0xFFFF_FFF0, 0x1_0000_0000, 0xFFFF_FFFF_FFFF_FFF0)
PORT_WIDTHS = ((1, "b"), (2, "w"), (4, "l"))
MEMORY_WIDTHS = (*PORT_WIDTHS, (8, "q"))


class Programs:
    """Makes programs for `target`. `numbers` are those that the device's code speaks of."""

    def __init__(self, target: Target, numbers: Sequence[int], random: Random) -> None:
        self._target = target
        self._numbers = [*numbers, *range(16)]
        self._random = random
        mmio = [place.start for place in target.all if not place.is_port]
        self._addresses = [*PLACES, *FURTHER, *mmio, *range(0x30, TOUCHED, 0xFF0)]

    def program(self, length: int = LENGTH) -> list[str]:
        """One of about `length` steps, each a line or a few."""
        lines = [*self._target.prologue, *self._memory()]
        for _ in range(length):
            lines += self._step()
        return lines

    def _step(self) -> Iterator[str]:
        random = self._random
        kinds: tuple[tuple[float, Callable[[], Iterator[str]]], ...] = (
            (0.72, lambda: self._access(self._target.own or self._target.all)),
            (0.80, lambda: self._access(self._target.all)),
            (0.84, self._configure),
            (0.93, self._wait),
            (0.95, self._anywhere),
            (0.97, self._memory),
            (0.985, self._bytes),
            (0.993, lambda: iter([SAVE_LOAD])),
            (1.0, self._reset),
        )
        chance = random.random()
        yield from next(make for below, make in kinds if chance <= below)()

    def _access(self, ranges: Sequence[Range]) -> Iterator[str]:
        random = self._random
        place = random.choice(ranges)
        size, letter = random.choice(PORT_WIDTHS if place.is_port else MEMORY_WIDTHS)
        declared = place.declared and random.random() < 0.9
        offset = random.choice(place.declared) if declared else random.randrange(place.size)
        if random.random() < 0.7:
            offset &= ~(size - 1)
        address = place.start + offset & (0xFFFF if place.is_port else (1 << 64) - 1)
        for _ in range(random.choice((1, 1, 1, 1, 1, 1, 1, 24))):
            if random.random() < 0.4:
                yield f"{'in' if place.is_port else 'read'}{letter} {address:#x}"
            else:
                word = "out" if place.is_port else "write"
                yield f"{word}{letter} {address:#x} {self._value(size):#x}"

    def _configure(self) -> Iterator[str]:
        """Any register of the device's configuration space, or of another one's; mostly it is left as it answers."""
        random = self._random
        mine = self._target.place
        place = mine if mine is not None and random.random() < 0.8 else (random.randrange(6), random.randrange(4))
        size = random.choice((1, 2, 4))
        yield from config_write(place, random.randrange(256) & ~(size - 1), size, self._value(size))
        if random.random() < 0.8:
            yield from self._target.placing

    def _anywhere(self) -> Iterator[str]:
        random = self._random
        if random.random() < 0.5:
            size, letter = random.choice(PORT_WIDTHS)
            port = random.randrange(0x1_0000)
            yield random.choice((f"in{letter} {port:#x}", f"out{letter} {port:#x} {self._value(size):#x}"))
        else:
            size, letter = random.choice(MEMORY_WIDTHS)
            address = random.choice(self._addresses) + random.randrange(0x1000) & (1 << 64) - 1
            yield random.choice((f"read{letter} {address:#x}", f"write{letter} {address:#x} {self._value(size):#x}"))

    def _bytes(self) -> Iterator[str]:
        """Many at once, registers too."""
        random = self._random
        memory = [place for place in self._target.own if not place.is_port]
        start = random.choice([place.start for place in memory] + self._addresses)
        length = random.choice((1, 3, 16, 255, 4096))
        start = min(start + random.randrange(64), (1 << 64) - length)
        yield random.choice((f"read {start:#x} {length}", f"memset {start:#x} {length} {self._value(1):#x}"))

    def _memory(self) -> Iterator[str]:
        """Descriptors and the like, for DMA to find."""
        random = self._random
        length = random.choice((64, 512, 4096))
        start = random.randrange(0, TOUCHED - length, 16)
        data = memory_contents(random.choice(PATTERNS), length, self._addresses, random)
        yield f"write {start:#x} {length} 0x{data.hex()}"

    def _wait(self) -> Iterator[str]:
        yield f"clock_step {self._random.choice(STEPS_NS)}"

    def _reset(self) -> Iterator[str]:
        yield RESET
        yield from self._target.prologue

    def _value(self, size: int) -> int:
        random = self._random
        anything = random.getrandbits(8 * size)
        usual = (0, -1, 1 << random.randrange(8 * size), random.choice(self._addresses), anything)
        value = random.choice((*usual, random.choice(self._numbers), random.choice(self._numbers)))
        return value & (1 << 8 * size) - 1
