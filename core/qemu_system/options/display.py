"""What a user looks at: graphics cards, and VNC servers for them."""

from __future__ import annotations

from typing import Any

from ..draft import Draft, Part
from ..words import OptionError, Words, number
from .option import Option, flag

FIRST_PORT = 5900
"""A VNC server's port for display number 0."""
EVERYWHERE = "0.0.0.0"

CARDS = {"std": "std_vga", "cirrus": "cirrus_vga"}


def _display(draft: Draft, argument: str) -> None:
    if Words(argument, "type").take("type") != "none":
        raise OptionError("there are no displays; expected none")


def _vnc(draft: Draft, argument: str) -> None:
    """[host]:N, display number N; without a host that is for everybody, as with QEMU."""
    words = Words(argument, "address")
    address = words.take("address")
    if address == "none":
        return
    values: dict[str, Any] = {}
    if address.startswith("unix:"):
        values["path"] = address.removeprefix("unix:")
    else:
        host, colon, display = address.rpartition(":")
        if not colon:
            raise OptionError(f"expected none, host:number or unix:path, not {address!r}")
        values["host"] = host.removeprefix("[").removesuffix("]") or EVERYWHERE
        values["display"] = number("the display", display)
        if words.peek("to"):
            values["to"] = words.number("to")
    if words.flag("password"):
        values["password_later"] = True
    if words.peek("share"):
        values["share"] = words.take("share")
    id = words.take("id", "default")
    for key in words.ignore("lossy", "non-adaptive", "lock-key-sync", "power-control"):
        draft.note(f"-vnc {key}=...: has no effect here")
    words.end()
    draft.displays.append(Part(id, "vnc", values, f"-vnc {argument}"))


def _vga(draft: Draft, argument: str) -> None:
    if argument == "none":
        return
    if argument not in CARDS:
        raise OptionError(f"expected none, {', '.join(CARDS)}")
    draft.devices.append(Part("video0", CARDS[argument], {"addr": "02.0"}, f"-vga {argument}"))


def _no_graphics(draft: Draft) -> None:
    if draft.defaults and not draft.serials:
        draft.serials.append("stdio")


OPTIONS = (
    Option("display", _display, "none", "What its screen is shown on: nothing."),
    Option("vnc", _vnc, "none, HOST:N[,to=N][,password=on][,share=...] or unix:PATH", "A server for its screen."),
    Option("vga", _vga, "none, std or cirrus", "Its graphics card."),
    flag("nographic", _no_graphics, "Its first serial port is the terminal, unless another option says otherwise."),
)
