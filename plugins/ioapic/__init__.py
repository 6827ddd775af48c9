"""Intel 82093AA: the I/O APIC."""

from .device import Ioapic

__all__ = ["Ioapic"]
