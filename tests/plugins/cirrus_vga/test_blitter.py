"""The blitter against a model that goes bit by bit."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from southbridge.memory.space import AddressSpace
from southbridge.plugins.cirrus_vga.blit import OPERATIONS, Blit
from southbridge.testing import Bench

from tests.plugins.cirrus_vga.card import AUTOSTART, BLT, BUSY, DATA, SIZE, VRAM, CirrusGuest
from tests.plugins.cirrus_vga.naive import TRUTH, NaiveBlit

FROM_SYSTEM, TO_SYSTEM = 0x04, 0x02
AREA = 16384
"""What the blits of these tests stay in."""


@st.composite
def blits(draw: Any) -> NaiveBlit:
    """Any blit that stays in AREA."""
    pixel = draw(st.integers(1, 4))
    width, height = draw(st.integers(1, 90)), draw(st.integers(1, 12))
    kind = draw(st.sampled_from(["copy", "pattern", "expand", "expanded pattern", "solid"]))
    pattern, expand = "pattern" in kind or kind == "solid", "expand" in kind or kind == "solid"
    backwards = kind == "copy" and draw(st.booleans())
    pitches = st.one_of(st.integers(0, 200), st.just(width), st.just(128))
    destination_pitch, source_pitch = draw(pitches), draw(pitches)
    if draw(st.booleans()):
        source_pitch = destination_pitch
    low = height * 200 + 100 if backwards else 0
    places = st.integers(low, low + 3000)
    source = draw(places)
    destination = draw(st.one_of(places, st.integers(-4, 4).map(lambda by: max(source + by, low))))
    return NaiveBlit(
        width=width,
        height=height,
        destination=destination,
        destination_pitch=destination_pitch,
        source=source,
        source_pitch=source_pitch,
        pixel=pixel,
        operation=draw(st.sampled_from([*TRUTH, 0x0D, 0x0D, 0x77])),
        foreground=draw(st.integers(0, (1 << 32) - 1)),
        background=draw(st.integers(0, (1 << 32) - 1)),
        backwards=backwards,
        transparent=kind != "solid" and (pixel <= 2 or expand) and (kind != "pattern") and draw(st.booleans()),
        pattern=pattern,
        expand=expand,
        solid=kind == "solid",
        inverted=draw(st.booleans()),
        double_words=draw(st.booleans()),
        key=draw(st.sampled_from([0x0000, 0x0101, 0xFFFF, 0x1234])),
        left=draw(st.integers(0, 31)),
    )


def contents(seed: int) -> bytearray:
    """Memory in which a colour key is found now and then."""
    random = Random(seed)
    data = bytearray(random.randbytes(AREA))
    for at in range(0, AREA, 3):
        if random.random() < 0.5:
            data[at] = random.choice((0, 1, 0xFF))
    return data


@settings(max_examples=600, deadline=None)
@given(blits(), st.integers(0, 3))
def test_blits_in_the_memory(naive: NaiveBlit, seed: int) -> None:
    expected = contents(seed)
    memory = np.frombuffer(bytearray(expected), np.uint8)
    blit = Blit.of(bytes(naive.registers().get(index, 0) for index in range(0x40)))
    assert not blit.problem(AREA)
    blit.run(memory)
    naive.run(expected)
    assert memory.tobytes() == bytes(expected)


def system_rows(naive: NaiveBlit, random: Random) -> list[bytes]:
    """What the CPU gives, row by row, padded as it must be."""
    if naive.pattern:
        pitch = 1 if naive.expand else 32 if naive.pixel == 3 else 8 * naive.pixel
        return [random.randbytes(8 * pitch)]
    if naive.expand:
        pixels = -(-naive.width // naive.pixel)
        size = -(-pixels // 32) * 4 if naive.double_words else -(-pixels // 8)
    else:
        size = naive.width + 3 & ~3
    return [random.randbytes(size) for _ in range(naive.height)]


@settings(max_examples=150, deadline=None)
@given(blits(), st.integers(0, 3), st.sampled_from([1, 2, 4]))
def test_blits_from_the_cpu(naive: NaiveBlit, seed: int, width: int) -> None:
    naive.backwards = naive.solid = False
    expected = contents(seed)
    rows = system_rows(naive, Random(seed))
    card = CirrusGuest(Bench())
    card.fill(bytes(expected))
    registers = naive.registers()
    card.blit({**registers, 0x30: registers[0x30] | FROM_SYSTEM})
    data = b"".join(rows)
    data += bytes(-len(data) % width)
    for at in range(0, len(data), width):
        assert card.graphics_value(0x31) & BUSY
        card.bench.write_mmio(DATA + at, int.from_bytes(data[at : at + width], "little"), width)
    assert not card.graphics_value(0x31) & BUSY
    naive.run(expected, rows)
    assert card.memory[:AREA].tobytes() == bytes(expected)
    assert not any(card.memory[AREA : AREA + 4096])


@settings(max_examples=100, deadline=None)
@given(blits())
def test_pages_that_a_blit_marks_are_those_that_it_may_write(naive: NaiveBlit) -> None:
    naive.destination_pitch *= 40
    naive.destination += SIZE // 2
    card = CirrusGuest(Bench())
    view = card.device.screen.console.view()
    view.refresh()
    picture = card.device.screen.picture
    assert picture is not None and picture._log is not None
    log = picture._log
    log.take()
    card.blit(naive.registers())
    step = -1 if naive.backwards else 1
    ends = [
        naive.destination + step * (y * naive.destination_pitch + x)
        for y in range(naive.height)
        for x in (0, naive.width - 1)
    ]
    pages = {at // 4096 for at in ends}
    if naive.destination_pitch - naive.width < 4096:
        pages = set(range(min(pages), max(pages) + 1))
    assert set(np.flatnonzero(log.take()).tolist()) == pages


def test_every_operation_is_the_manuals() -> None:
    assert OPERATIONS.keys() == TRUTH.keys()


def test_a_blit_through_memory_mapped_registers(card: CirrusGuest) -> None:
    card.fill(b"\x11" * 8)
    for offset, size, value in (
        *((0x08, 2, 7), (0x0A, 2, 0), (0x0C, 2, 64), (0x0E, 2, 64)),
        *((0x10, 4, 0x1000), (0x14, 4, 0), (0x18, 1, 0), (0x1A, 1, 0x0D), (0x40, 1, 2)),
    ):
        card.bench.write_mmio(BLT + offset, value, size)
    assert card.memory[0x1000:0x1009].tobytes() == b"\x11" * 8 + b"\0"
    assert card.bench.read_mmio(BLT + 0x08, 2) == 7
    assert card.bench.read_mmio(BLT + 0x40, 1) == 0


@pytest.mark.parametrize("where", ["window", "end of memory"])
def test_other_places_of_these_registers(card: CirrusGuest, where: str) -> None:
    card.sequencer({7: 1, 0x17: 0x24 if where == "window" else 0x64})
    if where == "window":
        card.window.write(0x18000 + 0x08, 2, 0x123)
        assert card.window.read(0x18000 + 0x08, 2) == 0x123
    else:
        card.bench.write_mmio(VRAM + SIZE - 256 + 0x08, 0x123, 2)
        card.bench.write_mmio(VRAM + 0x10, 0x55, 1)
        assert card.memory[0x10] == 0x55
    assert card.graphics_value(0x20) == 0x23
    assert card.graphics_value(0x21) == 0x01


def test_autostart(card: CirrusGuest) -> None:
    naive = NaiveBlit(8, 2, 0x100, 16, 0, 8, 1, 0x0E, 0, 0)
    card.graphics({0x31: AUTOSTART})
    registers = naive.registers()
    last = registers.pop(0x2A)
    card.graphics(registers)
    assert not any(card.memory[0x100:0x120])
    card.graphics({0x2A: last})
    assert card.memory[0x100:0x120].tobytes() == (b"\xff" * 8 + bytes(8)) * 2


def test_data_by_the_windows(card: CirrusGuest) -> None:
    """The CPU's data may go to the legacy window and the linear memory as well."""
    card.sequencer({7: 1})
    linear = AddressSpace("linear", SIZE)
    linear.root.add(0, card.device.bar0)
    for number, space in enumerate((card.window, linear)):
        naive = NaiveBlit(6, 2, 0x1000 + 0x100 * number, 8, 0, 0, 1, 0x0D, 0, 0)
        card.blit({**naive.registers(), 0x30: FROM_SYSTEM})
        for at, value in enumerate((0x44332211, 0x88776655, 0xCCBBAA99, 0x00FFEEDD)):
            space.write(4 * at, 4, value)
        assert card.memory[naive.destination :][:14].hex() == "112233445566" + "0000" + "99aabbccddee"
        space.write(0x40, 4, 0x01020304)  # memory again
        assert card.memory[0x40:0x44].hex() == "04030201"


def test_to_the_cpu(card: CirrusGuest) -> None:
    data = Random(1).randbytes(300)
    card.fill(data)
    card.sequencer({7: 1})
    naive = NaiveBlit(6, 2, 0, 0, 10, 100, 1, 0x0D, 0, 0)
    card.blit({**naive.registers(), 0x30: TO_SYSTEM})
    assert card.graphics_value(0x31) & BUSY
    found = b"".join(card.window.read(0, 4).to_bytes(4, "little") for _ in range(4))
    assert (found[:6], found[8:14]) == (data[10:16], data[110:116])
    assert not card.graphics_value(0x31) & BUSY


def test_a_reset_ends_a_transfer(card: CirrusGuest) -> None:
    naive = NaiveBlit(8, 2, 0x100, 16, 0, 8, 1, 0x0D, 0, 0)
    card.blit({**naive.registers(), 0x30: FROM_SYSTEM})
    card.graphics({0x31: 0x04})
    card.graphics({0x31: 0x00})
    assert not card.graphics_value(0x31) & BUSY
    card.bench.write_mmio(VRAM, 0x01020304)
    assert card.memory[:4].hex() == "04030201"


def test_a_transfer_is_saved_and_restored(bench: Bench, card: CirrusGuest) -> None:
    naive = NaiveBlit(6, 2, 0x100, 8, 0, 0, 1, 0x0D, 0, 0)
    card.blit({**naive.registers(), 0x30: FROM_SYSTEM})
    bench.write_mmio(DATA, 0x44332211)
    saved = card.device.save()
    card.device.reset()
    card.device.load(saved)
    for value in (0x88776655, 0xCCBBAA99, 0x00FFEEDD):
        bench.write_mmio(DATA, value)
    assert card.memory[0x100:0x10E].hex() == "112233445566" + "0000" + "99aabbccddee"


# --- what has gone wrong in device models before ---------------------------------------------------------------------


def refused(card: CirrusGuest, registers: dict[int, int], data: int = 0) -> None:
    """A blit that leaves the memory changes nothing, and says so."""
    before = card.memory.tobytes()
    errors = len(card.bench.guest_errors)
    card.blit(registers)
    for _ in range(data):
        card.bench.write_mmio(DATA, 0xFFFF_FFFF)
    assert card.memory.tobytes() == before
    assert len(card.bench.guest_errors) == errors + 1
    assert not card.graphics_value(0x31) & BUSY


def test_cve_2007_1320_and_2008_4539_a_destination_outside_the_memory(card: CirrusGuest) -> None:
    for destination, height in ((SIZE - 1, 2), (SIZE - 100, 1), (SIZE - 8192, 2048)):
        refused(card, NaiveBlit(101, height, destination, 8191, 0, 0, 1, 0x0E, 0, 0).registers())


def test_cve_2014_8106_a_source_outside_the_memory_or_a_pitch_that_leads_there(card: CirrusGuest) -> None:
    refused(card, NaiveBlit(100, 1, 0, 0, SIZE - 99, 0, 1, 0x0D, 0, 0).registers())
    refused(card, NaiveBlit(1, 2048, 0, 1, SIZE // 2, 8191, 1, 0x0D, 0, 0).registers())
    refused(card, NaiveBlit(8192, 2048, 0, 1, SIZE - 64, 0, 1, 0x0D, 0, 0, expand=True).registers())


def test_cve_2017_2615_a_backward_blit_reaches_down(card: CirrusGuest) -> None:
    refused(card, NaiveBlit(10, 1, 8, 0, 100, 0, 1, 0x0D, 0, 0, backwards=True).registers())
    refused(card, NaiveBlit(10, 3, 1000, 500, 5000, 0, 1, 0x0D, 0, 0, backwards=True).registers())
    refused(card, NaiveBlit(10, 1, 1000, 0, 8, 0, 1, 0x0D, 0, 0, backwards=True).registers())
    card.blit(NaiveBlit(10, 1, 9, 0, 100, 0, 1, 0x0E, 0, 0, backwards=True).registers())
    assert card.memory[:11].tobytes() == b"\xff" * 10 + b"\0"


def test_cve_2017_2620_a_destination_of_the_cpus_data(card: CirrusGuest) -> None:
    registers = NaiveBlit(16, 2, SIZE - 16, 4096, 0, 0, 1, 0x0D, 0, 0).registers()
    refused(card, {**registers, 0x30: FROM_SYSTEM}, data=8)


def test_cve_2016_9603_registers_that_change_during_a_transfer(card: CirrusGuest) -> None:
    """What was checked is what is used, whatever is written to the registers meanwhile, with a display that looks."""
    card.picture()
    registers = NaiveBlit(8, 2, 0x100, 16, 0, 0, 1, 0x0D, 0, 0).registers()
    card.blit({**registers, 0x30: FROM_SYSTEM})
    card.graphics({0x20: 0xFF, 0x21: 0x1F, 0x23: 7, 0x24: 0xFF, 0x25: 0x1F, 0x29: 0xFF, 0x2A: 0x3F, 0x30: 0x05})
    for _ in range(4):
        card.bench.write_mmio(DATA, 0xFFFF_FFFF)
        card.picture()
    assert card.memory[0x100:0x120].tobytes() == (b"\xff" * 8 + bytes(8)) * 2
    assert sum(card.memory) == 16 * 0xFF


def test_cve_of_2026_24_bit_transparent_expansion_with_any_left_edge(card: CirrusGuest) -> None:
    """GR2F up to 31: with pixels of three bytes that is more than a byte's bits."""
    for left in range(32):
        for from_cpu in (False, True):
            naive = NaiveBlit(60, 2, 0x1000, 64, 0, 0, 3, 0x0D, 0xABCDEF, 0, expand=True, transparent=True, left=left)
            card.fill(bytes(0x2000))
            card.fill(b"\xff" * 8)
            card.blit({**naive.registers(), 0x30: naive.registers()[0x30] | (FROM_SYSTEM if from_cpu else 0)})
            for _ in range(6 if from_cpu else 0):
                card.bench.write_mmio(DATA, 0xFF, 1)
            row = card.memory[0x1000:0x103C].tobytes()
            assert row == bytes(left) + (b"\xef\xcd\xab" * 20)[left:]
    assert not card.bench.guest_errors


def test_a_restored_transfer_that_could_not_have_been_started_is_none(card: CirrusGuest) -> None:
    registers = NaiveBlit(8, 2, 0x100, 16, 0, 0, 1, 0x0D, 0, 0).registers()
    card.blit({**registers, 0x30: FROM_SYSTEM})
    saved = card.device.save()
    state = saved["parts"]["blitter"]["state"]
    for changed in ({0x2A: 0x3F, 0x29: 0xFF, 0x28: 0xF8}, {0x30: 0}):
        latched = bytearray(state["latched"])
        for index, value in changed.items():
            latched[index] = value
        card.device.load(
            {
                **saved,
                "parts": {
                    **saved["parts"],
                    "blitter": {**saved["parts"]["blitter"], "state": {**state, "latched": bytes(latched)}},
                },
            }
        )
        assert not card.device.blitter.takes


def test_large_blits_are_few_operations(card: CirrusGuest) -> None:
    """The largest blit that fits, in the direction in which rows must be done one by one, is a step for each row."""
    registers = NaiveBlit(2047, 2000, 1, 2048, 0, 2048, 1, 0x59, 0, 0).registers()
    card.blit(registers)
    assert not card.bench.guest_errors
