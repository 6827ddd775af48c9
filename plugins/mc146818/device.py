"""Motorola MC146818A real-time clock plus RAM (datasheet ADI1007) as a PC has it, at ports 70h and 71h.

Nothing runs while nobody looks: time, flags and interrupts follow from the machine clock when the guest reads them. A
timer is set only for an interrupt that the guest has enabled.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated

from southbridge.acpi import AcpiTables, eisa_id
from southbridge.acpi.resources import io, irq, resource_template
from southbridge.acpi.terms import device, name
from southbridge.annotations import Converted
from southbridge.banks import PortBank
from southbridge.clock import MICROSECOND, SECOND
from southbridge.component import State, timer
from southbridge.device import Device
from southbridge.errors import RealizeError
from southbridge.hookspecs import hookimpl
from southbridge.interrupts import Pin
from southbridge.properties import Property
from southbridge.registers import RC, RO, bit, bits

from .calendar import Format, Moment, seconds_until
from .settings import MORE_CPUS, boot_settings, disk_settings, floppy_settings, memory_settings, more_cpus

PORTS, IRQ = 0x70, 8
UPDATE_WARNING = 244 * MICROSECOND
"""How long before an update UIP announces it."""
TICK, TICKS = 1_953_125, 64
"""A period of the 32768 Hz crystal: 1953125/64 ns."""
CENTURY, PS2_CENTURY = 0x32, 0x37
"""The century's place, and the one that IBM's PS/2 had it at, which leads to the same."""
SHUTDOWN_STATUS, RESUMES = 0x0F, 0xFE
"""Where firmware finds why the CPU was reset, and what says that the machine slept (QEMU's and SeaBIOS's)."""
NVRAM, NVRAM_SIZE = 0x0E, 0x72
CLOCK_REGISTERS = (*range(NVRAM), CENTURY)


def _base(value: object) -> str:
    if isinstance(value, date):
        value = value.isoformat()
    if not isinstance(value, str):
        raise ValueError("expected utc, localtime, or a date such as 2000-01-01T12:00:00")
    if value not in ("utc", "localtime"):
        try:
            datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"expected utc, localtime, or a date such as 2000-01-01T12:00:00, not {value!r}") from None
    return value


Base = Annotated[str, Converted(_base, {"type": "string", "examples": ["utc", "localtime"]})]


class Mc146818(Device):
    """The clock, its alarm and periodic interrupt on IRQ 8, and 114 bytes of memory that keep their contents."""

    base: Base = Property(
        "utc",
        examples=["2000-01-01T12:00:00", "utc", "localtime"],
        doc="The time at the start: the host's in utc or localtime, or a date such as 2000-01-01T12:00:00.",
    )
    boot_order: str = Property(
        "cad",
        pattern="^[acdn]{1,3}$",
        doc="What the firmware boots from, first to last: c hard disk, d CD-ROM, a floppy, n network.",
    )

    boot_once: str = Property(
        "", pattern="^[acdn]{0,3}$", doc="The same, until the machine is reset for the first time."
    )
    check_floppies: bool = Property(True, doc="Firmware boots no floppy disk without the signature of a boot sector.")

    ports = PortBank(2)
    INDEX = ports.register(
        0,
        fields={"ADDRESS": bits(0, 6), "NMI_DISABLE": bit(7)},
        coalesced=True,
        doc="Which register or byte of memory DATA is; reads as ones.",
    )
    DATA = ports.register(1, doc="The register or byte of memory that INDEX chooses.")

    cmos = PortBank(0x80, internal=True, doc="What INDEX chooses from.")
    SECONDS = cmos.register(0x00, reset=None, doc="0 to 59.")
    SECONDS_ALARM = cmos.register(0x01, reset=None, doc="When the alarm goes; C0h and above: at any.")
    MINUTES = cmos.register(0x02, reset=None, doc="0 to 59.")
    MINUTES_ALARM = cmos.register(0x03, reset=None, doc="As SECONDS_ALARM.")
    HOURS = cmos.register(0x04, reset=None, doc="0 to 23, or 1 to 12 with bit 7 for PM.")
    HOURS_ALARM = cmos.register(0x05, reset=None, doc="As SECONDS_ALARM.")
    DAY_OF_WEEK = cmos.register(0x06, reset=None, doc="1: Sunday.")
    DATE_OF_MONTH = cmos.register(0x07, reset=None, doc="1 to 31.")
    MONTH = cmos.register(0x08, reset=None, doc="1 to 12.")
    YEAR = cmos.register(0x09, reset=None, doc="0 to 99.")
    REGISTER_A = cmos.register(
        0x0A,
        reset=None,
        fields={
            "RS": bits(0, 3, doc="Rate of the periodic interrupt."),
            "DV": bits(4, 6, doc="Divider: 2: 32768 Hz; 6 and 7: held in reset."),
            "UIP": bit(7, RO, doc="An update comes within 244 us."),
        },
        doc="Divider and rate.",
    )
    REGISTER_B = cmos.register(
        0x0B,
        reset=None,
        fields={
            "DSE": bit(0, doc="Daylight saving; only kept."),
            "HOURS_24": bit(1),
            "DM": bit(2, doc="Binary numbers, instead of BCD."),
            "SQWE": bit(3, doc="Square wave output; only kept."),
            "UIE": bit(4, doc="Update-ended interrupt."),
            "AIE": bit(5, doc="Alarm interrupt."),
            "PIE": bit(6, doc="Periodic interrupt."),
            "SET": bit(7, doc="No updates: the guest sets the time."),
        },
        doc="Format, and what interrupts.",
    )
    REGISTER_C = cmos.register(
        0x0C,
        fields={"UF": bit(4, RC), "AF": bit(5, RC), "PF": bit(6, RC), "IRQF": bit(7, RO)},
        doc="Interrupt flags.",
    )
    REGISTER_D = cmos.register(
        0x0D, reset=0x80, access=RO, fields={"VRT": bit(7, RO, doc="Power never failed.")}, doc="Power."
    )
    CENTURY = cmos.register(0x32, reset=None, doc="The year's first two digits.")
    MEMORY = cmos.window(NVRAM, NVRAM_SIZE, widths=(1,), doc="Memory for the firmware.")

    nvram: bytes = State(bytes(NVRAM_SIZE), keep=True, min_length=NVRAM_SIZE, max_length=NVRAM_SIZE)
    booted_once: bool = State(False, keep=True, doc="`boot_once` has had its turn, or there was none.")
    set_up: bool = State(False, keep=True, doc="The firmware's settings were stored.")
    updated: int = State(0, keep=True, doc="When the last update was, in ns of the machine clock; the divider's phase.")
    looked: int = State(0, keep=True, doc="Up to when the flags show what happened, in ns of the machine clock.")

    # --- life ----------------------------------------------------------------------------------------------------

    alarm: Pin | None = None

    def realize(self) -> None:
        """Takes its ports and IRQ 8, and sets the clock."""
        for order in (self.boot_order, self.boot_once):
            if len(set(order)) < len(order):
                raise RealizeError(f"{self.id}: boot_order {order!r} names a device twice")
        self.claim_ports(self.ports, PORTS)
        self.interrupt = self.claim_irq(IRQ)
        self.alarm = self.machine.power.alarm.pin()
        self.REGISTER_A.value = 0x26
        self.REGISTER_B.value = 0x02
        start = self.start_time()
        self.looked = self.clock.now()
        self.updated = self.looked - start.microsecond * MICROSECOND
        self._store(
            Moment(
                start.second,
                start.minute,
                start.hour,
                start.isoweekday() % 7 + 1,
                start.day,
                start.month,
                start.year,
            )
        )

    def start_time(self) -> datetime:
        """The time that the clock starts with."""
        if self.base == "utc":
            return self.host_time()
        if self.base == "localtime":
            return self.host_time().astimezone()
        return datetime.fromisoformat(self.base)

    def host_time(self) -> datetime:
        """The host's time: looked at once. From then on the machine clock counts."""
        return datetime.now(UTC)

    def unrealize(self) -> None:
        """Nobody waits for an alarm any more."""
        if self.alarm is not None:
            self.alarm.set(False)
        super().unrealize()

    def acpi(self, tables: AcpiTables) -> None:
        """The clock, and where it keeps the century."""
        resources = [io(PORTS, 2), irq(IRQ)]
        tables.isa(device("RTC", name("_HID", eisa_id("PNP0B00")), name("_CRS", resource_template(*resources))))
        tables.century = CENTURY

    def reset(self) -> None:
        """RESET switches the interrupts off; time, date and memory stay."""
        self._catch_up()
        super().reset()
        enabled = self.REGISTER_B
        enabled.PIE = enabled.AIE = enabled.UIE = enabled.SQWE = 0
        if not self.set_up:
            self.set_up = True
            self.booted_once = not self.boot_once
            self._set_up()
        elif not self.booted_once:
            self.booted_once = True
            self._store_settings(boot_settings(self.boot_order, check_floppies=self.check_floppies))
        self._follow()

    def _set_up(self) -> None:
        """Stores what the machine is."""
        machine = self.machine
        config = machine.firmware_config
        self._store_settings(memory_settings(machine.memory_map))
        self._store_settings(floppy_settings(config.floppy_drives))
        self._store_settings(disk_settings(config.disks))
        self._store_settings(boot_settings(self.boot_once or self.boot_order, check_floppies=self.check_floppies))
        self._store_settings({MORE_CPUS: more_cpus(len(machine.cpus.plugged))})

    def _store_settings(self, settings: dict[int, bytes]) -> None:
        for address, contents in settings.items():
            self._remember(address - NVRAM, contents)

    def loaded(self) -> None:
        """The line and the timer follow from the flags."""
        self._follow()

    @hookimpl
    def cpu_plugged(self) -> None:
        """Firmware waits for as many CPUs as there are."""
        self._remember(MORE_CPUS - NVRAM, more_cpus(len(self.machine.cpus.plugged)))

    @hookimpl
    def machine_suspended(self) -> None:
        """Leaves the note by which firmware knows that it is to go on, and not to begin."""
        self._remember(SHUTDOWN_STATUS - NVRAM, bytes([RESUMES]))

    # --- accesses ------------------------------------------------------------------------------------------------

    @INDEX.read
    def read_index(self) -> int:
        """Nothing drives the bus: firmware reads it to pass time."""
        return 0xFF

    @DATA.read
    def read_data(self) -> int:
        """What INDEX chose."""
        address = self._address()
        if address not in CLOCK_REGISTERS:
            return self.cmos.read(address, 1)
        self._catch_up()
        value = self.cmos.read(address, 1)
        self._follow()
        return value

    @DATA.write
    def write_data(self, value: int) -> None:
        """What INDEX chose."""
        address = self._address()
        self._catch_up()
        self.cmos.write(address, 1, value)
        self._follow()

    def _address(self) -> int:
        chosen: int = self.INDEX.ADDRESS
        return CENTURY if chosen == PS2_CENTURY else chosen

    @MEMORY.read
    def read_memory(self, offset: int, size: int) -> int:
        """A byte."""
        return self.nvram[offset]

    @MEMORY.write
    def write_memory(self, offset: int, size: int, value: int) -> None:
        """A byte."""
        self._remember(offset, bytes([value]))

    def _remember(self, offset: int, contents: bytes) -> None:
        self.nvram = self.nvram[:offset] + contents + self.nvram[offset + len(contents) :]

    @REGISTER_A.read
    def read_a(self) -> int:
        """UIP comes from the divider."""
        self.REGISTER_A.UIP = self._updates() and self.clock.now() >= self.updated + SECOND - UPDATE_WARNING
        return self.REGISTER_A.value

    @REGISTER_A.write
    def write_a(self, value: int) -> None:
        """A divider that leaves its reset is half a second before the next update."""
        was_running = self._runs()
        self.REGISTER_A.guest_store(value)
        if self._runs() and not was_running:
            self.looked = self.clock.now()
            self.updated = self.looked - SECOND // 2

    @REGISTER_B.written
    def written_b(self, value: int) -> None:
        """SET switches the update-ended interrupt off."""
        if self.REGISTER_B.SET:
            self.REGISTER_B.UIE = 0

    @REGISTER_C.read
    def read_c(self) -> int:
        """The flags, which this clears."""
        value = self.REGISTER_C.value
        self.REGISTER_C.value = 0
        return value

    # --- time ----------------------------------------------------------------------------------------------------

    def _runs(self) -> bool:
        return self.REGISTER_A.DV < 6

    def _updates(self) -> bool:
        return self._runs() and not self.REGISTER_B.SET

    def _format(self) -> Format:
        return Format(bool(self.REGISTER_B.DM), bool(self.REGISTER_B.HOURS_24))

    def _moment(self) -> Moment:
        form = self._format()
        decode = form.decode
        return Moment(
            decode(self.SECONDS.value),
            decode(self.MINUTES.value),
            form.decode_hour(self.HOURS.value),
            decode(self.DAY_OF_WEEK.value),
            decode(self.DATE_OF_MONTH.value),
            decode(self.MONTH.value),
            decode(self.CENTURY.value) * 100 + decode(self.YEAR.value),
        )

    def _store(self, moment: Moment) -> None:
        form = self._format()
        encode = form.encode
        self.SECONDS.value = encode(moment.second)
        self.MINUTES.value = encode(moment.minute)
        self.HOURS.value = form.encode_hour(moment.hour)
        self.DAY_OF_WEEK.value = encode(moment.weekday)
        self.DATE_OF_MONTH.value = encode(moment.date)
        self.MONTH.value = encode(moment.month)
        self.YEAR.value = encode(moment.year % 100)
        self.CENTURY.value = encode(moment.year // 100)

    def _until_alarm(self, second_of_day: int) -> int | None:
        form = self._format()
        return seconds_until(
            second_of_day,
            form.matching_hours(self.HOURS_ALARM.value),
            form.matching(self.MINUTES_ALARM.value, 60),
            form.matching(self.SECONDS_ALARM.value, 60),
        )

    def _periods(self, when: int) -> int:
        """How many periods of the periodic interrupt there were from the last update to `when`."""
        return (when - self.updated) * TICKS // (TICK * self._period())

    def _period(self) -> int:
        """Of the periodic interrupt, in ticks; it isn't off."""
        rate = self.REGISTER_A.RS
        return 1 << (rate + 6 if rate < 3 else rate - 1)

    def _catch_up(self) -> None:
        """Brings time and flags up to the present."""
        if not self._runs():
            return
        now = self.clock.now()
        flags = self.REGISTER_C
        if self.REGISTER_A.RS and self._periods(now) > self._periods(self.looked):
            flags.PF = 1
        self.looked = now
        seconds = (now - self.updated) // SECOND
        if seconds <= 0:
            return
        self.updated += seconds * SECOND
        if self.REGISTER_B.SET:
            return
        moment = self._moment()
        until_alarm = self._until_alarm(moment.second_of_day)
        if until_alarm is not None and until_alarm <= seconds:
            flags.AF = 1
        flags.UF = 1
        moment.advance(seconds)
        self._store(moment)

    # --- interrupts ----------------------------------------------------------------------------------------------

    @timer
    def event(self) -> None:
        """An interrupt that the guest enabled is due."""
        self._catch_up()
        self._follow()

    def _follow(self) -> None:
        """Makes the interrupt line and the timer follow from the registers."""
        flags, enabled = self.REGISTER_C, self.REGISTER_B
        flags.IRQF = flags.PF & enabled.PIE | flags.AF & enabled.AIE | flags.UF & enabled.UIE
        self.interrupt.set(flags.IRQF)
        if self.alarm is not None:
            self.alarm.set(flags.AF & enabled.AIE)
        due = self._next_interrupt()
        if due is None:
            self.event.cancel()
        else:
            self.event.at(due)

    def _next_interrupt(self) -> int | None:
        """When an enabled interrupt comes, in ns of the machine clock. After one, until it is seen, only the alarm."""
        if not self._runs():
            return None
        enabled, came = self.REGISTER_B, self.REGISTER_C
        times = []
        if enabled.PIE and self.REGISTER_A.RS and not came.IRQF:
            periods = self._periods(self.looked) + 1
            times.append(self.updated - -periods * self._period() * TICK // TICKS)
        if self._updates():
            if enabled.UIE and not came.IRQF:
                times.append(self.updated + SECOND)
            if enabled.AIE and not came.AF:
                until_alarm = self._until_alarm(self._moment().second_of_day)
                if until_alarm is not None:
                    times.append(self.updated + until_alarm * SECOND)
        return min(times, default=None)
