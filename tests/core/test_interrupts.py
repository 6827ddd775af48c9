from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge.errors import RealizeError
from southbridge.interrupts import IsaInterrupts, Wire


class Named:
    def __init__(self, id: str) -> None:
        self.id = id


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans())))
def test_a_wire_is_high_while_any_pin_is_and_tells_of_changes_only(steps: list[tuple[int, bool]]) -> None:
    wire, told = Wire("wire"), list[bool]()
    wire.connect(told.append)
    pins = [wire.pin() for _ in range(4)]
    model, expected = [False] * 4, list[bool]()
    for index, level in steps:
        before = any(model)
        model[index] = level
        pins[index].set(level)
        if any(model) != before:
            expected.append(any(model))
        assert wire.level == any(model)
        assert [pin.asserted for pin in pins] == model
    assert told == expected


def test_a_sink_hears_at_once_of_a_wire_that_is_high() -> None:
    wire, told = Wire("wire"), list[bool]()
    pin = wire.pin()
    wire.connect(told.append)
    assert told == []
    pin.set(1)
    wire.connect(told.append)
    assert told == [True, True]


def test_a_sink_that_was_disconnected_hears_no_more() -> None:
    wire, told = Wire("wire"), list[bool]()
    sink = told.append
    wire.connect(sink)
    wire.disconnect(sink)
    wire.pin().set(True)
    assert told == []


def test_isa_has_sixteen_lines() -> None:
    isa = IsaInterrupts()
    assert [wire.name for wire in isa.wires] == [f"IRQ {number}" for number in range(16)]
    for number in (-1, 16):
        with pytest.raises(RealizeError, match=f"com1: there is no IRQ {number}"):
            isa.claim(number, Named("com1"))


def test_an_isa_line_is_for_one_device() -> None:
    isa = IsaInterrupts()
    first, second = Named("com1"), Named("com3")
    isa.claim(4, first)
    isa.claim(4, first)
    with pytest.raises(RealizeError, match="com3: IRQ 4 is taken by com1"):
        isa.claim(4, second)
    assert isa.owner(4) is first
    assert isa.owner(5) is None


def test_whoever_releases_its_lines_lets_go_of_them() -> None:
    isa = IsaInterrupts()
    first, second = Named("com1"), Named("com2")
    isa.claim(4, first).set(True)
    other = isa.claim(3, second)
    other.set(True)
    isa.release(first)
    assert [number for number in range(16) if isa.wires[number].level] == [3]
    isa.claim(4, second)
    assert other.asserted


def test_trigger_modes_are_told_when_they_change() -> None:
    isa, told = IsaInterrupts(), list[int]()
    isa.on_trigger_change.append(lambda: told.append(isa.level_triggered))
    for mask in (0, 0x0E00, 0x0E00, 0):
        isa.set_level_triggered(mask)
    assert told == [0x0E00, 0]


def test_triggers_that_an_accelerator_was_given_reach_the_registers() -> None:
    isa, registers = IsaInterrupts(), list[int]()
    isa.trigger_registers.append(registers.append)
    isa.adopt_triggers(0x0E00)
    assert (registers, isa.level_triggered) == ([0x0E00], 0x0E00)


def test_a_wire_that_is_lent_hears_one_pin_alone() -> None:
    wire = Wire("w")
    heard: list[bool] = []
    mine, others = wire.pin(), [wire.pin(), wire.pin()]
    wire.connect(heard.append)
    others[0].set(True)
    wire.lend(mine)
    assert heard == [True, False]
    others[0].set(False)
    others[1].set(True)
    assert (heard, wire.level) == ([True, False], False)
    mine.set(True)
    mine.set(False)
    assert heard == [True, False, True, False]
    wire.lend(None)
    assert (heard[4:], wire.level) == ([True], True)


def test_lending_that_changes_no_level_is_not_told() -> None:
    wire = Wire("w")
    heard: list[bool] = []
    mine, other = wire.pin(), wire.pin()
    mine.set(True)
    other.set(True)
    wire.connect(heard.append)
    wire.lend(mine)
    wire.lend(None)
    assert heard == [True]


def test_a_line_can_be_shared_and_is_everybodys_when_the_borrower_goes() -> None:
    isa, claimer, borrower = IsaInterrupts(), Named("claimer"), Named("borrower")
    first = isa.claim(0, claimer)
    second = isa.share(0, borrower)
    first.set(True)
    isa.wires[0].lend(second)
    assert not isa.wires[0].level
    isa.release(borrower)
    assert isa.wires[0].level
    assert isa.owner(0) is claimer


def test_who_is_not_heard_is_told() -> None:
    wire = Wire("w")
    told: list[bool] = []
    wire.on_lend.append(lambda: told.append(wire.lent))
    mine = wire.pin()
    for pin in (mine, mine, None, None):
        wire.lend(pin)
    assert told == [True, False]
