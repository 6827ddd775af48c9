"""USB 1.1: buses, devices and what they say to each other (Universal Serial Bus Specification, revision 1.1).

A host controller makes a `UsbBus` and offers it to devices. A device derives from `UsbDevice` and declares its
descriptors as data. What passes between the two is single transactions: a token, data, a handshake.
"""

from .bus import UsbBus, UsbHost
from .control import ControlPipe
from .descriptors import DeviceDescriptor, Endpoint, Interface, Transfer
from .device import UsbDevice
from .protocol import Handshake, Pid, Reply, Setup, Speed

__all__ = [
    "ControlPipe",
    "DeviceDescriptor",
    "Endpoint",
    "Handshake",
    "Interface",
    "Pid",
    "Reply",
    "Setup",
    "Speed",
    "Transfer",
    "UsbBus",
    "UsbDevice",
    "UsbHost",
]
