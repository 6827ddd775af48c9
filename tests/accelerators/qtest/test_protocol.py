"""The lines of the protocol: their forms, what is refused, time, interrupts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from southbridge.plugins.edu import Edu
from southbridge.testing.qtest import QtestClient, driven

RAM = 0x10_0000


@pytest.fixture(scope="module")
def pc() -> Iterator[QtestClient]:
    with driven("pc", "cpus=2") as client:
        yield client


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("endianness", "OK little"),
        ("outl 0xcf8 0x80000000", "OK"),
        ("inl 0xcfc", "OK 0x12378086"),
        ("inw 0xcfc", "OK 0x8086"),
        ("inb 0xcfc", "OK 0x0086"),
        ("inb 06374", "OK 0x0086"),
        ("inb 3324", "OK 0x0086"),
        ("writeq 0x100000 0x1122334455667788", "OK"),
        ("readb 0x100000", "OK 0x0000000000000088"),
        ("readw 0x100001", "OK 0x0000000000006677"),
        ("readl 0x100000", "OK 0x0000000055667788"),
        ("readq 0x100000", "OK 0x1122334455667788"),
        ("writeb 0x100000 0x1ff", "OK"),
        ("writel 0x100004 -1", "OK"),
        ("read 0x100000 8", "OK 0xff776655ffffffff"),
        ("write 0x100000 4 0x0102", "OK"),
        ("read 0x100000 5", "OK 0x01020000ff"),
        ("b64write 0x100000 4 //79/Ps=", "OK"),
        ("b64read 0x100000 4", "OK //79/A=="),
        ("memset 0x100000 3 0x1a5", "OK"),
        ("memset 0x100000 0 1", "OK"),
        ("read 0x100000 4", "OK 0xa5a5a5fc"),
        ("readl 0xfec00000", "OK 0x0000000000000000"),
        ("read 0xfec00000 4", "OK 0x00000000"),
        ("readb 0xffffffffffffffff", "OK 0x00000000000000ff"),
        ("read 0xfffffffffffff 2", "OK 0xffff"),
        ("read 0x10000000000000 2", "OK 0xffff"),
        (" inb   0xcfc\t", "OK 0x0086"),
    ],
)
def test_forms(pc: QtestClient, line: str, answer: str) -> None:
    assert pc.raw(line) == answer


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("", "FAIL Unknown command ''"),
        ("foo bar", "FAIL Unknown command 'foo'"),
        ("module_load a b", "FAIL Unknown command 'module_load'"),
        ("inb", "ERR inb: a word is missing"),
        ("inb 0x", "ERR inb: expected a number of 64 bits, not 0x"),
        ("inb 0x10000", "ERR inb: ports are 0 to 0xffff"),
        ("outb 0x80", "ERR outb: a word is missing"),
        ("readb 0x10000000000000000", "ERR readb: expected a number of 64 bits, not 0x10000000000000000"),
        ("read 0x1000 0", "ERR read: a length of 0"),
        ("read 0x1000 0x10000000000", "ERR read: at most 67108864 bytes, and none above 2^64"),
        ("read 0xffffffffffffffff 2", "ERR read: at most 67108864 bytes, and none above 2^64"),
        ("write 0x1000 4 0x", "ERR invalid argument size"),
        ("write 0x1000 4 0xzz", "ERR write: expected 0x and hexadecimal digits"),
        ("b64write 0x1000 4 !!!!", "ERR b64write: expected base64"),
        ("clock_step soon", "ERR clock_step: expected a number of 64 bits, not soon"),
        ("clock_set", "ERR clock_set: a word is missing"),
        ("irq_intercept_in", "ERR irq_intercept_in: a word is missing"),
        ("irq_intercept_in nobody", "FAIL Unknown device"),
        ("irq_intercept_in ioapic x", "FAIL Interception of named in-GPIOs not yet supported"),
        ("irq_intercept_in rtc", "FAIL No intercepts installed"),
        ("set_irq_in ioapic unnamed-gpio-in 99 1", "ERR set_irq_in: ioapic has no input 99"),
        ("set_irq_in ioapic a20 1 1", "ERR set_irq_in: expected unnamed-gpio-in"),
    ],
)
def test_refusals(pc: QtestClient, line: str, answer: str) -> None:
    assert pc.raw(line) == answer


WORDS = st.sampled_from(
    ["inb", "outl", "readq", "writew", "read", "write", "b64read", "b64write", "memset", "clock_set", "set_irq_in"]
)
ARGUMENTS = st.one_of(
    st.integers(-(1 << 65), 1 << 65).map(hex), st.integers(0, 0xFFFF).map(str), st.text(max_size=5), st.just("ioapic")
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(st.binary(max_size=80), st.tuples(WORDS, st.lists(ARGUMENTS, max_size=4)).map(lambda t: f"{t}".encode()))
)
def test_anything_else_is_answered_with_a_line(pc: QtestClient, line: bytes) -> None:
    text = line.replace(b"\n", b" ").decode("latin-1").encode("ascii", "replace").decode()
    assert pc.raw(text).split(" ")[0] in ("OK", "ERR", "FAIL")


def test_time_is_the_tests(qtest: Callable[..., QtestClient]) -> None:
    pc = qtest()
    assert pc.clock.now() == 0
    assert pc.raw("clock_step 100") == "OK 100"
    assert pc.raw("clock_set 50") == "OK 100"
    assert pc.raw("clock_set 5000") == "OK 5000"
    pc.write_port(0x43, 0x34)  # the timer's counter 0 in mode 2, which rises every hundred of its cycles
    pc.write_port(0x40, 100)
    pc.write_port(0x40, 0)
    pc.intercept("/machine/unattached/ioapic")
    pc.clock.advance(ms=1)
    assert pc.history.count("IRQ raise 0") == 1_193_182 // 1000 // 100
    first, second = pc.clock.next_timer(), pc.clock.next_timer()
    assert 0 < second - first < 100_000


def test_interrupts_are_told_before_the_answer(qtest: Callable[..., QtestClient]) -> None:
    pc = qtest()
    pc.intercept("ioapic")
    assert pc.raw("irq_intercept_in ioapic") == "OK"
    assert pc.raw("irq_intercept_in pic") == "FAIL IRQ intercept already enabled"
    pc.commands(["set_irq_in ioapic unnamed-gpio-in 5 1"])
    assert pc.history == ["IRQ raise 5"]
    pc.commands(["set_irq_in ioapic unnamed-gpio-in 5 1", "set_irq_in pic unnamed-gpio-in 5 0"])
    assert pc.history == ["IRQ raise 5", "IRQ lower 5"]
    assert not pc.irq(5)


def test_outputs(qtest: Callable[..., QtestClient]) -> None:
    """A device by its type; its outputs are told whatever others on the line do."""
    pc = qtest()
    pc.intercept("uart16550", outputs=True)
    pc.write_port(0x3FC, 0x08)
    pc.write_port(0x3F9, 0x02)
    assert pc.history == ["IRQ raise 0"]
    pc.write_port(0x3F9, 0x00)
    assert pc.history == ["IRQ raise 0", "IRQ lower 0"]


def test_a_reset_comes_before_the_next_line(qtest: Callable[..., QtestClient]) -> None:
    pc = qtest()
    for _ in range(20):
        pc.write_port(0x80, 1)
        pc.write_port(0xCF8, 0x8000_0010, 4)
        pc.write_port(0xCF9, 0x06)
        assert pc.read_port(0xCF8, 4) == 0


def test_devices_reach_its_memory_by_dma(qtest: Callable[..., QtestClient]) -> None:
    pc = qtest("pc", "devices.edu={type: edu, addr: '04.0'}")
    pc.config_write(4, 0, 0x10, 4, 0xE000_0000)
    pc.config_write(4, 0, 0x04, 2, 0x6)
    pc.write_memory(RAM, b"0123456789")
    for register, value in ((0x80, RAM), (0x88, 0x4_0000), (0x90, 10), (0x98, 1)):
        pc.write_mmio(0xE000_0000 + register, value)
    pc.clock.advance(ms=1)
    for register, value in ((0x80, 0x4_0000), (0x88, RAM + 0x100), (0x90, 10), (0x98, 3)):
        pc.write_mmio(0xE000_0000 + register, value)
    assert pc.read_memory(RAM + 0x100, 10) == bytes(10)
    pc.clock.advance(ms=1)
    assert pc.read_memory(RAM + 0x100, 10) == b"0123456789"


def test_what_a_device_raises_ends_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Edu, value: int) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Edu, "invert", fail)
    with pytest.raises(ZeroDivisionError), driven("pc", "devices.edu={type: edu, addr: '04.0'}") as pc:
        pc.config_write(4, 0, 0x10, 4, 0xE000_0000)
        pc.config_write(4, 0, 0x04, 2, 0x6)
        pc.write_mmio(0xE000_0004, 1)


def test_many_at_once(pc: QtestClient) -> None:
    """More than sockets hold, in both directions."""
    lines = [f"write {RAM:#x} 0x1000 0x{number:02x}{'00' * 4095}" for number in range(100)]
    answers = pc.commands([text for line in lines for text in (line, f"read {RAM:#x} 0x1000")])
    assert [int(answer[2:4], 16) for answer in answers[1::2]] == list(range(100))
