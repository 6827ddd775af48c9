"""Devices and back ends that ship with Southbridge."""
