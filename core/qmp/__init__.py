"""Commands that QEMU's clients know, with QEMU's arguments and results: libxl's above all.

Those that a machine can be told without knowing QEMU are in `southbridge.control`. A file here has the commands of one
part of QEMU's schema, as methods of a class; `all` gathers them.
"""
