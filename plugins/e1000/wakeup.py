"""Wake-up: packets, and a link that comes or goes, which have the card wake a sleeping machine (manual, chapter 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from southbridge.life import WakeReason
from southbridge.net import Frame
from southbridge.net.packets import TYPE_IPV4, TYPE_IPV6

from .filters import BROADCAST

if TYPE_CHECKING:
    from .device import E1000

LNKC, MAG, EX, MC, BC, ARP, IPV4, IPV6, FLX = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x10000
"""Bits of WUFC and WUS (sections 13.6.2 and 13.6.3)."""
KEPT = ("WUC", "WUFC", "WUS", "IPAV", "WUPL", "PM_CONTROL")
TYPE_ARP = 0x0806
FLEXIBLE, FLEXIBLE_BYTES = 4, 128
KEPT_BYTES = 128
"""How much of the packet WUPM keeps."""


class Wakeup:
    """What a card that was put to sleep (D3) waits for."""

    def __init__(self, card: E1000) -> None:
        self._card = card

    @property
    def armed(self) -> bool:
        """Whether it waits for something."""
        card = self._card
        return card.asleep and bool(card.WUC.PME_EN or card.PM_CONTROL.PME_ENABLE or card.WUC.APME)

    def link_changed(self) -> None:
        """The link came or went."""
        if self.armed and self._card.WUFC.LNKC:
            self._wake(LNKC)

    def look_at(self, frame: Frame) -> None:
        """A frame came."""
        if self.armed:
            causes = self._causes(bytes(frame))
            if causes:
                self._keep(bytes(frame))
                self._wake(causes)

    def _wake(self, causes: int) -> None:
        card = self._card
        card.WUS.value |= causes
        card.WUC.PME_STATUS = card.PM_CONTROL.PME_STATUS = 1
        card.machine.power.request_wake(WakeReason.NETWORK)

    def _keep(self, frame: bytes) -> None:
        card = self._card
        data = frame[:KEPT_BYTES].ljust(KEPT_BYTES, b"\0")
        card.WUPL.value = len(frame)
        card.wakeup_packet = [int.from_bytes(data[at : at + 4], "little") for at in range(0, KEPT_BYTES, 4)]

    def _causes(self, frame: bytes) -> int:
        """Bits of WUS, for those filters that are on and that the frame passes."""
        card = self._card
        wanted = card.WUFC.value | (MAG if card.WUC.APME else 0)
        destination = frame[:6]
        found = 0
        if destination in card.filters.destinations:
            found |= EX
        elif destination == BROADCAST:
            found |= BC
        elif card.filters.takes(frame)[0]:
            found |= MC
        if found and b"\xff" * 6 + 16 * card.mac_address in frame:
            found |= MAG
        return (found | self._protocols(frame, bool(found)) | self._flexible(frame)) & wanted

    def _protocols(self, frame: bytes, ours: bool) -> int:
        card = self._card
        kind = int.from_bytes(frame[12:14], "big")
        addresses = [
            card.ipv4_table[2 * number].to_bytes(4, "little") for number in range(4) if card.IPAV.V4 >> number & 1
        ]
        if kind == TYPE_ARP and ours and frame[20:22] == b"\0\1" and frame[38:42] in addresses:
            return ARP
        if kind == TYPE_IPV4 and ours and frame[30:34] in addresses:
            return IPV4
        own = b"".join(word.to_bytes(4, "little") for word in card.ipv6_table)
        return IPV6 if kind == TYPE_IPV6 and ours and card.IPAV.V6 and frame[38:54] == own else 0

    def _flexible(self, frame: bytes) -> int:
        """Filters that compare the bytes that are chosen for each; a frame is at least as long as the filter says."""
        card, found = self._card, 0
        for number in range(FLEXIBLE):
            length = card.filter_lengths[2 * number] & 0x7FF
            if not 0 < length <= min(len(frame), FLEXIBLE_BYTES):
                continue
            if all(
                card.filter_values[2 * at] >> 8 * number & 0xFF == frame[at]
                for at in range(length)
                if card.filter_masks[2 * at] >> number & 1
            ):
                found |= FLX << number
        return found
