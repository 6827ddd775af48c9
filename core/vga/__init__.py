"""What VGA cards have in common: registers, the way to the memory, modes, drawing, the screen."""

from .card import VgaAdapter, VgaCard, VgaIsaCard, VgaWindow
from .memory import VgaMemory
from .modes import Kind, Mode, shown, vga_mode
from .registers import IndexedBank, Vga
from .screen import Screen

__all__ = [
    "IndexedBank",
    "Kind",
    "Mode",
    "Screen",
    "Vga",
    "VgaAdapter",
    "VgaCard",
    "VgaIsaCard",
    "VgaMemory",
    "VgaWindow",
    "shown",
    "vga_mode",
]
