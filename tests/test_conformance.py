"""The conformance suite, on every device that is installed, with flat and with windowed guest memory."""

from __future__ import annotations

from southbridge.testing import DeviceChecks

devices = DeviceChecks("all")
