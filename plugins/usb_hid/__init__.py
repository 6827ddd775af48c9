"""USB keyboard, mouse and tablet (Device Class Definition for Human Interface Devices 1.11); see README.md."""

from .keyboard import UsbKeyboard
from .pointers import UsbMouse, UsbTablet

__all__ = ["UsbKeyboard", "UsbMouse", "UsbTablet"]
