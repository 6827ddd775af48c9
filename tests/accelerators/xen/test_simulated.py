"""A guest on the simulated hypervisor that does, or to which is done, what no well-behaved one does."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from southbridge import Machine, vcpus
from southbridge.accelerators.unicorn import UnicornAccelerator
from southbridge.accelerators.xen import XenAccelerator
from southbridge.accelerators.xen.hypervisor import PAGE_SIZE
from southbridge.accelerators.xen.ioreq import RING_SLOTS, Kind
from southbridge.accelerators.xen.simulated.domain import Domain
from southbridge.accelerators.xen.simulated.events import EventChannels
from southbridge.board import MemoryRange
from southbridge.errors import GuestMemoryError
from southbridge.life import ShutdownReason
from southbridge.memory.ram import RamBlock
from southbridge.memory.regions import Io, Ram
from southbridge.units import KiB, MiB
from southbridge.x86 import X86State

CODE = 0x1000
COUNTER, PROBE = 0x2000, 0x3000
PROGRAM = bytes.fromhex(
    "31c0 8ed8"  # xor ax, ax; mov ds, ax
    "ba0005"  # mov dx, 500h
    "ec"  # again: in al, dx
    "42 ee 4a"  # inc dx; out dx, al; dec dx
    "a00030 a20120"  # mov al, [PROBE]; mov [COUNTER + 1], al
    "fe060020"  # inc byte [COUNTER]
    "ebf0"  # jmp again
)
"""Reads port 500h, writes what it got to port 501h, copies a byte of memory, counts; for ever."""


class Guest:
    """A machine with 4 MiB and two ports, and its one CPU, which runs PROGRAM."""

    def __init__(self, *, strict: bool = False) -> None:
        machine = self.machine = Machine(name="guest", memory=4 * MiB, strict=strict)
        machine.memory.root.add(0, Ram("ram", machine.ram))
        machine.memory_map.append(MemoryRange(0, 4 * MiB))
        machine.ports.root.add(0x500, Io("ports", 2, self._read, self._write, widths=(1,)))
        machine.boot = cast(Any, SimpleNamespace(start=self._start))
        self.accelerator = XenAccelerator(hypervisor="simulated", bucket=64 * KiB, budget=MiB)
        machine.set_accelerator(self.accelerator)
        assert isinstance(self.accelerator._domain, Domain)
        self.domain = self.accelerator._domain
        self.on_read: Callable[[], None] = lambda: None
        self.written: list[int] = []
        self._wrote = threading.Condition(machine.lock)
        self._thread = threading.Thread(target=machine.run)

    def _start(self, machine: Machine) -> X86State:
        machine.hooks.memory_write(CODE, PROGRAM)
        machine.hooks.memory_write(PROBE, b"\x5a")
        state = X86State()
        state.start_at(CODE >> 12)
        return state

    def _read(self, offset: int, size: int) -> int:
        self.on_read()
        return 0x42

    def _write(self, offset: int, size: int, value: int) -> None:
        self.written.append(value)
        self._wrote.notify_all()

    def start(self) -> None:
        self._thread.start()
        self.goes_on()

    def goes_on(self, rounds: int = 3) -> list[int]:
        """Waits for some more rounds of the program's loop: what the guest reported in them."""
        with self._wrote:
            before = len(self.written)
            assert self._wrote.wait_for(lambda: len(self.written) >= before + rounds, 20)
            return self.written[before:]

    def tamper(self, with_page: Callable[[memoryview], None]) -> None:
        """Changes the next request in the shared page before the device model can see it."""
        events, real = self.domain.events, self.domain.events.ask

        def ask(port: int) -> None:
            events.ask = real  # type: ignore[method-assign]
            with_page(self.domain.requests.page)
            real(port)

        events.ask = ask  # type: ignore[assignment,method-assign]

    def stop(self) -> None:
        self.machine.request_shutdown(ShutdownReason.HOST_QUIT)
        self._thread.join(30)
        assert not self._thread.is_alive()
        self.machine.close()


@pytest.fixture(params=["at once", "by a thread"])
def delivery(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are served on the CPU's own thread, or by one that waits for events, as with the real Xen."""
    if request.param == "by a thread":
        monkeypatch.setattr(EventChannels, "deliver_to", lambda events, take: None)


@pytest.fixture
def guest(delivery: None) -> Iterator[Guest]:
    made = Guest()
    made.start()
    yield made
    made.stop()


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "southbridge.guest_errors"]


def test_requests_reach_the_device_and_answers_the_guest(guest: Guest) -> None:
    assert set(guest.goes_on(20)) == {0x42}


def test_what_nobody_has_reads_as_ones(guest: Guest) -> None:
    requests = guest.domain.requests
    for size in (1, 2, 4):
        assert requests.port_read(0x7000, size) == requests.memory_read(0xE000_0000, size) == (1 << 8 * size) - 1


def test_garbage_in_the_request_page_is_one_log_line(guest: Guest, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "southbridge.guest_errors")

    def scribble(page: memoryview) -> None:
        page[0:24] = b"\xa5" * 24
        page[31] = 0x77

    for _ in range(3):
        guest.tamper(scribble)
        guest.goes_on()
    assert lines(caplog) == ["ioreq: a request of type 119"]
    assert guest.accelerator.server.nonsense == 3
    assert set(guest.goes_on()) == {0x42}


def test_a_flood_of_buffered_requests(guest: Guest) -> None:
    """The ring is full again and again; what the CPU asks for is served all the same, and none is lost."""
    seen: list[int] = []
    guest.machine.ports.root.add(0x600, Io("bell", 1, lambda offset, size: 0, lambda o, s, v: seen.append(v)))
    sent = 0
    while sent < 4 * RING_SLOTS:
        with guest.machine.lock:
            while guest.domain.requests.send_buffered(Kind.PORT, 0x600, 1, sent & 0xFF):
                sent += 1
        guest.goes_on(1)
    guest.goes_on()
    assert seen == [number & 0xFF for number in range(sent)]


def test_a_request_that_changes_after_it_was_sent(guest: Guest) -> None:
    """What was taken is what is served, whatever becomes of the page meanwhile."""
    changed = []

    def change() -> None:
        page = guest.domain.requests.page
        page[0:24] = b"\xff" * 24
        page[31] = 0xFF
        changed.append(True)

    guest.on_read = change
    assert set(guest.goes_on(10)) == {0x42}
    assert changed
    assert guest.accelerator.server.nonsense == 0


def test_memory_that_is_ballooned_out_under_a_mapping(guest: Guest) -> None:
    hooks, machine = guest.machine.hooks, guest.machine
    with machine.lock:
        mapping = hooks.memory_map(0x20_0000, 100, True)
        mapping.view[:4] = b"held"
        guest.domain.balloon(0x200, 16)
    guest.goes_on()
    assert guest.accelerator.cache.statistics.invalidations > 0
    with machine.lock:
        assert bytes(mapping.view[:4]) == b"held"  # it is still there for whoever has it
        hooks.memory_unmap(mapping, 4)
        with pytest.raises(GuestMemoryError):
            hooks.memory_read(0x20_0000, 4)
        assert hooks.memory_read(0x21_0000, 4) == bytes(4)
    assert set(guest.goes_on()) == {0x42}


def test_what_devices_write_is_what_the_guest_reads(guest: Guest) -> None:
    with guest.machine.lock:
        guest.machine.hooks.memory_write(PROBE, b"\xa5")
    guest.goes_on()
    with guest.machine.lock:
        assert guest.machine.hooks.memory_read(COUNTER + 1, 1) == b"\xa5"


def test_code_that_a_device_writes_over(guest: Guest) -> None:
    """The CPU doesn't go on with what it has translated."""
    with guest.machine.lock:
        other = bytes.fromhex("ba0105 b077 ee ebf8")  # again: mov dx, 501h; mov al, 77h; out dx, al; jmp again
        guest.machine.hooks.memory_write(CODE + PROGRAM.index(b"\xec"), other)
    assert 0x77 in guest.goes_on(8)


def test_mapping_is_limited_and_fails(guest: Guest) -> None:
    memory, hooks = guest.domain.memory, guest.machine.hooks
    with guest.machine.lock:
        guest.accelerator.cache.invalidate()
        memory.limit = 2 * 64 * KiB // PAGE_SIZE
        for address in range(MiB, 4 * MiB, 64 * KiB):
            assert len(hooks.memory_read(address, 8)) == 8
        assert memory.mapped <= memory.limit
        assert guest.accelerator.cache.statistics.evictions > 0
        memory.refused = {0x300}
        with pytest.raises(GuestMemoryError):
            hooks.memory_read(0x30_0000, 8)
        memory.refused, memory.limit = set(), None
        assert len(hooks.memory_read(0x30_0000, 8)) == 8
    guest.goes_on()


def test_memory_that_a_cpu_writes_to_stays_where_it_is(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it writes while memory moves would be lost."""
    monkeypatch.setattr(RamBlock, "_move_to", lambda block, descriptor: pytest.fail("it moves"))
    with guest.machine.lock:
        assert guest.machine.hooks.memory_read(PROBE, 1) == b"\x5a"
    guest.goes_on()


def test_dma_beyond_all_addresses_is_refused(guest: Guest) -> None:
    hooks = guest.machine.hooks
    for access in (
        lambda: hooks.memory_read(1 << 60, 4),
        lambda: hooks.memory_write((1 << 52) - 1, b"xy"),
        lambda: hooks.memory_map(1 << 52, 4, True),
    ):
        with pytest.raises(GuestMemoryError):
            access()


def test_it_is_paused_and_goes_on(guest: Guest) -> None:
    for _ in range(20):
        guest.machine.pause()
        before = len(guest.written)
        assert len(guest.written) == before
        guest.machine.resume()
        guest.goes_on(1)


def test_which_pages_it_stores_to(guest: Guest) -> None:
    """At first all of the range's; then just the counter's, until other memory has come there."""
    model, first, pages = guest.domain.device_model, CODE // PAGE_SIZE, 16

    def stored() -> list[int]:
        bitmap = model.track_dirty_vram(first, pages)
        guest.goes_on()
        return [first + at for at in range(pages) if bitmap[at // 8] >> at % 8 & 1]

    everywhere = list(range(first, first + pages))
    assert stored() == everywhere
    for _ in range(3):
        assert stored() == [COUNTER // PAGE_SIZE]
    guest.domain.balloon(first + 8, 1)
    assert stored() == everywhere
    assert stored() == [COUNTER // PAGE_SIZE]
    assert model.track_dirty_vram(0, 0) == b""
    with pytest.raises(OSError, match="Invalid argument"):
        model.track_dirty_vram(0xF_0000, 1)


def test_exchanged_for_the_software_cpu_and_back(guest: Guest) -> None:
    for _ in range(5):
        guest.machine.swap_accelerator(UnicornAccelerator())
        guest.goes_on()
        guest.machine.swap_accelerator(XenAccelerator(hypervisor="simulated"))
        assert set(guest.goes_on()) == {0x42}


def test_video_memory_goes_from_domain_to_domain(guest: Guest) -> None:
    """What the guest draws is what a display sees, also when the domain before is given up."""
    video = Ram("video", RamBlock("video", 64 * KiB))
    with guest.machine.lock:
        guest.machine.memory.root.add(8 * MiB, video)
    for number in range(1, 4):
        with guest.machine.lock:
            guest.domain.inner.memory.write(8 * MiB + number, 1, number)
            assert bytes(video.block.view[: number + 1]) == bytes(range(number + 1))
        accelerator = XenAccelerator(hypervisor="simulated")
        guest.machine.swap_accelerator(accelerator)
        assert isinstance(accelerator._domain, Domain)
        guest.domain = accelerator._domain
    guest.machine.swap_accelerator(UnicornAccelerator())
    with guest.machine.lock:
        guest.machine.memory.write(8 * MiB, 1, 0xFF)
        assert bytes(video.block.view[:4]) == b"\xff\1\2\3"
    guest.goes_on()


def test_a_device_model_that_never_answers_holds_nobody_up(
    guest: Guest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(vcpus, "PATIENCE", 0.5)
    asked = threading.Event()
    monkeypatch.setattr(guest.domain.events, "ask", lambda port: asked.set())
    assert asked.wait(10)
    monkeypatch.setattr(vcpus, "PATIENCE", 2)
    guest.domain._cpus.pause(0)
    assert "doesn't answer" in caplog.text


def test_a_device_that_raises_ends_a_strict_machine(delivery: None, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody waits for the CPU, whose request isn't answered by the device."""

    def fail() -> None:
        raise ZeroDivisionError("a fault")

    guest = Guest(strict=True)
    guest.on_read = fail
    with pytest.raises(ZeroDivisionError, match="a fault"):
        guest.machine.run()
    guest.machine.close()
    assert "doesn't answer" not in caplog.text
