"""What libxl says of the domain: -xen-domid, -xen-domid-restrict, -xen-attach."""

from __future__ import annotations

from ..draft import Draft
from ..words import OptionError, number
from .option import Option, flag, quiet

FIRST_RESERVED_DOMAIN = 0x7FF0


def _domid(draft: Draft, argument: str) -> None:
    domain = number("", argument)
    if not 0 <= domain < FIRST_RESERVED_DOMAIN:
        raise OptionError("expected a domain's number")
    draft.domain = domain


def _restrict(draft: Draft) -> None:
    draft.accelerator_values["restrict"] = True


OPTIONS = (
    Option("xen-domid", _domid, "number", "Which domain it is the device model of."),
    flag("xen-domid-restrict", _restrict, "It reaches no other domain once it runs."),
    quiet("xen-attach", "The domain is there already, as always."),
)
