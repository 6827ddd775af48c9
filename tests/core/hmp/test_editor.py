"""Editing a line: what the keys make of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge.hmp.editor import LONGEST, MOST_HISTORY, LineEditor

WORDS = ["info", "info2", "stop", "system_reset"]


def editor(shown: bytearray | None = None) -> LineEditor:
    def complete(text: str) -> list[str]:
        return [word for word in WORDS if word.startswith(text.rsplit(" ", 1)[-1])]

    return LineEditor("> ", (bytearray() if shown is None else shown).extend, complete)


@pytest.mark.parametrize(
    ("keys", "lines"),
    [
        (b"stop\r", ["stop"]),
        (b"a\nb\r\nc\rd\n", ["a", "b", "c", "d"]),
        (b"ab\x7fc\r", ["ac"]),
        (b"bc\x01a\x05d\r", ["abcd"]),
        (b"ac\x1b[Db\r", ["abc"]),
        (b"ac\x02b\x06\x06d\r", ["abcd"]),
        (b"xab\x01\x04\r", ["ab"]),
        (b"xab\x1b[H\x1b[3~\r", ["ab"]),
        (b"abc\x01\x06\x0b\r", ["a"]),
        (b"abc\x15d\r", ["d"]),
        (b"one two\x17three\r", ["one three"]),
        (b"a\rb\r\x10\x10\r", ["a", "b", "a"]),
        (b"a\r\x1b[A\x1b[B\x1b[Bb\r", ["a", "b"]),
        (b"a\rnew\x10\x0e!\r", ["a", "new!"]),
        (b"sto\t\r", ["stop "]),
        (b"in\t2\r", ["info2"]),
        (b"x sys\ty\r", ["x system_reset y"]),
        (b"\x1b[99~a\x1bOHb\r", ["ba"]),
        (b"\x7f\x04\x02\x06\r", [""]),
    ],
)
def test_keys(keys: bytes, lines: list[str]) -> None:
    assert editor().feed(keys) == lines


def test_what_is_shown() -> None:
    shown = bytearray()
    edited = editor(shown)
    edited.show()
    edited.feed(b"ac\x02b")
    assert shown == b"\r\x1b[K> ac\r\x1b[K> ac\x1b[1D\r\x1b[K> abc\x1b[1D"


def test_what_a_word_may_become_is_shown() -> None:
    shown = bytearray()
    editor(shown).feed(b"info\t")
    assert b"\r\ninfo  info2\r\n" in shown


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    edited = editor()
    for line in edited.feed(data) + edited.feed(b"\r"):
        assert line.isascii() and (not line or line.isprintable())


def test_bounds() -> None:
    edited = editor()
    assert edited.feed(b"x" * (2 * LONGEST) + b"\r") == ["x" * LONGEST]
    for number in range(2 * MOST_HISTORY):
        edited.feed(b"%d\r" % number)
    assert len(edited.history) == MOST_HISTORY
