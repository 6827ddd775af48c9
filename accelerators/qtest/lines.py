"""Interrupt lines that a test listens to: a device's inputs, or its outputs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from southbridge.errors import SouthbridgeError
from southbridge.interrupts import Pin, Sink, Wire
from southbridge.pci import PciBus, PciDevice

if TYPE_CHECKING:
    from southbridge.device import Device
    from southbridge.machine import Machine


class LineError(SouthbridgeError):
    """There is no such device, or nothing to listen to. The text is QEMU's."""


class Interception:
    """What is listened to: the lines of one device, for good. `hear` gets a line of text for each change."""

    def __init__(self, hear: Callable[[bytes], None]) -> None:
        self._hear = hear
        self._device: Device | None = None
        self._levels: dict[int, bool] = {}
        """As the client knows them; a line that it doesn't know is low."""

    def client_came(self) -> None:
        """It knows nothing yet."""
        self._levels.clear()

    def begin(self, machine: Machine, device: Device, *, inward: bool) -> None:
        """Listens to what drives `device`, or to what it drives. Raises LineError."""
        if self._device is device:
            return
        if self._device is not None:
            raise LineError("IRQ intercept already enabled")
        inputs = input_wires(machine, device) if inward else {}
        outputs = [] if inward else output_pins(machine, device)
        if not inputs and not outputs:
            raise LineError("No intercepts installed")
        self._device = device
        for number, wire in inputs.items():
            wire.sinks.append(partial(self._changed, number))
            wire.attend()
        for number, pin in enumerate(outputs):
            pin.watch(partial(self._changed, number))

    def _changed(self, number: int, level: bool) -> None:
        if self._levels.get(number, False) is not level:
            self._levels[number] = level
            self._hear(b"IRQ %s %d\n" % (b"raise" if level else b"lower", number))


def find_device(machine: Machine, path: str) -> Device:
    """The device at the QOM path `path`, such as /machine/peripheral/nic0; its id or its type alone will do.

    Raises LineError.
    """
    name = path.rpartition("/")[2]
    found = machine.devices.get(name)
    if found is None and machine.description is not None:
        parts = machine.description.sections["devices"]
        of_type = [id for id, part in parts.items() if part.type_name == name and id in machine.devices]
        found = machine.devices[of_type[0]] if len(of_type) == 1 else None
    if found is None:
        raise LineError("Unknown device")
    return found


def input_wires(machine: Machine, device: Device) -> dict[int, Wire]:
    """What `device` listens to, by number: the ISA lines, as an interrupt controller does, or PIRQA# to PIRQD#."""
    isa = {number: wire for number, wire in enumerate(machine.isa.wires) if _listens(device, wire)}
    buses = [bus for bus in machine.buses.values() if isinstance(bus, PciBus)]
    pci = {number: wire for bus in buses for number, wire in enumerate(bus.wires) if _listens(device, wire)}
    return isa or pci


def output_pins(machine: Machine, device: Device) -> list[Pin]:
    """What `device` drives: ISA lines in the order in which it claimed them, then its INTx."""
    pins = machine.isa.pins_of(device)
    if isinstance(device, PciDevice) and device.interrupt.pin is not None:
        pins.append(device.interrupt.pin)
    return pins


def _listens(device: Device, wire: Wire) -> bool:
    owners = [_owner(sink) for sink in wire.sinks]
    return any(owner is part for owner in owners for part in device.components())


def _owner(sink: Sink) -> object:
    function = sink.func if isinstance(sink, partial) else sink
    return getattr(function, "__self__", None)
