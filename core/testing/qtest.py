"""A client of the qtest protocol, Southbridge's and QEMU's: what the guest would do, the test does, from outside.

Its methods are those of `Bench`. The pytest fixture `qtest` starts machines for it; see docs/qtest.md.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType

from ..builder import build
from ..clock import MICROSECOND, MILLISECOND
from ..description.loader import load_tree
from ..description.model import load
from ..hookspecs import hookimpl
from ..life import ShutdownReason
from ..machine import Machine

CONFIG_ADDRESS, CONFIG_DATA = 0xCF8, 0xCFC
PORT_LETTERS = {1: "b", 2: "w", 4: "l"}
MEMORY_LETTERS = {**PORT_LETTERS, 8: "q"}
PATIENCE = 20.0
"""Seconds that the other end has for an answer."""
ENDING = 30.0
"""Seconds that a machine has to end."""


class QtestError(AssertionError):
    """The other end refused a command, or has gone."""


class QtestClient:
    """A conversation on `peer`, a connected socket. Every method raises QtestError for what is refused."""

    def __init__(self, peer: socket.socket) -> None:
        peer.settimeout(PATIENCE)
        self.peer = peer
        self._unread = b""
        self._lines: list[str] = []
        self._levels: dict[int, bool] = {}
        self.clock = QtestClock(self)
        self.gone = False
        """The other end has hung up."""
        self.silent = False
        """It didn't answer in time."""
        self.history: list[str] = []
        """Every `IRQ raise N` and `IRQ lower N` that came."""

    def __enter__(self) -> QtestClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Hangs up."""
        self.peer.close()

    # --- lines ---------------------------------------------------------------------------------------------------

    def command(self, line: str) -> str:
        """Says `line`; gives what comes behind OK."""
        return self.commands([line])[0]

    def commands(self, lines: Iterable[str]) -> list[str]:
        """Says all of `lines` at once; gives the answer to each."""
        said = list(lines)
        text = "".join(f"{line}\n" for line in said).encode()
        writer = threading.Thread(target=self.peer.sendall, args=(text,)) if len(text) > 1 << 16 else None
        if writer is None:
            self.peer.sendall(text)
        else:  # the other end may wait for us to read
            writer.start()
        answers = [self._answer() for _ in said]
        if writer is not None:
            writer.join()
        for line, answer in zip(said, answers, strict=True):
            if answer != "OK" and not answer.startswith("OK "):
                raise QtestError(f"{line}: {answer}")
        return [answer[3:] for answer in answers]

    def raw(self, line: str) -> str:
        """Says `line`; gives the answer, whatever it is."""
        self.peer.sendall(f"{line}\n".encode())
        return self._answer()

    def _answer(self) -> str:
        while True:
            while not self._lines:
                self._receive()
            line = self._lines.pop(0)
            if not line.startswith("IRQ "):
                return line
            self._interrupt(line)

    def _receive(self) -> None:
        try:
            data = self.peer.recv(1 << 16)
        except TimeoutError:
            self.silent = True
            raise QtestError(f"no answer within {PATIENCE:.0f} s") from None
        except ConnectionError:
            data = b""
        if not data:
            self.gone = True
            raise QtestError("the machine has hung up")
        *lines, self._unread = (self._unread + data).split(b"\n")
        self._lines += [line.decode() for line in lines]

    def _interrupt(self, line: str) -> None:
        _, what, number = line.split()
        self._levels[int(number)] = what == "raise"
        self.history.append(line)

    # --- the guest's accesses, as on a bench -----------------------------------------------------------------------

    def read_port(self, port: int, size: int = 1) -> int:
        """IN of `size` bytes."""
        return int(self.command(f"in{PORT_LETTERS[size]} {port:#x}"), 0)

    def write_port(self, port: int, value: int, size: int = 1) -> None:
        """OUT of `size` bytes."""
        self.command(f"out{PORT_LETTERS[size]} {port:#x} {value:#x}")

    def read_mmio(self, address: int, size: int = 4) -> int:
        """A load of `size` bytes."""
        return int(self.command(f"read{MEMORY_LETTERS[size]} {address:#x}"), 0)

    def write_mmio(self, address: int, value: int, size: int = 4) -> None:
        """A store of `size` bytes."""
        self.command(f"write{MEMORY_LETTERS[size]} {address:#x} {value:#x}")

    def read_memory(self, address: int, length: int) -> bytes:
        """`length` bytes at `address`."""
        return bytes.fromhex(self.command(f"read {address:#x} {length:#x}")[2:])

    def write_memory(self, address: int, data: bytes) -> None:
        """Puts `data` there."""
        self.command(f"write {address:#x} {len(data):#x} 0x{data.hex()}")

    def config_read(self, slot: int, function: int, offset: int, size: int) -> int:
        """A configuration read of PCI bus 0."""
        self.write_port(CONFIG_ADDRESS, 1 << 31 | slot << 11 | function << 8 | offset & 0xFC, 4)
        return self.read_port(CONFIG_DATA + offset % 4, size)

    def config_write(self, slot: int, function: int, offset: int, size: int, value: int) -> None:
        """A configuration write."""
        self.write_port(CONFIG_ADDRESS, 1 << 31 | slot << 11 | function << 8 | offset & 0xFC, 4)
        self.write_port(CONFIG_DATA + offset % 4, value, size)

    # --- interrupts ----------------------------------------------------------------------------------------------

    def intercept(self, path: str, *, outputs: bool = False) -> None:
        """From now on `irq` knows the inputs of the device at `path`, or its outputs."""
        self.command(f"irq_intercept_{'out' if outputs else 'in'} {path}")

    def irq(self, number: int) -> bool:
        """Whether the intercepted line `number` is high, as far as the other end has said by now."""
        self.command("endianness")  # what was said before has come then
        return self._levels.get(number, False)


class QtestClock:
    """The time of a machine that `client` drives. Starts at 0 ns."""

    def __init__(self, client: QtestClient) -> None:
        self._client = client

    def now(self) -> int:
        """In nanoseconds."""
        return int(self._client.command("clock_step 0"))

    def advance(self, *, ns: int = 0, us: float = 0, ms: float = 0) -> int:
        """Time passes, and timers fire on the way. Gives the new time."""
        return int(self._client.command(f"clock_step {ns + round(us * MICROSECOND) + round(ms * MILLISECOND)}"))

    def next_timer(self) -> int:
        """Time passes until the next timer fires. Gives the new time."""
        return int(self._client.command("clock_step"))


@contextlib.contextmanager
def driven(machine: str = "pc", *settings: str) -> Iterator[QtestClient]:
    """A machine without a CPU in this process, of a description with `settings` ("key=value") on top; its client.

    What a device's code raises ends the machine, and is raised here at the end.
    """
    with running(*assembled(machine, *settings)) as client:
        yield client


def assembled(machine: str = "pc", *settings: str) -> tuple[Machine, socket.socket]:
    """Such a machine, which doesn't run yet, and its client's socket."""
    ours, theirs = socket.socketpair()
    monitor = f"monitors.qtest={{type: qtest, fd: {theirs.detach()}}}"
    description = load(machine, ["accelerator=qtest", monitor, *_quiet(machine), *settings])
    return build(description, strict=True), ours


@contextlib.contextmanager
def running(made: Machine, peer: socket.socket) -> Iterator[QtestClient]:
    """Inside, what `assembled` gave runs."""
    failures: list[BaseException] = []
    begun = Begun()
    made.hooks.register(begun, "begun")
    thread = threading.Thread(target=_run, args=(made.run, failures), daemon=True)
    thread.start()
    try:
        with QtestClient(peer) as client:
            begun.event.wait(PATIENCE)
            yield client
    finally:
        made.request_shutdown(ShutdownReason.HOST_QUIT)
        thread.join(ENDING)
        if not thread.is_alive():
            made.close()
        if failures:
            raise failures[0]


class Begun:
    """Tells that a machine runs."""

    def __init__(self) -> None:
        self.event = threading.Event()

    @hookimpl
    def machine_resumed(self) -> None:
        """See the hook."""
        self.event.set()


def _quiet(machine: str) -> list[str]:
    """Settings that keep it from the test's terminal."""
    chardevs = load_tree(machine)[1].entries.get("chardevs")
    entries = getattr(chardevs, "entries", {})
    terminals = [id for id, node in entries.items() if node.entries["type"].value == "stdio"]
    return [f"chardevs.{id}={{type: 'null'}}" for id in terminals]


def _run(run: Callable[[], object], failures: list[BaseException]) -> None:
    try:
        run()
    except BaseException as error:
        failures.append(error)
