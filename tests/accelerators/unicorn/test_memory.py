"""Memory: ROM, devices, holes, A20, remapping under way."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from southbridge.accelerator import ExitReason
from southbridge.errors import SouthbridgeError
from southbridge.memory.ram import RamBlock
from southbridge.memory.regions import Alias, Io, Ram
from southbridge.x86 import DescriptorTable, X86State

from tests.accelerators.unicorn.guest import MEMORY, FakeMachine, assemble, long_mode, protected_mode, real_mode

WINDOW = 0xC0000


def add_rom(machine: FakeMachine, address: int = WINDOW, content: bytes = b"", **more: Any) -> Ram:
    """ROM over RAM."""
    block = RamBlock("rom", 0x4000)
    block.view[: len(content)] = content
    region = Ram("rom", block, readonly=True, **more)
    machine.memory.root.add(address, region, priority=1)
    return region


# --- ROM -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "store", ["mov byte [edi], 1", "xadd [edi], eax", "lock inc dword [edi]", "movups [edi], xmm0", "stosd"]
)
def test_stores_to_rom_are_lost(machine: FakeMachine, store: str) -> None:
    rom = add_rom(machine, content=bytes(range(64)))
    machine.code(
        f"mov edi, {WINDOW + 16}\n {store}\n mov eax, [{WINDOW + 16}]\n mov [0x3000], eax\n out 0xf4, al\n hlt", bits=32
    )
    machine.start(protected_mode(machine, cr4=0x600))
    machine.run()
    assert bytes(rom.block.view[:64]) == bytes(range(64))
    assert machine.word(0x3000) == 0x13121110
    assert machine.ram.view[WINDOW + 16] == 0


def test_stores_to_rom_that_somebody_wants(machine: FakeMachine) -> None:
    stores: list[tuple[int, int, int]] = []
    rom = add_rom(machine, content=bytes(64), on_write=lambda offset, size, value: stores.append((offset, size, value)))
    machine.code(
        f"mov dword [{WINDOW + 16}], 0x12345678\n mov byte [{WINDOW + 3}], 0xff\n mov word [{WINDOW + 6}], 0x1234\n"
        "out 0xf4, al\n hlt",
        bits=32,
    )
    machine.start(protected_mode(machine))
    machine.run()
    assert stores == [(16, 4, 0x12345678), (3, 1, 0xFF), (6, 2, 0x1234)]
    assert not any(rom.block.view)


def test_code_runs_from_rom(machine: FakeMachine) -> None:
    add_rom(machine, content=assemble("mov dword [0x3000], 1\n out 0xf4, al\n hlt", WINDOW, 32))
    machine.start(protected_mode(machine, entry=WINDOW))
    machine.run()
    assert machine.word(0x3000) == 1


# --- remapping -----------------------------------------------------------------------------------------------------


class Shadow:
    """PAM: a 16 KiB window shows ROM, or RAM, or RAM that can't be written, as a port says."""

    def __init__(self, machine: FakeMachine) -> None:
        self.machine = machine
        self.rom = add_rom(machine)
        self.rom.block.view[:4] = b"ROM!"
        machine.write(WINDOW, b"RAM!")
        ram = Ram("shadow", machine.ram)
        self.writable = Alias("writable", ram, WINDOW, 0x4000)
        self.readonly = Alias("readonly", ram, WINDOW, 0x4000, readonly=True)
        for alias in (self.writable, self.readonly):
            alias.enabled = False
            machine.memory.root.add(WINDOW, alias, priority=2)
        machine.add_port(0x59, write=self.select)

    def select(self, value: int) -> None:
        with self.machine.lock, self.machine.memory.transaction():
            self.writable.enabled, self.readonly.enabled = value == 3, value == 1


def test_remap_shows_in_the_next_instruction(machine: FakeMachine) -> None:
    Shadow(machine)
    look = "mov eax, [0xc0000]\n stosd\n"
    change = "mov al, {}\n out 0x59, al\n"
    machine.code(
        "mov edi, 0x3000\n"
        + look
        + change.format(3)
        + look
        + "mov dword [0xc0000], 'new!'\n"
        + look
        + change.format(1)
        + "mov dword [0xc0000], 'lost'\n"
        + look
        + change.format(0)
        + look
        + "out 0xf4, al\n hlt",
        bits=32,
    )
    machine.start(protected_mode(machine))
    machine.run()
    assert bytes(machine.ram.view[0x3000:0x3014]) == b"ROM!RAM!new!new!ROM!"


def paged(machine: FakeMachine) -> X86State:
    """In 32-bit mode with paging: linear 200000h is the window, and its own addresses aren't mapped."""
    machine.write(0xA000, (0xC007).to_bytes(4, "little"))
    table = [page << 12 | 7 for page in range(1024)]
    table[0xC0:0xC4] = [0] * 4
    table[0x200:0x204] = [WINDOW + (page << 12) | 7 for page in range(4)]
    machine.write(0xC000, b"".join(entry.to_bytes(4, "little") for entry in table))
    return protected_mode(machine, cr0=0x8000_0011, cr3=0xA000)


@pytest.mark.parametrize("paging", [False, True])
def test_remap_of_translated_code(machine: FakeMachine, paging: bool) -> None:
    """The same addresses run ROM's code, then RAM's, then ROM's."""
    shadow = Shadow(machine)
    for view, text in ((shadow.rom.block.view[0:], "o"), (machine.ram.view[WINDOW:], "a")):
        code = assemble(f"mov al, '{text}'\n out 0xe9, al\n ret", WINDOW, 32)
        view[: len(code)] = code
    window = 0x200000 if paging else WINDOW
    machine.code(
        f"""
            mov ecx, 100
        again:
            mov al, 0
            out 0x59, al
            call {window}
            mov al, 3
            out 0x59, al
            call {window}
            loop again
            out 0xf4, al
            hlt
        """,
        bits=32,
    )
    machine.start(paged(machine) if paging else protected_mode(machine))
    machine.run()
    assert machine.log == b"oa" * 100


def test_memory_goes_away_with_paging(machine: FakeMachine) -> None:
    """A linear address that was in use reads as ones when its memory is gone."""
    block = RamBlock("card", 0x10000)
    region = Ram("card", block)
    machine.memory.root.add(0x1000_0000, region)
    machine.add_port(0x80, write=lambda value: setattr(region, "enabled", False))
    state = paged(machine)
    machine.write(0xC000 + 4 * 0x300, (0x1000_0007).to_bytes(4, "little"))
    machine.code(
        "mov eax, [0x300000]\n mov [0x3000], eax\n out 0x80, al\n mov eax, [0x300000]\n mov [0x3004], eax\n"
        "mov dword [0x300000], 5\n out 0xf4, al\n hlt",
        bits=32,
    )
    block.view[:4] = b"card"
    machine.start(state)
    machine.run()
    assert bytes(machine.ram.view[0x3000:0x3008]) == b"card\xff\xff\xff\xff"
    assert bytes(block.view[:4]) == b"card"


def test_remap_with_paging_leaves_the_guest_alone(machine: FakeMachine) -> None:
    """Unicorn takes the unmapped address for a linear one; its page fault isn't the guest's."""
    Shadow(machine)
    machine.code("mov al, 3\n out 0x59, al\n mov eax, [0x3004]\n mov ax, 0x1238\n mov fs, ax\n hlt", bits=64)
    machine.code("add rsp, 8\n mov rax, cr2\n mov [0x3000], rax\n out 0xf4, al\n hlt", 0x2000, 64)
    machine.write(16 * 13, (0x2000 | 0x18 << 16 | 0x8E << 40).to_bytes(16, "little"))
    state = long_mode(machine, cr2=0x1234)
    machine.write(0xB000 + 0, (0xD003).to_bytes(8, "little"))  # 4 KiB pages; the window's aren't present
    machine.write(0xD000, b"".join((page << 12 | 3).to_bytes(8, "little") for page in range(0x80)))
    machine.start(state)
    machine.run()
    assert machine.word(0x3000, 8) == 0x1234


def test_remap_from_another_thread(machine: FakeMachine) -> None:
    shadow = Shadow(machine)
    machine.code("again: cmp dword [0xc0000], 'RAM!'\n jne again\n out 0xf4, al\n hlt", bits=32)
    machine.start(protected_mode(machine))
    threading.Timer(0.05, shadow.select, (3,)).start()
    machine.run()
    assert machine.done


def test_remap_while_the_guest_runs_there(machine: FakeMachine) -> None:
    """Another thread swaps ROM and RAM with the same loop in both, thousands of times."""
    shadow = Shadow(machine)
    code = assemble("add dword [0x3000], 1\n dec ecx\n jnz 0xc0000\n out 0xf4, al\n hlt", WINDOW, 32)
    shadow.rom.block.view[: len(code)] = code
    machine.write(WINDOW, code)
    state = protected_mode(machine, entry=WINDOW)
    state.registers[1] = 3_000_000
    machine.start(state)
    kind = [0]

    def swap() -> None:
        kind[0] ^= 3
        shadow.select(kind[0])

    machine.run_with(swap)
    assert machine.word(0x3000) == 3_000_000


# --- devices and nothing -------------------------------------------------------------------------------------------


def test_device_memory(machine: FakeMachine) -> None:
    accesses: list[tuple[int, ...]] = []

    def read(offset: int, size: int) -> int:
        accesses.append((offset, size))
        return 0x8877_6655_4433_2211 >> 8 * (offset & 7)

    def write(offset: int, size: int, value: int) -> None:
        accesses.append((offset, size, value))

    machine.memory.root.add(0xFED00000, Io("io", 0x1000, read, write))
    machine.code(
        """
            mov rdi, 0xfed00000
            mov al, [rdi]
            mov ax, [rdi + 2]
            mov eax, [rdi + 4]
            mov [0x3000], eax
            mov dword [rdi + 8], 0x12345678
            mov byte [rdi + 12], 0x99
            or word [rdi + 0x10], 0x8000
            out 0xf4, al
            hlt
        """,
        bits=64,
    )
    state = long_mode(machine)
    machine.write(0xA018, (0xE003).to_bytes(8, "little"))  # the fourth gigabyte, in pages of 2 MiB
    machine.write(0xE000, b"".join((0xC000_0000 + (page << 21) | 0x83).to_bytes(8, "little") for page in range(512)))
    machine.start(state)
    machine.run()
    assert accesses == [(0, 1), (2, 2), (4, 4), (8, 4, 0x12345678), (12, 1, 0x99), (16, 2), (16, 2, 0xA211)]
    assert machine.word(0x3000) == 0x88776655


@pytest.mark.parametrize("address", [MEMORY, MEMORY + 0xFFC, 0x1000_0000, 0xFFFF_FFFC])
def test_nothing_reads_as_ones(machine: FakeMachine, address: int) -> None:
    machine.code(f"mov dword [{address}], 5\n mov eax, [{address}]\n mov [0x3000], eax\n out 0xf4, al\n hlt", bits=32)
    machine.start(protected_mode(machine))
    machine.run()
    assert machine.word(0x3000) == 0xFFFF_FFFF


@pytest.mark.parametrize("bits", [40, 36])
def test_nothing_above_4_gib(machine: FakeMachine, bits: int) -> None:
    machine.code("mov eax, [0x3fffff8]\n mov [0x3000], eax\n mov [0x3fffff8], eax\n out 0xf4, al\n hlt", bits=64)
    state = long_mode(machine)
    machine.write(0xB000 + 8 * 31, ((1 << bits) - (1 << 21) | 0x83).to_bytes(8, "little"))
    machine.start(state)
    machine.run()
    assert machine.word(0x3000) == 0xFFFF_FFFF


def test_physical_address_beyond_the_cpu(machine: FakeMachine) -> None:
    """A reserved bit in the page table: a page fault."""
    machine.code("mov eax, [0x3fffff8]", bits=64)
    machine.code("pop qword [0x3000]\n out 0xf4, al\n hlt", 0x2000, 64)
    state = long_mode(machine)
    machine.write(16 * 14, (0x2000 | 0x18 << 16 | 0x8E << 40).to_bytes(16, "little"))
    machine.write(0xB000 + 8 * 31, (1 << 46 | 0x83).to_bytes(8, "little"))
    machine.start(state)
    machine.run()
    assert machine.word(0x3000, 8) == 9


def test_page_tables_nowhere(machine: FakeMachine) -> None:
    """CR3 points at nothing, or, by a lucky guess, at the page that serves interrupts: the guest harms only itself."""
    for cr3 in (0x4000_0000, 1 << 46, machine.vcpu._engine.env.vm_vmcb):
        machine.code("nop", bits=64)
        state = long_mode(machine, cr3=cr3, rflags=0x202)
        machine.start(state)
        machine.request(32)
        assert machine.run() is ExitReason.SHUTDOWN
        machine.interrupt_controller.requests.clear()


def test_access_across_the_end_of_memory(machine: FakeMachine) -> None:
    machine.code(
        f"mov eax, [{MEMORY - 2}]\n mov [0x3000], eax\n mov dword [{MEMORY - 2}], 0x44332211\n out 0xf4, al\n hlt",
        bits=32,
    )
    machine.write(MEMORY - 2, b"\x55\x66")
    machine.start(protected_mode(machine))
    machine.run()
    assert machine.word(0x3000) == 0xFFFF6655
    assert bytes(machine.ram.view[-2:]) == b"\x11\x22"


@pytest.mark.parametrize("address", [0x1000_0000, MEMORY - 1])
def test_execution_of_nothing(machine: FakeMachine, address: int) -> None:
    """Ones are an undefined instruction. Also where RAM ends in the middle of one."""
    machine.ram.view[-1] = 0xFF
    machine.code("pop dword [0x3000]\n out 0xf4, al\n hlt", 0x2000, 32)
    machine.write(8 * 6, (0x2000 | 8 << 16 | 0x8E << 40).to_bytes(8, "little"))
    machine.start(protected_mode(machine, entry=address))
    machine.run()
    assert machine.word(0x3000) == address


def test_execution_in_device_memory(machine: FakeMachine) -> None:
    code = assemble("mov eax, 0x12345678\n mov [0x3000], eax\n out 0xf4, al\n hlt", 0x1000_0000, 32).ljust(32, b"\0")
    region = Io(
        "io",
        0x1000,
        lambda offset, size: int.from_bytes(code[offset : offset + size], "little"),
        lambda offset, size, value: None,
    )
    machine.memory.root.add(0x1000_0000, region)
    machine.start(protected_mode(machine, entry=0x1000_0000))
    machine.run()
    assert machine.word(0x3000) == 0x12345678


def test_memory_appears_where_the_guest_looked_before(machine: FakeMachine) -> None:
    block = RamBlock("late", 0x10000)
    block.view[:4] = b"here"
    machine.add_port(0x80, write=lambda value: machine.memory.root.add(0x1000_8000, Ram("late", block)))
    machine.code(
        "mov eax, [0x10008000]\n out 0x80, al\n mov eax, [0x10008000]\n mov [0x3000], eax\n"
        "mov eax, [0x10007ffc]\n mov [0x3004], eax\n out 0xf4, al\n hlt",
        bits=32,
    )
    machine.start(protected_mode(machine))
    machine.run()
    assert bytes(machine.ram.view[0x3000:0x3008]) == b"here\xff\xff\xff\xff"


def test_ram_above_4_gib(machine: FakeMachine) -> None:
    block = RamBlock("high", 6 << 30)
    machine.memory.root.add(1 << 32, Ram("high", block))
    machine.code("mov rax, [0x3ffff00]\n inc rax\n mov [0x3ffff00], rax\n out 0xf4, al\n hlt", bits=64)
    state = long_mode(machine)
    machine.write(0xB000 + 8 * 31, ((1 << 32) + (5 << 30) | 0x83).to_bytes(8, "little"))
    at = (5 << 30) + 0x1FFF00
    block.view[at : at + 2] = b"\xff\x01"
    machine.start(state)
    machine.run()
    assert bytes(block.view[at : at + 2]) == b"\x00\x02"


def test_ram_beyond_the_cpus_reach_is_refused(machine: FakeMachine) -> None:
    machine.memory.root.add((1 << 40) - 0x1000, Ram("far", RamBlock("far", 0x2000)))
    machine.start(real_mode())
    with pytest.raises(SouthbridgeError, match="beyond"):
        machine.vcpu.run()


# --- A20 -----------------------------------------------------------------------------------------------------------


def test_a20_in_a_port_access(machine: FakeMachine) -> None:
    machine.add_port(0x92, write=lambda value: machine.accelerator.a20_changed(bool(value & 2)))
    machine.code(
        """
            mov ax, 0xffff
            mov ds, ax
            mov word [0x7010], 0x1111       ; 107000h
            mov al, 0
            out 0x92, al
            mov word [0x7010], 0x2222       ; 7000h
            mov al, 2
            out 0x92, al
            mov ax, [0x7010]
            mov [cs:0x3000], ax
            out 0xf4, al
            hlt
        """
    )
    machine.start(real_mode(a20=True))
    machine.run()
    assert machine.word(0x3000, 2) == 0x1111
    assert (machine.word(0x7000, 2), machine.word(0x107000, 2)) == (0x2222, 0x1111)
    assert machine.vcpu.save().a20


def test_a20_from_another_thread(machine: FakeMachine) -> None:
    machine.write(0x100000, b"\x01")
    machine.code("again: cmp byte [0x100000], 0\n jne again\n out 0xf4, al\n hlt", bits=32)
    machine.start(protected_mode(machine))

    def close() -> None:
        with machine.lock:
            machine.accelerator.a20_changed(False)

    threading.Timer(0.05, close).start()
    machine.run()
    assert machine.done
    assert not machine.vcpu.save().a20


def test_interrupt_table_in_device_memory(machine: FakeMachine) -> None:
    """The CPU reads a gate from a device, in the middle of delivering an interrupt."""
    gate = (0x2000 | 8 << 16 | 0x8E << 40).to_bytes(8, "little")
    region = Io(
        "io",
        0x1000,
        lambda offset, size: int.from_bytes(gate[offset & 7 : (offset & 7) + size], "little"),
        lambda offset, size, value: None,
    )
    machine.memory.root.add(0x1000_0000, region)
    machine.code("out 0xf4, al\n hlt", 0x2000, 32)
    machine.code("sti\n jmp $", bits=32)
    machine.start(protected_mode(machine, idtr=DescriptorTable(0x1000_0000, 0x7FF)))
    machine.request(32)
    machine.run()
    assert machine.interrupt_controller.acknowledged == [32]
