"""QEMU's names for devices, and the values of their properties, as descriptions have them."""

from __future__ import annotations

from typing import Any, get_args

from ..discovery import load, names
from ..properties import declared_type
from .words import ON, OptionError, number, truth

NAMES = {
    "isa-serial": "uart16550",
    "isa-debugcon": "debugcon",
    "isa-pvpanic": "pvpanic",
    "isa-fdc": "fdc",
    "VGA": "std_vga",
    "cirrus-vga": "cirrus_vga",
    "isa-cirrus-vga": "isa_cirrus_vga",
    "e1000-82540em": "e1000",
    "i440FX-pcihost": "i440fx",
    "i440FX": "i440fx",
    "PIIX3": "piix3",
    "PIIX4_PM": "piix4_acpi",
    "piix4-pm": "piix4_acpi",
    "mc146818rtc": "mc146818",
    "isa-pit": "i8254",
    "isa-i8259": "i8259",
    "smbus-eeprom": "spd-eeprom",
}
"""What QEMU calls some of our devices."""


def type_of(driver: str) -> str | None:
    """Our device that is QEMU's `driver`, if there is one."""
    name = NAMES.get(driver, driver)
    return name if name in names("devices") else None


def qemu_name(type_name: str) -> str:
    """What QEMU calls our device."""
    return next((driver for driver, ours in NAMES.items() if ours == type_name), type_name)


def property_value(type_name: str, name: str, text: str) -> Any:
    """`text` as a description has the property `name` of that type of device. Raises OptionError.

    Addresses on the PCI bus, "0x1d.0x7", are no numbers.
    """
    if name == "addr" and text:
        slot, _, function = (part.removeprefix("0x") for part in text.partition("."))
        return f"{number(name, f'0x{slot}'):02x}.{function or '0'}"
    spec = load("devices", type_name).properties().get(name)
    if spec is None:
        return plain(text)  # there is no such property: whoever checks the description says so
    kinds = {str} if spec.section else _kinds(declared_type(load("devices", type_name), name))
    if bool in kinds:
        return truth(name, text)
    if int in kinds and not (str in kinds and not text[:1].isdigit()):
        return plain(text)
    return text


def _kinds(annotation: Any) -> set[Any]:
    """The plain types that a property may have."""
    found = [annotation]
    for kind in found:
        found.extend(get_args(kind))
    return {kind for kind in found if kind in (str, int, bool)}


def plain(text: str) -> Any:
    """A value whose type isn't known: numbers and truth values told from texts."""
    if text in ("on", "off"):
        return text in ON
    try:
        return number("", text)
    except OptionError:
        return text
