"""What graphics devices show, and displays look at: surfaces, consoles, views, screenshots."""

from .console import Damage, GraphicConsole, View
from .display import Display
from .surface import Cursor, Rectangle, Surface

__all__ = ["Cursor", "Damage", "Display", "GraphicConsole", "Rectangle", "Surface", "View"]
