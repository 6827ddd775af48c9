"""Banks: ranges of ports or memory that a device answers, made of registers and windows.

A declaration is compiled, when the map first shows a register, into the one function that an access calls: the bound
method itself, or the register's own accessor. Width rules are applied then, not at each access.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, overload

from .memory.regions import Io, Region
from .registers import RW, Access, Field, Method, Register, RegisterSpec

if TYPE_CHECKING:
    from .component import Component

LINKED_WINDOW = 16
"""Windows up to this size are linked by address; larger ones are called with the offset."""


class WindowSpec:
    """The declaration of `size` bytes at `offset` in `bank` that methods answer: `(self, offset, size[, value])`.

    `coalesced`: see RegisterSpec.
    """

    doorbell = False

    def __init__(
        self, bank: Bank, offset: int, size: int, widths: Collection[int], doc: str, coalesced: bool = False
    ) -> None:
        self.bank = bank
        self.offset = offset
        self.size = size
        self.end = offset + size
        self.widths = frozenset(widths)
        self.coalesced = coalesced
        self.doc = doc
        self.name = ""
        self.reader: str | None = None
        self.writer: str | None = None

    @property
    def readable(self) -> bool:
        """Whether a guest's read reaches it."""
        return self.reader is not None

    @property
    def writable(self) -> bool:
        """Whether a guest's write does anything."""
        return self.writer is not None

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def read(self, method: Method) -> Method:
        """Binds the method that answers reads: `method(self, offset, size) -> int`."""
        self.reader = method.__name__
        return method

    def write(self, method: Method) -> Method:
        """Binds the method that answers writes: `method(self, offset, size, value)`."""
        self.writer = method.__name__
        return method


class Bank:
    """The declaration of a range of `size` bytes. In a constructed device the attribute is its `BankRegion`.

    An `internal` one is never mapped: the guest reaches it through another one's methods.
    """

    unmapped = ~0
    """What reads give where no register is."""
    reports = False
    """Whether accesses where no register is are guest errors."""

    def __init__(self, size: int, *, internal: bool = False, doc: str = "") -> None:
        self.size = size
        self.internal = internal
        self.doc = doc
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def make(self, component: Component, name: str) -> Region:
        """The region that it is in a device."""
        return BankRegion(self, component, name)

    @overload
    def __get__(self, instance: None, owner: type) -> Bank: ...

    @overload
    def __get__(self, instance: object, owner: type) -> BankRegion: ...

    def __get__(self, instance: object | None, owner: type) -> Bank | BankRegion:
        if instance is None:
            return self
        raise AttributeError(f"{owner.__name__}.{self.name} exists once the device is constructed")

    def register(
        self,
        offset: int,
        width: int = 1,
        *,
        reset: int | None = 0,
        access: Access = RW,
        fields: Mapping[str, Field] | None = None,
        widths: Collection[int] = (),
        when: Callable[[Any], object] | None = None,
        doorbell: bool = False,
        tail_doorbell: bool = False,
        coalesced: bool = False,
        doc: str = "",
    ) -> RegisterSpec:
        """Declares a register; see RegisterSpec."""
        return RegisterSpec(
            self,
            offset,
            width,
            reset=reset,
            access=access,
            fields=fields or {},
            widths=widths,
            when=when,
            doorbell=doorbell,
            tail_doorbell=tail_doorbell,
            coalesced=coalesced,
            doc=doc,
        )

    def window(
        self,
        offset: int,
        size: int,
        *,
        widths: Collection[int] = (1, 2, 4),
        coalesced: bool = False,
        doc: str = "",
    ) -> WindowSpec:
        """Declares a range that methods answer; see WindowSpec."""
        return WindowSpec(self, offset, size, widths, doc, coalesced)


class PortBank(Bank):
    """A range of I/O ports."""


class MmioBank(Bank):
    """A range of memory addresses."""

    unmapped = 0
    reports = True


class BankRegion(Io):
    """A bank of one device, as a region of an address space."""

    def __init__(self, bank: Bank, component: Component, name: str) -> None:
        specs = [spec for spec in component.register_specs if spec.bank is bank]
        specs.sort(key=lambda spec: spec.when is None)
        windows = [window for window in component.window_specs if window.bank is bank]
        widths = {1, 2, 4}.union(*(spec.widths for spec in specs), *(window.widths for window in windows))
        super().__init__(name, bank.size, self.read, self.write, widths=widths, owner=component.device)
        self.bank = bank
        self._component = component
        self._specs = specs
        self._windows = windows
        self._places: list[RegisterSpec | WindowSpec] = [*specs, *windows]
        self._large = [window for window in windows if window.size > LINKED_WINDOW]
        self._plain = [w for w in self._large if all(s.end <= w.offset or w.end <= s.offset for s in specs)]
        """Large windows without a register within: an access needs no search."""
        self._readers: dict[int, Callable[[], int]] = {}
        self._writers: dict[int, Callable[[int], Any]] = {}

    def declared(self) -> list[range]:
        """The offsets of each register and window."""
        return [range(spec.offset, spec.end) for spec in self._places]

    def doorbells(self) -> list[tuple[int, int]]:
        """See Io."""
        return [(spec.offset, width) for spec in self._specs if spec.doorbell for width in sorted(spec.widths)]

    def tail_doorbells(self) -> list[tuple[int, int]]:
        """See Io."""
        return [(spec.offset, width) for spec in self._specs if spec.tail_doorbell for width in sorted(spec.widths)]

    def coalesced(self) -> list[range]:
        """See Io."""
        return [range(spec.offset, spec.end) for spec in self._places if spec.coalesced]

    def read(self, offset: int, size: int) -> int:
        """What a guest reads of `size` bytes at `offset`."""
        for window in self._plain:
            if window.reader and size in window.widths and _holds(window, offset, size):
                value: int = getattr(self._component, window.reader)(offset - window.offset, size)
                return value
        reader = self._readers.get(offset << 4 | size) or self.link_read(offset, size) or self._reader(offset, size)
        return reader() if reader else self._unmapped_read(offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        """A guest's write."""
        for window in self._plain:
            if window.writer and size in window.widths and _holds(window, offset, size):
                getattr(self._component, window.writer)(offset - window.offset, size, value)
                return
        writer = self._writers.get(offset << 4 | size) or self.link_write(offset, size) or self._writer(offset, size)
        if writer:
            writer(value)
        else:
            self._unmapped_write(offset, size, value)

    def link_read(self, offset: int, size: int) -> Callable[[], int] | None:
        """See Io."""
        reader = self._reader(offset, size) if self._linkable(offset) else None
        if reader:
            self._readers[offset << 4 | size] = reader
        return reader

    def link_write(self, offset: int, size: int) -> Callable[[int], Any] | None:
        """See Io."""
        writer = self._writer(offset, size) if self._linkable(offset) else None
        if writer:
            self._writers[offset << 4 | size] = writer
        return writer

    def link_read_string(self, offset: int, size: int) -> Callable[[int], bytes] | None:
        """See Io."""
        name = next((s.string_reader for s in self._specs if s.offset == offset and s.width == size), None)
        return getattr(self._component, name) if name else None

    def link_write_string(self, offset: int, size: int) -> Callable[[memoryview], int] | None:
        """See Io."""
        name = next((s.string_writer for s in self._specs if s.offset == offset and s.width == size), None)
        return getattr(self._component, name) if name else None

    def _linkable(self, offset: int) -> bool:
        return not any(_holds(window, offset, 1) for window in self._large)

    # --- reading -------------------------------------------------------------------------------------------------

    def _reader(self, offset: int, size: int) -> Callable[[], int] | None:
        found = self._other_reader(offset, size)
        for spec in reversed(self._specs):
            if spec.readable and _holds(spec, offset, size):
                reader = self._register_reader(spec, offset, size)
                found = self._chosen(spec, reader, found or partial(self._unmapped_read, offset, size))
        return found

    def _other_reader(self, offset: int, size: int) -> Callable[[], int] | None:
        """For a range that no register has to itself."""
        for window in self._windows:
            if window.reader and _holds(window, offset, size):
                return self._window_reader(window, window.reader, offset, size)
        for spec in self._places:
            if not spec.readable and _holds(spec, offset, size):
                return partial(self._write_only_read, spec, size)
        return self._halves_reader(offset, size) if size > 1 and self._covers(offset, size) else None

    def _register_reader(self, spec: RegisterSpec, offset: int, size: int) -> Callable[[], int]:
        if size not in spec.widths:
            return self._adjusted_reader(spec, offset, size)
        register: Register = vars(self._component)[spec.name]
        shift, mask = 8 * (offset - spec.offset), (1 << 8 * size) - 1
        whole: Callable[[], int]
        if spec.reader:
            whole = getattr(self._component, spec.reader)
        elif spec.rc_mask | spec.wo_mask:
            whole = partial(register.guest_read_by_rules, mask << shift)
        else:
            whole = register.guest_read
        if size == spec.width:
            return whole
        return lambda: whole() >> shift & mask

    def _window_reader(self, window: WindowSpec, reader: str, offset: int, size: int) -> Callable[[], int]:
        if size not in window.widths:
            return self._adjusted_reader(window, offset, size)
        return partial(getattr(self._component, reader), offset - window.offset, size)

    def _adjusted_reader(self, spec: RegisterSpec | WindowSpec, offset: int, size: int) -> Callable[[], int]:
        """For an access of a size that `spec` doesn't take."""
        return self._halves_reader(offset, size) if size > min(spec.widths) else partial(self._refused_read, spec, size)

    def _halves_reader(self, offset: int, size: int) -> Callable[[], int]:
        half = size // 2
        low = partial(self.read, offset, half)
        high = partial(self.read, offset + half, half)
        return lambda: low() | high() << 8 * half

    # --- writing -------------------------------------------------------------------------------------------------

    def _writer(self, offset: int, size: int) -> Callable[[int], Any] | None:
        found = self._other_writer(offset, size)
        inside = [spec for spec in self._specs if _holds(spec, offset, size)]
        for spec in reversed([spec for spec in inside if spec.writable] or inside):
            writer = self._register_writer(spec, offset, size)
            found = self._chosen(spec, writer, found or partial(self._unmapped_write, offset, size))
        return found

    def _other_writer(self, offset: int, size: int) -> Callable[[int], Any] | None:
        """For a range that no register has to itself."""
        for window in self._windows:
            if window.writer and _holds(window, offset, size):
                return self._window_writer(window, window.writer, offset, size)
        for window in self._windows:
            if _holds(window, offset, size):
                return partial(self._read_only_write, window)
        return self._halves_writer(offset, size) if size > 1 and self._covers(offset, size) else None

    def _register_writer(self, spec: RegisterSpec, offset: int, size: int) -> Callable[[int], Any]:
        if size not in spec.widths:
            return self._adjusted_writer(spec, offset, size)
        if not spec.writable:
            return partial(self._read_only_write, spec)
        register: Register = vars(self._component)[spec.name]
        whole = self._whole_writer(spec, register)
        if spec.doorbell:
            return lambda value: whole(0)
        if size == spec.width:
            return whole
        shift = 8 * (offset - spec.offset)
        lanes = ((1 << 8 * size) - 1) << shift
        kept = ~lanes & ~spec.w1c_mask
        return lambda value: whole(register.value & kept | value << shift & lanes)

    def _window_writer(self, window: WindowSpec, writer: str, offset: int, size: int) -> Callable[[int], Any]:
        if size not in window.widths:
            return self._adjusted_writer(window, offset, size)
        return partial(getattr(self._component, writer), offset - window.offset, size)

    def _adjusted_writer(self, spec: RegisterSpec | WindowSpec, offset: int, size: int) -> Callable[[int], Any]:
        """For an access of a size that `spec` doesn't take."""
        return (
            self._halves_writer(offset, size) if size > min(spec.widths) else partial(self._refused_write, spec, size)
        )

    def _halves_writer(self, offset: int, size: int) -> Callable[[int], Any]:
        half = size // 2
        low = partial(self.write, offset, half)
        high = partial(self.write, offset + half, half)
        mask = (1 << 8 * half) - 1

        def write_halves(value: int) -> None:
            low(value & mask)
            high(value >> 8 * half)

        return write_halves

    def _whole_writer(self, spec: RegisterSpec, register: Register) -> Callable[[int], Any]:
        if spec.writer:
            method: Callable[[int], Any] = getattr(self._component, spec.writer)
            return method
        store = register.guest_store
        if spec.after_write is None:
            return store
        after = getattr(self._component, spec.after_write)

        def store_and_tell(value: int) -> None:
            store(value)
            after(register.value)

        return store_and_tell

    # --- common --------------------------------------------------------------------------------------------------

    def _chosen(self, spec: RegisterSpec, its: Callable[..., Any], other: Callable[..., Any]) -> Callable[..., Any]:
        """Of two functions for the same place, `spec`'s while its `when` holds."""
        when, component = spec.when, self._component
        return its if when is None else lambda *value: (its if when(component) else other)(*value)

    def _covers(self, offset: int, size: int) -> bool:
        """Whether a register or window begins or lies within the range."""
        return any(spec.offset < offset + size and offset < spec.end for spec in self._places)

    def _unmapped_read(self, offset: int, size: int) -> int:
        if self.bank.reports:
            self._component.guest_error(f"{self.name}: read of {size} bytes at {offset:#x}, where no register is")
        return self.bank.unmapped & ((1 << 8 * size) - 1)

    def _unmapped_write(self, offset: int, size: int, value: int) -> None:
        if self.bank.reports:
            self._component.guest_error(f"{self.name}: {value:#x} written at {offset:#x}, where no register is")

    def _write_only_read(self, spec: RegisterSpec | WindowSpec, size: int) -> int:
        self._component.guest_error(f"{spec.name} is write-only; read")
        return self.bank.unmapped & ((1 << 8 * size) - 1)

    def _refused_read(self, spec: RegisterSpec | WindowSpec, size: int) -> int:
        self._component.guest_error(f"{spec.name} read with {size} bytes; it takes {_sizes(spec)}")
        return (1 << 8 * size) - 1

    def _refused_write(self, spec: RegisterSpec | WindowSpec, size: int, value: int) -> None:
        self._component.guest_error(f"{spec.name} written with {size} bytes; it takes {_sizes(spec)}")

    def _read_only_write(self, spec: RegisterSpec | WindowSpec, value: int) -> None:
        self._component.guest_error(f"{spec.name} is read-only; {value:#x} written")


def _holds(spec: RegisterSpec | WindowSpec, offset: int, size: int) -> bool:
    """Whether the range lies within the register or window."""
    return spec.offset <= offset and offset + size <= spec.end


def _sizes(spec: RegisterSpec | WindowSpec) -> str:
    return " or ".join(str(width) for width in sorted(spec.widths))
