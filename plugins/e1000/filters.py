"""Which frames the card takes (manual, section 3.2.1, and 13.5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from southbridge.net import Frame, RxFilter

from .registers import ADDRESSES, RAH_VALID

if TYPE_CHECKING:
    from .device import E1000

BROADCAST = b"\xff" * 6
PAUSE_TYPE = 0x8808
_HASH_SHIFTS = (4, 3, 2, 0)
"""RCTL.MO: how far right the last two bytes of an address, the last one higher, are shifted for the table's index."""
_SOURCE = 1
"""RAH.AS: the address is compared with the source's."""


class Filters:
    """The filters of a card, with the exact addresses where they are found fast."""

    def __init__(self, card: E1000) -> None:
        self._card = card
        self.destinations: frozenset[bytes] = frozenset()
        """That frames to them are taken is sure."""
        self._sources: frozenset[bytes] = frozenset()

    def addresses_changed(self) -> None:
        """RA was written."""
        destinations: set[bytes] = set()
        sources: set[bytes] = set()
        for address, is_source in self._entries():
            (sources if is_source else destinations).add(address)
        self.destinations, self._sources = frozenset(destinations), frozenset(sources)

    def _entries(self) -> Iterator[tuple[bytes, bool]]:
        """The valid entries of RA, and whether each is compared with the source."""
        words = self._card.addresses
        for index in range(ADDRESSES):
            low, high = words[2 * index], words[2 * index + 1]
            if high & RAH_VALID:
                address = low.to_bytes(4, "little") + (high & 0xFFFF).to_bytes(2, "little")
                yield address, high >> 16 & 3 == _SOURCE

    def exact(self, frame: Frame) -> bool:
        """Whether an address of the array matches."""
        return bytes(frame[:6]) in self.destinations or (bool(self._sources) and bytes(frame[6:12]) in self._sources)

    def takes(self, frame: Frame) -> tuple[bool, bool]:
        """Whether the frame is for this card; and whether that isn't sure, and is the software's to find out (PIF)."""
        control = self._card.RCTL
        destination = bytes(frame[:6])
        if self.exact(frame):
            return True, False
        if not destination[0] & 1:
            return bool(control.UPE), True
        if destination == BROADCAST and control.BAM:
            return True, False
        if control.MPE:
            return True, True
        return self._hashed(destination), True

    def _hashed(self, destination: bytes) -> bool:
        index = (destination[4] | destination[5] << 8) >> _HASH_SHIFTS[self._card.RCTL.MO] & 0xFFF
        return bool(self._card.multicast[index >> 5] >> (index & 31) & 1)

    def told(self) -> RxFilter:
        """What they let in, in words that all cards have in common."""
        card = self._card
        control = card.RCTL
        own, *others = [address for address, is_source in self._entries() if not is_source] or [card.mac_address]
        vlans = [number for number in range(4096) if card.vlans[number >> 5] >> (number & 31) & 1]
        return RxFilter(
            address=own,
            promiscuous=bool(control.UPE),
            broadcast=bool(control.BAM),
            all_multicast=bool(control.MPE),
            unicast=[address for address in others if not address[0] & 1],
            multicast=[address for address in others if address[0] & 1],
            uncertain=any(card.multicast),
            vlans=vlans if control.VFE else None,
        )

    def vlan_takes(self, tag: int) -> bool:
        """Whether a frame with this VLAN tag is for this card."""
        control = self._card.RCTL
        if not control.VFE:
            return True
        if control.CFIEN and (tag >> 12 & 1) != control.CFI:
            return False
        identifier = tag & 0xFFF
        return bool(self._card.vlans[identifier >> 5] >> (identifier & 31) & 1)
