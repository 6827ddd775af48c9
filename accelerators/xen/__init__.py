"""Accelerator `xen`: the device model of a Xen HVM domain; see README.md."""
