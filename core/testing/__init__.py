"""Driving devices without a guest: a bench with memory, buses, interrupt lines and a clock that the test sets.

The pytest fixture `bench` (`southbridge.testing.fixtures`) gives each test a bench whose guest memory is one buffer,
and another one whose guest memory can be mapped only in small windows.

`pytest --southbridge-device NAME` runs the conformance suite on an installed device; `DeviceChecks` is the same in a
file of tests, and `replay` runs one of its failures again.
"""

from .bench import Bench, FlatBenchMemory, WindowedBenchMemory
from .replay import replay
from .suite import DeviceChecks

__all__ = ["Bench", "DeviceChecks", "FlatBenchMemory", "WindowedBenchMemory", "replay"]
