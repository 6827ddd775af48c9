"""What every device must do, whatever it is.

`tests/test_conformance.py` tries each of `CHECKS` on every installed device; the tests of a device that is a project of
its own can do the same:

    @pytest.mark.parametrize("check", CHECKS)
    def test_conformance(check: Check) -> None:
        check(Stage("my-device"))

A device needs nothing for that, but for a required property that isn't a link or a file: an example of its value, given
in the declaration (`Property(doc="...", examples=["12:34"])`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random
from typing import Any

from ..errors import SouthbridgeError
from ..hookspecs import hookimpl
from ..pci import PciDevice
from ..properties import property_model
from .stage import Stage, layout

Saved = dict[str, Any]
Check = Callable[[Stage], None]

STORM = 400
ROUNDS = 40
NONSENSE = 1j
"""What no state is."""
GONE = object()
"""Stands for a key that is missing."""


def documented(stage: Stage) -> None:
    """The device, its properties, registers and parts say what they are, and the properties make a schema."""
    cls = type(stage.device)
    missing = [name for name, spec in cls.properties().items() if not spec.doc]
    for component in stage.device.components():
        missing += [] if type(component).__doc__ else [type(component).__name__]
        missing += [f"{type(component).__name__}.{spec.name}" for spec in component.register_specs if not spec.doc]
    assert not missing, f"no doc: {', '.join(missing)}"
    assert set(property_model(cls).model_json_schema()["properties"]) == set(cls.properties())


def every_access_is_answered(stage: Stage) -> None:
    """Any width at any offset of any bank reads as a value of that width, before and after something was written."""
    for probe in stage.probes():
        for offset in probe.offsets():
            for size in (1, 2, 4):
                stage.read(probe, offset, size)
                stage.write(probe, offset, size, stage.random.getrandbits(8 * size))
                stage.read(probe, offset, size)
    stage.storm(STORM)


def state_survives(stage: Stage) -> None:
    """What was saved is plain data, and loaded, here or into another one, is what is saved then."""
    twin = Stage(type(stage.device), stage.make_memory)
    for _ in range(4):
        stage.storm(STORM // 4)
        saved = stage.device.save()
        assert plain(saved), "a saved state is of dictionaries, lists, numbers, texts, bytes"
        kept = copy.deepcopy(saved)
        stage.device.load(saved)
        assert stage.device.save() == kept
        twin.bench.clock.set(stage.bench.clock.now())
        twin.device.load(saved)
        assert twin.device.save() == kept
        twin.storm(STORM // 4)
        assert saved == kept, "a loaded state is the caller's still"


def a_mangled_state_changes_nothing(stage: Stage) -> None:
    """A state with anything missing, too much, of another type or out of range is refused."""
    stage.storm(STORM)
    before = stage.device.save()
    for what, mangled in mangle(before):
        try:
            stage.device.load(mangled)
        except SouthbridgeError:
            assert stage.device.save() == before, f"refused, but not without a trace: {what}"
        else:
            raise AssertionError(f"accepted: {what}")


def a_hostile_state_does_no_harm(stage: Stage) -> None:
    """A state of possible but unlikely values is refused without a trace, or the device can live with it."""
    stage.storm(STORM)
    for _ in range(ROUNDS):
        before = stage.device.save()
        hostile = copy.deepcopy(before)
        for component in components(hostile):
            disturb(component, stage.random)
        try:
            stage.device.load(hostile)
        except SouthbridgeError:
            assert stage.device.save() == before, "refused, but not without a trace"
        stage.storm(STORM // 8)
        stage.device.reset()


def reset_is_final(stage: Stage) -> None:
    """A second reset changes nothing more, and after one no interrupt line is held."""
    for _ in range(4):
        stage.storm(STORM // 4)
        stage.device.reset()
        once = stage.device.save()
        assert layout(stage.bench)["asserted"] == stage.before["asserted"], "a reset lets go of interrupt lines"
        stage.device.reset()
        assert stage.device.save() == once


def no_dma_without_mastering(stage: Stage) -> None:
    """A PCI device touches guest memory only while its command register lets it master the bus. ISA has no such bit."""
    device = stage.device
    if not isinstance(device, PciDevice):
        return
    watch = Watch()
    stage.bench.machine.hooks.register(watch, "watch")
    stage.storm(STORM)
    stage.bench.config_write(device, 0x04, 2, 0x3)
    assert device.dma.enabled == bool(device.PCI_COMMAND.MASTER)
    watch.accesses = 0
    stage.storm(0 if device.PCI_COMMAND.MASTER else STORM, configuration=False)
    assert not watch.accesses, "memory was accessed without bus mastering"


def unplugging_gives_back_everything(stage: Stage) -> None:
    """Ranges, lines, slots and timers are as before the device came. What can be hot-plugged can come again."""
    for _ in range(2 if stage.device.hotpluggable else 1):
        stage.storm(STORM // 2)
        stage.bench.machine.unplug(stage.device)
        assert layout(stage.bench) == stage.before
        if stage.device.hotpluggable:
            stage.plug()


def a_second_one_fits_or_is_refused(stage: Stage) -> None:
    """A device whose place is taken says so, and leaves the machine as it was."""
    before = layout(stage.bench)
    with suppress(SouthbridgeError):
        stage.plug("second")
        return
    assert layout(stage.bench) == before


CHECKS: list[Check] = [
    documented,
    every_access_is_answered,
    state_survives,
    a_mangled_state_changes_nothing,
    a_hostile_state_does_no_harm,
    reset_is_final,
    no_dma_without_mastering,
    unplugging_gives_back_everything,
    a_second_one_fits_or_is_refused,
]


class Watch:
    """Counts the accesses to guest memory."""

    def __init__(self) -> None:
        self.accesses = 0

    @hookimpl(tryfirst=True)
    def memory_read(self, address: int, length: int) -> None:
        """See hookspecs."""
        self.accesses += 1

    @hookimpl(tryfirst=True)
    def memory_write(self, address: int, data: bytes) -> None:
        """See hookspecs."""
        self.accesses += 1

    @hookimpl(tryfirst=True)
    def memory_map(self, address: int, length: int, write: bool) -> None:
        """See hookspecs."""
        self.accesses += 1


# --- saved states ------------------------------------------------------------------------------------------------


def plain(value: object) -> bool:
    """Whether `value` is of dictionaries by name, lists, numbers, texts, bytes."""
    if isinstance(value, dict):
        return all(isinstance(key, str | int) and plain(inner) for key, inner in value.items())
    if isinstance(value, list | tuple):
        return all(plain(inner) for inner in value)
    return value is None or isinstance(value, bool | int | float | str | bytes | bytearray)


def components(saved: Saved) -> Iterator[Saved]:
    """The saved state of a device, and those of its parts."""
    yield saved
    for part in saved["parts"].values():
        yield from components(part)


def mangle(saved: Saved) -> Iterator[tuple[str, Saved]]:
    """Copies of `saved` that are wrong in one place each, with what is wrong."""
    for index, component in enumerate(components(saved)):
        for section, name, value in _wrongs(component):
            mangled = copy.deepcopy(saved)
            place = list(components(mangled))[index]
            if name is None:
                _put(place, section, value)
            else:
                _put(place[section], name, value)
            yield f"{section} {name or ''}: {value!r}", mangled
    for version in (None, -1, "1", saved["version"] + 1, GONE):
        mangled = dict(saved)
        _put(mangled, "version", version)
        yield f"version {version!r}", mangled


def _put(place: Saved, key: str, value: object) -> None:
    if value is GONE:
        del place[key]
    else:
        place[key] = value


def _wrongs(component: Saved) -> Iterator[tuple[str, str | None, object]]:
    """Section, name (None: the section itself), and what must not be there."""
    yield "more", None, {}
    for section in ("registers", "state", "timers", "parts"):
        yield section, None, GONE
        yield section, None, None
        yield section, "MORE", 0
    wrongs = {
        "registers": (GONE, -1, 1 << 128, "text", None, NONSENSE),
        "state": (GONE, NONSENSE),
        "timers": (None, {}, {"deadline": -1, "arguments": {}}, {"deadline": 1, "arguments": {"more": 1}}),
        "parts": (GONE, None, {}),
    }
    for section, values in wrongs.items():
        for name in component[section]:
            yield from ((section, name, value) for value in values)


def disturb(component: Saved, random: Random) -> None:
    """Changes some values of a component's saved state."""
    for section in ("registers", "state"):
        for name, value in component[section].items():
            if random.random() < 0.3:
                component[section][name] = _disturbed(value, random)


def _disturbed(value: Any, random: Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        near = [value + 1, value - 1, 0, 1, 0x7F, 0xFF, 0xFFFF, 0xFFFF_FFFF, 1 << 40, random.getrandbits(8)]
        return random.choice(near)
    if isinstance(value, bytes | bytearray):
        return type(value)(random.randbytes(random.choice([0, 1, len(value), len(value) + 1, 4096])))
    if isinstance(value, list | tuple):
        return type(value)(_disturbed(inner, random) for inner in value[: random.randint(0, len(value))])
    if isinstance(value, dict):
        return {key: _disturbed(inner, random) for key, inner in value.items()}
    return random.choice([None, 0, 1, "", value])
