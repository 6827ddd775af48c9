"""Registers as data: what a device's class body says of each of them, and the object that holds its value.

    class Edu(PciDevice):
        bar0 = MmioBar(size=1 * MiB)
        STATUS = bar0.register(0x20, 4, fields={"BUSY": bit(0, RO), "IRQ": bit(7)}, doc="...")

        @STATUS.written
        def status_written(self, value: int) -> None: ...

In the device `self.STATUS.value` is the whole register and `self.STATUS.BUSY` a field. The guest's access goes through
the access rules first:

- `@REG.read` binds the method whose result a guest's read gets, in place of the stored value;
- `@REG.write` binds the method that a guest's write calls in place of storing (the value as the guest gave it);
- `@REG.written` binds the method called after a guest's write was stored by the rules, with the value now stored.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, overload

if TYPE_CHECKING:
    from .banks import Bank

Method = TypeVar("Method", bound=Callable[..., Any])


class Access(enum.Enum):
    """What a guest's access does to a register's or a field's bits."""

    RW = "read/write"
    RO = "read only"
    WO = "write only"
    W1C = "write 1 to clear"
    RC = "read clears"


RW, RO, WO, W1C, RC = Access.RW, Access.RO, Access.WO, Access.W1C, Access.RC


class Field(NamedTuple):
    """Bits `low` to `high` of a register."""

    low: int
    high: int
    access: Access
    doc: str = ""

    @property
    def mask(self) -> int:
        """Its bits, in place."""
        return ((1 << (self.high - self.low + 1)) - 1) << self.low


def bit(number: int, access: Access = RW, doc: str = "") -> Field:
    """Declares a field of one bit."""
    return Field(number, number, access, doc)


def bits(low: int, high: int, access: Access = RW, doc: str = "") -> Field:
    """Declares the field of bits `low` to `high`, both included."""
    return Field(low, high, access, doc)


class Register:
    """One register of one device: its value now."""

    __slots__ = ("spec", "value")

    value: int

    def __init__(self, spec: RegisterSpec) -> None:
        self.spec: RegisterSpec = spec
        self.value = spec.reset or 0

    def __repr__(self) -> str:
        return f"<{self.spec.name} {self.value:#x}>"

    def guest_read(self) -> int:
        """The stored value."""
        return self.value

    def guest_read_by_rules(self, lanes: int = ~0) -> int:
        """The stored value without its WO bits; the RC bits among those in `lanes` are cleared by this."""
        value = self.value
        self.value = value & ~(self.spec.rc_mask & lanes)
        return value & ~self.spec.wo_mask

    def guest_store(self, value: int) -> None:
        """Stores by the access rules."""
        spec = self.spec
        old = self.value
        self.value = (old & ~spec.rw_mask | value & spec.rw_mask) & ~(value & spec.w1c_mask)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> int: ...

        def __setattr__(self, name: str, value: Any) -> None: ...


def _field_property(field: Field) -> property:
    low, mask = field.low, field.mask

    def get(register: Register) -> int:
        return (register.value & mask) >> low

    def put(register: Register, value: int) -> None:
        register.value = register.value & ~mask | value << low & mask

    return property(get, put, doc=field.doc)


class RegisterSpec:
    """The declaration of a register of `width` bytes at `offset` in `bank`.

    `widths` are the access sizes in bytes that reach it: a wider access becomes several, a narrower one is refused.
    Without `fields`, `access` holds for every bit; with them, bits that no field covers are read-only, and `access` RO
    or WO holds for the fields too. `reset` None: a reset keeps the value. `when(block)` says whether this register
    answers, or the next one declared at the same place, for places where a latch bit chooses.

    A write to a `doorbell` only says that there is something to do: its value is 0 for the device, and it may come
    late, from another thread, several as one. Of a `tail_doorbell`, as rings of descriptors have it, the value counts:
    of several writes the last one comes, perhaps late and from another thread, but before the CPU's next access of any
    other kind. Writes to a `coalesced` one may come late, but in order, and before the CPU's next access of any other
    kind.
    """

    def __init__(
        self,
        bank: Bank,
        offset: int,
        width: int,
        *,
        reset: int | None,
        access: Access,
        fields: Mapping[str, Field],
        widths: Collection[int],
        when: Callable[[Any], object] | None,
        doorbell: bool = False,
        tail_doorbell: bool = False,
        coalesced: bool = False,
        doc: str,
    ) -> None:
        self.bank = bank
        self.offset = offset
        self.width = width
        self.end = offset + width
        self.reset = reset
        self.access = access
        self.fields = dict(fields)
        self.widths = frozenset(widths or (width,))
        self.when = when
        self.doorbell = doorbell
        self.tail_doorbell = tail_doorbell
        self.coalesced = coalesced
        self.doc = doc
        self.name = ""
        self.reader: str | None = None
        self.writer: str | None = None
        self.after_write: str | None = None
        self.string_reader: str | None = None
        self.string_writer: str | None = None
        self.mask = (1 << 8 * width) - 1
        self.rw_mask = 0 if access is RO else self._bits(RW, WO)
        self.w1c_mask = self._bits(W1C)
        self.rc_mask = self._bits(RC)
        self.wo_mask = self._bits(WO)
        self._register_class: Callable[[RegisterSpec], Register] = Register

    def _bits(self, *kinds: Access) -> int:
        if not self.fields:
            return self.mask if self.access in kinds else 0
        mask = 0
        for field in self.fields.values():
            if field.access in kinds:
                mask |= field.mask
        return mask

    @property
    def readable(self) -> bool:
        """Whether a guest's read reaches it."""
        return self.access is not WO

    @property
    def writable(self) -> bool:
        """Whether a guest's write does anything."""
        return bool(self.rw_mask | self.w1c_mask or self.writer or self.after_write)

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        if self.fields:
            members: dict[str, Any] = {key: _field_property(field) for key, field in self.fields.items()}
            self._register_class = type(name, (Register,), {"__slots__": (), **members})

    @overload
    def __get__(self, instance: None, owner: type) -> RegisterSpec: ...

    @overload
    def __get__(self, instance: object, owner: type) -> Register: ...

    def __get__(self, instance: object | None, owner: type) -> RegisterSpec | Register:
        if instance is None:
            return self
        raise AttributeError(f"{owner.__name__}.{self.name} exists once the device is constructed")

    def make(self) -> Register:
        """A register with its reset value."""
        return self._register_class(self)

    def read(self, method: Method) -> Method:
        """Binds the method that gives what a guest reads: `method(self) -> int`."""
        self.reader = method.__name__
        return method

    def write(self, method: Method) -> Method:
        """Binds the method that a guest's write calls instead of storing: `method(self, value)`."""
        self.writer = method.__name__
        return method

    def read_string(self, method: Method) -> Method:
        """Binds a faster way to read it many times over, as REP INS does: `method(self, items) -> bytes`.

        It gives as many items as it likes, at most `items`, one behind the other; the rest is read one by one.
        """
        self.string_reader = method.__name__
        return method

    def write_string(self, method: Method) -> Method:
        """The same for writes: `method(self, data) -> int`, which says how many bytes of `data` it took."""
        self.string_writer = method.__name__
        return method

    def written(self, method: Method) -> Method:
        """Binds the method called after a guest's write was stored: `method(self, value)`, the value now stored."""
        self.after_write = method.__name__
        return method
