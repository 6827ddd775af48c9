"""The virtual CPU: runs the engine, serves what the guest asks of the machine, and follows the machine's changes.

What changes on another thread while the CPU is in the guest (the memory map, A20, code that a device overwrote) is
noted, and the CPU is made to leave the guest; it catches up before it executes on. What changes by the CPU's own doing,
inside one of its port or memory accesses, takes effect before its next instruction.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from southbridge.accelerator import AcceleratorFailure, ExitReason, Vcpu
from southbridge.memory.ram import RamBlock
from southbridge.x86 import MSR_TSC, PendingEvent, X86State

from . import cpu_model
from . import library as lib
from . import state as states
from .engine import INTERRUPT_NMI, Access, Engine
from .flags import HIDDEN_NMI_MASKED
from .memory import GuestMap
from .system_calls import system_call, system_enter
from .system_registers import SystemRegisters
from .tails import Tails

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt
    from southbridge.machine import Machine
    from southbridge.memory.regions import Ram

    from .library import Library
    from .stores import StoredPages
    from .timekeeping import Rate

_FLAG_IF = 1 << 9
_MSR_APIC_BASE = 0x1B
_RAX, _RCX, _RDX, _RBX = range(4)
_ONES = 0xFFFF_FFFF
_MANY = 1024


class UnicornVcpu(Vcpu):
    """See Vcpu."""

    def __init__(self, machine: Machine, library: Library, rate: Rate, index: int) -> None:
        self.index = index
        self._machine = machine
        self._rate = rate
        self._thread = 0
        self._in_guest = False
        self._kicked = False
        self._halted = False
        self._failure: BaseException | None = None
        self._vector = 0
        """The last one that was requested of the CPU."""
        self._acknowledging = False
        self._nmi = False
        """One was requested, and waits until the CPU is outside the guest: so it can't be lost."""
        self._clearing = False
        """The CPU is about to clear one of its request flags, or did: what others set meanwhile may be lost."""
        self._behind = True
        """Something below waits to be caught up with."""
        self._map_changed = True
        self._a20: bool | None = None
        self._overwritten: list[tuple[int, int]] = []
        """Addresses in Unicorn's space of RAM, and sizes."""
        self._event: PendingEvent | None = None
        """From a loaded state; the CPU didn't run since."""
        self._tails = Tails(machine, self._when_out)
        self._engine, self._map = self._open(library)
        self._stores: StoredPages | None = None
        self._wanted: list[tuple[Callable[[], None]]] = []
        """What others wait for to be done while the CPU is outside the guest."""
        self._served = threading.Condition(machine.lock)
        self._power_on_msrs = states.power_on_msrs(self._engine)
        # The counter begins with the host's, as that of a KVM does which can't set it: an exchange is no leap in time.
        self.load(X86State(msrs={MSR_TSC: self._engine.time_stamp}))

    # --- Vcpu ----------------------------------------------------------------------------------------------------

    def run(self) -> ExitReason:
        """See Vcpu."""
        self._thread = threading.get_ident()
        engine, lock = self._engine, self._machine.lock
        while True:
            with lock:
                reason = self._prepare()
                if reason is not None:
                    return reason
                self._in_guest = True
            if self._event is not None and not self._event.external:
                self._event = None
            error = engine.run()
            with lock:
                self._in_guest = False
                self._clearing = False
                self._tails.flush()
                if self._wanted:
                    self._serve()
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure
            if error:
                raise self._execution_failed(error)
            if engine.mailbox.debug:
                engine.debug_stop()
            elif engine.cpu.halted:
                self._halted = True

    def kick(self) -> None:
        """See Vcpu."""
        self._kicked = True
        self._engine.stop()

    def interrupt_changed(self) -> None:
        """See Vcpu."""
        # The flag itself says nothing: the CPU may have cleared it again already.
        requested = self._request_interrupt()
        if requested and self._clearing and (self._acknowledging or threading.get_ident() != self._thread):
            self._engine.stop()

    def request_nmi(self) -> None:
        """See Vcpu."""
        self._nmi = True
        self._engine.stop()

    def wakes(self) -> bool:
        """See Vcpu."""
        engine = self._engine
        nmi = self._nmi or engine.cpu.interrupt_request & INTERRUPT_NMI
        if nmi and not engine.env.hflags2 & HIDDEN_NMI_MASKED:
            return True
        return bool(engine.env.eflags & _FLAG_IF) and self._pending_vector() is not None

    def tsc(self) -> int:
        """See Vcpu."""
        self._machine.tsc_hz = self._rate.hz()
        return self._engine.time_stamp

    def set_tsc(self, value: int) -> None:
        """See Vcpu."""
        self._engine.time_stamp = value

    def save(self) -> X86State:
        """See Vcpu."""
        state = states.save(self._engine, self._halted)
        apic = self._machine.cpus.local_apics.get(self.index)
        if apic is not None:
            state.cr8, state.msrs[_MSR_APIC_BASE] = apic.cr8, apic.base
        state.event = self._event or self._engine.pending_exception()
        state.nmi_pending |= self._nmi
        return state

    def load(self, state: X86State) -> None:
        """See Vcpu."""
        event = state.event
        external = event is not None and event.external
        if external and not state.rflags & _FLAG_IF:
            raise ValueError("an external interrupt is being delivered although IF is clear")
        states.load(self._engine, state, self._power_on_msrs, self._machine.msrs)
        self._halted = state.halted
        self._nmi = False
        self._clearing = state.nmi_pending
        self._a20 = None
        self._event = event
        # INT n is executed again: RIP still points at it.
        if event is not None and not event.external and not event.software:
            self._engine.raise_exception(event.vector, event.error_code or 0)

    def close(self) -> None:
        """See Vcpu."""
        with self._machine.lock:
            self._tails.close()
            self._engine.close()

    # --- what the machine tells ----------------------------------------------------------------------------------

    def memory_map_changed(self) -> None:
        """The memory map changed. With the lock held, on any thread."""
        self._map_changed = True
        self._fall_behind()

    def set_a20(self, enabled: bool) -> None:
        """A20 changed. With the lock held, on any thread."""
        self._a20 = enabled
        self._fall_behind()

    def overwritten(self, block: RamBlock, places: Sequence[tuple[int, int]]) -> None:
        """A device stored to these offsets in `block`, so many bytes each. With the lock held, on any thread."""
        stored = self._map.ram_addresses(block, places)
        code = self._engine.holding_code(stored)
        # The CPU, on its thread, may be translating it just now: so it is noted anyhow, but only code is worth a stop.
        self._overwritten += code if threading.get_ident() == self._thread else stored
        if code or len(self._overwritten) > _MANY:
            self._fall_behind()
        elif self._overwritten:
            self._behind = True

    # --- what the guest stores -----------------------------------------------------------------------------------

    def log_stores(self, region: Ram) -> None:
        """Stores to `region` are recorded from now on. With the lock held, which this may let go of meanwhile."""
        from .stores import StoredPages

        if self._stores is None:
            self._stores = StoredPages(self._engine, self._map)
        if region not in self._stores:
            self._come_out(partial(self._stores.start, region))

    def stop_log(self, region: Ram) -> None:
        """They no longer are."""
        if self._stores is not None and region in self._stores:
            self._come_out(partial(self._stores.stop, region))

    def stored(self, region: Ram) -> npt.NDArray[np.bool_] | None:
        """The pages of `region` that were stored to since the last call; None: nothing is recorded."""
        if self._stores is None or region not in self._stores:
            return None
        if self._stores.pending:
            self._come_out(self._stores.collect)
        return self._stores.take(region)

    def _come_out(self, work: Callable[[], None]) -> None:
        """Has `work` done outside the guest; by the CPU itself, which comes out for it, if it is in there."""
        if not self._in_guest or threading.get_ident() == self._thread:
            work()
            return
        request = (work,)
        self._wanted.append(request)
        self._fall_behind()
        while any(other is request for other in self._wanted):
            self._served.wait()

    def _when_out(self, work: Callable[[], None]) -> None:
        """Has `work` done outside the guest: now, or without waiting for it."""
        if not self._in_guest or threading.get_ident() == self._thread:
            work()
        else:
            self._wanted.append((work,))
            self._fall_behind()

    def _serve(self) -> None:
        """Does what others want done outside the guest."""
        while self._wanted:
            self._wanted[0][0]()
            del self._wanted[0]
        self._served.notify_all()

    # --- catching up ---------------------------------------------------------------------------------------------

    def _fall_behind(self) -> None:
        self._behind = True
        if self._in_guest and threading.get_ident() != self._thread:
            self._engine.stop()

    def _catch_up(self) -> None:
        """Takes in what changed. With the lock held, on the CPU's thread or while it is outside the guest."""
        self._behind = False
        engine = self._engine
        if self._a20 is not None:
            engine.set_a20(self._a20)
            self._a20 = None
            self._clearing = True
        if self._overwritten:
            for address, size in engine.holding_code(self._overwritten):
                engine.forget_code(address, size)
            self._overwritten.clear()
        if self._wanted:
            self._serve()
        if self._map_changed:
            self._map_changed = False
            if self._stores is not None:
                self._stores.collect()
            self._map.follow(self._machine.memory.sections)
            self._tails.follow(self._machine.memory.sections)
            if self._stores is not None:
                self._stores.follow()

    # --- running -------------------------------------------------------------------------------------------------

    def _prepare(self) -> ExitReason | None:
        """Everything that comes before executing; the reason if it isn't to be. With the lock held."""
        self._engine.mailbox.stop = 0  # before looking at what a stop is for
        if self._kicked:
            self._kicked = False
            return ExitReason.KICKED
        if self._engine.is_shut_down:
            return ExitReason.SHUTDOWN
        if self._behind:
            self._catch_up()
        if self._engine.is_crowded:
            self._engine.forget_all_code()
        if self._halted:
            if not self.wakes():
                return ExitReason.HALTED
            self._halted = False
        if self._nmi:
            self._nmi = False
            self._clearing = True
            self._engine.cpu.interrupt_request |= INTERRUPT_NMI
        self._request_interrupt()
        return None

    def _execution_failed(self, error: int) -> AcceleratorFailure:
        env = self._engine.env
        text = self._engine.library.uc_strerror(error).decode()
        return AcceleratorFailure(f"Unicorn stopped at {env.segs[1].base + env.eip:#x}: {text}")

    def _fail(self, error: BaseException) -> None:
        """`error` came up in a callback, through which it can't pass: `run` raises it."""
        if self._failure is None:
            self._failure = error
        self._engine.stop()

    # --- interrupts ----------------------------------------------------------------------------------------------

    def _pending_vector(self) -> int | None:
        if self._event is not None and self._event.external:
            return self._event.vector
        controller = self._machine.cpus.interrupts_of(self.index)
        return None if controller is None else controller.pending_vector()

    def _request_interrupt(self) -> bool:
        """Passes the interrupt controller's request on to the CPU. Whether there is one."""
        vector = self._pending_vector()
        if vector is not None:
            self._vector = vector
            self._engine.request_interrupt()
        elif self._engine.interrupt_pending:
            self._engine.withdraw_interrupt()
        return vector is not None

    def _acknowledge(self) -> int:
        """The CPU takes an interrupt: the vector, and INTA for the controller."""
        vector = self._vector
        try:
            with self._machine.lock:
                self._clearing = self._acknowledging = True
                if self._event is not None and self._event.external:
                    vector, self._event = self._event.vector, None
                else:
                    # Where the request was withdrawn too late for the CPU, it gets what was requested.
                    pending = self._pending_vector()
                    if pending is not None:
                        vector = pending
                    controller = self._machine.cpus.interrupts_of(self.index)
                    if controller is not None:
                        controller.acknowledge(vector)
                self.interrupt_changed()  # this one isn't requested any more; there may be another
                self._acknowledging = False
        except BaseException as error:
            self._fail(error)
        return vector

    # --- what the guest does -------------------------------------------------------------------------------------

    def _open(self, library: Library) -> tuple[Engine, GuestMap]:
        """An engine whose accesses reach the machine."""
        machine = self._machine
        lock = machine.lock
        port_read, port_write = machine.ports.read, machine.ports.write
        memory_read, memory_write = machine.memory.read, machine.memory.write
        coalesced, flush, before_write = self._tails.coalesced, self._tails.flush, self._tails.before_write
        doorbells, rung = self._tails.doorbells.addresses, self._tails.doorbells.rung

        def read_port(_engine: int, port: int, size: int, _data: int) -> int:
            try:
                with lock:
                    if coalesced:
                        flush()
                    value = port_read(port, size) & _ONES
                    if self._behind:
                        self._catch_up()
                return value
            except BaseException as error:
                self._fail(error)
                return _ONES

        def write_port(_engine: int, port: int, size: int, value: int, _data: int) -> None:
            try:
                with lock:
                    if coalesced:
                        flush()
                    port_write(port, size, value)
                    if self._behind:
                        self._catch_up()
            except BaseException as error:
                self._fail(error)

        def read_memory(_engine: int, offset: int, size: int, base: int) -> int:
            try:
                with lock:
                    if coalesced:
                        flush()
                    value = memory_read(base + offset, size)
                    if self._behind:
                        self._catch_up()
                return value
            except BaseException as error:
                self._fail(error)
                return _ONES << 32 | _ONES

        def write_memory(_engine: int, offset: int, size: int, value: int, base: int) -> None:
            address = base + offset
            try:
                with lock:
                    if coalesced:
                        before_write(address, size, value)
                    memory_write(address, size, value)
                    if address in doorbells:
                        rung(address, value)
                    if self._behind:
                        self._catch_up()
            except BaseException as error:
                self._fail(error)

        def write_protected(_engine: int, _kind: int, address: int, size: int, value: int, _data: int) -> bool:
            write_memory(0, 0, size, value & (1 << 8 * size) - 1, address)
            return True

        def memory_byte(address: int) -> int:
            with lock:
                return memory_read(address, 1)

        engine = Engine(library, Access(read_port, write_port, write_memory, memory_byte))
        self._tails.use(engine.tails)
        for instruction, execute in (
            (lib.INSTRUCTION_SYSCALL, system_call),
            (lib.INSTRUCTION_SYSENTER, system_enter),
        ):
            engine.hook_instruction(instruction, lib.InstructionHook(self._system_call_hook(execute)))
        engine.hook_instruction(lib.INSTRUCTION_CPUID, lib.InstructionDecision(self._cpuid_hook(engine)))
        registers = SystemRegisters(engine, machine, self.index, changed=self._request_interrupt, fail=self._fail)
        engine.answer_registers(registers)
        engine.on_interrupt_acknowledge(self._acknowledge)
        callbacks = lib.MmioRead(read_memory), engine.memory_write, lib.MemoryEvent(write_protected)
        return engine, GuestMap(engine, *callbacks, self._fail)

    def _cpuid_hook(self, engine: Engine) -> Callable[[int, int], int]:
        machine, index = self._machine, self.index
        table = cpu_model.apply(engine, machine.cpu, index, machine.cpus.max)
        env = engine.env

        def hook(_engine: int, _data: int) -> int:
            try:
                registers = env.regs
                apic = machine.cpus.local_apics.get(index)
                registers[_RAX], registers[_RBX], registers[_RCX], registers[_RDX] = table.answer(
                    registers[_RAX] & _ONES,
                    registers[_RCX] & _ONES,
                    cr4=env.cr[4],
                    xcr0=env.xcr0,
                    apic_base=0 if apic is None else apic.base,
                )
            except BaseException as error:
                self._fail(error)
            return 1

        return hook

    def _system_call_hook(self, execute: Callable[[Engine], tuple[int, int] | None]) -> Callable[[int, int], None]:
        def hook(_engine: int, _data: int) -> None:
            try:
                exception = execute(self._engine)
                if exception is not None:
                    # It comes before an external interrupt: the next turn of the loop delivers it first.
                    self._engine.withdraw_interrupt()
                    self._engine.raise_exception(*exception)
                    self._engine.stop()
            except BaseException as error:
                self._fail(error)

        return hook
