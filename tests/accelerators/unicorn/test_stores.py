"""Which pages the guest stored to: none missed, none reported that wasn't."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from southbridge.memory.ram import PAGE_SIZE, RamBlock
from southbridge.memory.regions import Alias, Ram

from tests.accelerators.unicorn.guest import FakeMachine, long_mode, protected_mode, real_mode

PAGES = 64
VIDEO, WINDOW = 0x40_0000, 0xA_0000
SHOWN = 16
"""Pages that the window shows."""
TABLE = 0x4000

PROGRAM = """
    mov esi, 0x4000
next:
    lodsd
    test eax, eax
    jz done
    mov ebx, eax
    and ebx, ~3
    test al, 1
    jz load
    inc byte [ebx]
    jmp next
load:
    mov cl, [ebx]
    jmp next
done:
    out 0xf4, al
    hlt
"""


class Guest:
    """A machine with video memory at VIDEO, whose first pages show at WINDOW as well, and are recorded."""

    def __init__(self, machine: FakeMachine) -> None:
        self.machine = machine
        self.block = RamBlock("video", PAGES * PAGE_SIZE)
        self.region = Ram("video", self.block)
        self.window = Alias("window", self.region, 0, SHOWN * PAGE_SIZE)
        machine.memory.root.add(VIDEO, self.region, priority=1)
        machine.memory.root.add(WINDOW, self.window, priority=1)
        machine.code(PROGRAM, bits=32)
        self.record()

    def run(self, accesses: list[tuple[int, bool]]) -> None:
        """Loads from, or increments, the byte at each address."""
        table = b"".join((address & ~3 | store).to_bytes(4, "little") for address, store in accesses)
        self.machine.write(TABLE, table + bytes(4))
        self.machine.start(protected_mode(self.machine))
        self.machine.run()

    def record(self) -> None:
        """Stores are recorded from now on."""
        with self.machine.lock:
            assert self.machine.accelerator.dirty_log_start(region=self.region)

    def stored(self) -> list[int]:
        """The pages, by number."""
        with self.machine.lock:
            found: Any = self.machine.accelerator.dirty_log_sync(region=self.region)
        return [int(page) for page in np.flatnonzero(found)]


@pytest.fixture
def guest(machine: FakeMachine) -> Guest:
    return Guest(machine)


ACCESSES = st.lists(
    st.tuples(
        st.one_of(
            st.integers(VIDEO, VIDEO + PAGES * PAGE_SIZE - 1),
            st.integers(WINDOW, WINDOW + SHOWN * PAGE_SIZE - 1),
            st.integers(0x10_0000, 0x11_0000),
        ),
        st.booleans(),
    ),
    max_size=40,
)


def pages_of(accesses: list[tuple[int, bool]]) -> list[int]:
    """The pages that these store to."""
    found = set()
    for address, store in accesses:
        start = VIDEO if address >= VIDEO else WINDOW
        if store and start <= address < start + PAGES * PAGE_SIZE and not (address < VIDEO and start == VIDEO):
            found.add((address - start) // PAGE_SIZE)
    return sorted(page for page in found if page < PAGES)


def check_rounds(make: Callable[[], FakeMachine], rounds: list[list[tuple[int, bool]]]) -> None:
    """After each round of accesses exactly those pages are reported, once."""
    machine = make()
    try:
        guest = Guest(machine)
        for accesses in rounds:
            guest.run(accesses)
            in_window = [(a, s) for a, s in accesses if a < WINDOW + SHOWN * PAGE_SIZE]
            in_video = [(a, s) for a, s in accesses if a >= VIDEO]
            assert guest.stored() == sorted({*pages_of(in_window), *pages_of(in_video)})
            assert guest.stored() == []
    finally:
        machine.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(ACCESSES, min_size=1, max_size=4))
def test_exactly_the_pages_that_were_stored_to(rounds: list[list[tuple[int, bool]]]) -> None:
    check_rounds(FakeMachine, rounds)


def test_what_was_stored_before_the_map_changed_is_not_lost(guest: Guest) -> None:
    machine = guest.machine
    guest.run([(VIDEO + 3 * PAGE_SIZE, True), (WINDOW + 5, True)])
    machine.memory.root.move(guest.region, VIDEO + 0x10_0000)
    machine.memory.root.remove(guest.window)
    guest.run([(VIDEO + 0x10_0000 + 9 * PAGE_SIZE, True), (VIDEO, True), (WINDOW + PAGE_SIZE, True)])
    assert guest.stored() == [0, 3, 9]


def test_a_window_that_moves_over_the_memory(guest: Guest) -> None:
    guest.run([(WINDOW, True)])
    guest.window.point(32 * PAGE_SIZE)
    guest.run([(WINDOW + PAGE_SIZE, True)])
    assert guest.stored() == [0, 33]


def test_no_longer_recorded_and_again(guest: Guest) -> None:
    accelerator = guest.machine.accelerator
    guest.run([(VIDEO, True)])
    with guest.machine.lock:
        accelerator.dirty_log_stop(region=guest.region)
    guest.run([(VIDEO + PAGE_SIZE, True)])
    with guest.machine.lock:
        assert accelerator.dirty_log_sync(region=guest.region) is None
    guest.record()
    assert guest.stored() == []
    guest.run([(VIDEO + 2 * PAGE_SIZE, True)])
    assert guest.stored() == [2]


def test_a_new_cpu_records_from_its_beginning(guest: Guest) -> None:
    guest.machine.new_vcpu()
    guest.run([(VIDEO + 7 * PAGE_SIZE, True)])
    assert guest.stored() == [7]


@pytest.mark.parametrize(
    "store", ["mov [rdi], rax", "stosb", "movups [rdi], xmm0", "lock xadd [rdi], eax", "push rax", "fst qword [rdi]"]
)
def test_every_kind_of_store(guest: Guest, store: str) -> None:
    """One that crosses into the next page counts for both."""
    machine = guest.machine
    machine.code(
        f"mov rdi, {VIDEO + 3 * PAGE_SIZE - 1}\n lea rsp, [rdi + 4]\n fninit\n fldz\n {store}\n out 0xf4, al\n hlt",
        bits=64,
    )
    machine.start(long_mode(machine, cr4=0x620))
    machine.run()
    assert guest.stored() == ([2] if store == "stosb" else [2, 3])


def test_code_in_recorded_memory_that_changes_itself(guest: Guest) -> None:
    machine = guest.machine
    guest.block.view[0x1000:0x1003] = bytes.fromhex("c390f4")
    machine.code(
        f"""
        mov ecx, 3
    again:
        call {VIDEO + 0x1000}
        mov byte [{VIDEO + 0x1000}], 0x90
        loop again
        out 0xf4, al
        hlt""",
        bits=32,
    )
    guest.block.view[0x1001] = 0xC3
    machine.start(protected_mode(machine))
    machine.run()
    assert guest.stored() == [1]
    assert guest.block.view[0x1000] == 0x90


def store_anywhere(machine: FakeMachine) -> None:
    """A guest that stores to the video memory here and there, and reads it."""
    machine.code(
        f"""
        mov edx, 300000
        mov ebx, 12345
    again:
        imul ebx, ebx, 1103515245
        add ebx, 12345
        mov eax, ebx
        shr eax, 8
        and eax, {PAGES * PAGE_SIZE - 4}
        mov [eax + {VIDEO}], ebx
        mov ecx, [eax + {VIDEO}]
        dec edx
        jnz again
        out 0xf4, al
        hlt""",
        bits=32,
    )
    machine.start(protected_mode(machine))


def test_nothing_is_lost_while_the_guest_runs_on(guest: Guest) -> None:
    """Somebody copies what is reported, again and again, as the guest stores: in the end the copy is the memory."""
    machine = guest.machine
    copy = bytearray(PAGES * PAGE_SIZE)
    looks = 0

    def look() -> None:
        nonlocal looks
        with machine.lock:
            for page in guest.stored():
                at = page * PAGE_SIZE
                copy[at : at + PAGE_SIZE] = guest.block.view[at : at + PAGE_SIZE]
            looks += 1

    store_anywhere(machine)
    machine.run_with(look)
    look()
    assert looks > 2
    assert copy == guest.block.view


def test_recording_begins_and_ends_while_the_guest_runs_on(guest: Guest) -> None:
    """Again and again, and what is stored after the last beginning is recorded."""
    machine = guest.machine
    rounds = 0

    def record() -> None:
        nonlocal rounds
        with machine.lock:
            machine.accelerator.dirty_log_stop(region=guest.region)
        guest.record()
        guest.stored()
        rounds += 1

    store_anywhere(machine)
    machine.run_with(record)
    assert rounds > 2
    guest.stored()
    machine.code(PROGRAM, bits=32)
    guest.run([(VIDEO + 5 * PAGE_SIZE, True)])
    assert guest.stored() == [5]


def test_a_device_that_asks_in_the_guests_own_access(guest: Guest) -> None:
    found: list[list[int]] = []
    guest.machine.add_port(0x99, write=lambda value: found.append(guest.stored()))
    store, ask = "mov byte [0], 1", "out 0x99, al"
    guest.machine.code("\n".join(("mov ax, 0xa000", "mov ds, ax", store, ask, store, ask, ask, "out 0xf4, al", "hlt")))
    guest.machine.start(real_mode())
    guest.machine.run()
    assert found == [[0], [0], []]
