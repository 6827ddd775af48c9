from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge import RC, RO, RW, W1C, WO, Device, PortBank, bit, bits
from southbridge.registers import Access, Field
from southbridge.testing import Bench

BASE = 0x100


def plug(bench: Bench, kind: type[Device]) -> Any:
    device = bench.plug(kind)
    device.claim_ports(device.ports, BASE)
    return device


@pytest.fixture
def plain() -> Bench:
    return Bench()


def register_device(width: int, reset: int, access: Access, fields: dict[str, Field]) -> type[Device]:
    """A device with one register REG, at offset 0."""
    bank = PortBank(width)
    widths = [size for size in (1, 2, 4) if size <= width]
    register = bank.register(0, width, reset=reset, access=access, fields=fields, widths=widths)
    return type("Made", (Device,), {"__module__": __name__, "ports": bank, "REG": register})


# --- what an access does to each bit -----------------------------------------------------------------------------


@st.composite
def declarations(draw: st.DrawFn) -> tuple[int, int, Access, dict[str, Field]]:
    """Width, reset value, access and fields of a register."""
    width = draw(st.sampled_from([1, 2, 4]))
    accesses = st.sampled_from(list(Access))
    cuts = sorted(draw(st.sets(st.integers(0, 8 * width), max_size=7)))
    fields = {f"F{low}": bits(low, high - 1, draw(accesses)) for low, high in pairwise(cuts) if draw(st.integers(0, 3))}
    return width, draw(values(width)), RW if fields else draw(accesses), fields


def values(width: int) -> st.SearchStrategy[int]:
    """Values of `width` bytes, often with many bits."""
    ones = (1 << 8 * width) - 1
    return st.just(ones) | st.just(ones & 0x5A5A_5A5A) | st.integers(0, ones)


ACCESSES = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from([1, 2, 4]), st.none() | values(4)), min_size=4, max_size=12
)
"""Offset, size, and what is written, or None for a read."""


@given(declarations(), ACCESSES)
def test_each_bit_obeys_its_access_rule(
    declared: tuple[int, int, Access, dict[str, Field]], accesses: list[tuple[int, int, int | None]]
) -> None:
    width, reset, access, fields = declared
    bench = Bench()
    device = plug(bench, register_device(width, reset, access, fields))
    rules = [access if not fields else RO] * (8 * width)
    for field in fields.values():
        rules[field.low : field.high + 1] = [field.access] * (field.high - field.low + 1)
    model = [reset >> number & 1 for number in range(8 * width)]
    for offset, size, written in accesses:
        size = min(size, width)
        offset = offset % width & -size
        lanes = range(8 * offset, 8 * (offset + size))
        if written is None:
            seen = sum(model[n] << n - lanes[0] for n in lanes if rules[n] is not WO)
            expected = seen if access is not WO else (1 << 8 * size) - 1
            assert bench.read_port(BASE + offset, size) == expected
            model = [0 if n in lanes and rules[n] is RC else old for n, old in enumerate(model)]
            continue
        bench.write_port(BASE + offset, written, size)
        for n in lanes:
            new = written >> n - lanes[0] & 1
            if rules[n] in (RW, WO):
                model[n] = new
            elif rules[n] is W1C and new:
                model[n] = 0
        assert device.REG.value == sum(value << n for n, value in enumerate(model))


@pytest.mark.parametrize(
    ("access", "read", "left", "stored"),
    [(RW, 0xF0, 0xF0, 0x3C), (RO, 0xF0, 0xF0, 0xF0), (WO, 0xFF, 0xF0, 0x3C), (W1C, 0xF0, 0xF0, 0xC0), (RC, 0xF0, 0, 0)],
)
def test_a_register_of_one_kind(plain: Bench, access: Access, read: int, left: int, stored: int) -> None:
    device = plug(plain, register_device(1, 0xF0, access, {}))
    assert plain.read_port(BASE) == read
    assert device.REG.value == left
    plain.write_port(BASE, 0x3C)
    assert device.REG.value == stored


@pytest.mark.parametrize(("access", "read", "stored"), [(RO, 0x81, 0x81), (WO, 0xFF, 0x7E)])
def test_a_registers_ro_or_wo_holds_for_its_fields(plain: Bench, access: Access, read: int, stored: int) -> None:
    device = plug(plain, register_device(1, 0x81, access, {"LOW": bits(0, 3), "HIGH": bits(4, 7)}))
    assert plain.read_port(BASE) == read
    plain.write_port(BASE, 0x7E)
    assert device.REG.value == stored


# --- fields ------------------------------------------------------------------------------------------------------


class Control(Device):
    ports = PortBank(2)
    CONTROL = ports.register(
        0, 2, reset=0x0102, widths=(1, 2), fields={"ENABLE": bit(0), "MODE": bits(1, 3), "COUNT": bits(8, 15, RO)}
    )


def test_fields_are_attributes(plain: Bench) -> None:
    control = plug(plain, Control).CONTROL
    assert (control.ENABLE, control.MODE, control.COUNT) == (0, 1, 1)
    control.MODE = 5
    control.COUNT = 0xAB
    assert control.value == 0xAB0A
    assert repr(control) == "<CONTROL 0xab0a>"


@given(st.integers(0, 0xFFFF), st.integers(-(1 << 20), 1 << 20))
def test_a_field_takes_no_bits_of_its_neighbours(value: int, put: int) -> None:
    control = Control("control").CONTROL
    control.value = value
    control.MODE = put
    assert put & 7 == control.MODE
    assert control.value & ~0xE == value & ~0xE


def test_bits_that_no_field_covers_are_read_only(plain: Bench) -> None:
    device = plug(plain, Control)
    plain.write_port(BASE, 0xFFFF, 2)
    assert device.CONTROL.value == 0x010F


def test_a_reset_restores_the_reset_value_or_keeps_the_value(plain: Bench) -> None:
    class Two(Device):
        ports = PortBank(2)
        VOLATILE = ports.register(0, reset=0x55)
        STICKY = ports.register(1, reset=None)

    device = plug(plain, Two)
    assert (device.VOLATILE.value, device.STICKY.value) == (0x55, 0)
    plain.write_port(BASE, 0x2211, 2)
    device.reset()
    assert (device.VOLATILE.value, device.STICKY.value) == (0x55, 0x22)


def test_two_devices_share_no_values(plain: Bench) -> None:
    first, second = Control("first"), Control("second")
    first.CONTROL.value = 1
    assert second.CONTROL.value == 0x0102
    assert Control.CONTROL.reset == 0x0102


# --- methods bound to registers ----------------------------------------------------------------------------------


class Bound(Device):
    ports = PortBank(8)
    ANSWER = ports.register(0, 2, widths=(1, 2), access=RO)
    STORED = ports.register(2, 2, widths=(1, 2), fields={"LOW": bits(0, 7), "ACK": bits(8, 15, W1C)}, reset=0xFF00)
    TAKEN = ports.register(4, 2, widths=(1, 2), reset=0x1234)

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.calls: list[tuple[str, int]] = []

    @ANSWER.read
    def answer(self) -> int:
        return 0xCAFE

    @STORED.written
    def stored(self, value: int) -> None:
        self.calls.append(("stored", value))

    @TAKEN.write
    def taken(self, value: int) -> None:
        self.calls.append(("taken", value))


def test_a_read_method_answers_in_place_of_the_value(plain: Bench) -> None:
    plug(plain, Bound)
    assert plain.read_port(BASE, 2) == 0xCAFE
    assert [plain.read_port(BASE), plain.read_port(BASE + 1)] == [0xFE, 0xCA]


def test_a_written_method_gets_what_is_now_stored(plain: Bench) -> None:
    device = plug(plain, Bound)
    plain.write_port(BASE + 2, 0x0F55, 2)
    plain.write_port(BASE + 3, 0x10)
    assert device.calls == [("stored", 0xF055), ("stored", 0xE055)]
    assert device.STORED.value == 0xE055


def test_a_write_method_gets_the_value_and_nothing_is_stored(plain: Bench) -> None:
    device = plug(plain, Bound)
    plain.write_port(BASE + 4, 0xABCD, 2)
    plain.write_port(BASE + 5, 0xFF)
    assert device.calls == [("taken", 0xABCD), ("taken", 0xFF34)]
    assert device.TAKEN.value == 0x1234


def test_a_register_is_there_once_a_device_is() -> None:
    assert Bound.ANSWER.name == "ANSWER"
    with pytest.raises(AttributeError, match=r"Bound\.ANSWER exists once"):
        Bound.ANSWER.__get__(object(), Bound)
