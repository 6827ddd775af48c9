"""External interrupts: when the CPU takes them, with which vector, and what the interrupt controller is told."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable

import pytest
from southbridge.accelerator import ExitReason
from southbridge.memory.regions import Io
from southbridge.x86 import PendingEvent

from tests.accelerators.unicorn.guest import FakeMachine, gate, long_mode, protected_mode, real_mode

VECTOR = 32
HANDLER = 0x2000


def prepare(machine: FakeMachine, source: str, handler: str = "iret") -> None:
    """A real-mode program; writing to port 80h requests interrupt 32, whose handler notes where it came."""
    machine.code(source + "\n out 0xf4, al\n hlt")
    machine.code(
        f"push bp\n mov bp, sp\n push ax\n mov ax, [bp + 2]\n mov [0x3000], ax\n pop ax\n pop bp\n {handler}", HANDLER
    )
    machine.write(4 * VECTOR, HANDLER.to_bytes(4, "little"))
    machine.add_port(0x80, write=lambda value: machine.request(VECTOR))
    machine.start(real_mode())


@pytest.mark.parametrize(
    ("source", "taken_at"),
    [
        pytest.param("out 0x80, al\n nop\n sti\n nop\n .here: nop\n nop", 0x1005, id="sti"),
        pytest.param("out 0x80, al\n sti\n cli\n nop\n sti\n nop\n nop", 0x1007, id="sti-cli"),
        pytest.param("out 0x80, al\n sti\n mov ss, [0x3800]\n nop\n nop", 0x1007, id="sti-mov-ss"),
        pytest.param("push 0\n out 0x80, al\n sti\n pop ss\n nop\n nop", 0x1006, id="sti-pop-ss"),
        pytest.param("out 0x80, al\n push 0x200\n popf\n nop\n nop", 0x1006, id="popf"),
        pytest.param("out 0x80, al\n sti\n hlt\n nop", 0x1004, id="sti-hlt"),
    ],
)
def test_shadow(machine: FakeMachine, source: str, taken_at: int) -> None:
    """STI keeps interrupts off for one more instruction; a load of SS behind it doesn't prolong that (SDM 2B, STI)."""
    prepare(machine, source)
    machine.run(on_halt=lambda: None)
    assert machine.word(0x3000, 2) == taken_at
    assert machine.interrupt_controller.acknowledged == [VECTOR]


def test_shadow_of_a_stack_segment(machine: FakeMachine) -> None:
    """The interrupt comes while SS is being loaded, from a device."""

    def read(offset: int, size: int) -> int:
        machine.request(VECTOR)
        return 0

    machine.memory.root.add(0xB8000, Io("io", 0x1000, read, lambda offset, size, value: None), priority=1)
    prepare(machine, "sti\n mov ax, 0xb800\n mov ds, ax\n mov di, 0\n mov ss, [di]\n nop\n nop\n cli", "iret")
    machine.code("push bp\n mov bp, sp\n push word [bp + 2]\n pop word [cs:0x3000]\n pop bp\n iret", HANDLER)
    machine.run()
    assert machine.word(0x3000, 2) == 0x100C
    assert machine.interrupt_controller.acknowledged == [VECTOR]


def test_interrupts_off(machine: FakeMachine) -> None:
    prepare(machine, "cli\n out 0x80, al\n mov cx, 1000\n .l: loop .l")
    machine.run()
    assert machine.interrupt_controller.acknowledged == []
    assert machine.interrupt_controller.requests == [VECTOR]


def test_request_withdrawn(machine: FakeMachine) -> None:
    prepare(machine, "cli\n out 0x80, al\n out 0x81, al\n sti\n nop\n nop")

    def withdraw(value: int) -> None:
        machine.interrupt_controller.requests.clear()
        machine.vcpu.interrupt_changed()

    machine.add_port(0x81, write=withdraw)
    machine.run()
    assert machine.interrupt_controller.acknowledged == []


def test_vector_is_the_controllers_at_that_moment(machine: FakeMachine) -> None:
    """A more urgent request between the first and its acknowledgement goes first."""
    prepare(machine, "cli\n out 0x80, al\n out 0x81, al\n sti\n nop\n nop\n cli\n mov ax, [0x3002]", "iret")
    machine.code("mov word [0x3002], 1\n iret", 0x2100)
    machine.write(4 * 33, (0x2100).to_bytes(4, "little"))

    def more_urgent(value: int) -> None:
        machine.interrupt_controller.requests.insert(0, 33)
        machine.vcpu.interrupt_changed()

    machine.add_port(0x81, write=more_urgent)
    machine.run()
    assert machine.interrupt_controller.acknowledged[0] == 33
    assert machine.word(0x3002, 2) == 1


def test_acknowledged_before_the_handlers_first_instruction(machine: FakeMachine) -> None:
    """A second edge that comes while the handler runs is a second interrupt."""
    prepare(machine, "sti\n out 0x80, al\n nop\n cli")
    order: list[str] = []
    machine.interrupt_controller.on_acknowledge = lambda vector: order.append(f"acknowledge {vector}")
    machine.add_port(0x81, write=lambda value: order.append("handler"))
    machine.code("out 0x81, al\n iret", HANDLER)
    machine.run()
    assert order == [f"acknowledge {VECTOR}", "handler"]


def on_another_thread(call: Callable[[], None]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


@pytest.mark.parametrize("cause", ["delivery", "a20", "nmi"])
def test_request_that_the_cpu_clears_at_once(machine: FakeMachine, cause: str) -> None:
    """The CPU clears a flag of its own without a lock. Another thread's request in that moment is gone from the flags,
    before its maker can look: so the CPU is stopped, and asks the interrupt controller anew.
    """
    vcpu = machine.vcpu
    engine = vcpu._engine
    machine.start(real_mode(nmi_pending=cause == "nmi"))
    if cause == "delivery":
        machine.request(VECTOR)
        assert vcpu._acknowledge() == VECTOR
    elif cause == "a20":
        machine.accelerator.a20_changed(False)
        vcpu._catch_up()
    request = engine.request_interrupt

    def lost() -> None:
        request()
        engine.withdraw_interrupt()

    engine.request_interrupt = lost
    on_another_thread(lambda: machine.request(VECTOR))
    assert engine.mailbox.stop == 1
    engine.request_interrupt = request
    vcpu._prepare()
    assert engine.interrupt_pending


def test_request_without_danger_doesnt_stop_the_cpu(machine: FakeMachine) -> None:
    machine.start(real_mode())
    on_another_thread(lambda: machine.request(VECTOR))
    assert machine.vcpu._engine.mailbox.stop == 0
    assert machine.vcpu._engine.interrupt_pending


def test_request_withdrawn_too_late(machine: FakeMachine) -> None:
    """The CPU has decided to take the interrupt when another thread withdraws it: it gets that vector, not another."""
    machine.start(real_mode())
    machine.request(VECTOR)
    machine.interrupt_controller.requests.clear()
    on_another_thread(machine.vcpu.interrupt_changed)
    engine = machine.vcpu._engine
    assert not engine.interrupt_pending
    read = ctypes.PyDLL(str(engine.library.path)).x86_ldl_phys_x86_64  # what the CPU does then
    read.argtypes = (ctypes.c_void_p, ctypes.c_uint64)
    assert read(engine.cpu_address, engine.env.vm_vmcb + 100) == VECTOR
    assert machine.interrupt_controller.acknowledged == [VECTOR]


def test_request_during_acknowledgement(machine: FakeMachine) -> None:
    """An interrupt controller that ends interrupts by itself requests the next one at once."""
    prepare(machine, "sti\n out 0x80, al\n mov ecx, 10000000\n .l: dec ecx\n jnz .l\n cli")
    left = [100]

    def request_again(vector: int) -> None:
        if left[0]:
            left[0] -= 1
            machine.request(VECTOR)

    machine.interrupt_controller.on_acknowledge = request_again
    machine.code("inc word [0x3000]\n iret", HANDLER)
    machine.run()
    assert machine.interrupt_controller.acknowledged == [VECTOR] * 101
    assert machine.word(0x3000, 2) == 101


@pytest.mark.parametrize("bits", [16, 32, 64])
def test_requests_from_another_thread(machine: FakeMachine, bits: int) -> None:
    """None is lost, none comes twice, and registers survive them."""
    rounds = 3000
    machine.code(
        f"""
            sti
            mov eax, 0x12345678
            mov edx, eax
        again:
            cmp eax, edx
            jne wrong
            cmp word [0x3000], {rounds}
            jb again
        wrong:
            out 0xf4, al
            hlt
        """,
        bits=bits,
    )
    machine.code(
        f"inc word [{'rel ' if bits == 64 else ''}0x3000]\n iret{'' if bits == 16 else 'dq'[bits == 64]}", HANDLER, bits
    )
    if bits == 16:
        machine.write(4 * VECTOR, HANDLER.to_bytes(4, "little"))
        machine.start(real_mode())
    elif bits == 32:
        machine.write(8 * VECTOR, gate(VECTOR, HANDLER))
        machine.start(protected_mode(machine))
    else:
        machine.write(16 * VECTOR, gate(VECTOR, HANDLER, selector=0x18).ljust(16, b"\0"))
        machine.start(long_mode(machine))
    wanted = threading.Semaphore(1)
    machine.interrupt_controller.on_acknowledge = lambda vector: wanted.release()
    sent = [0]

    def send() -> None:
        if sent[0] < rounds and wanted.acquire(timeout=0.1):
            sent[0] += 1
            machine.request(VECTOR)

    machine.run_with(send)
    assert machine.word(0x3000, 2) == rounds
    assert machine.interrupt_controller.acknowledged == [VECTOR] * rounds


def test_two_sources_at_once(machine: FakeMachine) -> None:
    """Requests from other threads come at every moment of a delivery; the CPU's own accesses request too."""
    machine.code("sti\n again: out 0x81, al\n cmp word [0x3000], 4000\n jb again\n cli\n out 0xf4, al\n hlt")
    machine.code("inc word [0x3000]\n iret", HANDLER)
    machine.write(4 * VECTOR, HANDLER.to_bytes(4, "little"))
    count = [0]

    def request() -> None:
        with machine.lock:
            if count[0] < 4000 and len(machine.interrupt_controller.requests) < 3:
                count[0] += 1
                machine.request(VECTOR)

    machine.add_port(0x81, write=lambda value: request())

    def work() -> None:
        request()
        time.sleep(0)

    machine.start(real_mode())
    machine.run_with(work)
    assert len(machine.interrupt_controller.acknowledged) == count[0] == machine.word(0x3000, 2) == 4000


def test_halt_and_wake(machine: FakeMachine) -> None:
    prepare(machine, "sti\n .l: hlt\n cmp word [0x3000], 0\n je .l")
    halts = []

    def on_halt() -> None:
        halts.append(machine.vcpu.wakes())
        if len(halts) == 3:
            machine.request(VECTOR)
            assert machine.vcpu.wakes()

    machine.run(on_halt=on_halt)
    assert halts == [False] * 3
    assert machine.interrupt_controller.acknowledged == [VECTOR]


def test_halt_without_interrupts(machine: FakeMachine) -> None:
    prepare(machine, "cli\n out 0x80, al\n hlt")
    assert machine.run() is ExitReason.HALTED
    assert not machine.vcpu.wakes()
    assert machine.vcpu.save().halted


def test_nmi(machine: FakeMachine) -> None:
    """It comes in spite of IF, and once; IRET lets in the next."""
    machine.code("inc word [0x3000]\n iret", HANDLER)
    machine.write(4 * 2, HANDLER.to_bytes(4, "little"))
    machine.code("nop\n cli\n out 0xf4, al\n hlt")
    machine.start(real_mode(nmi_pending=True))
    machine.run()
    assert machine.word(0x3000, 2) == 1
    assert not machine.vcpu.save().nmi_masked


def test_nmi_wakes(machine: FakeMachine) -> None:
    machine.code("out 0xf4, al\n hlt", HANDLER)
    machine.write(4 * 2, HANDLER.to_bytes(4, "little"))
    machine.start(real_mode(nmi_pending=True, halted=True))
    machine.run()
    assert machine.vcpu.save().nmi_masked


def test_requested_nmi(machine: FakeMachine) -> None:
    """From another thread, while the guest runs with interrupts off, and while it handles another."""
    machine.code("inc word [0x3000]\n out 0x81, al\n iret", HANDLER)
    machine.write(4 * 2, HANDLER.to_bytes(4, "little"))
    seen = []

    def request() -> None:
        with machine.lock:
            machine.vcpu.request_nmi()

    def in_handler(value: int) -> None:
        seen.append(machine.vcpu.wakes())
        if machine.word(0x3000, 2) < 4:
            on_another_thread_soon(request)

    def on_another_thread_soon(call: Callable[[], None]) -> None:
        thread = threading.Thread(target=call)
        threads.append(thread)
        thread.start()

    threads: list[threading.Thread] = []
    machine.add_port(0x80, write=lambda value: on_another_thread_soon(request))
    machine.add_port(0x81, write=in_handler)
    machine.code("cli\n out 0x80, al\n again:\n cmp word [0x3000], 4\n jne again\n out 0xf4, al\n hlt")
    machine.start(real_mode())
    machine.run()
    for thread in threads:
        thread.join()
    assert machine.word(0x3000, 2) == 4
    assert seen == [False] * 4
    assert not machine.vcpu.save().nmi_pending


def test_requested_nmi_is_saved_and_wakes(machine: FakeMachine) -> None:
    machine.start(real_mode(halted=True))
    assert not machine.vcpu.wakes()
    machine.vcpu.request_nmi()
    assert machine.vcpu.wakes()
    state = machine.vcpu.save()
    assert state.nmi_pending
    assert machine.new_vcpu().save().nmi_pending is False
    machine.vcpu.load(state)
    assert machine.vcpu.wakes()


def test_no_controller(machine: FakeMachine) -> None:
    machine.interrupt_controller = None
    machine.code("sti\n nop\n out 0xf4, al\n hlt")
    machine.start(real_mode())
    machine.run()
    assert not machine.vcpu.wakes()


def test_interrupt_taken_elsewhere(machine: FakeMachine) -> None:
    """The accelerator before had acknowledged it: it is delivered, not acknowledged again."""
    prepare(machine, "nop\n cli")
    machine.start(real_mode(rflags=0x202, event=PendingEvent(VECTOR, external=True)))
    machine.run()
    assert machine.word(0x3000, 2) == 0x1000
    assert machine.interrupt_controller.acknowledged == []


def test_controller_that_raises(machine: FakeMachine) -> None:
    def fail(vector: int) -> None:
        raise RuntimeError("acknowledge")

    prepare(machine, "sti\n out 0x80, al\n jmp $")
    machine.interrupt_controller.on_acknowledge = fail
    with pytest.raises(RuntimeError, match="acknowledge"):
        machine.run()
