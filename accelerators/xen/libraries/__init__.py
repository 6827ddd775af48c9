"""Xen's own libraries, through ctypes."""
