"""QMP on several lines: what QEMU wrote so is what we would write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge.control.session import render_pretty

from tests.core.qemu_system.program import PROGRAM
from tests.core.qmp.talking import connected
from tests.guests.build import need

IDS: list[Any] = ["none", [], {}, [1, {"a": [], "b{}": {}}], 'a "{}"', "[]", {"[]": "{}", "c": [[], [{}]]}]


def spoken(program: str | Path, folder: Path, accelerator: str) -> str:
    """All that a pretty monitor says to requests with these ids."""
    requests: list[dict[str, Any]] = [{"execute": "qmp_capabilities"}]
    requests += [{"execute": "query-cpus-fast", "id": id} for id in IDS]
    requests += [{"execute": "none"}, {"execute": "cont"}, {"execute": "quit"}]
    options = ["-machine", "pc", "-nodefaults", "-display", "none", "-S", "-accel", accelerator]
    with connected(program, options, folder, ",pretty=on") as client:
        client.sendall("".join(map(json.dumps, requests)).encode())
        said = b""
        while b'"SHUTDOWN"' not in said:
            said += client.recv(65536)
        while not said.endswith(b"}\r\n"):
            said += client.recv(65536)
    return said.decode("ascii")


def messages(text: str) -> list[dict[str, Any]]:
    found = []
    while text.strip():
        message, end = json.JSONDecoder().raw_decode(text)
        found.append(message)
        text = text[end:].lstrip()
    return found


@pytest.mark.parametrize(("program", "accelerator"), [(PROGRAM, "qtest"), ("qemu-system-i386", "tcg")])
def test_beside_qemu(program: str | Path, accelerator: str, tmp_path: Path) -> None:
    if accelerator == "tcg":
        program = need("qemu-system-i386", "qemu-system-x86")
    text = spoken(program, tmp_path, accelerator)
    said = messages(text)
    assert [message["id"] for message in said if "id" in message] == IDS
    assert text.startswith(b"".join(map(render_pretty, said[:-1])).decode("ascii"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["{}", "[]", '"{}"', "\\"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=3))
def test_it_says_the_same(message: dict[str, Any]) -> None:
    text = render_pretty(message)
    assert json.loads(text) == message
    for line in text.decode("ascii").split("\r\n"):
        assert not line.endswith(("{}", "[]"))
