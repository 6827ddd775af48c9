"""What a machine is made of at an instant, taken and put back: the accelerator exchanged, its state saved and loaded.

All of these are called on the main loop's thread, with the lock held, while the vCPUs are parked and the clock stands
still.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .accelerator import Accelerator, AcceleratorFailure, Vcpu
from .errors import SouthbridgeError
from .reset import first_state
from .vcpus import VcpuThread
from .x86 import MSR_TSC, X86State

if TYPE_CHECKING:
    from .hooks import MachineHooks
    from .machine import Machine

log = logging.getLogger(__name__)

PLUGIN = "accelerator"
"""Under which the accelerator is registered with the hooks."""


def join(hooks: MachineHooks, accelerator: Accelerator, machine: Machine) -> None:
    """An attached accelerator's hooks are the machine's from now on, and it learns of the memory map."""
    hooks.register(accelerator, PLUGIN)
    for section in machine.memory.sections:
        hooks.call_one(accelerator, "memory_region_added", section=section)


def exchange(machine: Machine, new: Accelerator) -> Callable[[], None]:
    """`new`, which isn't attached yet, runs the machine's CPUs in place of its accelerator, over the same RAM.

    Gives what is to be called once the machine goes on: it frees the old one. That takes time, and what `new` plays
    itself (time stamp counters, a timer) has time pass already.

    Raises SouthbridgeError, with the old one in place and able to go on, if `new` can't.
    """
    old = machine.accelerator
    assert old is not None
    machine.offload.end()
    before = [thread.vcpu for thread in machine.cpus.threads]
    made: list[Vcpu] = []
    try:
        states = [thread.save() for thread in machine.cpus.threads]
        new.attach(machine)
        machine.hooks.unregister(PLUGIN)
        machine.accelerator = new
        join(machine.hooks, new, machine)
        for thread, state in zip(machine.cpus.threads, states, strict=True):
            thread.vcpu = new.create_vcpu(thread.index)
            made.append(thread.vcpu)
            thread.load(state)
        machine.offload.begin()
    except Exception as error:
        machine.offload.end()
        for thread, vcpu in zip(machine.cpus.threads, before, strict=True):
            thread.vcpu = vcpu
        machine.accelerator = old
        _leave(machine, new, made)
        machine.hooks.register(old, PLUGIN)
        machine.offload.begin()
        if not isinstance(error, SouthbridgeError | AcceleratorFailure | ValueError):
            raise
        raise SouthbridgeError(f"{name_of(new)} can't take over: {error}; {name_of(old)} goes on") from error
    machine.cpus.interrupt_changed()

    def free() -> None:
        for vcpu in before:
            vcpu.close()
        old.detach()

    return free


def fall_back(machine: Machine, vcpu: Vcpu, error: AcceleratorFailure) -> None:
    """The next of the machine's `fallbacks` takes over, for the CPU `vcpu` that met `error`."""
    if all(thread.vcpu is not vcpu for thread in machine.cpus.threads):
        return  # another CPU's failure brought the exchange about already
    if not machine.fallbacks:
        raise error
    accelerator = machine.fallbacks.pop(0)()
    log.warning("%s: %s; going on with %s", machine.name, error, name_of(accelerator))
    machine.swap_accelerator(accelerator)


def _leave(machine: Machine, accelerator: Accelerator, vcpus: list[Vcpu]) -> None:
    for vcpu in vcpus:
        vcpu.close()
    machine.hooks.unregister(PLUGIN)
    accelerator.detach()


def save_state(machine: Machine) -> dict[str, Any]:
    """The clock, the CPUs and the devices, as plain data; memory isn't in it."""
    machine.offload.end()
    plugged = machine.cpus.plugged
    try:
        return {
            "clock": machine.clock.now(),
            "cpus": [thread.save().to_dict() for thread in machine.cpus.threads],
            "plugged_cpus": [{"index": thread.index, "id": plugged[thread.index]} for thread in machine.cpus.threads],
            "msrs": machine.msrs.save(),
            "power": machine.power.save(),
            "devices": {id: device.save() for id, device in machine.devices.items()},
        }
    finally:
        machine.offload.begin()


def check_state(machine: Machine, saved: dict[str, Any]) -> None:
    """Raises SouthbridgeError, the machine being as it was, for what isn't the state of such a machine.

    What an accelerator can't represent shows only when it is loaded.
    """
    _checked(machine, saved)


def _checked(machine: Machine, saved: dict[str, Any]) -> tuple[dict[int, str], list[X86State]]:
    """What `check_state` checks; the CPUs that `saved` is of, as in Cpus.plugged, and their states."""
    plugged = _plugged_cpus(machine, saved)
    if gone := machine.cpus.plugged.keys() - plugged:
        raise SouthbridgeError(f"the saved state is of a machine without CPU {min(gone)}, which can't be taken out")
    states = _cpu_states(saved["cpus"])
    devices = saved["devices"]
    if devices.keys() != machine.devices.keys():
        different = ", ".join(sorted(devices.keys() ^ machine.devices.keys()))
        raise SouthbridgeError(f"the saved state is of a machine with other devices: {different}")
    for id, device in machine.devices.items():
        device.check_saved(devices[id])
    before = machine.msrs.save()
    machine.msrs.load(saved["msrs"])
    machine.msrs.load(before)
    return plugged, states


def load_state(machine: Machine, saved: dict[str, Any]) -> None:
    """Takes over what `save_state` gave. Raises SouthbridgeError; unless `check_state` did, the machine is lost."""
    plugged, states = _checked(machine, saved)
    for index in plugged.keys() - machine.cpus.plugged.keys():
        add_cpu(machine, index, plugged[index])
    machine.cpus.plugged = plugged
    devices = saved["devices"]
    machine.offload.end()
    machine.clock.set(saved["clock"])
    machine.msrs.load(saved["msrs"])
    machine.power.load(saved.get("power", {}))
    with machine.memory.transaction(), machine.ports.transaction():
        for id, device in machine.devices.items():
            device.load(devices[id])
    for thread, state in zip(machine.cpus.threads, states, strict=True):
        try:
            thread.load(state)
        except ValueError as error:
            raise SouthbridgeError(f"the saved state of CPU {thread.index}: {error}") from None
    machine.offload.begin()
    machine.cpus.interrupt_changed()


def plug_saved_cpus(machine: Machine, saved: dict[str, Any]) -> None:
    """`machine`, which didn't run yet, has the CPUs that `saved` is of. Raises SouthbridgeError if it can't have."""
    machine.cpus.plugged = _plugged_cpus(machine, saved)


def _plugged_cpus(machine: Machine, saved: dict[str, Any]) -> dict[int, str]:
    """The CPUs that `saved` is of, as in Cpus.plugged."""
    from pydantic import ValidationError

    from .machine_state import MachineState

    try:
        state = MachineState.model_validate(saved)
    except ValidationError as error:
        first = error.errors()[0]
        raise SouthbridgeError(f"the saved state: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if not (state.cpus or state.plugged_cpus or machine.cpus.threads):  # neither has begun to run
        return dict(machine.cpus.plugged)
    if state.plugged_cpus is None:
        plugged = dict.fromkeys(range(len(state.cpus)), "")
    else:
        plugged = {cpu.index: cpu.id for cpu in state.plugged_cpus}
        if sorted(plugged) != [cpu.index for cpu in state.plugged_cpus]:
            raise SouthbridgeError("the saved state: plugged_cpus: not in their order")
        if len(plugged) != len(state.cpus):
            raise SouthbridgeError(f"the saved state has {len(state.cpus)} of its {len(plugged)} CPUs")
    if 0 not in plugged or max(plugged) >= machine.cpus.max:
        raise SouthbridgeError(
            f"the saved state is of a machine with {max(plugged, default=-1) + 1} CPUs; this one has {machine.cpus.max}"
        )
    return plugged


def add_cpu(machine: Machine, index: int, id: str) -> None:
    """One more CPU, called `id`: as after power-on, with the first one's time-stamp counter. It waits to be started.

    Raises SouthbridgeError if the accelerator can't have it.
    """
    accelerator = machine.accelerator
    assert accelerator is not None
    machine.offload.end()
    try:
        state = first_state(machine, index)
        counter = machine.cpus.threads[0].save().msrs.get(MSR_TSC)
        if counter is not None:
            state.msrs[MSR_TSC] = counter
        vcpu = accelerator.create_vcpu(index)
        try:
            vcpu.load(state)
        except (ValueError, SouthbridgeError) as error:
            vcpu.close()
            raise SouthbridgeError(f"CPU {index} can't be had: {error}") from error
        thread = VcpuThread(machine, vcpu)
        thread.load(state)
        machine.cpus.threads = sorted([*machine.cpus.threads, thread], key=lambda thread: thread.index)
        machine.cpus.plugged[index] = id
    finally:
        machine.offload.begin()


def _cpu_states(saved: list[dict[str, Any]]) -> list[X86State]:
    try:
        return [X86State.from_dict(state) for state in saved]
    except ValueError as error:
        raise SouthbridgeError(f"the saved state: {error}") from None


def name_of(accelerator: Accelerator) -> str:
    """What users call it."""
    return accelerator.name or type(accelerator).__name__
