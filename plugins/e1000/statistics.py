"""The statistics registers (manual, section 13.7). Each is cleared by being read, and stops at its largest value.

All of them are counted in frames or, the octets, in bytes with the frame check sequence.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from southbridge.pci import MmioBar, PciDevice
from southbridge.registers import RC, RO, Register, RegisterSpec
from southbridge.units import KiB

BAR0 = MmioBar(128 * KiB, doc="The registers.")
"""Declared here, as these registers come first in the chain of classes."""
MASK_32 = 0xFFFF_FFFF
MASK_64 = 0xFFFF_FFFF_FFFF_FFFF
FCS = 4
_EVEN = bytes(range(0, 256, 2))

_SIZES = (64, 127, 255, 511, 1023)
"""Frames of up to so many bytes have a counter, longer ones have the last."""
_SENT = ("PTC64", "PTC127", "PTC255", "PTC511", "PTC1023", "PTC1522")
_RECEIVED = tuple(name.replace("PTC", "PRC") for name in _SENT)


def _counter(offset: int, doc: str) -> RegisterSpec:
    return BAR0.register(offset, 4, access=RC, doc=doc)


def _low(offset: int, doc: str) -> RegisterSpec:
    return BAR0.register(offset, 4, access=RO, doc=f"{doc}: the low half, which stays until the high one is read.")


def _high(offset: int, doc: str) -> RegisterSpec:
    return BAR0.register(offset, 4, access=RO, doc=f"{doc}: the high half; reading it clears both.")


class Statistics(PciDevice):
    """The counters, and what counts."""

    bar0 = BAR0
    CRCERRS = _counter(0x04000, "CRC errors.")
    ALGNERRC = _counter(0x04004, "Alignment errors.")
    SYMERRS = _counter(0x04008, "Symbol errors.")
    RXERRC = _counter(0x0400C, "Receive errors.")
    MPC = _counter(0x04010, "Missed packets: there was no room in the packet buffer.")
    SCC = _counter(0x04014, "Single collisions.")
    ECOL = _counter(0x04018, "Excessive collisions.")
    MCC = _counter(0x0401C, "Multiple collisions.")
    LATECOL = _counter(0x04020, "Late collisions.")
    COLC = _counter(0x04028, "Collisions.")
    DC = _counter(0x04030, "Deferred.")
    TNCRS = _counter(0x04034, "Transmitted without carrier sense.")
    SEC = _counter(0x04038, "Sequence errors.")
    CEXTERR = _counter(0x0403C, "Carrier extension errors.")
    RLEC = _counter(0x04040, "Receive length errors.")
    XONRXC = _counter(0x04048, "XON received.")
    XONTXC = _counter(0x0404C, "XON transmitted.")
    XOFFRXC = _counter(0x04050, "XOFF received.")
    XOFFTXC = _counter(0x04054, "XOFF transmitted.")
    FCRUC = _counter(0x04058, "Flow control frames of an unsupported kind received.")
    PRC64 = _counter(0x0405C, "Packets received of 64 bytes.")
    PRC127 = _counter(0x04060, "Packets received of 65 to 127 bytes.")
    PRC255 = _counter(0x04064, "Packets received of 128 to 255 bytes.")
    PRC511 = _counter(0x04068, "Packets received of 256 to 511 bytes.")
    PRC1023 = _counter(0x0406C, "Packets received of 512 to 1023 bytes.")
    PRC1522 = _counter(0x04070, "Packets received of 1024 bytes and more.")
    GPRC = _counter(0x04074, "Good packets received.")
    BPRC = _counter(0x04078, "Broadcast packets received.")
    MPRC = _counter(0x0407C, "Multicast packets received.")
    GPTC = _counter(0x04080, "Good packets transmitted.")
    GORCL = _low(0x04088, "Good octets received")
    GORCH = _high(0x0408C, "Good octets received")
    GOTCL = _low(0x04090, "Good octets transmitted")
    GOTCH = _high(0x04094, "Good octets transmitted")
    RNBC = _counter(0x040A0, "Receive no buffers: a packet had to wait for descriptors.")
    RUC = _counter(0x040A4, "Receive undersize.")
    RFC = _counter(0x040A8, "Receive fragments.")
    ROC = _counter(0x040AC, "Receive oversize.")
    RJC = _counter(0x040B0, "Receive jabber.")
    MGTPRC = _counter(0x040B4, "Management packets received.")
    MGTPDC = _counter(0x040B8, "Management packets dropped.")
    MGTPTC = _counter(0x040BC, "Management packets transmitted.")
    TORL = _low(0x040C0, "Total octets received")
    TORH = _high(0x040C4, "Total octets received")
    TOTL = _low(0x040C8, "Total octets transmitted")
    TOTH = _high(0x040CC, "Total octets transmitted")
    TPR = _counter(0x040D0, "Total packets received, those that no filter wanted included.")
    TPT = _counter(0x040D4, "Total packets transmitted.")
    PTC64 = _counter(0x040D8, "Packets transmitted of 64 bytes.")
    PTC127 = _counter(0x040DC, "Packets transmitted of 65 to 127 bytes.")
    PTC255 = _counter(0x040E0, "Packets transmitted of 128 to 255 bytes.")
    PTC511 = _counter(0x040E4, "Packets transmitted of 256 to 511 bytes.")
    PTC1023 = _counter(0x040E8, "Packets transmitted of 512 to 1023 bytes.")
    PTC1522 = _counter(0x040EC, "Packets transmitted of 1024 bytes and more.")
    MPTC = _counter(0x040F0, "Multicast packets transmitted.")
    BPTC = _counter(0x040F4, "Broadcast packets transmitted.")
    TSCTC = _counter(0x040F8, "TCP segmentation contexts transmitted.")
    TSCTFC = _counter(0x040FC, "TCP segmentation contexts that failed.")

    # --- counting ------------------------------------------------------------------------------------------------

    def count(self, name: str, number: int = 1) -> None:
        """Adds to a counter by its name."""
        _add(vars(self)[name], number)

    def count_octets(self, name: str, number: int) -> None:
        """Adds to one of 64 bits: "GORC", "GOTC", "TOR", "TOT"."""
        attributes = vars(self)
        _add_octets(attributes[f"{name}L"], attributes[f"{name}H"], number)

    def count_transmitted(self, length: int, destination: int, packets: int = 1) -> None:
        """Frames of `length` bytes went out, to an address with this first byte (FFh: to everybody)."""
        octets = packets * (length + FCS)
        _add(self.GPTC, packets)
        _add(self.TPT, packets)
        _add(vars(self)[_SENT[bisect_left(_SIZES, length + FCS)]], packets)
        _add_octets(self.GOTCL, self.GOTCH, octets)
        _add_octets(self.TOTL, self.TOTH, octets)
        if destination & 1:
            _add(self.BPTC if destination == 0xFF else self.MPTC, packets)

    def count_run_transmitted(
        self, packets: int, octets: int, lengths: Sequence[tuple[int, int]], destinations: bytes
    ) -> None:
        """Frames went out, of so many bytes together: lengths, and how many of each; the first bytes of their
        destinations.
        """
        octets += packets * FCS
        _add(self.GPTC, packets)
        _add(self.TPT, packets)
        _add_octets(self.GOTCL, self.GOTCH, octets)
        _add_octets(self.TOTL, self.TOTH, octets)
        for length, number in lengths:
            _add(vars(self)[_SENT[bisect_left(_SIZES, length + FCS)]], number)
        self._count_groups(self.BPTC, self.MPTC, destinations)

    def count_received(self, lengths: Sequence[int], destinations: bytes | bytearray) -> None:
        """Good frames came that a filter wanted: their lengths, and the first bytes of their destinations."""
        _add(self.GPRC, len(lengths))
        _add_octets(self.GORCL, self.GORCH, sum(lengths) + len(lengths) * FCS)
        alike = lengths.count(lengths[0]) == len(lengths)
        for length, number in ((lengths[0], len(lengths)),) if alike else Counter(lengths).items():
            _add(vars(self)[_RECEIVED[bisect_left(_SIZES, length + FCS)]], number)
        self._count_groups(self.BPRC, self.MPRC, destinations)

    def _count_groups(self, broadcasts: Register, multicasts: Register, destinations: bytes | bytearray) -> None:
        groups = destinations.translate(None, _EVEN)
        if groups:
            everybody = groups.count(0xFF)
            _add(broadcasts, everybody)
            _add(multicasts, len(groups) - everybody)

    # --- reading -------------------------------------------------------------------------------------------------

    @GORCH.read
    def _read_gorch(self) -> int:
        return self._taken("GORC")

    @GOTCH.read
    def _read_gotch(self) -> int:
        return self._taken("GOTC")

    @TORH.read
    def _read_torh(self) -> int:
        return self._taken("TOR")

    @TOTH.read
    def _read_toth(self) -> int:
        return self._taken("TOT")

    def _taken(self, name: str) -> int:
        attributes = vars(self)
        low, high = attributes[f"{name}L"], attributes[f"{name}H"]
        value: int = high.value
        low.value = high.value = 0
        return value


def _add(register: Register, number: int) -> None:
    total = register.value + number
    register.value = total if total <= MASK_32 else MASK_32


def _add_octets(low: Register, high: Register, number: int) -> None:
    total = low.value + number
    if total <= MASK_32:
        low.value = total
    else:
        total = min(total + (high.value << 32), MASK_64)
        low.value, high.value = total & MASK_32, total >> 32
