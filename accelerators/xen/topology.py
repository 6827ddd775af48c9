"""Memory that the machine has beside its RAM, given to the domain: ROM and video memory, as the map shows and hides
it.

The domain's RAM is there from the start, put there by whoever made the domain. Other memory is added to the
domain: ROM as a copy at each place where it shows, since the guest doesn't change it; memory that the guest writes
to, such as video memory, in one piece, which moves: to where it shows, and to frames above all others while it is
hidden. This process's view of the latter becomes a mapping of the domain's frames, so that a display sees what the
guest draws.

What is shown over the domain's RAM moves that aside, and back afterwards. What can't be done so is served access
by access.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import mmap
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from southbridge.memory.ram import RamBlock
from southbridge.memory.regions import Section

from .hypervisor import PAGE_SHIFT, PAGE_SIZE, Control, Hypervisor, MemoryType
from .mapcache import MapCache

if TYPE_CHECKING:
    from southbridge.machine import Machine

log = logging.getLogger(__name__)

_FIXED = 0x10
"""Linux's MAP_FIXED."""


@dataclass(repr=False, eq=False)
class Piece:
    """A block in the domain that moves."""

    home: int
    """The first frame while it is hidden."""
    frame: int
    """The first frame now."""
    pages: int


class Shown(NamedTuple):
    """A section whose memory is in the domain."""

    section: Section
    aside: int | None
    """Where the domain's RAM from there is meanwhile."""


class Topology:
    """Of the machine's domain. With the lock held."""

    def __init__(self, machine: Machine, hypervisor: Hypervisor, cache: MapCache) -> None:
        self._machine = machine
        self._hypervisor = hypervisor
        self._cache = cache
        self._next: int | None = None
        self._shown: dict[Section, Shown] = {}
        self._pieces: dict[int, tuple[RamBlock, Piece]] = {}
        self._readonly: set[int] = set()

    def add(self, section: Section) -> bool:
        """`section`, which is memory, shows. True: the domain answers there by itself."""
        if section.ram is self._machine.ram:
            self._protect(section)
            return True
        control = self._hypervisor.control
        if control is None or section.ram is None or not _is_aligned(section):
            return False
        if section.readonly and getattr(section.region, "on_write", None) is not None:
            return False  # somebody wants the stores
        try:
            return self._show_rom(section, control) if section.readonly else self._show(section, control)
        except OSError as error:
            log.warning("%s is served access by access: %s", section.region.name, error.strerror)
            return False

    def remove(self, section: Section) -> bool:
        """It no longer shows. True: the domain answered there by itself."""
        if section.ram is self._machine.ram:
            return True
        shown = self._shown.pop(section, None)
        control = self._hypervisor.control
        if shown is None or control is None:
            return False
        first, pages = section.start >> PAGE_SHIFT, section.size >> PAGE_SHIFT
        try:
            piece = self._pieces.get(id(section.ram))
            if piece is None:
                control.depopulate(range(first, first + pages))
            else:
                self._move(piece[1], piece[1].home)
            self._put_back(section, shown.aside)
        except OSError as error:
            log.error("%s can't be hidden: %s", section.region.name, error.strerror)
        self._cache.invalidate_range(section.start, section.end)
        return True

    def frame_of(self, section: Section) -> int | None:
        """The frame where the domain has the section's memory, if it has."""
        return section.start >> PAGE_SHIFT if section in self._shown else None

    def close(self) -> None:
        """The blocks' memory is this process's alone again, with its contents.

        Where the hypervisor is within this process it is so anyhow; after an exchange it is another domain's by now.
        """
        for block, _ in self._pieces.values() if self._hypervisor.exchange is None else ():
            _make_private(block)
        self._pieces.clear()

    # --- showing -------------------------------------------------------------------------------------------------

    def _show_rom(self, section: Section, control: Control) -> bool:
        first, pages = section.start >> PAGE_SHIFT, section.size >> PAGE_SHIFT
        frames = range(first, first + pages)
        aside = self._put_aside(section, control)
        try:
            control.populate(frames)
            offset = section.block_offset
            self._fill(frames, section.block.view[offset : offset + section.size])
            self._hypervisor.device_model.set_memory_type(MemoryType.ROM, first, pages)
        except OSError:
            with contextlib.suppress(OSError):
                control.depopulate(frames)
            self._put_back(section, aside)
            raise
        self._shown[section] = Shown(section, aside)
        self._cache.invalidate_range(section.start, section.end)
        return True

    def _show(self, section: Section, control: Control) -> bool:
        block = section.block
        if section.block_offset or section.size != block.size:
            return False  # in pieces: two places can't show one frame
        if id(block) not in self._pieces:
            self._pieces[id(block)] = block, self._populated(block, control)
        piece = self._pieces[id(block)][1]
        if piece.frame != piece.home:
            return False  # it shows somewhere else already
        aside = self._put_aside(section, control)
        try:
            self._move(piece, section.start >> PAGE_SHIFT)
        except OSError:
            self._put_back(section, aside)
            raise
        self._shown[section] = Shown(section, aside)
        self._cache.invalidate_range(section.start, section.end)
        return True

    def _populated(self, block: RamBlock, control: Control) -> Piece:
        """The block's memory becomes the domain's, with its contents."""
        pages = block.size >> PAGE_SHIFT
        home = self._free_frames(pages, control)
        frames = range(home, home + pages)
        control.populate(frames)
        self._fill(frames, block.view)
        errors = self._hypervisor.memory.map_over(frames, block.host_address)
        if any(errors):
            _make_private(block)
            raise OSError(-min(errors), "the domain's memory can't be mapped")
        return Piece(home, home, pages)

    def _fill(self, frames: range, contents: memoryview) -> None:
        """A piece at a time, so that little is mapped at once."""
        step = max(self._cache.bucket >> PAGE_SHIFT, 1)
        for at in range(0, len(frames), step):
            part = frames[at : at + step]
            view, errors = self._hypervisor.memory.map(part)
            try:
                if any(errors):
                    raise OSError(-min(errors), "the domain's new memory can't be mapped")
                view[:] = contents[at << PAGE_SHIFT : at + len(part) << PAGE_SHIFT]
            finally:
                self._hypervisor.memory.unmap(view)

    def _move(self, piece: Piece, frame: int) -> None:
        if frame != piece.frame:
            self._hypervisor.device_model.relocate_memory(piece.frame, frame, piece.pages)
            piece.frame = frame

    # --- the domain's RAM below ----------------------------------------------------------------------------------

    def _put_aside(self, section: Section, control: Control) -> int | None:
        """The domain's RAM where `section` is to show goes somewhere else. None: there is none."""
        first, pages = section.start >> PAGE_SHIFT, section.size >> PAGE_SHIFT
        view, errors = self._hypervisor.memory.map(range(first, first + pages))
        self._hypervisor.memory.unmap(view)
        if all(errors):
            return None
        aside = self._free_frames(pages, control)
        self._hypervisor.device_model.relocate_memory(first, aside, pages)
        return aside

    def _put_back(self, section: Section, aside: int | None) -> None:
        if aside is not None:
            first, pages = section.start >> PAGE_SHIFT, section.size >> PAGE_SHIFT
            self._hypervisor.device_model.relocate_memory(aside, first, pages)

    def _free_frames(self, pages: int, control: Control) -> int:
        if self._next is None:
            self._next = control.maximum_frame() + 1
        first = self._next
        self._next += pages
        return first

    def _protect(self, section: Section) -> None:
        """RAM that the chipset has write-protected, or no longer."""
        if not _is_aligned(section):
            return
        first, last = section.start >> PAGE_SHIFT, section.end >> PAGE_SHIFT
        if section.readonly:
            change = set(range(first, last)) - self._readonly
            self._readonly |= change
        else:
            change = {frame for frame in self._readonly if first <= frame < last}
            self._readonly -= change
        if change:
            kind = MemoryType.ROM if section.readonly else MemoryType.RAM
            try:
                self._hypervisor.device_model.set_memory_type(kind, min(change), max(change) + 1 - min(change))
            except OSError as error:
                log.warning("memory at %#x can't be protected: %s", section.start, error.strerror)


def _is_aligned(section: Section) -> bool:
    return not (section.start | section.size | section.block_offset) % PAGE_SIZE


def _make_private(block: RamBlock) -> None:
    """Memory of this process's own takes the place of what is mapped over the block's."""
    contents = bytes(block.view)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    access, flags = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _FIXED
    if libc.mmap(block.host_address, block.size, access, flags, -1, 0) != block.host_address:
        raise OSError(ctypes.get_errno(), "mmap")
    block.view[:] = contents
