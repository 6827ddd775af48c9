"""What a user looks at: nothing so far. -vnc is accepted, since xl gives it unless it is told not to."""

from __future__ import annotations

from ..draft import Draft, Part
from ..words import OptionError, Words
from .option import Option, flag

CARDS = {"std": "std_vga", "cirrus": "cirrus_vga"}


def _display(draft: Draft, argument: str) -> None:
    if Words(argument, "type").take("type") != "none":
        raise OptionError("there are no displays; expected none")


def _vnc(draft: Draft, argument: str) -> None:
    words = Words(argument, "address")
    if words.take("address") != "none":
        draft.note(f"-vnc {argument}: there is no VNC server; nothing listens there")


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
    Option("vnc", _vnc, "none", "A server for its screen: none."),
    Option("vga", _vga, "none, std or cirrus", "Its graphics card."),
    flag("nographic", _no_graphics, "Its first serial port is the terminal, unless another option says otherwise."),
)
