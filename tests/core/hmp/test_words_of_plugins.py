"""A plugin's own words and topics: said, explained and completed like ours; what is wrong with them is said too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from southbridge import Device, Machine, SouthbridgeError, hookimpl
from southbridge.builder import build
from southbridge.control.server import all_commands
from southbridge.description.model import load
from southbridge.properties import Property
from southbridge.qmp.human import HumanCommand

if TYPE_CHECKING:
    from southbridge.hmp import Line, Word
    from southbridge.hmp.monitor import HumanMonitor

DISTRIBUTION = ("acme_lamp", "1.0", "[southbridge.devices]\nlamp = tests.core.hmp.test_words_of_plugins:Lamp\n")


class Lamp(Device):
    """Shines in one of a few colours."""

    colour: str = Property("red", doc="Which it begins with.")

    @hookimpl
    def register_monitor_words(self) -> list[Word]:
        """`lamp`, and words that can't be."""
        from southbridge.hmp import Word

        return [
            Word(("lamp", "light"), "colour", "have the lamp shine", self._shine, lambda: ["red", "green", "grey"]),
            Word(("lamp-count",), "from [times]", "count", self._count),
            Word(("lamp-of",), "device", "which lamp", self._fail, "devices"),
            Word(("quit",), "", "go", self._fail),
            Word(("two words",), "", "go", self._fail),
            Word(("lamp-none",), "", "go", self._fail, "lamps"),
            Word((), "", "go", self._fail),
            Word(("lamp-no",), "", "go", None),  # type: ignore[arg-type]
            "lamp",  # type: ignore[list-item]
        ]

    @hookimpl
    def register_monitor_topics(self) -> list[Word]:
        """`info lamp`, and a name that is taken."""
        from southbridge.hmp import Word

        return [
            Word(("lamp",), "", "show how the lamp shines", self._show),
            Word(("pic",), "", "show it", self._show),
        ]

    def _shine(self, monitor: HumanMonitor, line: Line) -> None:
        colour = line.word("colour expected")
        line.end()
        if colour not in ("red", "green", "grey"):
            raise SouthbridgeError(f"no lamp is {colour}")
        self.colour = colour

    async def _count(self, monitor: HumanMonitor, line: Line) -> str:
        from southbridge.hmp import expression, optional_expression

        start, times = expression(line), optional_expression(line)
        line.end()
        running = (await monitor.qmp("query-status"))["running"]
        return f"{' '.join(str(start + number) for number in range(times or 1))}{' and on' if running else ''}"

    def _fail(self, monitor: HumanMonitor, line: Line) -> None:
        raise ZeroDivisionError("no colours")

    def _show(self, monitor: HumanMonitor, line: Line) -> str:
        line.end()
        return f"lamp {self.id}: {self.colour}"


@pytest.fixture
def machine(distribution: Callable[..., Any]) -> Iterator[Machine]:
    distribution(*DISTRIBUTION)
    settings = ["accelerator=qtest", "memory=16M", "chardevs.serial0.type=null", "devices.desk.type=lamp"]
    machine = build(load("pc", settings))
    yield machine
    machine.close()


def human(machine: Machine) -> HumanCommand:
    return HumanCommand(machine, all_commands(machine))


def say(machine: Machine, *lines: str) -> list[str]:
    command = human(machine)

    async def said() -> list[str]:
        return [(await command.human_monitor_command(line)).replace("\r\n", "\n") for line in lines]

    return asyncio.run(said())


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("lamp green", ""),
        ("lamp", 'lamp|light: colour expected\nTry "help lamp" for more information\n'),
        (
            "light grey now",
            'lamp|light: extraneous characters at the end of line\nTry "help light" for more information\n',
        ),
        ("lamp blue", "Error: no lamp is blue\n"),
        ("lamp-count 2+1 3", "3 4 5\n"),
        ("lamp-count", 'unexpected end of expression\nTry "help lamp-count" for more information\n'),
        ("lamp-of desk", "Error: lamp-of failed: ZeroDivisionError: no colours\n"),
        ("info lamp", "lamp desk: red\n"),
        ("help light", "lamp|light colour -- have the lamp shine\n"),
        ("help info lamp", "info lamp  -- show how the lamp shines\n"),
        ("lamp-none", "unknown command: 'lamp-none'\n"),
    ],
)
def test_answers(machine: Machine, line: str, answer: str) -> None:
    assert say(machine, line) == [answer]


def test_what_a_word_did_holds_and_ours_stay_ours(machine: Machine) -> None:
    _, shown, pic, words, topics = say(machine, "lamp green", "info lamp", "info pic", "help", "info")
    assert shown == "lamp desk: green\n"
    assert "pic0: irr=" in pic
    names = [line.split()[0].split("|")[0] for line in words.splitlines()]
    assert {"lamp", "lamp-count"} < set(names) and names == sorted(names)
    assert "info lamp  -- show how the lamp shines\n" in topics


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("la", ["lamp", "lamp-count", "lamp-of"]),
        ("lamp g", ["green", "grey"]),
        ("light r", ["red"]),
        ("lamp green ", []),
        ("lamp-of des", ["desk"]),
        ("info la", ["lamp"]),
        ("help info la", ["lamp"]),
    ],
)
def test_completion(machine: Machine, text: str, expected: list[str]) -> None:
    assert human(machine).human_monitor_completions(text) == expected


def test_a_completion_that_fails_completes_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from southbridge.hmp import Word

    def fail() -> list[str]:
        raise ZeroDivisionError

    lamp = machine.devices["desk"]
    assert isinstance(lamp, Lamp)
    words = [Word(("lamp-x",), "", "go", lamp._fail, fail)]
    machine.hooks.register(_With(words), "more")
    assert human(machine).human_monitor_completions("lamp-x ") == []
    assert "the completion of the monitor's lamp-x failed" in caplog.text


class _With:
    def __init__(self, words: list[Word]) -> None:
        self._words = words

    @hookimpl
    def register_monitor_words(self) -> list[Word]:
        return self._words


def test_what_cannot_be_a_word_is_left_out(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    say(machine, "help")
    assert [message.removeprefix("left out: ") for message in caplog.messages] == [
        "there are two monitor words 'quit'",
        "monitor word 'two words': expected a name without spaces",
        "monitor word 'lamp-none': completes 'lamps': expected a function, or one of words, topics, devices, drives, "
        "netdevs, chardevs, drivers, accelerators",
        "monitor word 'go': it has no name",
        "monitor word 'lamp-no': expected a function that does it",
        "monitor word 'lamp': expected a southbridge.hmp.Word",
        "there are two monitor topics 'pic'",
    ]
