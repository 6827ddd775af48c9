"""One QMP client: its messages are read, run and answered, on whatever connection it came by.

A client's next message is read once it has taken the answer to the one before. With the capability "oob" messages are
read on: those that are urgent are run at once, the others wait in a short queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from ..fdsets import FD_SETS
from ..units import KiB
from .commands import CommandError, Commands
from .connection import ClientConnection
from .session import Refused, Render, Request, Session, Splitter, refusal

OUTPUT_LIMIT = 256 * KiB
"""What may wait for a client, in bytes, when an event comes."""
MOST_WAITING = 8
"""Commands of a client's that wait for being run; as many as with QEMU."""

log = logging.getLogger(__name__)


class Conversation:
    """With the client at the other end of `connection`, who may say `commands`, and reads what `render` makes."""

    def __init__(self, commands: Commands, connection: ClientConnection, render: Render) -> None:
        self._render = render
        self._session = Session(commands)
        self._session.caller.files = connection.files
        self._connection = connection
        self._waiting: asyncio.Queue[Request | Refused] = asyncio.Queue(MOST_WAITING)

    def tell(self, line: bytes) -> None:
        """An event happened: `line`. A client that doesn't listen is dropped."""
        if not self._session.ready:
            return
        if self._connection.unsent > OUTPUT_LIMIT:
            log.warning("a control client doesn't listen, and is dropped")
            self._connection.abort()
        else:
            self._connection.write(line)

    async def run(self) -> None:
        """Until the client hangs up, or sends what is too long. Raises OSError if the connection fails."""
        FD_SETS.client_came()
        worker = asyncio.get_running_loop().create_task(self._work())
        try:
            self._connection.write(self._render(self._session.greeting()))
            await self._listen()
            await self._waiting.join()
        finally:
            worker.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await worker
            FD_SETS.client_left()

    async def _listen(self) -> None:
        splitter = Splitter()
        while data := await self._connection.read():
            try:
                for text in splitter.feed(data):
                    await self._take(self._session.request(text))
            except CommandError as error:
                self._connection.write(self._render(refusal(error)))
                return

    async def _take(self, request: Request | Refused) -> None:
        if not self._session.out_of_band or (isinstance(request, Request) and request.urgent):
            await self._answer(request)
        else:
            await self._waiting.put(request)

    async def _work(self) -> None:
        """Runs what waits, in order."""
        while True:
            request = await self._waiting.get()
            try:
                await self._answer(request)
            finally:
                self._waiting.task_done()

    async def _answer(self, request: Request | Refused) -> None:
        self._connection.write(self._render(await self._session.answer(request)))
        await self._connection.drain()
