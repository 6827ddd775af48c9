"""A virtual machine: its descriptor, and the requests that concern all of it."""

from __future__ import annotations

import ctypes
import os
from ctypes import Structure

from . import ioctls as k
from .structures import EnableCap
from .system import System


class Vm:
    """A virtual machine of KVM's. Its capabilities may be fewer than the host's."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.descriptor = system.create_vm()
        self.run_size = system.run_size()
        self._checked: dict[int, int] = {}

    def close(self) -> None:
        """Lets go of it. KVM frees it when the descriptors of its vCPUs are closed too."""
        os.close(self.descriptor)
        self.system.close()

    def check(self, capability: int) -> int:
        """0 if this machine doesn't have the capability, else its positive value."""
        if capability not in self._checked:
            try:
                value = k.ioctl(self.descriptor, k.KVM_CHECK_EXTENSION, capability)
            except OSError:  # before Linux 3.17 only /dev/kvm answers
                value = self.system.check(capability)
            self._checked[capability] = value
        return self._checked[capability]

    def enable(self, capability: int, *arguments: int) -> bool:
        """Switches a capability on. False if there is no such."""
        request = EnableCap(cap=capability)
        request.args[: len(arguments)] = arguments
        try:
            self.set(k.KVM_ENABLE_CAP, request)
        except OSError:
            return False
        return True

    def set(self, request: int, structure: Structure) -> int:
        """A request that passes `structure`. Raises OSError."""
        return k.ioctl(self.descriptor, request, structure)  # type: ignore[no-any-return]

    get = set
    """A request that fills in `structure`."""

    def do(self, request: int, value: int = 0) -> int:
        """A request with a plain value, or none. Raises OSError."""
        return k.ioctl(self.descriptor, request, value)

    def do_large(self, request: int, value: int) -> None:
        """As `do`, for a value of more bits than Python's ioctl passes. Raises OSError."""
        library = ctypes.CDLL(None, use_errno=True)
        if library.ioctl(self.descriptor, ctypes.c_ulong(request), ctypes.c_ulong(value)) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
