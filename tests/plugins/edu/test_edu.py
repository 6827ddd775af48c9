"""The teaching device: each step of its specification, and what a driver may do wrong."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import pytest
from southbridge import Device, SouthbridgeError, hookimpl
from southbridge.testing import Bench

BAR = 0xE000_0000
IDENTIFICATION, LIVENESS, FACTORIAL, STATUS = 0x00, 0x04, 0x08, 0x20
INTERRUPT_STATUS, INTERRUPT_RAISE, INTERRUPT_ACKNOWLEDGE = 0x24, 0x60, 0x64
DMA_SOURCE, DMA_DESTINATION, DMA_COUNT, DMA_COMMAND = 0x80, 0x88, 0x90, 0x98
BUFFER, BUFFER_SIZE = 0x4_0000, 4096
RUN, TO_MEMORY, INTERRUPT = 1, 2, 4
MASTER_ABORT = 0x2000
MASK_32 = 0xFFFF_FFFF


@pytest.fixture
def edu(bench: Bench) -> Any:
    device = bench.plug("edu")
    bench.place(device, "bar0", BAR)
    return device


def transfer(bench: Bench, source: int, destination: int, count: int, command: int) -> None:
    """Starts a transfer."""
    bench.write_mmio(BAR + DMA_SOURCE, source, 8)
    bench.write_mmio(BAR + DMA_DESTINATION, destination, 8)
    bench.write_mmio(BAR + DMA_COUNT, count, 8)
    bench.write_mmio(BAR + DMA_COMMAND, command, 8)


def test_it_says_what_it_is(bench: Bench, edu: Any) -> None:
    assert bench.config_read(edu, 0, 4) == 0x11E8_1234
    assert bench.read_mmio(BAR + IDENTIFICATION) == 0x0100_00ED


def test_liveness_is_inverted(bench: Bench, edu: Any) -> None:
    bench.write_mmio(BAR + LIVENESS, 0x1234_5678)
    assert bench.read_mmio(BAR + LIVENESS) == 0xEDCB_A987


def test_a_factorial_and_its_interrupt(bench: Bench, edu: Any) -> None:
    bench.write_mmio(BAR + STATUS, 0x80)
    bench.write_mmio(BAR + FACTORIAL, 5)
    assert bench.read_mmio(BAR + STATUS) == 0x81
    bench.clock.advance(us=6)
    assert bench.read_mmio(BAR + FACTORIAL) == 120
    assert bench.read_mmio(BAR + INTERRUPT_STATUS) == 0x001
    assert edu.interrupt.asserted
    bench.write_mmio(BAR + INTERRUPT_ACKNOWLEDGE, 0x001)
    assert not edu.interrupt.asserted


@pytest.mark.parametrize("n", [0, 1, 12, 13, 33, 34, 35])
def test_factorials_are_modulo_two_to_the_32(bench: Bench, edu: Any, n: int) -> None:
    bench.write_mmio(BAR + FACTORIAL, n)
    bench.clock.advance(us=35)
    assert bench.read_mmio(BAR + FACTORIAL) == math.factorial(n) % (1 << 32)
    assert bench.read_mmio(BAR + STATUS) == 0


@pytest.mark.parametrize("n", [10**6, 0x7FFF_FFFF, 0xFFFF_FFFF])
def test_an_absurd_factorial_takes_no_longer_than_another(bench: Bench, edu: Any, n: int) -> None:
    """It would take the host hours, with the machine's lock held."""
    bench.write_mmio(BAR + FACTORIAL, n)
    bench.clock.advance(us=35)
    assert bench.read_mmio(BAR + STATUS) == 0
    assert bench.read_mmio(BAR + FACTORIAL) == 0


def test_one_factorial_at_a_time(bench: Bench, edu: Any) -> None:
    bench.write_mmio(BAR + FACTORIAL, 5)
    bench.write_mmio(BAR + FACTORIAL, 6)
    bench.clock.advance(us=35)
    assert bench.read_mmio(BAR + FACTORIAL) == 120
    assert bench.guest_errors == ["edu: FACTORIAL written while COMPUTING"]


def test_the_guest_raises_interrupts_too(bench: Bench, edu: Any) -> None:
    bench.write_mmio(BAR + INTERRUPT_RAISE, 0x5000)
    bench.write_mmio(BAR + INTERRUPT_RAISE, 0x0002)
    assert bench.read_mmio(BAR + INTERRUPT_STATUS) == 0x5002
    bench.write_mmio(BAR + INTERRUPT_ACKNOWLEDGE, 0x5000)
    assert edu.interrupt.asserted
    bench.write_mmio(BAR + INTERRUPT_ACKNOWLEDGE, 0x0003)
    assert not edu.interrupt.asserted


class Messages:
    """Stands where interrupt controllers take messages."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, int]] = []

    @hookimpl
    def msi_send(self, address: int, data: int) -> bool:
        self.sent.append((address, data))
        return True


def test_each_reason_is_a_message(bench: Bench, edu: Any) -> None:
    """A driver that acknowledges what it saw doesn't wait for ever for what came in between."""
    messages = Messages()
    bench.machine.hooks.register(messages, "messages")
    bench.config_write(edu, 0x44, 4, 0xFEE0_1000)
    bench.config_write(edu, 0x4C, 2, 0x41)
    bench.config_write(edu, 0x42, 2, 1)
    bench.write_mmio(BAR + INTERRUPT_RAISE, 1)
    bench.write_mmio(BAR + INTERRUPT_RAISE, 2)
    assert messages.sent == [(0xFEE0_1000, 0x41)] * 2
    bench.write_mmio(BAR + INTERRUPT_ACKNOWLEDGE, 3)
    bench.write_mmio(BAR + INTERRUPT_RAISE, 1)
    assert len(messages.sent) == 3


def test_dma_there_and_back(bench: Bench, edu: Any) -> None:
    data = Random("edu").randbytes(100)
    bench.write_memory(0x1_0000, data)
    transfer(bench, 0x1_0000, BUFFER + 10, 100, RUN)
    assert bench.read_mmio(BAR + DMA_COMMAND) == RUN
    bench.clock.advance(us=100)
    assert bench.read_mmio(BAR + DMA_COMMAND) == 0
    transfer(bench, BUFFER + 10, 0x2_0000, 100, RUN | TO_MEMORY | INTERRUPT)
    bench.clock.advance(us=100)
    assert bench.read_memory(0x2_0000, 100) == data
    assert bench.read_mmio(BAR + INTERRUPT_STATUS) == 0x100
    assert edu.interrupt.asserted


def test_all_of_the_buffer(bench: Bench, edu: Any) -> None:
    data = Random("all").randbytes(BUFFER_SIZE)
    bench.write_memory(0x1_0800, data)
    transfer(bench, 0x1_0800, BUFFER, BUFFER_SIZE, RUN)
    bench.clock.advance(us=100)
    transfer(bench, BUFFER, 0x4_0123, BUFFER_SIZE, RUN | TO_MEMORY)
    bench.clock.advance(us=100)
    assert bench.read_memory(0x4_0123, BUFFER_SIZE) == data
    assert bench.guest_errors == []


@pytest.mark.parametrize("command", [RUN, RUN | TO_MEMORY])
@pytest.mark.parametrize(
    ("place", "count"),
    [
        (BUFFER - 1, 2),
        (BUFFER, BUFFER_SIZE + 1),
        (BUFFER + BUFFER_SIZE, 1),
        (BUFFER + 1, (1 << 64) - 1),
        ((1 << 64) - 1, 1),
        (0, BUFFER + 1),
    ],
)
def test_a_transfer_that_leaves_the_buffer_does_not_happen(
    bench: Bench, edu: Any, command: int, place: int, count: int
) -> None:
    before = bench.read_memory(0, 0x1_0000)
    source, destination = (place, 0x1000) if command & TO_MEMORY else (0x1000, place)
    transfer(bench, source, destination, count, command | INTERRUPT)
    bench.clock.advance(us=100)
    assert bench.read_mmio(BAR + DMA_COMMAND) & RUN == 0
    assert edu.buffer == bytes(BUFFER_SIZE)
    assert bench.read_memory(0, 0x1_0000) == before
    assert len(bench.guest_errors) == 1
    assert bench.read_mmio(BAR + INTERRUPT_STATUS) == 0x100


@pytest.mark.parametrize("place", [BAR, 0x0F00_0000])
@pytest.mark.parametrize("command", [RUN, RUN | TO_MEMORY])
def test_dma_where_no_memory_is_sets_master_abort(bench: Bench, place: int, command: int) -> None:
    """CVE-2021-3929 and its kind: its own registers are no memory either, and it isn't entered by its own DMA."""
    edu = bench.plug("edu", dma_mask=MASK_32)
    bench.place(edu, "bar0", BAR)
    source, destination = (BUFFER, place) if command & TO_MEMORY else (place, BUFFER)
    transfer(bench, source, destination, 16, command)
    bench.clock.advance(us=100)
    assert bench.config_read(edu, 0x06, 2) & MASTER_ABORT
    assert bench.read_mmio(BAR + DMA_COMMAND) & RUN == 0


def test_addresses_have_as_many_bits_as_its_engine(bench: Bench) -> None:
    edu = bench.plug("edu", dma_mask=0xF_FFFF)
    bench.place(edu, "bar0", BAR)
    bench.write_memory(0x2000, b"southbridge")
    transfer(bench, 0xABC0_2000, BUFFER, 11, RUN)
    bench.clock.advance(us=100)
    assert edu.buffer[:11] == b"southbridge"


def test_while_a_transfer_runs_its_registers_stand(bench: Bench, edu: Any) -> None:
    transfer(bench, 0x1000, BUFFER, 16, RUN)
    transfer(bench, 0x5000, BUFFER + 1, 17, RUN | TO_MEMORY)
    assert [bench.read_mmio(BAR + at, 8) for at in (DMA_SOURCE, DMA_DESTINATION, DMA_COUNT)] == [0x1000, BUFFER, 16]
    assert bench.read_mmio(BAR + DMA_COMMAND) == RUN
    assert len(bench.guest_errors) == 4


def test_a_command_without_run_is_none(bench: Bench, edu: Any) -> None:
    transfer(bench, 0x1000, BUFFER, 16, TO_MEMORY | INTERRUPT)
    assert bench.read_mmio(BAR + DMA_COMMAND) == 0


def test_addresses_may_be_written_by_halves(bench: Bench, edu: Any) -> None:
    bench.write_mmio(BAR + DMA_SOURCE, 0x89AB_CDEF)
    bench.write_mmio(BAR + DMA_SOURCE + 4, 0x0123_4567)
    assert bench.read_mmio(BAR + DMA_SOURCE, 8) == 0x0123_4567_89AB_CDEF


def test_saved_in_mid_factorial_it_finishes_elsewhere(bench: Bench, edu: Any) -> None:
    bench.write_mmio(BAR + FACTORIAL, 10)
    saved = edu.save()
    edu.reset()
    assert bench.read_mmio(BAR + FACTORIAL) == 0xFFFF_FFFF  # it decodes nothing any more
    edu.load(saved)
    bench.clock.advance(us=11)
    assert bench.read_mmio(BAR + FACTORIAL) == 3628800


def test_wrong_masks_are_refused(bench: Bench) -> None:
    for mask in (0xFFE, 1 << 64):
        with pytest.raises(SouthbridgeError, match="dma_mask"):
            bench.plug("edu", dma_mask=mask)
    assert not any(isinstance(device, Device) for device in bench.machine.devices.values())
