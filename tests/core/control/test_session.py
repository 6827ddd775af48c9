"""QMP's conversation, without any transport: what is answered to what."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge.control.commands import CommandError, Commands
from southbridge.control.session import Session, Splitter, event, parse, render
from southbridge.errors import PluginError, SouthbridgeError


def add(first: int, and_more: int = 1) -> int:
    """Adds.

    And no more than that."""
    return first + and_more


async def slowly(path: str) -> None:
    """Takes its time."""
    await asyncio.sleep(0)
    if path == "no":
        raise SouthbridgeError("not\n  there")


def fails() -> None:
    """Has a bug."""
    raise LookupError("lost")


@pytest.fixture
def commands() -> Commands:
    commands = Commands()
    for name, function in (("add", add), ("slowly", slowly), ("fails", fails)):
        commands.add(name, function)
    return commands


Answer = Callable[[Any], Any]


@pytest.fixture
def session(commands: Commands) -> Session:
    return Session(commands)


@pytest.fixture
def answer(session: Session) -> Answer:
    """The answer, after the negotiation, to a line or a message."""

    def answer(message: Any) -> Any:
        line = message if isinstance(message, bytes) else json.dumps(message).encode()
        return asyncio.run(session.answer(session.request(line)))

    assert answer({"execute": "qmp_capabilities"}) == {"return": {}}
    return answer


def error(answer: Any) -> tuple[str, str]:
    return answer["error"]["class"], answer["error"]["desc"]


def test_the_greeting(session: Session) -> None:
    greeting = session.greeting()
    assert greeting["QMP"]["capabilities"] == ["oob"]
    assert greeting["QMP"]["version"]["package"] == ""
    version = greeting["QMP"]["version"]["qemu"]
    assert version.keys() == {"major", "minor", "micro"} and all(type(value) is int for value in version.values())


def test_nothing_is_accepted_before_the_negotiation(session: Session) -> None:
    answer = asyncio.run(session.answer(session.request(b'{"execute": "add", "arguments": {"first": 1}, "id": 7}')))
    assert error(answer) == ("CommandNotFound", "Expecting capabilities negotiation with 'qmp_capabilities'")
    assert answer is not None and answer["id"] == 7
    assert not session.ready


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        ({}, ""),
        ({"enable": []}, ""),
        ({"enable": ["oob"]}, ""),
        ({"enable": ["x"]}, "does not accept value 'x'"),
        ({"enable": 1}, "expected: array"),
    ],
)
def test_the_negotiation(session: Session, arguments: Any, wrong: str) -> None:
    line = json.dumps({"execute": "qmp_capabilities", "arguments": arguments}).encode()
    answer = asyncio.run(session.answer(session.request(line)))
    assert session.ready is not bool(wrong)
    if wrong:
        assert wrong in error(answer)[1]


def test_one_negotiation_is_enough(answer: Answer) -> None:
    message = "Capabilities negotiation is already complete, command ignored"
    assert error(answer({"execute": "qmp_capabilities"})) == ("CommandNotFound", message)


def test_commands_get_their_arguments(answer: Answer) -> None:
    assert answer({"execute": "add", "arguments": {"first": 2}}) == {"return": 3}
    assert answer({"execute": "add", "arguments": {"first": 2, "and-more": 5}}) == {"return": 7}
    assert answer({"execute": "slowly", "arguments": {"path": "x"}}) == {"return": {}}


@pytest.mark.parametrize("id", [0, "x", None, [1, {"a": 2}], {"deep": []}])
def test_ids_come_back(answer: Answer, id: Any) -> None:
    assert answer({"execute": "add", "arguments": {"first": 1}, "id": id})["id"] == id
    assert answer({"execute": "nothing", "id": id})["id"] == id
    assert answer({"id": id})["id"] == id


def test_no_id_no_id(answer: Answer) -> None:
    assert "id" not in answer({"execute": "add", "arguments": {"first": 1}})


@pytest.mark.parametrize(
    ("message", "kind", "description"),
    [
        ({"execute": "sub"}, "CommandNotFound", "The command sub has not been found"),
        ({"execute": "add"}, "GenericError", "Parameter 'first' is missing"),
        ({"execute": "add", "arguments": {"first": 1, "x": 1}}, "GenericError", "Parameter 'x' is unexpected"),
        (
            {"execute": "add", "arguments": {"first": "1"}},
            "GenericError",
            "Invalid parameter type for 'first', expected: integer",
        ),
        (
            {"execute": "add", "arguments": {"first": True}},
            "GenericError",
            "Invalid parameter type for 'first', expected: integer",
        ),
        ({"execute": "add", "arguments": {"first": 1, "and_more": 1}}, "GenericError", "'and_more' is unexpected"),
        ({"execute": "add", "arguments": []}, "GenericError", "QMP input member 'arguments' must be an object"),
        ({"execute": 1}, "GenericError", "QMP input member 'execute' must be a string"),
        ({}, "GenericError", "QMP input lacks member 'execute'"),
        ({"execute": "add", "exec": 1}, "GenericError", "QMP input member 'exec' is unexpected"),
        ([], "GenericError", "QMP input must be a JSON object"),
        (b"{", "GenericError", "JSON parse error, "),
        (b"\xff", "GenericError", "JSON parse error, "),
        (b'{"execute": NaN}', "GenericError", "JSON parse error, NaN is no JSON"),
        (b"'", "GenericError", "JSON parse error, a string that doesn't end"),
        (b"[" * 60000, "GenericError", "JSON parse error, "),
        (rb'{"execute": "\ud800"}', "GenericError", r"JSON parse error, \ud800 is not a valid Unicode character"),
        (rb'{"execute": {"\udc00": 1}}', "GenericError", r"JSON parse error, \udc00 is not a valid Unicode character"),
        ({"execute": "slowly", "arguments": {"path": "no"}}, "GenericError", "not there"),
        ({"execute": "fails"}, "GenericError", "fails failed: LookupError: lost"),
    ],
)
def test_what_is_wrong_is_one_message(answer: Answer, message: Any, kind: str, description: str) -> None:
    given_kind, given_description = error(answer(message))
    assert given_kind == kind
    assert description in given_description and "\n" not in given_description
    assert answer({"execute": "add", "arguments": {"first": 0}}) == {"return": 1}, "the conversation goes on"


@pytest.mark.parametrize(
    ("stream", "messages"),
    [
        (b'{"a": 1}{"b": [2]}\r\n\r\n', [b'{"a": 1}', b'{"b": [2]}']),
        (b'{"a":\n 1}\n', [b'{"a":\n 1}']),
        (rb"""{"}": '"}', '\'{': "\"\\"} {}""", [rb"""{"}": '"}', '\'{': "\"\\"}""", b"{}"]),
        (b"nonsense\n{}", [b"nonsense\n", b"{}"]),
        (b'{"a string\n{}', [b'{"a string\n', b"{}"]),
        (b"}{}", [b"}", b"{}"]),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_stream_is_cut_where_messages_end(stream: bytes, messages: list[bytes], size: int) -> None:
    splitter = Splitter()
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert [text.lstrip(b" ") for piece in pieces for text in splitter.feed(piece)] == messages


@given(st.binary(max_size=100), st.lists(st.integers(1, 7)))
def test_no_input_confuses_the_splitter_for_long(noise: bytes, sizes: list[int]) -> None:
    """However it is cut, the messages are the same."""
    whole = list(Splitter().feed(noise + b"\n"))
    splitter, at = Splitter(), 0
    found: list[bytes] = []
    for size in [*sizes, len(noise) + 1]:
        found += splitter.feed((noise + b"\n")[at : at + size])
        at += size
    assert found == whole


def test_too_long_is_refused() -> None:
    splitter = Splitter(100)
    assert list(splitter.feed(b"{" + b" " * 98 + b"}{")) == [b"{" + b" " * 98 + b"}"]
    with pytest.raises(CommandError, match="longer than 100 bytes"):
        list(splitter.feed(b" " * 100))


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"{'execute': 'stop'}", {"execute": "stop"}),
        (rb"""{'a': 'it\'s "it"', "b": "it's", 'c': '\u00e9\\'}""", {"a": 'it\'s "it"', "b": "it's", "c": "é\\"}),
        (b"""['', "", '"', "'"]""", ["", "", '"', "'"]),
    ],
)
def test_single_quotes(line: bytes, value: Any) -> None:
    assert parse(line) == value


@given(st.binary(max_size=200) | st.text("{}[]'\"\\:, a1", max_size=60).map(str.encode))
def test_any_line_is_parsed_or_refused(line: bytes) -> None:
    try:
        parse(line)
    except CommandError as error:
        assert str(error).startswith("JSON parse error, ")


def test_quotes_cost_no_more_than_their_number() -> None:
    """A line of the greatest length full of quotes, which a search from each of them would take minutes for."""
    line = b"'" + b'\\"' * 30000 + b'"' + b"\\'" * 1000
    with pytest.raises(CommandError, match="JSON parse error"):
        parse(line)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    )
)
def test_messages_are_ascii_lines(value: Any) -> None:
    line = render({"return": value})
    assert line.isascii() and line.endswith(b"\r\n") and line.count(b"\n") == 1
    assert parse(line) == {"return": value}


def test_events_have_the_time() -> None:
    before = time.time()
    message = event("STOP")
    stamp = message["timestamp"]
    assert message.keys() == {"event", "timestamp"}
    assert before - 1e-5 <= stamp["seconds"] + stamp["microseconds"] / 1e6 <= time.time()
    assert event("RESET", {"guest": True})["data"] == {"guest": True}


def test_commands_are_told_apart_and_documented(commands: Commands) -> None:
    assert [(command.name, command.doc) for command in commands.all()] == [
        ("add", "Adds."),
        ("fails", "Has a bug."),
        (
            "qmp_capabilities",
            "Must come first: which of the capabilities that the greeting offers the client wants to use.",
        ),
        ("slowly", "Takes its time."),
    ]
    with pytest.raises(PluginError, match="there are two monitor commands 'add'"):
        commands.add("add", add)


def test_a_function_that_is_no_command(commands: Commands) -> None:
    def unclear(value) -> None:  # type: ignore[no-untyped-def]
        ...

    for function in (unclear, 5):
        with pytest.raises(PluginError, match="monitor command 'x': "):
            commands.add("x", function)  # type: ignore[arg-type]
