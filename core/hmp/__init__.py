"""The monitor for people: QEMU's words, with answers that look like QEMU's. docs/monitors.md has them all."""
