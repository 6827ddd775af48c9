"""Devices that come and go by name, and the description that keeps up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from southbridge import Link, Machine, PciDevice, PciIds, RunState, SouthbridgeError
from southbridge.builder import build
from southbridge.construct import make_device
from southbridge.control.commands import Caller, CommandError, Commands
from southbridge.description import load
from southbridge.qmp.devices import DeviceCommands
from southbridge.snapshot.contents import description_tree


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """One that runs, as far as its devices can tell; with a card in the first free slot."""
    path = tmp_path / "pc.yaml"
    image = tmp_path / "image"
    image.write_bytes(bytes(512))
    path.write_text(
        "extends: pc\naccelerator: unicorn\nchardevs: {serial0: {type: 'null'}}\n"
        f"blockdevs: {{disk: {{type: raw, path: '{image}'}}}}\n"
        "devices:\n  first: {type: edu}\n  hd: {type: ide-hd, drive: disk}\n"
    )
    machine = build(load(str(path)))
    machine.state = RunState.RUNNING
    yield machine
    machine.state = RunState.SHUTDOWN
    machine.close()


def described(machine: Machine, id: str) -> dict[str, Any]:
    assert machine.description is not None
    return dict(machine.description.sections["devices"][id].values)


def test_the_description_says_what_is_there_and_where(machine: Machine) -> None:
    machine.hotplug.add("edu", "card", dma_mask=0xFFFF)
    assert described(machine, "card") == {"dma_mask": 0xFFFF, "addr": "03.0"}
    assert described(machine, "first")["addr"] == "02.0", "which was the first free one, and needn't be next time"
    machine.unplug(machine.devices["first"])
    assert machine.description is not None
    assert "first" not in machine.description.sections["devices"]
    assert described(machine, "card")["addr"] == "03.0"
    assert described(machine, "host") == {}, "its place is no property"
    tree = description_tree(machine.description)
    assert tree["devices"]["card"] == {"type": "edu", "dma_mask": 0xFFFF, "addr": "03.0"}


def test_a_usb_devices_port_is_said_too(machine: Machine) -> None:
    machine.state = RunState.PRELAUNCH
    machine.hotplug.add("piix3-usb-uhci", "usb", addr="01.2")
    machine.state = RunState.RUNNING
    for id in ("one", "two"):
        machine.hotplug.add("usb-kbd", id)
    machine.hotplug.request_removal("one")
    assert described(machine, "two") == {"port": 2}
    with pytest.raises(SouthbridgeError, match="a Uhci can't be unplugged from a running machine"):
        machine.hotplug.request_removal("usb")


@pytest.mark.parametrize(
    ("type_name", "id", "properties", "message"),
    [
        ("eduu", "card", {}, "there is no device 'eduu'; did you mean 'edu'?"),
        ("edu", "first", {}, "there are two devices named 'first'"),
        ("edu", "no id", {}, "isn't a device's id"),
        ("edu", "card", {"addr": "02.0"}, "slot 02.0 is taken by first"),
        ("edu", "card", {"addr": "99"}, "card: addr: .*expected slot.function"),
        ("edu", "card", {"colour": 1}, "card: colour: "),
        ("edu", "card", {"bus": "pci.9"}, "there is no 'pci.9' among the buses"),
        ("port92", "gate", {}, "a port92 can't be plugged into a running machine"),
    ],
)
def test_what_cant_be(machine: Machine, type_name: str, id: str, properties: dict[str, Any], message: str) -> None:
    before = machine.devices.copy(), machine.description
    with pytest.raises(SouthbridgeError, match=message):
        machine.hotplug.add(type_name, id, **properties)
    assert (machine.devices, machine.description) == before


def test_a_device_that_isnt_there_cant_go(machine: Machine) -> None:
    with pytest.raises(SouthbridgeError, match="there is no device 'card'"):
        machine.hotplug.request_removal("card")


def test_as_commands(machine: Machine) -> None:
    commands = Commands()
    for name, function in DeviceCommands(machine).commands().items():
        commands.add(name, function)

    def run(name: str, **arguments: Any) -> Any:
        return asyncio.run(commands.run(name, arguments, Caller()))

    assert run("device_add", driver="edu", id="card", addr="07.0", **{"dma-mask": 0xFFF}) == {}
    assert described(machine, "card") == {"dma_mask": 0xFFF, "addr": "07.0"}
    with pytest.raises(CommandError, match="Parameter 'driver' is missing"):
        run("device_add", id="card")
    run("device_add", driver="edu")
    assert "device0" in machine.devices, "it gets an id"
    assert run("device_del", id="card") == {}
    assert "card" in machine.devices, "the guest is asked"


def test_nothing_changes_while_it_is_saved(machine: Machine) -> None:
    machine.state = RunState.SAVE_VM
    with pytest.raises(SouthbridgeError, match="is being saved"):
        machine.hotplug.add("edu", "card")
    with pytest.raises(SouthbridgeError, match="is being saved"):
        machine.hotplug.request_removal("first")


def test_a_back_end_that_is_used_already_isnt_shared(machine: Machine) -> None:
    class Printer(PciDevice):
        ids: ClassVar[PciIds] = PciIds(0x1234, 0x0003, class_code=0xFF0000)
        paper: Any = Link("chardevs", doc="What it prints on.")

    device = make_device(machine, Printer, "printer", paper="serial0")
    with pytest.raises(SouthbridgeError, match="printer: paper: com1 uses it already, and it can't be shared"):
        machine.hotplug._check_use(device)
