"""Code that changes under the CPU: by its own stores, through another address, and by DMA."""

from __future__ import annotations

import threading

import pytest

from tests.accelerators.unicorn.guest import FakeMachine, assemble, long_mode, protected_mode, real_mode


def test_self_modifying_code(machine: FakeMachine) -> None:
    """Each store changes the instruction right behind it."""
    machine.code(
        """
            xor ebx, ebx
            mov ecx, 255
        again:
            mov [patch + 1], cl
        patch:
            mov al, 0
            movzx edx, al
            add ebx, edx
            loop again
            mov [0x3000], ebx
            out 0xf4, al
            hlt
        """,
        bits=32,
    )
    machine.start(protected_mode(machine))
    machine.run()
    assert machine.word(0x3000) == 255 * 128


@pytest.mark.parametrize("no_execute", [False, True])
def test_code_changed_through_another_address(machine: FakeMachine, no_execute: bool) -> None:
    """With paging: code runs at one linear address and is written at another, many times, also beside what just ran."""
    machine.code(
        """
            mov ecx, 200
        again:
            mov [0x3fffe01], cl             ; the operand of MOV
            call 0x7ffe00
            add [0x3000], eax
            mov byte [0x3fffe10], 0         ; somewhere else in that page
            call 0x7ffe00
            add [0x3004], eax
            mov dl, cl
            not dl
            mov [0x3fffe01], dl
            call 0x7ffe00
            add [0x3008], eax
            dec ecx
            jnz again
            out 0xf4, al
            hlt
        """,
        bits=64,
    )
    machine.code("mov eax, 0\n ret", 0x7FFE00, 64)
    state = long_mode(machine)
    # The last page of the 2 MiB page at 3e00000h is the last one of memory.
    machine.write(0xB000 + 8 * 31, (0x60_0083 | no_execute << 63).to_bytes(8, "little"))
    machine.start(state)
    machine.run()
    total = sum(range(1, 201))
    assert (machine.word(0x3000), machine.word(0x3004)) == (total, total)
    assert machine.word(0x3008) == sum(255 - n for n in range(1, 201))


def test_memory_changed_behind_the_cpus_back(machine: FakeMachine) -> None:
    """Another accelerator ran meanwhile: what is loaded starts without old translations."""
    machine.code("mov dword [0x3000], 1\n out 0xf4, al\n hlt")
    machine.start(real_mode())
    machine.run()
    machine.code("mov dword [0x3000], 2\n out 0xf4, al\n hlt")
    machine.start(real_mode())
    assert not any(machine.vcpu._engine._code_pages[:0x100])
    machine.run()
    assert machine.word(0x3000) == 2


def test_many_code_pages(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that held code once are forgotten in the end; code that changes is noticed before and after."""
    monkeypatch.setattr("southbridge.accelerators.unicorn.engine.CODE_PAGES", 64)
    machine.add_port(0x80, write=lambda value: machine.vcpu.kick())
    machine.code(
        """
            mov ebx, 3
        rounds:
            mov edi, 0x100000
            mov ecx, 500
        pages:
            mov dword [edi], 0x00300005
            mov byte [edi], 0x05
            mov [edi + 1], ebx              ; ADD EAX, EBX's value
            mov byte [edi + 5], 0xc3
            call edi
            add edi, 0x1000
            loop pages
            out 0x80, al
            dec ebx
            jnz rounds
            mov [0x3000], eax
            out 0xf4, al
            jmp $
        """,
        bits=32,
    )
    state = protected_mode(machine)
    state.registers[0] = 0
    machine.start(state)
    machine.run()
    assert machine.word(0x3000) == 500 * (3 + 2 + 1)
    assert machine.vcpu._engine.mailbox.code_pages < 64


CALL = """
    mov ecx, 100
again:
    call 0x200000
    out 0x80, al
    loop again
    out 0xf4, al
    hlt
"""


@pytest.mark.parametrize("paging", [False, True])
@pytest.mark.parametrize("how", ["write", "map"])
def test_dma_over_code(machine: FakeMachine, how: str, paging: bool) -> None:
    """A device overwrites code that ran already, in a port access, at a physical address that isn't the linear one."""
    target = 0x600000 if paging else 0x200000
    count = [0]

    def store() -> None:
        count[0] += 1
        code = assemble(f"add dword [0x3000], {count[0] & 0xFF:#x}\n ret", 0x200000, 32)
        if how == "write":
            machine.accelerator.memory_write(target, code)
        else:
            mapping = machine.accelerator.memory_map(target, len(code), True)
            mapping.view[:] = code
            machine.accelerator.memory_unmap(mapping, len(code))

    store()
    machine.add_port(0x80, write=lambda value: store())
    machine.code(CALL, bits=32)
    machine.write(0xA000, (0x87).to_bytes(4, "little"))
    # 4 KiB pages for the second megabyte: 200000h is 600000h.
    machine.write(0xC000, b"".join((page << 12 | 7).to_bytes(4, "little") for page in range(1024)))
    machine.write(0xC000 + 4 * 0x200, (0x600007).to_bytes(4, "little"))
    machine.write(0xA000, (0xC007).to_bytes(4, "little"))
    more = {"cr0": 0x8000_0011, "cr3": 0xA000} if paging else {}
    machine.start(protected_mode(machine, **more))
    machine.run()
    assert machine.word(0x3000) == sum(range(1, 101))


def test_dma_over_running_code_from_another_thread(machine: FakeMachine) -> None:
    """The guest is in an endless loop; a device replaces it by one that ends."""
    machine.code("jmp $", 0x5000, 32)
    machine.code("jmp 0x5000", bits=32)
    machine.start(protected_mode(machine))
    code = assemble("out 0xf4, al\n hlt", 0x5000, 32)

    def store() -> None:
        with machine.lock:
            machine.accelerator.memory_write(0x5000, code)

    threading.Timer(0.05, store).start()
    machine.run()
    assert machine.done


def test_dma_elsewhere_doesnt_stop_the_cpu(machine: FakeMachine) -> None:
    """Pages that never held code cost nothing; what is noted about them doesn't pile up."""
    machine.code("mov ecx, 30000000\n again: dec ecx\n jnz again\n out 0xf4, al\n hlt", bits=32)
    machine.start(protected_mode(machine))
    engine = machine.vcpu._engine
    starts = [0]
    run = engine.run

    def counted() -> int:
        starts[0] += 1
        return int(run())

    engine.run = counted
    stores = [0]

    def store() -> None:
        if stores[0] < 200:
            stores[0] += 1
            with machine.lock:
                machine.accelerator.memory_write(0x400000 + 64 * stores[0], bytes(64))

    machine.run_with(store)
    assert stores[0] == 200
    assert starts[0] == 1
    for _ in range(2000):
        machine.accelerator.memory_write(0x400000, bytes(64))
    assert machine.vcpu.save()
    machine.vcpu.kick()
    machine.vcpu.run()


@pytest.mark.parametrize("size", [1, 0x1000, 0x3000, 0x400000])
def test_knows_where_code_is(machine: FakeMachine, size: int) -> None:
    machine.code("out 0xf4, al\n hlt", 0x5800)
    machine.start(real_mode(entry=0x5800))
    machine.run()
    vcpu = machine.vcpu

    def holds(offset: int) -> bool:
        ranges = vcpu._map.ram_addresses(machine.ram, [(offset, size)])
        return any(vcpu._engine.holds_code(*it) for it in ranges)

    assert holds(0x5000)
    assert holds(max(0x5FFF - size + 1, 0))
    assert not holds(0x6000)
    assert size > 0x4000 or not holds(0x1000)
