"""Writes that don't make the CPU leave the guest, interrupts raised through descriptors, and the dirty log."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from southbridge import Device, MiB, PortBank, ShutdownReason
from southbridge.builder import build
from southbridge.description import load
from southbridge.memory.ram import PAGE_SIZE
from southbridge.memory.regions import Io, Ram

from tests.accelerators.kvm.guest import KvmMachine, need_kvm
from tests.accelerators.unicorn.guest import assemble, real_mode

BELL = 0x520
PATIENCE_S = 60.0
"""Only what hangs meets this."""


class Bell(Io):
    """A doorbell, and a coalesced register behind it."""

    def __init__(self) -> None:
        super().__init__("bell", 8, lambda offset, size: 0, self.written, widths=(4,))
        self.rung = threading.Event()
        self.values: list[int] = []
        self.threads: set[str] = set()

    def written(self, offset: int, size: int, value: int) -> None:
        if offset:
            self.values.append(value)
        else:
            assert value == 0
            self.threads.add(threading.current_thread().name)
            self.rung.set()

    def doorbells(self) -> list[tuple[int, int]]:
        return [(0, 4)]

    def coalesced(self) -> list[range]:
        return [range(4, 8)]


def test_a_doorbell_is_rung_from_another_thread(machine: KvmMachine) -> None:
    bell = Bell()
    with machine.lock:
        machine.ports.root.add(BELL, bell)
    machine.code(f"mov dx, {BELL}\nmov eax, 77\nout dx, eax\nout 0xf4, al\njmp $")
    machine.start(real_mode())
    machine.run()
    assert bell.rung.wait(PATIENCE_S)
    assert threading.current_thread().name not in bell.threads


def test_a_doorbell_that_is_rung_often_is_never_forgotten(machine: KvmMachine) -> None:
    bell = Bell()
    with machine.lock:
        machine.ports.root.add(BELL, bell)
    machine.code(f"mov dx, {BELL}\nout dx, eax\nout 0xf4, al\njmp $")
    for _ in range(50):
        bell.rung.clear()
        machine.start(real_mode())
        machine.run()
        assert bell.rung.wait(PATIENCE_S)


@pytest.mark.parametrize("count", [1, 169, 1000], ids=lambda count: f"{count} writes")
def test_coalesced_writes_come_in_order_before_the_next_exit(machine: KvmMachine, count: int) -> None:
    bell = Bell()
    seen: list[int] = []
    with machine.lock:
        machine.ports.root.add(BELL, bell)
        machine.add_port(0x99, write=lambda value: seen.extend(bell.values))
    machine.code(
        f"mov dx, {BELL + 4}\nmov eax, 1\nagain: out dx, eax\ninc eax\ncmp eax, {count}\njbe again\n"
        "out 0x99, al\nout 0xf4, al\njmp $"
    )
    machine.start(real_mode())
    machine.run()
    assert seen == list(range(1, count + 1))


def test_saving_the_cpu_delivers_what_waits(machine: KvmMachine) -> None:
    bell = Bell()
    with machine.lock:
        machine.ports.root.add(BELL, bell)
    machine.code(f"mov dx, {BELL + 4}\nmov eax, 9\nout dx, eax\nsub dx, 4\nout dx, eax\ncli\nhlt")
    machine.start(real_mode())
    machine.run()
    with machine.lock:
        machine.vcpu.save()
    assert bell.values == [9]
    assert bell.rung.is_set()


def test_the_dirty_log_has_what_the_guest_wrote_since(machine: KvmMachine) -> None:
    region = Ram("all", machine.ram)
    machine.code("mov byte [0x5000], 1\nmov byte [0x6fff], 1\nout 0xf4, al\njmp $")
    assert machine.accelerator.dirty_log_sync(region) is None
    with machine.lock:
        assert machine.accelerator.dirty_log_start(region)
    for _ in range(2):
        machine.start(real_mode())
        machine.run()
        with machine.lock:
            assert np.flatnonzero(machine.accelerator.dirty_log_sync(region)).tolist() == [5, 6]
            assert not machine.accelerator.dirty_log_sync(region).any()
    with machine.lock:
        machine.accelerator.dirty_log_stop(region)
    assert machine.accelerator.dirty_log_sync(region) is None


def test_the_dirty_log_of_a_part(machine: KvmMachine) -> None:
    region = Ram("part", machine.ram, offset=6 * PAGE_SIZE, size=2 * PAGE_SIZE)
    machine.code("mov byte [0x5000], 1\nmov byte [0x6fff], 1\nout 0xf4, al\njmp $")
    with machine.lock:
        machine.accelerator.dirty_log_start(region)
    machine.start(real_mode())
    machine.run()
    with machine.lock:
        assert machine.accelerator.dirty_log_sync(region).tolist() == [True, False]


# --- event lines, on a whole machine ------------------------------------------------------------------------------

HANDLER = """
    cli
    xor ax, ax
    mov ds, ax
    mov ss, ax
    mov sp, 0x7000
    mov word [0x0d * 4], taken
    mov [0x0d * 4 + 2], ax
    mov al, 0xdf            ; IRQ 5 alone
    out 0x21, al
    sti
    mov dx, 0x520
    out dx, al              ; have it raised
again:
    hlt
    jmp again
taken:
    mov dx, 0x524
    out dx, al
    mov al, 0x20
    out 0x20, al
    iret
    times 510 - ($ - $$) db 0
    dw 0xaa55
"""


class Raiser(Device):
    """Signals a descriptor when the guest asks for it, and ends the machine after some interrupts."""

    ports = PortBank(8)
    RAISE = ports.register(0)
    TAKEN = ports.register(4)

    def realize(self) -> None:
        """Binds the descriptor to IRQ 5."""
        self.claim_ports(self.ports, BELL)
        self.descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.taken = 0
        self.machine.event_lines.bind(self.descriptor, 5)

    @RAISE.write
    def signal(self, value: int) -> None:
        """An edge on the line."""
        threading.Thread(target=os.eventfd_write, args=(self.descriptor, 1)).start()

    @TAKEN.write
    def count(self, value: int) -> None:
        """The guest's handler ran."""
        self.taken += 1
        if self.taken == 3:
            self.machine.request_shutdown(ShutdownReason.GUEST_SHUTDOWN)
        else:
            self.signal(0)


@pytest.mark.parametrize("accelerator", ["unicorn", "{type: kvm}", "{type: kvm, kernel_irqchip: 'off'}"])
def test_an_event_descriptor_is_an_interrupt_line(tmp_path: Path, accelerator: str) -> None:
    """Whoever plays the interrupt controllers: the accelerator takes it, or a thread pulses the line."""
    if accelerator != "unicorn":
        need_kvm()
    image = tmp_path / "disk.img"
    image.write_bytes(assemble(HANDLER, 0x7C00, 16).ljust(1 * MiB, b"\0"))
    path = tmp_path / "machine.yaml"
    path.write_text(
        f"extends: pc\naccelerator: {accelerator}\nmemory: 16M\nchardevs: {{serial0: {{type: 'null'}}}}\n"
        "devices: {disk: {type: ide-hd, drive: image, bootindex: 0}}\n"
        f"blockdevs: {{image: {{type: raw, path: '{image}', overlay: true}}}}\n"
    )
    machine = build(load(str(path)), strict=True)
    raiser = Raiser("raiser")
    machine.plug(raiser)
    watchdog = threading.Timer(PATIENCE_S, machine.request_shutdown, [ShutdownReason.HOST_ERROR])
    watchdog.start()
    try:
        assert machine.run().reason is ShutdownReason.GUEST_SHUTDOWN
    finally:
        watchdog.cancel()
        machine.close()
        os.close(raiser.descriptor)
    assert raiser.taken == 3
