"""A kernel's file: what it is, and how it is to be entered."""

from __future__ import annotations

from . import bzimage, elf, multiboot, pvh
from .bzimage import BadImage, BzImage
from .elf import BadElf, Elf
from .linux import start_bzimage, start_vmlinux
from .multiboot import start_multiboot
from .payload import BadPayload, decompress
from .start import CannotStart, Request, Start


class Kernel:
    """The kernel in `data`, entered by `protocol`, one of `settings.PROTOCOLS`. `start` may be called repeatedly."""

    def __init__(self, data: bytes, protocol: str = "auto") -> None:
        """Raises CannotStart if it is none that can be entered so."""
        self._data = data
        self._payload: Elf | None = None
        self._image = _bzimage(data)
        self.protocol = self._detected() if protocol == "auto" else protocol
        if self._image is None and self.protocol == "bzimage":
            raise CannotStart("boot_protocol", "the kernel is no bzImage")

    @property
    def image(self) -> BzImage | None:
        """If it is a bzImage, that."""
        return self._image

    def start(self, request: Request) -> Start:
        """How to start it. Raises CannotStart, DoesNotFit."""
        if self.protocol == "bzimage":
            assert self._image is not None
            return start_bzimage(self._image, request)
        if self.protocol == "multiboot":
            return start_multiboot(self._data, request)
        if self.protocol == "pvh":
            return pvh.start_pvh(self._elf(), request)
        return start_vmlinux(self._elf(), self._image, request)

    def forget(self) -> None:
        """Frees what was decompressed; the next `start` does it again."""
        self._payload = None

    def _detected(self) -> str:
        if self._image is not None:
            return self._best_of_image()
        if multiboot.find_header(self._data) is not None:
            return "multiboot"
        if not self._data.startswith(elf.MAGIC):
            raise CannotStart(
                "kernel", "it isn't a kernel: neither a Linux bzImage, nor an ELF file, nor a Multiboot image"
            )
        file = self._elf()
        return "vmlinux" if pvh.entry(file) is None else "pvh"

    def _best_of_image(self) -> str:
        """A bzImage decompresses itself where the host can't do it, or the kernel has no 64-bit entry."""
        try:
            return "vmlinux" if self._elf().machine == elf.X86_64 else "bzimage"
        except CannotStart:
            return "bzimage"

    def _elf(self) -> Elf:
        """The executable, which may be a bzImage's payload."""
        if self._payload is None:
            try:
                data = self._data if self._image is None else decompress(bytes(self._image.payload))
                self._payload = elf.parse(data)
            except (BadPayload, BadElf) as error:
                raise CannotStart("kernel", str(error)) from None
        return self._payload


def _bzimage(data: bytes) -> BzImage | None:
    if not bzimage.is_bzimage(data):
        return None
    try:
        return bzimage.parse(data)
    except BadImage as error:
        raise CannotStart("kernel", str(error)) from None
