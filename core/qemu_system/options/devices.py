"""Devices: -device, -usb, -usbdevice, -global."""

from __future__ import annotations

from typing import Any

from ...discovery import names, nearest
from ..draft import Draft, Part
from ..words import OptionError, Words, number
from .option import Option

NAMES = {
    "isa-serial": "uart16550",
    "piix4-pm": "piix4_acpi",
    "VGA": "std_vga",
    "cirrus-vga": "cirrus_vga",
    "isa-cirrus-vga": "isa_cirrus_vga",
}
"""What QEMU calls some of our devices."""


def _device(draft: Draft, argument: str) -> None:
    words = Words(argument, "driver")
    driver = words.need("driver")
    type_name = NAMES.get(driver, driver)
    known = names("devices")
    if type_name not in known:
        raise OptionError(f"there is no device {driver!r}{nearest(driver, known)}")
    id = words.take("id") or f"{driver}-{len(draft.devices)}"
    if any(device.id == id for device in draft.devices):
        raise OptionError(f"there are two devices {id!r}")
    values = {key.replace("-", "_"): _value(key, value) for key, value in words.rest().items()}
    draft.devices.append(Part(id, type_name, values, f"-device {argument}"))


def _value(key: str, value: str) -> Any:
    """Addresses on the PCI bus, "0x1d.0x7", are no numbers."""
    if key == "addr":
        slot, _, function = (part.removeprefix("0x") for part in value.partition("."))
        return f"{number(key, f'0x{slot}'):02x}.{function or '0'}"
    return plain(value)


def plain(value: str) -> Any:
    """A property's value as a description has it: numbers and truth values told from texts."""
    if value in ("on", "off"):
        return value == "on"
    try:
        return number("", value)
    except OptionError:
        return value


def _usb(draft: Draft, argument: str) -> None:
    if not any(device.type == "piix3-usb-uhci" for device in draft.devices):
        draft.devices.append(Part("usb", "piix3-usb-uhci", {"addr": "01.2"}, "-usb"))


def _usb_device(draft: Draft, argument: str) -> None:
    kinds = {"tablet": "usb-tablet", "mouse": "usb-mouse", "keyboard": "usb-kbd"}
    if argument not in kinds:
        raise OptionError(f"expected {', '.join(kinds)}{nearest(argument, kinds)}")
    _usb(draft, "")
    id = f"usb-{argument}"
    if any(device.id == id for device in draft.devices):
        raise OptionError("there is one already")
    draft.devices.append(Part(id, kinds[argument], {}, f"-usbdevice {argument}"))


OPTIONS = (
    Option("device", _device, "driver[,id=id][,key=value...]", "A device."),
    Option("usb", _usb, "", "A USB host controller."),
    Option("usbdevice", _usb_device, "tablet, mouse or keyboard", "A USB device."),
)
