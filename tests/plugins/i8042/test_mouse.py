"""The mouse: its commands, reports of three and four bytes, sampling, and movement that nobody reads."""

from __future__ import annotations

from typing import Any

import pytest

LEFT, RIGHT, MIDDLE, SIDE, EXTRA = 1, 2, 4, 8, 16
WHEEL_KNOCK = (0xF3, 200, 0xF3, 100, 0xF3, 80)
FIVE_KNOCK = (0xF3, 200, 0xF3, 200, 0xF3, 80)


def reports(controller: Any, length: int = 3) -> list[list[int]]:
    """What the mouse has to say, a report each."""
    data = [value & 0xFF for value in controller.read(ms=0)]
    assert len(data) % length == 0
    return [data[start : start + length] for start in range(0, len(data), length)]


def decode(report: list[int]) -> tuple[int, int, int]:
    """Buttons, movement to the right, movement upwards."""
    return report[0] & 7, report[1] - (report[0] << 4 & 0x100), report[2] - (report[0] << 3 & 0x100)


# --- commands --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "answers"),
    [
        ([0xFF], [0xFA, 0xAA, 0x00]),
        ([0xF2], [0xFA, 0x00]),
        ([0xE9], [0xFA, 0x00, 0x02, 0x64]),
        ([0xE8, 0x03, 0xF3, 40, 0xE7, 0xF4, 0xE9], [0xFA] * 6 + [0xFA, 0x30, 0x03, 0x28]),
        ([0xF0, 0xE9], [0xFA, 0xFA, 0x40, 0x02, 0x64]),
        ([0xF0, 0xEA, 0xE9], [0xFA, 0xFA, 0xFA, 0x00, 0x02, 0x64]),
        ([0xE7, 0xE6, 0xE9], [0xFA, 0xFA, 0xFA, 0x00, 0x02, 0x64]),
        ([0xE7, 0xF4, 0xF6, 0xE9], [0xFA] * 4 + [0x00, 0x02, 0x64]),
        ([0xF4, 0xF5, 0xE9], [0xFA] * 3 + [0x00, 0x02, 0x64]),
        ([0xEB], [0xFA, 0x08, 0x00, 0x00]),
        ([0xF2, 0xFE], [0xFA, 0x00, 0x00]),
        ([*WHEEL_KNOCK, 0xF2], [0xFA] * 7 + [0x03]),
        ([*FIVE_KNOCK, 0xF2], [0xFA] * 7 + [0x04]),
        ([*FIVE_KNOCK, 0xF6, 0xF2], [0xFA] * 8 + [0x04]),
        ([*WHEEL_KNOCK, 0xFF, 0xF2], [0xFA] * 7 + [0xAA, 0x00, 0xFA, 0x00]),
        ([*WHEEL_KNOCK[2:], 0xF2], [0xFA] * 5 + [0x00]),
    ],
    ids=lambda value: " ".join(f"{byte:x}" for byte in value),
)
def test_command(controller: Any, sent: list[int], answers: list[int]) -> None:
    assert controller.mouse(*sent) == answers
    assert not controller.bench.guest_errors


def test_a_command_ends_the_wait_for_an_argument(controller: Any) -> None:
    """Linux looks for touchpads with arguments that no mouse takes, and then goes on with commands."""
    assert controller.mouse(0xF3, 0x66)[-1] == 0xFE
    assert controller.mouse(0x66, 0xE9)[-1] == 0xFE
    assert controller.mouse(0xE9) == [0xFA, 0x00, 0x02, 0x64]


@pytest.mark.parametrize("sent", [[0x11], [0xE5], [0xF1], [0xE8, 0x04], [0xF3, 0x00], [0xF3, 0xFF]])
def test_what_it_doesnt_understand_it_wants_again(controller: Any, sent: list[int]) -> None:
    assert controller.mouse(*sent)[-1] == 0xFE
    assert controller.bench.guest_errors


def test_wrap_mode_echoes(controller: Any) -> None:
    assert controller.mouse(0xEE, 0x12, 0xF4, 0xE9, 0xEE) == [0xFA, 0x12, 0xF4, 0xE9, 0xEE]
    assert controller.mouse(0xEC, 0xE9) == [0xFA, 0xFA, 0x00, 0x02, 0x64]
    assert controller.mouse(0xEE, 0xFF, 0xF2) == [0xFA, 0xFA, 0xAA, 0x00, 0xFA, 0x00]


def test_status_has_the_buttons(controller: Any) -> None:
    for buttons, shown in ((LEFT, 4), (MIDDLE, 2), (RIGHT, 1)):
        controller.device.pointer(buttons=buttons)
        assert controller.mouse(0xE9)[1] == shown


# --- reports ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dx", "dy", "buttons"),
    [(1, 0, 0), (-1, 0, LEFT), (0, 1, RIGHT), (0, -1, MIDDLE), (255, 255, 7), (-255, -255, 0), (-128, 127, 0)],
)
def test_report(controller: Any, dx: int, dy: int, buttons: int) -> None:
    controller.mouse(0xF4)
    controller.device.pointer(dx, dy, buttons=buttons)
    (report,) = reports(controller)
    assert report[0] & 0xC8 == 0x08
    assert decode(report) == (buttons, dx, -dy)


def test_silent_until_enabled(controller: Any) -> None:
    controller.device.pointer(10, 10, buttons=LEFT)
    assert controller.read() == []
    controller.mouse(0xF4)
    assert controller.read() == []
    controller.device.pointer(1, 0)
    assert [decode(report) for report in reports(controller)] == [(LEFT, 1, 0)], "what was before is forgotten"


def test_far_movement_takes_several_reports(controller: Any) -> None:
    controller.mouse(0xF4)
    controller.device.pointer(600, -300)
    controller.bench.clock.advance(ms=100)
    assert [decode(report) for report in reports(controller)] == [(0, 255, 255), (0, 255, 45), (0, 90, 0)]


def test_scaling_of_stream_reports_only(controller: Any) -> None:
    controller.mouse(0xE7, 0xF4)
    for moved, shown in ((1, 1), (2, 1), (3, 3), (4, 6), (5, 9), (6, 12), (-5, -9), (200, 255)):
        controller.bench.clock.advance(ms=20)
        controller.device.pointer(moved, moved)
        assert [decode(report) for report in reports(controller)] == [(0, shown, -shown)]
    controller.mouse(0xF0)
    controller.device.pointer(5, 0)
    assert controller.mouse(0xEB) == [0xFA, 0x08, 5, 0]


def test_remote_mode_speaks_when_asked(controller: Any) -> None:
    controller.mouse(0xF0)
    controller.device.pointer(3, -2, buttons=RIGHT)
    assert controller.read() == []
    assert controller.mouse(0xEB) == [0xFA, 0x0A, 3, 2]
    assert controller.mouse(0xEB) == [0xFA, 0x0A, 0, 0]


@pytest.mark.parametrize(("notches", "byte"), [(1, 0x01), (-1, 0xFF), (7, 0x07), (-8, 0xF8)])
def test_wheel(controller: Any, notches: int, byte: int) -> None:
    controller.mouse(*WHEEL_KNOCK, 0xF4)
    controller.device.pointer(dz=notches)
    assert reports(controller, 4) == [[0x08, 0, 0, byte]]


@pytest.mark.parametrize(
    ("notches", "buttons", "report"),
    [(1, 0, [0x08, 0, 0, 0x01]), (-1, SIDE, [0x08, 0, 0, 0x1F]), (0, EXTRA | LEFT, [0x09, 0, 0, 0x20])],
)
def test_five_buttons(controller: Any, notches: int, buttons: int, report: list[int]) -> None:
    controller.mouse(*FIVE_KNOCK, 0xF4)
    controller.device.pointer(dz=notches, buttons=buttons)
    assert reports(controller, 4) == [report]


def test_plain_mouse_has_no_wheel(controller: Any) -> None:
    controller.mouse(0xF4)
    controller.device.pointer(dz=3, buttons=SIDE)
    assert controller.read() == []


# --- sampling --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [10, 100, 200])
def test_movement_is_told_at_the_sample_rate(controller: Any, rate: int) -> None:
    controller.mouse(0xF3, rate, 0xF4)
    seen = []
    for _ in range(1000):
        controller.device.pointer(1, 0)
        seen += reports(controller) if controller.status & 1 else []
        controller.bench.clock.advance(ms=1)
    assert abs(len(seen) - rate) <= rate // 20 + 2
    controller.bench.clock.advance(ms=200)
    seen += reports(controller)
    assert sum(decode(report)[1] for report in seen) == 1000, "nothing of it is lost"


def test_clicks_dont_wait_for_the_sample(controller: Any) -> None:
    controller.mouse(0xF4)
    for buttons in (LEFT, 0, LEFT, 0):
        controller.device.pointer(buttons=buttons)
    assert [report[0] & 7 for report in reports(controller)] == [LEFT, 0, LEFT, 0]


def test_nobody_reads(controller: Any) -> None:
    controller.mouse(0xF4)
    for _ in range(100_000 // 100):
        controller.device.pointer(1_000_000, -1_000_000, buttons=LEFT)
        controller.device.pointer(buttons=0)
    mouse = controller.device.mouse
    assert len(mouse.reports) <= 16
    assert abs(mouse.dx) <= 1 << 16
    controller.bench.clock.advance(ms=10_000)
    assert len(mouse.reports) <= 16
    assert reports(controller)


def test_command_in_the_middle_of_a_report(controller: Any) -> None:
    controller.mouse(0xF4)
    controller.device.pointer(5, 5)
    assert controller.data() == 0x28
    controller.command(0xD4, 0xF2)
    assert controller.read()[-2:] == [0x1FA, 0x100]
    controller.bench.clock.advance(ms=20)
    controller.device.pointer(1, 0)
    assert [decode(report) for report in reports(controller)] == [(0, 1, 0)], "reports begin anew"
