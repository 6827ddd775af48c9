"""What it starts with: -bios, -kernel, -boot, -fw_cfg, -smbios, -rtc."""

from __future__ import annotations

from ..draft import Draft
from ..words import OptionError, Words
from .machine import no_effect
from .option import Option, flag

BOOT_LETTERS = "acdn"
"""Floppy, first hard disk, first CD-ROM, network."""
MOST_BOOT_DEVICES = 3
FIRMWARE_CONFIG, CLOCK = "firmware-config", "rtc"
"""Ids of the shipped description."""

SMBIOS_SYSTEM = ("manufacturer", "product", "version", "serial", "sku", "family")


def _bios(draft: Draft, argument: str) -> None:
    draft.change("bios", f"-bios {argument}", {"image": argument})


def _top(key: str, option: str, doc: str, takes: str = "file") -> Option:
    def read(draft: Draft, argument: str) -> None:
        draft.top[key] = argument, f"-{option} {argument}"

    return Option(option, read, takes, doc)


def _letters(words: Words, key: str, default: str = "") -> str:
    order = words.take(key, default)
    for letter in order:
        if letter not in BOOT_LETTERS or order.count(letter) > 1:
            raise OptionError(f"{key}={order}: expected each of {', '.join(BOOT_LETTERS)} once at most")
    if len(order) > MOST_BOOT_DEVICES:
        raise OptionError(f"{key}={order}: expected {MOST_BOOT_DEVICES} letters at most")
    return order


def _boot(draft: Draft, argument: str) -> None:
    words = Words(argument, "order")
    option = f"-boot {argument}"
    draft.boot_order = _letters(words, "order", draft.boot_order)
    if draft.boot_order:
        draft.change(CLOCK, option, {"boot_order": draft.boot_order})
    if once := _letters(words, "once"):
        draft.change(CLOCK, option, {"boot_once": once})
    told: dict[str, object] = {}
    if words.peek("menu"):
        told["boot_menu"] = words.flag("menu")
    if words.peek("strict"):
        told["strict_boot"] = words.flag("strict")
    if splash := words.take("splash"):
        told["splash"] = splash
    if words.peek("splash-time"):
        told["boot_menu_wait"] = words.number("splash-time")
    if words.peek("reboot-timeout"):
        told["reboot_timeout"] = words.number("reboot-timeout")
    words.end()
    if told:
        draft.change(FIRMWARE_CONFIG, option, told)


def _no_signatures(draft: Draft) -> None:
    draft.change(CLOCK, "-no-fd-bootchk", {"check_floppies": False})


def _fw_cfg(draft: Draft, argument: str) -> None:
    words = Words(argument, "name")
    name = words.need("name")
    path, text = words.take("file"), words.take("string")
    words.end()
    if bool(path) == bool(text):
        raise OptionError("expected one of file=... and string=...")
    draft.change(FIRMWARE_CONFIG, f"-fw_cfg {argument}", {"files": {name: path}} if path else {"texts": {name: text}})


def _smbios(draft: Draft, argument: str) -> None:
    words = Words(argument)
    if words.take("file"):
        raise OptionError("file=...: tables are made from fields; expected type=1,...")
    kind = words.number("type")
    option = f"-smbios {argument}"
    if kind != 1:
        known = ("vendor", "date", "release", "uefi", "asset", "location", "sock_pfx", "part", "speed", "value", "path")
        no_effect(draft, f"-smbios type={kind}", words.ignore(*SMBIOS_SYSTEM, *known))
        words.end()
        return
    said = {key: text for key in SMBIOS_SYSTEM if (text := words.take(key))}
    if uuid := words.take("uuid"):
        said["uuid"] = uuid
    words.end()
    before = draft.top.get("smbios", ({}, ""))[0]
    draft.top["smbios"] = {**before, **said}, option


def _rtc(draft: Draft, argument: str) -> None:
    words = Words(argument, "base")
    base = words.take("base", "utc")
    words.one_of("clock", ("host", "rt", "vm"), "host")
    if words.one_of("driftfix", ("none", "slew"), "none") == "slew":
        no_effect(draft, "-rtc", ["driftfix"])
    words.end()
    draft.change(CLOCK, f"-rtc {argument}", {"base": base})


OPTIONS = (
    Option("bios", _bios, "file", "Its firmware."),
    _top("kernel", "kernel", "A kernel to boot: Linux, PVH or Multiboot."),
    _top("initrd", "initrd", "The kernel's initial RAM disk."),
    _top("cmdline", "append", "The kernel's command line.", "text"),
    Option(
        "boot", _boot, "[order=]letters[,once=...][,menu=on][,splash=...]", "a: floppy, c: disk, d: CD-ROM, n: net."
    ),
    flag("no-fd-bootchk", _no_signatures, "A floppy disk is booted whether it says that it can be or not."),
    Option("fw_cfg", _fw_cfg, "[name=]name,file=path or string=text", "A file that firmware and guest may read."),
    Option("smbios", _smbios, "type=1,key=value...", "What an inventory says of it."),
    Option("rtc", _rtc, "[base=]utc, localtime or a date", "What time its clock begins with."),
)
