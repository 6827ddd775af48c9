"""The registers (manual, chapter 13), as data. What they do is in the device and its parts."""

from __future__ import annotations

from typing import Annotated

from southbridge.annotations import Within
from southbridge.component import State
from southbridge.pci import IoBar
from southbridge.registers import RO, WO, bit, bits

from .statistics import BAR0, Statistics

Word = Annotated[int, Within(0, 0xFFFF_FFFF)]

ADDRESSES = 16
"""Entries of the receive address array."""
TABLE = 128
"""Words of the multicast and the VLAN table."""
RAH_MASK = 0x8003_FFFF
RAH_VALID = 1 << 31

CAUSES = {
    "TXDW": bit(0, doc="Transmit descriptor written back."),
    "TXQE": bit(1, doc="Transmit queue empty."),
    "LSC": bit(2, doc="Link status change."),
    "RXSEQ": bit(3, doc="Receive sequence error."),
    "RXDMT0": bit(4, doc="Receive descriptors minimum threshold reached."),
    "RESERVED_5": bit(5, doc="Of no meaning, but software may set it, as Linux's self-test does."),
    "RXO": bit(6, doc="Receiver overrun."),
    "RXT0": bit(7, doc="Receiver timer."),
    "RESERVED_8": bit(8, doc="The same."),
    "MDAC": bit(9, doc="MDI/O access complete."),
    "RXCFG": bit(10, doc="Receiving /C/ ordered sets."),
    "GPI": bits(11, 14, doc="General purpose interrupts."),
    "TXD_LOW": bit(15, doc="Transmit descriptor low threshold hit."),
    "SRPD": bit(16, doc="Small receive packet detected."),
}
TXDW, TXQE, LSC, RXDMT0, RXO, RXT0, MDAC, TXD_LOW, SRPD = (
    CAUSES[name].mask for name in ("TXDW", "TXQE", "LSC", "RXDMT0", "RXO", "RXT0", "MDAC", "TXD_LOW", "SRPD")
)


class Registers(Statistics):
    """All of them."""

    # --- general (13.4.1 to 13.4.16) -----------------------------------------------------------------------------

    CTRL = BAR0.register(
        0x00000,
        4,
        reset=0x0000_0241,
        fields={
            "FD": bit(0, doc="Full duplex, where it isn't negotiated."),
            "PRIOR": bit(2, doc="Priority on PCI; stored."),
            "LRST": bit(3, doc="Link reset; stored."),
            "ASDE": bit(5, doc="Auto-speed detection enable."),
            "SLU": bit(6, doc="Set link up."),
            "ILOS": bit(7, doc="Invert loss-of-signal; stored."),
            "SPEED": bits(8, 9, doc="Where it isn't negotiated: 10, 100, 1000 Mb/s."),
            "FRCSPD": bit(11, doc="Force speed."),
            "FRCDPLX": bit(12, doc="Force duplex."),
            "SDP": bits(18, 25, doc="Software definable pins 0 and 1, wake-up without power; stored."),
            "RST": bit(26, doc="Device reset; clears itself."),
            "RFCE": bit(27, doc="Receive flow control enable."),
            "TFCE": bit(28, doc="Transmit flow control enable."),
            "VME": bit(30, doc="VLAN mode enable: tags are stripped, and inserted where asked."),
            "PHY_RST": bit(31, doc="PHY reset."),
        },
        doc="Device control.",
    )
    STATUS = BAR0.register(
        0x00008,
        4,
        access=RO,
        fields={
            "FD": bit(0, doc="Full duplex."),
            "LU": bit(1, doc="Link up."),
            "TXOFF": bit(4, doc="Transmission paused."),
            "SPEED": bits(6, 7, doc="Link speed."),
            "ASDV": bits(8, 9, doc="Auto speed detection value."),
        },
        doc="Device status.",
    )
    EECD = BAR0.register(
        0x00010,
        4,
        reset=0x0000_0110,
        fields={
            "SK": bit(0, doc="Clock."),
            "CS": bit(1, doc="Chip select."),
            "DI": bit(2, doc="Data to the EEPROM."),
            "DO": bit(3, RO, doc="Data from the EEPROM."),
            "FWE": bits(4, 5, doc="Flash write enable; stored."),
            "REQ": bit(6, doc="Software asks for the EEPROM."),
            "GNT": bit(7, RO, doc="It has it."),
            "PRES": bit(8, RO, doc="An EEPROM is there."),
            "SIZE": bit(9, RO, doc="0: of 64 words."),
        },
        doc="EEPROM and flash control and data.",
    )
    EERD = BAR0.register(
        0x00014,
        4,
        fields={
            "START": bit(0, doc="Reads a word."),
            "DONE": bit(4, RO),
            "ADDR": bits(8, 15, doc="Its address."),
            "DATA": bits(16, 31, RO, doc="What it is."),
        },
        doc="EEPROM read.",
    )
    CTRL_EXT = BAR0.register(
        0x00018,
        4,
        fields={
            "PINS": bits(0, 11, doc="General purpose interrupts, software definable pins; stored."),
            "ASDCHK": bit(12, doc="Starts a speed detection; stored."),
            "EE_RST": bit(13, doc="Loads what comes from the EEPROM again; clears itself."),
            "SPD_BYPS": bit(15, doc="Speed select bypass."),
            "RO_DIS": bit(17, doc="Relaxed ordering disabled; stored."),
            "VREG_POWER_DOWN": bit(21, doc="Stored."),
            "LINK_MODE": bits(22, 23, doc="00: by the internal PHY; stored."),
        },
        doc="Extended device control.",
    )
    MDIC = BAR0.register(
        0x00020,
        4,
        reset=0x1000_0000,
        fields={
            "DATA": bits(0, 15),
            "REGADD": bits(16, 20, doc="The PHY's register."),
            "PHYADD": bits(21, 25, doc="1: the internal PHY."),
            "OP": bits(26, 27, doc="01: write, 10: read."),
            "R": bit(28, doc="Ready."),
            "I": bit(29, doc="Interrupt at the end."),
            "E": bit(30, RO, doc="Error: there is no such PHY."),
        },
        doc="MDI control: access to the PHY.",
    )
    FCAL = BAR0.register(0x00028, 4, reset=0x00C2_8001, doc="Flow control address, low.")
    FCAH = BAR0.register(0x0002C, 4, reset=0x0100, fields={"ADDRESS": bits(0, 15)}, doc="Flow control address, high.")
    FCT = BAR0.register(0x00030, 4, reset=0x8808, fields={"TYPE": bits(0, 15)}, doc="Flow control type.")
    VET = BAR0.register(0x00038, 4, reset=0x8100, fields={"TYPE": bits(0, 15)}, doc="VLAN Ethertype.")
    FCTTV = BAR0.register(0x00170, 4, fields={"TTV": bits(0, 15)}, doc="Flow control transmit timer value.")
    TXCW = BAR0.register(
        0x00178,
        4,
        fields={"CONFIG": bits(0, 15), "TX_CONFIG": bit(30), "ANE": bit(31)},
        doc="Transmit configuration word: of the fibre's auto-negotiation, which there is none of.",
    )
    RXCW = BAR0.register(0x00180, 4, access=RO, doc="Receive configuration word.")
    LEDCTL = BAR0.register(0x00E00, 4, reset=0x0706_8302, doc="LED control; stored.")
    PBA = BAR0.register(
        0x01000,
        4,
        reset=0x0010_0030,
        fields={"RXA": bits(0, 15, doc="For receiving, in KiB."), "TXA": bits(16, 31, RO, doc="The rest of 64.")},
        doc="Packet buffer allocation.",
    )

    # --- interrupts (13.4.17 to 13.4.21) -------------------------------------------------------------------------

    ICR = BAR0.register(0x000C0, 4, fields=CAUSES, doc="Interrupt cause read: reading it clears it.")
    ITR = BAR0.register(
        0x000C4,
        4,
        fields={"INTERVAL": bits(0, 15, doc="The least time between two, in 256 ns.")},
        doc="Interrupt throttling.",
    )
    ICS = BAR0.register(0x000C8, 4, access=WO, doc="Interrupt cause set.")
    IMS = BAR0.register(0x000D0, 4, fields=CAUSES, doc="Interrupt mask set; reads as the mask.")
    IMC = BAR0.register(0x000D8, 4, access=WO, doc="Interrupt mask clear.")

    # --- receiving (13.4.22 to 13.4.32, 13.5) --------------------------------------------------------------------

    RCTL = BAR0.register(
        0x00100,
        4,
        fields={
            "EN": bit(1, doc="Receiver enable."),
            "SBP": bit(2, doc="Store bad packets."),
            "UPE": bit(3, doc="Unicast promiscuous."),
            "MPE": bit(4, doc="Multicast promiscuous."),
            "LPE": bit(5, doc="Long packets."),
            "LBM": bits(6, 7, doc="Loopback mode."),
            "RDMTS": bits(8, 9, doc="Descriptor threshold: half, a quarter, an eighth of them."),
            "MO": bits(12, 13, doc="Which bits of a multicast address choose in its table."),
            "BAM": bit(15, doc="Broadcast accept mode."),
            "BSIZE": bits(16, 17, doc="Buffer size."),
            "VFE": bit(18, doc="VLAN filter enable."),
            "CFIEN": bit(19, doc="Canonical form indicator enable."),
            "CFI": bit(20, doc="What it must be."),
            "DPF": bit(22, doc="Discard pause frames."),
            "PMCF": bit(23, doc="Pass MAC control frames."),
            "BSEX": bit(25, doc="Buffer sizes are sixteen times as large."),
            "SECRC": bit(26, doc="Strip the CRC."),
        },
        doc="Receive control.",
    )
    FCRTL = BAR0.register(
        0x02160, 4, fields={"RTL": bits(3, 15), "XONE": bit(31)}, doc="Flow control receive threshold, low; stored."
    )
    FCRTH = BAR0.register(0x02168, 4, fields={"RTH": bits(3, 15)}, doc="Flow control receive threshold, high; stored.")
    RDBAL = BAR0.register(0x02800, 4, fields={"BASE": bits(4, 31)}, doc="Receive descriptor base address, low.")
    RDBAH = BAR0.register(0x02804, 4, doc="Receive descriptor base address, high.")
    RDLEN = BAR0.register(0x02808, 4, fields={"LEN": bits(7, 19)}, doc="Receive descriptor length, in bytes.")
    RDH = BAR0.register(0x02810, 4, fields={"HEAD": bits(0, 15)}, doc="Receive descriptor head.")
    RDT = BAR0.register(0x02818, 4, fields={"TAIL": bits(0, 15)}, tail_doorbell=True, doc="Receive descriptor tail.")
    RDTR = BAR0.register(
        0x02820,
        4,
        fields={"DELAY": bits(0, 15, doc="In 1.024 us."), "FPD": bit(31, WO, doc="Flushes what waits.")},
        doc="Receive delay timer.",
    )
    RXDCTL = BAR0.register(
        0x02828,
        4,
        reset=0x0001_0000,
        fields={"PTHRESH": bits(0, 5), "HTHRESH": bits(8, 13), "WTHRESH": bits(16, 21), "GRAN": bit(24)},
        doc="Receive descriptor control: when the hardware fetches and writes descriptors; stored.",
    )
    RADV = BAR0.register(
        0x0282C, 4, fields={"DELAY": bits(0, 15, doc="In 1.024 us.")}, doc="Receive interrupt absolute delay."
    )
    RSRPD = BAR0.register(0x02C00, 4, fields={"SIZE": bits(0, 11, doc="In bytes.")}, doc="Receive small packet detect.")
    RXCSUM = BAR0.register(
        0x05000,
        4,
        fields={
            "PCSS": bits(0, 7, doc="Where the packet checksum starts."),
            "IPOFL": bit(8, doc="IP checksums are checked."),
            "TUOFL": bit(9, doc="TCP and UDP checksums are checked."),
            "IPV6OFL": bit(10, doc="Over IPv6 too."),
        },
        doc="Receive checksum control.",
    )

    # --- transmitting (13.4.33 to 13.4.46) -----------------------------------------------------------------------

    TCTL = BAR0.register(
        0x00400,
        4,
        fields={
            "EN": bit(1, doc="Transmit enable."),
            "PSP": bit(3, doc="Pad short packets."),
            "CT": bits(4, 11, doc="Collision threshold; stored."),
            "COLD": bits(12, 21, doc="Collision distance; stored."),
            "SWXOFF": bit(22, doc="Sends an XOFF; clears itself."),
            "RTLC": bit(24, doc="Retransmit on late collision; stored."),
            "NRTU": bit(25, doc="No retransmission on underrun; stored."),
        },
        doc="Transmit control.",
    )
    TIPG = BAR0.register(
        0x00410,
        4,
        reset=0x0060_200A,
        fields={"IPGT": bits(0, 9), "IPGR1": bits(10, 19), "IPGR2": bits(20, 29)},
        doc="Transmit inter-packet gap; stored.",
    )
    AIT = BAR0.register(0x00458, 4, fields={"AIFS": bits(0, 15)}, doc="Adaptive inter-frame spacing; stored.")
    TXDMAC = BAR0.register(0x03000, 4, fields={"DPP": bit(0)}, doc="Transmit DMA control; stored.")
    TDBAL = BAR0.register(0x03800, 4, fields={"BASE": bits(4, 31)}, doc="Transmit descriptor base address, low.")
    TDBAH = BAR0.register(0x03804, 4, doc="Transmit descriptor base address, high.")
    TDLEN = BAR0.register(0x03808, 4, fields={"LEN": bits(7, 19)}, doc="Transmit descriptor length, in bytes.")
    TDH = BAR0.register(0x03810, 4, fields={"HEAD": bits(0, 15)}, doc="Transmit descriptor head.")
    TDT = BAR0.register(0x03818, 4, fields={"TAIL": bits(0, 15)}, tail_doorbell=True, doc="Transmit descriptor tail.")
    TIDV = BAR0.register(
        0x03820, 4, fields={"DELAY": bits(0, 15, doc="In 1.024 us.")}, doc="Transmit interrupt delay value."
    )
    TXDCTL = BAR0.register(
        0x03828,
        4,
        fields={
            "PTHRESH": bits(0, 5),
            "HTHRESH": bits(8, 13),
            "WTHRESH": bits(16, 21),
            "GRAN": bit(24),
            "LWTHRESH": bits(25, 31, doc="In eights: TXD_LOW when so many are left."),
        },
        doc="Transmit descriptor control.",
    )
    TADV = BAR0.register(
        0x0382C, 4, fields={"DELAY": bits(0, 15, doc="In 1.024 us.")}, doc="Transmit absolute interrupt delay value."
    )
    TSPMT = BAR0.register(
        0x03830,
        4,
        reset=0x0100_0400,
        fields={"TSMT": bits(0, 15), "TSPBP": bits(16, 31)},
        doc="TCP segmentation pad and minimum threshold; stored.",
    )

    # --- filters (13.5) ------------------------------------------------------------------------------------------

    MTA = BAR0.window(0x05200, 4 * TABLE, widths=(4,), doc="Multicast table array.")
    RA = BAR0.window(0x05400, 8 * ADDRESSES, widths=(4,), doc="Receive addresses: RAL and RAH of each.")
    VFTA = BAR0.window(0x05600, 4 * TABLE, widths=(4,), doc="VLAN filter table array.")

    multicast: list[Word] = State([0] * TABLE, min_length=TABLE, max_length=TABLE, doc="MTA.")
    addresses: list[Word] = State([0] * 2 * ADDRESSES, min_length=2 * ADDRESSES, max_length=2 * ADDRESSES, doc="RA.")
    vlans: list[Word] = State([0] * TABLE, min_length=TABLE, max_length=TABLE, doc="VFTA.")

    # --- wake-up (13.6) ------------------------------------------------------------------------------------------

    WUC = BAR0.register(
        0x05800,
        4,
        fields={"APME": bit(0), "PME_EN": bit(1), "PME_STATUS": bit(2), "APMPME": bit(3), "SPM": bit(31)},
        doc="Wake-up control.",
    )
    WUFC = BAR0.register(
        0x05808,
        4,
        fields={
            "LNKC": bit(0, doc="Link status change."),
            "MAG": bit(1, doc="Magic packet."),
            "EX": bit(2, doc="Directed exact."),
            "MC": bit(3, doc="Directed multicast."),
            "BC": bit(4, doc="Broadcast."),
            "ARP": bit(5),
            "IPV4": bit(6, doc="Directed IPv4."),
            "IPV6": bit(7, doc="Directed IPv6."),
            "IGNORE_TCO": bit(15),
            "FLX": bits(16, 19, doc="Flexible filters."),
        },
        doc="Wake-up filter control.",
    )
    WUS = BAR0.register(0x05810, 4, fields={"CAUSES": bits(0, 7), "FLX": bits(16, 19)}, doc="Wake-up status.")
    IPAV = BAR0.register(0x05838, 4, fields={"V4": bits(0, 3), "V6": bit(16)}, doc="IP address valid.")
    IP4AT = BAR0.window(0x05840, 0x20, widths=(4,), doc="IPv4 address table.")
    IP6AT = BAR0.window(0x05880, 0x10, widths=(4,), doc="IPv6 address table.")
    WUPL = BAR0.register(0x05900, 4, access=RO, doc="Wake-up packet length.")
    WUPM = BAR0.window(0x05A00, 0x80, widths=(4,), doc="Wake-up packet memory.")
    FFLT = BAR0.window(0x05F00, 0x20, widths=(4,), doc="Flexible filter length table.")
    FFMT = BAR0.window(0x09000, 0x400, widths=(4,), doc="Flexible filter mask table.")
    FFVT = BAR0.window(0x09800, 0x400, widths=(4,), doc="Flexible filter value table.")

    ipv4_table: list[Word] = State([0] * 8, min_length=8, max_length=8, doc="IP4AT.")
    ipv6_table: list[Word] = State([0] * 4, min_length=4, max_length=4, doc="IP6AT.")
    wakeup_packet: list[Word] = State([0] * 32, min_length=32, max_length=32, doc="WUPM.")
    filter_lengths: list[Word] = State([0] * 8, min_length=8, max_length=8, doc="FFLT.")
    filter_masks: list[Word] = State([0] * 256, min_length=256, max_length=256, doc="FFMT.")
    filter_values: list[Word] = State([0] * 256, min_length=256, max_length=256, doc="FFVT.")

    # --- diagnostics (13.8) --------------------------------------------------------------------------------------

    RDFH = BAR0.register(0x02410, 4, fields={"FIFO": bits(0, 12)}, doc="Receive data FIFO head; stored.")
    RDFT = BAR0.register(0x02418, 4, fields={"FIFO": bits(0, 12)}, doc="Receive data FIFO tail; stored.")
    RDFHS = BAR0.register(0x02420, 4, fields={"FIFO": bits(0, 12)}, doc="Receive data FIFO head, saved; stored.")
    RDFTS = BAR0.register(0x02428, 4, fields={"FIFO": bits(0, 12)}, doc="Receive data FIFO tail, saved; stored.")
    RDFPC = BAR0.register(0x02430, 4, fields={"FIFO": bits(0, 12)}, doc="Packets in the receive data FIFO; stored.")
    TDFH = BAR0.register(0x03410, 4, fields={"FIFO": bits(0, 10)}, doc="Transmit data FIFO head; stored.")
    TDFT = BAR0.register(0x03418, 4, fields={"FIFO": bits(0, 10)}, doc="Transmit data FIFO tail; stored.")
    TDFHS = BAR0.register(0x03420, 4, fields={"FIFO": bits(0, 10)}, doc="Transmit data FIFO head, saved; stored.")
    TDFTS = BAR0.register(0x03428, 4, fields={"FIFO": bits(0, 10)}, doc="Transmit data FIFO tail, saved; stored.")
    TDFPC = BAR0.register(0x03430, 4, fields={"FIFO": bits(0, 10)}, doc="Packets in the transmit data FIFO; stored.")
    PBM = BAR0.window(0x10000, 0x10000, widths=(4,), doc="Packet buffer memory: reads as zeros.")

    # --- the I/O window (13.2.2) ---------------------------------------------------------------------------------

    bar2 = IoBar(64, doc="Two ports by which the registers are reached from I/O space.")
    IOADDR = bar2.register(0x0, 4, doc="The offset of a register.")
    IODATA = bar2.register(0x4, 4, doc="That register.")
