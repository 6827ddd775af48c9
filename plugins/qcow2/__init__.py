"""qcow2 disk images, for reading and under an overlay: see README.md."""

from .image import Qcow2Image

__all__ = ["Qcow2Image"]
