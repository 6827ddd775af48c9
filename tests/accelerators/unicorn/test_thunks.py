"""The machine code for AArch64 hosts, executed by Unicorn's own AArch64 CPU. (All other tests run that for x86-64.)"""

from __future__ import annotations

import ctypes
from typing import Any

import pytest
from southbridge.accelerators.unicorn import thunks, thunks_aarch64, thunks_x86_64
from southbridge.accelerators.unicorn.flags import CODE_64, HIDDEN_CS64, HIDDEN_FLAGS, HIDDEN_LMA
from southbridge.accelerators.unicorn.flags import DATA as DATA_SEGMENT
from southbridge.accelerators.unicorn.structures import CpuX86State

CODE, STACK, DATA = 0x10000, 0x20000, 0x30000
MAILBOX, STOP_REQUEST, ENV = DATA, DATA + 0x100, DATA + 0x200
HFLAGS, EFLAGS, TR_FLAGS = ENV + 8, ENV + 16, ENV + 32
CPU = DATA + 0x1000
TLB, ENTRIES, CODE_PAGES = DATA + 0x400, DATA + 0x800, DATA + 0x8000
LOGGED_PAGES, STORED_PAGES = DATA + 0xA000, DATA + 0xC000
TAIL_TABLE = DATA + 0xE000
FUNCTIONS = 0x40000
RETURN = 0x50000

TARGETS = thunks.Targets(
    mailbox=MAILBOX,
    stop_request=STOP_REQUEST,
    exit_request_offset=21,
    exception_index_offset=0x8150,
    exception_is_int_offset=0x9154,
    do_interrupt=FUNCTIONS,
    int_failed=FUNCTIONS + 0x10,
    exec_enter=FUNCTIONS + 0x20,
    debug_handler=FUNCTIONS + 0x30,
    tlb_fill=FUNCTIONS + 0x90,
    tlb_flush=FUNCTIONS + 0xA0,
    tlb_tables=TLB,
    code_pages=CODE_PAGES,
    logged_pages=LOGGED_PAGES,
    stored_pages=STORED_PAGES,
    env=ENV,
    tr_flags=TR_FLAGS,
    hflags=HFLAGS,
    eflags=EFLAGS,
    check_port_1=FUNCTIONS + 0x40,
    check_port_2=FUNCTIONS + 0x50,
    check_port_4=FUNCTIONS + 0x60,
    port_read=FUNCTIONS + 0x70,
    port_write=FUNCTIONS + 0x80,
    tail_table=TAIL_TABLE,
    tail_limit=thunks.TAIL_LIMIT,
    memory_write=FUNCTIONS + 0xB0,
)
HELPERS = thunks.HelperTargets(*(FUNCTIONS + 0x100 + 0x10 * number for number in range(13)))
NAMES = {
    value: name
    for targets in (TARGETS, HELPERS)
    for name, value in vars(targets).items()
    if FUNCTIONS <= value < FUNCTIONS + 0x200
}


class Host:
    """An AArch64 CPU that calls one of the functions."""

    def __init__(self) -> None:
        unicorn = pytest.importorskip("unicorn", reason="needs unicorn: pip install unicorn==2.1.4")
        from unicorn import arm64_const

        self.registers = arm64_const
        self.cpu = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
        for address in (CODE, STACK, DATA, FUNCTIONS, RETURN):
            self.cpu.mem_map(address, 0x10000)
        self.cpu.mem_write(FUNCTIONS, bytes.fromhex("c0035fd6") * 0x80)  # ret
        self.cpu.hook_add(unicorn.UC_HOOK_CODE, self._called, begin=FUNCTIONS, end=FUNCTIONS + 0x1FF)
        self.calls: list[tuple[str, list[int]]] = []
        self.results: dict[str, int] = {}
        self.write(MAILBOX + 4, 0xFFFF_FFFF)
        self.write(TR_FLAGS, 0x8B00)
        self.write(TR_FLAGS - 4, 0x67)

    def _called(self, cpu: Any, address: int, size: int, data: Any) -> None:
        name = NAMES[address]
        self.calls.append((name, [self.register(f"X{i}") for i in range(7 if name == "tlb_fill" else 5)]))
        if name.startswith(
            ("check", "int", "do", "debug", "tlb", "read_flags", "write_flags", "update")
        ) or name.endswith("callback"):
            for i in range(18):  # a function may leave anything in these
                self.set_register(f"X{i}", 0xDEAD_0000 + i)
        if name in self.results:
            self.set_register("X0", self.results[name])

    def register(self, name: str) -> int:
        return int(self.cpu.reg_read(getattr(self.registers, f"UC_ARM64_REG_{name}")))

    def set_register(self, name: str, value: int) -> None:
        self.cpu.reg_write(getattr(self.registers, f"UC_ARM64_REG_{name}"), value)

    def write(self, address: int, value: int) -> None:
        self.cpu.mem_write(address, value.to_bytes(4, "little"))

    def word(self, address: int) -> int:
        return int.from_bytes(self.cpu.mem_read(address, 4), "little")

    def call(self, name: str, *arguments: int) -> list[str]:
        """Calls it; gives the names of the functions that it called."""
        code = getattr(thunks.assemble("aarch64", TARGETS), name)
        assert len(code) <= 512
        return self.execute(code, *arguments)

    def call_helper(self, name: str, *arguments: int) -> list[str]:
        """Likewise for what takes the place of QEMU's helper."""
        code = thunks.assemble_helpers("aarch64", HELPERS)[HELPER_NAMES.index(name)]
        assert len(code) <= 512
        return self.execute(code, *arguments)

    def execute(self, code: bytes, *arguments: int) -> list[str]:
        self.cpu.mem_write(CODE, code)
        for i, value in enumerate(arguments):
            self.set_register(f"X{i}", value)
        self.set_register("SP", STACK + 0x8000)
        self.set_register("X30", RETURN)
        self.set_register("X19", 0x1919)
        self.set_register("X29", 0x2929)
        self.calls.clear()
        self.cpu.emu_start(CODE, RETURN, count=1000)
        assert self.register("PC") == RETURN
        assert (self.register("SP"), self.register("X19"), self.register("X29")) == (STACK + 0x8000, 0x1919, 0x2929)
        return [called for called, _ in self.calls]


@pytest.fixture
def host() -> Host:
    return Host()


def test_interrupt(host: Host) -> None:
    assert host.call("interrupt", 1, 14, CPU) == ["do_interrupt"]
    assert host.calls[0][1][0] == CPU
    assert host.word(MAILBOX + 8) == 0


def test_interrupt_by_software(host: Host) -> None:
    """While it is delivered the mailbox says so."""
    host.write(CPU + TARGETS.exception_is_int_offset, 1)
    seen = []
    called = host._called

    def look(*arguments: Any) -> None:
        seen.append(host.word(MAILBOX + 8))
        called(*arguments)

    import unicorn

    host.cpu.hook_add(unicorn.UC_HOOK_CODE, look, begin=FUNCTIONS, end=FUNCTIONS)
    assert "do_interrupt" in host.call("interrupt", 1, 0x80, CPU)
    assert seen == [0x81]
    assert host.word(MAILBOX + 8) == 0


def test_exception_during_software_interrupt(host: Host) -> None:
    host.write(MAILBOX + 8, 0x81)
    assert host.call("interrupt", 1, 13, CPU) == ["int_failed", "do_interrupt"]
    assert host.calls[1][1][0] == CPU


@pytest.mark.parametrize(("name", "arguments"), [("interrupt", (1, 14, CPU)), ("invalid", (1, CPU))])
def test_no_task_state_segment(host: Host, name: str, arguments: tuple[int, ...]) -> None:
    host.call(name, *arguments)
    assert (host.word(TR_FLAGS), host.word(TR_FLAGS - 4)) == (0x8B00, 0x67)
    host.write(TR_FLAGS, 0)
    host.call(name, *arguments)
    assert (host.word(TR_FLAGS), host.word(TR_FLAGS - 4)) == (0x8900, 0)


def test_invalid(host: Host) -> None:
    assert host.call("invalid", 1, CPU) == ["do_interrupt"]
    assert host.calls[0][1][0] == CPU
    assert host.register("X0") == 1


@pytest.mark.parametrize("stop", [0, 1])
@pytest.mark.parametrize("exception", [-1, 6])
def test_enter(host: Host, stop: int, exception: int) -> None:
    host.write(MAILBOX, stop)
    host.write(MAILBOX + 4, exception & 0xFFFF_FFFF)
    host.write(CPU + TARGETS.exception_index_offset, 0x77)
    assert host.call("enter", CPU) == ["exec_enter"]
    assert host.calls[0][1][0] == CPU
    assert host.cpu.mem_read(CPU + 21, 1)[0] == stop
    assert host.cpu.mem_read(STOP_REQUEST, 1)[0] == stop
    assert host.word(CPU + TARGETS.exception_index_offset) == (0x77 if exception < 0 else exception)
    assert host.word(MAILBOX + 4) == 0xFFFF_FFFF


def test_debug(host: Host) -> None:
    assert host.call("debug", CPU) == ["debug_handler"]
    assert host.word(MAILBOX + 12) == 1
    assert host.cpu.mem_read(STOP_REQUEST, 1)[0] == 1


LOAD, STORE, FETCH = 0, 1, 2
MODE = 1
ADDRESS, PADDR = 0x40003456, 0x12345000
ENTRY = ENTRIES + (ADDRESS >> 12 & 7) * 64


@pytest.mark.parametrize("access", [LOAD, STORE, FETCH])
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("executable", [False, True])
def test_fill(host: Host, access: int, known: bool, executable: bool) -> None:
    page = PADDR >> 12
    byte = CODE_PAGES + page // 8
    host.cpu.mem_write(byte, bytes([known << page % 8]))
    host.cpu.mem_write(TLB + 16 * MODE, (7 * 64).to_bytes(8, "little") + ENTRIES.to_bytes(8, "little"))
    host.results["tlb_fill"] = 0x101
    code = ADDRESS & ~0xFFF if executable else -1
    host.cpu.mem_write(ENTRY + 16, (code & (1 << 64) - 1).to_bytes(8, "little") + PADDR.to_bytes(8, "little"))
    arguments = [CPU, ADDRESS, 4, access, MODE, 1, 0x7777]
    expected = ["tlb_fill"]
    if access == FETCH and not known:
        expected += ["tlb_flush", "tlb_fill"]
    assert host.call("fill", *arguments) == expected
    assert [values for name, values in host.calls if name == "tlb_fill"] == [arguments] * expected.count("tlb_fill")
    assert host.register("X0") & 0xFF == 1
    assert bool(host.cpu.mem_read(byte, 1)[0] & 1 << page % 8) is (known or access == FETCH)
    assert host.word(MAILBOX + 16) == len(expected) // 2
    left = int.from_bytes(host.cpu.mem_read(ENTRY + 16, 8), "little", signed=True)
    if access == FETCH:
        assert left == code
    elif not known:
        assert left == -1
    else:
        assert left == (code if executable else (ADDRESS & ~0xFFF) | 0x800)


@pytest.mark.parametrize("access", [LOAD, STORE, FETCH])
@pytest.mark.parametrize("logged", [False, True])
def test_fill_where_stores_are_recorded(host: Host, access: int, logged: bool) -> None:
    page = PADDR >> 12
    host.cpu.mem_write(CODE_PAGES + page // 8, bytes([1 << page % 8]))
    host.cpu.mem_write(LOGGED_PAGES + page // 8, bytes([(logged << page % 8) | 1 << (page + 1) % 8]))
    host.cpu.mem_write(STORED_PAGES + page // 8, bytes([1 << (page + 2) % 8]))
    host.cpu.mem_write(TLB + 16 * MODE, (7 * 64).to_bytes(8, "little") + ENTRIES.to_bytes(8, "little"))
    host.cpu.mem_write(ENTRY, ((ADDRESS & ~0xFFF).to_bytes(8, "little")) * 3 + PADDR.to_bytes(8, "little"))
    host.results["tlb_fill"] = 0x101
    assert host.call("fill", CPU, ADDRESS, 4, access, MODE, 1, 0) == ["tlb_fill"]
    stored = host.cpu.mem_read(STORED_PAGES + page // 8, 1)[0]
    assert stored == 1 << (page + 2) % 8 | (logged and access == STORE) << page % 8
    entry = [int.from_bytes(host.cpu.mem_read(ENTRY + 8 * index, 8), "little", signed=True) for index in range(3)]
    taken = not logged or access == STORE
    assert entry == [ADDRESS & ~0xFFF, ADDRESS & ~0xFFF if taken else -1, ADDRESS & ~0xFFF]


def test_fill_that_fails(host: Host) -> None:
    """A page fault while probing: the entry isn't touched."""
    host.results["tlb_fill"] = 0x100
    assert host.call("fill", CPU, ADDRESS, 4, FETCH, MODE, 1, 0) == ["tlb_fill"]
    assert host.register("X0") & 0xFF == 0


@pytest.mark.parametrize("name", ["port_read", "port_write"])
@pytest.mark.parametrize(
    ("hflags", "eflags", "checked"),
    [
        (0, 0, False),
        (0x4000, 0x3000, False),
        (3, 0x3000, False),
        (3, 0, True),
        (1, 0x1000, False),
        (2, 0x1000, True),
        (3, 0x23000, True),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 4])
def test_port(host: Host, name: str, hflags: int, eflags: int, checked: bool, size: int) -> None:
    host.write(HFLAGS, hflags)
    host.write(EFLAGS, eflags)
    arguments = [0x1234, 0x70, size, 0x55, 0x66]
    assert host.call(name, *arguments) == [f"check_port_{size}", name][not checked :]
    assert host.calls[-1][1] == arguments
    if checked:
        assert host.calls[0][1][:2] == [ENV, 0x70]


@pytest.mark.parametrize("size", [1, 2, 4, 8])
@pytest.mark.parametrize("offset", [0x10, 0x14, 0x18, 0x20])
@pytest.mark.parametrize(
    ("known", "value"), [(0, 0), (0, 127), (0, 128), (200, 199), (0xFFFF_FFFF, 0), (7, 7), (5, 0x8000_0000)]
)
def test_a_store_where_no_memory_is(host: Host, size: int, offset: int, known: int, value: int) -> None:
    """Doorbells are at 10h and 18h behind the base."""
    base = 0xFEBC_0000
    table = thunks.tail_table()
    for number, place in enumerate((0x10, 0x18)):
        at = number * thunks.TAIL_WORDS
        table[at + thunks.TAIL_ADDRESS] = base + place
        table[at + thunks.TAIL_LAST] = 6 << 32 | 0x1234
        table[at + thunks.TAIL_KNOWN] = known
    host.cpu.mem_write(TAIL_TABLE, table.tobytes())
    arguments = [0x77, offset, size, value | 0x55 << 32, base]
    called = host.call("memory_write", *arguments)
    ahead = value - known & 0xFFFF_FFFF
    if size == 4 and offset in (0x10, 0x18) and ahead < thunks.TAIL_LIMIT:
        assert called == []
        table[(offset == 0x18) * thunks.TAIL_WORDS + thunks.TAIL_LAST] = 7 << 32 | value
    else:
        assert called == ["memory_write"]
        assert host.calls[0][1] == arguments
    assert bytes(host.cpu.mem_read(TAIL_TABLE, len(table) * 8)) == table.tobytes()


HELPER_NAMES = ("read_msr", "write_msr", "read_control", "write_control", "system_call")


@pytest.mark.parametrize("name", ["read_msr", "write_msr", "write_control"])
@pytest.mark.parametrize("answer", [thunks.DONE, thunks.ORIGINAL, thunks.FAULT])
def test_helper(host: Host, name: str, answer: int) -> None:
    host.results[f"{name}_callback"] = answer | 0x77 << 32  # an int: the upper half may hold anything
    arguments = [ENV, 4, 0x1234_5678_9ABC]
    after = {thunks.DONE: [], thunks.ORIGINAL: [name], thunks.FAULT: ["raise_exception"]}[answer]
    assert host.call_helper(name, *arguments) == [f"{name}_callback", *after]
    assert host.calls[0][1][:3] == arguments
    if answer == thunks.ORIGINAL:
        assert host.calls[1][1][:3] == arguments
    elif answer == thunks.FAULT:
        assert host.calls[1][1][:3] == [ENV, 13, RETURN]


@pytest.mark.parametrize("number", [0, 2, 3, 4, 8])
def test_reading_control_registers(host: Host, number: int) -> None:
    """CR8 is ours to answer."""
    host.results |= {"read_cr8_callback": 0x5555, "read_control": 0x6666}
    assert host.call_helper("read_control", ENV, number) == ["read_cr8_callback" if number == 8 else "read_control"]
    assert host.calls[0][1][0] == ENV
    assert host.register("X0") == (0x5555 if number == 8 else 0x6666)


@pytest.mark.parametrize("number", [0, 2, 3, 4, 8])
def test_writing_control_registers(host: Host, number: int) -> None:
    """CR2 and CR3 take anything."""
    host.results |= {"write_control_callback": thunks.DONE}
    called = "write_control" if number in (2, 3) else "write_control_callback"
    assert host.call_helper("write_control", ENV, number, 0x77) == [called]
    assert host.calls[0][1][:3] == [ENV, number, 0x77]


STATE = DATA + 0xA000
"""An x86 CPU's, as QEMU has it."""
LONG_MODE = HIDDEN_LMA | HIDDEN_CS64


@pytest.fixture
def env(host: Host) -> CpuX86State:
    """In ring 3 of 64-bit mode, at a SYSCALL."""
    env = CpuX86State(eip=0x7FFF_1234_5678, hflags=LONG_MODE | 3, efer=1, vm_vmcb=1 << 46)
    env.star, env.lstar, env.fmask = 0x23_0013 << 32, 0xFFFF_FFFF_8100_0000, 0x700
    return env


def system_call(host: Host, env: CpuX86State) -> list[str]:
    """Calls the helper; `env` is what became of it."""
    host.cpu.mem_write(STATE, bytes(env))
    host.results["read_flags"] = 0x1_0746 | 0x77 << 32
    called = host.call_helper("system_call", STATE, 2)
    ctypes.memmove(ctypes.addressof(env), bytes(host.cpu.mem_read(STATE, ctypes.sizeof(env))), ctypes.sizeof(env))
    return called


def test_system_call(host: Host, env: CpuX86State) -> None:
    env.hflags |= HIDDEN_FLAGS
    assert system_call(host, env) == ["read_flags", "write_flags", "update_hidden_flags"]
    assert [arguments[0] for _, arguments in host.calls] == [STATE] * 3
    assert host.calls[1][1][1:3] == [0x046, 0xFFFF_FFFF]
    assert (env.regs[1], env.regs[11], env.eip) == (0x7FFF_1234_567A, 0x746, 0xFFFF_FFFF_8100_0000)
    for segment, selector, flags in ((1, 0x10, CODE_64), (2, 0x18, DATA_SEGMENT)):
        found = env.segs[segment]
        assert (found.selector, found.base, found.limit, found.flags) == (selector, 0, 0xFFFF_FFFF, flags)
    assert not env.hflags & HIDDEN_FLAGS
    assert env.segs[0].limit == env.segs[3].limit == 0


@pytest.mark.parametrize(
    ("field", "value"), [("hflags", HIDDEN_LMA | 3), ("hflags", HIDDEN_CS64 | 3), ("efer", 0x500), ("vm_vmcb", 0)]
)
def test_another_system_call(host: Host, env: CpuX86State, field: str, value: int) -> None:
    """Not in 64-bit mode, or forbidden, or on a CPU that isn't ours."""
    setattr(env, field, value)
    before = bytes(env)
    assert system_call(host, env) == ["system_call"]
    assert host.calls[0][1][:2] == [STATE, 2]
    assert bytes(env) == before


def test_x86_jumps() -> None:
    code = thunks_x86_64._join("start", (b"\xe9", "end"), b"\x90" * 200, (b"\x0f\x84", "start"), "end", b"\xc3")
    assert code == b"\xe9\xce\x00\x00\x00" + b"\x90" * 200 + b"\x0f\x84\x2d\xff\xff\xff\xc3"


def test_aarch64_literals_are_aligned() -> None:
    code = thunks_aarch64._join(thunks_aarch64.Load(9, 0x1122334455667788), 0xD65F03C0, 0xD503201F)
    assert code.index((0x1122334455667788).to_bytes(8, "little")) % 8 == 0
