"""A card's port: while the machine is paused nothing comes in, and the card isn't told to go on sending."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..hookspecs import hookimpl
from .address import default_mac, parse_mac
from .backend import NetworkBackend
from .frames import Frame, Offload, Takes
from .port import NetworkPort, Receive, ReceiveBatch, disconnect

if TYPE_CHECKING:
    from ..device import Device


class RxFilter(NamedTuple):
    """What a card lets in, as query-rx-filter tells it. Addresses are six bytes each.

    `uncertain`: of some multicast addresses only a hash is known.
    """

    address: bytes
    promiscuous: bool
    broadcast: bool
    all_multicast: bool
    unicast: list[bytes]
    multicast: list[bytes]
    uncertain: bool
    vlans: list[int] | None
    """Which VLANs; None: all."""


class CardPort(NetworkPort):
    """The end of the cable that is in a card, from the card's `realize` to its `unrealize`."""

    def __init__(
        self,
        device: Device,
        receive: Receive,
        *,
        receive_batch: ReceiveBatch | None = None,
        sendable: Callable[[], None],
        link_changed: Callable[[], None],
        takes: Takes = Takes.NOTHING,
    ) -> None:
        super().__init__(
            receive, receive_batch=receive_batch, sendable=sendable, link_changed=link_changed, takes=takes
        )
        self._device = device
        self._paused = False
        self._tell_later = False
        self._name = f"network.{device.id}"

    def open(self, netdev: NetworkBackend | None) -> None:
        """Plugs the cable in. Raises SouthbridgeError if `netdev` can't take it."""
        if netdev is not None:
            netdev.plug(self)
        self._device.machine.hooks.register(self, self._name)

    def close(self) -> None:
        """Pulls it out; also after an `open` that failed."""
        self._device.machine.hooks.unregister(self._name)
        disconnect(self)

    def deliver(self, frame: Frame, offload: Offload | None) -> bool:
        """See NetworkPort."""
        return not self._paused and super().deliver(frame, offload)

    def deliver_batch(self, frames: Sequence[Frame], offload: Offload | None) -> int:
        """See NetworkPort."""
        return 0 if self._paused else super().deliver_batch(frames, offload)

    def tell_sendable(self) -> None:
        """See NetworkPort."""
        if self._paused:
            self._tell_later = True
        else:
            super().tell_sendable()

    @hookimpl
    def machine_paused(self) -> None:
        """See the hook."""
        self._paused = True

    @hookimpl
    def machine_resumed(self) -> None:
        """See the hook."""
        with self._device.machine.lock:
            self._paused = False
            self.ready()
            if self._tell_later:
                self._tell_later = False
                super().tell_sendable()


def card_address(device: Device, mac: str | None) -> bytes:
    """The address of a card whose property `mac` is this: by default one that no other card of the machine has."""
    if mac is not None:
        return parse_mac(mac)
    addresses = (getattr(other, "mac_address", None) for other in device.machine.devices.values())
    return default_mac(address for address in addresses if address is not None)
