"""The clock's arithmetic, beside datetime's."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from southbridge.plugins.mc146818.calendar import DAY, Format, Moment, days_in_month, seconds_until

FORMATS = st.builds(Format, st.booleans(), st.booleans())
DATES = st.datetimes(datetime(1, 1, 1), datetime(9998, 12, 31))
ANY_BYTE = st.integers(0, 255)


def moment_of(when: datetime) -> Moment:
    return Moment(when.second, when.minute, when.hour, when.isoweekday() % 7 + 1, when.day, when.month, when.year)


@given(DATES, st.one_of(st.integers(0, 200_000), st.integers(0, 10**11)))
def test_time_goes_on_as_in_the_calendar(start: datetime, seconds: int) -> None:
    moment = moment_of(start)
    try:
        end = start + timedelta(seconds=seconds)
    except OverflowError:
        assume(False)
    moment.advance(seconds)
    assert moment == moment_of(end)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((59, 59, 23, 5, 28, 2, 2024), (0, 0, 0, 6, 29, 2, 2024)),
        ((59, 59, 23, 4, 28, 2, 2023), (0, 0, 0, 5, 1, 3, 2023)),
        ((59, 59, 23, 2, 28, 2, 2000), (0, 0, 0, 3, 29, 2, 2000)),
        ((59, 59, 23, 1, 28, 2, 2100), (0, 0, 0, 2, 1, 3, 2100)),
        ((59, 59, 23, 7, 31, 12, 1999), (0, 0, 0, 1, 1, 1, 2000)),
        ((59, 59, 23, 7, 31, 12, 9999), (0, 0, 0, 1, 1, 1, 0)),
    ],
)
def test_the_ends_of_months_and_years(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    moment = Moment(*before)
    moment.advance(1)
    assert moment == Moment(*after)


@given(st.tuples(*[ANY_BYTE] * 6), st.integers(0, 10_000), st.one_of(st.integers(1, 10**6), st.integers(1, 10**14)))
def test_whatever_the_guest_wrote_becomes_a_date(numbers: tuple[int, ...], year: int, seconds: int) -> None:
    moment = Moment(*[*numbers, year])
    moment.advance(seconds)
    assert moment.second < 60
    assert moment.minute < 60
    assert moment.hour < 24
    if seconds >= 100 * DAY:
        assert 1 <= moment.weekday <= 7
        assert 1 <= moment.month <= 12
        assert 1 <= moment.date <= days_in_month(moment.year, moment.month)
        assert 0 <= moment.year < 10_000


@given(FORMATS, st.integers(0, 99), st.integers(0, 23))
def test_formats_are_inverses(form: Format, number: int, hour: int) -> None:
    assert form.decode(form.encode(number)) == number
    assert form.decode_hour(form.encode_hour(hour)) == hour


@pytest.mark.parametrize(
    ("binary", "bytes_"), [(False, [0x12, 0x01, 0x11, 0x92, 0x81, 0x91]), (True, [12, 1, 11, 0x8C, 0x81, 0x8B])]
)
def test_twelve_hours(binary: bool, bytes_: list[int]) -> None:
    assert [Format(binary, False).encode_hour(hour) for hour in (0, 1, 11, 12, 13, 23)] == bytes_


def alarm_bytes(form: Format, count: int) -> st.SearchStrategy[int]:
    """Mostly sensible ones."""
    return st.one_of(st.integers(0, count - 1).map(form.encode), st.integers(0xC0, 0xFF), ANY_BYTE)


@settings(deadline=None)
@given(FORMATS, st.integers(0, DAY - 1), st.data())
def test_the_alarm_comes_when_its_bytes_match(form: Format, now: int, data: st.DataObject) -> None:
    hour, minute, second = (data.draw(alarm_bytes(form, count)) for count in (24, 60, 60))
    times = [
        h * 3600 + m * 60 + s
        for h in range(24)
        if hour >= 0xC0 or form.encode_hour(h) == hour
        for m in range(60)
        if minute >= 0xC0 or form.encode(m) == minute
        for s in range(60)
        if second >= 0xC0 or form.encode(s) == second
    ]
    expected = min(((time - now - 1) % DAY + 1 for time in times), default=None)
    found = seconds_until(now, form.matching_hours(hour), form.matching(minute, 60), form.matching(second, 60))
    assert found == expected
