"""Tail doorbells: the last value of many counts, without an exit for each."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from southbridge import tail_doorbells as tails
from southbridge.memory.regions import Io

from tests.accelerators.kvm.guest import KvmMachine
from tests.accelerators.unicorn.guest import real_mode

TAIL = 0x9000
LAST = 2000
PATIENCE_S = 60.0
"""Only what hangs meets this."""

WRITES = f"""
    mov eax, 1
again:
    mov [{TAIL:#x}], eax
    inc eax
    cmp eax, {LAST}
    jbe again
"""


class Tail(Io):
    """A tail, and a register beside it."""

    def __init__(self) -> None:
        super().__init__("tail", 8, lambda offset, size: self.values[-1], self.written, widths=(4,))
        self.values: list[int] = []
        self.threads: list[str] = []
        self.complete = threading.Event()

    def written(self, offset: int, size: int, value: int) -> None:
        self.values.append(value)
        self.threads.append(threading.current_thread().name)
        if value == LAST:
            self.complete.set()

    def tail_doorbells(self) -> list[tuple[int, int]]:
        return [(0, 4)]


@pytest.fixture
def tail(machine: KvmMachine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tail]:
    """Any number of writes is a rapid one, however busy the host."""
    monkeypatch.setattr(tails, "RAPID_NS", 10**15)
    made = Tail()
    with machine.lock:
        machine.memory.root.add(TAIL, made, priority=1)
    yield made


def test_what_comes_before_another_access_is_the_last_value(machine: KvmMachine, tail: Tail) -> None:
    seen: list[int] = []
    with machine.lock:
        machine.add_port(0x99, write=lambda value: seen.append(tail.values[-1]))
    machine.code(f"{WRITES}\nout 0x99, al\nmov ebx, [{TAIL + 4:#x}]\nout 0xf4, al\njmp $")
    machine.start(real_mode())
    machine.run()
    assert seen == [LAST]
    assert machine.vcpu.save().registers[3] == LAST
    assert tail.values == sorted(set(tail.values))
    assert tail.values[: tails.MANY] == list(range(1, tails.MANY + 1))
    assert len(tail.values) < LAST / 2


def test_it_comes_though_the_guest_does_nothing_more(machine: KvmMachine, tail: Tail) -> None:
    machine.code(f"{WRITES}\njmp $")
    machine.start(real_mode())
    runs = threading.Thread(target=machine.run)
    runs.start()
    arrived = tail.complete.wait(PATIENCE_S)
    machine.done = True
    machine.vcpu.kick()
    runs.join()
    assert arrived
    assert "tail doorbells" in tail.threads


def test_once_it_is_quiet_each_is_an_exit_again(
    machine: KvmMachine, tail: Tail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tails, "QUIET", 1)
    quiet = threading.Event()
    monkeypatch.setattr(tails.TailDoorbells, "_end", told(tails.TailDoorbells._end, quiet))
    machine.code(f"{WRITES}\nout 0xf4, al\njmp $")
    machine.start(real_mode())
    machine.run()
    with machine.lock:
        quiet.clear()
        waiting = bool(machine.accelerator.events.zones)
    assert not waiting or quiet.wait(PATIENCE_S)
    assert not machine.accelerator.events.zones
    tail.threads.clear()
    machine.code(f"mov eax, 5\nmov [{TAIL:#x}], eax\nout 0xf4, al\njmp $")
    machine.start(real_mode())
    machine.run()
    assert tail.values[-1] == 5
    assert tail.threads == [threading.current_thread().name]


def told(method: object, event: threading.Event) -> object:
    """`method`, and the event after it, if the thread of the tails calls it."""

    def call(self: tails.TailDoorbells) -> None:
        assert callable(method)
        method(self)
        if threading.current_thread().name == "tail doorbells":
            event.set()

    return call


def test_a_map_that_changes_loses_nothing(machine: KvmMachine, tail: Tail) -> None:
    """The region is taken away while writes to it wait."""

    def take_away(value: int) -> None:
        with machine.lock:
            machine.memory.root.remove(tail)

    with machine.lock:
        machine.add_port(0x99, write=take_away)
    machine.code(f"{WRITES}\nout 0x99, al\nmov dword [{TAIL:#x}], 7\nout 0xf4, al\njmp $")
    machine.start(real_mode())
    machine.run()
    assert tail.values[-1] == LAST
    assert machine.word(TAIL) == 7
    assert not machine.accelerator.events.zones
