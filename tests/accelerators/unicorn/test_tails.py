"""Tail doorbells: machine code puts the values by, and the device misses nothing by that."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from southbridge import tail_doorbells
from southbridge.accelerator import ExitReason
from southbridge.accelerators.unicorn.thunks import TAIL_LIMIT, TAILS
from southbridge.memory.regions import Io
from southbridge.tail_doorbells import TailDoorbells

from tests.accelerators.unicorn.guest import FakeMachine, real_mode

TAIL, SIZE = 0x9000, 0x10
DONE_AT = 0x3800
LAST = 100


class Tail(Io):
    """A tail, and a register beside it."""

    def __init__(self, name: str = "tail") -> None:
        super().__init__(name, SIZE, self._read, self._written, widths=(1, 4))
        self.events: list[tuple[str, int]] = []
        """What happened: "tail" or "byte" or "beside" with the value, or "read"."""
        self.threads: list[str] = []
        self.last = 0
        self.others: list[Tail] = [self]
        """Whose events are these, in order."""

    @property
    def values(self) -> list[int]:
        return [value for what, value in self.events if what == "tail"]

    def _read(self, offset: int, size: int) -> int:
        self.events.append(("read", self.last))
        return self.last

    def _written(self, offset: int, size: int, value: int) -> None:
        what = "beside" if offset else "tail" if size == 4 else "byte"
        self.events.append((what, value))
        self.threads.append(threading.current_thread().name)
        if what == "tail":
            self.last = value

    def tail_doorbells(self) -> list[tuple[int, int]]:
        return [(0, 4)]


def writes(address: int = TAIL, last: int = LAST) -> str:
    """To the tail there, one after the other."""
    loop = f"%%at{address:x}"
    return f"mov eax, 1\n{loop}: mov [{address:#x}], eax\ninc eax\ncmp eax, {last}\njbe {loop}\n"


def program(body: str, *addresses: int) -> str:
    """`body`, in which `ring` is a macro with those writes to each of the addresses."""
    lines = "".join(writes(address) for address in addresses or (TAIL,))
    return f"%macro ring 0\n{lines}%endmacro\n{body}\nout 0xf4, al\njmp $"


@pytest.fixture(autouse=True)
def always_rapid(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the host."""
    monkeypatch.setattr(tail_doorbells, "RAPID_NS", 10**15)


@pytest.fixture
def tail(machine: FakeMachine) -> Iterator[Tail]:
    made = Tail()
    with machine.lock:
        machine.memory.root.add(TAIL, made, priority=1)
    yield made


@pytest.fixture
def unaided(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread looks."""
    monkeypatch.setattr(TailDoorbells, "_wake", lambda self: None)


def were_put_by(tail: Tail, written: int = LAST) -> bool:
    """Whether most of the writes didn't leave the guest."""
    return tail.values == sorted(set(tail.values)) and tail.values[-1] == written and len(tail.values) < written / 2


@pytest.mark.usefixtures("unaided")
@pytest.mark.parametrize(
    "access",
    [
        f"mov ebx, [{TAIL:#x}]",
        f"mov ebx, [{TAIL + 4:#x}]",
        f"mov [{TAIL + 4:#x}], eax",
        f"mov byte [{TAIL:#x}], 5",
        "in al, 0x99",
        "out 0x99, al",
        "mov dx, 0x99\nmov si, 0x3000\nrep outsb",
    ],
)
def test_the_last_value_comes_before_another_access(machine: FakeMachine, tail: Tail, access: str) -> None:
    def read_port() -> int:
        tail.events.append(("port", 0))
        return 0

    with machine.lock:
        machine.add_port(0x99, read_port, lambda value: read_port())
    machine.code(program(f"ring\nmov cx, 1\n{access}"))
    machine.start(real_mode())
    machine.run()
    assert were_put_by(tail)
    *_, (what, value), other = tail.events
    assert (what, value) == ("tail", LAST)
    assert other[0] != "tail"


@pytest.mark.usefixtures("unaided")
def test_the_last_value_comes_before_the_cpu_halts(machine: FakeMachine, tail: Tail) -> None:
    machine.code(program("ring\nhlt"))
    machine.start(real_mode())
    assert machine.run() is ExitReason.HALTED
    assert were_put_by(tail)


@pytest.mark.usefixtures("unaided")
def test_the_last_value_comes_before_the_cpu_is_parked(machine: FakeMachine, tail: Tail) -> None:
    """Before it is saved, or gives way to another accelerator's."""
    machine.code(program(f"ring\nmov byte [{DONE_AT:#x}], 1\njmp $"))
    machine.start(real_mode())
    exits: list[int] = []

    def kick() -> None:
        if machine.word(DONE_AT, 1):
            machine.done = True
            machine.vcpu.kick()

    assert machine.run_with(kick, lambda reason: exits.append(tail.last)) is ExitReason.KICKED
    assert exits[-1] == LAST
    assert were_put_by(tail)


def test_a_guest_that_looks_at_memory_sees_progress(machine: FakeMachine, tail: Tail) -> None:
    """It does nothing but wait for what the device writes there once it knows the tail."""
    seen = tail._written

    def write(offset: int, size: int, value: int) -> None:
        seen(offset, size, value)
        machine.write(DONE_AT, bytes([value]))

    tail.write = write
    machine.code(program(f"ring\nwait_for: cmp byte [{DONE_AT:#x}], {LAST}\njne wait_for"))
    machine.start(real_mode())
    machine.run()
    assert were_put_by(tail)
    assert tail.threads[-1] == "tail doorbells"


@pytest.mark.usefixtures("unaided")
@pytest.mark.parametrize("step", [1, 3, 50, TAIL_LIMIT - 1, TAIL_LIMIT, 1000])
def test_a_tail_doesnt_run_far_ahead(machine: FakeMachine, tail: Tail, step: int) -> None:
    last = 100 * step
    loop = f"mov eax, {step}\nagain: mov [{TAIL:#x}], eax\nadd eax, {step}\ncmp eax, {last}\njbe again"
    machine.code(f"{loop}\nout 0xf4, al\njmp $")
    machine.start(real_mode())
    machine.run()
    assert tail.values[-1] == last
    steps = [after - before for before, after in zip([0, *tail.values], tail.values, strict=False)]
    assert max(steps) <= max(TAIL_LIMIT + step, step)
    assert len(tail.values) == 100 or step < TAIL_LIMIT


@pytest.mark.usefixtures("unaided")
def test_a_tail_that_moves(machine: FakeMachine, tail: Tail) -> None:
    """What waits goes to where it was written; the new place counts from the next instruction on."""
    elsewhere = 0xA000

    def move(value: int) -> None:
        machine.memory.root.remove(tail)
        machine.memory.root.add(elsewhere, tail, priority=1)

    with machine.lock:
        machine.add_port(0x99, write=move)
    machine.code(program(f"ring\nout 0x99, al\nmov dword [{TAIL:#x}], 7\nmov dword [{elsewhere:#x}], 8"))
    machine.start(real_mode())
    machine.run()
    assert tail.values[-2:] == [LAST, 8]
    assert machine.word(TAIL) == 7


@pytest.mark.usefixtures("unaided")
@pytest.mark.parametrize("number", [2, TAILS, TAILS + 2])
def test_several(machine: FakeMachine, number: int) -> None:
    tails = [Tail(f"tail {index}") for index in range(number)]
    places = [TAIL + SIZE * index for index in range(number)]
    with machine.lock:
        for place, one in zip(places, tails, strict=True):
            machine.memory.root.add(place, one, priority=1)
    machine.code(program("ring\nring", *places))
    machine.start(real_mode())
    machine.run()
    for index, one in enumerate(tails):
        assert one.values[-1] == LAST
        assert len(one.values) == 2 * LAST or index < TAILS
    assert sum(len(one.values) < LAST for one in tails) == min(number, TAILS)


def test_once_it_is_quiet_each_leaves_the_guest_again(
    machine: FakeMachine, tail: Tail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail_doorbells, "QUIET", 1)
    body = f"ring\nwait_for: cmp byte [{DONE_AT:#x}], 1\njne wait_for\nmov dword [{TAIL:#x}], {LAST + 1}"
    machine.code(program(f"{body}\njmp $"))
    machine.start(real_mode())
    ended = threading.Event()
    end = TailDoorbells._end

    def told(self: TailDoorbells) -> None:
        end(self)
        if threading.current_thread().name == "tail doorbells":
            machine.write(DONE_AT, b"\1")
            ended.set()

    monkeypatch.setattr(TailDoorbells, "_end", told)

    def work() -> None:
        with machine.lock:
            if tail.last == LAST + 1:
                machine.done = True
                machine.vcpu.kick()

    machine.run_with(work)
    assert ended.is_set()
    assert tail.threads[-1] == threading.current_thread().name


steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["first", "second"]), st.integers(0, 300)),
        st.sampled_from([("read", 0), ("out", 0), ("beside", 1)]),
    ),
    max_size=60,
)


@settings(max_examples=25, deadline=None)
@given(steps)
def test_any_program(program: list[tuple[str, int]]) -> None:
    """At any other access each device knows just what was written to its tail before."""
    machine = FakeMachine()
    tails = {"first": Tail("first"), "second": Tail("second")}
    known: list[tuple[int, int]] = []
    expected, now = [], {"first": 0, "second": 0}
    lines = []
    for what, value in program:
        if what in tails:
            now[what] = value
            lines.append(f"mov dword [{TAIL + SIZE * (what == 'second'):#x}], {value}")
        else:
            expected.append((now["first"], now["second"]))
            lines.append({"out": "out 0x99, al", "read": "in al, 0x99", "beside": "out 0x99, al"}[what])

    def look() -> int:
        known.append((tails["first"].last, tails["second"].last))
        return 0

    with machine.lock:
        machine.memory.root.add(TAIL, tails["first"], priority=1)
        machine.memory.root.add(TAIL + SIZE, tails["second"], priority=1)
        machine.add_port(0x99, look, lambda value: look())
    try:
        machine.code("\n".join([*lines, "out 0xf4, al", "jmp $"]))
        machine.start(real_mode())
        machine.run()
    finally:
        machine.close()
    assert known == expected
    assert (tails["first"].last, tails["second"].last) == (now["first"], now["second"])
