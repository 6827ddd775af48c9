"""Keyboard, mouse and tablet: reports, class requests, and who has the user's input."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge.input import LEFT, RIGHT, SCANCODES, PointerEvent
from southbridge.testing import Bench
from southbridge.usb import Handshake, Pid

from tests.core.usb.toy import Cable, configure, control_in, control_out


def plug(bench: Bench, kind: str) -> Any:
    if "usb.0" not in bench.machine.buses:
        bench.machine.add_bus("usb.0", Cable().bus)
    return bench.plug(kind)


def reports(device: Any) -> list[bytes]:
    """What the device has to say now."""

    def ask() -> Iterator[bytes]:
        while (reply := device.transaction(Pid.IN, 1)).handshake is Handshake.ACK:
            yield reply.data

    return list(ask())


@pytest.fixture
def keyboard(bench: Bench) -> Any:
    device = plug(bench, "usb-kbd")
    configure(device)
    control_out(device, 0x21, 0x0A)
    return device


@pytest.fixture
def mouse(bench: Bench) -> Any:
    device = plug(bench, "usb-mouse")
    configure(device)
    return device


@pytest.fixture
def tablet(bench: Bench) -> Any:
    device = plug(bench, "usb-tablet")
    configure(device)
    return device


# --- keyboard ----------------------------------------------------------------------------------------------------


def test_keys_become_reports(keyboard: Any, bench: Bench) -> None:
    for key, pressed in (("shift", True), ("a", True), ("a", True), ("ret", True), ("a", False), ("shift", False)):
        bench.machine.input.key(key, pressed)
    assert reports(keyboard) == [
        bytes.fromhex(text)
        for text in (
            "0200000000000000",
            "0200040000000000",
            "0200042800000000",
            "0200280000000000",
            "0000280000000000",
        )
    ]


def test_more_than_six_keys_are_too_many(keyboard: Any, bench: Bench) -> None:
    for key in "abcdefg":
        bench.machine.input.key(key, True)
    bench.machine.input.key("ctrl_r", True)
    assert reports(keyboard)[-1] == bytes.fromhex("1000010101010101")
    bench.machine.input.key("d", False)
    assert reports(keyboard) == [bytes.fromhex("1000040506080 90a".replace(" ", ""))]


def test_no_key_stays_down_if_the_host_is_slow(keyboard: Any, bench: Bench) -> None:
    for _ in range(100):
        for pressed in (True, False):
            bench.machine.input.key("x", pressed)
    bench.machine.input.key("y", True)
    found = reports(keyboard)
    assert len(found) <= 64
    assert found[-1] == bytes.fromhex("00001c0000000000")


def test_an_idle_rate_repeats_the_report(keyboard: Any, bench: Bench) -> None:
    assert control_out(keyboard, 0x21, 0x0A, 5 << 8)
    assert control_in(keyboard, 0xA1, 0x02, length=1) == b"\5"
    assert reports(keyboard) == []
    bench.clock.advance(ms=20)
    assert reports(keyboard) == [bytes(8)]
    bench.clock.advance(ms=19)
    assert reports(keyboard) == []


def test_a_keyboard_begins_with_half_a_second(bench: Bench) -> None:
    device = plug(bench, "usb-kbd")
    configure(device)
    assert control_in(device, 0xA1, 0x02, length=1) == bytes([125])


def test_leds(keyboard: Any) -> None:
    assert control_out(keyboard, 0x21, 0x09, 0x0200, data=b"\5")
    assert keyboard.leds == 5
    assert not control_out(keyboard, 0x21, 0x09, 0x0200, data=b"\5\5")
    assert not control_out(keyboard, 0x21, 0x09, 0x0300, data=b"\5")


def test_every_key_but_few_has_a_usage(keyboard: Any, bench: Bench) -> None:
    silent = [key for key in SCANCODES if not _types(keyboard, bench, key)]
    assert silent == ["sleep"]


def _types(keyboard: Any, bench: Bench, key: str) -> bool:
    bench.machine.input.key(key, True)
    bench.machine.input.key(key, False)
    return len(reports(keyboard)) == 2


# --- pointers ----------------------------------------------------------------------------------------------------


def test_the_mouse_moves(mouse: Any, bench: Bench) -> None:
    point = bench.machine.input.point
    point(PointerEvent(dx=3, dy=-4))
    point(PointerEvent(dx=300))
    point(PointerEvent(pressed=LEFT))
    point(PointerEvent(dz=-1))
    point(PointerEvent(released=LEFT, pressed=RIGHT))
    assert [struct.unpack("<Bbbb", report) for report in reports(mouse)] == [
        (0, 127, -4, 0),
        (0, 127, 0, 0),
        (0, 49, 0, 0),
        (1, 0, 0, 1),
        (2, 0, 0, 0),
    ]


def test_the_mouses_boot_protocol_has_three_bytes(mouse: Any, bench: Bench) -> None:
    assert control_out(mouse, 0x21, 0x0B, 0)
    assert control_in(mouse, 0xA1, 0x03, length=1) == b"\0"
    bench.machine.input.point(PointerEvent(dx=1, dy=2, dz=3))
    assert reports(mouse) == [bytes([0, 1, 2])]
    assert not control_out(mouse, 0x21, 0x0B, 2)


def test_the_tablet_is_where_the_pointer_is(tablet: Any, bench: Bench) -> None:
    point = bench.machine.input.point
    point(PointerEvent(x=1, y=2))
    point(PointerEvent(x=0x7FFF))
    point(PointerEvent(y=5, pressed=LEFT))
    assert [struct.unpack("<BHHb", report) for report in reports(tablet)] == [(0, 0x7FFF, 2, 0), (1, 0x7FFF, 5, 0)]
    assert control_in(tablet, 0xA1, 0x01, 0x0100, length=6) == struct.pack("<BHHb", 1, 0x7FFF, 5, 0)
    assert control_in(tablet, 0xA1, 0x03, length=1) is None


def test_a_host_that_never_asks_costs_no_memory(tablet: Any, bench: Bench) -> None:
    for number in range(1000):
        bench.machine.input.point(PointerEvent(x=number, pressed=LEFT * (number & 1), released=LEFT * (~number & 1)))
    found = reports(tablet)
    assert len(found) == 32
    assert struct.unpack("<BHHb", found[-1])[1] == 999


# --- both --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "boot"), [("usb-kbd", True), ("usb-mouse", True), ("usb-tablet", False)])
def test_descriptors(bench: Bench, kind: str, boot: bool) -> None:
    device = plug(bench, kind)
    whole = control_in(device, 0x80, 6, 0x0200)
    assert whole is not None
    assert whole[9 + 5 : 9 + 7] == bytes([3, boot])
    configure(device)
    report = control_in(device, 0x81, 6, 0x2200)
    assert control_in(device, 0x81, 6, 0x2100) == whole[18:27]
    assert report is not None
    assert whole[25] | whole[26] << 8 == len(report)
    assert control_in(device, 0x81, 6, 0x2300) is None
    assert control_in(device, 0x81, 6, 0x2200, index=1) is None


def test_a_usb_keyboard_has_the_keys_once_it_is_configured(bench: Bench) -> None:
    controller = bench.plug("i8042")
    device = plug(bench, "usb-kbd")
    bench.machine.input.key("a", True)
    assert controller.keyboard.held == [0x1E]
    configure(device)
    bench.machine.input.key("b", True)
    bench.machine.input.key("a", False)
    assert reports(device) == [bytes.fromhex("0000050000000000")]
    assert controller.keyboard.held == []
    bench.machine.unplug(device)
    bench.machine.input.key("c", True)
    assert controller.keyboard.held == [0x2E]


def test_what_happened_before_it_was_configured_is_forgotten(bench: Bench) -> None:
    device = plug(bench, "usb-mouse")
    configure(device)
    bench.machine.input.point(PointerEvent(dx=1))
    configure(device)
    assert reports(device) == []


@given(
    events=st.lists(
        st.builds(
            PointerEvent,
            dx=st.integers(-500, 500),
            dy=st.integers(-500, 500),
            dz=st.integers(-3, 3),
            x=st.none(),
            y=st.none(),
            pressed=st.sampled_from((0, LEFT)),
            released=st.sampled_from((0, LEFT)),
        ),
        max_size=30,
    )
)
def test_all_movement_arrives(events: list[PointerEvent]) -> None:
    bench = Bench()
    device = plug(bench, "usb-mouse")
    configure(device)
    for event in events:
        bench.machine.input.point(event)
    found = [struct.unpack("<Bbbb", report) for report in reports(device)]
    assert sum(report[1] for report in found) == sum(event.dx for event in events)
    assert sum(report[2] for report in found) == sum(event.dy for event in events)
    assert sum(-report[3] for report in found) == sum(event.dz for event in events)
