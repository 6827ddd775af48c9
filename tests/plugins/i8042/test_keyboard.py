"""The keyboard: what keys send in each set, translation, commands, repetition, overflow."""

from __future__ import annotations

from typing import Any

import pytest
from southbridge.plugins.i8042.scancodes import TO_SET_1, codes, is_key

A, SHIFT, ENTER, RIGHT, PRINT_SCREEN, PAUSE, F7 = 0x1E, 0x2A, 0x1C, 0xE04D, 0xE037, 0xE11D, 0x41
KEYS = [*range(1, 0x59), *(0xE000 | code for code in range(1, 0x80)), PAUSE]


def test_translation_is_one_to_one() -> None:
    """Every code of set 1 comes from one of set 2; 0 is the overflow code, FFh in set 1."""
    assert sorted(TO_SET_1[1:]) == list(range(1, 0x80))
    assert TO_SET_1[0] == 0xFF


SENT = [
    (A, [0x1E], [0x9E], [0x1C], [0xF0, 0x1C], [0x1C]),
    (0x01, [0x01], [0x81], [0x76], [0xF0, 0x76], [0x08]),
    (F7, [0x41], [0xC1], [0x83], [0xF0, 0x83], [0x37]),
    (0x57, [0x57], [0xD7], [0x78], [0xF0, 0x78], [0x56]),
    (0x3A, [0x3A], [0xBA], [0x58], [0xF0, 0x58], [0x14]),
    (RIGHT, [0xE0, 0x4D], [0xE0, 0xCD], [0xE0, 0x74], [0xE0, 0xF0, 0x74], [0x6A]),
    (0xE01D, [0xE0, 0x1D], [0xE0, 0x9D], [0xE0, 0x14], [0xE0, 0xF0, 0x14], [0x58]),
    (
        PRINT_SCREEN,
        [0xE0, 0x2A, 0xE0, 0x37],
        [0xE0, 0xB7, 0xE0, 0xAA],
        [0xE0, 0x12, 0xE0, 0x7C],
        [0xE0, 0xF0, 0x7C, 0xE0, 0xF0, 0x12],
        [0x57],
    ),
    (
        PAUSE,
        [0xE1, 0x1D, 0x45, 0xE1, 0x9D, 0xC5],
        [],
        [0xE1, 0x14, 0x77, 0xE1, 0xF0, 0x14, 0xF0, 0x77],
        [],
        [0x62],
    ),
]


@pytest.mark.parametrize(("key", "make1", "break1", "make2", "break2", "make3"), SENT, ids=lambda v: str(v)[:8])
def test_what_a_key_sends(
    controller: Any,
    key: int,
    make1: list[int],
    break1: list[int],
    make2: list[int],
    break2: list[int],
    make3: list[int],
) -> None:
    controller.command(0x60, 0x00)
    controller.keyboard(0xF0, 1)
    assert controller.type(key) == make1 + break1
    controller.keyboard(0xF0, 2)
    assert controller.type(key) == make2 + break2
    controller.keyboard(0xF0, 3)
    assert controller.type(key) == [*make3, 0xF0, *make3]


@pytest.mark.parametrize("key", KEYS, ids=hex)
def test_translated_set_2_is_set_1(controller: Any, key: int) -> None:
    controller.command(0x60, 0x40)
    assert controller.type(key) == list(codes(key, True, 1) + codes(key, False, 1))


def test_keys_are_distinct_in_every_set() -> None:
    for scan_set, keys in ((1, KEYS), (2, KEYS)):
        assert len({codes(key, True, scan_set) for key in keys}) == len(keys)


@pytest.mark.parametrize("key", [0, 0x80, 0xFF, 0xE000, 0xE080, 0xE100, 0xE145, 0x1234, -1])
def test_no_such_key(controller: Any, key: int) -> None:
    assert not is_key(key)
    with pytest.raises(ValueError, match="no key"):
        controller.device.key(key, True)


# --- commands --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "answers"),
    [
        ([0xEE], [0xEE]),
        ([0xF2], [0xFA, 0xAB, 0x83]),
        ([0xFF], [0xFA, 0xAA]),
        ([0xED, 0x07], [0xFA, 0xFA]),
        ([0xF3, 0x7F], [0xFA, 0xFA]),
        ([0xF0, 0x00], [0xFA, 0xFA, 0x02]),
        ([0xF0, 0x03, 0xF0, 0x00], [0xFA, 0xFA, 0xFA, 0xFA, 0x03]),
        ([0xF0, 0x03, 0xF6, 0xF0, 0x00], [0xFA, 0xFA, 0xFA, 0xFA, 0xFA, 0x02]),
        ([0xF0, 0x03, 0xF4, 0xF0, 0x00], [0xFA, 0xFA, 0xFA, 0xFA, 0xFA, 0x03]),
        ([0xF7], [0xFA]),
        ([0xFA], [0xFA]),
        ([0xFC, 0x12, 0x34, 0xF4], [0xFA] * 4),
        ([0xF2, 0xFE], [0xFA, 0xAB, 0x83, 0x83]),
        ([0xED, 0xF2], [0xFA, 0xFA, 0xAB, 0x83]),
    ],
    ids=lambda value: " ".join(f"{byte:x}" for byte in value),
)
def test_command(controller: Any, sent: list[int], answers: list[int]) -> None:
    assert controller.keyboard(*sent) == answers
    assert not controller.bench.guest_errors


@pytest.mark.parametrize("sent", [[0x12], [0xEF], [0xF1], [0xED, 0x08], [0xF3, 0x80], [0xF0, 0x04]])
def test_what_it_doesnt_understand_it_wants_again(controller: Any, sent: list[int]) -> None:
    assert controller.keyboard(*sent)[-1] == 0xFE
    assert controller.bench.guest_errors
    assert controller.keyboard(0xEE) == [0xEE]


def test_argument_can_be_sent_again(controller: Any) -> None:
    assert controller.keyboard(0xED, 0x55, 0x02) == [0xFA, 0xFE, 0xFA]
    assert controller.device.keyboard.leds == 2


@pytest.mark.parametrize(("argument", "answer"), [(1, 0x43), (2, 0x41), (3, 0x3F)])
def test_answers_are_translated_too(controller: Any, argument: int, answer: int) -> None:
    """How real controllers give the set's number, and how guests tell that translation is on."""
    controller.command(0x60, 0x40)
    assert controller.keyboard(0xF0, argument, 0xF0, 0) == [0xFA, 0xFA, 0xFA, 0xFA, answer]
    assert controller.keyboard(0xF2) == [0xFA, 0xAB, 0x41]
    assert controller.keyboard(0xFF) == [0xFA, 0xAA]


def test_leds_until_reset(controller: Any) -> None:
    controller.keyboard(0xED, 0x05, 0xF6)
    assert controller.device.keyboard.leds == 5
    controller.keyboard(0xFF)
    assert controller.device.keyboard.leds == 0


def test_disabled_scanning_drops_keys(controller: Any) -> None:
    controller.keyboard(0xF5)
    assert controller.type(A) == []
    controller.keyboard(0xF4)
    assert controller.read() == []
    assert controller.type(A) == [0x1C, 0xF0, 0x1C]


def test_new_command_drops_unread_answers(controller: Any) -> None:
    for _ in range(1000):
        controller.bench.write_port(0x60, 0xF2)
    assert controller.read() == [0xFA, 0xFA, 0xAB, 0x83]


# --- repetition ------------------------------------------------------------------------------------------------------


def count_repeats(controller: Any, ms: int) -> int:
    """How often the held key is reported in `ms`."""
    seen = 0
    for _ in range(ms):
        controller.bench.clock.advance(ms=1)
        while controller.status & 1:
            controller.data()
            seen += 1
    return seen


@pytest.mark.parametrize(
    ("typematic", "delay", "in_two_seconds"),
    [(0x2B, 500, 21.8), (0x00, 250, 60), (0x7F, 1000, 4), (0x20, 500, 60)],
)
def test_held_key_repeats(controller: Any, typematic: int, delay: int, in_two_seconds: float) -> None:
    controller.keyboard(0xF3, typematic)
    controller.device.key(A, True)
    assert controller.read() == [0x1C]
    assert count_repeats(controller, delay - 5) == 0
    assert abs(count_repeats(controller, 2000) - in_two_seconds) <= 1.5
    controller.device.key(A, False)
    assert controller.read() == [0xF0, 0x1C]
    assert count_repeats(controller, 2000) == 0


def test_last_key_repeats(controller: Any) -> None:
    controller.device.key(SHIFT, True)
    controller.device.key(A, True)
    controller.read()
    controller.device.key(SHIFT, False)
    controller.read()
    controller.bench.clock.advance(ms=600)
    assert controller.read()[0] == 0x1C, "releasing another key doesn't end it"
    controller.device.key(PAUSE, True)
    controller.read()
    assert count_repeats(controller, 2000) == 0, "pause doesn't repeat, and ends it"


def test_the_hosts_own_repetition_is_ignored(controller: Any) -> None:
    for _ in range(5):
        controller.device.key(A, True)
    assert controller.read() == [0x1C]
    controller.device.key(A, False)
    controller.device.key(A, False)
    assert controller.read() == [0xF0, 0x1C]


def test_nobody_reads_a_held_key(controller: Any) -> None:
    controller.device.key(A, True)
    controller.bench.clock.advance(ms=60_000)
    controller.device.key(A, False)
    assert controller.read() == [0x1C, 0x1C, 0xF0, 0x1C]


# --- overflow --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "scan_set", "code"), [(0, 1, 0xFF), (0, 2, 0x00), (0x40, 2, 0xFF), (0, 3, 0x00)])
def test_overflow(controller: Any, mode: int, scan_set: int, code: int) -> None:
    controller.command(0x60, mode)
    controller.keyboard(0xF0, scan_set)
    controller.command(0xAD)
    for _ in range(50):
        controller.type(A)
    controller.command(0xAE)
    found = controller.read()
    assert found[-1] == code
    assert code not in found[:-1]
    assert controller.type(ENTER) != [], "and it goes on"


def test_keys_are_whole_or_lost(controller: Any) -> None:
    """No part of a key's codes gets through, whatever room there is."""
    controller.command(0x60, 0x50)
    for _ in range(20):
        controller.type(RIGHT)
    controller.command(0x60, 0x40)
    found = controller.read()
    assert found.pop() == 0xFF
    assert found == ([0xE0, 0x4D, 0xE0, 0xCD] * 5)[: len(found)]
    assert len(found) % 2 == 0
