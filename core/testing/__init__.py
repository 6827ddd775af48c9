"""Driving devices without a guest: a bench with memory, buses, interrupt lines and a clock that the test sets.

The pytest fixture `bench` (`southbridge.testing.fixtures`) gives each test a bench whose guest memory is one buffer,
and another one whose guest memory can be mapped only in small windows.
"""

from .bench import Bench, FlatBenchMemory, WindowedBenchMemory

__all__ = ["Bench", "FlatBenchMemory", "WindowedBenchMemory"]
