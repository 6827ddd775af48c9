"""libxentoolcore (xentoolcore.h)."""

from __future__ import annotations

from ctypes import c_int

from .binding import DOMAIN_ID, function, load


def restrict_all(domid: int) -> None:
    """Whatever handles of Xen's libraries this process has are good for the domain `domid` alone from now on."""
    library = load(("libxentoolcore.so.1",), "libxentoolcore1")
    function(library, "xentoolcore_restrict_all", c_int, (DOMAIN_ID,))(domid)
