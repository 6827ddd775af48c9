"""What the accelerator needs of a hypervisor: the part of Xen's libraries that it uses, one protocol a library.

The libraries' headers are the reference: xendevicemodel.h, xenforeignmemory.h, xenevtchn.h, xenstore.h,
xentoolcore.h and xenctrl.h in Xen's tools/include. Numbers and bytes go in and out. Whatever fails raises OSError,
with the call's name in its text.

`libraries/` implements them for the real Xen (`open_domain(domid)` gives a Hypervisor, OFFLOADS says what it
emulates), `simulated/` for a domain within this process (`open_domain(machine, cpu)`: its RAM is the machine's
own, so that exchanging accelerators copies nothing). Frames are guest frames: a guest-physical address divided by
4 KiB.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from southbridge.x86 import X86State

PAGE_SHIFT = 12
PAGE_SIZE = 1 << PAGE_SHIFT


class Space(IntEnum):
    """What a range of an ioreq server is a range of (`is_mmio` in xendevicemodel.h)."""

    PORTS = 0
    MEMORY = 1


class MemoryType(IntEnum):
    """How the hypervisor treats a page of the guest's (hvmmem_type_t in public/hvm/hvm_op.h)."""

    RAM = 0
    ROM = 1
    """The guest's stores are dropped."""


class ShutdownCode(IntEnum):
    """Why a domain ends (public/sched.h)."""

    POWEROFF = 0
    REBOOT = 1
    CRASH = 3


class DeviceModel(Protocol):
    """libxendevicemodel: what a device model asks of the hypervisor for one domain."""

    def create_ioreq_server(self) -> int:
        """A new server with a ring of buffered requests, whose pointers are updated atomically; gives its id."""

    def destroy_ioreq_server(self, server: int) -> None:
        """Ends it. Requests that wait are answered by the hypervisor."""

    def buffered_port(self, server: int) -> int:
        """The domain's event channel of the server's buffered ring (get_ioreq_server_info)."""

    def set_ioreq_server_state(self, server: int, enabled: bool) -> None:
        """Only while it is enabled does a server get requests. Its pages have a meaning once it was."""

    def map_io_range(self, server: int, space: Space, first: int, last: int) -> None:
        """Accesses from `first` to `last`, inclusive, are the server's, unless the hypervisor serves them itself."""

    def unmap_io_range(self, server: int, space: Space, first: int, last: int) -> None:
        """They no longer are. The range was mapped as a whole, or is part of what was."""

    def map_pcidev(self, server: int, segment: int, bus: int, slot: int, function: int) -> None:
        """Configuration accesses to this PCI function are the server's."""

    def unmap_pcidev(self, server: int, segment: int, bus: int, slot: int, function: int) -> None:
        """They no longer are."""

    def set_isa_irq_level(self, line: int, level: bool) -> None:
        """ISA interrupt line 0 to 15."""

    def set_pci_intx_level(self, segment: int, bus: int, slot: int, pin: int, level: bool) -> None:
        """INTA# to INTD# (0 to 3) of a PCI slot. The hypervisor knows how it is wired."""

    def set_pci_link_route(self, link: int, line: int) -> None:
        """PIRQA# to PIRQD# (0 to 3) is routed to ISA line `line`; to none if that is 0."""

    def inject_msi(self, address: int, data: int) -> None:
        """A device's message."""

    def track_dirty_vram(self, first: int, count: int) -> bytes:
        """Frames written since the last call, a bit each, lowest first; tracking goes on. The first call gives ones.

        One range at a time. With a `count` of 0 it ends, and gives nothing.
        """

    def modified_memory(self, first: int, count: int) -> None:
        """The device model wrote to these frames: for a toolstack that copies a running guest."""

    def set_memory_type(self, kind: MemoryType, first: int, count: int) -> None:
        """What the guest may do with these frames."""

    def relocate_memory(self, source: int, target: int, count: int) -> None:
        """What is in the frames from `source` on is in those from `target` on, which hold nothing. They don't overlap.

        The frames at `source` hold nothing afterwards. Foreign mappings of them go on showing the same memory.
        """

    def vcpus(self) -> int:
        """How many virtual CPUs the domain has at most."""

    def shutdown(self, reason: ShutdownCode) -> None:
        """The domain ends; what follows is the toolstack's choice."""

    def restrict(self, domid: int) -> None:
        """From now on this handle is good for one domain alone."""


class ForeignMemory(Protocol):
    """libxenforeignmemory: the guest's memory, mapped into this process for reading and writing.

    Bytes that were unmapped mustn't be touched any more, through any view of them: with a real hypervisor, that is a
    segmentation fault.
    """

    def map(self, frames: Sequence[int]) -> tuple[memoryview, list[int]]:
        """The frames' bytes, one frame behind the other, and for each frame 0 or a negative errno.

        A frame that couldn't be mapped has bytes as well, which mustn't be touched. Raises OSError if nothing can be
        mapped at all: ENOMEM at a limit, for one.
        """

    def unmap(self, view: memoryview) -> None:
        """Gives back what `map` gave."""

    def map_over(self, frames: Sequence[int], address: int) -> list[int]:
        """The frames take the place of this process's own memory at `address`, page by page.

        Gives an errno for each frame, as `map` does; the bytes there were copied into the frames before, by the caller.
        """

    def map_ioreq_pages(self, server: int) -> tuple[memoryview, memoryview]:
        """The pages that an ioreq server shares with the hypervisor (map_resource): synchronous, buffered."""

    def unmap_ioreq_pages(self) -> None:
        """Gives both back."""

    def restrict(self, domid: int) -> None:
        """From now on this handle is good for one domain alone."""


class EventChannels(Protocol):
    """libxenevtchn: event channels of one domain's, for one thread that waits."""

    def bind_interdomain(self, remote_port: int) -> int:
        """A local port that is connected to the domain's `remote_port`."""

    def unbind(self, port: int) -> None:
        """The local port is no longer."""

    def notify(self, port: int) -> None:
        """Signals the other end of local `port`. From any thread."""

    def wait(self) -> int | None:
        """Blocks until an event arrived; its local port, which is masked until `unmask`. None after a `wake`."""

    def deliver_to(self, take: Callable[[int], None]) -> None:
        """`take` may be called with the port of an event at once, by who signals, in place of `wait`'s giving it.

        The CPUs of a domain within this process do so, which saves them a turn of two threads.
        """

    def unmask(self, port: int) -> None:
        """Events of this port are delivered again: also one that came while it was masked."""

    def wake(self) -> None:
        """Has `wait` give None, now or the next time. From any thread."""

    def restrict(self, domid: int) -> None:
        """From now on nothing can be bound but to one domain."""


class XenStore(Protocol):
    """libxenstore: the tree of small texts by which the toolstack and its programs tell each other things."""

    def read(self, path: str) -> str | None:
        """The text at `path`; None if there is no such node."""

    def write(self, path: str, value: str) -> None:
        """Makes the node, and its parents, if need be."""

    def remove(self, path: str) -> None:
        """Removes the node and what is below it, if it is there."""

    def directory(self, path: str) -> list[str]:
        """The names below `path`; none if there is no such node."""

    def watch(self, path: str, token: str) -> None:
        """`fired` tells of each change at or below `path` from now on, and of one at once."""

    def fileno(self) -> int:
        """A descriptor that is readable while `fired` has something to tell."""

    def fired(self) -> list[tuple[str, str]]:
        """Paths and tokens of watches that fired since the last call. Doesn't block.

        Raises OSError when the store has gone away.
        """

    def is_domain_alive(self, domid: int) -> bool:
        """Whether the store knows such a domain (xs_is_domain_introduced)."""


class Control(Protocol):
    """libxenctrl: the few calls that no stable library has."""

    def maximum_frame(self) -> int:
        """The highest frame of the domain's that holds something."""

    def populate(self, frames: Sequence[int]) -> None:
        """Gives the domain memory, zeroed or not, at these frames, which hold nothing."""

    def depopulate(self, frames: Sequence[int]) -> None:
        """Takes it away again."""

    def parameter(self, number: int) -> int:
        """An HVM parameter (public/hvm/params.h)."""

    def set_parameter(self, number: int, value: int) -> None:
        """Sets it."""


class Exchange(Protocol):
    """The guest's CPUs and platform devices, in the form in which accelerators exchange them.

    Not Xen's: a domain of the real one keeps its CPUs and its platform to itself, and its device model comes and goes
    with it. A hypervisor that has this can take part in exchanges, snapshots and resets of a machine that runs on it.
    """

    on_shutdown: Callable[[int], None]
    """Called, from any thread, with the index of a CPU that shut down (a triple fault)."""
    on_failure: Callable[[int, Exception], None]
    """Called, from any thread, when a CPU can't go on, with what its `run` is to raise."""

    def resume(self, cpu: int) -> None:
        """The CPU executes from now on."""

    def pause(self, cpu: int) -> None:
        """Returns once it stands still, between two instructions. Requests are answered meanwhile."""

    def save_cpu(self, cpu: int) -> X86State:
        """Its state. It stands still."""

    def load_cpu(self, cpu: int, state: X86State) -> None:
        """It goes on from there. Raises ValueError for what can't be represented."""

    def tsc(self, cpu: int) -> int | None:
        """Its time-stamp counter; None: unknown."""

    def set_tsc(self, cpu: int, value: int) -> None:
        """Sets it."""

    def set_a20(self, enabled: bool) -> None:
        """The A20 gate, which no domain of the real Xen has."""

    def take(self, platform: str, state: dict[str, Any]) -> None:
        """The hypervisor plays a platform device from the saved `state` on."""

    def give(self, platform: str) -> dict[str, Any]:
        """It no longer does: the state, as `Device.save` has it."""


class Hypervisor(Protocol):
    """A connection to one domain, by all of it."""

    @property
    def domid(self) -> int:
        """The domain's number."""

    @property
    def device_model(self) -> DeviceModel:
        """libxendevicemodel."""

    @property
    def memory(self) -> ForeignMemory:
        """libxenforeignmemory."""

    @property
    def events(self) -> EventChannels:
        """libxenevtchn."""

    @property
    def store(self) -> XenStore | None:
        """libxenstore; None: no toolstack is there."""

    @property
    def control(self) -> Control | None:
        """libxenctrl; None: memory can't be added to the domain."""

    @property
    def exchange(self) -> Exchange | None:
        """The CPUs' and the platform's state; None: they are the hypervisor's own."""

    def restrict(self) -> None:
        """Everything that is open is good for this domain alone from now on (xentoolcore_restrict_all).

        The store and `control` can't be used any more.
        """

    def close(self) -> None:
        """Gives everything back. The ioreq server was destroyed before, if it could be."""
