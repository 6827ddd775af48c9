"""The monitor for people: QEMU's words, with answers that look like QEMU's. docs/monitors.md has them all.

What a plugin needs for words of its own is here by name; see the hooks `register_monitor_words` and
`register_monitor_topics`.
"""

from .expression import expression, optional_expression
from .line import Line, LineError
from .word import Word

__all__ = ["Line", "LineError", "Word", "expression", "optional_expression"]
