"""Time and date as the clock counts them, in the formats that register B chooses.

A guest may write any byte into the clock. Numbers that no calendar knows are read for what they are worth, and put
right by the next update.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

DAY = 86_400
CYCLE_DAYS, CYCLE_YEARS = 146_097, 400
"""The Gregorian calendar repeats itself, days of the week included."""
DONT_CARE = 0xC0
"""Alarm bytes from here on match everything."""
PM = 0x80
MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def days_in_month(year: int, month: int) -> int:
    """How long a month is; 31 days if there is no such month."""
    if month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0):
        return 29
    return MONTHS[month - 1] if 1 <= month <= 12 else 31


@dataclass
class Moment:
    """A time and date as numbers. `weekday` is 1 (Sunday) to 7; `year` includes the century."""

    second: int
    minute: int
    hour: int
    weekday: int
    date: int
    month: int
    year: int

    @property
    def second_of_day(self) -> int:
        """Seconds since midnight."""
        return (self.hour * 3600 + self.minute * 60 + self.second) % DAY

    def advance(self, seconds: int) -> None:
        """Moves on."""
        days, rest = divmod(self.hour * 3600 + self.minute * 60 + self.second + seconds, DAY)
        self.hour, rest = divmod(rest, 3600)
        self.minute, self.second = divmod(rest, 60)
        if days:
            self._advance_days(days)

    def _advance_days(self, days: int) -> None:
        self.weekday = (self.weekday - 1 + days) % 7 + 1
        cycles, days = divmod(days, CYCLE_DAYS)
        self.year += cycles * CYCLE_YEARS
        while days:
            room = max(days_in_month(self.year, self.month) - self.date, 0)
            if days <= room:
                self.date += days
                break
            days -= room + 1
            self.date = 1
            self.month += 1
            if self.month > 12:
                self.month = 1
                self.year += 1
        self.year %= 10_000


class Format(NamedTuple):
    """How numbers stand in the registers: DM and 24/12 of register B."""

    binary: bool
    hours_24: bool

    def encode(self, number: int) -> int:
        """The byte for a number below 100; of larger ones, which a guest may bring about, the low eight bits."""
        return (number if self.binary else number // 10 << 4 | number % 10) & 0xFF

    def decode(self, byte: int) -> int:
        """The number that a byte stands for."""
        return byte if self.binary else (byte >> 4) * 10 + (byte & 0xF)

    def encode_hour(self, hour: int) -> int:
        """The byte for an hour from 0 to 23."""
        if self.hours_24:
            return self.encode(hour)
        return self.encode((hour - 1) % 12 + 1) | (PM if hour >= 12 else 0)

    def decode_hour(self, byte: int) -> int:
        """The hour that a byte stands for."""
        if self.hours_24:
            return self.decode(byte)
        return self.decode(byte & ~PM) % 12 + (12 if byte & PM else 0)

    def matching(self, alarm: int, count: int) -> Sequence[int]:
        """Which numbers below `count` an alarm byte for seconds or minutes matches."""
        return range(count) if alarm >= DONT_CARE else [n for n in range(count) if self.encode(n) == alarm]

    def matching_hours(self, alarm: int) -> Sequence[int]:
        """Which hours an alarm byte matches."""
        return range(24) if alarm >= DONT_CARE else [n for n in range(24) if self.encode_hour(n) == alarm]


def seconds_until(
    second_of_day: int, hours: Sequence[int], minutes: Sequence[int], seconds: Sequence[int]
) -> int | None:
    """How long from `second_of_day` to the next time made of those numbers: 1 to 86400, or None for never."""
    if not (hours and minutes and seconds):
        return None
    for start in [day + hour * 3600 for day in (0, DAY) for hour in hours]:
        if start + 3599 <= second_of_day:
            continue
        for minute in minutes:
            last = start + minute * 60 + seconds[-1]
            if last > second_of_day:
                first = start + minute * 60
                return next(first + s for s in seconds if first + s > second_of_day) - second_of_day
    return None
