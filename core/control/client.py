"""The other end of the control socket: one machine's, spoken to by a program that can wait.

with find_machine("pc") as machine:
    machine.run("swap-accelerator", name="unicorn")
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections.abc import Callable
from typing import Any

from ..discovery import nearest
from ..errors import SouthbridgeError
from ..units import MiB
from .folder import connect, live
from .session import Message

PATIENCE = 10.0
"""Seconds that a machine may be silent while it is waited for."""
NOTICE = 1.0
"""Seconds of silence after which it is said for whom we wait."""
LONGEST_ANSWER = MiB

Waits = Callable[[str], None]
"""Told of the machine that is waited for."""


class MachineClient:
    """A conversation with the machine `id`. A context manager: it ends with the block."""

    def __init__(self, id: str, connection: socket.socket, patience: float, on_wait: Waits) -> None:
        """Raises SouthbridgeError if the machine doesn't answer, or isn't one."""
        self.id = id
        self.on_event: Callable[[Message], None] = lambda event: None
        """Called with each event that comes while an answer is waited for."""
        self._connection = connection
        self._patience = patience
        self._on_wait = on_wait
        self._received = b""
        self.process = _process_of(connection)
        """Its process."""
        try:
            self.greeting = self._receive()
            if "QMP" not in self.greeting:
                raise SouthbridgeError(f"{self} doesn't greet as a machine does")
            self.run("qmp_capabilities")
        except BaseException:
            connection.close()
            raise

    def __str__(self) -> str:
        return f"machine {self.id!r} (process {self.process})"

    def __enter__(self) -> MachineClient:
        return self

    def __exit__(self, *exception: object) -> None:
        self._connection.close()

    def run(self, command: str, **arguments: Any) -> Any:
        """What `command` returns. In arguments' names an underscore stands for a hyphen.

        Raises SouthbridgeError with what the machine says against it, or if it falls silent or ends.
        """
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        request = {"execute": command, **({"arguments": named} if named else {})}
        try:
            self._connection.sendall(json.dumps(request).encode() + b"\n")
        except TimeoutError:
            raise self._silent() from None
        except OSError:
            raise self._ended() from None
        while "event" in (answer := self._receive()):
            self.on_event(answer)
        if "error" in answer:
            raise SouthbridgeError(f"machine {self.id!r}: {answer['error'].get('desc')}")
        return answer.get("return")

    def _receive(self) -> Message:
        searched = 0
        while self._received.find(b"\n", searched) < 0:
            searched = len(self._received)
            self._received += self._more()
            if len(self._received) > LONGEST_ANSWER:
                raise SouthbridgeError(f"{self} sends an answer without end")
        line, _, self._received = self._received.partition(b"\n")
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise SouthbridgeError(f"{self} sends what isn't QMP")
        return message

    def _more(self) -> bytes:
        """What comes next; says so if that takes a while."""
        notice = min(NOTICE, self._patience)
        data = self._next_within(notice)
        if data is None and notice < self._patience:
            self._on_wait(str(self))
            data = self._next_within(self._patience - notice)
        if data is None:
            raise self._silent()
        if not data:
            raise self._ended()
        return data

    def _next_within(self, seconds: float) -> bytes | None:
        """What comes next, nothing at the end; None if nothing comes."""
        self._connection.settimeout(seconds)
        try:
            return self._connection.recv(65536)
        except TimeoutError:
            return None
        except OSError:
            return b""

    def _silent(self) -> SouthbridgeError:
        return SouthbridgeError(f"{self} didn't answer within {self._patience:g} s")

    def _ended(self) -> SouthbridgeError:
        return SouthbridgeError(f"{self} ended before it answered")


def find_machine(id: str, patience: float = PATIENCE, on_wait: Waits = lambda machine: None) -> MachineClient:
    """A conversation with the running machine `id`. Raises SouthbridgeError if there is none, or it doesn't answer."""
    try:
        connection = connect(id, patience)
    except TimeoutError:
        raise SouthbridgeError(f"machine {id!r} didn't answer within {patience:g} s") from None
    except OSError as error:
        raise SouthbridgeError(f"machine {id!r} can't be reached: {error.strerror}") from None
    if connection is None:
        known = live()
        hint = nearest(id, known) or (f" (running: {', '.join(known)})" if known else "; no machine is running")
        raise SouthbridgeError(f"there is no running machine {id!r}{hint}")
    return MachineClient(id, connection, patience, on_wait)


def running(patience: float = PATIENCE) -> list[dict[str, Any]]:
    """Every running machine: id, name, process, status and accelerator; or an error in place of what it didn't say."""
    found: list[dict[str, Any]] = []
    for id in live():
        facts: dict[str, Any] = dict.fromkeys(("id", "name", "process", "status", "accelerator", "error"))
        facts["id"] = id
        try:
            with find_machine(id, patience) as machine:
                facts["process"] = machine.process
                facts["name"] = machine.run("query-name").get("name")
                facts["status"] = machine.run("query-status").get("status")
                facts["accelerator"] = machine.run("query-accelerator").get("name")
        except SouthbridgeError as error:
            facts["error"] = str(error)
        found.append(facts)
    return found


def _process_of(connection: socket.socket) -> int | None:
    with contextlib.suppress(OSError):
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", credentials)[0])
    return None
