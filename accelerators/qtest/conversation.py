"""A thread that answers a client, in the place of a CPU's: it holds the machine's lock while it accesses anything.

What arrives together is answered together: one read, one hold of the lock, one write.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from southbridge.errors import SouthbridgeError

from .commands import LARGEST, Commands
from .log import Log
from .streams import Stream

if TYPE_CHECKING:
    from southbridge.machine import Machine

SENT_AT_ONCE = 1 << 20
"""Bytes of answers after which they are sent, though more is to be answered."""
LONGEST_LINE = 2 * LARGEST + 4096
PATIENCE = 10.0
"""Seconds that a thread has to end."""
NEWLINE = 10

log = logging.getLogger(__name__)


class Conversation:
    """Answers one client after the other. `accept` gives the next one's stream, or None at the end."""

    def __init__(self, machine: Machine, accept: Callable[[], Stream | None], record: Log | None) -> None:
        self._machine = machine
        self._accept = accept
        self._record = record
        self._commands = Commands(machine, self._hear, self._breathe)
        self._answers: list[bytes] = []
        """What is to be sent. Guarded by the machine's lock."""
        self._stream: Stream | None = None
        self._writing = threading.Lock()
        self._ended = False
        self._thread = threading.Thread(target=self._main, name="qtest", daemon=True)

    @property
    def busy(self) -> bool:
        """Whether a client is there."""
        return self._stream is not None

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def end(self) -> None:
        """Ends, soon. The caller has `accept` come back, and doesn't hold the lock."""
        self._ended = self._commands.ended = True
        stream = self._stream
        if stream is not None:
            stream.end()
        if self._thread.is_alive():
            self._thread.join(PATIENCE)

    # --- the thread ----------------------------------------------------------------------------------------------

    def _main(self) -> None:
        while not self._ended and (stream := self._accept()) is not None:
            self._client_came(stream)
            try:
                self._serve(stream)
            except OSError:
                pass  # it has gone
            except Exception as error:  # a device's, under --strict
                self._machine.post(partial(_raise, error))
                self._ended = True
            finally:
                self._client_left()
                stream.close()

    def _client_came(self, stream: Stream) -> None:
        with self._machine.lock:
            self._answers.clear()
            self._commands.interception.client_came()
            self._stream = stream
            if self._record:
                self._record.opened()

    def _client_left(self) -> None:
        with self._machine.lock:
            self._stream = None
            if self._record:
                self._record.closed()

    def _serve(self, stream: Stream) -> None:
        machine, obey = self._machine, self._obey
        begun: list[bytes] = []
        length = 0
        while (data := stream.read()) and not self._ended:
            if data[-1] != NEWLINE or begun:
                data, length = _whole_lines(begun, data, length)
                if length > LONGEST_LINE:
                    log.warning("a qtest client's line is longer than %d bytes: it is dropped", LONGEST_LINE)
                    return
                if not data:
                    continue
            with machine.lock:
                obey(data)
                answers = self._take_answers()
            with self._writing:
                stream.write(answers)
            while machine.requests.waiting and not self._ended:
                self._let_main_loop_act()

    def _obey(self, data: bytes) -> None:
        """Answers each line of `data`, which ends with one."""
        obey, answer, record = self._commands.obey, self._answers.append, self._record
        size = 0
        for line in data[:-1].split(b"\n"):
            if record is not None:
                record.received(line)
            text = obey(line)
            if record is not None:
                record.sent(text)
            answer(text)
            size += len(text)
            if size > SENT_AT_ONCE:
                size = 0
                self._breathe()

    def _breathe(self) -> None:
        """Sends what there is, and lets somebody else have the machine. With the lock held, once."""
        answers = self._take_answers()
        self._machine.lock.release()
        try:
            if self._stream is not None and answers:
                with self._writing:
                    self._stream.write(answers)
            time.sleep(0)
        finally:
            self._machine.lock.acquire()

    def _take_answers(self) -> bytes:
        answers = b"".join(self._answers)
        self._answers.clear()
        return answers

    def _let_main_loop_act(self) -> None:
        """What a device asked for, such as a reset, happens before the client's next line."""
        with contextlib.suppress(SouthbridgeError):  # it is busy with something longer
            self._machine.call(lambda: None)

    def _hear(self, line: bytes) -> None:
        """A line that comes before later answers: at once, unless this is about to send them. With the lock held."""
        if self._record and self._stream is not None:
            self._record.sent(line)
        self._answers.append(line)
        stream = self._stream
        if threading.current_thread() is self._thread or stream is None or not self._writing.acquire(blocking=False):
            return
        try:
            waiting = self._take_answers()
            sent = stream.offer(waiting)
            if sent < len(waiting):
                self._answers.append(waiting[sent:])
        except OSError:
            pass  # it has gone
        finally:
            self._writing.release()


def _whole_lines(begun: list[bytes], data: bytes, length: int) -> tuple[bytes, int]:
    """The whole lines of what `begun` holds and `data`, "" if none; what is left stays in `begun`, and its length."""
    end = data.rfind(b"\n") + 1
    if not end:
        begun.append(data)
        return b"", length + len(data)
    lines = b"".join([*begun, data[:end]])
    begun[:] = [data[end:]] if end < len(data) else []
    return lines, len(data) - end


def _raise(error: Exception) -> None:
    raise error
