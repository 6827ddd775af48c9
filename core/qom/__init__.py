"""The machine as QEMU's object model (QOM) has it: a tree of objects with properties, which clients name by paths.

Nothing is kept for that: objects are made of the real devices when somebody asks (`root`), and forgotten.

    /machine                      the machine; its host bridge is /machine/i440fx, which has the bus pci.0
    /machine/peripheral/ID        what its user added and named, CPUs too
    /machine/peripheral-anon/     what its user added, and didn't name: device[0], device[1]...
    /machine/unattached/          the CPUs that it started with, and what the board has besides: device[0]...
    /objects/ID, /chardevs/ID     what there is for devices to use
    .../registers                 (ours) a device's registers, by bank and name
"""

from .nodes import Node, find
from .tree import root

__all__ = ["Node", "find", "root"]
