"""What Linux guests share with the others."""

from tests.guests.conftest import images

__all__ = ["images"]
