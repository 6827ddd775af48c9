"""The ioreq server: the guest's accesses, as the hypervisor passes them on, reach the machine's devices.

A thread of its own waits for events, beside the machine's main loop; the CPUs of a domain within this process lend
theirs. Requests are served with the machine's lock held, one at a time. While the machine is paused they wait in their
slots: so do the guest's CPUs.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from southbridge.errors import SouthbridgeError
from southbridge.pci import PciBus

from .hypervisor import Hypervisor
from .ioreq import (
    CONFIGURATION,
    MEMORY,
    PORT,
    RING_SLOTS,
    SLOTS,
    BufferedPage,
    Kind,
    Nonsense,
    Request,
    SynchronousPage,
)
from .mapcache import MapCache
from .memory import DomainMemory

if TYPE_CHECKING:
    from southbridge.machine import Machine

PATIENCE = 10.0
"""Seconds that the thread has to end."""

log = logging.getLogger(__name__)
guest_log = logging.getLogger("southbridge.guest_errors")


class Server:
    """Serves the domain of `hypervisor`. Raises OSError if there can't be a server.

    `failed` is called, on the thread, with what ended it. `time_offset` is called with seconds by which the guest has
    set its clock away from the host's.
    """

    def __init__(
        self,
        machine: Machine,
        hypervisor: Hypervisor,
        memory: DomainMemory,
        cache: MapCache,
        *,
        failed: Callable[[Exception], None],
        time_offset: Callable[[int], None],
    ) -> None:
        if machine.cpus.max > SLOTS:
            raise SouthbridgeError(f"an ioreq server has at most {SLOTS} CPUs, not {machine.cpus.max}")
        self._machine = machine
        self._hypervisor = hypervisor
        self._memory = memory
        self._cache = cache
        self._failed = failed
        self._time_offset = time_offset
        self._stopping = False
        self._serving = False
        self._thread: threading.Thread | None = None
        self._complained: set[str] = set()
        self._ports: list[int] = []
        self._cpus: dict[int, int] = {}
        self.served = 0
        """Requests so far."""
        self.nonsense = 0
        """How many of them made no sense."""
        self.id = hypervisor.device_model.create_ioreq_server()
        try:
            self._bind()
        except BaseException:
            self.close()
            raise

    def _bind(self) -> None:
        hypervisor = self._hypervisor
        synchronous, buffered = hypervisor.memory.map_ioreq_pages(self.id)
        self._page, self._ring = SynchronousPage(synchronous), BufferedPage(buffered)
        # The hypervisor fills in the CPUs' channels when the server is enabled.
        hypervisor.device_model.set_ioreq_server_state(self.id, True)
        for cpu in range(self._machine.cpus.max):
            remote = self._page.port(cpu)
            if not remote:
                raise SouthbridgeError(f"the domain has {cpu} CPUs, not {self._machine.cpus.max}")
            port = hypervisor.events.bind_interdomain(remote)
            self._ports.append(port)
            self._cpus[port] = cpu
        hypervisor.events.bind_interdomain(hypervisor.device_model.buffered_port(self.id))
        hypervisor.events.deliver_to(self._arrived)

    # --- life ----------------------------------------------------------------------------------------------------

    def serve(self) -> None:
        """The machine runs: requests are served from now on, those first that wait already. With the lock held."""
        self._serving = True
        if self._thread is None:
            self._thread = threading.Thread(target=self._main, name="ioreq", daemon=True)
            self._thread.start()
        self._hypervisor.events.wake()

    def hold(self) -> None:
        """Requests wait from now on. With the lock held, so that none is being served."""
        self._serving = False

    def close(self) -> None:
        """Ends it; the hypervisor answers what waits. Without the lock."""
        self._stopping = True
        self._serving = False
        if self._thread is not None and self._thread is not threading.current_thread():
            self._hypervisor.events.wake()
            self._thread.join(PATIENCE)
        try:
            self._hypervisor.device_model.set_ioreq_server_state(self.id, False)
            self._hypervisor.memory.unmap_ioreq_pages()
            self._hypervisor.device_model.destroy_ioreq_server(self.id)
        except OSError as error:  # a domain that is gone has none
            log.debug("the ioreq server: %s", error)

    # --- the thread ----------------------------------------------------------------------------------------------

    def _main(self) -> None:
        events = self._hypervisor.events
        try:
            while not self._stopping:
                port = events.wait()
                if port is None:
                    self._look_everywhere()
                else:
                    events.unmask(port)  # before we look: an event that comes from now on comes again
                    self._arrived(port)
        except Exception as error:  # the hypervisor's
            self._fail(error)

    def _arrived(self, port: int) -> None:
        """An event: on our thread, or on that of a CPU within this process."""
        cpu = self._cpus.get(port)
        try:
            if cpu is None:
                self._serve_ring()
            else:
                self._serve_cpu(cpu)
        except Exception as error:  # a device's, under --strict, or the hypervisor's
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Nothing is served any more. The machine is about to end: the CPUs needn't wait until it has."""
        if not self._stopping:
            self._stopping = True
            self._serving = False
            with contextlib.suppress(OSError):
                self._hypervisor.device_model.set_ioreq_server_state(self.id, False)
            self._failed(error)

    def _look_everywhere(self) -> None:
        self._serve_ring()
        for cpu in range(len(self._ports)):
            self._serve_cpu(cpu)

    def _serve_cpu(self, cpu: int) -> None:
        page = self._page
        with self._machine.lock:
            if not self._serving:
                return
            if self._ring.waits:  # what the CPU wrote before comes first
                self._drain()
            try:
                request = page.take(cpu)
            except Nonsense as error:
                self._complain(error)
                page.answer(cpu, -1)
            else:
                if request is None:
                    return
                self.served += 1
                page.answer(cpu, self._answer_to(cpu, request) if cpu else self._answer(request))
        try:
            self._hypervisor.events.notify(self._ports[cpu])
        except OSError as error:  # a domain that is being destroyed: its end is told by xenstore
            log.debug("CPU %d isn't notified: %s", cpu, error.strerror)

    def _serve_ring(self) -> None:
        with self._machine.lock:
            if self._serving and self._drain() >= RING_SLOTS:
                self._hypervisor.events.wake()  # more may wait; others have their turn first

    def _drain(self) -> int:
        """Serves at most one ring's length of buffered requests. Gives how many there were."""
        number = 0
        for request in self._ring.requests():
            number += 1
            if isinstance(request, Nonsense):
                self._complain(request)
            else:
                self._answer(request)
        self.served += number
        return number

    def _complain(self, error: Nonsense) -> None:
        """One line for each kind of thing; a guest that floods the host's log helps nobody."""
        self.nonsense += 1
        kind = "".join(letter for letter in str(error) if not letter.isdigit())[:24]
        if kind not in self._complained:
            self._complained.add(kind)
            line = f"ioreq: {error}"
            self._machine.guest_errors.append(line)
            guest_log.info("%s", line)

    # --- requests ------------------------------------------------------------------------------------------------

    def _answer_to(self, cpu: int, request: Request) -> int:
        """Serves the request of a CPU other than the first, which is `Machine.cpus.current` meanwhile."""
        threads, thread = self._machine.cpus.by_thread, threading.get_ident()
        threads[thread] = cpu
        try:
            return self._answer(request)
        finally:
            del threads[thread]

    def _answer(self, request: Request) -> int:
        """Serves it; what a read gives."""
        kind, write, address, size, _, data, indirect, _ = request
        if kind is PORT:
            if indirect:
                return self._port_string(request)
            if write:
                self._machine.ports.write(address, size, data)
                return data
            return self._machine.ports.read(address, size)
        if kind is MEMORY:
            return self._memory_access(request)
        if kind is CONFIGURATION:
            return self._configuration(request)
        if kind is Kind.TIME_OFFSET:
            self._time_offset(data - (1 << 64) if data >> 63 else data)
        elif kind is Kind.INVALIDATE:
            self._cache.invalidate()
        return 0

    def _port_string(self, request: Request) -> int:
        """INS and OUTS: the items are in guest memory."""
        ports, size, port = self._machine.ports, request.size, request.address
        if request.write:
            ports.write_string(port, size, self._fetched(request))
        else:
            self._stored(request, ports.read_string(port, size, request.items))
        return request.data

    def _memory_access(self, request: Request) -> int:
        size, step = request.size, request.step
        address = request.address
        if request.indirect:
            if request.write:
                data = self._fetched(request)
                for at in range(request.items):
                    self._write(address + at * step, size, int.from_bytes(data[at * size : (at + 1) * size], "little"))
            else:
                items = (self._read(address + at * step, size) for at in range(request.items))
                self._stored(request, b"".join(item.to_bytes(size, "little") for item in items))
            return request.data
        value = request.data
        for _ in range(request.items):
            if request.write:
                self._write(address, size, request.data)
            else:
                value = self._read(address, size)
            address += step
        return value

    def _read(self, address: int, size: int) -> int:
        memory = self._machine.memory
        section = memory.find(address)
        if section is not None and section.ram is self._machine.ram:  # which is the hypervisor's
            return int.from_bytes(self._memory.fetch(address, size), "little")
        return memory.read(address, size)

    def _write(self, address: int, size: int, value: int) -> None:
        memory = self._machine.memory
        section = memory.find(address)
        if section is not None and section.ram is self._machine.ram:
            self._memory.store(address, (value & (1 << 8 * size) - 1).to_bytes(size, "little"))
        else:
            memory.write(address, size, value)

    def _fetched(self, request: Request) -> bytes:
        """The items that the request points to, in their order."""
        size, length = request.size, request.size * request.items
        if not request.backwards:
            return self._memory.fetch(request.data, length)
        return _reversed(self._memory.fetch(request.data - (length - size), length), size)

    def _stored(self, request: Request, items: bytes) -> None:
        """Puts the items where the request points to."""
        if not request.backwards:
            self._memory.store(request.data, items)
        else:
            self._memory.store(request.data - (len(items) - request.size), _reversed(items, request.size))

    def _configuration(self, request: Request) -> int:
        place, register = request.address >> 32, request.address & 0xFF
        bus, slot, function = place >> 8, place >> 3 & 31, place & 7
        for found in self._machine.buses.values():
            if isinstance(found, PciBus) and found.number == bus:
                if request.write:
                    found.config_write(slot, function, register, request.size, request.data)
                    return request.data
                return found.config_read(slot, function, register, request.size)
        return -1


def _reversed(items: bytes, size: int) -> bytes:
    """The items of `size` bytes, the last one first."""
    return b"".join(items[at : at + size] for at in range(len(items) - size, -1, -size))
