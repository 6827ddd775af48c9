"""Devices: -device, -usb, -usbdevice, -global, -watchdog-action."""

from __future__ import annotations

from typing import Any

from ...discovery import names, nearest
from ..draft import Draft, Global, Part
from ..qdev import NAMES, property_value, type_of
from ..words import OptionError, Words, number, parsed
from .option import Option, flag

WATCHDOG_ACTIONS = ("reset", "shutdown", "poweroff", "inject-nmi", "pause", "debug", "none")
SERIAL_PORTS = ((0x3F8, 4), (0x2F8, 3), (0x3E8, 4), (0x2E8, 3))
"""Port and interrupt line of COM1 to COM4."""
BUSES = {"usb-bus.0": "usb.0", "pci": "pci.0"}
"""What QEMU calls some of our buses."""


def _device(draft: Draft, argument: str) -> None:
    words = parsed(argument, "driver")
    driver = words.need("driver")
    if driver in ("help", "?"):
        draft.ask("device")
        return
    type_name = type_of(driver)
    if type_name is None:
        known = [*NAMES, *names("devices")]
        raise OptionError(f"there is no device {driver!r}{nearest(driver, known)}")
    if words.peek("help", "?"):
        draft.ask("device", driver)
        return
    id = words.take("id")
    if not id:
        id = f"{driver}-{len(draft.devices)}"
        draft.nameless.append(id)
    if any(device.id == id for device in draft.devices):
        raise OptionError(f"there are two devices {id!r}")
    values = {key.replace("-", "_"): value for key, value in words.rest().items()}
    draft.devices.append(Part(id, type_name, _adapted(driver, type_name, values), f"-device {argument}"))
    draft.given.add(driver)


def _adapted(driver: str, type_name: str, values: dict[str, str]) -> dict[str, Any]:
    """The properties as our device of that type has them."""
    made: dict[str, Any] = {}
    if driver == "isa-serial":
        index = number("index", values.pop("index", "0"))
        if not 0 <= index < len(SERIAL_PORTS):
            raise OptionError(f"index={index}: expected 0 to {len(SERIAL_PORTS) - 1}")
        made = dict(zip(("iobase", "irq"), SERIAL_PORTS[index], strict=True))
    elif driver == "isa-debugcon":
        made["iobase"] = 0xE9
    if values.get("bus") == "isa.0":
        del values["bus"]
    if "bus" in values:
        values["bus"] = BUSES.get(values["bus"], values["bus"])
    return {**made, **{key: property_value(type_name, key, value) for key, value in values.items()}}


def _global(draft: Draft, argument: str) -> None:
    driver, dot, rest = argument.partition(".")
    name, equals, value = rest.partition("=")
    if argument.startswith("driver="):
        words = Words(argument)
        driver, name, value = words.need("driver"), words.need("property"), words.take("value")
        words.end()
    elif not dot or not equals or not driver or not name:
        raise OptionError("expected driver.property=value")
    draft.globals.append(Global(driver, name.replace("-", "_"), value, f"-global {argument}"))


def _usb(draft: Draft) -> None:
    draft.usb = True


def _usb_device(draft: Draft, argument: str) -> None:
    kinds = {"tablet": "usb-tablet", "mouse": "usb-mouse", "keyboard": "usb-kbd"}
    if argument not in kinds:
        raise OptionError(f"expected {', '.join(kinds)}{nearest(argument, kinds)}")
    draft.usb = True
    id = f"usb-{argument}"
    if any(device.id == id for device in draft.devices):
        raise OptionError("there is one already")
    draft.devices.append(Part(id, kinds[argument], {}, f"-usbdevice {argument}"))


def _watchdog_action(draft: Draft, argument: str) -> None:
    if argument not in WATCHDOG_ACTIONS:
        raise OptionError(f"expected {', '.join(WATCHDOG_ACTIONS)}{nearest(argument, WATCHDOG_ACTIONS)}")
    for driver in ("i6300esb", "ib700"):
        draft.globals.append(Global(driver, "action", argument, f"-watchdog-action {argument}"))


OPTIONS = (
    Option("device", _device, "driver[,id=id][,key=value...]", "A device; help, or driver,help."),
    Option("global", _global, "driver.property=value", "A property of each device of that kind, unless it says so."),
    flag("usb", _usb, "A USB host controller."),
    Option("usbdevice", _usb_device, "tablet, mouse or keyboard", "A USB device."),
    Option("watchdog-action", _watchdog_action, "reset, shutdown...", "What happens when a watchdog runs out."),
)
