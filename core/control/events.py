"""What happens to a machine, as QMP's events."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..hookspecs import hookimpl
from ..life import ShutdownReason
from .throttle import Throttle

if TYPE_CHECKING:
    from ..device import Device
    from ..machine import Machine
    from .session import Message, Render


class Events:
    """Passes each on to `send`, as `render` has it. All on the main loop's thread."""

    def __init__(self, machine: Machine, plugin: str, send: Callable[[bytes], None], render: Render) -> None:
        """`plugin` is what it is called among those that implement hooks."""
        self._render = render
        self._machine = machine
        self._plugin = plugin
        self._throttle = Throttle(send)

    def start(self) -> None:
        """Begins."""
        self._machine.hooks.register(self, self._plugin)

    def stop(self) -> None:
        """Ends; what is held back is sent."""
        self._machine.hooks.unregister(self._plugin)
        self._throttle.close()

    def emit(self, name: str, data: Message | None = None) -> None:
        """The event `name` happens now."""
        from .session import event  # only now: before a client came, few machines have any

        self._throttle.tell(name, data or {}, self._render(event(name, data)))

    # --- hooks ---------------------------------------------------------------------------------------------------

    @hookimpl
    def machine_paused(self) -> None:
        """See the hook."""
        self.emit("STOP")

    @hookimpl
    def machine_resumed(self) -> None:
        """See the hook."""
        self.emit("RESUME")

    @hookimpl
    def machine_suspended(self) -> None:
        """See the hook."""
        self.emit("SUSPEND")

    @hookimpl
    def machine_woken(self) -> None:
        """See the hook."""
        self.emit("WAKEUP")

    @hookimpl
    def machine_powerdown(self) -> None:
        """See the hook."""
        self._machine.post(lambda: self.emit("POWERDOWN"))

    @hookimpl
    def device_removed(self, device: Device) -> None:
        """See the hook."""
        from ..qom.paths import device_name, device_path  # only now: in few machines anything is unplugged

        name = device_name(self._machine, device)
        gone = ({"device": name} if name else {}) | {"path": device_path(self._machine, device)}
        self._machine.post(lambda: self.emit("DEVICE_DELETED", gone))

    @hookimpl
    def machine_switched_off(self, reason: ShutdownReason) -> None:
        """See the hook."""
        self._ended(reason)

    @hookimpl
    def machine_stopped(self, reason: ShutdownReason) -> None:
        """See the hook."""
        self._ended(reason)

    def _ended(self, reason: ShutdownReason) -> None:
        if reason is ShutdownReason.GUEST_HIBERNATE:
            self.emit("SUSPEND_DISK")
            reason = ShutdownReason.GUEST_SHUTDOWN
        self.emit("SHUTDOWN", {"guest": reason.value.startswith("guest"), "reason": reason.value})

    @hookimpl
    def machine_event(self, name: str, data: Message) -> None:
        """See the hook."""
        self.emit(name, data)
