"""A domain for tests: no CPU runs in it; the test writes requests into its pages, as a hypervisor would."""

from __future__ import annotations

import errno
import os
import queue
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any

from southbridge.accelerators.xen.hypervisor import PAGE_SIZE, Exchange, MemoryType, ShutdownCode, Space

from .foreign import TinyForeignMemory

READ, BACKWARDS, INDIRECT = 1 << 5, 1 << 6, 1 << 4
READY, ANSWERED = 1, 3
BUFFERED = 99
"""The domain's event channel of the ring."""


class FakeDeviceModel:
    """Notes what it is asked for."""

    def __init__(self, domain: FakeDomain) -> None:
        self.domain = domain
        self.calls: list[tuple[Any, ...]] = []
        self.ranges: set[tuple[Any, ...]] = set()
        self.refuses: set[str] = set()
        """Names of calls that fail."""
        self.dirty = b""

    def _note(self, *call: Any) -> None:
        if call[0] in self.refuses:
            raise OSError(errno.EINVAL, f"{call[0]}: Invalid argument")
        self.calls.append(call)

    def create_ioreq_server(self) -> int:
        self._note("create_ioreq_server")
        return 7

    def destroy_ioreq_server(self, server: int) -> None:
        self._note("destroy_ioreq_server", server)

    def buffered_port(self, server: int) -> int:
        return BUFFERED

    def set_ioreq_server_state(self, server: int, enabled: bool) -> None:
        self._note("set_ioreq_server_state", server, enabled)
        for cpu in range(self.domain.cpus):
            struct.pack_into("<I", self.domain.page, cpu * 32 + 24, 10 + cpu)

    def map_io_range(self, server: int, space: Space, first: int, last: int) -> None:
        self._note("map_io_range", space, first, last)
        self.ranges.add((space, first, last))

    def unmap_io_range(self, server: int, space: Space, first: int, last: int) -> None:
        self._note("unmap_io_range", space, first, last)
        self.ranges.remove((space, first, last))

    def map_pcidev(self, server: int, segment: int, bus: int, slot: int, function: int) -> None:
        self.ranges.add(("pci", bus, slot, function))

    def unmap_pcidev(self, server: int, segment: int, bus: int, slot: int, function: int) -> None:
        self.ranges.remove(("pci", bus, slot, function))

    def set_isa_irq_level(self, line: int, level: bool) -> None:
        self._note("isa", line, level)

    def set_pci_intx_level(self, segment: int, bus: int, slot: int, pin: int, level: bool) -> None:
        self._note("intx", slot, pin, level)

    def set_pci_link_route(self, link: int, line: int) -> None:
        self._note("link", link, line)

    def inject_msi(self, address: int, data: int) -> None:
        self._note("msi", address, data)

    def track_dirty_vram(self, first: int, count: int) -> bytes:
        self._note("track", first, count)
        return self.dirty

    def modified_memory(self, first: int, count: int) -> None:
        self._note("modified", first, count)

    def set_memory_type(self, kind: MemoryType, first: int, count: int) -> None:
        self._note("type", kind, first, count)

    def relocate_memory(self, source: int, target: int, count: int) -> None:
        self._note("relocate", source, target, count)
        places = self.domain.memory.places
        for at in range(count):
            assert target + at not in places
            places[target + at] = places.pop(source + at)

    def vcpus(self) -> int:
        return self.domain.cpus

    def shutdown(self, reason: ShutdownCode) -> None:
        self._note("shutdown", reason)

    def restrict(self, domid: int) -> None:
        self._note("restrict", domid)


class FakeMemory(TinyForeignMemory):
    """The domain's memory, and its shared pages."""

    def __init__(self, domain: FakeDomain, frames: int) -> None:
        super().__init__(frames)
        self._domain = domain
        self.over: list[tuple[list[int], int]] = []

    def map_ioreq_pages(self, server: int) -> tuple[memoryview, memoryview]:
        return memoryview(self._domain.page), memoryview(self._domain.ring)

    def map_over(self, frames: Sequence[int], address: int) -> list[int]:
        self.over.append((list(frames), address))
        return [0] * len(frames)


class FakeEvents:
    """Channels as a queue; what is masked waits."""

    def __init__(self) -> None:
        self.queue: queue.Queue[int | None] = queue.Queue()
        self.notified: queue.Queue[int] = queue.Queue()
        self.remote: dict[int, int] = {}
        self._next = 1000

    def bind_interdomain(self, remote_port: int) -> int:
        self._next += 1
        self.remote[remote_port] = self._next
        return self._next

    def unbind(self, port: int) -> None:
        raise NotImplementedError

    def notify(self, port: int) -> None:
        self.notified.put(port)

    def wait(self) -> int | None:
        return self.queue.get()

    def deliver_to(self, take: Callable[[int], None]) -> None:
        pass

    def unmask(self, port: int) -> None:
        assert port in self.remote.values()

    def wake(self) -> None:
        self.queue.put(None)

    def restrict(self, domid: int) -> None:
        raise NotImplementedError


class FakeStore:
    """A store of texts. A pipe tells that watches fired."""

    def __init__(self) -> None:
        self.nodes: dict[str, str] = {"domid": "0"}
        self.alive = True
        self.gone = False
        self._watches: list[tuple[str, str]] = []
        self._events: list[tuple[str, str]] = []
        self._ends = os.pipe()

    def _check(self) -> None:
        if self.gone:
            raise OSError(errno.EPIPE, "xs_read: Broken pipe")

    def read(self, path: str) -> str | None:
        self._check()
        return self.nodes.get(path)

    def write(self, path: str, value: str) -> None:
        self._check()
        self.nodes[path] = value
        self.fire(path)

    def remove(self, path: str) -> None:
        self.nodes.pop(path, None)

    def directory(self, path: str) -> list[str]:
        raise NotImplementedError

    def watch(self, path: str, token: str) -> None:
        self._check()
        self._watches.append((path, token))
        self.fire(path)

    def fire(self, path: str) -> None:
        """A change at `path`."""
        for watched, token in self._watches:
            if path == watched or path.startswith(f"{watched}/"):
                self._events.append((path, token))
                os.write(self._ends[1], b"x")

    def vanish(self) -> None:
        """The store's daemon dies."""
        self.gone = True
        os.write(self._ends[1], b"x")

    def fileno(self) -> int:
        return self._ends[0]

    def fired(self) -> list[tuple[str, str]]:
        os.read(self._ends[0], 4096)
        self._check()
        events, self._events = self._events, []
        return events

    def is_domain_alive(self, domid: int) -> bool:
        return self.alive

    def close(self) -> None:
        """Closes the pipe."""
        for end in self._ends:
            os.close(end)


class FakeControl:
    """Adds memory behind what there is."""

    def __init__(self, domain: FakeDomain) -> None:
        self._domain = domain
        self.parameters: dict[int, int] = {}

    def maximum_frame(self) -> int:
        return max(self._domain.memory.places)

    def populate(self, frames: Sequence[int]) -> None:
        memory = self._domain.memory
        for frame in frames:
            assert frame not in memory.places
            memory.places[frame] = len(memory.memory) // PAGE_SIZE
            memory.memory += bytes(PAGE_SIZE)

    def depopulate(self, frames: Sequence[int]) -> None:
        for frame in frames:
            del self._domain.memory.places[frame]

    def parameter(self, number: int) -> int:
        return self.parameters[number]

    def set_parameter(self, number: int, value: int) -> None:
        self.parameters[number] = value


class FakeDomain:
    """Domain 5, with `frames` of memory."""

    def __init__(self, frames: int = 1024, cpus: int = 1) -> None:
        self.domid = 5
        self.cpus = cpus
        self.page, self.ring = bytearray(PAGE_SIZE), bytearray(PAGE_SIZE)
        self.memory = FakeMemory(self, frames)
        self.device_model = FakeDeviceModel(self)
        self.events = FakeEvents()
        self.store: FakeStore | None = FakeStore()
        self.control: FakeControl | None = FakeControl(self)
        self.exchange: Exchange | None = None
        self.restricted = False
        self.closed = threading.Event()

    def restrict(self) -> None:
        self.restricted = True

    def close(self) -> None:
        self.closed.set()

    # --- the guest's side ----------------------------------------------------------------------------------------

    def send(
        self,
        kind: int,
        address: int,
        *,
        size: int = 1,
        count: int = 1,
        data: int = 0,
        flags: int = 0,
        cpu: int = 0,
        wait: bool = True,
    ) -> int:
        """A request of a CPU's; what it is answered with."""
        struct.pack_into("<QQII", self.page, cpu * 32, address, data, count, size)
        self.page[cpu * 32 + 31] = kind
        self.page[cpu * 32 + 30] = READY | flags
        self.events.queue.put(self.events.remote[10 + cpu])
        return self.answer(cpu) if wait else 0

    def answer(self, cpu: int = 0) -> int:
        """Waits for it."""
        port = self.events.notified.get(timeout=10)
        assert port == self.events.remote[10 + cpu]
        assert self.page[cpu * 32 + 30] & 15 == ANSWERED
        return int.from_bytes(self.page[cpu * 32 + 8 : cpu * 32 + 16], "little")

    def port_read(self, port: int, size: int = 1, **more: int) -> int:
        """IN."""
        return self.send(0, port, size=size, flags=READ, **more) & (1 << 8 * size) - 1  # type: ignore[arg-type]

    def port_write(self, port: int, value: int, size: int = 1) -> None:
        """OUT."""
        self.send(0, port, size=size, data=value)

    def put_in_ring(self, kind: int, address: int, data: int, size: int = 1) -> None:
        """A buffered request."""
        write = struct.unpack_from("<I", self.ring, 4)[0]
        low = kind | (size.bit_length() - 1) << 10 | address << 12
        struct.pack_into("<II", self.ring, 8 + write % 511 * 8, low, data)
        struct.pack_into("<I", self.ring, 4, write + 1)
