"""What the toolstack and a device model tell each other through xenstore.

Below /local/domain/D/device-model/N (D: the domain of the device model, N: its guest's) are `state`, which we write,
`command`, which is written for us, and `logdirty`, with a command and its answer. `@releaseDomain` fires when a domain
ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from southbridge.errors import SouthbridgeError
from southbridge.life import RunState, ShutdownReason

from .hypervisor import Hypervisor

if TYPE_CHECKING:
    from southbridge.machine import Machine

log = logging.getLogger(__name__)

RELEASED = "@releaseDomain"


class Lifecycle:
    """A service of the machine's main loop.

    `tells`: the state is written; not for a toolstack that asks for it by QMP. `log_dirty` switches that mode.
    """

    def __init__(
        self,
        machine: Machine,
        hypervisor: Hypervisor,
        *,
        tells: bool,
        log_dirty: Callable[[bool], None],
    ) -> None:
        self._machine = machine
        self._hypervisor = hypervisor
        self._tells = tells
        self._log_dirty = log_dirty
        self._descriptor: int | None = None

    async def start(self) -> None:
        """See Service."""
        store = self._hypervisor.store
        if store is not None and self._tells:
            try:
                own = store.read("domid") or "0"
                self._base = f"/local/domain/{own}/device-model/{self._hypervisor.domid}"
                for path in (f"{self._base}/command", f"{self._base}/logdirty/cmd", RELEASED):
                    store.watch(path, path)
                self._descriptor = store.fileno()
            except OSError as error:
                raise SouthbridgeError(f"xenstore: {error.strerror}") from error
            asyncio.get_running_loop().add_reader(self._descriptor, self._fired)

    async def stop(self) -> None:
        """See Service."""
        if self._descriptor is not None:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            self._descriptor = None

    def running(self) -> None:
        """The machine runs: whoever started us may go on."""
        self._write("state", "running")

    def paused(self) -> None:
        """It doesn't."""
        self._write("state", "paused")

    def time_offset(self, seconds: int) -> None:
        """The guest set its clock: the toolstack keeps the difference for the next start. From any thread."""
        self._machine.announce("RTC_CHANGE", offset=seconds)
        self._machine.post(lambda: self._keep_time_offset(seconds))

    def _keep_time_offset(self, seconds: int) -> None:
        store = self._hypervisor.store
        if store is None:
            return
        try:
            vm = store.read(f"/local/domain/{self._hypervisor.domid}/vm")
            if vm:
                store.write(f"{vm}/rtc/timeoffset", str(seconds))
        except OSError as error:
            log.warning("xenstore: %s", error.strerror)

    def _write(self, name: str, value: str) -> None:
        store = self._hypervisor.store
        if store is None or self._descriptor is None:
            return
        try:
            store.write(f"{self._base}/{name}", value)
        except OSError as error:
            self._lost(error)

    # --- what the toolstack says ---------------------------------------------------------------------------------

    def _fired(self) -> None:
        store = self._hypervisor.store
        if store is None:
            return
        try:
            for path in dict.fromkeys(token for _, token in store.fired()):
                self._look(path)
        except OSError as error:
            self._lost(error)

    def _look(self, path: str) -> None:
        store = self._hypervisor.store
        assert store is not None
        if path == RELEASED:
            if not store.is_domain_alive(self._hypervisor.domid):
                log.info("domain %d has ended", self._hypervisor.domid)
                self._machine.request_shutdown(ShutdownReason.HOST_QUIT)
            return
        command = store.read(path)
        if not command:
            return
        if path.endswith("/logdirty/cmd"):
            if command in ("enable", "disable"):
                with self._machine.lock:
                    self._log_dirty(command == "enable")
                store.write(f"{self._base}/logdirty/ret", command)
        elif command == "save":
            self._machine.request_pause()
            store.remove(path)
        elif command == "continue":
            if self._machine.state is RunState.PAUSED:
                self._machine.request_resume()
            store.remove(path)
        else:
            log.warning("the toolstack's command %r isn't known", command)
            store.remove(path)

    def _lost(self, error: OSError) -> None:
        """No toolstack can reach us any more."""
        log.error("xenstore went away (%s): the machine ends", error.strerror)
        if self._descriptor is not None:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            self._descriptor = None
        self._machine.request_shutdown(ShutdownReason.HOST_ERROR)
