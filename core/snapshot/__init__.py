"""Snapshots: a machine in a file, to go on from in another process, on any accelerator.

docs/snapshot-format.md describes the file. `records` reads and writes it, `atomic` has it appear whole or not at all;
`contents` is what it says of the machine, `saving` and `restoring` what becomes of that.
"""

from .records import NotASnapshot
from .restoring import Info, read_info, restore
from .saving import save, save_running

__all__ = ["Info", "NotASnapshot", "read_info", "restore", "save", "save_running"]
