"""From what a description says of booting to a machine that does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..units import GiB, MiB
from .bzimage import is_bzimage
from .direct import DirectBoot
from .kernels import Kernel
from .memory import DoesNotFit
from .settings import BootSettings
from .start import CannotStart
from .through_firmware import offer

if TYPE_CHECKING:
    from ..machine import Machine

LARGEST_KERNEL = 512 * MiB
LARGEST_INITRD = 4 * GiB


def prepare(machine: Machine, settings: BootSettings) -> None:
    """`machine`, whose devices are all there, will boot as `settings` say.

    Raises DescriptionError for files that can't be read, are none of the right kind, or don't fit.
    """
    data = settings.read("kernel", settings.kernel, LARGEST_KERNEL)
    initrd = settings.read("initrd", settings.initrd, LARGEST_INITRD) if settings.initrd else b""
    try:
        if settings.firmware:
            # Firmware boots a bzImage as it did when PCs were young: the kernel's 16-bit code asks it for all it needs.
            protocol = "bzimage" if settings.protocol == "auto" and is_bzimage(data) else settings.protocol
            offer(machine, Kernel(data, protocol), initrd, settings.cmdline.encode())
            return
        boot = DirectBoot(settings, Kernel(data, settings.protocol), initrd)
        boot.check(machine)
        machine.boot = boot
    except (CannotStart, DoesNotFit) as error:
        raise settings.explained(error.what, str(error)) from None
