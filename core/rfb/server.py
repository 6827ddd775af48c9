"""Shows one console to many clients, and takes in what their keyboards and pointers do."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import TYPE_CHECKING

from ..display.console import GraphicConsole
from .pixels import ProtocolError
from .screen import Screen
from .security import Refused, Security
from .session import Session, admitted
from .stream import Stream

if TYPE_CHECKING:
    from ..machine import Machine

PATIENCE_SECONDS = 30.0
"""That a client has to come in."""

log = logging.getLogger(__name__)


class Share(Enum):
    """What becomes of a client that wants the screen for itself; QEMU's words."""

    ALLOW_EXCLUSIVE = "allow-exclusive"
    """The others are hung up on."""
    FORCE_SHARED = "force-shared"
    """It isn't let in."""
    IGNORE = "ignore"
    """It shares all the same."""


class Server:
    """One display's. All is called on the main loop's thread."""

    def __init__(
        self,
        machine: Machine,
        console: GraphicConsole | None,
        security: Security,
        *,
        name: str = "vnc",
        share: Share = Share.ALLOW_EXCLUSIVE,
        most_clients: int = 32,
        announce: Callable[[str, Stream], None] = lambda event, stream: None,
    ) -> None:
        """`name` is the display's, for the log. `announce` is told of clients that come and go, in QMP's words."""
        self._machine = machine
        self._security = security
        self._name = name
        self._share = share
        self._most_clients = most_clients
        self._announce = announce
        self._screen = Screen(machine.lock, console)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._clients: dict[asyncio.Task[None], Stream] = {}
        self.sessions: dict[Session, Stream] = {}
        """Those who are in."""

    def serve(self, stream: Stream) -> asyncio.Task[None] | None:
        """Begins to serve a client; None: there are too many, and it is hung up on."""
        if len(self._clients) >= self._most_clients:
            log.warning("%s: %s is one client too many", self._name, stream.peer)
            stream.abort()
            return None
        task = asyncio.get_running_loop().create_task(self._serve(stream))
        self._clients[task] = stream
        task.add_done_callback(lambda task: self._clients.pop(task, None))
        return task

    async def stop(self) -> None:
        """Hangs up on everybody."""
        for task, stream in list(self._clients.items()):
            task.cancel()
            stream.abort()
        if self._clients:
            await asyncio.wait(list(self._clients))
        self._executor.shutdown()

    async def _serve(self, stream: Stream) -> None:
        peer = stream.peer
        self._announce("VNC_CONNECTED", stream)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                shared = await admitted(stream, self._security)
            self._make_room(shared)
            session = Session(self._machine, self._screen, stream, self._executor)
            self.sessions[session] = stream
            self._announce("VNC_INITIALIZED", stream)
            log.info("%s: %s is in", self._name, peer)
            try:
                await session.run(self._machine.name)
            finally:
                del self.sessions[session]
        except (EOFError, ConnectionError):
            log.info("%s: %s has left", self._name, peer)
        except TimeoutError:
            log.info("%s: %s took too long to come in", self._name, peer)
        except (ProtocolError, Refused, ssl.SSLError, OSError) as error:
            log.warning("%s: %s is hung up on: %s", self._name, peer, error)
        except asyncio.CancelledError:
            pass  # the machine ends, or somebody wants the screen for himself
        except Exception as error:
            log.error("%s: serving %s failed", self._name, peer, exc_info=error)
        finally:
            stream.close()
            self._announce("VNC_DISCONNECTED", stream)

    def _make_room(self, shared: bool) -> None:
        """Raises Refused."""
        if shared or self._share is Share.IGNORE:
            return
        if self._share is Share.FORCE_SHARED:
            raise Refused("it wants the screen for itself")
        for session, stream in list(self.sessions.items()):
            log.info("%s: %s makes room for one who wants the screen for himself", self._name, session.peer)
            stream.abort()
