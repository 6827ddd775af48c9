from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from southbridge.x86 import (
    GENERAL_REGISTERS,
    SEGMENT_REGISTERS,
    DescriptorTable,
    PendingEvent,
    Segment,
    X86State,
)

U8, U16, U32, U64 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32, 64))
SEGMENTS = st.builds(Segment, U16, U64, U32, U32)
TABLES = st.builds(DescriptorTable, U64, U32)
STATES = st.builds(
    X86State,
    registers=st.lists(U64, min_size=16, max_size=16),
    rip=U64,
    rflags=U64,
    **dict.fromkeys((*SEGMENT_REGISTERS, "ldtr", "tr"), SEGMENTS),
    gdtr=TABLES,
    idtr=TABLES,
    cr3=U64,
    msrs=st.dictionaries(U32, U64, max_size=3),
    fpu_registers=st.lists(st.integers(0, (1 << 80) - 1), min_size=8, max_size=8),
    vector=st.lists(st.integers(0, (1 << 256) - 1), min_size=16, max_size=16),
    halted=st.booleans(),
    event=st.none() | st.builds(PendingEvent, U8, st.none() | U32, st.booleans(), st.booleans()),
    a20=st.booleans(),
)


@settings(max_examples=25)
@given(STATES)
def test_a_state_survives_being_written_down(state: X86State) -> None:
    assert X86State.from_dict(state.to_dict()) == state
    assert X86State.from_dict(json.loads(json.dumps(state.to_dict()))) == state


def test_power_on_is_what_the_manual_says() -> None:
    """SDM volume 3A, table 10-1."""
    state = X86State()
    assert (state.cs.base + state.rip) & 0xFFFF_FFFF == 0xFFFF_FFF0
    assert (state.cs.selector, state.cs.limit) == (0xF000, 0xFFFF)
    assert all(getattr(state, name).base == 0 for name in SEGMENT_REGISTERS if name != "cs")
    assert (state.cr0, state.rflags, state.idtr.limit) == (0x6000_0010, 2, 0xFFFF)
    assert state.debug == [0, 0, 0, 0, 0xFFFF_0FF0, 0x400]
    assert (state.fpu_control, state.mxcsr) == (0x37F, 0x1F80)
    assert len(state.registers) == len(GENERAL_REGISTERS)


def test_two_states_share_nothing() -> None:
    first, second = X86State(), X86State()
    first.registers[0] = 1
    first.es.base = 1
    first.msrs[0x10] = 1
    assert second == X86State()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("registers", [0] * 15),
        ("registers", [0] * 17),
        ("registers", None),
        ("rip", -1),
        ("rip", 1 << 64),
        ("rip", "0"),
        ("rip", 0.0),
        ("cr0", True),
        ("halted", 1),
        ("cs", None),
        ("cs", {"selector": 1 << 16}),
        ("cs", {"colour": 1}),
        ("gdtr", {"base": -1}),
        ("msrs", {"efer": 0}),
        ("msrs", {-1: 0}),
        ("msrs", {0x10: 1 << 64}),
        ("fpu_registers", [1 << 80] * 8),
        ("event", {"vector": 256}),
        ("event", {}),
        ("colour", 0),
    ],
)
def test_a_hostile_state_is_refused_and_the_key_named(key: str, value: Any) -> None:
    data = X86State().to_dict() | {key: value}
    with pytest.raises(ValueError, match=f"not a CPU state: {key}"):
        X86State.from_dict(data)


@pytest.mark.parametrize("data", [None, [], "state", 1])
def test_what_is_no_state_at_all_is_refused(data: Any) -> None:
    with pytest.raises(ValueError, match="not a CPU state"):
        X86State.from_dict(data)


def test_every_field_has_a_value_at_power_on() -> None:
    assert X86State.from_dict({}) == X86State()
    assert len(X86State().to_dict()) == len(dataclasses.fields(X86State))
