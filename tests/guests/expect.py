"""What the guests say, in one place: the same expectations serve real QEMU and our own machine.

Texts are as `conversation.plain` leaves them: without control sequences and carriage returns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.guests.conversation import plain

CPU_SOURCES = Path(__file__).parent / "cpu"
APIC_SOURCES = Path(__file__).parent / "apic"
CPU_DONE = b"ALL DONE\n"
CPU_EXIT_STATUS = 0x2A * 2 + 1
"""QEMU's exit status for the value that the CPU guest writes to isa-debug-exit at its end."""

DISK_DATA_LBA = 64
"""The first sector that the disk guest reads."""
DISK_CHECKS = {"disk-controller", "disk-interrupts", "disk-status"}
TICKS_CHECKS = {"ticks-in-service", "ticks-flagged", "ticks-spurious", "ticks-tsc-forward"}
TICKS_MILLISECONDS = 400
"""How long a phase of the ticks guest takes by its own clock."""
TICKS_MARK = 0x5F0
"""The port that hears where a phase begins and ends."""
PIT_HZ = 105e6 / 88

GRUB_ENTRY = "Southbridge test entry"
GRUB_PROMPT = b"grub> "
HELLO = "hello.txt"
HELLO_TEXT = "Hello from the file system."

GRUB_LAST_ENTRY = "Switch off"
GRUB_CHOSEN = f"{GRUB_ENTRY} was chosen."
"""What the first entry prints."""

PCI_BOARD = ("00:00.0 8086:1237", "00:01.0 8086:7000", "00:01.1 8086:7010")
"""Host bridge, ISA bridge and IDE function, as GRUB's lspci and the demo print them."""

GRUB_DISK_COMMANDS = {
    "lspci": PCI_BOARD,
    "ls (hd0,msdos1)/": ("boot/", HELLO),
    f"cat (hd0,msdos1)/{HELLO}": (HELLO_TEXT,),
}
"""What to type at the prompt, and what the answer must hold."""

DEMO_DONE = b"demo done\n"
DEMO_EXIT_STATUS = CPU_EXIT_STATUS
DEMO_TICKS = "timer ......... 9 ticks"


def check_names(sources_of: Path = CPU_SOURCES) -> set[str]:
    """The names of all checks in a guest's sources."""
    sources = "".join(path.read_text() for path in sources_of.glob("*.asm"))
    return set(re.findall(r'^\s*check "([^"]+)"', sources, re.MULTILINE))


def cpu_parts() -> dict[str, set[str]]:
    """The CPU guest's parts, each with its checks' names.

    Where a part calls routines for its checks, they belong to it too.
    """
    sources = {path.name: path.read_text() for path in CPU_SOURCES.glob("*.asm")}
    everything = "\n".join(sources.values())
    parts = {}
    for source in sources.values():
        for name, body in re.findall(r"^ +part (\w+)\n(.*?)^ +end_part", source, re.MULTILINE | re.DOTALL):
            checks = set(re.findall(r'^\s*check "([^"]+)"', body, re.MULTILINE))
            for routine in re.findall(r"^ +call (\w+_checks?(?:64)?)$", body, re.MULTILINE):
                called = re.search(rf"^{routine}:\n(.*?)^    ret$", everything, re.MULTILINE | re.DOTALL)
                assert called is not None, routine
                checks |= set(re.findall(r'^\s*check "([^"]+)"', called[1], re.MULTILINE))
            parts[name] = checks
    return parts


def parse_cpu_report(output: bytes) -> dict[str, str]:
    """Name -> "ok", or what followed the name in a FAIL line. Info lines are left out.

    Raises `AssertionError` for a check that reports twice.
    """
    report: dict[str, str] = {}
    for line in plain(output).decode("ascii", "replace").splitlines():
        match = re.fullmatch(r"(ok|FAIL) (\S+) ?(.*)", line)
        if match:
            verdict, name, detail = match.groups()
            assert name not in report, f"{name} reports twice"
            report[name] = "ok" if verdict == "ok" else detail
    return report


def cpu_failures(report: dict[str, str], sources_of: Path = CPU_SOURCES) -> dict[str, str]:
    """What is not as it must be: failed checks, and those of the sources that never reported."""
    failed = {name: detail for name, detail in report.items() if detail != "ok"}
    return failed | dict.fromkeys(check_names(sources_of) - report.keys(), "no report")


def disk_crc(output: bytes) -> int:
    """The CRC that the disk guest found; -1: it said none."""
    match = re.search(rb"^sum crc ([0-9a-f]{8})$", plain(output), re.MULTILINE)
    return int(match[1], 16) if match else -1


@dataclass(frozen=True)
class Phase:
    """What the ticks guest counted in one phase. `seconds` and `stalled` are by its own clock."""

    name: str
    irq0: int
    rtc: int
    seconds: float
    stalls: int
    stalled: float

    @property
    def rates(self) -> tuple[int, int]:
        """Of IRQ0 and the RTC's periodic interrupt, in Hz."""
        return (1000, 1024) if self.name.endswith("busy") else (100, 128)

    def too_many(self) -> list[str]:
        """Which interrupts came oftener than the clock allows.

        One may be left from the moment before the phase. Where the CPU stood still for more than a turn of the guest's
        clock, it missed the turn, but served one interrupt of each kind.
        """
        found = []
        for name, count, rate in zip(("irq0", "rtc"), (self.irq0, self.rtc), self.rates, strict=True):
            if count > self.seconds * rate + self.stalls + 2:
                found.append(f"{self.name}: {count} {name} in {self.seconds:.4f} s at {rate} Hz, {self.stalls} stalls")
        return found

    def too_few(self) -> list[str]:
        """IRQ0 that are missing although the CPU didn't stand still: for a timer that catches up when it is read."""
        expected = (self.seconds - self.stalled) * self.rates[0]
        if self.irq0 < expected - 2:
            return [f"{self.name}: {self.irq0} irq0 in {self.seconds:.4f} s, of which {self.stalled:.4f} s stalled"]
        return []


def ticks_phases(output: bytes) -> dict[str, Phase]:
    """Name -> what the ticks guest counted."""
    phases = {}
    for line in plain(output).decode("ascii", "replace").splitlines():
        words = line.split()
        if words[:1] == ["phase"]:
            value = {name: int(number, 16) for name, number in zip(words[2::2], words[3::2], strict=True)}
            seconds, stalled = value["clock"] / PIT_HZ, value["stalled"] / PIT_HZ
            phases[words[1]] = Phase(words[1], value["irq0"], value["rtc"], seconds, value["stalls"], stalled)
    return phases


def ticks_phase_names(modes: int = 7) -> list[str]:
    """The phases of the ticks guest in those modes, in order."""
    names = [name for bit, name in enumerate(("real", "protected", "long")) if modes & 1 << bit]
    return [f"{name}-{how}" for name in names for how in ("busy", "halted")]


def grub_keys(commands: dict[str, tuple[str, ...]]) -> list[tuple[bytes, bytes]]:
    """What to type once the menu is there: `c` for the command line, then each command at its prompt."""
    keys = [(GRUB_LAST_ENTRY.encode(), b"c")]
    return keys + [(GRUB_PROMPT, command.encode() + b"\r") for command in commands]


def grub_answers(output: bytes, commands: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Command -> what GRUB printed between it and the next prompt."""
    sessions = plain(output).decode("ascii", "replace").split(GRUB_PROMPT.decode())
    answers = {}
    for session in sessions:
        typed, _, answer = session.partition("\n")
        if typed.strip() in commands:
            answers[typed.strip()] = answer
    return answers


def demo_pci(output: bytes) -> dict[str, str]:
    """The demo's PCI lines: "00:dd.f vvvv:dddd" -> class."""
    return dict(re.findall(r"^pci (00:\S+ \S+) class (\S+)$", plain(output).decode("ascii", "replace"), re.MULTILINE))


def demo_usable_kib(output: bytes) -> tuple[int, int]:
    """The demo's usable memory in KiB: the sum of its ranges, and the total that it prints."""
    text = plain(output).decode("ascii", "replace")
    ranges = sum(int(size) for size in re.findall(r"^memory [0-9a-f]+ +(\d+) KiB usable$", text, re.MULTILINE))
    total = re.search(r"^memory usable: (\d+) KiB$", text, re.MULTILINE)
    return ranges, int(total[1]) if total else -1
