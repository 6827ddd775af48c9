"""What every device must do, whatever it is.

    pytest --southbridge-device my-device

tries each of `CHECKS` on an installed device, with guest memory in one piece and in small windows (`suite`). A check is
a function that is given a device on a stage, and raises what is wrong.

A device needs nothing for that, but for a required property that isn't a link or a file: an example of its value, given
in the declaration (`Property(doc="...", examples=["12:34"])`). The first example is used wherever there is one, so that
a device which by default looks at the host, at its time say, is the same each time.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress

import numpy as np

from ..component import Component
from ..device import Device
from ..errors import SouthbridgeError
from ..memory.regions import Io
from ..pci import PciDevice
from ..properties import property_model
from .declared import accesses, after_read, after_write, plain_registers, register
from .faults import Fault, Neighbour, faults
from .stage import NonconformingError, Stage, layout
from .states import components, difference, disturb, mangle, plain
from .steps import PATTERNS, Step, format_step

Check = Callable[[Stage], None]

STORM = 400
MANY = 10_000
ROUNDS = 40
PHASES = 8


def need(condition: object, what: str) -> None:
    """Raises NonconformingError, which says `what`, unless `condition` holds."""
    if not condition:
        raise NonconformingError(what)


# --- declarations ------------------------------------------------------------------------------------------------


def documented(stage: Stage) -> None:
    """The device, its properties, registers and parts say what they are, and the properties make a schema."""
    cls = type(stage.device)
    missing = [name for name, spec in cls.properties().items() if not spec.doc]
    for component in stage.device.components():
        missing += [] if type(component).__doc__ else [type(component).__name__]
        missing += [f"{type(component).__name__}.{spec.name}" for spec in component.register_specs if not spec.doc]
    need(not missing, f"no doc: {', '.join(missing)}")
    need(set(property_model(cls).model_json_schema()["properties"]) == set(cls.properties()), "no schema")


# --- accesses ----------------------------------------------------------------------------------------------------


def every_access_is_answered(stage: Stage) -> None:
    """Any width at any offset of any range reads as a value of that width, before and after something was written."""
    steps: list[Step] = []
    for probe in stage.probes():
        for offset in probe.offsets():
            for size in probe.sizes:
                read = ("read", probe.name, offset, size)
                steps += [read, ("write", probe.name, offset, size, stage.random.getrandbits(8 * size)), read]
    stage.play(steps)


def registers_are_as_declared(stage: Stage) -> None:
    """A register without methods does what its declaration says: widths, lanes, access rules, reset value."""
    device = stage.device
    for component, region, spec in plain_registers(device):
        if isinstance(device, PciDevice) and region is device.config:
            read, write = device.config_read, device.config_write
        else:
            read, write = region.read, region.write
        its = register(component, spec)
        kept, name = its.value, f"{region.name}: {spec.name}"
        for at, size in accesses(spec):
            for before in (0, spec.mask, stage.random.getrandbits(8 * spec.width)):
                where = f"{size} bytes at {spec.offset + at:#x}"
                its.value = before
                expected = after_read(spec, before, at, size)
                found = read(spec.offset + at, size), its.value
                both = f"gives {found[0]:#x} and leaves {found[1]:#x}, not {expected[0]:#x} and {expected[1]:#x}"
                need(found == expected, f"{name} is {before:#x}: a read of {where} {both}")
                for data in (0, (1 << 8 * size) - 1, stage.random.getrandbits(8 * size)):
                    its.value = before
                    write(spec.offset + at, size, data)
                    stored = after_write(spec, before, at, size, data)
                    both = f"makes it {its.value:#x}, not {stored:#x}"
                    need(its.value == stored, f"{name} is {before:#x}: {data:#x} written as {where} {both}")
        its.value = kept
    stage.storm(STORM)
    device.reset()
    for component, region, spec in plain_registers(device):
        bits = spec.rw_mask | spec.w1c_mask | spec.rc_mask
        if spec.reset is not None:
            now = register(component, spec).value
            wrong = (now ^ spec.reset) & bits
            need(not wrong, f"{region.name}: {spec.name} is {now:#x} after a reset, not {spec.reset:#x} as declared")


def random_accesses_do_no_harm(stage: Stage) -> None:
    """After 10,000 accesses at random, time that passes and bytes that come in, it still answers and can be reset."""
    for phase in range(PHASES):
        stage.switch_on()
        stage.storm(MANY // PHASES, configuration=bool(phase % 2))
    stage.play([("read", probe.name, offset, 1) for probe in stage.probes() for offset in probe.offsets()])
    stage.reset()
    stage.play([("read", probe.name, offset, 1) for probe in stage.probes() for offset in probe.offsets()])


def work_is_bounded(stage: Stage) -> None:
    """Whatever it finds in memory, it does with one access a bounded number of calls, rounds of loops, bytes of DMA."""
    for pattern in PATTERNS:
        stage.switch_on()
        stage.play([("memory", pattern), *stage.random_steps(STORM, configuration=False)])


def nothing_is_entered_by_dma(stage: Stage) -> None:
    """Given addresses of its own or other devices' registers in place of memory, it doesn't access them."""
    stage.switch_on()
    steps = stage.random_steps(4 * STORM, configuration=False, aim=stage.registers())
    stage.play([("memory", "registers"), *steps])


def no_dma_without_mastering(stage: Stage) -> None:
    """A PCI device touches guest memory only while its command register lets it master the bus. ISA has no such bit."""
    device = stage.device
    assert isinstance(device, PciDevice)
    stage.storm(STORM)
    stage.bench.config_write(device, 0x04, 2, 0x3)
    need(device.dma.enabled == bool(device.PCI_COMMAND.MASTER), "its DMA doesn't follow the bit MASTER of PCI_COMMAND")
    before = stage.memory.accesses
    stage.storm(0 if device.PCI_COMMAND.MASTER else STORM, configuration=False)
    need(stage.memory.accesses == before, "memory was accessed without bus mastering")


# --- state -------------------------------------------------------------------------------------------------------


def state_survives(stage: Stage) -> None:
    """Saved, reset and restored, it is what it was, and gives the answers that it would have given."""
    twin = stage.twin()
    for _ in range(PHASES):
        stage.switch_on()
        stage.storm(STORM // 4)
        stage.settle()
        saved = stage.save()
        need(plain(saved), "a saved state is of dictionaries, lists, numbers, texts, bytes")
        kept = copy.deepcopy(saved)
        twin.surround_as(stage)
        twin.load(saved)
        _same("a restored state isn't what was saved", kept, twin.save())
        _same("another device's lines aren't as its state says", _asserted(stage), _asserted(twin))
        there = layout(twin.bench)
        twin.reset()
        twin.load(saved)
        _same("saved, reset and restored, it isn't what it was", kept, twin.save())
        _same("saved, reset and restored, it isn't where it was", there, layout(twin.bench))
        steps, answers = stage.storm(STORM // 2)
        for number, (step, one, other) in enumerate(zip(steps, answers, twin.carry_out(steps), strict=True)):
            its = f"{one or 0:#x}, and {other or 0:#x} from the restored one"
            need(
                one == other, f"saved and restored, it answers otherwise: step {number + 1}, {format_step(step)}: {its}"
            )
        _same("after the same accesses, the restored one is different", stage.save(), twin.save())
        _same(
            "the restored one sent something else",
            [line.sent for line in stage.lines],
            [line.sent for line in twin.lines],
        )
        need(np.array_equal(_words(stage), _words(twin)), "the restored one left other bytes in memory")
        _same("a loaded state is the caller's still", kept, saved)


def _same(what: str, one: object, other: object) -> None:
    found = difference(one, other)
    need(found is None, f"{what}: {found}")


def _words(stage: Stage) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.frombuffer(stage.bench.machine.ram.view, np.uint64)


def _asserted(stage: Stage) -> object:
    return {"asserted": layout(stage.bench)["asserted"]}


def a_mangled_state_changes_nothing(stage: Stage) -> None:
    """A state with anything missing, too much, of another type or out of range is refused."""
    stage.storm(STORM)
    before = stage.device.save()
    for what, mangled in mangle(before):
        stage.doing = f"while a wrong state was restored: {what}"
        try:
            stage.device.load(mangled)
        except SouthbridgeError:
            _same(f"refused, but not without a trace: {what}", before, stage.device.save())
        else:
            raise NonconformingError(f"accepted: {what}")


def a_hostile_state_does_no_harm(stage: Stage) -> None:
    """A state of possible but unlikely values is refused without a trace, or the device can live with it."""
    stage.storm(STORM)
    for _ in range(ROUNDS):
        before = stage.device.save()
        hostile = copy.deepcopy(before)
        for component in components(hostile):
            disturb(component, stage.random)
        stage.doing = f"while, or after, a state was restored in which {difference(before, hostile)} (before; restored)"
        try:
            stage.device.load(hostile)
        except SouthbridgeError:
            _same("refused, but not without a trace", before, stage.device.save())
        stage.storm(STORM // 8)
        stage.device.reset()


# --- life --------------------------------------------------------------------------------------------------------


def reset_is_final(stage: Stage) -> None:
    """A second reset changes nothing more, and after one no interrupt line is held."""
    reached = any(probe.region.owner is stage.device for probe in stage.probes())
    for _ in range(2 * PHASES):
        stage.switch_on()
        stage.storm(STORM // 8)
        if reached:
            stage.device.reset()
        else:  # lines that the device that makes its bus holds are that one's
            stage.reset()
        once, there = stage.device.save(), layout(stage.bench)
        _same("a reset lets go of interrupt lines", stage.before["asserted"], there["asserted"])
        stage.device.reset()
        _same("a second reset changes more", once, stage.device.save())
        _same("a second reset changes more", there, layout(stage.bench))


def an_exception_latches_only_this_device(stage: Stage) -> None:
    """Where a register's method raises, the device is broken and reads as ones; the others, and time, go on."""
    reached = 0
    for fault in faults(stage.device):
        other = stage.twin()
        reached += _latches(other, fault)
    need(reached, "no register could be reached")


def _latches(stage: Stage, fault: Fault) -> bool:
    machine, device = stage.bench.machine, stage.device
    neighbour = stage.bench.plug(Neighbour, "neighbour")
    neighbour.VALUE.value = 0x5A
    stage.switch_on()
    machine.strict = False
    stage.doing = f"with an exception put into {fault}"
    if not fault.strike(stage):
        return False
    need(device.broken, f"{fault} raised, and the device isn't latched broken")
    calls = fault.calls
    for probe in stage.probes():
        if probe.region.owner is not device or not isinstance(probe.region, Io):
            continue
        for offset in probe.offsets()[:64]:
            for size in (1, 2, 4):
                found = probe.answer(offset, size)
                probe.tell(offset, size, 0)
                need(found == (1 << 8 * size) - 1, f"{probe.name} at {offset:#x} reads {found:#x} though it is broken")
    for space in (machine.memory, machine.ports):
        for section in space.sections:
            if section.region.owner is device and isinstance(section.region, Io):
                need(section.region.broken, f"{section.region.name} still answers though the device is broken")
    stage.bench.clock.advance(ms=10)
    need(fault.calls == calls, f"{fault} was called again after the device was broken")
    pending = [name for part in device.components() for name in part.timer_specs if getattr(part, name).pending]
    need(not pending, f"the timer {', '.join(pending)} is still set though the device is broken")
    broken = [other.id for other in machine.devices.values() if other.broken and other is not device]
    need(not broken, f"{fault} raised, and broke {', '.join(broken)}")
    need(neighbour.VALUE.value == 0x5A and neighbour.ticks == 10, "another device, beside it, didn't go on")
    return True


def unplugging_gives_back_everything(stage: Stage) -> None:
    """Ranges, lines, slots and timers are as before the device came. What can be hot-plugged can come again."""
    for _ in range(2 if stage.device.hotpluggable else 1):
        stage.storm(STORM // 2)
        stage.bench.machine.unplug(stage.device)
        stage.reset()  # what makes its bus was switched on
        _same("unplugged, it isn't gone from the machine", stage.before, layout(stage.bench))
        if stage.device.hotpluggable:
            stage.plug()


def a_second_one_fits_or_is_refused(stage: Stage) -> None:
    """A device whose place is taken says so, and leaves the machine as it was."""
    before = layout(stage.bench)
    with suppress(SouthbridgeError):
        stage.plug("second")
        return
    _same("refused, it isn't gone from the machine", before, layout(stage.bench))


CHECKS: list[Check] = [
    documented,
    every_access_is_answered,
    registers_are_as_declared,
    random_accesses_do_no_harm,
    work_is_bounded,
    nothing_is_entered_by_dma,
    no_dma_without_mastering,
    state_survives,
    a_mangled_state_changes_nothing,
    a_hostile_state_does_no_harm,
    reset_is_final,
    an_exception_latches_only_this_device,
    unplugging_gives_back_everything,
    a_second_one_fits_or_is_refused,
]


def checks_for(cls: type[Device]) -> list[Check]:
    """The checks that say something of a `cls`: some are of registers or of PCI."""
    unfit: set[Check] = set()
    if not issubclass(cls, PciDevice):
        unfit.add(no_dma_without_mastering)
    if not _has_registers(cls):
        unfit |= {registers_are_as_declared, an_exception_latches_only_this_device}
    return [check for check in CHECKS if check not in unfit]


def _has_registers(cls: type[Component]) -> bool:
    return bool(cls.register_specs or cls.window_specs) or any(_has_registers(p.make) for p in cls.part_specs.values())
