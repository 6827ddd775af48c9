"""The contract between the core, accelerators, devices and extensions: every hook that there is.

Each machine has a plugin manager of its own (`southbridge.hooks`). Unless a hook says otherwise it is called with the
machine's lock held, on whatever thread caused it (a vCPU's or the main loop's), and may not be called again before it
returns. Addresses are guest-physical, sizes in bytes.

Hooks marked *linked* are on hot paths: while one plugin implements such a hook, calling it is calling that function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    import numpy.typing as npt
    import typer

    from .accelerator import Accelerator
    from .device import Device
    from .hmp import Word
    from .life import ShutdownReason, WakeReason
    from .machine import Machine
    from .memory.guest import Mapping
    from .memory.regions import Ram, Section

PROJECT = "southbridge"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class GuestMemory:
    """A device's access to guest memory (DMA). Implemented by the accelerator. Linked.

    Any thread that holds the machine's lock may call these, also from within a guest access.
    """

    @hookspec(firstresult=True)
    def memory_read(self, address: int, length: int) -> bytes:
        """`length` bytes at `address`, which may span RAM blocks.

        Raises GuestMemoryError if a part isn't RAM or ROM.
        """
        raise AssertionError

    @hookspec(firstresult=True)
    def memory_write(self, address: int, data: bytes) -> bool | None:
        """Stores `data` at `address`; marks its pages dirty; a software CPU forgets translations of them.

        Raises GuestMemoryError, having stored nothing, if a part isn't RAM.
        """

    @hookspec(firstresult=True)
    def memory_write_several(self, pieces: Iterator[tuple[int, bytes]]) -> bool | None:
        """The same for pieces, addresses and data, in order: each is stored before the next one is taken. True.

        Raises GuestMemoryError for the first that can't be stored, which is the last that is taken. Whoever wraps
        `memory_write` wraps this too. Where nobody implements it, `memory_write` is called for each piece.
        """

    @hookspec(firstresult=True)
    def memory_map(self, address: int, length: int, write: bool) -> Mapping:
        """Host access to guest memory from `address` on: at least one byte and at most `length`.

        Whoever maps goes on behind the mapping's end with another one. A mapping holds until `memory_unmap`; hold few,
        and briefly. Raises GuestMemoryError if `address` isn't RAM (or, for reading, ROM).
        """
        raise AssertionError

    @hookspec(firstresult=True)
    def memory_unmap(self, mapping: Mapping, written: int) -> bool | None:
        """Gives `mapping` back. Its first `written` bytes were changed: they are marked dirty."""


class MemoryTopology:
    """What guest addresses mean, for accelerators to follow."""

    @hookspec
    def memory_region_added(self, section: Section) -> None:
        """`section` of guest-physical memory answers from now on. Removals of one change come before its additions."""

    @hookspec
    def memory_region_removed(self, section: Section) -> None:
        """`section` no longer answers."""


class DirtyLogging:
    """Which pages the guest wrote. Implemented by the accelerator for the guest's own stores; the core adds DMA."""

    @hookspec(firstresult=True)
    def dirty_log_start(self, region: Ram) -> bool | None:
        """The guest's stores to `region` are recorded from now on. True if this accelerator records them."""

    @hookspec(firstresult=True)
    def dirty_log_stop(self, region: Ram) -> bool | None:
        """They no longer are."""

    @hookspec
    def dirty_log_everywhere(self, machine: Machine, enabled: bool) -> None:
        """Somebody who isn't the core copies all of the guest's memory while it runs, from now on or no longer.

        For an accelerator whose hypervisor records the guest's stores and doesn't see a device's.
        """

    @hookspec(firstresult=True)
    def dirty_log_sync(self, region: Ram) -> npt.NDArray[np.bool_] | None:
        """Linked. The pages of `region` that the guest wrote since the last call, one element a page; it begins anew.

        An accelerator may let go of the machine's lock while a CPU comes out of the guest; also in `dirty_log_start`.
        """


class Passthrough:
    """A real PCI device given to the guest. Implemented by accelerators that can; `address` is "0000:01:00.0"."""

    @hookspec(firstresult=True)
    def passthrough_attach(self, device: Device, address: str) -> Any:
        """Takes the host's PCI device for `device`; the result is a handle for the calls below."""

    @hookspec(firstresult=True)
    def passthrough_detach(self, handle: Any) -> bool | None:
        """Gives it back, reset."""

    @hookspec(firstresult=True)
    def passthrough_map_bar(self, handle: Any, bar: int, address: int) -> bool | None:
        """The guest placed the real BAR number `bar` at `address`."""

    @hookspec(firstresult=True)
    def passthrough_unmap_bar(self, handle: Any, bar: int) -> bool | None:
        """The guest moved it away, or switched it off."""

    @hookspec(firstresult=True)
    def passthrough_bind_interrupt(self, handle: Any, kind: str, number: int) -> bool | None:
        """The device's interrupt (`kind` "intx", "msi" or "msix") is the guest's line or vector `number`."""

    @hookspec(firstresult=True)
    def passthrough_unbind_interrupt(self, handle: Any, kind: str, number: int) -> bool | None:
        """It no longer is."""


class Interrupts:
    """Lines and messages on their way to a CPU whose interrupt controller the accelerator plays."""

    @hookspec(firstresult=True)
    def irq_set(self, line: int, level: bool) -> bool | None:
        """ISA interrupt line `line` (0 to 15) changed, while the accelerator has the interrupt controller. Linked."""

    @hookspec(firstresult=True)
    def pci_irq_set(self, bus: int, slot: int, pin: int, level: bool) -> bool | None:
        """INTA# to INTD# (`pin` 0 to 3) of a PCI slot changed, while the accelerator has "pci-interrupts". Linked."""

    @hookspec
    def pci_links_changed(self, links: list[int]) -> None:
        """`Machine.pci_links` changed: which ISA lines PIRQA# to PIRQD# are routed to."""

    @hookspec(firstresult=True)
    def msi_send(self, address: int, data: int) -> bool | None:
        """A device signals a message: a 32-bit store of `data` to `address`. True if somebody took it. Linked."""

    @hookspec(firstresult=True)
    def irq_eventfd(self, descriptor: int, line: int, bound: bool) -> bool | None:
        """Each signal of the eventfd `descriptor` is an edge on ISA line `line` from now on, or no longer (`bound`).

        True if the accelerator sees to that, which it can while it plays the interrupt controllers; otherwise the core
        does (`southbridge.event_lines`). Not called twice for a descriptor without its end in between.
        """

    @hookspec(firstresult=True)
    def acpi_event(self, number: int) -> bool | None:
        """ACPI's general purpose event `number` happens. True from the device that has its registers. With the lock."""

    @hookspec
    def level_routes_changed(self, routes: dict[int, tuple[int, int]]) -> None:
        """`Machine.level_routes` changed: what messages are level-triggered, by I/O APIC input.

        For an accelerator that plays local APICs alone and must know beforehand which interrupts' ends to report.
        """

    @hookspec
    def a20_changed(self, enabled: bool) -> None:
        """The A20 gate: while it is not `enabled`, address bit 20 of the CPU reads as zero."""


class Offload:
    """Platform devices that an accelerator emulates itself."""

    @hookspec(firstresult=True)
    def offload_device(self, device: Device, state: dict[str, Any]) -> bool | None:
        """The accelerator takes over `device` with its saved `state`. True if it did; None if it doesn't play it."""

    @hookspec(firstresult=True)
    def reclaim_device(self, device: Device) -> dict[str, Any] | None:
        """The accelerator gives `device` back: its state, as `Device.save` has it."""


class Cpus:
    """CPUs that come while the machine runs."""

    @hookspec
    def cpu_plugged(self, machine: Machine, cpu: int) -> None:
        """CPU number `cpu` came, and waits to be started: whoever can tells the guest. With the lock held."""


class Lifecycle:
    """What happens to a machine. Called on the main loop's thread (the thread that builds, before it runs)."""

    @hookspec
    def machine_created(self, machine: Machine) -> None:
        """Every device is realized; nothing ran yet."""

    @hookspec
    def machine_reset(self, machine: Machine) -> None:
        """Every device was reset, and the CPUs are about to be. Also before the first run."""

    @hookspec
    def machine_set_up(self, machine: Machine) -> None:
        """A kernel is about to begin without firmware: devices do with their registers what a PC's firmware does, so
        that an operating system finds RAM, interrupt routes and decoders as it may expect. After `machine_reset`.
        """

    @hookspec
    def machine_paused(self, machine: Machine) -> None:
        """The vCPUs and the clock stand still."""

    @hookspec
    def machine_resumed(self, machine: Machine) -> None:
        """The vCPUs and the clock are about to go on."""

    @hookspec
    def machine_suspended(self, machine: Machine) -> None:
        """The machine sleeps from now on (QMP's SUSPEND): the vCPUs stand still, the clock goes on. With the lock."""

    @hookspec
    def machine_woken(self, machine: Machine, reason: WakeReason) -> None:
        """It woke (QMP's WAKEUP): devices and CPUs were reset, but for what they keep, and are about to go on."""

    @hookspec
    def machine_powerdown(self, machine: Machine) -> bool | None:
        """Somebody presses the power button (QMP's POWERDOWN). True from the device that it belongs to."""

    @hookspec
    def emulation_replaced(self, kind: str) -> None:
        """The guest has better drivers for what emulated devices of a `kind` stand for: these leave, until a reset.

        Kinds: "disks" (not those with removable media), "other-disks" (all of them but the first), "nics", "nvme".
        """

    @hookspec
    def device_removed(self, machine: Machine, device: Device) -> None:
        """`device` left the running machine (QMP's DEVICE_DELETED). On any thread, perhaps with the lock."""

    @hookspec
    def machine_switched_off(self, machine: Machine, reason: ShutdownReason) -> None:
        """The guest switched the machine off, which doesn't end by that: it will be paused.

        On the main loop's thread, without the lock.
        """

    @hookspec
    def machine_stopped(self, machine: Machine, reason: ShutdownReason) -> None:
        """The machine ended. Devices and back ends still exist."""

    @hookspec
    def machine_event(self, machine: Machine, name: str, data: dict[str, Any]) -> None:
        """Something else happened that those who watch the machine are told, as a QMP event of that name."""

    @hookspec
    def accelerator_changed(self, machine: Machine, accelerator: Accelerator) -> None:
        """`accelerator` runs the machine's CPUs from now on."""


class Extension:
    """More commands."""

    @hookspec
    def register_commands(self, commands: typer.Typer) -> None:
        """Adds verbs to the `southbridge` command. Called once, by the command line."""

    @hookspec
    def register_monitor_commands(self, machine: Machine) -> dict[str, Any] | None:
        """Commands of the control socket and monitors by name: functions as `southbridge.control.commands` has them.

        Called on the main loop's thread, without the lock, when the socket begins to serve.
        """

    @hookspec
    def register_monitor_events(self, machine: Machine) -> dict[str, Any] | None:
        """Events that this sends by `Machine.announce`, by name: the TypedDict of each one's data; None if it has none.

        They are what query-events and query-qmp-schema tell. Called on the main loop's thread, without the lock.
        """

    @hookspec
    def register_monitor_words(self, machine: Machine) -> Iterable[Word] | None:
        """Words of the monitor for people; see `southbridge.hmp`, which is best imported here: few machines have one.

        Called on the main loop's thread, without the lock, when such a monitor begins to be used; so is the next.
        """

    @hookspec
    def register_monitor_topics(self, machine: Machine) -> Iterable[Word] | None:
        """The same for topics of its `info`. What a topic that there is already should say more: `monitor_info`."""

    @hookspec
    def monitor_info(self, machine: Machine, topic: str) -> str | None:
        """What this has to say to `info TOPIC` of the monitor for people, in lines; None for nothing.

        Called with the machine lock held.
        """


GROUPS = (
    GuestMemory,
    MemoryTopology,
    DirtyLogging,
    Passthrough,
    Interrupts,
    Offload,
    Cpus,
    Lifecycle,
    Extension,
)

LINKED = (
    "memory_read",
    "memory_write",
    "memory_write_several",
    "memory_map",
    "memory_unmap",
    "irq_set",
    "pci_irq_set",
    "msi_send",
    "dirty_log_sync",
)
