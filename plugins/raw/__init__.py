"""Raw disk images: see README.md."""

from .image import RawImage

__all__ = ["RawImage"]
