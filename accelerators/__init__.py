"""Accelerators that ship with Southbridge."""
