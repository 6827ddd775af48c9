"""From descriptions to machines: the order of things, what is refused with its place, and what is closed again."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from southbridge.builder import accelerator_named, build
from southbridge.description import load
from southbridge.errors import PluginError, SouthbridgeError
from southbridge.life import ShutdownReason
from southbridge.machine import Machine

Build = Callable[[str], Machine]

STILL = "accelerator: still\n"


@pytest.fixture
def write(kit: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Writes a description, which has the accelerator of the kit; gives its path."""

    def write(text: str) -> Path:
        path = tmp_path / "m.yaml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def opened(kit: Path) -> list[Any]:
    """The back ends that are open now."""
    found: list[Any] = importlib.import_module("kit").OPENED
    return found


def refusal(path: Path, kind: type[SouthbridgeError] = SouthbridgeError) -> str:
    with pytest.raises(kind) as caught:
        build(load(str(path)))
    return str(caught.value).removeprefix(f"{path}:")


# --- what is made ------------------------------------------------------------------------------------------------


def test_devices_get_their_back_ends_and_friends(write: Callable[[str], Path], opened: list[Any]) -> None:
    path = write(
        STILL
        + "name: rack\nmemory: 2M\n"
        + "devices:\n  b: {type: box, friend: c, chardev: s, disk: d}\n  c: {type: box, iobase: 0x200, rate: 2.5}\n"
        + "chardevs: {s: {type: mute}}\n"
        + "blockdevs: {d: {type: blank, path: x}}\n"
    )
    machine = build(load(str(path)), strict=True)
    b: Any = machine.devices["b"]
    c: Any = machine.devices["c"]
    assert list(machine.devices) == ["c", "b"]
    assert b.friend is c and c.rate == 2.5
    assert b.chardev is machine.backends["chardevs"]["s"]
    assert b.disk is machine.backends["blockdevs"]["d"] and b.disk.name == str(path.parent / "x")
    assert (machine.name, machine.ram.size, machine.strict) == ("rack", 2 << 20, True)
    assert set(opened) == {b.chardev, b.disk}
    machine.close()
    assert opened == []


def test_devices_wait_for_buses(write: Callable[[str], Path]) -> None:
    text = STILL + "devices:\n  b: {type: card, bus: low.0}\n  a: {type: card, bus: low.0}\n  low: {type: bridge}\n"
    assert list(build(load(str(write(text)))).devices) == ["low", "b", "a"]


def test_pci_devices_with_addresses_get_their_slots_first(write: Callable[[str], Path]) -> None:
    text = STILL + "devices:\n  any: {type: pci-card}\n  first: {type: pci-card, addr: 01.0}\n  host: {type: i440fx}\n"
    devices: dict[str, Any] = build(load(str(write(text)))).devices
    assert {name: device.slot for name, device in devices.items()} == {"host": 0, "first": 1, "any": 2}


def test_the_board_that_is_shipped_can_be_built(write: Callable[[str], Path]) -> None:
    path = write('extends: pc\naccelerator: still\nchardevs: {serial0: {type: "null"}}\n')
    machine = build(load(str(path)))
    assert {"host", "isa", "ide", "pic", "pit", "rtc", "com1", "bios"} <= set(machine.devices)
    machine.close()


def test_a_machine_runs_to_its_end(write: Callable[[str], Path]) -> None:
    machine = build(load(str(write(STILL + "devices: {end: {type: stopper, status: 7}}\n"))))
    outcome = machine.run()
    assert (outcome.reason, outcome.status) == (ShutdownReason.GUEST_SHUTDOWN, 7)


# --- accelerators ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "accelerator, chosen, said",
    [
        ("auto", "Still", "accelerator still: it needs nothing (not usable: absent: the machine room is locked"),
        ("still", "Still", "accelerator still: it needs nothing"),
        ("{type: still, speed: 0}", "Still", "accelerator still: it needs nothing"),
        ("[absent, still]", "Still", "accelerator still: it needs nothing (not usable: absent: the machine room is"),
        ("[absent, auto]", "Still", "accelerator still: it needs nothing"),
        (
            "[broken, still]",
            "Still",
            "accelerator still: it needs nothing (not usable: broken: accelerator 'broken' (b",
        ),
        ("[fragile, still]", "Still", "(not usable: fragile: its check failed: OSError: no)"),
    ],
)
def test_the_best_usable_accelerator_is_chosen_and_why_is_said(
    write: Callable[[str], Path],
    distribution: Callable[..., Path],
    caplog: pytest.LogCaptureFixture,
    accelerator: str,
    chosen: str,
    said: str,
) -> None:
    fragile = (
        "from kit import Still\nclass Fragile(Still):\n"
        "    @classmethod\n    def availability(cls): raise OSError('no')\n"
    )
    entry_points = "[southbridge.accelerators]\nbroken = broken:X\nfragile = fragile:Fragile\n"
    distribution("broken", "1", entry_points, broken="raise OSError", fragile=fragile)
    caplog.set_level(logging.INFO)
    machine = build(load(str(write(f"accelerator: {accelerator}\n"))))
    assert type(machine.accelerator).__name__ == chosen
    assert said in caplog.text


@pytest.mark.parametrize("accelerator", ["absent", "[absent]", "{type: absent}"])
def test_no_usable_accelerator(write: Callable[[str], Path], accelerator: str) -> None:
    place = 15 if accelerator.startswith("[") else 14
    expected = f"1:{place}: accelerator: no accelerator can be used here: absent: the machine room is locked"
    assert refusal(write(f"accelerator: {accelerator}\n")) == expected


def test_no_accelerator_that_auto_could_choose(write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUTHBRIDGE_DISABLE_PLUGINS", "still, kvm, unicorn")
    path = write("memory: 1M\n")
    assert refusal(path) == "accelerator: no accelerator can be used here: absent: the machine room is locked"
    monkeypatch.setenv("SOUTHBRIDGE_DISABLE_PLUGINS", "still, kvm, unicorn, absent")
    assert refusal(path) == "accelerator: no accelerator can be used here: none is installed"


def test_a_broken_accelerator_that_is_the_only_choice(
    write: Callable[[str], Path], distribution: Callable[..., Path]
) -> None:
    distribution("broken", "3", "[southbridge.accelerators]\nbroken = broken:X\n", broken="raise OSError('no')")
    expected = "accelerator 'broken' (broken:X, of broken 3) can't be imported: OSError: no"
    assert refusal(write("accelerator: broken\n")) == f"1:14: accelerator: {expected}"


MORE_ACCELERATORS = """
from kit import Still
from southbridge import Availability, SouthbridgeError
from southbridge.cpu_models import find_model

class Reluctant(Still):
    preference = 1000

    @classmethod
    def availability(cls): return Availability(True, "slow here", preferred=False)
    def host_cpu(self): return find_model("Nehalem")

class Plain(Still):
    def check_cpu(self, model):
        if "sse4.2" in model.features:
            raise SouthbridgeError("it lacks sse4.2")
"""


@pytest.fixture
def more_accelerators(distribution: Callable[..., Path]) -> None:
    entry_points = "[southbridge.accelerators]\nreluctant = more:Reluctant\nplain = more:Plain\n"
    distribution("more", "1", entry_points, more=MORE_ACCELERATORS)


def accelerator_of(path: Path) -> str:
    return type(build(load(str(path))).accelerator).__name__


@pytest.mark.usefixtures("more_accelerators")
def test_auto_takes_one_that_is_slow_here_only_without_others(
    write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("accelerator: auto\n")
    monkeypatch.setenv("SOUTHBRIDGE_DISABLE_PLUGINS", "plain")
    assert accelerator_of(path) == "Still"
    monkeypatch.setenv("SOUTHBRIDGE_DISABLE_PLUGINS", "southbridge, still, plain")
    assert accelerator_of(path) == "Reluctant"


@pytest.mark.usefixtures("more_accelerators")
def test_one_that_cannot_show_the_cpu_is_not_chosen(write: Callable[[str], Path]) -> None:
    assert accelerator_of(write("accelerator: [plain, still]\ncpu: Westmere\n")) == "Still"
    assert accelerator_of(write("accelerator: [plain, still]\n")) == "Plain"
    expected = "1:14: accelerator: no accelerator can be used here: plain: it lacks sse4.2"
    assert refusal(write("accelerator: plain\ncpu: Westmere\n")) == expected


@pytest.mark.usefixtures("more_accelerators")
def test_the_hosts_cpu_is_the_accelerators(write: Callable[[str], Path]) -> None:
    machine = build(load(str(write("accelerator: reluctant\ncpu: host\n"))))
    assert machine.cpu.name == "Nehalem"
    expected = "1:14: accelerator: no accelerator can be used here: plain: it has no CPU model `host`"
    assert refusal(write("accelerator: plain\ncpu: host\n")) == expected


def test_the_next_accelerators_stand_by_if_the_description_says_so(write: Callable[[str], Path]) -> None:
    plain = build(load(str(write("accelerator: [still, {type: still, speed: 0}]\n"))))
    assert plain.fallbacks == []
    path = write("accelerator: [absent, still, {type: still, speed: 0}, absent]\non_internal_error: swap\n")
    machine = build(load(str(path)))
    first, second = machine.fallbacks
    assert first().name == "still"
    with pytest.raises(SouthbridgeError, match="the machine room is locked"):
        second()


def test_an_accelerator_for_a_swap_has_the_descriptions_properties(write: Callable[[str], Path]) -> None:
    machine = build(load(str(write("accelerator: [{type: still, speed: 0}]\ncpus: 3\n"))))
    assert len(machine.cpus.plugged) == machine.cpus.max == 3
    assert accelerator_named(machine, "still").name == "still"
    with pytest.raises(SouthbridgeError, match="accelerator absent: the machine room is locked"):
        accelerator_named(machine, "absent")
    with pytest.raises(SouthbridgeError, match="there is no accelerator 'stil'; did you mean 'still'"):
        accelerator_named(machine, "stil")


# --- what is refused ---------------------------------------------------------------------------------------------

REFUSED = {
    "two devices on one port": (
        "devices:\n  a: {type: box, iobase: 0x100}\n  b: {type: box, iobase: 0x104}\n",
        "4:3: devices.b: ports 0x104 to 0x10b (8 B) overlap 0x100 to 0x107, which a has",
    ),
    "two devices on one line": (
        "devices:\n  a: {type: box, irq: 3}\n  b: {type: box, iobase: 0x200, irq: 3}\n",
        "4:3: devices.b: IRQ 3 is taken by a",
    ),
    "two devices in one PCI slot": (
        "devices:\n  host: {type: i440fx}\n  a: {type: pci-card, addr: 05.0}\n  b: {type: pci-card, addr: 05.0}\n",
        "5:3: devices.b: pci.0 slot 05.0 is taken by a",
    ),
    "two devices that provide one bus": (
        "devices:\n  a: {type: i440fx}\n  b: {type: i440fx}\n",
        "4:3: devices.b: there are two buses named 'pci.0'",
    ),
    "a bus that nobody provides": (
        "devices:\n  low: {type: bridge}\n  c: {type: card, bus: lo.0}\n",
        "4:24: devices.c.bus: no device provides a bus 'lo.0'; did you mean 'low.0'?",
    ),
    "a bus by default, and none there": (
        "devices:\n  c: {type: pci-card}\n",
        "3:3: devices.c.bus: no device provides a bus 'pci.0' (there are: none)",
    ),
    "devices that wait for each other": (
        "devices:\n  a: {type: box, friend: b}\n  b: {type: box, friend: a, iobase: 0}\n",
        "3:3: devices.a: devices wait for each other: a for b, b for a",
    ),
    "a device that refuses": ("devices:\n  c: {type: clumsy}\n", "3:3: devices.c: won't"),
    "a device that fails": (
        "devices:\n  c: {type: clumsy, how: fall}\n",
        "3:3: devices.c: the plugin clumsy (kit.Clumsy) failed: KeyError: 'key'",
    ),
    "a back end that can't be opened": (
        "blockdevs:\n  d: {type: blank, path: /x, broken: true}\n",
        "3:3: blockdevs.d: /x: not an image",
    ),
    "one chardev for two": (
        "chardevs: {s: {type: mute}}\ndevices:\n"
        "  a: {type: box, chardev: s}\n  b: {type: box, iobase: 0, chardev: s}\n",
        "5:38: devices.b.chardev: chardevs.s is used by a already, and can't be shared",
    ),
    "one disk for two": (
        "blockdevs: {d: {type: blank, path: x}}\ndevices:\n"
        "  a: {type: box, disk: d}\n  b: {type: box, iobase: 0, disk: d}\n",
        "5:35: devices.b.disk: blockdevs.d is used by a already, and can't be shared",
    ),
}


@pytest.mark.parametrize("text, expected", REFUSED.values(), ids=REFUSED)
def test_what_is_refused_is_said_with_its_place_and_everything_is_closed(
    write: Callable[[str], Path], opened: list[Any], text: str, expected: str
) -> None:
    extra = "" if "chardevs" in text else "chardevs: {extra: {type: mute}}\n"
    assert refusal(write(STILL + text + extra)) == expected
    assert opened == []


def test_a_hook_that_does_not_fit_is_named_and_other_machines_run(
    write: Callable[[str], Path], distribution: Callable[..., Path]
) -> None:
    source = (
        "from southbridge import Device, hookimpl\nclass Nosy(Device):\n"
        "    @hookimpl\n    def machine_created(self, rack): pass\n"
    )
    distribution("nosy", "4", "[southbridge.devices]\nnosy = nosy:Nosy\n", nosy=source)
    message = refusal(write(STILL + "devices:\n  n: {type: nosy}\n"))
    assert message.startswith("3:13: devices.n.type: device 'nosy' (nosy:Nosy, of nosy 4): ")
    assert "{'rack'}" in message
    assert "b" in build(load(str(write(STILL + "devices: {b: {type: box}}\n")))).devices


def test_a_plugin_that_fails_is_a_plugin_error(write: Callable[[str], Path]) -> None:
    refusal(write(STILL + "devices:\n  c: {type: clumsy, how: fall}\n"), PluginError)


def test_a_disk_that_nobody_writes_can_be_shared(write: Callable[[str], Path]) -> None:
    text = "blockdevs: {d: {type: blank, path: x, writable: false}}\n"
    text += "devices:\n  a: {type: box, disk: d}\n  b: {type: box, iobase: 0, disk: d}\n"
    devices: dict[str, Any] = build(load(str(write(STILL + text)))).devices
    assert devices["a"].disk is devices["b"].disk


@pytest.mark.parametrize("section, part", [("chardevs", "{type: mute}"), ("blockdevs", "{type: blank, path: x}")])
def test_a_back_end_that_nobody_uses_is_warned_of(
    write: Callable[[str], Path], caplog: pytest.LogCaptureFixture, section: str, part: str
) -> None:
    path = write(f"{STILL}{section}:\n  spare: {part}\n")
    build(load(str(path)))
    assert f"{path}:3:3: {section}.spare: nothing uses it" in caplog.text
