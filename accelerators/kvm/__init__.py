"""Accelerator `kvm`: the host's CPU, by Linux's KVM."""

from .accelerator import KvmAccelerator

__all__ = ["KvmAccelerator"]
