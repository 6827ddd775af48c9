"""The command `southbridge`. Results go to standard output, all else to standard error.

Exit status: 0; 1 if something ran and failed; 2 for wrong input. A guest may choose another one (isa-debug-exit).
"""

from .main import main

__all__ = ["main"]
