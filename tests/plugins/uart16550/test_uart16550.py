"""The serial port: registers, FIFOs, interrupts and their order, loopback, and the flow of bytes both ways."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from southbridge import RealizeError, SouthbridgeError
from southbridge.chardev import CharBackend
from southbridge.plugins.uart16550 import Uart16550
from southbridge.testing import Bench

BASE = 0x3F8
DATA, IER, IIR, FCR, LCR, MCR, LSR, MSR, SCR = BASE, BASE + 1, BASE + 2, BASE + 2, *range(BASE + 3, BASE + 8)
DLL, DLM = BASE, BASE + 1
DR, OE, PE, FE, BI, THRE, TEMT, FIFO_ERROR = (1 << number for number in range(8))
OUT2, LOOP = 0x08, 0x10
CHARACTER_US = 10 / 9600 * 1e6
"""At the divisor after reset, 8 data bits, no parity, one stop bit."""


class Line(CharBackend):
    """The other end, in the test's hand."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.room = 1 << 30
        self.waiting = bytearray()

    def open(self) -> None:
        pass

    def start(self, loop: asyncio.AbstractEventLoop, lock: threading.RLock) -> None:
        pass

    def close(self) -> None:
        pass

    def write(self, data: bytes) -> int:
        taken = min(len(data), self.room)
        self.sent += data[:taken]
        self.room -= taken
        return taken

    def accept_input(self) -> None:
        self.feed(b"")

    def feed(self, data: bytes) -> None:
        """`data` comes down the line, as far as the device has room; the rest waits."""
        self.waiting += data
        while self.frontend is not None and self.waiting and (room := self.frontend.can_receive()) > 0:
            part = bytes(self.waiting[:room])
            del self.waiting[:room]
            self.frontend.receive(part)

    def make_room(self, room: int) -> None:
        """The back end can take bytes again."""
        self.room = room
        assert self.frontend is not None
        self.frontend.chardev_writable()


class Port:
    """A serial port on a bench, with a line."""

    def __init__(self, bench: Bench, **properties: Any) -> None:
        self.bench = bench
        self.line = Line()
        self.uart: Uart16550 = bench.plug("uart16550", chardev=self.line, **properties)
        self.uart.chardev_event(True)
        self.uart.reset()

    def read(self, port: int) -> int:
        return self.bench.read_port(port)

    def write(self, port: int, value: int) -> None:
        self.bench.write_port(port, value)

    @property
    def irq(self) -> bool:
        """Whether the interrupt line is asserted."""
        return self.bench.irq(4)

    def setup(self, *, fifo: int | None = None, enable: int = 0) -> None:
        """8N1, interrupts let out, FIFO control, interrupt enable."""
        self.write(LCR, 0x03)
        self.write(MCR, 0x0B)
        if fifo is not None:
            self.write(FCR, fifo)
        self.write(IER, enable)


@pytest.fixture
def port(bench: Bench) -> Port:
    return Port(bench)


# --- registers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("register", "reset", "ones"),
    [(IER, 0x00, 0x0F), (LCR, 0x00, 0x7F), (MCR, 0x00, 0x1F), (SCR, 0x00, 0xFF)],
)
def test_register(port: Port, register: int, reset: int, ones: int) -> None:
    assert port.read(register) == reset
    port.write(register, 0x7F if register == LCR else 0xFF)
    assert port.read(register) == ones


@pytest.mark.parametrize(("register", "value"), [(LSR, THRE | TEMT), (MSR, 0xB0)])
def test_status_registers_are_read_only(port: Port, register: int, value: int) -> None:
    port.write(register, 0xFF)
    assert port.read(register) == value
    assert port.bench.guest_errors


def test_divisor_latch_hides_data_and_interrupt_enable(port: Port) -> None:
    port.write(IER, 0x05)
    port.write(LCR, 0x83)
    port.write(DLL, 0x34)
    port.write(DLM, 0x12)
    assert (port.read(DLL), port.read(DLM)) == (0x34, 0x12)
    port.write(LCR, 0x03)
    assert port.read(IER) == 0x05
    assert port.line.sent == b""
    port.write(DATA, 0x41)
    assert port.line.sent == b"A"
    port.write(LCR, 0x83)
    assert port.read(DLL) == 0x34


def test_reset_keeps_the_scratch_register(port: Port) -> None:
    port.write(SCR, 0x5A)
    port.setup(fifo=0xC1, enable=0x0F)
    port.uart.reset()
    assert [port.read(register) for register in (IER, LCR, MCR, SCR)] == [0, 0, 0, 0x5A]
    assert port.read(IIR) == 0x01
    assert not port.irq


@pytest.mark.parametrize(
    ("value", "iir"),
    [(0x01, 0xC1), (0xC7, 0xC1), (0x00, 0x01), (0xC6, 0x01)],
    ids=["on", "reset", "off", "without enable"],
)
def test_fifo_enable_shows_in_iir(port: Port, value: int, iir: int) -> None:
    port.write(FCR, value)
    assert port.read(IIR) == iir


def test_two_ports_on_one_range_or_line_are_refused(port: Port) -> None:
    with pytest.raises(RealizeError, match="3f8"):
        port.bench.plug("uart16550", "com2", irq=3)
    with pytest.raises(RealizeError, match="IRQ 4"):
        port.bench.plug("uart16550", "com3", iobase=0x3E8)


def test_second_port_on_one_back_end_is_refused(port: Port) -> None:
    with pytest.raises(SouthbridgeError, match="one device only"):
        port.bench.plug("uart16550", "com2", iobase=0x2F8, irq=3, chardev=port.line)
    assert port.line.frontend is port.uart


def test_unplugged_it_lets_go(port: Port) -> None:
    port.setup(enable=0x02)
    assert port.irq
    port.bench.machine.unplug(port.uart)
    assert not port.irq
    assert port.line.frontend is None
    assert port.read(LSR) == 0xFF


# --- transmitter -----------------------------------------------------------------------------------------------------


def test_bytes_go_out_at_once(port: Port) -> None:
    for value in b"hello":
        port.write(DATA, value)
        assert port.read(LSR) == THRE | TEMT
    assert port.line.sent == b"hello"


def test_without_back_end(bench: Bench) -> None:
    bench.plug("uart16550")
    bench.write_port(DATA, 0x41)
    assert bench.read_port(LSR) == THRE | TEMT
    assert bench.read_port(MSR) == 0
    assert bench.read_port(DATA) == 0


@pytest.mark.parametrize("fifo", [None, 0x01], ids=["16450", "16550"])
def test_back_pressure(port: Port, fifo: int | None) -> None:
    port.setup(fifo=fifo, enable=0x02)
    depth = 16 if fifo else 1
    port.line.room = 2
    port.write(DATA, 0)
    port.write(DATA, 1)
    assert port.read(IIR) & 0xF == 0x02
    for value in range(2, 2 + depth):
        port.write(DATA, value)
        assert port.read(LSR) == 0
        assert not port.irq
    assert port.line.sent == b"\0\1"
    port.line.make_room(depth)
    assert port.line.sent == bytes(range(2 + depth))
    assert port.read(LSR) == THRE | TEMT
    assert port.irq
    assert port.read(IIR) & 0xF == 0x02


def test_back_end_that_takes_a_part(port: Port) -> None:
    port.setup(fifo=0x01)
    port.line.room = 0
    for value in b"0123456789":
        port.write(DATA, value)
    port.line.make_room(4)
    assert port.line.sent == b"0123"
    assert port.read(LSR) == 0
    port.line.make_room(100)
    assert port.line.sent == b"0123456789"
    assert port.read(LSR) == THRE | TEMT


def test_writing_a_full_transmitter_loses_the_byte(port: Port) -> None:
    port.setup(fifo=0x01)
    port.line.room = 0
    for value in range(1000):
        port.write(DATA, value & 0xFF)
    port.line.make_room(1000)
    assert port.line.sent == bytes(range(16))
    assert port.bench.guest_errors


def test_transmit_fifo_reset_drops_what_waits(port: Port) -> None:
    port.setup(fifo=0x01)
    port.line.room = 0
    port.write(DATA, 0x41)
    port.write(FCR, 0x05)
    assert port.read(LSR) == THRE | TEMT
    port.line.make_room(10)
    assert port.line.sent == b""


# --- receiver --------------------------------------------------------------------------------------------------------


def test_receives(port: Port) -> None:
    port.line.feed(b"ab")
    assert port.read(LSR) == THRE | TEMT | DR
    assert port.read(DATA) == ord("a")
    assert port.read(DATA) == ord("b")
    assert port.read(LSR) == THRE | TEMT
    assert port.read(DATA) == ord("b"), "an empty receiver gives the last byte again"


@pytest.mark.parametrize("fifo", [None, 0x01], ids=["16450", "16550"])
def test_input_waits_until_there_is_room(port: Port, fifo: int | None) -> None:
    port.setup(fifo=fifo)
    data = bytes(range(100))
    port.line.feed(data)
    assert len(port.line.waiting) == 100 - (16 if fifo else 1)
    got = bytearray()
    while port.read(LSR) & DR:
        got.append(port.read(DATA))
    assert got == data
    assert not port.read(LSR) & OE


@pytest.mark.parametrize(("trigger", "level"), [(0x00, 1), (0x40, 4), (0x80, 8), (0xC0, 14)])
def test_trigger_level(port: Port, trigger: int, level: int) -> None:
    port.setup(fifo=0x01 | trigger, enable=0x01)
    port.line.feed(bytes(level - 1))
    assert not port.irq
    port.line.feed(b"x")
    assert port.irq
    assert port.read(IIR) == 0xC4
    port.read(DATA)
    assert not port.irq
    assert port.read(IIR) == 0xC1


def test_character_timeout(port: Port) -> None:
    port.setup(fifo=0x81, enable=0x01)
    port.line.feed(b"abc")
    port.bench.clock.advance(us=3.9 * CHARACTER_US)
    assert not port.irq
    port.line.feed(b"d")
    port.bench.clock.advance(us=3.9 * CHARACTER_US)
    assert not port.irq, "each character starts the time again"
    port.bench.clock.advance(us=0.2 * CHARACTER_US)
    assert port.irq
    assert port.read(IIR) == 0xCC
    assert port.read(DATA) == ord("a")
    assert not port.irq, "so does reading"
    port.bench.clock.advance(us=4.1 * CHARACTER_US)
    assert port.irq
    for _ in range(3):
        port.read(DATA)
    port.bench.clock.advance(ms=1000)
    assert not port.irq, "an empty FIFO has no timeout"


@pytest.mark.parametrize(
    ("lcr", "divisor", "bit_times"),
    [(0x03, 12, 10), (0x03, 1, 10), (0x00, 12, 7), (0x04, 12, 7.5), (0x0F, 12, 12), (0x03, 0, 10)],
    ids=["9600", "115200", "5 bits", "1.5 stop bits", "parity and 2 stop bits", "no divisor"],
)
def test_timeout_is_four_characters_long(port: Port, lcr: int, divisor: int, bit_times: float) -> None:
    port.write(LCR, 0x80)
    port.write(DLL, divisor)
    port.setup(fifo=0xC1, enable=0x01)
    port.write(LCR, lcr)
    port.line.feed(b"x")
    four = 4 * bit_times * max(divisor, 1) / 115200 * 1e6
    port.bench.clock.advance(us=0.99 * four)
    assert not port.irq
    port.bench.clock.advance(us=0.02 * four)
    assert port.irq


@pytest.mark.parametrize("value", [0x03, 0x00], ids=["reset", "switched off"])
def test_receive_fifo_reset(port: Port, value: int) -> None:
    port.setup(fifo=0x01, enable=0x01)
    port.line.feed(b"abc")
    port.write(FCR, value)
    assert not port.read(LSR) & DR
    assert not port.irq
    port.bench.clock.advance(ms=1000)
    assert not port.irq


# --- interrupts ------------------------------------------------------------------------------------------------------


def test_enabling_the_transmitter_interrupt_asks_at_once(port: Port) -> None:
    port.setup(enable=0x02)
    assert port.irq
    assert port.read(IIR) == 0x02
    assert not port.irq, "reading IIR is the answer"
    assert port.read(IIR) == 0x01
    port.write(IER, 0x02)
    assert not port.irq, "it was enabled already"
    port.write(IER, 0x00)
    port.write(IER, 0x02)
    assert port.irq


def test_transmitter_interrupt_after_each_byte(port: Port) -> None:
    """The line must fall in between: the interrupt controller sees edges."""
    edges: list[bool] = []
    port.setup(enable=0x02)
    port.bench.machine.isa.wires[4].connect(edges.append)
    port.write(DATA, 0x41)
    assert edges == [True, False, True]


def test_interrupts_come_in_the_order_of_their_priority(port: Port) -> None:
    port.setup(fifo=0x41, enable=0x0F)
    port.write(MCR, LOOP)
    port.write(LCR, 0x43)
    port.write(LCR, 0x03)
    for _ in range(4):
        port.write(DATA, 0x41)
    port.write(MCR, OUT2)
    port.line.feed(b"")
    assert port.irq
    assert port.read(IIR) == 0xC6
    assert port.read(LSR) & BI
    assert port.read(IIR) == 0xC4
    port.read(DATA)
    port.read(DATA)
    port.bench.clock.advance(ms=10)
    assert port.read(IIR) == 0xCC
    for _ in range(3):
        port.read(DATA)
    assert port.read(IIR) == 0xC2
    assert port.read(IIR) == 0xC0
    assert port.read(MSR) & 0x0F
    assert port.read(IIR) == 0xC1
    assert not port.irq


@pytest.mark.parametrize(("mcr", "out"), [(0x00, False), (OUT2, True), (OUT2 | LOOP, False)])
def test_out2_lets_the_interrupt_out(port: Port, mcr: int, out: bool) -> None:
    port.write(IER, 0x02)
    port.write(MCR, mcr)
    assert port.read(IIR) == 0x02
    port.write(IER, 0x00)
    port.write(IER, 0x02)
    assert port.irq is out


def test_disabled_interrupts_dont_ask(port: Port) -> None:
    port.setup(fifo=0x01, enable=0x00)
    port.line.feed(b"abc")
    port.write(DATA, 0x41)
    port.uart.chardev_event(False)
    port.bench.clock.advance(ms=100)
    assert not port.irq
    assert port.read(IIR) == 0xC1


# --- loopback --------------------------------------------------------------------------------------------------------


def test_loopback_of_data(port: Port) -> None:
    port.setup()
    port.write(MCR, LOOP)
    port.write(DATA, 0x41)
    assert port.read(LSR) == THRE | TEMT | DR
    assert port.read(DATA) == 0x41
    assert port.line.sent == b""
    port.line.feed(b"outside")
    assert not port.read(LSR) & DR, "the line is cut"
    port.write(MCR, 0)
    assert port.read(DATA) == ord("o"), "and nothing of it is lost"


@pytest.mark.parametrize(("lcr", "seen"), [(0x03, 0xFF), (0x02, 0x7F), (0x00, 0x1F)])
def test_loopback_has_the_words_length(port: Port, lcr: int, seen: int) -> None:
    port.write(LCR, lcr)
    port.write(MCR, LOOP)
    port.write(DATA, 0xFF)
    assert port.read(DATA) == seen


@pytest.mark.parametrize(("control", "line"), [(0x01, 0x20), (0x02, 0x10), (0x04, 0x40), (0x08, 0x80)])
def test_loopback_of_modem_lines(port: Port, control: int, line: int) -> None:
    port.write(MCR, LOOP)
    port.read(MSR)
    port.write(MCR, LOOP | control)
    delta = 0 if line == 0x40 else line >> 4
    assert port.read(MSR) == line | delta
    assert port.read(MSR) == line
    port.write(MCR, LOOP)
    assert port.read(MSR) == line >> 4, "RI's bit tells of its trailing edge"


def test_overrun_without_fifo_replaces_the_byte(port: Port) -> None:
    port.setup()
    port.write(MCR, LOOP)
    port.write(DATA, 0x41)
    port.write(DATA, 0x42)
    assert port.read(LSR) == THRE | TEMT | DR | OE
    assert port.read(LSR) == THRE | TEMT | DR, "reading clears it"
    assert port.read(DATA) == 0x42


def test_overrun_of_the_fifo_loses_the_new_byte(port: Port) -> None:
    port.setup(fifo=0x01)
    port.write(MCR, LOOP)
    for value in range(17):
        port.write(DATA, value)
    assert port.read(LSR) & OE
    assert [port.read(DATA) for _ in range(16)] == list(range(16))
    assert not port.read(LSR) & DR


def test_break_is_told_when_its_character_is_next(port: Port) -> None:
    port.setup(fifo=0x01)
    port.write(MCR, LOOP)
    port.write(DATA, 0x41)
    port.write(LCR, 0x43)
    port.write(LCR, 0x03)
    assert port.read(LSR) == THRE | TEMT | DR | FIFO_ERROR
    assert port.read(LSR) == THRE | TEMT | DR | FIFO_ERROR, "the error is still in the FIFO"
    assert port.read(DATA) == 0x41
    assert port.read(LSR) == THRE | TEMT | DR | FIFO_ERROR | BI
    assert port.read(LSR) == THRE | TEMT | DR
    assert port.read(DATA) == 0


# --- modem lines -----------------------------------------------------------------------------------------------------


def test_carrier_follows_the_other_end(port: Port) -> None:
    port.setup(enable=0x08)
    assert port.read(MSR) == 0xB0
    port.uart.chardev_event(False)
    assert port.irq
    assert port.read(IIR) == 0x00
    assert port.read(MSR) == 0x38
    assert not port.irq
    port.uart.chardev_event(True)
    assert port.read(MSR) == 0xB8
    assert port.read(MSR) == 0xB0


# --- state -----------------------------------------------------------------------------------------------------------


def test_state_comes_back(port: Port) -> None:
    port.setup(fifo=0x81, enable=0x03)
    port.line.feed(b"abc")
    port.line.room = 0
    port.write(DATA, 0x41)
    port.write(DATA, 0x42)
    saved = port.uart.save()
    port.uart.reset()
    port.line.waiting.clear()
    assert not port.uart.sending
    port.uart.load(saved)
    assert port.uart.save() == saved
    port.bench.clock.advance(ms=10)
    assert port.irq
    assert [port.read(DATA) for _ in range(3)] == list(b"abc")
    port.line.make_room(10)
    assert port.line.sent == b"AB"


@pytest.mark.parametrize(
    "state",
    [
        {"received": [0] * 17},
        {"received": [0x2000]},
        {"received": [-1]},
        {"sending": bytes(17)},
        {"timed_out": 2},
    ],
    ids=str,
)
def test_hostile_state_is_refused(port: Port, state: dict[str, Any]) -> None:
    saved = port.uart.save()
    saved["state"] |= state
    before = port.uart.save()
    with pytest.raises(SouthbridgeError):
        port.uart.load(saved)
    assert port.uart.save() == before


def test_inconsistent_state_is_made_consistent(port: Port) -> None:
    saved = port.uart.save()
    saved["registers"] |= {"LSR": 0xFF, "IER": 0xFF, "MSR": 0xFF}
    saved["state"] |= {"received": [0x41, 0x42], "sending": b"xyz"}
    port.uart.load(saved)
    assert port.read(DATA) == 0x41
    assert not port.read(LSR) & DR
    assert port.line.sent == b"x"


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("read"), st.integers(0, 7)),
            st.tuples(st.just("write"), st.integers(0, 7), st.integers(0, 255)),
            st.tuples(st.just("feed"), st.integers(1, 40)),
            st.tuples(st.just("room"), st.integers(0, 40)),
            st.tuples(st.just("time"), st.integers(0, 50)),
        ),
        max_size=60,
    )
)
def test_any_traffic(bench: Bench, actions: list[tuple[Any, ...]]) -> None:
    """Whatever a guest does, the queues stay bounded, IIR and the line agree, and values fit."""
    uart = bench.machine.devices.get("uart16550")
    port = Port(bench) if uart is None else PORTS[bench.machine]
    PORTS[bench.machine] = port
    port.uart.reset()
    port.line.room = 0
    for action in actions:
        if action[0] == "read":
            assert 0 <= port.read(BASE + action[1]) <= 0xFF
        elif action[0] == "write":
            port.write(BASE + action[1], action[2])
        elif action[0] == "feed":
            port.line.feed(bytes(action[1]))
        elif action[0] == "room":
            port.line.make_room(action[1])
        else:
            port.bench.clock.advance(ms=action[1])
        assert len(port.uart.received) <= 16
        assert len(port.uart.sending) <= 16
        gate = port.uart.MCR.value & 0x18 == OUT2
        assert port.irq is (gate and port.uart._source() != 1)
    saved = port.uart.save()
    port.uart.load(saved)


PORTS: dict[Any, Port] = {}
