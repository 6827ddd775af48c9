"""The virtual CPU: runs the guest, serves its accesses, and passes interrupts on.

What changes on another thread while the guest runs (the memory map, an interrupt request) is noted, and the CPU is made
to leave the guest; it attends to that before it enters again. What changes by its own access takes effect likewise,
before the guest's next instruction.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import mmap
import os
from typing import TYPE_CHECKING

from southbridge.accelerator import ExitReason, Vcpu
from southbridge.interrupts import InterruptController, LocalApic
from southbridge.memory.ram import PAGE_SIZE
from southbridge.x86 import MSR_TSC, X86State

from . import cpuid, exits, msrs, state
from . import ioctls as k
from .events import RING_FIRST, RING_LAST
from .kicks import Kicks
from .structures import LapicState, Translation

if TYPE_CHECKING:
    from southbridge.machine import Machine

    from .accelerator import KvmAccelerator

_EIO = k.EXIT_IO
_EMMIO = k.EXIT_MMIO
_SIZES = (1, 2, 4, 8)
_INTERRUPTS_ENABLED = 1 << 9
_UNDEFINED = 6

# The vCPU's shared page, struct kvm_run: indices of bytes, doublewords and quadwords.
_REQUEST_WINDOW, _READY, _IF_FLAG = 0, 12, 13
_REASON = 2
_CR8 = 2
_PIO, _PIO_COUNT, _PIO_DATA = 8, 9, 10
_MMIO_ADDRESS, _MMIO_DATA, _MMIO_SIZE, _MMIO_WRITES = 4, 5, 12, 52
_MSR_ERROR, _MSR_NUMBER, _MSR_DATA = 32, 11, 6
_EOI_VECTOR = 32


class KvmVcpu(Vcpu):
    """See Vcpu."""

    def __init__(self, accelerator: KvmAccelerator, machine: Machine, index: int) -> None:
        self.index = index
        self._accelerator = accelerator
        self._machine = machine
        vm = accelerator.vm
        self._descriptor = k.ioctl(vm.descriptor, k.KVM_CREATE_VCPU, index)
        self._memory = mmap.mmap(self._descriptor, vm.run_size)
        self._page = memoryview(self._memory)
        self._words = self._page.cast("I")
        self._quads = self._page.cast("Q")
        self._kicks = Kicks(self._descriptor, self._page)
        self._kicked = False
        self._attention = True
        """Something is to be looked at before entering the guest."""
        self._halted = False
        self._nmi = False
        self._interrupts_enabled = False
        """IF, when the CPU halted."""
        self._undefined = False
        """KVM queued a #UD, in place of an instruction that it doesn't have."""
        self._a20 = True
        self._smbase = 0
        self._cr8 = 0
        self._events = accelerator.events
        ring = self._events.ring_offset
        self._ring = self._page[ring : ring + PAGE_SIZE]
        self._coalesced = self._ring.cast("I")
        if ring:
            self._events.use_ring(self._ring)
        self._registers = self._set_up()

    def _set_up(self) -> state.Registers:
        accelerator, model = self._accelerator, self._machine.cpu
        cpuid.set_cpuid(self._descriptor, model, self.index, self._machine.cpus.max)
        numbers = [number for number in accelerator.held_msrs if number not in msrs.NOT_SAVED]
        layout = cpuid.xsave_layout(self._descriptor)
        registers = state.Registers(self._descriptor, numbers, layout, accelerator.kernel_lapic)
        accelerator.set_up_machine_check(self._descriptor)
        with contextlib.suppress(OSError):  # a host whose own counter isn't stable
            self._machine.tsc_hz = k.ioctl(self._descriptor, k.KVM_GET_TSC_KHZ) * 1000
        registers.power_on = msrs.read(self._descriptor, numbers)
        registers.msr_numbers = list(registers.power_on)
        return registers

    # --- Vcpu ----------------------------------------------------------------------------------------------------

    def run(self) -> ExitReason:
        """See Vcpu."""
        self._kicks.enter()
        try:
            return self._leave_halt() or self._run()
        finally:
            self._kicks.leave()

    def kick(self) -> None:
        """See Vcpu."""
        self._kicked = True
        self._kicks.exit_soon()

    def interrupt_changed(self) -> None:
        """See Vcpu."""
        if not self._accelerator.kernel_pic:
            self.attend()

    def request_nmi(self) -> None:
        """See Vcpu."""
        self._nmi = True
        self.attend()

    def wakes(self) -> bool:
        """See Vcpu."""
        if self._nmi and not state.nmi_masked(self._registers):
            return True
        controller = self._controller()
        return self._interrupts_enabled and controller is not None and controller.pending_vector() is not None

    def save(self) -> X86State:
        """See Vcpu."""
        self._events.deliver()
        saved = state.save(self._registers)
        saved.a20, saved.smbase = self._a20, self._smbase
        saved.halted |= self._halted
        saved.nmi_pending |= self._nmi
        if self._undefined and saved.event is not None and saved.event.vector == _UNDEFINED:
            saved.event = None
        del saved.msrs[msrs.MSR_APIC_BASE]  # the local APIC's; without one it is fixed
        return saved

    def load(self, new: X86State) -> None:
        """See Vcpu."""
        new = self._accelerator.completed(new, self.index)
        state.load(self._registers, dataclasses.replace(new, nmi_pending=False))
        self._a20, self._smbase = new.a20, new.smbase
        self._accelerator.set_a20(new.a20)
        self._nmi, self._undefined = new.nmi_pending, False  # KVM is given it when the CPU is about to go on
        self._halted = new.halted and not self._registers.local_apic
        self._interrupts_enabled = bool(new.rflags & _INTERRUPTS_ENABLED)
        self._page[_READY] = self._page[_REQUEST_WINDOW] = 0
        self._quads[_CR8] = self._cr8 = new.cr8
        self._attention = True

    def close(self) -> None:
        """See Vcpu."""
        self._kicks.close()
        self._accelerator.forget(self)
        self._events.lose_ring(self._ring)
        for view in (self._coalesced, self._ring, self._quads, self._words, self._page):
            view.release()
        self._memory.close()
        os.close(self._descriptor)

    # --- for the accelerator -------------------------------------------------------------------------------------

    @property
    def descriptor(self) -> int:
        """KVM's descriptor of the vCPU."""
        return self._descriptor

    def attend(self) -> None:
        """The CPU looks at what changed before it executes on. From any thread, with the lock held."""
        self._attention = True
        self._kicks.exit_soon()

    def set_a20(self, enabled: bool) -> None:
        """The A20 gate, which is a part of the state."""
        self._a20 = enabled

    def tsc(self) -> int:
        """The time stamp counter."""
        return msrs.read(self._descriptor, [MSR_TSC])[MSR_TSC]

    def set_tsc(self, value: int) -> None:
        """Sets it."""
        msrs.write(self._descriptor, {MSR_TSC: value})

    def local_apic(self) -> tuple[LapicState, int, int]:
        """KVM's local APIC of this CPU: its registers, IA32_APIC_BASE and IA32_TSC_DEADLINE."""
        page = LapicState()
        k.ioctl(self._descriptor, k.KVM_GET_LAPIC, page)
        found = msrs.read(self._descriptor, (msrs.MSR_APIC_BASE, msrs.MSR_TSC_DEADLINE))
        return page, found[msrs.MSR_APIC_BASE], found.get(msrs.MSR_TSC_DEADLINE, 0)

    def set_local_apic(self, page: LapicState, base: int, tsc_deadline: int) -> None:
        """Sets it."""
        msrs.write(self._descriptor, {msrs.MSR_APIC_BASE: base})
        k.ioctl(self._descriptor, k.KVM_SET_LAPIC, page)
        if tsc_deadline:
            msrs.write(self._descriptor, {msrs.MSR_TSC_DEADLINE: tsc_deadline})

    # --- running -------------------------------------------------------------------------------------------------

    def _leave_halt(self) -> ExitReason | None:
        """A CPU in HLT goes on if there is reason to."""
        if not self._halted:
            return None
        with self._machine.lock:
            if self._kicked:
                self._kicked = False
                return ExitReason.KICKED
            if not self.wakes():
                return ExitReason.HALTED
            self._halted = False
            self._attention = True  # what woke it comes before the next instruction
            return None

    def _run(self) -> ExitReason:
        """The loop. What happens most often is served right here: each call and attribute counts."""
        machine = self._machine
        lock, ports = machine.lock, machine.ports
        port_read, port_write = ports.read, ports.write
        memory_read, memory_write = machine.memory.read, machine.memory.write
        ioctl, descriptor, run = k.ioctl, self._descriptor, k.KVM_RUN
        page, quads, kernel_lapic = self._page, self._quads, self._accelerator.kernel_lapic
        words, coalesced, zones = self._words, self._coalesced, self._events.zones
        tails, rung = self._events.tails.addresses, self._events.tails.rung
        while True:
            if self._attention:
                with lock:
                    self._attend()
            try:
                ioctl(descriptor, run)  # with an argument, even 0, it would take three times as long
            except OSError as error:
                if error.errno not in (errno.EINTR, errno.EAGAIN):
                    raise self._failed(f"KVM_RUN failed: {error.strerror}") from error
                self._kicks.taken()
                self._flush()
                if self._kicked:
                    self._kicked = False
                    self._attention = True
                    self._settle()
                    return ExitReason.KICKED
                self._attention = True
                continue
            if zones and coalesced[RING_FIRST] != coalesced[RING_LAST]:
                self._flush()
            reason = words[_REASON]
            if reason == _EIO and words[_PIO_COUNT] == 1:
                access = words[_PIO]
                at = words[_PIO_DATA] >> 2
                with lock:
                    if access & 1:
                        port_write(access >> 16, access >> 8 & 0xFF, words[at])
                    else:
                        words[at] = port_read(access >> 16, access >> 8 & 0xFF)
            elif reason == _EMMIO and kernel_lapic and words[_MMIO_SIZE] in _SIZES:
                with lock:
                    if page[_MMIO_WRITES]:
                        memory_write(quads[_MMIO_ADDRESS], words[_MMIO_SIZE], quads[_MMIO_DATA])
                        if quads[_MMIO_ADDRESS] in tails:
                            rung(quads[_MMIO_ADDRESS], quads[_MMIO_DATA])
                    else:
                        quads[_MMIO_DATA] = memory_read(quads[_MMIO_ADDRESS], words[_MMIO_SIZE])
            elif reason == _EMMIO:
                self._memory_access()
            else:
                ended = self._served(reason)
                if ended is not None:
                    return ended

    def _flush(self) -> None:
        with self._machine.lock:
            self._events.flush()

    def _settle(self) -> None:
        """Has an interrupt that KVM was given become a part of the state that it tells.

        Where the local APIC is the kernel's and the PIC isn't, KVM keeps a vector to itself until it injects it. A
        signal that waits already lets KVM_RUN get just as far as that; once more if the CPU has to leave HLT first.
        """
        if self._accelerator.kernel_lapic and not self._accelerator.kernel_pic:
            for _ in range(2):
                self._kicks.exit_before_guest()
                try:
                    k.ioctl(self._descriptor, k.KVM_RUN)
                except OSError as error:
                    if error.errno not in (errno.EINTR, errno.EAGAIN):
                        raise self._failed(f"KVM_RUN failed: {error.strerror}") from error
                self._kicks.taken()

    def _memory_access(self) -> None:
        quads, machine = self._quads, self._machine
        address, size = quads[_MMIO_ADDRESS], self._words[_MMIO_SIZE]
        with machine.lock:
            local_apic = self._local_apic()
            if local_apic is not None:  # its priority register may be what is accessed
                self._exchange_priority(local_apic)
            if size not in _SIZES:
                self._odd_memory_access(address, size)
            elif self._page[_MMIO_WRITES]:
                machine.memory.write(address, size, quads[_MMIO_DATA])
                if address in self._events.tails.addresses:
                    self._events.tails.rung(address, quads[_MMIO_DATA])
            else:
                quads[_MMIO_DATA] = machine.memory.read(address, size)
            if local_apic is not None:
                self._exchange_priority(local_apic)

    def _odd_memory_access(self, address: int, size: int) -> None:
        """A part of an access that crosses a page."""
        memory, page = self._machine.memory, self._page
        data = _MMIO_DATA * 8
        for at in range(size):
            if page[_MMIO_WRITES]:
                memory.write(address + at, 1, page[data + at])
            else:
                page[data + at] = memory.read(address + at, 1)

    def _string_access(self) -> None:
        """INS and OUTS with a repeat prefix: several items at once."""
        access, count, start = self._words[_PIO], self._words[_PIO_COUNT], self._words[_PIO_DATA]
        writes, size, port = access & 1, access >> 8 & 0xFF, access >> 16
        ports, page = self._machine.ports, self._page
        with self._machine.lock:
            end = start + count * size
            if writes:
                ports.write_string(port, size, bytes(page[start:end]))
            else:
                page[start:end] = ports.read_string(port, size, count)

    def _served(self, reason: int) -> ExitReason | None:
        """The rarer exits. Gives why `run` returns, if it does; raises AcceleratorFailure for what can't be served."""
        match reason:
            case k.EXIT_IO:
                self._string_access()
            case k.EXIT_HLT:
                self._interrupts_enabled = bool(self._page[_IF_FLAG])
                self._halted = True
                return ExitReason.HALTED
            case k.EXIT_IRQ_WINDOW_OPEN | k.EXIT_INTR | k.EXIT_SET_TPR:
                self._attention = True
            case k.EXIT_X86_RDMSR:
                self._read_msr()
            case k.EXIT_X86_WRMSR:
                self._write_msr()
            case k.EXIT_IOAPIC_EOI:
                with self._machine.lock:
                    self._machine.cpus.end_of_interrupt(self._page[_EOI_VECTOR])
            case k.EXIT_SHUTDOWN:
                return ExitReason.SHUTDOWN
            case k.EXIT_INTERNAL_ERROR:
                self._internal_error()
            case _:
                raise self._failed(exits.unexpected_text(reason, self._page))
        return None

    # --- before entering the guest -------------------------------------------------------------------------------

    def _attend(self) -> None:
        """With the lock held, on the CPU's thread."""
        self._attention = False
        self._accelerator.catch_up()
        if self._nmi:
            self._nmi = False
            k.ioctl(self._descriptor, k.KVM_NMI)
        if not self._accelerator.kernel_pic:
            self._offer_interrupt()

    def _local_apic(self) -> LocalApic | None:
        """The CPU's local APIC, if a device of the machine's plays it."""
        return None if self._accelerator.kernel_lapic else self._machine.cpus.local_apics.get(self.index)

    def _controller(self) -> InterruptController | None:
        """Whom to ask for a vector."""
        if self._accelerator.kernel_pic:
            return None
        if self._accelerator.kernel_lapic:  # it takes the PIC's from us, and has its own
            return None if self.index else self._machine.interrupt_controller
        return self._machine.cpus.interrupts_of(self.index)

    def _offer_interrupt(self) -> None:
        """Delivers the controller's interrupt if the guest takes it now; else KVM says when it does."""
        page = self._page
        local_apic = self._local_apic()
        if local_apic is not None:
            self._exchange_priority(local_apic)
        controller = self._controller()
        vector = None if controller is None else controller.pending_vector()
        if controller is None or vector is None:
            page[_REQUEST_WINDOW] = 0
            return
        if not page[_READY]:
            page[_REQUEST_WINDOW] = 1
            return
        page[_READY] = 0
        k.ioctl(self._descriptor, k.KVM_INTERRUPT, vector.to_bytes(4, "little"))
        controller.acknowledge(vector)
        page[_REQUEST_WINDOW] = controller.pending_vector() is not None

    def _exchange_priority(self, local_apic: LocalApic) -> None:
        """CR8 and the APIC's task priority are one: whichever changed since is the other's value now."""
        if self._quads[_CR8] != self._cr8:
            local_apic.cr8 = self._quads[_CR8]
        self._quads[_CR8] = self._cr8 = local_apic.cr8

    # --- model-specific registers --------------------------------------------------------------------------------

    def _read_msr(self) -> None:
        with self._machine.lock:
            value = self._machine.msrs.read(self.index, self._words[_MSR_NUMBER])
        self._page[_MSR_ERROR] = value is None
        self._quads[_MSR_DATA] = value or 0

    def _write_msr(self) -> None:
        number, value = self._words[_MSR_NUMBER], self._quads[_MSR_DATA]
        with self._machine.lock:
            done = self._machine.msrs.write(self.index, number, value)
            if done and number == msrs.MSR_APIC_BASE:
                msrs.write(self._descriptor, {number: value})
        self._page[_MSR_ERROR] = not done

    # --- what goes wrong -----------------------------------------------------------------------------------------

    def _internal_error(self) -> None:
        """Raises InternalError, with the CPU standing before the instruction; unless that is meant to be undefined."""
        instruction = exits.instruction_in(self._page) or self._instruction()
        if exits.is_meant_undefined(instruction):
            return
        self._undefined = True
        raise exits.InternalError(exits.internal_error_text(self._page), instruction, self._state_if_any())

    def _failed(self, message: str) -> exits.KvmFailure:
        return exits.KvmFailure(f"CPU {self.index}: {message}", self._state_if_any())

    def _state_if_any(self) -> X86State | None:
        try:
            return self.save()
        except OSError:
            return None

    def _instruction(self) -> bytes:
        """The bytes at the program counter, as many as can be read."""
        saved = self.save()
        linear = saved.cs.base + saved.rip
        found = bytearray()
        with self._machine.lock:
            while len(found) < exits.LONGEST_INSTRUCTION:
                address = linear + len(found) & (1 << 64) - 1
                place = Translation(linear_address=address)
                k.ioctl(self._descriptor, k.KVM_TRANSLATE, place)
                section = self._machine.memory.find(place.physical_address) if place.valid else None
                if section is None or not section.is_ram:
                    break
                left = min(exits.LONGEST_INSTRUCTION - len(found), PAGE_SIZE - address % PAGE_SIZE)
                for at in range(left):
                    found.append(self._machine.memory.read(place.physical_address + at, 1))
        return bytes(found)
