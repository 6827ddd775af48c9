"""The registers that come in tables, and the window from I/O space."""

from __future__ import annotations

from .filters import Filters
from .registers import RAH_MASK, Registers

WINDOW_END = 0x2_0000


class Tables(Registers):
    """What is behind them."""

    filters: Filters

    @Registers.MTA.read
    def _read_multicast(self, offset: int, size: int) -> int:
        return self.multicast[offset >> 2]

    @Registers.MTA.write
    def _write_multicast(self, offset: int, size: int, value: int) -> None:
        self.multicast[offset >> 2] = value

    @Registers.RA.read
    def _read_address(self, offset: int, size: int) -> int:
        return self.addresses[offset >> 2]

    @Registers.RA.write
    def _write_address(self, offset: int, size: int, value: int) -> None:
        self.addresses[offset >> 2] = value & RAH_MASK if offset & 4 else value
        self.filters.addresses_changed()

    @Registers.VFTA.read
    def _read_vlan(self, offset: int, size: int) -> int:
        return self.vlans[offset >> 2]

    @Registers.VFTA.write
    def _write_vlan(self, offset: int, size: int, value: int) -> None:
        self.vlans[offset >> 2] = value

    @Registers.IP4AT.read
    def _read_ipv4(self, offset: int, size: int) -> int:
        return self.ipv4_table[offset >> 2]

    @Registers.IP4AT.write
    def _write_ipv4(self, offset: int, size: int, value: int) -> None:
        self.ipv4_table[offset >> 2] = value

    @Registers.IP6AT.read
    def _read_ipv6(self, offset: int, size: int) -> int:
        return self.ipv6_table[offset >> 2]

    @Registers.IP6AT.write
    def _write_ipv6(self, offset: int, size: int, value: int) -> None:
        self.ipv6_table[offset >> 2] = value

    @Registers.WUPM.read
    def _read_wakeup_packet(self, offset: int, size: int) -> int:
        return self.wakeup_packet[offset >> 2]

    @Registers.FFLT.read
    def _read_filter_length(self, offset: int, size: int) -> int:
        return self.filter_lengths[offset >> 2]

    @Registers.FFLT.write
    def _write_filter_length(self, offset: int, size: int, value: int) -> None:
        self.filter_lengths[offset >> 2] = value

    @Registers.FFMT.read
    def _read_filter_mask(self, offset: int, size: int) -> int:
        return self.filter_masks[offset >> 2]

    @Registers.FFMT.write
    def _write_filter_mask(self, offset: int, size: int, value: int) -> None:
        self.filter_masks[offset >> 2] = value

    @Registers.FFVT.read
    def _read_filter_value(self, offset: int, size: int) -> int:
        return self.filter_values[offset >> 2]

    @Registers.FFVT.write
    def _write_filter_value(self, offset: int, size: int, value: int) -> None:
        self.filter_values[offset >> 2] = value

    @Registers.PBM.read
    def _read_packet_buffer(self, offset: int, size: int) -> int:
        return 0

    @Registers.PBM.write
    def _write_packet_buffer(self, offset: int, size: int, value: int) -> None:
        """Nothing that could be read back is there."""

    @Registers.IODATA.read
    def _read_by_window(self) -> int:
        offset = self.IOADDR.value
        if not self._in_window(offset):
            return 0xFFFF_FFFF
        return self.bar0.read(offset, 4)

    @Registers.IODATA.write
    def _write_by_window(self, value: int) -> None:
        offset = self.IOADDR.value
        if self._in_window(offset):
            self.bar0.write(offset, 4, value)

    def _in_window(self, offset: int) -> bool:
        if offset >= WINDOW_END or offset & 3:
            self.guest_error(f"IODATA: IOADDR {offset:#x} is no register's (section 13.2.2)")
            return False
        return True
