"""No CPU: a test drives the buses. The accelerator, and the monitor that speaks QEMU's qtest protocol."""

from .accelerator import QtestAccelerator
from .monitor import Qtest

__all__ = ["Qtest", "QtestAccelerator"]
