"""What the program's tests share with the guests'."""

from tests.guests.conftest import images

__all__ = ["images"]
