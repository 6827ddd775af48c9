"""USB devices: the device framework (USB 1.1, chapter 9) that a class of devices builds on."""

from __future__ import annotations

from typing import Any, ClassVar

from ..component import Part, State
from ..device import Device
from ..errors import RealizeError
from ..properties import Link, Property
from .bus import UsbBus
from .control import ControlPipe
from .descriptors import CONFIGURATION, CONFIGURATION_VALUE, DEVICE, STRING, DeviceDescriptor, Endpoint, Transfer
from .protocol import (
    ENDPOINT_HALT,
    REMOTE_WAKEUP,
    SILENCE,
    Handshake,
    Kind,
    Pid,
    Recipient,
    Reply,
    Request,
    Setup,
    Speed,
)

ENDPOINTS = (1 << 32) - 1
"""A bit for each endpoint; see `_bit`."""
LAST_ADDRESS = 127


def _bit(address: int) -> int:
    """An endpoint's bit: IN endpoints are the odd ones."""
    return 1 << (2 * (address & 0x0F) + (address >> 7 & 1))


class UsbDevice(Device):
    """A function on a USB bus. A subclass has `descriptor`, and answers its endpoints and class requests."""

    descriptor: ClassVar[DeviceDescriptor]
    speed: ClassVar[Speed] = Speed.FULL
    hotpluggable: ClassVar[bool] = True

    bus: UsbBus = Link("buses", "usb.0", doc="The USB bus that it is on.")
    port: int | None = Property(None, ge=1, le=127, doc="Which port, from 1; by default the first that is free.")

    port_number: int
    """The port that it is in, from 1."""

    pipe: ControlPipe = Part(ControlPipe)
    address: int = State(0, ge=0, le=LAST_ADDRESS, doc="As the host gave it.")
    configuration: int = State(0, ge=0, le=CONFIGURATION_VALUE, doc="0: not configured.")
    remote_wakeup: bool = State(False, doc="The host lets it end a suspend.")
    toggles: int = State(0, ge=0, le=ENDPOINTS, doc="A bit an endpoint: its next data packet is DATA1.")
    halted: int = State(0, ge=0, le=ENDPOINTS, doc="A bit an endpoint: it answers STALL.")

    def __init__(self, id: str, **properties: Any) -> None:
        super().__init__(id, **properties)
        self.pipe.answer, self.pipe.obey = self._answer, self._obey
        self.pipe.packet = self.descriptor.max_packet
        self._endpoints = {endpoint.address: endpoint for endpoint in self.descriptor.endpoints}

    # --- life ----------------------------------------------------------------------------------------------------

    def realize(self) -> None:
        """Plugs itself in. Raises RealizeError."""
        if not isinstance(self.bus, UsbBus):
            raise RealizeError(f"{self.id}: its bus isn't a USB bus, such as usb.0")
        self.port_number = 1 + self.bus.attach(self, None if self.port is None else self.port - 1)

    def unrealize(self) -> None:
        """Is pulled out."""
        if isinstance(self.bus, UsbBus):
            self.bus.detach(self)
        super().unrealize()

    def broke(self) -> None:
        """It is as if it had been pulled out."""
        self.bus.detach(self)

    def bus_reset(self) -> None:
        """Reset signalling on its port: it listens to address 0, and isn't configured."""
        self.reset()

    # --- for subclasses ------------------------------------------------------------------------------------------

    @property
    def configured(self) -> bool:
        """The host has configured it."""
        return self.configuration != 0

    def serial_number(self) -> str:
        """Its serial number, or ""."""
        return ""

    def was_configured(self) -> None:
        """The host configured it, again perhaps, or ended that."""

    def endpoint_cleared(self, endpoint: Endpoint) -> None:
        """The host cleared the endpoint's halt."""

    def data_in(self, endpoint: Endpoint) -> bytes | Handshake:
        """The next packet that the endpoint has for the host; or NAK, or STALL, which halts it."""
        return Handshake.NAK

    def data_out(self, endpoint: Endpoint, data: bytes) -> Handshake:
        """A packet from the host for the endpoint: ACK, having taken it, or NAK, or STALL, which halts it."""
        return Handshake.NAK

    def class_answer(self, setup: Setup) -> bytes | None:
        """What a request gives that isn't a standard one, or for a descriptor that isn't; None: there is no such."""
        return None

    def class_obey(self, setup: Setup, data: bytes) -> bool:
        """Carries out a request that isn't a standard one; False: there is no such."""
        return False

    def halt(self, address: int) -> None:
        """Halts an endpoint: it answers STALL until the host clears that."""
        self.halted |= _bit(address)

    def is_halted(self, address: int) -> bool:
        """Whether an endpoint is."""
        return bool(self.halted & _bit(address))

    def became_active(self) -> None:
        """It has something for the host that it hadn't before."""
        self.bus.active(self)

    # --- transactions --------------------------------------------------------------------------------------------

    def transaction(self, pid: Pid, endpoint: int, data: bytes = b"", toggle: int = 0) -> Reply:
        """The host's token for endpoint number `endpoint`, with the data that follow it."""
        if endpoint == 0:
            return self.pipe.transaction(pid, data, toggle)
        found = self._endpoints.get(endpoint | (0x80 if pid is Pid.IN else 0))
        if found is None or not self.configured or pid is Pid.SETUP:
            return SILENCE
        if found.transfer is Transfer.ISOCHRONOUS:
            return self._isochronous(found, data)
        bit = _bit(found.address)
        if self.halted & bit:
            return Reply(Handshake.STALL)
        return self._to_host(found, bit) if found.to_host else self._from_host(found, bit, data, toggle)

    def _isochronous(self, endpoint: Endpoint, data: bytes) -> Reply:
        """No handshakes, and always DATA0 (section 8.5.5)."""
        if endpoint.to_host:
            packet = self.data_in(endpoint)
            return Reply(Handshake.ACK, packet) if isinstance(packet, bytes) else SILENCE
        self.data_out(endpoint, data)
        return Reply(Handshake.ACK)

    def _to_host(self, endpoint: Endpoint, bit: int) -> Reply:
        packet = self.data_in(endpoint)
        if not isinstance(packet, bytes):
            if packet is Handshake.STALL:
                self.halted |= bit
            return Reply(packet)
        toggle = int(bool(self.toggles & bit))
        self.toggles ^= bit
        return Reply(Handshake.ACK, packet, toggle)

    def _from_host(self, endpoint: Endpoint, bit: int, data: bytes, toggle: int) -> Reply:
        if len(data) > endpoint.max_packet:
            self.guest_error(f"{len(data)} bytes for endpoint {endpoint.number}, which takes {endpoint.max_packet}")
            return SILENCE
        if toggle != bool(self.toggles & bit):
            return Reply(Handshake.ACK)  # it came again, as the handshake was lost (section 8.6.3)
        handshake = self.data_out(endpoint, data)
        if handshake is Handshake.ACK:
            self.toggles ^= bit
        elif handshake is Handshake.STALL:
            self.halted |= bit
        return Reply(handshake)

    # --- requests (section 9.4) ----------------------------------------------------------------------------------

    def _answer(self, setup: Setup) -> bytes | None:
        if setup.kind != Kind.STANDARD:
            return self.class_answer(setup)
        match setup.request, setup.recipient:
            case Request.GET_DESCRIPTOR, Recipient.DEVICE:
                return self._descriptor(setup)
            case Request.GET_DESCRIPTOR, Recipient.INTERFACE:
                return self.class_answer(setup) if self._has_interface(setup.index) else None
            case Request.GET_CONFIGURATION, Recipient.DEVICE:
                return bytes([self.configuration])
            case Request.GET_INTERFACE, Recipient.INTERFACE if self._has_interface(setup.index):
                return b"\0"
            case Request.GET_STATUS, _:
                return self._status(setup)
        return None

    def _descriptor(self, setup: Setup) -> bytes | None:
        kind, number = setup.value >> 8, setup.value & 0xFF
        serial = self.serial_number()
        if kind == DEVICE and number == 0:
            return self.descriptor.device(serial=bool(serial))
        if kind == CONFIGURATION and number == 0:
            return self.descriptor.configuration()
        return self.descriptor.string(number, serial) if kind == STRING else None

    def _status(self, setup: Setup) -> bytes | None:
        match setup.recipient:
            case Recipient.DEVICE:
                return bytes([self.remote_wakeup << 1, 0])
            case Recipient.INTERFACE if self._has_interface(setup.index):
                return bytes(2)
            case Recipient.ENDPOINT if setup.index & 0x7F == 0:
                return bytes(2)
            case Recipient.ENDPOINT if self.configured and setup.index in self._endpoints:
                return bytes([self.is_halted(setup.index), 0])
        return None

    def _obey(self, setup: Setup, data: bytes) -> bool:
        if setup.to_host:  # a question whose answer the host has no room for
            return self._answer(setup) is not None
        if setup.kind != Kind.STANDARD:
            return self.class_obey(setup, data)
        match setup.request, setup.recipient:
            case Request.SET_ADDRESS, Recipient.DEVICE if setup.value <= LAST_ADDRESS and not setup.length:
                self.address = setup.value
            case Request.SET_CONFIGURATION, Recipient.DEVICE if setup.value in (0, CONFIGURATION_VALUE):
                self._configure(setup.value)
            case Request.SET_INTERFACE, Recipient.INTERFACE if self._has_interface(setup.index) and not setup.value:
                self._clear(self.descriptor.interfaces[setup.index].endpoints)
            case Request.SET_FEATURE | Request.CLEAR_FEATURE, _:
                return self._feature(setup, setup.request == Request.SET_FEATURE)
            case _:
                return False
        return True

    def _configure(self, value: int) -> None:
        self.configuration = value
        self.toggles = self.halted = 0
        self.was_configured()

    def _feature(self, setup: Setup, on: bool) -> bool:
        match setup.recipient, setup.value:
            case Recipient.DEVICE, value if value == REMOTE_WAKEUP and self.descriptor.remote_wakeup:
                self.remote_wakeup = on
            case Recipient.ENDPOINT, value if value == ENDPOINT_HALT and setup.index & 0x7F == 0:
                pass  # the next SETUP ends a halt of endpoint 0
            case Recipient.ENDPOINT, value if value == ENDPOINT_HALT and self._configured_endpoint(setup.index):
                if on:
                    self.halt(setup.index)
                else:
                    self._clear((self._endpoints[setup.index],))
            case _:
                return False
        return True

    def _clear(self, endpoints: tuple[Endpoint, ...]) -> None:
        """Ends their halt; data toggles begin anew (section 9.4.5)."""
        for endpoint in endpoints:
            self.halted &= ~_bit(endpoint.address)
            self.toggles &= ~_bit(endpoint.address)
            self.endpoint_cleared(endpoint)

    def _configured_endpoint(self, address: int) -> bool:
        return self.configured and address in self._endpoints

    def _has_interface(self, number: int) -> bool:
        return self.configured and number < len(self.descriptor.interfaces)
