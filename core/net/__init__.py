"""Networks: the cable between a card and whatever is at its other end, back ends, filters, and what frames are."""

from .address import MacAddress, default_mac, format_mac, parse_mac
from .backend import NetworkBackend, NetworkFilter
from .card import CardPort, RxFilter
from .frames import Frame, Gso, Offload, Takes
from .port import NetworkPort, connect
from .queue import FrameQueue

__all__ = [
    "CardPort",
    "Frame",
    "FrameQueue",
    "Gso",
    "MacAddress",
    "NetworkBackend",
    "NetworkFilter",
    "NetworkPort",
    "Offload",
    "RxFilter",
    "Takes",
    "connect",
    "default_mac",
    "format_mac",
    "parse_mac",
]
