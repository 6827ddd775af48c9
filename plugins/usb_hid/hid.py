"""What HID devices have in common: class descriptor, reports, idle rate, protocol (HID 1.11, chapters 6 and 7)."""

from __future__ import annotations

import struct
from abc import abstractmethod
from enum import IntEnum
from typing import ClassVar

from southbridge.clock import MILLISECOND
from southbridge.component import State
from southbridge.usb import DeviceDescriptor, Endpoint, Handshake, Interface, Setup, Transfer, UsbDevice
from southbridge.usb.protocol import Kind, Recipient, Request

HID_CLASS, BOOT_INTERFACE = 3, 1
HID_DESCRIPTOR, REPORT_DESCRIPTOR = 0x21, 0x22
INPUT_REPORT, OUTPUT_REPORT = 1, 2
IDLE_UNIT = 4 * MILLISECOND

VENDOR, PRODUCT = 0x0627, 0x0001
"""QEMU's, which guests know."""


class HidRequest(IntEnum):
    """Section 7.2."""

    GET_REPORT = 0x01
    GET_IDLE = 0x02
    GET_PROTOCOL = 0x03
    SET_REPORT = 0x09
    SET_IDLE = 0x0A
    SET_PROTOCOL = 0x0B


def hid_descriptor(report: bytes) -> bytes:
    """The class descriptor of a device with that report descriptor."""
    return struct.pack("<BBHBBBH", 9, HID_DESCRIPTOR, 0x0111, 0, 1, REPORT_DESCRIPTOR, len(report))


def describe(name: str, report: bytes, *, subclass: int, protocol: int, packet: int) -> DeviceDescriptor:
    """The descriptors of a device with one interface, and one endpoint that is asked every 10 ms."""
    endpoint = Endpoint(0x81, Transfer.INTERRUPT, packet, interval=10)
    interface = Interface(HID_CLASS, subclass, protocol, (endpoint,), (hid_descriptor(report),))
    return DeviceDescriptor(VENDOR, PRODUCT, "Southbridge", name, (interface,), remote_wakeup=True)


class HidDevice(UsbDevice):
    """A subclass has the reports."""

    report_descriptor: ClassVar[bytes]
    has_boot_protocol: ClassVar[bool] = True

    idle: int = State(0, ge=0, le=0xFF, doc="In 4 ms: how soon a report is repeated that says nothing new; 0: never.")
    reported: int = State(0, ge=0, le=1 << 62, doc="When the last report was sent, in the clock's nanoseconds.")
    report_protocol: bool = State(True, doc="Reports are as the report descriptor has them, not as firmware expects.")

    # --- for subclasses ------------------------------------------------------------------------------------------

    @abstractmethod
    def next_report(self) -> bytes | None:
        """The next report that says something new, or None."""

    @abstractmethod
    def current_report(self) -> bytes:
        """What is the case now."""

    def output_report(self, data: bytes) -> bool:
        """A report from the host; False: there is no such."""
        return False

    # --- UsbDevice -----------------------------------------------------------------------------------------------

    @property
    def takes_input(self) -> bool:
        """See KeyboardSink and PointerSink."""
        return self.configured

    def unrealize(self) -> None:
        """Takes no more input."""
        self.machine.input.remove(self)
        super().unrealize()

    def data_in(self, endpoint: Endpoint) -> bytes | Handshake:
        """See UsbDevice."""
        report = self.next_report()
        now = self.machine.clock.now()
        if report is None and self.idle and now - self.reported >= self.idle * IDLE_UNIT:
            report = self.current_report()
        if report is None:
            return Handshake.NAK
        self.reported = now
        return report

    def class_answer(self, setup: Setup) -> bytes | None:
        """See UsbDevice."""
        if setup.recipient != Recipient.INTERFACE or setup.index or not self.configured:
            return None
        if setup.kind == Kind.STANDARD:
            return self._class_descriptor(setup.value >> 8) if setup.request == Request.GET_DESCRIPTOR else None
        match setup.kind, setup.request:
            case Kind.CLASS, HidRequest.GET_REPORT if setup.value == INPUT_REPORT << 8:
                return self.current_report()
            case Kind.CLASS, HidRequest.GET_IDLE if setup.value == 0:
                return bytes([self.idle])
            case Kind.CLASS, HidRequest.GET_PROTOCOL if self.has_boot_protocol:
                return bytes([self.report_protocol])
        return None

    def _class_descriptor(self, kind: int) -> bytes | None:
        return {
            HID_DESCRIPTOR: hid_descriptor(self.report_descriptor),
            REPORT_DESCRIPTOR: self.report_descriptor,
        }.get(kind)

    def class_obey(self, setup: Setup, data: bytes) -> bool:
        """See UsbDevice."""
        if (setup.kind, setup.recipient) != (Kind.CLASS, Recipient.INTERFACE) or setup.index or not self.configured:
            return False
        match setup.request:
            case HidRequest.SET_REPORT if setup.value == OUTPUT_REPORT << 8:
                return self.output_report(data)
            case HidRequest.SET_IDLE if setup.value & 0xFF == 0:
                self.idle = setup.value >> 8
                self.reported = self.machine.clock.now()
            case HidRequest.SET_PROTOCOL if self.has_boot_protocol and setup.value <= 1:
                self.report_protocol = bool(setup.value)
            case _:
                return False
        return True
