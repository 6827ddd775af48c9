"""A machine: one accelerator, one clock, devices on buses, back ends; and its life.

    machine = build(description)     # southbridge.builder: constructs and realizes everything
    outcome = machine.run()          # until the guest or somebody else ends it

`run` belongs to one thread, the main loop's. Requests to pause, reset or end come from any thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .accelerator import AcceleratorFailure
from .block import Executor, ThreadExecutor
from .board import A20Gate, MemoryRange
from .clock import SECOND, Clock
from .cpu_models import DEFAULT_MODEL, CpuModel, find_model
from .cpus import Cpus
from .errors import RealizeError, SouthbridgeError
from .event_lines import EventLines
from .exchange import exchange, fall_back, join, load_state, name_of, plug_saved_cpus, save_state
from .faults import Faults
from .firmware_config import FirmwareConfig
from .hooks import MachineHooks, TopologyListener, has_hooks
from .hotplug import Hotplug
from .input import Input
from .interrupts import InterruptController, IsaInterrupts
from .life import HELD, OFF, PAUSED, SWITCHED_OFF, Outcome, ResetReason, RunState, Service, ShutdownReason
from .mainloop import DueTimers
from .memory.ram import RamBlock
from .memory.regions import Container
from .memory.space import AddressSpace
from .msrs import Msrs
from .numa import Numa
from .objects import HostObjects
from .offload import Offload
from .power import Power
from .requests import Requests, Result
from .reset import reset
from .smbios import Identity

if TYPE_CHECKING:
    from .accelerator import Accelerator, Vcpu
    from .boot import Boot
    from .description import Description
    from .description.model import Part
    from .device import Device
    from .display import GraphicConsole
    from .migration.incoming import Incoming
    from .migration.status import Migration
    from .networks import Networks

MEMORY_BITS = 52

SWITCH_INTERVAL = 0.0005
"""Seconds after which a thread that computes in Python lets another one in: a vCPU must not starve the main loop."""

log = logging.getLogger(__name__)
guest_log = logging.getLogger("southbridge.guest_errors")


class Machine:
    """A PC. Everything that devices, accelerators and monitors share."""

    def __init__(
        self,
        *,
        name: str = "machine",
        memory: int,
        cpus: int = 1,
        max_cpus: int | None = None,
        cpu: CpuModel | None = None,
        clock: Clock | None = None,
        lock: threading.RLock | None = None,
        strict: bool = False,
    ) -> None:
        self.name = name
        self.cpus = Cpus(self, cpus, max_cpus or cpus)
        self.cpu = cpu or find_model(DEFAULT_MODEL)
        """What the guest sees of each CPU."""
        self.identity = Identity()  # who it is, for inventories
        self.numa = Numa()
        self.strict = strict
        """What a device's code raises ends the machine, instead of only the device."""
        self.on_guest_reset: Callable[[ResetReason], bool] = lambda reason: True
        """Asked when the guest resets the machine: False ends it instead."""
        self.ends_with_guest = True
        """The machine ends when the guest switches it off; else it only stands still from then on."""
        self.starts_paused = False
        """It waits to be told to go on when it is run."""
        self.preconfig = False  # besides, nobody has said yet that it is as it is to be: QMP's x-exit-preconfig
        self.lock = lock or threading.RLock()
        """Guards everything that the guest can see."""
        self.hooks = MachineHooks()
        self.clock = clock or Clock()
        self.faults = Faults(self)
        self.clock.on_fault = self.faults.timer_failed
        self.memory = AddressSpace("memory", 1 << MEMORY_BITS, self.faults.access_failed)
        self.ports = AddressSpace("ports", 1 << 16, self.faults.access_failed)
        self.bus_memory = Container("bus", 1 << MEMORY_BITS)
        """What the memory controller passes on: PCI's and ISA's memory addresses."""
        self.memory.root.add(0, self.bus_memory, priority=-1)
        self.ram = RamBlock("ram", memory)
        self.memory_map: list[MemoryRange] = []  # where RAM is, for firmware; filled in by the memory controller
        self.isa = IsaInterrupts()
        self.event_lines = EventLines(self)  # ISA lines that other threads raise
        self.interrupt_controller: InterruptController | None = None
        """What drives the INTR line: the pair of 8259A."""
        self.level_routes: dict[int, tuple[int, int]] = {}
        """The level-triggered inputs of the I/O APIC: the message (address, data) that each sends."""
        self.pci_links = [0] * 4
        """The ISA lines that PIRQA# to PIRQD# of PCI bus 0 are routed to; 0: to none. Kept by the chipset."""
        self.tsc_hz = SECOND
        """Ticks a second of the CPUs' time-stamp counters; the accelerator sets what it knows."""
        self.msrs = Msrs(self.cpu.msrs, self.cpus.max)
        self.a20 = A20Gate(lambda enabled: self.hooks.call.a20_changed(enabled=enabled))
        self.power = Power(self)
        self.hotplug = Hotplug(self)
        self.firmware_config = FirmwareConfig()
        self.input = Input()
        """What a user types and points at."""
        self.consoles: list[GraphicConsole] = []
        """What graphics devices show, in the order in which they were realized."""
        self.buses: dict[str, Any] = {}
        self.devices: dict[str, Device] = {}
        self.backends: dict[str, dict[str, Any]] = {"blockdevs": {}, "chardevs": {}, "netdevs": {}}
        self.networks: Networks | None = None  # starts the netdevs
        self.objects = HostObjects()
        self.parts_of_images: dict[str, tuple[str, Any]] = {}  # see core/qmp/nodes.py
        self.migration: Migration | None = None  # made when somebody asks for one
        self.incoming: Incoming | None = None  # what it waits for to go on from
        self.services: list[Service] = []
        self.confinements: list[Callable[[], None]] = []  # they give up rights once every service has started
        self.description: Description | None = None  # what it was built from
        self.boot: Boot | None = None
        """What starts the first CPU after a reset, instead of the reset vector's firmware."""
        self.boot_tables: Callable[[int], tuple[bytes, int]] | None = None
        """Tables in memory where no firmware puts them: given their address, their bytes and where ACPI's root is."""
        self.accelerator: Accelerator | None = None
        self._closed = False
        self.accelerator_choices: dict[str, Mapping[str, Any]] = {}
        """What the description says of accelerators: properties by name."""
        self.offload = Offload(self)
        self.fallbacks: list[Callable[[], Accelerator]] = []
        """What takes over, in this order, when the accelerator can't go on executing the guest."""
        self._block_thread = ThreadExecutor("block I/O")
        self.executor: Executor = self._block_thread
        """Runs the back ends' blocking work outside the lock."""
        self.state = RunState.PRELAUNCH
        self.paused_for = PAUSED  # why it is paused, if it is, in QMP's words
        self.guest_errors: deque[str] = deque(maxlen=256)
        """The last things that the guest did wrong."""
        self._resets = 0  # since it runs
        self._initial_state: dict[str, Any] | None = None
        self.requests = Requests(lambda error: self._fail(error))
        self._outcome: Outcome | None = None
        self._failure: Exception | None = None
        self._timers: DueTimers | None = None
        self.memory.add_listener(TopologyListener(self.hooks))
        self.hooks.register(self.power, "power")
        self.hooks.register(self.hotplug, "hotplug")

    # --- building ------------------------------------------------------------------------------------------------

    def part(self, section: str, id: str) -> Part | None:
        """What the description says of the part `id`; None for one that a program made."""
        return None if self.description is None else self.description.sections[section].get(id)

    def add_bus(self, name: str, bus: Any) -> None:
        """Offers `bus` to devices whose `bus` property says `name`. Raises RealizeError if the name is taken."""
        if name in self.buses:
            raise RealizeError(f"there are two buses named {name!r}")
        self.buses[name] = bus

    def plug(self, device: Device) -> None:
        """Adds a constructed `device` and realizes it. Raises RealizeError, leaving the machine as it was."""
        if device.id in self.devices:
            raise RealizeError(f"there are two devices named {device.id!r}")
        device.machine = self
        with self.lock, self.memory.transaction(), self.ports.transaction():
            try:
                device.realize()
                if has_hooks(type(device)):
                    self.hooks.register(device, f"devices.{device.id}")
            except BaseException:
                device.unrealize()
                raise
            self.devices[device.id] = device
            if self.cpus.threads:
                self.faults.guarded(device, device.reset)

    def unplug(self, device: Device) -> None:
        """Removes `device`. Raises SouthbridgeError if the machine runs and it is soldered in."""
        if self.state is not RunState.PRELAUNCH and not device.hotpluggable:
            raise SouthbridgeError(f"{device.id}: a {type(device).__name__} can't be unplugged from a running machine")
        with self.lock, self.memory.transaction(), self.ports.transaction():
            self.hooks.unregister(f"devices.{device.id}")
            device.unrealize()
            del self.devices[device.id]
        if self.state is not RunState.PRELAUNCH:
            self.hooks.call.device_removed(machine=self, device=device)

    def set_accelerator(self, accelerator: Accelerator) -> None:
        """`accelerator` runs the machine's CPUs. Raises SouthbridgeError if it can't."""
        accelerator.check_cpu(self.cpu)
        accelerator.attach(self)
        try:
            with self.lock:
                join(self.hooks, accelerator, self)
        except SouthbridgeError:
            accelerator.detach()
            raise
        self.accelerator = accelerator
        self.hooks.call.accelerator_changed(machine=self, accelerator=accelerator)

    def created(self) -> None:
        """Every device is there: tells the plugins."""
        self.hooks.call.machine_created(machine=self)

    # --- life ----------------------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Runs the machine on the calling thread until it ends. Raises what went wrong, if it was the host's fault."""
        if self.accelerator is None:
            raise SouthbridgeError(f"{self.name} has no accelerator")
        if self.state is not RunState.PRELAUNCH:
            raise SouthbridgeError(f"{self.name} ran already")
        return asyncio.run(self._run(self.accelerator))

    async def _run(self, accelerator: Accelerator) -> Outcome:
        loop = self.requests.begin()
        self._ended = asyncio.Event()
        self._timers = DueTimers(loop, self.clock, self.lock, self._fail)
        sys.setswitchinterval(SWITCH_INTERVAL)
        try:
            self.cpus.create(accelerator)
            reset(self, starting=self._initial_state is None)
            if self._initial_state is not None:
                with self.lock:
                    load_state(self, self._initial_state)
            for backend in self.backends["chardevs"].values():
                backend.start(loop, self.lock)
            for service in self.services:
                await service.start()
            for confine in self.confinements:
                confine()
            if self.starts_paused or self.preconfig:
                self.state = RunState.PAUSED if self._initial_state is not None else self.state
            else:
                self._resume_now()
            self.requests.serve()
            await self._ended.wait()
        finally:
            try:
                self._end()
            finally:
                for service in reversed(self.services):
                    await service.stop()
        assert self._outcome is not None
        return self._outcome

    def _end(self) -> None:
        self.cpus.stop()
        with self.lock:
            self.clock.stop()
        self.state = RunState.SHUTDOWN
        reason = self._outcome.reason if self._outcome else ShutdownReason.HOST_ERROR
        self.hooks.call.machine_stopped(machine=self, reason=reason)
        self.cpus.close()
        if self._timers:
            self._timers.close()
        self.requests.end()
        if self._failure:
            raise self._failure

    def close(self) -> None:
        """Gives back what the host lent: images, terminals, sockets, the accelerator. The machine is of no use then.

        What the guest has handed over for writing is written first.
        """
        self._block_thread.close()
        with self.lock:
            self.event_lines.close()
        for backends in self.backends.values():
            for backend in backends.values():
                backend.close()
        if self.accelerator is not None and not self._closed:
            self.accelerator.detach()
        self._closed = True

    # --- requests, from any thread -------------------------------------------------------------------------------

    def request_reset(self, reason: ResetReason) -> None:
        """Resets the machine soon. Of what a guest asks until then, once is enough: it would be gone by then."""
        before = self._resets
        self.post(lambda: self._reset_requested(reason, before))

    def request_shutdown(self, reason: ShutdownReason, status: int = 0) -> None:
        """Ends the machine soon."""
        if reason in SWITCHED_OFF and not self.ends_with_guest:
            self.post(lambda: self.hooks.call.machine_switched_off(machine=self, reason=reason))
            self.request_pause(OFF)
        else:
            self.post(lambda: self._finish(Outcome(reason, status)))

    def request_powerdown(self) -> None:
        """Presses the power button: a guest that listens shuts down. Raises SouthbridgeError if there is none."""
        self.power.press_button()

    def pause(self) -> None:
        """Pauses the machine, if it runs. From any thread that doesn't hold the lock. Raises SouthbridgeError."""
        self.call(self._pause_now)

    def resume(self) -> None:
        """Goes on, if it is paused. From any thread that doesn't hold the lock. Raises SouthbridgeError."""
        self.call(self._resume_now)

    def request_pause(self, why: str = PAUSED) -> None:
        """Pauses the machine soon; its CPUs stop at once. `why` is what QMP calls that state."""
        if self.state is RunState.RUNNING:
            self.cpus.request_park()
        self.post(lambda: self._pause_now(why))

    def request_resume(self) -> None:
        """Goes on soon."""
        self.post(self._resume_now)

    def announce(self, name: str, **data: Any) -> None:
        """Tells those who watch the machine of the QMP event `name`, soon."""
        self.post(lambda: self.hooks.call.machine_event(machine=self, name=name, data=data))

    def call(self, function: Callable[[], Result]) -> Result:
        """Has the main loop call `function`, and gives what that gives or raises. Not for whoever holds the lock.

        Raises SouthbridgeError if the machine doesn't answer within seconds. Where no main loop runs, or on its own
        thread, that is a plain call.
        """
        return self.requests.call(function, self.name)

    def post(self, request: Callable[[], None]) -> None:
        """Has the main loop call `request` soon, with no vCPU lock held."""
        self.requests.post(request)

    def _fail(self, error: Exception) -> None:
        """The machine ends, and `run` raises `error`."""
        self._failure = error
        self._finish(Outcome(ShutdownReason.HOST_ERROR))

    def _finish(self, outcome: Outcome) -> None:
        if self._outcome is None:
            self._outcome = outcome
            self._ended.set()

    def _reset_requested(self, reason: ResetReason, before: int) -> None:
        if reason is not ResetReason.HOST and before != self._resets:
            return  # what asked has been reset since
        log.info("%s: reset (%s)", self.name, reason.value)
        rebuilt = self.accelerator is not None and not self.accelerator.resets
        if rebuilt or (reason is not ResetReason.HOST and not self.on_guest_reset(reason)):
            self._finish(Outcome(ShutdownReason.GUEST_RESET))
            return
        running = self._time_passes
        self.cpus.park()
        self.power.suspended = False
        reset(self, reason=reason)
        self._resets += 1
        self.paused_for = PAUSED
        if running:
            self.state = RunState.RUNNING
            self.cpus.release()

    @property
    def _time_passes(self) -> bool:
        return self.state in (RunState.RUNNING, RunState.SUSPENDED)

    @property
    def _awake_or_not(self) -> RunState:
        """The state while time passes."""
        return RunState.SUSPENDED if self.power.suspended else RunState.RUNNING

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Inside, the machine is paused, and requests wait; then it goes on, unless it was paused before.

        For work that takes the main loop's thread several turns. Raises SouthbridgeError if the machine isn't there to
        be held.
        """
        if not self._time_passes and self.state is not RunState.PAUSED:
            raise SouthbridgeError(f"{self.name} doesn't run")
        self._pause_now(HELD)
        self.state = RunState.SAVE_VM
        self.requests.held = True
        try:
            yield
        finally:
            self.requests.held = False
            if self.state is RunState.SAVE_VM:  # else it has ended
                self.state = RunState.PAUSED
                if self.paused_for is HELD:
                    self._resume_now()
                self.requests.serve()

    def settle(self) -> None:
        """Serves the requests that wait while the machine is held: what the guest asked for just before.

        Raises SouthbridgeError if the machine ends by it.
        """
        self.requests.held, self.state = False, RunState.PAUSED
        self.requests.serve()
        if self._outcome is not None:
            raise SouthbridgeError(f"{self.name} has ended")
        self._pause_now(HELD)  # should it have been told to go on
        self.requests.held, self.state = True, RunState.SAVE_VM

    def _pause_now(self, why: str = PAUSED) -> None:
        if self._time_passes:
            self.cpus.park()
            self._stop_time()
            self.state, self.paused_for = RunState.PAUSED, why
            self.hooks.call.machine_paused(machine=self)
        elif self.paused_for is HELD:
            self.paused_for = why

    def _resume_now(self) -> None:
        if self.state in (RunState.PRELAUNCH, RunState.PAUSED):
            self.hooks.call.machine_resumed(machine=self)
            self.state = self._awake_or_not
            self._start_time()
            self.cpus.release()

    # --- another accelerator, and the state ----------------------------------------------------------------------

    def swap_accelerator(self, accelerator: Accelerator) -> None:
        """`accelerator`, not attached to any machine, runs this machine's CPUs from now on; the guest doesn't notice.

        From any thread that doesn't hold the lock. Raises SouthbridgeError, with the machine going on as it did, if it
        can't take over.
        """
        self.call(lambda: self._swap_now(accelerator))

    def _swap_now(self, accelerator: Accelerator) -> None:
        accelerator.check_cpu(self.cpu)
        if self.state is RunState.SHUTDOWN:
            raise SouthbridgeError(f"{self.name} has ended")
        with self.standing_still():
            free = exchange(self, accelerator)
        free()
        self.hooks.call.accelerator_changed(machine=self, accelerator=accelerator)
        log.info("%s runs on %s", self.name, name_of(accelerator))

    def save_state(self) -> dict[str, Any]:
        """The clock, the CPUs and the devices, as plain data. The machine stands still for that; then it goes on.

        Memory isn't in it: whoever wants both takes memory while the machine is paused.
        """

        def save() -> dict[str, Any]:
            with self.standing_still():
                return save_state(self)

        return self.call(save)

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes over what `save_state` gave: at once if the machine runs or is paused, else when it begins to run.

        Raises SouthbridgeError for a state that isn't of such a machine, which is of no use any more then.
        """
        if self.state is RunState.PRELAUNCH and not self.cpus.threads:
            plug_saved_cpus(self, state)
            self._initial_state = state
            return

        def load() -> None:
            with self.standing_still():
                load_state(self, state)

        self.call(load)

    @contextlib.contextmanager
    def standing_still(self) -> Iterator[None]:
        """Inside, the vCPUs are parked, the clock stands and the lock is held. On the main loop's thread."""
        running = self._time_passes
        try:
            if running:
                self.cpus.park()
            with self.lock:
                if running:
                    self._stop_time()
                try:
                    yield
                finally:
                    if running:
                        self._start_time()
        finally:
            if running:
                self.state = self._awake_or_not
                self.cpus.release()

    # --- time ----------------------------------------------------------------------------------------------------

    def _stop_time(self) -> None:
        """The vCPUs are parked: neither the clock nor their time-stamp counters go on."""
        with self.lock:
            self.cpus.stop_time()
            self.clock.stop()

    def _start_time(self) -> None:
        with self.lock:
            if self.accelerator is None or not self.accelerator.drives_time:
                self.clock.start()
            self.cpus.start_time()

    # --- interrupts ----------------------------------------------------------------------------------------------

    def set_level_routes(self, routes: dict[int, tuple[int, int]]) -> None:
        """Whoever plays the local APICs is to tell of the ends of these messages' interrupts."""
        if routes != self.level_routes:
            self.level_routes = routes
            self.hooks.call.level_routes_changed(routes=routes)

    def send_msi(self, device: Device, address: int, data: int) -> None:
        """`device` signals a message. One that sleeps hears its lines still, but has nothing to say."""
        if self.offload.plays(device):
            return
        if not self.hooks.msi_send(address, data):
            self.guest_error(device, f"MSI to {address:#x}, where no interrupt controller is")

    # --- what goes wrong -----------------------------------------------------------------------------------------

    def guest_error(self, device: Device, message: str) -> None:
        """Notes that the guest did to `device` what the hardware forbids."""
        line = f"{device.id}: {message}"
        self.guest_errors.append(line)
        guest_log.info("%s", line)

    def vcpu_failed(self, vcpu: Vcpu, error: Exception) -> None:
        """A vCPU can't go on: another accelerator takes over if the accelerator is at fault, or the machine ends."""
        if isinstance(error, AcceleratorFailure) and self.fallbacks:
            self.post(lambda: fall_back(self, vcpu, error))
        else:
            self.post(lambda: self._fail(error))
