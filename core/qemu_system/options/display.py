"""What a user looks at: graphics cards, and VNC servers for them."""

from __future__ import annotations

from typing import Any

from ..draft import Draft, Part
from ..words import OptionError, Words, number
from .option import Option, accepted, flag

FIRST_PORT = 5900
"""A VNC server's port for display number 0."""
EVERYWHERE = "0.0.0.0"

CARDS = {"std": "std_vga", "cirrus": "cirrus_vga"}
CARD_DRIVERS = ("VGA", "cirrus-vga", "isa-cirrus-vga", "std_vga", "cirrus_vga", "isa_cirrus_vga")
"""What -device calls them."""
DISPLAYS = ("none", "vnc")


def _display(draft: Draft, argument: str) -> None:
    if argument in ("help", "?"):
        draft.ask("display")
        return
    draft.given.add("display")
    if argument.startswith("vnc="):
        _vnc(draft, argument.removeprefix("vnc="))
        return
    if Words(argument, "type").take("type") != "none":
        raise OptionError("expected none, or vnc=...")


def _vnc(draft: Draft, argument: str) -> None:
    """[host]:N, display number N; without a host that is for everybody, as with QEMU."""
    draft.given.add("display")
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
    if secret := words.take("password-secret"):
        if secret not in draft.objects or draft.objects[secret].type != "secret":
            raise OptionError(f"password-secret={secret}: there is no such -object secret")
        values["password"] = draft.objects[secret].values["data"]
    if words.peek("share"):
        values["share"] = words.take("share")
    id = words.take("id", "default")
    for key in words.ignore("lossy", "non-adaptive", "lock-key-sync", "power-control"):
        draft.note(f"-vnc {key}=...: has no effect here")
    words.end()
    draft.displays.append(Part(id, "vnc", values, f"-vnc {argument}"))


def _vga(draft: Draft, argument: str) -> None:
    if argument in ("help", "?"):
        draft.ask("vga")
        return
    draft.given.add("vga")
    draft.cards = [card for card in draft.cards if card.id != "video0"]
    if argument == "none":
        return
    if argument not in CARDS:
        raise OptionError(f"expected none, {', '.join(CARDS)}")
    draft.cards.append(graphics_card(argument, f"-vga {argument}"))


def graphics_card(name: str, option: str) -> Part:
    """The board's own card, in QEMU's place."""
    return Part("video0", CARDS[name], {"addr": "02.0"}, option)


def _no_graphics(draft: Draft) -> None:
    draft.graphics = False
    draft.given.add("display")


OPTIONS = (
    Option("display", _display, "none or vnc=...", "What its screen is shown on; help."),
    Option("vnc", _vnc, "none, HOST:N[,to=N][,password=on][,share=...] or unix:PATH", "A server for its screen."),
    Option("vga", _vga, "none, std or cirrus", "Its graphics card; help."),
    flag("nographic", _no_graphics, "Its serial port is the terminal, unless an option says otherwise; no display."),
    accepted("k", "keys are sent by their places on the keyboard", "layout"),
)
