"""From what a description says of booting to a machine that does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..units import GiB, MiB
from .direct import DirectBoot
from .kernels import Kernel
from .settings import BootSettings
from .start import CannotStart

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
        kernel = Kernel(data, settings.protocol)
    except CannotStart as error:
        raise settings.wrong(error.what, f"{settings.kernel}: {error}") from None
    boot = DirectBoot(settings, kernel, initrd)
    boot.check(machine)
    machine.boot = boot
