"""A machine's parts by paths: where each is, what it tells, and what can be changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from southbridge import Machine
from southbridge.builder import build
from southbridge.control.commands import CommandError
from southbridge.description import load
from southbridge.qmp.all import commands
from southbridge.qom import Node, find, root


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    path = tmp_path / "pc.yaml"
    path.write_text(
        "extends: pc\naccelerator: qtest\nmemory: 4M\nmaxcpus: 2\nchardevs: {serial0: {type: 'null'}}\n"
        "devices: {nic0: {type: e1000, addr: '05.0'}, dog: {type: i6300esb}, rtc: {base: localtime}}\n"
    )
    made = build(load(str(path)))
    yield made
    made.close()


def run(machine: Machine, name: str, **arguments: Any) -> Any:
    return commands(machine)[name]()(**arguments)


def every(node: Node) -> Iterator[Node]:
    yield node
    for _, inner in node.children():
        yield from every(inner)


def test_each_part_is_where_its_path_leads(machine: Machine) -> None:
    nodes = list(every(root(machine)))
    paths = [node.path for node in nodes]
    assert len(set(paths)) == len(paths)
    for node in nodes:
        found = find(root(machine), node.path)
        assert (found.path, found.type_name) == (node.path, node.type_name)
        for name, entry in node.entries().items():
            value = entry.get()
            if entry.type.startswith(("child<", "link<")) and value:
                assert entry.node is not None
                assert entry.node().path == value, name
    assert {"/machine/peripheral/nic0", "/machine/i440fx/pci.0", "/machine/unattached/device[0]"} <= set(paths)


def test_what_the_user_named_is_among_the_peripherals(machine: Machine) -> None:
    machine.hotplug.nameless = {"anonymous": 3}
    machine.hotplug.add("edu", "anonymous")
    machine.hotplug.plug_cpu(1, "late")
    names = [entry["name"] for entry in run(machine, "qom-list", path="/machine/peripheral")]
    assert names == ["type", "nic0", "dog", "late"]
    names = [entry["name"] for entry in run(machine, "qom-list", path="/machine/peripheral-anon")]
    assert names == ["type", "device[3]"]
    cpus = {cpu["cpu-index"]: cpu["qom-path"] for cpu in run(machine, "query-cpus-fast")}
    assert cpus == {0: "/machine/unattached/device[0]", 1: "/machine/peripheral/late"}
    assert run(machine, "qom-get", path=cpus[1], property="core-id") == 1
    (bus,) = run(machine, "query-pci")
    assert sorted(name for function in bus["devices"] if (name := function["qdev_id"])) == ["dog", "nic0"]


def test_a_device_on_its_bus(machine: Machine) -> None:
    assert run(machine, "qom-get", path="nic0", property="addr") == 5 << 3
    bus = run(machine, "qom-get", path="nic0", property="parent_bus")
    links = [entry for entry in run(machine, "qom-list", path=bus) if entry["type"] == "link<e1000>"]
    assert [run(machine, "qom-get", path=bus, property=entry["name"]) for entry in links] == [
        "/machine/peripheral/nic0"
    ]
    assert run(machine, "qom-get", path=f"{bus}/{links[0]['name']}", property="type") == "e1000"


def test_registers_are_looked_at_from_outside_and_written_as_by_the_guest(machine: Machine) -> None:
    card = machine.devices["nic0"]
    bank = "/machine/peripheral/nic0/registers/bar0"
    names = {entry["name"] for entry in run(machine, "qom-list", path=bank)}
    assert {"CTRL", "STATUS", "ICR"} <= names
    icr: Any = vars(card)["ICR"]
    icr.value = 4
    assert run(machine, "qom-get", path=bank, property="ICR") == 4
    assert icr.value == 4, "a guest's read would have cleared it"
    run(machine, "qom-set", path=bank, property="IMS", value=0x10)
    ims: Any = vars(card)["IMS"]
    assert ims.value & 0x10
    for value, complaint in ((1 << 32, "expects uint32"), ("x", "Invalid parameter type for 'IMS', expected: integer")):
        with pytest.raises(CommandError, match=complaint):
            run(machine, "qom-set", path=bank, property="IMS", value=value)
    with pytest.raises(CommandError, match=r"Property 'register-bank\.STATUS' is not writable"):
        run(machine, "qom-set", path=bank, property="STATUS", value=0)


def test_a_property_that_may_change_is_changed_in_the_description_too(machine: Machine) -> None:
    run(machine, "qom-set", path="/machine/peripheral/dog", property="action", value="none")
    assert vars(machine.devices["dog"])["action"] == "none"
    assert run(machine, "qom-get", path="dog", property="action") == "none"
    assert machine.description is not None
    assert machine.description.sections["devices"]["dog"].values["action"] == "none"
    with pytest.raises(CommandError, match="Parameter 'action' does not accept value 'bark'"):
        run(machine, "qom-set", path="dog", property="action", value="bark")
    with pytest.raises(CommandError, match="after it was realized"):
        run(machine, "qom-set", path="nic0", property="mac", value="52:54:00:00:00:01")


def test_types(machine: Machine) -> None:
    known = {entry["name"]: entry for entry in run(machine, "qom-list-types", abstract=True)}
    for name, entry in known.items():
        assert "parent" not in entry or entry["parent"] in known, name
    cards = {entry["name"] for entry in run(machine, "qom-list-types", implements="pci-device")}
    assert {"e1000", "VGA", "piix3-ide"} <= cards
    assert "pci-device" not in cards
    for node in every(root(machine)):
        if node.path.startswith(("/machine/peripheral/", "/machine/unattached/")) and node.path.count("/") == 3:
            assert node.type_name in known, node.path
    for name in cards:
        for listed in ("qom-list-properties", "device-list-properties"):
            assert all(entry["name"] and entry["type"] for entry in run(machine, listed, typename=name))
    (action,) = (e for e in run(machine, "device-list-properties", typename="i6300esb") if e["name"] == "action")
    assert (action["type"], action["default-value"]) == ("str", "reset")
    assert "default-value" not in str(run(machine, "qom-list-properties", typename="i6300esb"))
