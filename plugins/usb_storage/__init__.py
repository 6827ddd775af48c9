"""A USB disk (Mass Storage Class, Bulk-Only Transport 1.0; SCSI transparent command set); see README.md."""

from .device import UsbStorage

__all__ = ["UsbStorage"]
