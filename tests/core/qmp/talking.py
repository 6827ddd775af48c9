"""Talking with the program, or with QEMU: by QEMU's own client (qemu.qmp), or with requests as they are."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from qemu.qmp import ExecuteError, QMPClient

Talk = Callable[[Any], Coroutine[Any, Any, None]]
PATIENCE_S = 60.0


async def talk_with(path: Path, talk: Talk) -> None:
    client = QMPClient("test")
    await client.connect(str(path))
    try:
        await talk(client)
    finally:
        await client.disconnect()


async def refused(said: Awaitable[Any]) -> str:
    with pytest.raises(ExecuteError) as caught:
        await said
    return f"{caught.value.error_class}: {caught.value}"


class Requests:
    """What is said on a connection to a QMP monitor, and what is answered."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile()
        self.answers([("qmp_capabilities", {})])

    def answers(self, requests: Iterable[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
        """The answer to each request, a command and its arguments. All of them are said before one is read."""
        said = [{"execute": name, "arguments": given, "id": id} for id, (name, given) in zip(count(), requests)]
        self._connection.sendall("".join(json.dumps(request) + "\n" for request in said).encode())
        found: list[dict[str, Any]] = []
        while len(found) < len(said):
            message = json.loads(self._lines.readline())
            if "id" in message:
                assert message.pop("id") == len(found)
                found.append(message)
        return found

    def human(self, lines: Iterable[str]) -> list[str]:
        """What the monitor for people says to each line."""
        answers = self.answers(("human-monitor-command", {"command-line": line}) for line in lines)
        return [answer.get("return", str(answer)) for answer in answers]


@contextmanager
def connected(
    program: str | Path, options: Iterable[str | Path], folder: Path, mode: str = ""
) -> Iterator[socket.socket]:
    """A connection to a QMP monitor, to whose options `mode` is added, of `program`, which ends with the block."""
    with ExitStack() as stack:
        listener, client = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2)]
        path = folder / f"qmp-{Path(program).name}"
        listener.bind(str(path))
        listener.listen()
        command = [program, *options, "-chardev", f"socket,id=qmp,fd={listener.fileno()},server=on"]
        command += ["-mon", f"qmp,mode=control{mode}"]
        process = stack.enter_context(subprocess.Popen(command, pass_fds=[listener.fileno()]))
        stack.callback(process.kill)
        client.settimeout(PATIENCE_S)
        client.connect(str(path))
        yield client
