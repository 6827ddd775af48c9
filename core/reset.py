"""What a reset does: devices, then CPUs. Waking is the same, but for what devices keep, and where the CPU begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .life import ResetReason
from .x86 import MSR_TSC, X86State

if TYPE_CHECKING:
    from .machine import Machine


def reset(machine: Machine, *, starting: bool = True, waking: bool = False, reason: ResetReason | None = None) -> None:
    """Resets devices and CPUs, or has them wake; no vCPU is in the guest. On the main loop's thread.

    Not `starting`: memory and CPUs are about to be loaded. `reason`: who asked for it, if anybody did.
    """
    with machine.lock:
        machine.offload.end()
        machine.msrs.reset()
        with machine.memory.transaction(), machine.ports.transaction():
            for device in machine.devices.values():
                if not device.broken:
                    machine.faults.guarded(device, device.wake if waking else device.reset)
    if not waking:
        machine.hooks.call.machine_reset(machine=machine)
    with machine.lock:
        for thread in machine.cpus.threads:
            state = first_state(machine, thread.index, starting, waking)
            counter = thread.vcpu.tsc()
            if counter is not None:  # not every accelerator can set it back
                state.msrs[MSR_TSC] = counter
            thread.load(state)
        machine.offload.begin()
    if reason is not None:
        by_guest = reason is not ResetReason.HOST
        data = {"guest": by_guest, "reason": ResetReason.GUEST.value if by_guest else reason.value}
        machine.hooks.call.machine_event(machine=machine, name="RESET", data=data)


def first_state(machine: Machine, cpu: int, starting: bool = True, waking: bool = False) -> X86State:
    """How CPU number `cpu` begins. See `reset`."""
    if machine.boot is not None and cpu == 0 and waking:
        return machine.boot.wake(machine)
    if machine.boot is not None and cpu == 0 and starting:
        return machine.boot.start(machine)
    state = X86State(a20=machine.a20.enabled, waiting_for_sipi=cpu > 0)
    state.registers[2] = machine.cpu.signature
    return state
