"""The controller: its commands, the output buffer, interrupts, A20 and reset."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from southbridge import RealizeError, ResetReason, SouthbridgeError
from southbridge.plugins.i8042 import I8042
from southbridge.testing import Bench

FULL, SYSTEM, FROM_COMMAND, UNLOCKED, FROM_MOUSE = 0x01, 0x04, 0x08, 0x10, 0x20
A = 0x1E


@pytest.fixture
def resets(controller: Any, monkeypatch: pytest.MonkeyPatch) -> list[ResetReason]:
    """The resets that the guest asked for."""
    asked: list[ResetReason] = []
    monkeypatch.setattr(controller.bench.machine, "request_reset", asked.append)
    return asked


# --- commands --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "answer"),
    [(0x20, 0x03), (0xA4, 0xF1), (0xA9, 0x00), (0xAA, 0x55), (0xAB, 0x00), (0xC0, 0xB0), (0xD0, 0xCF), (0xE0, 0x03)],
    ids=lambda value: f"{value:x}",
)
def test_answer(controller: Any, command: int, answer: int) -> None:
    controller.command(command)
    assert controller.status & (FULL | FROM_MOUSE) == FULL
    assert controller.read() == [answer]
    assert not controller.status & FULL


def test_ram(controller: Any) -> None:
    for number in range(1, 32):
        controller.command(0x60 + number, 0x80 + number)
    for number in range(1, 32):
        controller.command(0x20 + number)
        assert controller.read() == [0x80 + number]
    controller.command(0x20)
    assert controller.read() == [0x03]


@pytest.mark.parametrize(
    ("before", "command", "after"),
    [(0x00, 0xA7, 0x20), (0x30, 0xA8, 0x10), (0x00, 0xAD, 0x10), (0x30, 0xAE, 0x20), (0x45, 0xAD, 0x55)],
)
def test_commands_that_change_the_command_byte(controller: Any, before: int, command: int, after: int) -> None:
    controller.command(0x60, before)
    controller.command(command)
    controller.command(0x20)
    assert controller.read() == [after]


def test_status(controller: Any) -> None:
    assert controller.status == UNLOCKED
    controller.command(0xAA)
    assert controller.status == UNLOCKED | FROM_COMMAND | SYSTEM | FULL
    controller.read()
    controller.command(0x60, 0x00)
    assert controller.status == UNLOCKED, "the system flag is bit 2 of the command byte"
    controller.command(0xD3, 0x11)
    assert controller.status == UNLOCKED | FULL | FROM_MOUSE


@pytest.mark.parametrize(("command", "answer"), [(0xD2, 0x5A), (0xD3, 0x15A)])
def test_bytes_put_into_the_output_buffer(controller: Any, command: int, answer: int) -> None:
    controller.command(0x60, 0x43)
    controller.command(command, 0x5A)
    assert controller.bench.irq(12) is bool(answer >> 8)
    assert controller.bench.irq(1) is not bool(answer >> 8)
    assert controller.read() == [answer], "not translated"


def test_a_command_forgets_the_one_before(controller: Any) -> None:
    controller.command(0xD1)
    controller.command(0xAA)
    controller.read()
    assert controller.keyboard(0xEE) == [0xEE]
    assert controller.device.output_port == 0xCF


def test_reading_an_empty_buffer_gives_the_last_byte(controller: Any) -> None:
    controller.command(0xAA)
    assert [controller.data() for _ in range(3)] == [0x55] * 3


@pytest.mark.parametrize("command", [0x00, 0x1F, 0x40, 0x5F, 0x80, 0xA0, 0xB0, 0xC1, 0xD5, 0xE1])
def test_unknown_command_does_nothing(controller: Any, command: int) -> None:
    before = controller.device.save()
    controller.command(command)
    assert controller.bench.guest_errors
    after = controller.device.save()
    after["state"]["after_command"] = False
    assert after == before


def test_unread_answer_is_replaced(controller: Any) -> None:
    for _ in range(1000):
        controller.command(0xAA)
    controller.command(0xA9)
    assert controller.read() == [0x55, 0x00]


# --- the output buffer -----------------------------------------------------------------------------------------------


def test_one_byte_at_a_time_keyboard_before_mouse(controller: Any) -> None:
    controller.mouse(0xF4)
    controller.command(0xD2, 0x99)
    controller.device.pointer(dx=1)
    controller.device.key(A, True)
    assert controller.read() == [0x99, 0x1C, 0x108, 0x101, 0x100]


def test_disabled_keyboard_waits(controller: Any) -> None:
    controller.command(0xAD)
    controller.type(A)
    assert controller.read() == []
    controller.command(0xAE)
    assert controller.read() == [0x1C, 0xF0, 0x1C]


def test_disabled_mouse_waits(controller: Any) -> None:
    controller.mouse(0xF4)
    controller.command(0xA7)
    controller.device.pointer(dx=1)
    assert controller.read() == []
    controller.command(0xA8)
    assert controller.read() == [0x108, 0x101, 0x100]


def test_writing_to_a_device_enables_it(controller: Any) -> None:
    controller.command(0x60, 0x30)
    assert controller.keyboard(0xEE) == [0xEE]
    assert controller.mouse(0xF2) == [0xFA, 0x00]
    controller.command(0x20)
    assert controller.read() == [0x00]


def test_second_read_of_a_key_gives_it_again(controller: Any) -> None:
    """A program that hooks the keyboard interrupt reads port 60h, and then the BIOS does."""
    controller.command(0x60, 0x41)
    controller.device.key(A, True)
    controller.device.key(A, False)
    assert [controller.data(), controller.data()] == [0x1E, 0x1E]
    assert not controller.bench.irq(1)
    controller.bench.clock.advance(ms=1)
    assert controller.bench.irq(1)
    assert controller.data() == 0x9E


def test_answers_dont_wait_for_the_wire(controller: Any) -> None:
    assert controller.keyboard(0xF2) == [0xFA, 0xAB, 0x83]
    controller.type(A)
    controller.device.key(A, True)
    controller.data()
    controller.bench.write_port(0x60, 0xF2)
    assert [controller.data() for _ in range(3)] == [0xFA, 0xAB, 0x83]


# --- interrupts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "keyboard", "mouse"), [(0, False, False), (1, True, False), (2, False, True)])
def test_interrupts_are_enabled_by_the_command_byte(controller: Any, mode: int, keyboard: bool, mouse: bool) -> None:
    controller.mouse(0xF4)
    controller.command(0x60, mode)
    controller.device.key(A, True)
    assert controller.bench.irq(1) is keyboard
    controller.data()
    assert not controller.bench.irq(1)
    controller.device.pointer(dx=1)
    assert controller.bench.irq(12) is mouse
    assert not controller.bench.irq(1)
    controller.data()
    assert controller.bench.irq(12) is mouse
    controller.read()
    assert not controller.bench.irq(12)


def test_each_byte_is_an_edge(controller: Any) -> None:
    edges: list[bool] = []
    controller.bench.machine.isa.wires[1].connect(edges.append)
    controller.bench.write_port(0x60, 0xF2)
    for _ in range(3):
        controller.data()
    assert edges == [True, False] * 3


def test_enabling_with_a_byte_waiting(controller: Any) -> None:
    controller.command(0x60, 0)
    controller.device.key(A, True)
    assert not controller.bench.irq(1)
    controller.command(0x60, 1)
    assert controller.bench.irq(1)


# --- the output port -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("close", "reopen"), [((0xD1, 0xDD), (0xD1, 0xDF)), ((0xDD,), (0xDF,))], ids=["output port", "commands"]
)
def test_a20(controller: Any, close: tuple[int, ...], reopen: tuple[int, ...]) -> None:
    a20 = controller.bench.machine.a20
    assert a20.enabled
    controller.command(*close)
    assert not a20.enabled
    controller.command(0xD0)
    assert controller.read()[0] & 2 == 0
    controller.command(*reopen)
    assert a20.enabled
    controller.command(*close)
    controller.device.reset()
    assert a20.enabled


def test_output_port_shows_the_interrupts(controller: Any) -> None:
    controller.command(0xD3, 1)
    controller.command(0xD0)
    assert controller.read() == [0x101, 0xEF]
    controller.command(0xD2, 1)
    controller.command(0xD0)
    assert controller.read() == [0x01, 0xDF]


@pytest.mark.parametrize("command", [(0xFE,), (0xF0,), (0xFC,), (0xD1, 0xDE), (0xD1, 0x00)])
def test_reset_line(controller: Any, resets: list[ResetReason], command: tuple[int, ...]) -> None:
    controller.command(*command)
    assert resets == [ResetReason.KEYBOARD]


@pytest.mark.parametrize("command", [(0xFF,), (0xFD,), (0xF1,), (0xD1, 0xDF), (0xD1, 0x01)])
def test_other_pulses_dont_reset(controller: Any, resets: list[ResetReason], command: tuple[int, ...]) -> None:
    controller.command(*command)
    assert resets == []


# --- life ------------------------------------------------------------------------------------------------------------


def test_reset_empties_the_buffers(controller: Any) -> None:
    controller.type(A)
    controller.device.key(A, True)
    controller.command(0xAA)
    controller.device.reset()
    assert controller.status == UNLOCKED
    assert not controller.bench.irq(1)
    assert controller.read() == []


def test_second_controller_is_refused(controller: Any) -> None:
    with pytest.raises(RealizeError, match="60"):
        controller.bench.plug("i8042", "second")


def test_state_comes_back(controller: Any) -> None:
    controller.command(0x60, 0x43)
    controller.mouse(0xF4)
    controller.device.key(A, True)
    controller.device.key(0xE04D, True)
    controller.command(0xDD)
    controller.device.pointer(dx=3, buttons=1)
    saved = controller.device.save()
    expected = controller.read()
    controller.device.reset()
    controller.device.load(saved)
    assert controller.device.save() == saved
    assert not controller.bench.machine.a20.enabled
    assert controller.bench.irq(1)
    assert controller.read() == expected
    assert expected[0] == 0x1E


@pytest.mark.parametrize(
    ("part", "state"),
    [
        (None, {"ram": [0] * 33}),
        (None, {"ram": [256] * 32}),
        (None, {"reply": 0x200}),
        (None, {"output": -1}),
        ("keyboard", {"reports": [0] * 17}),
        ("keyboard", {"held": [0xE000]}),
        ("keyboard", {"held": [0x12345]}),
        ("keyboard", {"scan_set": 0}),
        ("mouse", {"rate": 0}),
        ("mouse", {"identity": 9}),
        ("mouse", {"dx": 1 << 40}),
    ],
    ids=str,
)
def test_hostile_state_is_refused(controller: Any, part: str | None, state: dict[str, Any]) -> None:
    saved = controller.device.save()
    (saved["parts"][part] if part else saved)["state"] |= state
    before = controller.device.save()
    with pytest.raises(SouthbridgeError):
        controller.device.load(saved)
    assert controller.device.save() == before


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("command"), st.integers(0, 255)),
            st.tuples(st.just("data"), st.integers(0, 255)),
            st.tuples(st.just("read")),
            st.tuples(st.just("key"), st.sampled_from([A, 0xE04D, 0xE037, 0xE11D, 0x3A]), st.booleans()),
            st.tuples(st.just("pointer"), st.integers(-1000, 1000), st.integers(0, 31)),
            st.tuples(st.just("time"), st.integers(0, 2000)),
        ),
        max_size=60,
    )
)
def test_anything_a_guest_and_a_user_do(bench: Bench, actions: list[tuple[Any, ...]]) -> None:
    """Buffers stay bounded, values fit, the interrupt lines agree with the buffer, and the state can be restored."""
    device = bench.machine.devices.get("i8042") or bench.plug("i8042")
    assert isinstance(device, I8042)
    device.reset()
    bench.write_port(0x64, 0x60)
    bench.write_port(0x60, 0x47)
    for action in actions:
        match action:
            case ("command", value):
                bench.write_port(0x64, value)
            case ("data", value):
                bench.write_port(0x60, value)
            case ("read",):
                assert 0 <= bench.read_port(0x60) <= 0xFF
            case ("key", key, pressed):
                device.key(key, pressed)
            case ("pointer", distance, buttons):
                device.pointer(distance, -distance, distance, buttons)
            case ("time", ms):
                bench.clock.advance(ms=ms)
        status = bench.read_port(0x64)
        assert bench.irq(1) is (status & 0x21 == 0x01 and bool(device.mode & 1))
        assert bench.irq(12) is (status & 0x21 == 0x21 and bool(device.mode & 2))
        for part in (device.keyboard, device.mouse):
            assert len(part.reports) <= 16
            assert len(part.replies) <= 16
    saved = device.save()
    device.load(saved)
    assert device.save() == saved
